//! Showing what a plan would change, and changing it.

use futures_util::StreamExt;
use rawsink::{
    Error, ErrorKind, PartitionKey, SystemClock,
    layout::Place,
    state::{Change, Plan, Status, execute},
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Answer, Failure},
    output,
};

/// One change, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    path: &'a str,
    /// `null` where there is no record.
    from: Option<Status>,
    to: Status,
    done: bool,
}

/// Whether a change was made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Yes,
    No,
}

/// Prints what would be changed.
pub(super) fn show(plan: &Plan, context: &Context<'_>) -> Result<Answer, Failure> {
    for key in &plan.keys {
        print(plan, key, Done::No, context)?;
    }
    let (count, kept) = (partitions(plan.keys.len()), kept(plan));
    output::note(format!("{count} would be {}{kept}; nothing was changed", verb(plan)));
    tell_faults(plan);
    super::end(plan.faults.len())
}

/// Makes the changes and prints each.
pub(super) async fn make(plan: &Plan, context: &Context<'_>) -> Result<Answer, Failure> {
    let (mut made, mut faults) = (0, plan.faults.len());
    let mut outcome = Ok(());
    let mut steps = execute(&*context.state, plan, &SystemClock);
    while let Some(step) = steps.next().await {
        match step.outcome {
            Ok(Some(_)) => {
                made += 1;
                print(plan, step.key, Done::Yes, context)?;
            }
            Ok(None) => {
                let path = Place::of_partition(step.key);
                output::note(format!("{path} has changed meanwhile and is left as it is"));
            }
            Err(fault) if fault.kind() == ErrorKind::Corrupt => {
                super::tell_fault(&fault);
                faults += 1;
            }
            Err(error) => outcome = Err(error.at(Place::of_partition(step.key))),
        }
    }
    output::note(format!("{} {}{}", partitions(made), verb(plan), kept(plan)));
    tell_faults(plan);
    outcome?;
    super::end(faults)
}

fn print(
    plan: &Plan,
    key: &PartitionKey,
    done: Done,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let from = (plan.change == Change::Retry).then_some(Status::Failed);
    let (path, to) = (Place::of_partition(key).to_string(), Status::Pending);
    let text = format!("{path}\t{} -> {to}", from.map_or("none", Status::as_str));
    let row = Row { path: &path, from, to, done: done == Done::Yes };
    // The rest is done whether somebody reads on or not.
    Ok(context.output.answer(&row, text)?)
}

fn verb(plan: &Plan) -> &'static str {
    if plan.change == Change::Retry { "set back to pending" } else { "made pending" }
}

fn kept(plan: &Plan) -> String {
    if plan.kept == 0 { String::new() } else { format!(", {} there already", plan.kept) }
}

fn partitions(count: usize) -> String {
    if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") }
}

fn tell_faults(plan: &Plan) {
    plan.faults.iter().for_each(|fault: &Error| super::tell_fault(fault));
}
