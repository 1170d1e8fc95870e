//! A file of settings never shows a secret, and a value that is quoted as for `sh` is read exactly.
//!
//! The input is the file, and after a zero byte what surrounds a secret in its line.

#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use rawsink::{ErrorKind, env::Loaded};
use rawsink_fuzz::{CANARY, names_a_device};
use tempfile::TempDir;

/// In memory, where possible: each input writes the file several times.
static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap());
static FILE: LazyLock<PathBuf> = LazyLock::new(|| FOLDER.path().join("settings"));

/// The messages of the parser, after the number of the line. None has a value.
const MESSAGES: [&str; 5] = [
    "expected NAME=VALUE",
    "invalid variable name",
    "the value ends with a backslash",
    "the value has a space and no quotes",
    "the value has an unclosed quote",
];

fuzz_target!(|text: &str| {
    let (file, around) = text.split_once('\0').unwrap_or((text, "'"));
    if names_a_device(text) || text.contains(CANARY) || around.contains('\n') {
        return;
    }
    let (before, after) = around.split_at(around.chars().next().map_or(0, char::len_utf8));
    shows_no_secret(&format!("{file}\nRAW_SINK_SECRET_ACCESS_KEY={before}{CANARY}{after}"));
    is_read_exactly(around.trim_end_matches('\r'));
});

fn load(text: &str) -> rawsink::Result<Loaded> {
    fs::write(&*FILE, text).unwrap();
    Loaded::from_file(&FILE)
}

fn shows_no_secret(text: &str) {
    match load(text) {
        Ok(loaded) => {
            assert!(!format!("{loaded:?}").contains(CANARY));
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
            if let Some((number, what)) =
                error.message().strip_prefix("line ").and_then(|rest| rest.split_once(": "))
            {
                assert!(number.parse::<usize>().is_ok_and(|it| it <= text.lines().count()));
                assert!(MESSAGES.contains(&what), "{what}");
            }
        }
    }
}

/// `RAW_SINK_LOG` is any text.
fn is_read_exactly(value: &str) {
    if value.is_empty() {
        return;
    }
    let single = value.replace('\'', "'\\''");
    let double = value.replace('\\', "\\\\").replace('"', "\\\"");
    let escaped: String = value.chars().flat_map(|c| ['\\', c]).collect();
    for quoted in [format!("'{single}'"), format!("\"{double}\""), escaped] {
        // A line ends neither with white space nor with a carriage return.
        if quoted.trim_end() == quoted {
            assert_eq!(load(&format!("RAW_SINK_LOG={quoted}\n")).unwrap().log, value);
        }
    }
}
