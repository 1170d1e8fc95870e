//! How a command ends: with success, a failed check or a failure, and the exit code of each.

use std::{
    borrow::Cow,
    fmt, io,
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use rawsink::{Error, ErrorKind, error::system_text, layout::Place, partition::row::RefusedRow};
use rawsink_ops::singer::RefusedMessage;

use crate::{
    escape,
    hint::{Stage, hint},
    output::{self, ErrorReport, Output},
    shell::path_argument,
};

/// How long the program tries to print why it ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The work is done, and the check, if it was one, passed.
    Success,
    /// The command worked and the check failed.
    CheckFailed,
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library refused or failed.
    Library(Error),
    /// The same, at a stage with its own hint.
    At(Stage, Error),
    /// A partition does not exist, and another has a similar name.
    Misspelt {
        error: Error,
        /// The other one.
        nearest: Place,
    },
    /// The library refused or failed while rows were written.
    Write {
        error: Error,
        /// The run.
        place: Option<String>,
        /// Whether something was sealed.
        outcome: Cow<'static, str>,
        stage: Stage,
    },
    /// Errors were reported before this one, which has their most severe kind.
    Summary(ErrorKind, String),
    /// A check of the program failed.
    CheckFailed {
        /// The run or partition.
        place: Option<String>,
        message: String,
    },
    /// The reader of standard output has closed it.
    ClosedPipe,
    /// Standard output cannot be written; earlier work is kept.
    Output {
        /// The run or partition.
        place: Option<String>,
        message: String,
    },
    /// A signal ended the command.
    Signal {
        number: i32,
        /// The run or partition.
        place: Option<String>,
        message: String,
    },
}

impl Failure {
    pub(crate) fn internal(cause: &dyn fmt::Display) -> Self {
        Self::Library(Error::new(ErrorKind::Internal, format!("cannot start: {cause}")))
    }

    pub(crate) fn check_failed(message: impl Into<String>) -> Self {
        Self::CheckFailed { place: None, message: message.into() }
    }

    /// Adds the run to a failure of a command that writes, and whether something was sealed.
    pub(crate) fn of_writing(
        self,
        place: Option<String>,
        outcome: impl Into<Cow<'static, str>>,
        stage: Stage,
    ) -> Self {
        let outcome = outcome.into();
        let with_outcome = |message: String| format!("{message}; {outcome}");
        match self {
            Self::CheckFailed { message, .. } => {
                Self::CheckFailed { place, message: with_outcome(message) }
            }
            Self::Output { message, .. } => Self::Output { place, message: with_outcome(message) },
            Self::Signal { number, message, .. } => {
                Self::Signal { number, place, message: with_outcome(message) }
            }
            Self::Library(error) => Self::Write { error, place, outcome, stage },
            failure => failure,
        }
    }

    pub(crate) fn signal(number: i32, message: impl Into<String>) -> Self {
        Self::Signal { number, place: None, message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

/// An error of writing to standard output.
impl From<io::Error> for Failure {
    fn from(cause: io::Error) -> Self {
        if cause.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        let message = format!("cannot write to standard output: {}", system_text(&cause));
        Self::Output { place: None, message }
    }
}

/// The errors of a command that continues after each and ends with the most severe.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    count: u64,
    most_severe: Option<ErrorKind>,
    last_hint: Option<String>,
}

impl Errors {
    /// Reports an error; the command continues. A hint is not repeated.
    pub(crate) fn report(&mut self, error: &Error, output: &Output) {
        self.report_at(Stage::NotWriting, error, output);
    }

    /// As [`report`](Self::report), with the hint for a stage.
    pub(crate) fn report_at(&mut self, stage: Stage, error: &Error, output: &Output) {
        self.report_with(error, hint(error, error.place(), stage), output);
    }

    /// As [`report`](Self::report), with the command's own hint.
    pub(crate) fn report_with(&mut self, error: &Error, hint: Option<String>, output: &Output) {
        let is_new = output.is_json() || hint != self.last_hint;
        let mut report = ErrorReport::new(error);
        if is_new {
            report = report.hint(hint.clone());
        }
        output.error(&report);
        self.last_hint = hint;
        self.count += 1;
        let kinds = self.most_severe.into_iter().chain([error.kind()]);
        self.most_severe = kinds.max_by_key(|kind| severity(*kind));
    }

    /// Returns whether no error was reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Ends the command: with `exit` if there were no errors, else with the most severe kind and their number.
    pub(crate) fn finish(self, what: &str, exit: Exit) -> Result<Exit, Failure> {
        let Some(kind) = self.most_severe else { return Ok(exit) };
        let errors = crate::progress::count(self.count, "error");
        Err(Failure::Summary(kind, format!("{what}: {errors}, see above")))
    }
}

/// Reports how a command ended and returns its exit code.
pub(crate) fn report(outcome: Result<Exit, Failure>, output: &Output) -> ExitCode {
    let (report, code) = described(outcome);
    if let Some(report) = report {
        output.error(&report);
    }
    ExitCode::from(code)
}

/// Reports a failure and ends the program at once. Its threads are not waited for.
#[expect(
    clippy::disallowed_methods,
    reason = "the program must end now; an attempt is left as after a kill"
)]
pub(crate) fn now(failure: Failure, output: &Output) -> ! {
    let (report, code) = described(Err(failure));
    print_last(report, output);
    std::process::exit(code.into())
}

/// Prints an error, but does not wait long for another thread that blocks standard error.
fn print_last(report: Option<ErrorReport>, output: &Output) {
    let Some(report) = report else { return };
    let words = Arc::new((report, output.clone()));
    let (printed, is_printed) = mpsc::channel();
    let print = {
        let words = words.clone();
        move || {
            words.1.error(&words.0);
            let _ = printed.send(());
        }
    };
    match thread::Builder::new().spawn(print) {
        Ok(_) => drop(is_printed.recv_timeout(LAST_WORDS)),
        Err(_) => words.1.error(&words.0),
    }
}

/// Reports that a signal ends the program.
pub(crate) fn print_signal(number: i32, output: &Output) {
    print_last(described(Err(Failure::signal(number, "interrupted by a signal"))).0, output);
}

/// Returns the error to print, and the exit code.
fn described(outcome: Result<Exit, Failure>) -> (Option<ErrorReport>, u8) {
    let (report, code) = match outcome {
        Ok(Exit::Success) | Err(Failure::ClosedPipe) => return (None, 0),
        Ok(Exit::CheckFailed) => return (None, 1),
        Err(Failure::CheckFailed { place, message }) => {
            (ErrorReport::plain(None, place.as_deref(), &message), 1)
        }
        Err(Failure::Output { place, message }) => {
            let kind = ErrorKind::Unavailable;
            (ErrorReport::plain(Some(kind), place.as_deref(), &message), code(kind))
        }
        Err(Failure::Signal { number, place, message }) => {
            let code = 128 + u8::try_from(number).unwrap_or(0);
            (ErrorReport::plain(None, place.as_deref(), &message), code)
        }
        Err(Failure::Summary(kind, message)) => {
            (ErrorReport::plain(Some(kind), None, &message), code(kind))
        }
        Err(Failure::Library(error)) => {
            let hint = hint(&error, error.place(), Stage::NotWriting);
            (ErrorReport::new(&error).hint(hint), code_of(&error))
        }
        Err(Failure::At(stage, error)) => {
            let hint = hint(&error, error.place(), stage);
            (ErrorReport::new(&error).hint(hint), code_of(&error))
        }
        Err(Failure::Misspelt { error, nearest }) => {
            let hint = format!("did you mean {}?", path_argument(&nearest));
            (ErrorReport::new(&error).hint(Some(hint)), code_of(&error))
        }
        Err(Failure::Write { error, place, outcome, stage }) => {
            let place = place.as_deref().or(error.place());
            let report = ErrorReport::of_write(&error, place, &outcome);
            (report.hint(hint(&error, place, stage)), code_of(&error))
        }
    };
    (Some(report), code)
}

/// Prints help, or reports a malformed command line, and returns the exit code.
///
/// The command line could not be parsed, so `--json` is looked up among its words before `--`.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    let is_json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if error.use_stderr() && is_json {
        let text = error.to_string();
        let message = text.split("\n\n").next().unwrap_or_default();
        let words: Vec<&str> = message.split_whitespace().collect();
        let message = words.join(" ");
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        let kind = ErrorKind::Invalid;
        Output::new(true, 0).error(&ErrorReport::plain(Some(kind), None, message));
    } else {
        let text = error.render().to_string();
        match escape::lines(&text) {
            // A closed pipe ends the help early.
            Cow::Borrowed(_) => drop(error.print()),
            // Arguments may come from a file. Without colours nothing else needs escapes.
            Cow::Owned(safe) => output::note(safe.trim_end()),
        }
    }
    ExitCode::from(if error.use_stderr() { code(ErrorKind::Invalid) } else { 0 })
}

/// Ranks damaged data first, then errors that need a change, then temporary ones.
fn severity(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Corrupt => 7,
        ErrorKind::Denied | ErrorKind::Unsupported => 5,
        ErrorKind::Invalid => 4,
        ErrorKind::Unknown => 3,
        ErrorKind::Unavailable => 2,
        ErrorKind::NotFound
        | ErrorKind::NotSealed
        | ErrorKind::AlreadySealed
        | ErrorKind::Conflict
        | ErrorKind::Closed => 1,
        _ => 6,
    }
}

/// Returns the exit code of an error. A refused line has its own: the data is wrong, not the command.
fn code_of(error: &Error) -> u8 {
    let is_of_data = RefusedRow::of(error).is_some() || RefusedMessage::of(error).is_some();
    if is_of_data { 65 } else { code(error.kind()) }
}

fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid => 2,
        ErrorKind::NotFound
        | ErrorKind::NotSealed
        | ErrorKind::AlreadySealed
        | ErrorKind::Conflict
        | ErrorKind::Closed => 3,
        ErrorKind::Denied | ErrorKind::Unsupported => 4,
        ErrorKind::Corrupt => 5,
        kind if kind.is_retryable() => 75,
        _ => 70,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_continues_after_errors_ends_with_the_most_severe() {
        use ErrorKind::{Corrupt, Denied, Internal, Invalid, NotSealed, Unavailable};
        let output = Output::new(false, 0);
        let order = [NotSealed, Unavailable, Invalid, Denied, Internal, Corrupt];
        for pair in order.windows(2) {
            for kinds in [[pair[0], pair[1]], [pair[1], pair[0]]] {
                let mut errors = Errors::default();
                for kind in kinds {
                    errors.report(&Error::new(kind, "no"), &output);
                }
                let Err(Failure::Summary(kind, message)) = errors.finish("it", Exit::Success)
                else {
                    panic!("{kinds:?}")
                };
                assert_eq!((kind, message.as_str()), (pair[1], "it: 2 errors, see above"));
            }
        }
        let exit = Errors::default().finish("it", Exit::CheckFailed);
        assert!(matches!(exit, Ok(Exit::CheckFailed)));
    }
}
