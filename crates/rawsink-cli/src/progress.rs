//! Progress on a terminal: rows, bytes and rate.

use std::{borrow::Cow, fmt};

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
    /// Partitions, of an unknown number at first, and what else is said.
    Partitions,
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

    /// Shows partitions, of an unknown number until [`expect`](Self::expect).
    pub(crate) fn of_partitions(verb: &'static str) -> Self {
        Self::new(None, "{spinner} {prefix} {msg}  {elapsed}", verb, Counts::Partitions)
    }

    /// Shows the number of partitions and the time left from now on.
    pub(crate) fn expect(&self, partitions: u64) {
        self.bar.set_length(partitions);
        self.bar.set_style(style("{prefix} {msg}  {elapsed}  {eta} left"));
    }

    /// Shows how many partitions are done, and more.
    pub(crate) fn set_partitions(&self, done: u64, more: fmt::Arguments<'_>) {
        if !self.bar.is_hidden() {
            let partitions = match self.bar.length() {
                Some(all) => {
                    format!("{} of {}", HumanCount(done), count(all.max(done), "partition"))
                }
                None => count(done, "partition"),
            };
            self.bar.set_message(format!("{partitions}{more}"));
        }
        self.bar.set_position(done);
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
        bar.set_style(style(template));
        bar.set_prefix(verb);
        Self { bar, counts }
    }

    pub(crate) fn set(&self, count: u64, bytes: u64) {
        match self.counts {
            Counts::Rows if !self.bar.is_hidden() => self.bar.set_message(rows(count)),
            Counts::RunsOf { runs, are_bytes_known } if !self.bar.is_hidden() => {
                let runs = self::count(runs, "run");
                let bytes = if are_bytes_known || bytes == 0 {
                    String::new()
                } else {
                    format!("  {}", HumanBytes(bytes))
                };
                self.bar.set_message(format!("{} of {runs}{bytes}", HumanCount(count)));
            }
            Counts::Nothing | Counts::Rows | Counts::RunsOf { .. } | Counts::Partitions => {}
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
        bar.set_style(style("{spinner} {prefix}: {msg}  {elapsed}"));
        bar.set_prefix(verb);
        Self { bar }
    }

    pub(crate) fn show(&self, step: impl Into<Cow<'static, str>>) {
        self.bar.set_message(step);
        self.bar.tick();
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant")
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
