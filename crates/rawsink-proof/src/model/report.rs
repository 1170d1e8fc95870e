//! Explores, and reports the results in Markdown.

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use stateright::{Checker, HasDiscoveries, Model};

use super::{
    Protocol,
    cases::Exploration,
    configuration::{
        Configuration, FaultBudget, OnLeftover, RequestDelay, ServerKind, UploadOrder,
    },
    counter_examples::BrokenVariant,
    properties::ALL,
    story,
    variant::Variant,
    writer::{PayloadWay, WriterResult},
};
use crate::words::thousands;

/// The result of an exploration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplorationResult {
    /// The number of states.
    pub states: usize,
    /// The number of transitions.
    pub transitions: usize,
    /// The properties that do not hold.
    pub broken: BTreeSet<&'static str>,
    /// The results that attempts returned.
    pub results: Vec<WriterResult>,
}

/// Explores every state, with this number of threads.
pub fn explore(configuration: Configuration, threads: usize) -> ExplorationResult {
    let checker = Protocol::new(configuration).checker().threads(threads).spawn_dfs().join();
    ExplorationResult {
        states: checker.unique_state_count(),
        transitions: checker.state_count(),
        broken: checker.discoveries().into_keys().collect(),
        results: checker.model().results(),
    }
}

/// Returns the steps that break a property; `None` if it holds.
pub fn counter_example(configuration: Configuration, property: &'static str) -> Option<String> {
    let finish = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = Protocol::new(configuration).checker().finish_when(finish).spawn_bfs().join();
    let path = checker.discovery(property)?.into_vec();
    let model = checker.model();
    let holds = model.property(property).condition;
    let end = path.iter().position(|(state, _)| !holds(model, state)).unwrap_or(path.len());
    // The search may have continued after it.
    Some(story::table(model, &path[..=end.min(path.len() - 1)]))
}

/// Returns the head of the table of explorations.
pub fn head() -> String {
    "| writers | store | leftovers | requests | upload order | faults | states | transitions | time | does not hold | results |\n|---|---|---|---|---|---|--:|--:|--:|---|---|\n".to_owned()
}

/// Returns a row of the table of explorations.
pub fn row(case: &Exploration, found: &ExplorationResult, time: Duration) -> String {
    let results: Vec<_> = found.results.iter().map(|result| story::name_of(*result)).collect();
    format!(
        "{} {:.0} s | {} | {} |\n",
        counted(&case.configuration, found),
        time.as_secs_f64().ceil(),
        numbers(found.broken.iter().copied()),
        results.join(", "),
    )
}

/// Returns the columns that are the same on every machine.
pub fn counted(configuration: &Configuration, found: &ExplorationResult) -> String {
    let (states, transitions) = (thousands(found.states), thousands(found.transitions));
    format!("{} {states} | {transitions} |", key(configuration))
}

/// Returns the columns that identify a row.
pub fn key(configuration: &Configuration) -> String {
    let ways = match configuration.ways {
        [PayloadWay::Single] => "small",
        [PayloadWay::Multipart] => "large",
        _ => "small or large",
    };
    let store = match configuration.store {
        ServerKind::Enforcing => "enforcing",
        ServerKind::Ignoring => "ignoring",
        ServerKind::Echoing => "echoing",
        ServerKind::Ruining => "ruining",
    };
    let leftovers = match configuration.leftovers {
        OnLeftover::Refused => "refused",
        OnLeftover::Replaced => "replaced",
    };
    let requests = match configuration.requests {
        RequestDelay::EndWithinGrace => "end in time",
        RequestDelay::SealsEndWithinGrace => "seals end in time",
        RequestDelay::SealsTakeAGrace => "seals take a grace",
        RequestDelay::MayOutliveGrace => "any time",
    };
    let order = match configuration.order {
        UploadOrder::Created => "as created",
        UploadOrder::Any => "any",
    };
    let (writers, faults) = (configuration.writers, faults(configuration.faults));
    format!("| {writers}, {ways} | {store} | {leftovers} | {requests} | {order} | {faults} |")
}

fn faults(faults: FaultBudget) -> String {
    let FaultBudget { unanswered, refused, failed, died, cleaned, listed_again } = faults;
    let all = [
        (unanswered, "unanswered"),
        (refused, "refused"),
        (failed, "failed"),
        (died, "died"),
        (cleaned, "cleaned"),
        (listed_again, "listed again"),
    ];
    let named: Vec<_> = all
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if named.is_empty() { "none".to_owned() } else { named.join(", ") }
}

/// Returns the table of broken variants and the explorations that notice them.
pub fn variants(broken: &[BrokenVariant]) -> String {
    let mut table =
        String::from("| planted bug | noticed with | breaks | after steps |\n|---|---|---|--:|\n");
    for BrokenVariant { configuration, property } in broken {
        let story = counter_example(configuration.clone(), property);
        let steps = story.map_or_else(|| "not noticed".to_owned(), |s| steps(&s).to_string());
        let what = configuration.variant.description();
        let with = key(configuration);
        let with = with.trim_matches(['|', ' ']).replace(" | ", "; ");
        writeln!(table, "| {what} | {with} | {} | {steps} |", numbers([*property]))
            .expect("a string takes it");
    }
    table
}

/// Returns the number of steps in a story.
fn steps(story: &str) -> usize {
    story.lines().count().saturating_sub(2)
}

/// Returns the list of properties.
pub fn properties() -> String {
    ALL.iter().fold(String::new(), |mut list, property| {
        writeln!(list, "- {property}").expect("a string takes it");
        list
    })
}

/// Returns the configuration without its variant.
pub fn unbroken(configuration: &Configuration) -> Configuration {
    Configuration { variant: Variant::None, ..configuration.clone() }
}

fn numbers<'p>(properties: impl IntoIterator<Item = &'p str>) -> String {
    let mut numbers: Vec<_> =
        properties.into_iter().filter_map(|property| property.split(':').next()).collect();
    numbers.sort_unstable();
    if numbers.is_empty() { "-".to_owned() } else { numbers.join(", ") }
}
