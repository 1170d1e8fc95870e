//! `rawsink write`

mod metadata;
mod source;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use jiff::Timestamp;
use rawsink::{
    Error, PartitionKey, PartitionWriter, RunId, Sealed,
    layout::Place,
    validate::{Gaps, Rules, Validation, validate},
};
use serde::Serialize;
use tokio::time::timeout;

use self::source::{Ended, Source};
use crate::{
    context::Context,
    exit::{Answer, Failure},
    output, partition,
    progress::{self, Progress},
    signals::Signals,
};

/// How long an attempt that has just begun may take to be there, so that it can be taken back.
const MOMENT: Duration = Duration::from_secs(2);

/// Land rows in a partition and seal it
///
/// Rows are one JSON object a line. They come from FILE, from a COMMAND's standard output, or from
/// standard input. The run is sealed only at a clean end: every row right, the command's exit
/// status 0, the number of rows as expected. Otherwise nothing is visible.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  extract | rawsink write $P --expect-records 42
  rawsink write $P rows.jsonl --set api_version=v21
  rawsink write $P -- extract --customer 123

A pipe hides an extractor that dies: its end looks like the end of the rows. Prefer `-- COMMAND`, or give
--expect-records.")]
pub(crate) struct Args {
    /// Canonical path of a partition or run, as it stands in the storage
    partition: String,

    /// File with the rows; `-` or nothing for standard input
    #[arg(conflicts_with = "command")]
    file: Option<PathBuf>,

    /// Command whose standard output is the rows; sealed only when it exits 0
    #[arg(last = true)]
    command: Vec<OsString>,

    /// Run id, shared by all partitions of one execution [default: now]
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,

    /// Refuse to seal any other number of rows
    #[arg(long, value_name = "N")]
    expect_records: Option<u64>,

    /// Seal a partition without rows that came from standard input or a file
    #[arg(long)]
    allow_empty: bool,

    #[command(flatten)]
    metadata: metadata::MetadataArgs,

    /// Refuse metadata that lacks a field of the contract, before anything is extracted
    #[arg(long)]
    strict: bool,

    /// Validate the run after it was sealed and record the verdict
    #[arg(long)]
    then_validate: bool,
}

/// What was written, as JSON.
#[derive(Serialize)]
struct Written<'a> {
    path: String,
    run_id: &'a RunId,
    #[serde(flatten)]
    sealed: &'a Sealed,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<&'a Validation>,
}

pub(crate) async fn run(args: Args, context: &Context<'_>) -> Result<Answer, Failure> {
    if args.command.is_empty() && std::env::args_os().next_back().is_some_and(|last| last == "--") {
        return Err(Error::invalid("there is no command behind --").into());
    }
    let now = context.sink.surroundings().clock.now();
    let (key, run) = args.target(context, now)?;
    let prepared = args.metadata.prepare(&key, &run, now)?;
    let gaps = prepared.gaps()?;
    if args.strict && !gaps.is_empty() {
        return Err(Error::invalid(format!("metadata: {}", gaps.join("; ")))
            .at(Place::of_run(&key, &run))
            .into());
    }
    // A file is opened before anything is made for it, a command started only after that.
    let file =
        if args.command.is_empty() { Some(Source::input(args.file.as_deref())?) } else { None };

    // From here on a signal ends the attempt in order.
    let mut signals = Signals::new().map_err(|cause| Failure::internal(&cause))?;
    let mut writer = begin(context.sink.write_partition(&key, &run), &mut signals).await?;
    warn(&key, &run, &gaps);
    if let Err(failure) = args.fill(file, &mut writer, &mut signals).await {
        writer.abort().await;
        return Err(failure);
    }
    let metadata = prepared.finish(writer.record_count())?;
    let complete = unless_interrupted(writer.complete_payload(&metadata), &mut signals).await;
    if let Err(failure) = complete {
        writer.abort().await;
        return Err(failure);
    }
    let sealed = decide(writer.finalize(metadata), &mut signals).await?;
    args.report(context, &key, &run, &sealed, &mut signals).await
}

impl Args {
    /// Returns which run of which partition is to be written.
    fn target(
        &self,
        context: &Context<'_>,
        now: Timestamp,
    ) -> Result<(PartitionKey, RunId), Failure> {
        let place = partition::parse(&self.partition, context)?;
        let key = partition::partition_of(&place)?;
        let given = self.run_id.as_deref().map(str::parse).transpose()?;
        match (place.run(), given) {
            (Some(in_path), Some(given)) if in_path != given => {
                Err(Error::invalid(format!("the path names run {in_path}, --run-id names {given}"))
                    .into())
            }
            (Some(run), _) | (None, Some(run)) => Ok((key, run)),
            (None, None) => Ok((key, RunId::at(now))),
        }
    }

    /// Streams all rows into the writer, and checks that they ended well.
    async fn fill(
        &self,
        file: Option<Source>,
        writer: &mut PartitionWriter,
        signals: &mut Signals,
    ) -> Result<(), Failure> {
        let mut source = match file {
            Some(file) => file,
            None => Source::command(&self.command)?,
        };
        if source.is_terminal() {
            output::note("reading rows from the terminal; end with Ctrl-D");
        }
        let progress = Progress::of_rows("landing");
        let landing =
            writer.write_payload_from(source.take_rows()?, |rows, bytes| progress.set(rows, bytes));
        let ended = match land(landing, &mut source, signals).await {
            Ok(ended) => ended,
            Err(failure) => {
                source.terminate().await;
                return Err(failure);
            }
        };
        drop(progress);
        // A signal that ended the extractor, too, looks like a clean end of its rows.
        let outcome = match signals.came() {
            Some(signal) => Err(interrupted(signal)),
            None => self.check_end(&ended, writer.record_count()),
        };
        if outcome.is_err() {
            source.terminate().await;
        }
        outcome
    }

    fn check_end(&self, ended: &Ended, rows: u64) -> Result<(), Failure> {
        let refused = |why: String| Err(Failure::Refused(format!("{why}; nothing was sealed")));
        match (ended, self.expect_records) {
            (Ended::CommandFailed(how), _) => refused(format!("the command {how}")),
            (_, Some(expected)) if expected != rows => refused(format!("{expected} rows were expected, {rows} came")),
            (Ended::Input, None) if rows == 0 && !self.allow_empty => {
                refused("no rows came (a dead extractor looks just like that; --allow-empty seals an empty partition)".to_owned())
            }
            _ => Ok(()),
        }
    }

    async fn report(
        &self,
        context: &Context<'_>,
        key: &PartitionKey,
        run: &RunId,
        sealed: &Sealed,
        signals: &mut Signals,
    ) -> Result<Answer, Failure> {
        let rules =
            Rules { gaps: if self.strict { Gaps::Refuse } else { Gaps::Warn }, ..Rules::default() };
        let validation = if self.then_validate {
            let unsure = |signal| {
                Failure::Signal(
                    signal,
                    "ended by a signal; the run is sealed and was not validated".to_owned(),
                )
            };
            Some(tokio::select! {
                validated = validate(&context.sink, &*context.state, key, run, rules) => validated.map_err(Failure::from),
                signal = signals.next() => Err(unsure(signal)),
            })
        } else {
            None
        };
        let path = Place::of_run(key, run).to_string();
        let passed = validation.as_ref().and_then(|outcome| outcome.as_ref().ok());
        let record = Written { path: path.clone(), run_id: run, sealed, validation: passed };
        // What was sealed is reported even where the validation could not be made, and first to the
        // person: standard output may be full.
        let amount = progress::amount(sealed.payload.record_count, sealed.payload.payload_bytes);
        output::note(format!("sealed {amount}"));
        context.output.answer(&record, &path)?;
        let Some(validation) = validation.transpose()? else { return Ok(Answer::Yes) };
        super::validate::tell(&validation);
        Ok(if validation.passed() { Answer::Yes } else { Answer::No })
    }
}

/// Waits until the rows have ended and the command has, or until there is a reason to give up.
async fn land(
    landing: impl Future<Output = rawsink::Result<u64>>,
    source: &mut Source,
    signals: &mut Signals,
) -> Result<Ended, Failure> {
    let (mut landed, mut ended) = (false, (!source.is_command()).then_some(Ended::Input));
    tokio::pin!(landing);
    loop {
        match ended {
            // What it started may hold its output open for long.
            Some(Ended::CommandFailed(_)) => break,
            Some(_) if landed => break,
            _ => {}
        }
        tokio::select! {
            biased;
            signal = signals.next() => return Err(interrupted(signal)),
            outcome = &mut landing, if !landed => { outcome?; landed = true; }
            outcome = source.wait(), if ended.is_none() => ended = Some(outcome?),
        }
    }
    Ok(ended.unwrap_or(Ended::Input))
}

/// Begins the attempt. A signal lets it begin for another moment, so that what it has just made is
/// taken back.
async fn begin(
    beginning: impl Future<Output = rawsink::Result<PartitionWriter>>,
    signals: &mut Signals,
) -> Result<PartitionWriter, Failure> {
    tokio::pin!(beginning);
    let signal = tokio::select! {
        biased;
        signal = signals.next() => signal,
        begun = &mut beginning => return Ok(begun?),
    };
    tokio::select! {
        begun = timeout(MOMENT, beginning) => if let Ok(Ok(writer)) = begun {
            writer.abort().await;
        },
        _ = signals.next() => {}
    }
    Err(interrupted(signal))
}

/// Waits for what comes before the seal, or for a signal, whichever is first.
async fn unless_interrupted<T>(
    work: impl Future<Output = rawsink::Result<T>>,
    signals: &mut Signals,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        signal = signals.next() => Err(interrupted(signal)),
        outcome = work => Ok(outcome?),
    }
}

fn interrupted(signal: i32) -> Failure {
    Failure::Signal(signal, "ended by a signal; nothing was sealed".to_owned())
}

/// Waits for the outcome of sealing: a first signal waits with it, a second one gives up.
async fn decide(
    sealing: impl Future<Output = rawsink::Result<Sealed>>,
    signals: &mut Signals,
) -> Result<Sealed, Failure> {
    tokio::pin!(sealing);
    tokio::select! {
        outcome = &mut sealing => return Ok(outcome?),
        _ = signals.next() => output::note("sealing has begun: waiting for its outcome (a second signal gives up)"),
    }
    tokio::select! {
        outcome = &mut sealing => Ok(outcome?),
        signal = signals.next() => Err(Failure::Signal(signal, "outcome unknown: the seal may be there".to_owned())),
    }
}

/// Warns of what may be a mistake, once it is clear that the run can be written.
fn warn(key: &PartitionKey, run: &RunId, gaps: &[String]) {
    if !run.is_canonical() {
        output::warning(format!(
            "run id {:?} is not YYYY-MM-DDTHH:MM:SS.mmmZ, so it may not sort by time: of the \
             runs that pass validation, the one that sorts last keeps authority",
            run.as_str()
        ));
    }
    if key.customer_id().contains('-') {
        output::warning(format!(
            "customer_id {:?} has hyphens; the norm is without",
            key.customer_id()
        ));
    }
    for gap in gaps {
        output::warning(format!("metadata: {gap}"));
    }
}
