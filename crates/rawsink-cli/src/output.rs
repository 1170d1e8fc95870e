//! All printing: data to standard output, everything else to standard error.

use std::{
    fmt,
    fs::File,
    io::{self, IsTerminal, Write},
    sync::LazyLock,
};

use rawsink::{Error, ErrorKind, layout::Place};
use serde::Serialize;

use crate::{again, escape};

/// How a command prints: data and errors as JSON or as text, and how much is logged.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    json: bool,
    verbose: u8,
}

impl Output {
    pub(crate) fn new(json: bool, verbose: u8) -> Self {
        Self { json, verbose }
    }

    /// Returns how often `-v` was given.
    pub(crate) fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Reports whether data and errors are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one record of data: as one line of JSON, or as its text.
    pub(crate) fn data<T: Serialize>(&self, record: &T, text: impl fmt::Display) -> io::Result<()> {
        if self.json {
            return self::record(record);
        }
        line(&text)
    }

    /// Prints an error: as one JSON object, or as a line of text and its hint.
    pub(crate) fn error(&self, report: &ErrorReport) {
        if self.json {
            // Texts and nulls always serialise.
            let object = serde_json::to_string(report).unwrap_or_default();
            return print_to_stderr(format_args!("{}", escape::json(&object)));
        }
        match report.kind {
            Some(kind) => labelled(Label::Error, &format!("error[{kind}]:"), &report.text),
            None => labelled(Label::Error, "error:", &report.text),
        }
        if let Some(hint) = &report.hint {
            labelled(Label::Hint, "hint:", hint);
        }
    }
}

/// An error as it is printed. Members that are not known are `null` in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorReport {
    kind: Option<&'static str>,
    message: String,
    /// Canonical path of the logical partition.
    partition: Option<String>,
    run_id: Option<String>,
    path: Option<String>,
    hint: Option<String>,
    /// The line for a person, which holds the place.
    #[serde(skip)]
    text: String,
}

impl ErrorReport {
    /// Reports an error of the library.
    pub(crate) fn new(error: &Error) -> Self {
        Self::about(error, error.place(), "")
    }

    /// Reports an error of writing a run; `outcome` says whether something was sealed.
    pub(crate) fn of_write(error: &Error, place: Option<&str>, outcome: &str) -> Self {
        Self::about(error, place, &format!("; {outcome}"))
    }

    fn about(error: &Error, place: Option<&str>, ending: &str) -> Self {
        let mut message = error.message().to_owned();
        if let Some(writer) = error.writer() {
            message = format!("{message} (writer {writer})");
        }
        let kind = Some(error.kind());
        let mut report = Self::plain(kind, place, &format!("{message}{ending}"));
        if let Some(path) = error.path() {
            report.text = Self::plain(kind, place, &format!("{message} ({path}){ending}")).text;
            report.path = Some(path.to_owned());
        }
        report
    }

    /// Reports a message about a partition or run, given by its canonical path.
    pub(crate) fn plain(kind: Option<ErrorKind>, place: Option<&str>, message: &str) -> Self {
        let text = place.map_or_else(|| message.to_owned(), |place| format!("{place}: {message}"));
        let parsed = place.and_then(|place| Place::parse(place, "").ok());
        let partition = parsed.as_ref().and_then(Place::partition);
        // No member exists for a place above the partitions.
        let message = if partition.is_some() { message.to_owned() } else { text.clone() };
        Self {
            kind: kind.map(ErrorKind::name),
            message,
            partition: partition.map(|key| Place::of_partition(&key).to_string()),
            run_id: parsed.and_then(|place| place.run()).map(|run| run.to_string()),
            path: None,
            hint: None,
            text,
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.map(|hint| again::with_settings(&hint).into_owned());
        self
    }
}

/// Ignores a closed pipe: the work and the exit code do not depend on a reader.
pub(crate) fn if_read(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Prints one record of data as one line of JSON.
pub(crate) fn record<T: Serialize>(record: &T) -> io::Result<()> {
    let mut line = escape::json(&serde_json::to_string(record)?).into_owned();
    line.push('\n');
    text(line.as_bytes())
}

/// Prints a line of data, or several, for a person. A pipe gets names as they are.
pub(crate) fn line(text: impl fmt::Display) -> io::Result<()> {
    let line = format!("{text}\n");
    self::text(if *STDOUT_IS_TERMINAL { escape::lines(&line) } else { line.into() }.as_bytes())
}

/// Prints text unchanged.
pub(crate) fn text(text: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(text)
}

/// Returns standard output without a buffer, for payloads.
pub(crate) fn unbuffered() -> io::Result<File> {
    io::stdout().lock().flush()?;
    Ok(File::from(rustix::stdio::stdout().try_clone_to_owned()?))
}

/// Prints what happens, for a person.
pub(crate) fn note(text: impl fmt::Display) {
    print_to_stderr(format_args!("{}", escape::lines(&text.to_string())));
}

/// Warns of a likely mistake.
pub(crate) fn warning(text: impl fmt::Display) {
    labelled(Label::Warning, "warning:", &text);
}

/// Prints the command that helps after the line before it.
pub(crate) fn hint(text: impl fmt::Display) {
    labelled(Label::Hint, "hint:", &again::with_settings(&text.to_string()));
}

/// Prints why a run failed its validation.
pub(crate) fn validation_fault(text: impl fmt::Display) {
    labelled(Label::Error, "fault:", &text);
}

/// Prints an error that the library logs; the command continues or reports its own error.
pub(crate) fn logged_error(text: impl fmt::Display) {
    labelled(Label::Error, "error:", &text);
}

/// Asks a yes-or-no question on the terminal; `None` without a terminal. Only `y` and `yes` agree.
pub(crate) fn confirm(question: &str) -> io::Result<Option<bool>> {
    if !io::stdin().is_terminal() || !stderr_is_terminal() {
        return Ok(None);
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{} [y/N] ", escape::lines(question))?;
    stderr.flush()?;
    // A signal that ends the program here prints its own line.
    drop(stderr);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")))
}

/// Reports whether standard error is a terminal.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// What a label announces; it decides the colour.
#[derive(Debug, Clone, Copy)]
enum Label {
    Error,
    Warning,
    Hint,
}

impl Label {
    /// Returns the escape sequence of the colour.
    fn colour(self) -> &'static str {
        match self {
            Self::Error => "\x1b[1;31m",
            Self::Warning => "\x1b[1;33m",
            Self::Hint => "\x1b[1;36m",
        }
    }
}

/// Whether data is printed for a person.
static STDOUT_IS_TERMINAL: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());

/// Whether labels are coloured.
static COLOURED: LazyLock<bool> = LazyLock::new(|| stderr_is_terminal() && allows_colours());

/// Returns whether a terminal may show colours: without `NO_COLOR` and with `TERM` other than `dumb`.
#[expect(clippy::disallowed_methods, reason = "these two variables are no settings of the library")]
pub(crate) fn allows_colours() -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !no_colour && !dumb
}

fn labelled(label: Label, word: &str, text: &dyn fmt::Display) {
    let text = text.to_string();
    let text = escape::paragraph(&text);
    if *COLOURED {
        print_to_stderr(format_args!("{}{word}\x1b[0m {text}", label.colour()));
    } else {
        print_to_stderr(format_args!("{word} {text}"));
    }
}

fn print_to_stderr(text: fmt::Arguments<'_>) {
    // A closed standard error is ignored: there is no other place to report it.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
