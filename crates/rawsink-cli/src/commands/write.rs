//! `rawsink write`

pub(super) mod attempt;
pub(super) mod metadata;
pub(super) mod source;

use std::{ffi::OsString, path::PathBuf};

use jiff::Timestamp;
use rawsink::{
    Error, ErrorKind, Metadata, PartitionKey, PartitionWriter, RunId, Sealed,
    layout::Place,
    partition::row::RefusedRow,
    state::{Entry, latest_before},
    validate::{self, Gaps, Rules, Validation},
};
use serde::Serialize;

use self::{
    attempt::{begin, interrupted, seal, unless_interrupted, wait_for_rows},
    source::{Ended, Source},
};
use super::rows::{Rejects, RowArgs};
use crate::{
    complete,
    context::Context,
    exit::{Exit, Failure},
    hint::Stage,
    output, partition,
    progress::{self, Progress},
    signals::Signals,
};

const UNKNOWN_END: &str = "the rows come from a pipe, and a program that crashed ends it like one that finished; use \
                           -- COMMAND or --expect-records";

/// The end of a command whose attempt cannot be aborted in time.
const NOT_CLEANED_UP: &str = "interrupted by a signal; nothing was sealed; the attempt could not be aborted in \
                              time, and rawsink clean --apply removes what it left";

/// Write rows to a partition and seal it
///
/// Rows are JSON objects, one per line. They come from the standard output of COMMAND, from FILE, or
/// from standard input. The run is sealed only if every line is a row, COMMAND exits with 0, and the
/// number of rows is as expected. Otherwise readers see nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P=google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01
  rawsink write $P -- extract --customer 123
  rawsink write $P rows.jsonl --set api_version=v21
  extract | rawsink write $P --expect-records 42

In a pipe, a crashed extractor looks like end of file. Use `-- COMMAND`, or add --expect-records.

COMMAND gets no standard input.

SIGHUP, SIGINT, SIGQUIT and SIGTERM stop COMMAND and abort the attempt; nothing is sealed. The exit code is \
128 plus the signal's number. While the seal is written, the first signal is ignored, and a second one \
exits at once: the run may be sealed.")]
pub(crate) struct Args {
    /// Path of a partition or run: SOURCE/CUSTOMER/QUERY/DAY, or with labels as in the storage
    #[arg(add = complete::paths())]
    partition: String,

    /// File with the rows; `-` or nothing reads standard input
    #[arg(conflicts_with = "command")]
    file: Option<PathBuf>,

    /// Command that prints the rows; the run is sealed only if it exits with 0
    #[arg(last = true)]
    command: Vec<OsString>,

    /// Run id, shared by all partitions of one execution [default: the current time]
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,

    /// Seal only this number of rows
    #[arg(long, value_name = "N")]
    expect_records: Option<u64>,

    /// Seal only if there are at least this many rows
    #[arg(long, value_name = "N")]
    min_records: Option<u64>,

    /// Compare the number of rows with the latest earlier day that has authority; they may differ by PERCENT
    #[arg(long, value_name = "PERCENT")]
    compare_previous: Option<u32>,

    /// What to do if they differ more
    #[arg(long, value_name = "ACTION", default_value = "fail", requires = "compare_previous")]
    on_difference: OnDifference,

    #[command(flatten)]
    rows: RowArgs,

    /// Seal a run without rows from standard input or FILE; a COMMAND without rows needs it only if
    /// standard input has data, which COMMAND does not get
    #[arg(long)]
    allow_empty: bool,

    #[command(flatten)]
    metadata: metadata::MetadataArgs,

    /// Require all recommended metadata fields before the extraction starts
    #[arg(long)]
    strict: bool,

    /// Validate the sealed run and record the result
    #[arg(long)]
    then_validate: bool,
}

/// What to do about a number of rows that differs from the day before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OnDifference {
    /// Seal nothing.
    Fail,
    /// Warn.
    Warn,
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

pub(crate) async fn run(args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    if args.command.is_empty() && std::env::args_os().next_back().is_some_and(|last| last == "--") {
        return Err(nothing_sealed(Error::invalid("no command follows --").into()));
    }
    let now = context.sink.runtime().clock.now();
    let (key, run) = args.target(context, now).map_err(nothing_sealed)?;
    let path = Place::of_run(&key, &run);
    let (writer, metadata, mut signals) = args
        .write(context, &key, &run, now)
        .await
        .map_err(|failure| conclude(failure, Some(&path), Sealing::NotBegun))?;
    let sealed = seal(writer.finalize(metadata), &mut signals)
        .await
        .map_err(|failure| conclude(failure, Some(&path), Sealing::Begun))?;
    Signals::release("interrupted by a signal; the run is sealed");
    args.report(context, &key, &run, &sealed, &mut signals)
        .await
        .map_err(|failure| conclude(failure, Some(&path), Sealing::Done))
}

/// How far sealing had come when a failure ended the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sealing {
    NotBegun,
    Begun,
    Done,
}

/// Adds to a failure that nothing was sealed, before the run is known.
pub(crate) fn nothing_sealed(failure: Failure) -> Failure {
    conclude(failure, None, Sealing::NotBegun)
}

/// Adds the run to a failure, and whether it is sealed.
fn conclude(failure: Failure, run: Option<&Place>, sealing: Sealing) -> Failure {
    let by_progress = match sealing {
        Sealing::NotBegun => "nothing was sealed",
        Sealing::Begun => "the run may be sealed",
        Sealing::Done => "the run is sealed",
    };
    let outcome = match &failure {
        Failure::Library(error) if sealing != Sealing::Done => match error.kind() {
            // With all other kinds the library guarantees that this writer sealed nothing (G06).
            ErrorKind::Unknown | ErrorKind::Corrupt => "the run may be sealed",
            ErrorKind::AlreadySealed => "this command sealed nothing",
            _ => "nothing was sealed",
        },
        _ => by_progress,
    };
    let stage = if sealing == Sealing::Done { Stage::AfterSeal } else { Stage::BeforeSeal };
    failure.of_writing(run.map(ToString::to_string), outcome, stage)
}

impl Args {
    /// Returns the partition and the run to write.
    fn target(
        &self,
        context: &Context<'_>,
        now: Timestamp,
    ) -> Result<(PartitionKey, RunId), Failure> {
        let place = partition::parse(&self.partition, context)?;
        let key = partition::partition_of(&place)?;
        let run = partition::run_of(&place, self.run_id.as_deref(), now)?;
        Ok((key, run))
    }

    /// Writes all rows and completes the payload. Only the seal is missing afterwards.
    ///
    /// Returns the writer, the finished metadata, and the signals of this process.
    async fn write(
        &self,
        context: &Context<'_>,
        key: &PartitionKey,
        run: &RunId,
        now: Timestamp,
    ) -> Result<(PartitionWriter, Metadata, Signals), Failure> {
        let prepared = self.metadata.prepare(key, run, now)?;
        let gaps = prepared.gaps()?;
        if self.strict && !gaps.is_empty() {
            return Err(Error::invalid(format!("metadata: {}", gaps.join("; "))).into());
        }
        // A file is opened before the attempt begins; a command starts only after that.
        let file =
            if self.command.is_empty() { Some(Source::input(self.file.as_deref())?) } else { None };

        let input = file.as_ref().and_then(Source::metadata);
        let rejects = self.rows.open(Some(Place::of_run(key, run).to_string()), input.as_ref())?;
        let previous = self.previous(context, key).await?;

        // From here on a signal stops the attempt cleanly.
        let mut signals = Signals::new(NOT_CLEANED_UP)?;
        let mut writer = begin(context.sink.write_partition(key, run), &mut signals).await?;
        warn(key, run, &gaps);
        self.prepare(&mut writer, rejects.clone());
        let filled = match self.fill(file, &mut writer, &mut signals).await {
            Ok(()) => self.check_rows(&writer, previous.as_ref(), rejects.as_ref()),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = filled {
            writer.abort().await;
            return Err(self.in_file(failure));
        }
        let metadata = prepared.finish(writer.record_count())?;
        let complete = unless_interrupted(writer.complete_payload(&metadata), &mut signals).await;
        if let Err(failure) = complete {
            writer.abort().await;
            return Err(failure);
        }
        Ok((writer, metadata, signals))
    }

    /// Streams all rows into the writer and checks how the source ended.
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
            output::note("reading rows from the terminal; press Ctrl-D to end");
        }
        if source.is_pipe() && self.expect_records.is_none() {
            output::warning(UNKNOWN_END);
        }
        let progress = Progress::of_rows("writing");
        let landing =
            writer.write_payload_from(source.take_rows()?, |rows, bytes| progress.set(rows, bytes));
        let ended = match wait_for_rows(landing, &mut source, signals).await {
            Ok(ended) => ended,
            Err(failure) => {
                source.terminate().await;
                return Err(self.in_file(failure));
            }
        };
        drop(progress);
        // A signal may have stopped the extractor too, which looks like a clean end of its rows.
        let outcome = match signals.received() {
            Some(signal) => Err(interrupted(signal)),
            None => self.check_end(&ended, writer),
        };
        if outcome.is_err() {
            source.terminate().await;
        }
        outcome
    }

    /// Sets how the writer treats lines that are no rows.
    fn prepare(&self, writer: &mut PartitionWriter, rejects: Option<Rejects>) {
        if self.rows.skip_blank {
            writer.skip_blank();
        }
        for name in &self.rows.require_member {
            writer.require_member(name);
        }
        if let Some(rejects) = rejects {
            writer.keep_refused(self.rows.max_rejects, move |row, line| rejects.keep(row, line));
        }
    }

    /// Checks the rows as a whole, and makes the refused lines durable.
    fn check_rows(
        &self,
        writer: &PartitionWriter,
        previous: Option<&Entry>,
        rejects: Option<&Rejects>,
    ) -> Result<(), Failure> {
        let rows = writer.record_count();
        self.rows.warn(writer.refused_count(), writer.hazards().iter());
        writer.check_refused()?;
        match (self.expect_records, self.min_records) {
            (Some(expected), _) if expected != rows => {
                return Err(Failure::check_failed(format!("expected {expected} rows, got {rows}")));
            }
            (_, Some(least)) if rows < least => {
                let message = format!("expected at least {least} rows, got {rows}");
                return Err(Failure::check_failed(message));
            }
            _ => {}
        }
        if let Some(previous) = previous {
            self.compare(rows, previous)?;
        }
        rejects.map_or(Ok(()), Rejects::sync).map_err(Failure::from)
    }

    /// Returns the record to compare the number of rows with.
    async fn previous(
        &self,
        context: &Context<'_>,
        key: &PartitionKey,
    ) -> Result<Option<Entry>, Failure> {
        if self.compare_previous.is_none() {
            return Ok(None);
        }
        let previous = latest_before(&*context.state, key).await?;
        if previous.is_none() {
            output::note("no earlier day has rows to compare with");
        }
        Ok(previous)
    }

    /// Compares the number of rows with that of an earlier day.
    fn compare(&self, rows: u64, previous: &Entry) -> Result<(), Failure> {
        let (day, before) =
            (previous.key.logical_date(), previous.record.record_count.unwrap_or(0));
        let percent = self.compare_previous.unwrap_or_default();
        if u128::from(rows.abs_diff(before)) * 100 <= u128::from(before) * u128::from(percent) {
            return Ok(());
        }
        let (got, had) = (progress::rows(rows), progress::rows(before));
        let message =
            format!("got {got}, and {day} has {had}: they differ by more than {percent} %");
        match self.on_difference {
            OnDifference::Fail => Err(Failure::check_failed(message)),
            OnDifference::Warn => {
                output::warning(message);
                Ok(())
            }
        }
    }

    /// Adds the file to the error of a refused row.
    fn in_file(&self, failure: Failure) -> Failure {
        let file = self.file.as_deref().filter(|file| self.command.is_empty() && *file != "-");
        match (failure, file) {
            (Failure::Library(error), Some(file)) if RefusedRow::of(&error).is_some() => {
                Failure::Library(error.on_path(file.display()))
            }
            (failure, _) => failure,
        }
    }

    fn check_end(&self, ended: &Ended, writer: &PartitionWriter) -> Result<(), Failure> {
        let refused = |why: String| Err(Failure::check_failed(why));
        let is_empty = writer.record_count() == 0 && writer.refused_count().unwrap_or(0) == 0;
        match ended {
            Ended::CommandFailed(how) => refused(format!("the command {how}")),
            _ if !is_empty || self.allow_empty || self.expect_records.is_some() => Ok(()),
            Ended::CommandSucceeded if Source::is_input_unread() => refused(
                "the command printed no rows, and standard input, which it does not get, has data \
                 (--allow-empty seals an empty run)"
                    .to_owned(),
            ),
            Ended::CommandSucceeded => Ok(()),
            Ended::Input => refused(
                "got no rows, which may be a crashed extractor (--allow-empty seals an empty run)"
                    .to_owned(),
            ),
        }
    }

    async fn report(
        &self,
        context: &Context<'_>,
        key: &PartitionKey,
        run: &RunId,
        sealed: &Sealed,
        signals: &mut Signals,
    ) -> Result<Exit, Failure> {
        let rules =
            Rules { gaps: if self.strict { Gaps::Refuse } else { Gaps::Warn }, ..Rules::default() };
        let interrupted =
            |signal| Failure::signal(signal, "interrupted by a signal; the run was not validated");
        let validation = match signals.received() {
            _ if !self.then_validate => None,
            // The signal came while the run was being sealed.
            Some(signal) => Some(Err(interrupted(signal))),
            None => Some(tokio::select! {
                validated = validate::run(&context.sink, &*context.state, key, run, rules) => validated.map_err(Failure::from),
                signal = signals.next() => Err(interrupted(signal)),
            }),
        };
        let path = Place::of_run(key, run).to_string();
        let passed = validation.as_ref().and_then(|outcome| outcome.as_ref().ok());
        let record = Written { path: path.clone(), run_id: run, sealed, validation: passed };
        // The seal is reported even if the validation failed. The note comes first, because standard
        // output may be full.
        let amount = progress::amount(sealed.payload.record_count, sealed.payload.payload_bytes);
        output::note(format!("sealed {amount}"));
        output::if_read(context.output.data(&record, &path))?;
        let Some(validation) = validation.transpose()? else { return Ok(Exit::Success) };
        super::validate::print_outcome(key, run, &validation);
        Ok(super::validate::exit(&validation, false))
    }
}

/// Warns of likely mistakes.
pub(super) fn warn(key: &PartitionKey, run: &RunId, gaps: &[String]) {
    if !run.is_canonical() {
        output::warning(format!(
            "run id {:?} is not YYYY-MM-DDTHH:MM:SS.mmmZ and may not sort by time; the run that \
             sorts last gets authority",
            run.as_str()
        ));
    }
    if key.customer_id().contains('-') {
        output::warning(format!(
            "customer_id {:?} has hyphens; the usual form has none",
            key.customer_id()
        ));
    }
    for gap in gaps {
        output::warning(format!("metadata: {gap}"));
    }
}
