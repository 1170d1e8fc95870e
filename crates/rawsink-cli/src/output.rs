//! All printing: data to standard output, everything else to standard error.

use std::{
    fmt,
    fs::File,
    io::{self, IsTerminal, Write},
};

use rawsink::ErrorKind;
use serde::Serialize;

/// Where a command prints, and whether data is JSON.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Tells whether data is to be printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one record of data: as one line of JSON, or as its text.
    pub(crate) fn data<T: Serialize>(&self, record: &T, text: impl fmt::Display) -> io::Result<()> {
        if self.json { self::record(record) } else { self::text(format!("{text}\n").as_bytes()) }
    }

    /// Prints the one record of a command whose exit code is its answer, which stays the same where
    /// nobody reads the record.
    pub(crate) fn answer<T: Serialize>(
        &self,
        record: &T,
        text: impl fmt::Display,
    ) -> io::Result<()> {
        match self.data(record, text) {
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            outcome => outcome,
        }
    }
}

/// Prints one record of data as one line of JSON.
pub(crate) fn record<T: Serialize>(record: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    text(&line)
}

/// Prints text as it is.
pub(crate) fn text(text: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(text)
}

/// Returns standard output for bytes in bulk, without a buffer.
pub(crate) fn bulk() -> io::Result<File> {
    io::stdout().lock().flush()?;
    Ok(File::from(rustix::stdio::stdout().try_clone_to_owned()?))
}

/// Tells what happens, for a person.
pub(crate) fn note(text: impl fmt::Display) {
    say(format_args!("{text}"));
}

/// Warns of what may be a mistake.
pub(crate) fn warning(text: impl fmt::Display) {
    say(format_args!("warning: {text}"));
}

/// Tells of a fault that one of many has; the command goes on.
pub(crate) fn fault(text: impl fmt::Display) {
    say(format_args!("fault: {text}"));
}

/// Says what went wrong.
pub(crate) fn error(kind: Option<ErrorKind>, text: &str) {
    match kind {
        Some(kind) => say(format_args!("error[{kind}]: {text}")),
        None => say(format_args!("error: {text}")),
    }
}

/// Says what to do about it.
pub(crate) fn hint(text: &str) {
    say(format_args!("hint: {text}"));
}

/// Asks a person; `None` where nobody can be asked. Anything but yes is no.
pub(crate) fn ask(question: &str) -> io::Result<Option<bool>> {
    if !io::stdin().is_terminal() || !is_watched() {
        return Ok(None);
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")))
}

/// Tells whether a person sees standard error as it comes.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

fn say(text: fmt::Arguments<'_>) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
