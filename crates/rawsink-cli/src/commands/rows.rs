//! How rows are checked: the options of `write` and `check`, and what they report.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rawsink::{
    Error, ErrorKind, Result,
    error::system_text,
    partition::row::{HazardCount, RefusedRow},
};
use serde::Serialize;

use crate::output;

/// Options of the checks of rows.
#[derive(Debug, clap::Args)]
pub(crate) struct RowArgs {
    /// Append refused lines to FILE, as JSON with their number and the reason, and continue
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,

    /// Accept up to N refused lines
    #[arg(long, value_name = "N", default_value_t = 0, requires = "rejects")]
    pub(crate) max_rejects: u64,

    /// Skip blank lines
    #[arg(long)]
    pub(crate) skip_blank: bool,

    /// Refuse rows that lack the member NAME; repeatable
    #[arg(long, value_name = "NAME")]
    pub(crate) require_member: Vec<String>,
}

impl RowArgs {
    /// Opens the file of refused lines, if one is wanted. `run` is the canonical path of the run, `input` the
    /// file of the rows.
    pub(crate) fn open(
        &self,
        run: Option<String>,
        input: Option<&fs::Metadata>,
    ) -> Result<Option<Rejects>> {
        let Some(path) = &self.rejects else { return Ok(None) };
        let rejects = Rejects::open(path, run)?;
        let id = |file: &fs::Metadata| (file.dev(), file.ino());
        let is_input = input.is_some_and(|input| rejects.id().is_ok_and(|own| own == id(input)));
        if is_input {
            let message = "the file of refused lines is the file of the rows";
            return Err(Error::invalid(message).on_path(path.display()));
        }
        Ok(Some(rejects))
    }

    /// Warns of refused lines and of rows that common readers cannot read.
    pub(crate) fn warn(
        &self,
        refused: Option<u64>,
        hazards: impl IntoIterator<Item = HazardCount>,
    ) {
        if let (Some(refused @ 1..), Some(file)) = (refused, &self.rejects) {
            let lines = if refused == 1 { "line was" } else { "lines were" };
            output::warning(format!("{refused} {lines} refused, see {}", file.display()));
        }
        warn_of_hazards(hazards);
    }
}

/// A refused line in the file of refused lines.
#[derive(Serialize)]
struct Rejected<'a> {
    /// Canonical path of the run; absent if the rows are only checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    byte: Option<usize>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// The line, if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// The line in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// The file of refused lines. A line is appended by one write, so several commands may share the file.
#[derive(Debug, Clone)]
pub(crate) struct Rejects {
    file: Arc<File>,
    path: PathBuf,
    run: Option<String>,
}

impl Rejects {
    /// Opens the file, or creates it.
    fn open(path: &Path, run: Option<String>) -> Result<Self> {
        // Like payloads, refused rows are not for all users.
        let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
        let file = opened.map_err(|cause| {
            let message = format!("cannot open the file of refused lines: {}", system_text(&cause));
            Error::invalid(message).on_path(path.display())
        })?;
        Ok(Self { file: Arc::new(file), path: path.to_owned(), run })
    }

    fn id(&self) -> io::Result<(u64, u64)> {
        self.file.metadata().map(|file| (file.dev(), file.ino()))
    }

    /// Appends a refused line.
    pub(crate) fn keep(&self, row: &RefusedRow, line: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(line).ok();
        let rejected = Rejected {
            path: self.run.as_deref(),
            line: row.line,
            byte: row.fault.byte(),
            reason: row.fault.to_string(),
            cause: row.cause,
            text,
            base64: text.is_none().then(|| STANDARD.encode(line)),
        };
        let mut record = serde_json::to_vec(&rejected).expect("texts and numbers always serialise");
        record.push(b'\n');
        (&*self.file).write_all(&record).map_err(|cause| self.failed(&cause))
    }

    /// Makes all lines durable: before a run is sealed without them.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|cause| self.failed(&cause))
    }

    fn failed(&self, cause: &io::Error) -> Error {
        let message = format!("cannot keep refused lines: {}", system_text(cause));
        Error::new(ErrorKind::Unavailable, message).on_path(self.path.display())
    }
}

/// Warns of rows that common readers cannot read.
pub(crate) fn warn_of_hazards(hazards: impl IntoIterator<Item = HazardCount>) {
    let mut has_hazards = false;
    for hazard in hazards {
        output::warning(format_args!("{hazard}"));
        has_hazards = true;
    }
    if has_hazards {
        output::hint(
            "some readers cannot read such rows, or read them differently; see docs/rows-and-metadata.md",
        );
    }
}
