//! What a scrub prints: a line for each damaged run, and the summary.

use std::{collections::BTreeMap, fmt};

use indicatif::HumanCount;
use rawsink::{Error, ErrorKind, layout::Place};
use rawsink_ops::scrub::{
    Condition, Damage, DamageKind, ReadRun, Recorded, ResumePoint, Sample, Scope, Work,
};
use serde::Serialize;

use crate::{
    again,
    context::Context,
    escape,
    exit::{Errors, Exit, Failure},
    output,
    progress::{self, count},
    shell::path_argument,
    table,
};

const REPAIR: &str = "repair it from an intact copy: rawsink copy --repair, with the settings of the copy and this store \
                      as the destination";

/// A damaged run, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    path: String,
    damage: DamageKind,
    detail: &'a str,
    has_authority: bool,
    /// Whether a failed verdict is recorded.
    recorded: bool,
    hint: &'a str,
}

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    selected: u64,
    sampled: u64,
    intact: u64,
    erased: u64,
    unread: u64,
    damaged: BTreeMap<DamageKind, u64>,
    errors: Errors,
    last_hint: Option<String>,
    resume: ResumePoint,
    has_ended_early: bool,
}

impl Report {
    pub(super) fn selected(&mut self, runs: usize, sampled: usize) {
        self.selected += runs as u64;
        self.sampled += sampled as u64;
    }

    /// Counts a run, and prints it if it is damaged or could not be read.
    pub(super) fn read(&mut self, read: &ReadRun, context: &Context<'_>) -> Result<(), Failure> {
        match &read.outcome {
            Ok(Condition::Intact) => self.intact += 1,
            Ok(Condition::Erased) => self.erased += 1,
            Ok(Condition::Damaged(damage)) => {
                *self.damaged.entry(damage.kind).or_default() += 1;
                self.print(read, damage, context)?;
                if let Recorded::Failed(error) = &damage.recorded {
                    self.error(error, context);
                }
            }
            Err(error) => {
                self.unread += 1;
                self.error(error, context);
            }
        }
        self.resume.add(read);
        Ok(())
    }

    /// Prints a damaged run. A hint is not repeated.
    fn print(
        &mut self,
        read: &ReadRun,
        damage: &Damage,
        context: &Context<'_>,
    ) -> Result<(), Failure> {
        let run = Place::of_run(&read.key, &read.run);
        let hint = hint(&run, &Place::of_partition(&read.key), damage);
        let line = Line {
            path: run.to_string(),
            damage: damage.kind,
            detail: &damage.detail,
            has_authority: damage.has_authority,
            recorded: matches!(damage.recorded, Recorded::Yes),
            hint: &again::with_settings(&hint),
        };
        let detail = escape::field(&damage.detail);
        let fields = [damage.kind.as_str(), &detail];
        // A closed pipe does not stop the scrub.
        output::if_read(table::line(&line, &run, &fields, context.output))?;
        if !context.output.is_json() && self.last_hint.as_ref() != Some(&hint) {
            output::hint(&hint);
        }
        self.last_hint = Some(hint);
        Ok(())
    }

    /// Prints an error; the scrub continues.
    pub(super) fn error(&mut self, error: &Error, context: &Context<'_>) {
        self.errors.report(error, context.output);
    }

    /// Says that the scrub ends before its last run.
    pub(super) fn end_early(&mut self) {
        self.has_ended_early = true;
    }

    /// Reports whether runs may be left to read.
    pub(super) fn has_ended_early(&self) -> bool {
        self.has_ended_early
    }

    /// Returns the run after which the scrub resumes; `None` if none is done.
    pub(super) fn after(&self) -> Option<&Place> {
        self.resume.after()
    }

    /// Returns the last run that could not be read, if none after it could be.
    pub(super) fn after_unread(&self) -> Option<&Place> {
        self.resume.after_unread()
    }

    /// Reports whether the scrub came to its end and found no run.
    pub(super) fn is_empty(&self) -> bool {
        self.selected == 0 && !self.has_ended_early
    }

    /// Prints the summary.
    pub(super) fn note(&self, work: &Work, bytes: u64, context: &Context<'_>) {
        if self.is_empty() {
            match work.scope {
                Scope::Sealed => output::note(format!("nothing to scrub; {}", context.place())),
                Scope::Current => context.note_empty_state("no run has authority"),
            }
            return;
        }
        let (runs, bytes) = (count(self.runs(), "run"), progress::bytes(bytes));
        output::note(format!("{runs}, {bytes} read: {self}"));
        if let Some(Sample { share, seed }) = work.sample {
            let (sampled, selected) = (HumanCount(self.sampled), HumanCount(self.selected));
            output::note(format!(
                "sample of {share}: {sampled} of {selected} runs; --seed {seed} repeats it"
            ));
        }
    }

    /// Ends the command.
    pub(super) fn finish(self) -> Result<Exit, Failure> {
        match self.damages() {
            0 => self.errors.finish("not all runs were read", Exit::Success),
            damages => {
                let are = if damages == 1 { "is" } else { "are" };
                let message = format!("{} {are} damaged or lost, see above", count(damages, "run"));
                Err(Failure::Summary(ErrorKind::Corrupt, message))
            }
        }
    }

    fn damages(&self) -> u64 {
        self.damaged.values().sum()
    }

    fn runs(&self) -> u64 {
        self.intact + self.erased + self.unread + self.damages()
    }
}

/// Writes the number of runs of each kind.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} intact", HumanCount(self.intact))?;
        for (kind, runs) in &self.damaged {
            write!(f, ", {} {}", HumanCount(*runs), kind.as_str())?;
        }
        for (runs, what) in [(self.erased, "withdrawn and erased"), (self.unread, "not read")] {
            if runs > 0 {
                write!(f, ", {} {what}", HumanCount(runs))?;
            }
        }
        Ok(())
    }
}

/// Returns the next step.
fn hint(run: &Place, partition: &Place, damage: &Damage) -> String {
    let (run, partition) = (path_argument(run), path_argument(partition));
    match damage.kind {
        DamageKind::Lost => {
            format!(r#"run "rawsink coverage {partition} --plan" for the next step"#)
        }
        DamageKind::SealReplaced => format!(
            r#"run "rawsink state history {partition}" to see what was validated; "rawsink validate {run}" accepts the stored rows"#
        ),
        _ if !damage.has_authority => format!("{REPAIR}; no consumer reads it"),
        _ if matches!(damage.recorded, Recorded::Yes) => {
            format!("{REPAIR} and validate it, or land a new run")
        }
        _ => format!(
            r#"{REPAIR}; without a copy, run "rawsink scrub {partition} --record" and land a new run"#
        ),
    }
}
