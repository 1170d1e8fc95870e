//! Progress on a terminal: rows, bytes and rate.

use std::borrow::Cow;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// A line with the progress of a command, shown on a terminal only.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    counts: Counts,
}

/// The unit counted besides bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Nothing,
    Rows,
    Runs,
    /// Runs of a known number. Without a known number of bytes, runs are the measure.
    RunsOf {
        runs: u64,
        are_bytes_known: bool,
    },
}

impl Progress {
    /// Shows rows and bytes of a stream of unknown length.
    pub(crate) fn of_rows(verb: &'static str) -> Self {
        Self::new(
            None,
            "{spinner} {prefix} {msg}  {bytes}  {bytes_per_sec}  {elapsed}",
            verb,
            Counts::Rows,
        )
    }

    /// Shows runs and bytes of an unknown number of runs.
    pub(crate) fn of_runs(verb: &'static str) -> Self {
        let template = "{spinner} {prefix} {msg}  {bytes}  {bytes_per_sec}  {elapsed}";
        Self::new(None, template, verb, Counts::Runs)
    }

    /// Shows a known number of runs, their bytes if those are known, and the time left.
    pub(crate) fn of_known_runs(verb: &'static str, runs: u64, bytes: Option<u64>) -> Self {
        let template = match bytes {
            Some(_) => {
                "{prefix} {msg}  {bytes} of {total_bytes}  {bytes_per_sec}  {elapsed}  {eta} left"
            }
            None => "{prefix} {msg}  {per_sec}  {elapsed}  {eta} left",
        };
        let counts = Counts::RunsOf { runs, are_bytes_known: bytes.is_some() };
        Self::new(Some(bytes.unwrap_or(runs)), template, verb, counts)
    }

    /// Shows bytes of a payload of known length.
    pub(crate) fn of_bytes(verb: &'static str, total: u64) -> Self {
        Self::new(
            Some(total),
            "{prefix} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
            verb,
            Counts::Nothing,
        )
    }

    fn new(total: Option<u64>, template: &str, verb: &'static str, counts: Counts) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        if output::stderr_is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        }
        bar.set_style(ProgressStyle::with_template(template).expect("the template is a constant"));
        bar.set_prefix(verb);
        Self { bar, counts }
    }

    pub(crate) fn set(&self, count: u64, bytes: u64) {
        match self.counts {
            Counts::Rows if !self.bar.is_hidden() => self.bar.set_message(rows(count)),
            Counts::Runs => self.bar.set_message(format!("{} runs", HumanCount(count))),
            Counts::RunsOf { runs, .. } if !self.bar.is_hidden() => {
                let runs = self::count(runs, "run");
                self.bar.set_message(format!("{} of {runs}", HumanCount(count)));
            }
            Counts::Nothing | Counts::Rows | Counts::RunsOf { .. } => {}
        }
        let is_by_runs = matches!(self.counts, Counts::RunsOf { are_bytes_known: false, .. });
        self.bar.set_position(if is_by_runs { count } else { bytes });
    }

    /// Prints above the line; the text stays.
    pub(crate) fn print_above<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A line with the current step of a command, shown on a terminal only.
#[derive(Debug)]
pub(crate) struct Steps {
    bar: ProgressBar,
}

impl Steps {
    pub(crate) fn new(verb: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if output::stderr_is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let style = ProgressStyle::with_template("{spinner} {prefix}: {msg}  {elapsed}");
        bar.set_style(style.expect("the template is a constant"));
        bar.set_prefix(verb);
        Self { bar }
    }

    pub(crate) fn show(&self, step: impl Into<Cow<'static, str>>) {
        self.bar.set_message(step);
        self.bar.tick();
    }

    /// Prints above the line; the text stays.
    pub(crate) fn print_above<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Returns rows and bytes for a person: `3 rows, 24 B`.
pub(crate) fn amount(rows: u64, bytes: u64) -> String {
    format!("{}, {}", self::rows(rows), HumanBytes(bytes))
}

/// Returns a number of bytes for a person: `1.5 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    HumanBytes(number).to_string()
}

/// Returns a number of rows for a person.
pub(crate) fn rows(rows: u64) -> String {
    count(rows, "row")
}

/// Returns a number of things for a person: `1 row`, `2,000 rows`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}
