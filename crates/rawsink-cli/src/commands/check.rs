//! `rawsink check`

use std::path::PathBuf;

use rawsink::{
    Error, Result,
    partition::row::{HazardCount, LineChecker, RefusedRow},
};
use serde::Serialize;

use super::{
    rows::RowArgs,
    write::source::{self, Source},
};
use crate::{
    context::Context,
    exit::{Exit, Failure},
    progress::{self, Progress},
};

/// Number of bytes that are read before they are checked.
const CHUNK_BYTES: usize = 512 * 1024;

/// Check rows as write does, and store nothing
///
/// The command reads all rows and reports the first line that is not a row (exit code 65), and rows that
/// common readers cannot read. Standard input and a file are allowed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink check rows.jsonl
  rawsink check rows.jsonl --rejects refused.jsonl --require-member id
  extract | rawsink check - --strict-rows")]
pub(crate) struct Args {
    /// File with the rows; `-` reads standard input
    file: PathBuf,

    #[command(flatten)]
    rows: RowArgs,

    /// Exit with code 1 if common readers cannot read a row
    #[arg(long)]
    strict_rows: bool,
}

/// The result, as JSON.
#[derive(Serialize)]
struct Checked {
    record_count: u64,
    payload_bytes: u64,
    rejected_count: u64,
    hazards: Vec<HazardCount>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let mut lines = LineChecker::new(context.sink.max_row_bytes());
    let checked = args.check(&mut lines).map_err(|error| args.in_file(error))?;
    args.rows.warn(lines.refused_count(), lines.hazards().iter());
    lines.check_refused().map_err(|error| args.in_file(error))?;
    let fails = args.strict_rows && !checked.hazards.is_empty();
    let amount = progress::amount(checked.record_count, checked.payload_bytes);
    context.output.data(&checked, format_args!("{}\t{amount}", args.file.display()))?;
    Ok(if fails { Exit::CheckFailed } else { Exit::Success })
}

impl Args {
    fn check(&self, lines: &mut LineChecker) -> Result<Checked> {
        let mut source = Source::input(Some(&self.file))?;
        if self.rows.skip_blank {
            lines.skip_blank();
        }
        for name in &self.rows.require_member {
            lines.require_member(name);
        }
        if let Some(rejects) = self.rows.open(None, source.metadata().as_ref())? {
            lines.keep_refused(self.rows.max_rejects, move |row, line| rejects.keep(row, line));
        }
        let mut rows = source.take_rows()?;
        let progress = Progress::of_rows("checking");
        let (mut buffer, mut record_count, mut payload_bytes) = (vec![0; CHUNK_BYTES], 0, 0);
        loop {
            let filled = source::read(&mut rows, &mut buffer)?;
            let accepted =
                if filled == 0 { lines.finish()? } else { lines.chunk(&buffer[..filled])? };
            record_count += accepted.count;
            payload_bytes += accepted.bytes();
            progress.set(record_count, payload_bytes);
            if filled == 0 {
                break;
            }
        }
        drop(progress);
        Ok(Checked {
            record_count,
            payload_bytes,
            rejected_count: lines.refused_count().unwrap_or_default(),
            hazards: lines.hazards().iter().collect(),
        })
    }

    /// Adds the file to the error of a refused row.
    fn in_file(&self, error: Error) -> Failure {
        let is_file = self.file.as_os_str() != "-" && RefusedRow::of(&error).is_some();
        let error = if is_file { error.on_path(self.file.display()) } else { error };
        error.into()
    }
}
