//! Shows or executes a plan that changes records.

use futures_util::StreamExt;
use rawsink::{
    PartitionKey, SystemClock,
    layout::Place,
    state::{Change, Plan, Status, execute},
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Errors, Exit, Failure},
    output, progress, table,
};

/// One change, as JSON.
#[derive(Serialize)]
struct Row<'a> {
    path: &'a str,
    /// `null` without a record.
    from: Option<Status>,
    to: Status,
    done: bool,
}

/// Whether a change was executed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Yes,
    No,
}

/// Prints the changes of a plan without executing them.
pub(super) fn show(plan: &Plan, context: &Context<'_>) -> Result<Exit, Failure> {
    for key in &plan.keys {
        print(plan, key, Done::No, context)?;
    }
    let (count, kept) = (partitions(plan.keys.len()), kept(plan));
    output::note(format!("{count} would be {}{kept}; nothing was changed", verb(plan)));
    finish(Errors::default(), plan, context)
}

/// Executes the changes and prints each.
pub(super) async fn apply(plan: &Plan, context: &Context<'_>) -> Result<Exit, Failure> {
    let (mut changed, mut errors) = (0, Errors::default());
    let mut steps = execute(&*context.state, plan, &SystemClock);
    while let Some(step) = steps.next().await {
        match step.outcome {
            Ok(Some(_)) => {
                changed += 1;
                print(plan, step.key, Done::Yes, context)?;
            }
            Ok(None) => {
                let path = Place::of_partition(step.key);
                output::note(format!("{path} has changed in the meantime and is skipped"));
            }
            Err(error) => {
                errors.report(&error.at(Place::of_partition(step.key)), context.output);
            }
        }
    }
    output::note(format!("{} {}{}", partitions(changed), verb(plan), kept(plan)));
    finish(errors, plan, context)
}

/// Reports the malformed records of a plan and ends the command.
fn finish(mut errors: Errors, plan: &Plan, context: &Context<'_>) -> Result<Exit, Failure> {
    plan.faults.iter().for_each(|fault| errors.report(fault, context.output));
    errors.finish("not all records could be read or changed", Exit::Success)
}

fn print(
    plan: &Plan,
    key: &PartitionKey,
    done: Done,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let from = is_retry(plan).then_some(Status::Failed);
    let (place, to) = (Place::of_partition(key), Status::Pending);
    let change = format!("{} -> {to}", from.map_or("none", Status::as_str));
    let row = Row { path: &place.to_string(), from, to, done: done == Done::Yes };
    // A closed pipe does not stop the changes.
    Ok(output::if_read(table::row(&row, &place, &[&change], context.output))?)
}

fn is_retry(plan: &Plan) -> bool {
    matches!(plan.change, Change::Retry | Change::RetryMarked)
}

fn verb(plan: &Plan) -> &'static str {
    if is_retry(plan) { "set back to pending" } else { "marked as pending" }
}

fn kept(plan: &Plan) -> String {
    match plan.kept {
        0 => String::new(),
        kept if is_retry(plan) => {
            format!(", {kept} kept because other software marked them; --marked includes them")
        }
        kept => format!(", {kept} kept"),
    }
}

fn partitions(count: usize) -> String {
    progress::count(count as u64, "partition")
}
