//! Commands for the user to run: with the file of settings of this command.

use std::{
    borrow::Cow,
    path::{self, Path},
    sync::OnceLock,
};

use crate::shell::quoted;

/// The options that select the same settings.
static OPTIONS: OnceLock<String> = OnceLock::new();

/// Keeps the FILE of `--env`.
pub(crate) fn keep_settings(file: &Path) {
    let file = path::absolute(file).unwrap_or_else(|_| file.to_owned());
    // Set once, by `main`.
    let _ = OPTIONS.set(format!("--env {} ", quoted(&file.to_string_lossy())));
}

/// Adds `--env FILE` to each command of this program in a text: at its beginning, and after a quote.
pub(crate) fn with_settings(text: &str) -> Cow<'_, str> {
    match OPTIONS.get() {
        Some(options) => Cow::Owned(with(text, options)),
        None => Cow::Borrowed(text),
    }
}

fn with(text: &str, options: &str) -> String {
    const PROGRAM: &str = "rawsink ";
    let mut changed = String::new();
    let mut rest = text;
    while let Some(found) = rest.find(PROGRAM) {
        let (before, after) = rest.split_at(found + PROGRAM.len());
        changed.push_str(before);
        let is_command = matches!(&before[..found], "" | "# ") && changed.len() == before.len()
            || before[..found].ends_with('"');
        if is_command && !after.starts_with("--env ") {
            changed.push_str(options);
        }
        rest = after;
    }
    changed.push_str(rest);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_gets_the_options_and_nothing_else() {
        let options = "--env a.env ";
        for (text, expected) in [
            ("rawsink write p -- rawsink read q", "rawsink --env a.env write p -- rawsink read q"),
            ("# rawsink write p", "# rawsink --env a.env write p"),
            (
                r#"run "rawsink config", then "rawsink doctor""#,
                r#"run "rawsink --env a.env config", then "rawsink --env a.env doctor""#,
            ),
            (r#"run "rawsink --env b.env doctor""#, r#"run "rawsink --env b.env doctor""#),
            ("the rawsink program", "the rawsink program"),
        ] {
            assert_eq!(with(text, options), expected);
        }
    }
}
