//! The records of one stream, in a temporary file without a name.
//!
//! The system deletes the file when it is closed, also after a crash. Nobody else can open it.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Seek, Write},
    path::Path,
};

use rawsink::{
    error::{Error, ErrorKind, Result, system_text},
    sink::PayloadSummary,
};
use sha2::{Digest, Sha256};

/// Length of the buffer of a stream, in bytes: many streams are open at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// The rows of a stream so far.
#[derive(Debug, Default)]
pub(super) struct Spool {
    /// A stream without records has no file.
    file: Option<BufWriter<File>>,
    sha256: Sha256,
    bytes: u64,
    rows: u64,
}

impl Spool {
    /// Appends a row and its line feed.
    pub(super) fn append(&mut self, row: &[u8], folder: &Path) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = tempfile::tempfile_in(folder).map_err(|cause| failed(&cause, folder))?;
                none.insert(BufWriter::with_capacity(BUFFER_BYTES, file))
            }
        };
        for part in [row, b"\n"] {
            file.write_all(part).map_err(|cause| failed(&cause, folder))?;
            self.sha256.update(part);
            self.bytes += part.len() as u64;
        }
        self.rows += 1;
        Ok(())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the file, at its start, and the summary of its rows.
    pub(super) fn finish(self, folder: &Path) -> Result<(Option<File>, PayloadSummary)> {
        let file = self.file.map(|file| -> io::Result<File> {
            let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            Ok(file)
        });
        let file = file.transpose().map_err(|cause| failed(&cause, folder))?;
        let mut payload_sha256 = String::with_capacity(64);
        for byte in self.sha256.finalize() {
            write!(payload_sha256, "{byte:02x}").expect("a string takes any text");
        }
        let (payload_bytes, record_count) = (self.bytes, self.rows);
        Ok((file, PayloadSummary { payload_bytes, payload_sha256, record_count }))
    }
}

fn failed(cause: &io::Error, folder: &Path) -> Error {
    let message = format!("cannot keep records in a temporary file: {}", system_text(cause));
    Error::new(ErrorKind::Unavailable, message).on_path(folder.display())
}
