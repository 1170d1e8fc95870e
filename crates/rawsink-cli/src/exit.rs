//! How a command ends: its answer, its failure, and the exit code of each.

use std::{fmt, io, process::ExitCode};

use rawsink::{Error, ErrorKind, error::system_text};

use crate::output;

/// What a command that worked answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done, or yes.
    Yes,
    /// The command worked and its answer is no.
    No,
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library refused or failed.
    Library(Error),
    /// The answer is no, for a reason that the library does not know.
    Refused(String),
    /// Nobody reads standard output any more.
    ClosedPipe,
    /// Standard output cannot be written; what the command did before stays done.
    Output(String),
    /// A signal ended the command; its number, and what became of the work.
    Signal(i32, String),
}

impl Failure {
    pub(crate) fn internal(cause: &dyn fmt::Display) -> Self {
        Self::Library(Error::new(ErrorKind::Internal, format!("the program cannot start: {cause}")))
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
        Self::Output(format!("cannot write to standard output: {}", system_text(&cause)))
    }
}

/// The errors of a command that goes on after them and ends with the gravest.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    count: u64,
    gravest: Option<ErrorKind>,
}

impl Faults {
    /// Tells of an error; the command goes on.
    pub(crate) fn tell(&mut self, error: &Error) {
        output::error(Some(error.kind()), &error.to_string());
        self.count += 1;
        self.gravest = gravest(self.gravest.into_iter().chain([error.kind()]));
    }

    /// Ends the command: an error of the gravest kind that says how many there were, if any.
    pub(crate) fn end(self, what: &str) -> Result<Answer, Failure> {
        let Some(kind) = self.gravest else { return Ok(Answer::Yes) };
        let errors =
            if self.count == 1 { "1 error".to_owned() } else { format!("{} errors", self.count) };
        Err(Error::new(kind, format!("{what}: {errors}, see above")).into())
    }
}

/// Says how a command ended and returns its exit code.
pub(crate) fn report(outcome: Result<Answer, Failure>) -> ExitCode {
    ExitCode::from(match outcome {
        Ok(Answer::Yes) | Err(Failure::ClosedPipe) => 0,
        Ok(Answer::No) => 1,
        Err(Failure::Refused(message)) => {
            output::error(None, &message);
            1
        }
        Err(Failure::Output(message)) => {
            output::error(Some(ErrorKind::Unavailable), &message);
            code(ErrorKind::Unavailable)
        }
        Err(Failure::Signal(number, message)) => {
            output::error(None, &message);
            128 + u8::try_from(number).unwrap_or(0)
        }
        Err(Failure::Library(error)) => {
            output::error(Some(error.kind()), &error.to_string());
            if let Some(hint) = hint(error.kind()) {
                output::hint(hint);
            }
            code(error.kind())
        }
    })
}

/// Returns the kind of error of many that a person has to know first.
pub(crate) fn gravest(kinds: impl IntoIterator<Item = ErrorKind>) -> Option<ErrorKind> {
    kinds.into_iter().max_by_key(|kind| gravity(*kind))
}

/// Data first, then what somebody has to change, then what passes by itself.
fn gravity(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Corrupt => 7,
        ErrorKind::Invalid => 4,
        ErrorKind::Denied | ErrorKind::Unsupported => 5,
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
        ErrorKind::Unavailable | ErrorKind::Unknown => 75,
        _ => 70,
    }
}

fn hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::AlreadySealed => {
            Some("a sealed run never changes; land the data again under a new --run-id")
        }
        ErrorKind::NotSealed => {
            Some("its writer may still be at work; if not, write the same run again")
        }
        ErrorKind::Conflict => Some("wait for the other writer, or look with `rawsink show`"),
        ErrorKind::Denied => Some(
            "fix the permissions of the files, or the key and its policy; `rawsink config` shows what is used",
        ),
        ErrorKind::Corrupt => Some("do not use this partition before a person has looked at it"),
        ErrorKind::Unavailable => Some("do the same again later; a writer with the same run id"),
        ErrorKind::Unknown => {
            Some("look with `rawsink show` or `rawsink state show`, or do the same again")
        }
        ErrorKind::Internal => Some("this is a bug; please report it with the command line"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_goes_on_ends_with_the_gravest_error() {
        use ErrorKind::{Corrupt, Denied, Internal, Invalid, NotSealed, Unavailable};
        let order = [NotSealed, Unavailable, Invalid, Denied, Internal, Corrupt];
        for pair in order.windows(2) {
            for kinds in [[pair[0], pair[1]], [pair[1], pair[0]]] {
                let mut faults = Faults::default();
                for kind in kinds {
                    faults.tell(&Error::new(kind, "no"));
                }
                let Err(Failure::Library(error)) = faults.end("it") else { panic!("{kinds:?}") };
                assert_eq!((error.kind(), error.message()), (pair[1], "it: 2 errors, see above"));
            }
        }
        assert!(matches!(Faults::default().end("it"), Ok(Answer::Yes)));
    }
}
