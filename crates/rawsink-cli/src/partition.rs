//! How a command line names a partition: its canonical path, and which run of it.

use std::iter;

use clap::Args;
use rawsink::{Error, ErrorKind, PartitionKey, RunId, consume, layout::Place};

use crate::{context::Context, exit::Failure};

/// A logical partition or one of its runs.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Canonical path of a partition or run, as it stands in the storage
    partition: String,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,
}

/// Which run, where the path names none.
#[derive(Debug, Args)]
pub(crate) struct ChoiceArgs {
    /// Take the run that has authority in the state
    #[arg(long, conflicts_with = "latest")]
    pub(crate) current: bool,

    /// Take the newest sealed run, whatever the state says
    #[arg(long)]
    latest: bool,
}

impl RunArgs {
    /// Returns the run that is meant.
    ///
    /// Without a run and without a choice: `Invalid`, listing the runs that are there.
    pub(crate) async fn choose(
        &self,
        context: &Context<'_>,
    ) -> Result<(PartitionKey, RunId), Failure> {
        self.choice.choose(&self.partition, context).await
    }
}

impl ChoiceArgs {
    /// Returns the run of a canonical path that is meant, as [`RunArgs::choose`].
    pub(crate) async fn choose(
        &self,
        path: &str,
        context: &Context<'_>,
    ) -> Result<(PartitionKey, RunId), Failure> {
        let place = parse(path, context)?;
        let key = partition_of(&place)?;
        let run = match place.run() {
            Some(_) if self.current || self.latest => {
                return Err(Error::invalid(
                    "the path names a run already; leave --current and --latest out",
                )
                .into());
            }
            Some(run) => run,
            None if self.current => consume::current_run(&*context.state, &key).await?,
            None if self.latest => latest(context, &key).await?,
            None => return Err(ambiguous(context, &key).await?),
        };
        Ok((key, run))
    }
}

/// Reads a path from the command line.
pub(crate) fn parse(path: &str, context: &Context<'_>) -> Result<Place, Failure> {
    let root = context.root();
    if !path.starts_with('/') || context.settings().object.is_some() {
        return Ok(Place::parse(path, &root)?);
    }
    let absolute = std::path::absolute(&root).map_err(|cause| Failure::internal(&cause))?;
    Ok(Place::parse(path, &absolute.to_string_lossy())?)
}

/// Reads a path from the command line that names records of the state, as deep as wanted.
pub(crate) fn parse_prefix(path: &str, context: &Context<'_>) -> Result<Place, Failure> {
    let place = parse(path, context)?;
    if place.run().is_some() {
        let message = "the state knows logical partitions; leave the run out";
        return Err(Error::invalid(message).at(place).into());
    }
    Ok(place)
}

/// Returns the logical partition of a place that must have all four levels.
pub(crate) fn partition_of(place: &Place) -> Result<PartitionKey, Failure> {
    let Some(key) = place.partition() else {
        let next = place.next_level().map_or("run_id", rawsink::layout::Level::name);
        let message =
            format!("{:?} names no logical partition: {next} is missing", place.to_string());
        return Err(Error::invalid(message).into());
    };
    Ok(key)
}

async fn latest(context: &Context<'_>, key: &PartitionKey) -> Result<RunId, Failure> {
    let runs = context.sink.list_runs(key).await?;
    let newest = runs.into_iter().rev().find(|run| run.sealed);
    let missing =
        || Error::new(ErrorKind::NotFound, "no run is sealed").at(Place::of_partition(key));
    Ok(newest.ok_or_else(missing)?.run_id)
}

async fn ambiguous(context: &Context<'_>, key: &PartitionKey) -> Result<Failure, Failure> {
    let runs = context.sink.list_runs(key).await?;
    let place = Place::of_partition(key);
    if runs.is_empty() {
        return Ok(Error::new(ErrorKind::NotFound, "no run is there").at(place).into());
    }
    let paths = runs.iter().map(|run| {
        let sealed = if run.sealed { "sealed" } else { "not sealed" };
        format!("\n  {}  {sealed}", Place::of_run(&run.key, &run.run_id))
    });
    let message: String =
        iter::once("which run? Take --current, --latest, or one of these paths:".to_owned())
            .chain(paths)
            .collect();
    Ok(Error::invalid(message).at(place).into())
}
