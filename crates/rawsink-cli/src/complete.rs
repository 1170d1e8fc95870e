//! Completion of paths in a shell, with the names that exist in the storage.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use futures_util::StreamExt;
use rawsink::{
    RawSink,
    env::Loaded,
    layout::{Level, Place},
    runtime::Runtime,
};
use rawsink_ops::shell;

/// The variable by which the script of a shell asks for completions.
pub(crate) const VARIABLE: &str = "RAWSINK_COMPLETE";

/// Most names to offer.
const MOST_NAMES: usize = 1_000;

/// Longest time to wait for the storage.
const PATIENCE: Duration = Duration::from_secs(2);

/// Completes a path at any level, in the form in which it is typed: short, or with labels.
pub(crate) fn paths() -> ArgValueCompleter {
    // An error has no place to be shown: the user is in the middle of a line.
    ArgValueCompleter::new(|typed: &OsStr| {
        let paths = typed.to_str().and_then(paths_below).unwrap_or_default();
        paths.into_iter().map(CompletionCandidate::new).collect()
    })
}

fn paths_below(typed: &str) -> Option<Vec<String>> {
    let loaded =
        settings(env::args_os()).map_or_else(Loaded::from_env, |file| Loaded::from_file(&file));
    let config = loaded.ok()?.config;
    let above = typed.rfind('/').map_or("", |end| &typed[..=end]);
    let place = Place::parse(above, &config.backend.root()).ok()?;
    let sink = RawSink::open_in(&config, Runtime::default()).ok()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().ok()?;
    let paths = runtime.block_on(async {
        let paths =
            sink.children(&place).filter_map(async |child| path(typed, above, &child.ok()?));
        let in_time = paths.take_until(tokio::time::sleep(PATIENCE));
        in_time.take(MOST_NAMES).collect().await
    });
    // A request may still be under way.
    runtime.shutdown_background();
    Some(paths)
}

/// Returns the path of a child as it would be typed. `None` if it does not continue what is typed, or if a
/// shell would need quotes.
fn path(typed: &str, above: &str, child: &Place) -> Option<String> {
    let (level, value) = child.innermost()?;
    let label = if typed.contains('=') { level.label() } else { "" };
    let end = if level == Level::Run { "" } else { "/" };
    let path = format!("{above}{label}{value}{end}");
    let is_same_form = !label.is_empty() || !value.contains('=');
    (path.starts_with(typed) && is_same_form && shell::quoted(&path) == path).then_some(path)
}

/// Returns the FILE of `--env FILE` on the command line to complete.
fn settings(words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    // The script of the shell calls `rawsink -- rawsink WORD...`.
    let mut words = words.skip_while(|word| word != "--").skip(1).take_while(|word| word != "--");
    while let Some(word) = words.next() {
        if word == "--env" {
            return words.next().map(PathBuf::from);
        }
        if let Some(file) = word.to_str().and_then(|word| word.strip_prefix("--env=")) {
            return Some(file.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_continues_what_is_typed() {
        let customer = Place::parse("ads/123", "").unwrap();
        let run = Place::parse("ads/123/q/2024-06-01/2024-06-02T00:00:00.000Z", "").unwrap();
        let odd = Place::parse("ads/customer_id=1=2", "").unwrap();
        let unsafe_name = Place::parse("ads/$(x)", "").unwrap();
        for (typed, child, expected) in [
            ("ads/", &customer, Some("ads/123/")),
            ("ads/1", &customer, Some("ads/123/")),
            ("raw/ads/1", &customer, Some("raw/ads/123/")),
            ("ads/2", &customer, None),
            ("ads/customer_id=", &customer, Some("ads/customer_id=123/")),
            ("ads/123/q/2024-06-01/", &run, Some("ads/123/q/2024-06-01/2024-06-02T00:00:00.000Z")),
            ("ads/", &odd, None),
            ("ads/customer_id=1", &odd, Some("ads/customer_id=1=2/")),
            ("ads/", &unsafe_name, None),
        ] {
            let above = &typed[..=typed.rfind('/').unwrap()];
            assert_eq!(path(typed, above, child).as_deref(), expected, "{typed}");
        }
    }

    #[test]
    fn a_file_of_settings_is_found_before_the_command_of_write() {
        for (line, expected) in [
            ("rawsink -- rawsink --env a.env list ''", Some("a.env")),
            ("rawsink -- rawsink list --env=a.env ''", Some("a.env")),
            ("rawsink -- rawsink write p -- program --env a.env", None),
            ("rawsink --env b.env", None),
        ] {
            let found = settings(line.split(' ').map(OsString::from));
            assert_eq!(found, expected.map(PathBuf::from), "{line}");
        }
    }
}
