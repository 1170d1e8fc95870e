//! The text of `error_message`: which run a failure is about, and the mark of other software.

use super::Record;
use crate::partition::RunId;

/// Returns whether a record's `error_message` is about this run.
pub(super) fn is_reason_of(message: &str, run: &RunId) -> bool {
    let reason = mark(message).map_or(message, |mark| message[mark.len()..].trim_start());
    reason.starts_with(&about(run))
}

/// Returns the prefix of the reason of a failure, which names the run.
pub(super) fn about(run: &RunId) -> String {
    format!("run {run}: ")
}

/// Returns the word in brackets at the start of a message, with its brackets.
fn mark(message: &str) -> Option<&str> {
    let (word, _) = message.strip_prefix('[')?.split_once(']')?;
    let is_word = |one: char| one.is_ascii_alphanumeric() || matches!(one, '_' | '-');
    (!word.is_empty() && word.chars().all(is_word)).then(|| &message[..word.len() + 2])
}

impl Record {
    /// Returns the mark that other software put at the start of `error_message`: a word in brackets,
    /// such as `[terminal]`.
    ///
    /// It survives a failure that we record, and a success clears it.
    pub fn mark(&self) -> Option<&str> {
        self.error_message.as_deref().and_then(mark)
    }
}
