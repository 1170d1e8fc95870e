//! `rawsink doctor`

use rawsink::doctor::{Diagnosis, Doctor, Finding, Guarantee, Outcome, Soundness, checks::Check};

use crate::{
    context::Context,
    exit::{Answer, Failure},
    output,
    progress::Steps,
    signals::Signals,
};

/// Find out what the configured store really does, and which guarantees it can keep
///
/// Works in a scratch place of its own below the root or prefix, `_doctor/`, and takes it away
/// again. Takes some seconds and some hundred small requests. Exit code 1 means that a guarantee
/// cannot be kept, or could not be judged; what to set stands in the last line. `docs/doctor.md`
/// explains every finding.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rawsink doctor
  rawsink doctor --json | jq -r 'select(.outcome == \"fault\").finding'")]
pub(crate) struct Args {}

pub(crate) async fn run(_args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    let mut signals = Signals::new().map_err(|cause| Failure::internal(&cause))?;
    let doctor = Doctor::new(context.settings(), context.sink.surroundings().clone())?;
    let diagnosis = examine(&doctor, &mut signals).await?;
    for finding in &diagnosis.findings {
        context.output.data(finding, text(finding))?;
    }
    context.output.answer(&diagnosis, conclusion(&diagnosis))?;
    Ok(if diagnosis.soundness == Soundness::Sound { Answer::Yes } else { Answer::No })
}

/// Examines; a signal ends that in order, so that nothing is left in the store.
async fn examine(doctor: &Doctor, signals: &mut Signals) -> Result<Diagnosis, Failure> {
    let steps = Steps::new("examining");
    let progress = |check: &'static Check| steps.at(check.asked);
    let examination = doctor.examine(&progress);
    tokio::pin!(examination);
    let mut stopped_by = None;
    let diagnosis = loop {
        tokio::select! {
            diagnosis = &mut examination => break diagnosis,
            signal = signals.next() => {
                if stopped_by.replace(signal).is_some() {
                    let left = "ended by a second signal; scratch objects may be left below _doctor/";
                    return Err(Failure::Signal(signal, left.to_owned()));
                }
                output::note("ending in order; a second signal quits at once");
                doctor.stop();
            }
        }
    };
    match (stopped_by, diagnosis) {
        (None, diagnosis) => Ok(diagnosis?),
        (Some(signal), diagnosis) => {
            let left = diagnosis.map(|diagnosis| diagnosis.leftovers);
            let left = match left {
                Ok(left) if left.is_empty() => "nothing is left in the store".to_owned(),
                Ok(left) => format!("left in the store: {}", left.join(", ")),
                Err(error) => error.to_string(),
            };
            Err(Failure::Signal(signal, format!("ended by a signal; {left}")))
        }
    }
}

/// One line, and one more for each thing to do.
fn text(finding: &Finding) -> String {
    let Finding { check, outcome, seen, set, advice } = finding;
    let mut first = format!("{:<9}{:<22}{seen}", outcome.name(), check.id);
    if *outcome > Outcome::Note && !check.guarantees.is_empty() {
        first = format!("{first} ({})", listed(check.guarantees));
    }
    let set = set.as_ref().map(|set| format!("set {set}"));
    let actions = set.iter().chain(advice).map(|action| format!("{:31}-> {action}", ""));
    [first].into_iter().chain(actions).collect::<Vec<_>>().join("\n")
}

fn conclusion(diagnosis: &Diagnosis) -> String {
    let Diagnosis { soundness, store, kept, undetermined, broken, set, .. } = diagnosis;
    let mut lines = vec![String::new(), format!("{:<9}{store}", soundness.name())];
    let guarantees = [("keeps", kept), ("not judged", undetermined), ("cannot keep", broken)];
    for (what, guarantees) in guarantees.into_iter().filter(|(_, listed)| !listed.is_empty()) {
        lines.push(format!("{:9}{what} {}", "", listed(guarantees)));
    }
    match set {
        Some(set) => lines.push(format!("{:9}set {set}", "")),
        None if broken.is_empty() => {}
        None => lines.push(format!("{:9}no setting helps", "")),
    }
    lines.join("\n")
}

fn listed<'g>(guarantees: impl IntoIterator<Item = &'g Guarantee>) -> String {
    guarantees.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
