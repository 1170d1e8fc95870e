//! The options of `rawsink singer`, from the command line and a file.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rawsink::{Error, Result, RunId, error::system_text};
use rawsink_ops::singer::StreamNames;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Args, UNKNOWN_END};
use crate::{
    commands::write::{metadata::MetadataArgs, warn},
    context::Context,
    exit::Failure,
    partition,
};

/// Length of the longest file of options, in bytes.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// Options of a file. Names are those of the command line.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConfigFile {
    partition: Option<String>,
    run_id: Option<String>,
    rename: BTreeMap<String, String>,
    min_records: Option<u64>,
    accept_unknown_end: bool,
    no_state: bool,
    strict: bool,
    metadata: Option<PathBuf>,
    /// Values of metadata fields.
    set: BTreeMap<String, Box<RawValue>>,
}

/// What a run of a tap needs.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) names: StreamNames,
    pub(super) command: Vec<OsString>,
    pub(super) min_records: u64,
    pub(super) keeps_state: bool,
    pub(super) metadata: MetadataArgs,
}

/// Where the streams land, and how.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) options: Options,
    pub(super) run: RunId,
}

/// Checks everything that can be checked before the tap starts.
pub(super) fn target(args: Args, context: &Context<'_>, now: Timestamp) -> Result<Target, Failure> {
    let args = match &args.config {
        Some(path) => ConfigFile::read(path)?.below(args),
        None => args,
    };
    if args.command.is_empty() && !args.accept_unknown_end {
        return Err(Error::invalid(UNKNOWN_END).into());
    }
    let Some(path) = &args.partition else {
        return Err(
            Error::invalid("neither the command line nor the file names a partition").into()
        );
    };
    let place = partition::parse(path, context)?;
    let names = StreamNames::new(partition::partition_of(&place)?, renamed(&args.rename)?)?;
    let run = partition::run_of(&place, args.run_id.as_deref(), now)?;
    context.sink.check_run(&run)?;

    // The names of the streams are not known yet.
    let gaps = args.metadata.prepare(names.template(), &run, now)?.gaps()?;
    if args.strict && !gaps.is_empty() {
        return Err(Error::invalid(format!("metadata: {}", gaps.join("; "))).into());
    }
    warn(names.template(), &run, &gaps);
    let options = Options {
        names,
        command: args.command,
        min_records: args.min_records.unwrap_or_default(),
        keeps_state: !args.no_state,
        metadata: args.metadata,
    };
    Ok(Target { options, run })
}

impl ConfigFile {
    fn read(path: &Path) -> Result<Self> {
        let wrong = |message: String| {
            Error::invalid(format!("cannot read the options: {message}")).on_path(path.display())
        };
        let mut text = Vec::new();
        let file = File::open(path).map_err(|cause| wrong(system_text(&cause)))?;
        let read = file.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut text);
        read.map_err(|cause| wrong(system_text(&cause)))?;
        if text.len() as u64 > MAX_CONFIG_BYTES {
            return Err(wrong(format!("longer than {MAX_CONFIG_BYTES} bytes")));
        }
        serde_json::from_slice(&text).map_err(|fault| wrong(fault.to_string()))
    }

    /// Returns the options of the command line, and those of this file where it has none.
    fn below(self, mut args: Args) -> Args {
        let renamed = self.rename.into_iter().map(|(stream, name)| format!("{stream}={name}"));
        let set = self.set.into_iter().map(|(name, value)| format!("{name}:={}", value.get()));
        // As an empty variable: Meltano replaces variables that are not set by nothing.
        let given = |text: &String| !text.is_empty();
        args.partition = args.partition.or(self.partition.filter(given));
        args.run_id = args.run_id.or(self.run_id.filter(given));
        args.min_records = args.min_records.or(self.min_records);
        // The last one has effect.
        args.rename = renamed.chain(args.rename).collect();
        args.metadata.set = set.chain(args.metadata.set).collect();
        args.metadata.metadata = args.metadata.metadata.or(self.metadata);
        args.accept_unknown_end |= self.accept_unknown_end;
        args.no_state |= self.no_state;
        args.strict |= self.strict;
        args
    }
}

/// Parses names in place of those of streams.
fn renamed(words: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |word: &String| {
        let pair = word.rsplit_once('=').filter(|(stream, _)| !stream.is_empty());
        let (stream, name) =
            pair.ok_or_else(|| Error::invalid(format!("--rename {word:?} is not STREAM=NAME")))?;
        Ok((stream.to_owned(), name.to_owned()))
    };
    words.iter().map(pair).collect()
}
