//! `rawsink singer`

mod landing;
mod options;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use rawsink::{Error, RunId};
use rawsink_ops::singer::{Extracted, Extraction};
use rustix::process::{Resource, getrlimit, setrlimit};

use self::{
    landing::Landing,
    options::{Options, target},
};
use super::write::{
    attempt::{interrupted, wait_for_rows},
    metadata::MetadataArgs,
    nothing_sealed,
    source::{Ended, Source},
};
use crate::{
    context::Context,
    exit::{Exit, Failure},
    hint::Stage,
    output,
    progress::Progress,
    signals::Signals,
};

const UNKNOWN_END: &str = "a tap that crashed ends standard input like one that finished; use -- COMMAND, or \
                           --accept-unknown-end to seal the records that arrive";

/// The end of a command whose tap does not end in time.
const NOT_STOPPED: &str = "interrupted by a signal; nothing was sealed; the tap may still run";

/// Run a Singer tap and land each of its streams as a run
///
/// In PARTITION, `{stream}` stands for the name of each stream. All runs have one run id. Each record is
/// a row, byte for byte as the tap printed it. The metadata of a run keeps schema, key and state.
///
/// Nothing is sealed unless COMMAND exits with 0 and each line is a whole message. Until then records
/// are kept in temporary files without a name in TMPDIR. Then the streams are sealed one after the
/// other, and the last state is printed on standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  P='crm/customer_id=7/query_name={stream}/logical_date=2024-06-01'
  rawsink singer $P -- tap-crm --config crm.json > state.new
  rawsink singer $P --rename public/users=users -- tap-postgres --config db.json
  tap-crm --config crm.json | rawsink singer $P --accept-unknown-end

If a stream cannot be sealed, the others stay sealed, and no state is printed. The same command with \
the same --run-id seals the missing ones. It refuses a stream that is sealed with other rows than the \
tap prints now: leave out --run-id to land all streams in a new run.

A state may hold secrets, such as tokens. Everybody who reads the storage can read it in the \
metadata; --no-state keeps it out of there. Arguments of COMMAND are never stored.

A stream with a SCHEMA and no RECORD is sealed without rows. An unknown type of message and BATCH are \
refused (exit code 65). Of ACTIVATE_VERSION the metadata keeps the last version; of `version` and \
`time_extracted` of records the first and the last.

COMMAND gets no standard input. SIGHUP, SIGINT, SIGQUIT and SIGTERM stop it, and nothing is sealed; the exit \
code is 128 plus the signal's number. While streams are sealed, the first signal ends the command after the \
seal that is being written, and a second one at once.")]
pub(crate) struct Args {
    /// Canonical path of a partition or run, whose query contains `{stream}`
    #[arg(required_unless_present = "config")]
    partition: Option<String>,

    /// Command that prints Singer messages; streams are sealed only if it exits with 0
    #[arg(last = true)]
    command: Vec<OsString>,

    /// File with a JSON object of options, as Singer targets have; options of the command line win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Run id of all streams [default: the current time]
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,

    /// Use NAME in place of the name of a stream; repeatable
    #[arg(long, value_name = "STREAM=NAME")]
    rename: Vec<String>,

    /// Seal only if each stream has at least this many records
    #[arg(long, value_name = "N")]
    min_records: Option<u64>,

    /// Seal what standard input holds, although its end does not show that the tap succeeded
    #[arg(long)]
    accept_unknown_end: bool,

    /// Keep the state out of the metadata; it is printed only
    #[arg(long)]
    no_state: bool,

    #[command(flatten)]
    metadata: MetadataArgs,

    /// Require all recommended metadata fields before the tap starts
    #[arg(long)]
    strict: bool,
}

pub(crate) async fn run(args: Args, context: &Context<'_>) -> Result<Exit, Failure> {
    if args.command.is_empty() && std::env::args_os().next_back().is_some_and(|last| last == "--") {
        return Err(nothing_sealed(Error::invalid("no command follows --").into()));
    }
    let now = context.sink.runtime().clock.now();
    let target = target(args, context, now).map_err(nothing_sealed)?;
    let (options, run) = (&target.options, &target.run);
    let mut signals = Signals::new(NOT_STOPPED)?;
    let extracted = options.extract(context, run, &mut signals).await.map_err(unlanded)?;
    if extracted.streams.is_empty() {
        let message = "the tap printed no SCHEMA; select streams in its catalog";
        return Err(nothing_sealed(Failure::check_failed(message)));
    }
    let Extracted { streams, state } = extracted;
    let landing = Landing { context, options, run, now, state: state.as_deref() };
    landing.check(&streams, &mut signals).await?;
    landing.land(streams, &mut signals).await
}

/// Adds to a failure that nothing was sealed, while the streams are known.
fn unlanded(failure: Failure) -> Failure {
    failure.of_writing(None, "nothing was sealed", Stage::LandingStreams)
}

impl Options {
    /// Runs the tap and takes all its messages.
    async fn extract(
        &self,
        context: &Context<'_>,
        run: &RunId,
        signals: &mut Signals,
    ) -> Result<Extracted, Failure> {
        let mut source = if self.command.is_empty() {
            Source::input(None)?
        } else {
            Source::command(&self.command)?
        };
        if source.is_terminal() {
            output::note("reading messages from the terminal; press Ctrl-D to end");
        }
        allow_many_files();
        let limit = context.sink.max_row_bytes();
        let mut extraction = Extraction::new(self.names.clone(), std::env::temp_dir(), limit);
        let progress = Progress::of_rows("reading");
        let messages = source.take_rows()?;
        let taking = extraction
            .take_all(messages, &context.sink, run, |records, bytes| progress.set(records, bytes));
        let ended = wait_for_rows(taking, &mut source, signals).await;
        drop(progress);
        // A signal may have stopped the tap too, which looks like a clean end of its messages.
        let ended = match (ended, signals.received()) {
            (Ok(_), Some(signal)) => Err(interrupted(signal)),
            (Ok(Ended::CommandFailed(how)), None) => {
                Err(Failure::check_failed(format!("the tap {how}")))
            }
            (ended, _) => ended,
        };
        if let Err(failure) = ended {
            source.terminate().await;
            return Err(failure);
        }
        Ok(extraction.finish()?)
    }

    /// Returns the name of the tap's program.
    fn tap(&self) -> Option<&str> {
        Path::new(self.command.first()?).file_name()?.to_str()
    }
}

/// Raises the limit of open files: each stream has a temporary file. The tap has started with the old limit.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it, too many streams end with an error.
    let _ = setrlimit(Resource::Nofile, limit);
}
