//! How a command line names a partition or one of its runs.

use std::iter;

use clap::Args;
use jiff::Timestamp;
use rawsink::{Backend, Error, ErrorKind, PartitionKey, RunId, consume, layout::Place};

use crate::{complete, context::Context, exit::Failure};

/// A logical partition or one of its runs.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Path of a partition or run: SOURCE/CUSTOMER/QUERY/DAY, or with labels as in the storage
    #[arg(add = complete::paths())]
    pub(crate) partition: String,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,
}

/// Selects a run if the path names only a partition.
#[derive(Debug, Default, Args)]
pub(crate) struct ChoiceArgs {
    /// Select the run with authority in the state
    #[arg(long, conflicts_with = "latest")]
    pub(crate) current: bool,

    /// Select the newest sealed run, regardless of the state
    #[arg(long)]
    latest: bool,
}

impl RunArgs {
    /// Returns the selected run.
    ///
    /// `Invalid`, with a list of the existing runs, if neither the path nor an option selects one.
    pub(crate) async fn choose(
        &self,
        context: &Context<'_>,
    ) -> Result<(PartitionKey, RunId), Failure> {
        self.choice.choose(&self.partition, context).await
    }

    /// Returns the logical partition if `--current` selects its run.
    pub(crate) fn consumed(&self, context: &Context<'_>) -> Result<Option<PartitionKey>, Failure> {
        if !self.choice.current {
            return Ok(None);
        }
        let place = parse(&self.partition, context)?;
        let key = partition_of(&place)?;
        if place.run().is_some() { Err(names_run()) } else { Ok(Some(key)) }
    }
}

/// The error of a path that names a run beside an option that selects one.
fn names_run() -> Failure {
    Error::invalid("the path already names a run; remove --current and --latest").into()
}

impl ChoiceArgs {
    /// Reports whether no option selects a run.
    pub(crate) fn is_empty(&self) -> bool {
        !self.current && !self.latest
    }

    /// Returns the selected run of a canonical path, like [`RunArgs::choose`].
    pub(crate) async fn choose(
        &self,
        path: &str,
        context: &Context<'_>,
    ) -> Result<(PartitionKey, RunId), Failure> {
        let place = parse(path, context)?;
        let key = partition_of(&place)?;
        let run = match place.run() {
            Some(_) if self.current || self.latest => return Err(names_run()),
            Some(run) => run,
            None if self.current => consume::current_run(&*context.state, &key).await?,
            None if self.latest => latest(context, &key).await?,
            None => return Err(ambiguous(context, &key).await?),
        };
        Ok((key, run))
    }
}

/// Parses a path from the command line.
pub(crate) fn parse(path: &str, context: &Context<'_>) -> Result<Place, Failure> {
    let root = context.root();
    if !path.starts_with('/') || !matches!(context.config().backend, Backend::Directory(_)) {
        return Ok(Place::parse(path, &root)?);
    }
    let absolute = std::path::absolute(&root).map_err(|cause| Failure::internal(&cause))?;
    Ok(Place::parse(path, &absolute.to_string_lossy())?)
}

/// Parses a path prefix from the command line that selects records of the state.
pub(crate) fn parse_prefix(path: &str, context: &Context<'_>) -> Result<Place, Failure> {
    let place = parse(path, context)?;
    if place.run().is_some() {
        let message =
            "the state has records of logical partitions only; remove run_id= from the path";
        return Err(Error::invalid(message).at(place).into());
    }
    Ok(place)
}

/// Returns the logical partition of a place; `Invalid` unless the place has all four levels.
pub(crate) fn partition_of(place: &Place) -> Result<PartitionKey, Failure> {
    let Some(key) = place.partition() else {
        let next = place.next_level().map_or("run_id", rawsink::layout::Level::name);
        let message =
            format!("{:?} is not a logical partition: {next} is missing", place.to_string());
        return Err(Error::invalid(message).into());
    };
    Ok(key)
}

/// Returns the run to write: of a path, or of an option, or a new one.
pub(crate) fn run_of(place: &Place, given: Option<&str>, now: Timestamp) -> Result<RunId, Failure> {
    let given = given.map(str::parse).transpose()?;
    match (place.run(), given) {
        (Some(in_path), Some(given)) if in_path != given => {
            Err(Error::invalid(format!("the path names run {in_path}, but --run-id is {given}"))
                .into())
        }
        (Some(run), _) | (None, Some(run)) => Ok(run),
        (None, None) => Ok(RunId::at(now)),
    }
}

async fn latest(context: &Context<'_>, key: &PartitionKey) -> Result<RunId, Failure> {
    let runs = context.sink.list_runs(key).await?;
    let newest = runs.into_iter().rev().find(|run| run.sealed);
    let missing =
        || Error::new(ErrorKind::NotFound, "no sealed run exists").at(Place::of_partition(key));
    Ok(newest.ok_or_else(missing)?.run_id)
}

async fn ambiguous(context: &Context<'_>, key: &PartitionKey) -> Result<Failure, Failure> {
    let runs = context.sink.list_runs(key).await?;
    let place = Place::of_partition(key);
    if runs.is_empty() {
        return Ok(Error::new(ErrorKind::NotFound, "no run exists").at(place).into());
    }
    let paths = runs.iter().map(|run| {
        let sealed = if run.sealed { "sealed" } else { "not sealed" };
        format!("\n  {}  {sealed}", Place::of_run(&run.key, &run.run_id))
    });
    let message: String = iter::once(
        "the path names no run; add --current or --latest, or use one of these paths:".to_owned(),
    )
    .chain(paths)
    .collect();
    Ok(Error::invalid(message).at(place).into())
}
