//! `rawsink doctor`

use rawsink_ops::doctor::{
    Diagnosis, Doctor, Finding, Guarantee, Severity, Soundness, checks::Check,
};

use crate::{
    context::Context,
    escape,
    exit::{Exit, Failure},
    output,
    progress::{Steps, count},
    signals::Signals,
};

/// Test the store and report which guarantees it supports
///
/// The command works below `_doctor/` in the prefix, or in `_doctor-...` in the root, and cleans up. It takes a few
/// seconds and sends a few hundred small requests. Exit code 1 means that a guarantee is not supported
/// or could not be tested; the last line names the setting that helps. With -v the command prints the checks
/// that are ok too, with their numbers. `docs/doctor.md` explains every finding.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink doctor
  rawsink doctor --json | jq -r 'select(.outcome == \"fault\").finding'")]
pub(crate) struct Args {}

/// The end of a command that cannot clean up in time.
const UNFINISHED: &str = "interrupted by a signal; test objects may remain in _doctor*";

pub(crate) async fn run(_args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    let mut signals = Signals::new(UNFINISHED)?;
    let doctor = Doctor::new(context.config(), context.sink.runtime().clone())?;
    let diagnosis = examine(&doctor, &mut signals).await?;
    let (mut good, is_complete) = (0, context.output.is_json() || context.output.verbosity() > 0);
    for finding in &diagnosis.findings {
        if finding.outcome == Severity::Ok && !is_complete {
            good += 1;
        } else {
            context.output.data(finding, text(finding))?;
        }
    }
    if good > 0 {
        output::line(format_args!("{:<9}{}; -v shows them", "ok", count(good, "check")))?;
    }
    output::if_read(context.output.data(&diagnosis, conclusion(&diagnosis)))?;
    Ok(if diagnosis.soundness == Soundness::Sound { Exit::Success } else { Exit::CheckFailed })
}

/// Runs the checks. The first signal stops them and cleans up the store.
async fn examine(doctor: &Doctor, signals: &mut Signals) -> Result<Diagnosis, Failure> {
    let steps = Steps::new("examining");
    let progress = |check: &'static Check| steps.show(check.asked);
    let examination = doctor.examine(&progress);
    tokio::pin!(examination);
    let mut stopped_by = None;
    let diagnosis = loop {
        tokio::select! {
            diagnosis = &mut examination => break diagnosis,
            signal = signals.next() => {
                if stopped_by.replace(signal).is_some() {
                    let left = "interrupted by a second signal; test objects may remain in _doctor*";
                    return Err(Failure::signal(signal, left));
                }
                output::note("stopping and cleaning up; a second signal stops immediately");
                doctor.stop();
            }
        }
    };
    match (stopped_by, diagnosis) {
        (None, diagnosis) => Ok(diagnosis?),
        (Some(signal), diagnosis) => {
            let left = diagnosis.map(|diagnosis| diagnosis.leftovers);
            let left = match left {
                Ok(left) if left.is_empty() => "the store is clean".to_owned(),
                Ok(left) => format!("remaining in the store: {}", left.join(", ")),
                Err(error) => error.to_string(),
            };
            Err(Failure::signal(signal, format!("interrupted by a signal; {left}")))
        }
    }
}

/// Returns one line for the finding and one for each action.
fn text(finding: &Finding) -> String {
    let Finding { check, outcome, seen, set, advice } = finding;
    // It quotes the server.
    let seen = escape::field(seen);
    let mut first = format!("{:<9}{:<22}{seen}", outcome.name(), check.id);
    if *outcome > Severity::Note && !check.guarantees.is_empty() {
        first = format!("{first} ({})", joined(check.guarantees));
    }
    let set = set.as_ref().map(|set| format!("set {set}"));
    let actions = set.iter().chain(advice).map(|action| format!("{:31}-> {action}", ""));
    [first].into_iter().chain(actions).collect::<Vec<_>>().join("\n")
}

fn conclusion(diagnosis: &Diagnosis) -> String {
    let Diagnosis { soundness, store, kept, undetermined, broken, set, .. } = diagnosis;
    let mut lines = vec![String::new(), format!("{:<9}{store}", soundness.name())];
    let guarantees =
        [("supports", kept), ("not tested", undetermined), ("does not support", broken)];
    for (what, guarantees) in guarantees.into_iter().filter(|(_, listed)| !listed.is_empty()) {
        lines.push(format!("{:9}{what} {}", "", joined(guarantees)));
    }
    let last = match (soundness, set) {
        (Soundness::Sound, None) => "safe to use".to_owned(),
        (Soundness::Sound, Some(set)) => format!("safe to use; better with {set}"),
        (Soundness::Undetermined, _) => "not completely tested: run doctor again".to_owned(),
        (Soundness::Unsound, Some(set)) => format!("not safe: set {set}, and run doctor again"),
        (Soundness::Unsound, None) => {
            "not safe: no setting fixes this, see the faults above".to_owned()
        }
    };
    lines.push(format!("{:9}{last}", ""));
    lines.join("\n")
}

fn joined<'g>(guarantees: impl IntoIterator<Item = &'g Guarantee>) -> String {
    guarantees.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
