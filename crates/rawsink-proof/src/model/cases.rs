//! The explorations and the properties that each must find broken.

use super::{
    configuration::{
        Configuration, FaultBudget, OnLeftover, RequestDelay, ServerKind, UploadOrder,
    },
    properties::{G02, G03, G05},
    writer::PayloadWay,
};

/// One of each fault of an attempt or its requests.
const ONE_OF_EACH: FaultBudget =
    FaultBudget { unanswered: 1, refused: 1, failed: 1, died: 1, ..FaultBudget::NONE };

/// The duration of an exploration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplorationSize {
    /// Seconds; the tests run it.
    Small,
    /// Minutes; `make model` runs it.
    Large,
}

/// An exploration and its expected result.
#[derive(Debug, Clone)]
pub struct Exploration {
    /// The configuration.
    pub configuration: Configuration,
    /// Its duration.
    pub size: ExplorationSize,
    /// The properties that do not hold.
    pub breaks: &'static [&'static str],
}

/// Returns the explorations of the real protocol.
pub fn cases() -> Vec<Exploration> {
    let mut cases = vec![small(
        Configuration {
            writers: 1,
            faults: FaultBudget {
                unanswered: 3,
                refused: 1,
                failed: 1,
                died: 1,
                ..FaultBudget::NONE
            },
            requests: RequestDelay::MayOutliveGrace,
            order: UploadOrder::Any,
            ..Configuration::PLAIN
        },
        &[],
    )];
    cases.extend(two_writers());
    cases.extend(more_faults());
    cases.extend(three_writers());
    cases
}

fn small(configuration: Configuration, breaks: &'static [&'static str]) -> Exploration {
    Exploration { configuration, size: ExplorationSize::Small, breaks }
}

fn large(configuration: Configuration, breaks: &'static [&'static str]) -> Exploration {
    Exploration { configuration, size: ExplorationSize::Large, breaks }
}

/// Two attempts on every kind of server, with both leftover policies, with timely and late requests.
fn two_writers() -> Vec<Exploration> {
    let mut cases = Vec::new();
    for store in
        [ServerKind::Enforcing, ServerKind::Ignoring, ServerKind::Echoing, ServerKind::Ruining]
    {
        let ruins = store == ServerKind::Ruining;
        for leftovers in [OnLeftover::Refused, OnLeftover::Replaced] {
            let most = if ruins {
                RequestDelay::EndWithinGrace
            } else {
                RequestDelay::SealsEndWithinGrace
            };
            for requests in [most, RequestDelay::MayOutliveGrace] {
                let breaks: &[&str] = match (requests, leftovers) {
                    (RequestDelay::MayOutliveGrace, _) if ruins => &[G02, G03, G05],
                    (RequestDelay::MayOutliveGrace, OnLeftover::Replaced) => &[G02, G03],
                    _ => &[],
                };
                let faults = if store == ServerKind::Echoing {
                    FaultBudget { listed_again: 1, failed: 1, died: 1, ..FaultBudget::NONE }
                } else {
                    ONE_OF_EACH
                };
                let plain = Configuration::PLAIN;
                let configuration = Configuration { store, leftovers, requests, faults, ..plain };
                cases.push(small(configuration, breaks));
            }
        }
    }
    cases
}

/// Two attempts with more kinds of faults.
fn more_faults() -> Vec<Exploration> {
    let plain =
        Configuration { requests: RequestDelay::SealsEndWithinGrace, ..Configuration::PLAIN };
    let unanswered = |unanswered| FaultBudget { unanswered, ..FaultBudget::NONE };
    let cleaned = FaultBudget { cleaned: 1, failed: 1, ..FaultBudget::NONE };
    let refused = Configuration {
        leftovers: OnLeftover::Refused,
        requests: RequestDelay::MayOutliveGrace,
        ..plain.clone()
    };
    let ruining = Configuration {
        store: ServerKind::Ruining,
        requests: RequestDelay::EndWithinGrace,
        ..plain.clone()
    };
    let twice = FaultBudget { unanswered: 2, ..ONE_OF_EACH };
    let any = UploadOrder::Any;
    vec![
        small(
            Configuration {
                requests: RequestDelay::SealsTakeAGrace,
                faults: unanswered(1),
                ..plain.clone()
            },
            &[G02, G03],
        ),
        small(Configuration { order: any, faults: unanswered(1), ..plain.clone() }, &[]),
        small(Configuration { faults: cleaned, ..plain.clone() }, &[]),
        small(Configuration { faults: cleaned, ..refused.clone() }, &[]),
        // Two writers abort each other's uploads, because upload times are not in the order of creation.
        small(Configuration { order: any, ..ruining.clone() }, &[G02, G05]),
        // A writer pauses between its last part and its Complete for longer than the age of `clean`.
        small(Configuration { faults: cleaned, ..ruining.clone() }, &[G02, G03, G05]),
        large(Configuration { order: any, faults: twice, ..plain.clone() }, &[]),
        large(Configuration { order: any, faults: twice, ..refused }, &[]),
        large(Configuration { faults: twice, ..ruining }, &[]),
        large(
            Configuration {
                faults: FaultBudget { cleaned: 1, ..ONE_OF_EACH },
                order: any,
                ..plain.clone()
            },
            &[],
        ),
        large(
            Configuration {
                store: ServerKind::Echoing,
                faults: FaultBudget { listed_again: 1, ..ONE_OF_EACH },
                ..plain
            },
            &[],
        ),
    ]
}

/// Three attempts.
fn three_writers() -> Vec<Exploration> {
    let plain = Configuration {
        writers: 3,
        requests: RequestDelay::SealsEndWithinGrace,
        ..Configuration::PLAIN
    };
    let unanswered = FaultBudget { unanswered: 1, ..FaultBudget::NONE };
    let refused = Configuration {
        leftovers: OnLeftover::Refused,
        requests: RequestDelay::MayOutliveGrace,
        ..plain.clone()
    };
    let mut cases = vec![
        small(Configuration { ways: &[PayloadWay::Multipart], ..refused.clone() }, &[]),
        large(
            Configuration {
                ways: &[PayloadWay::Multipart],
                order: UploadOrder::Any,
                ..plain.clone()
            },
            &[],
        ),
        large(Configuration { faults: unanswered, ..refused }, &[]),
    ];
    for store in [ServerKind::Enforcing, ServerKind::Ignoring, ServerKind::Ruining] {
        let requests = match store {
            ServerKind::Ruining => RequestDelay::EndWithinGrace,
            _ => RequestDelay::SealsEndWithinGrace,
        };
        cases.push(large(Configuration { store, requests, ..plain.clone() }, &[]));
    }
    for ways in [&[PayloadWay::Single], &[PayloadWay::Multipart]] {
        cases.push(large(Configuration { ways, faults: unanswered, ..plain.clone() }, &[]));
    }
    let late = Configuration {
        ways: &[PayloadWay::Multipart],
        requests: RequestDelay::MayOutliveGrace,
        faults: unanswered,
        ..plain
    };
    cases.push(large(late, &[G02, G03]));
    cases
}
