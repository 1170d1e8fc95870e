//! What is explored, and what is expected of each: where a property does not hold, the model has to
//! find that.

use super::{
    configuration::{Configuration, Faults, Leftovers, Requests, Store, UploadOrder},
    properties::{G02, G03, G04, G05, G06, G07, G08, G09},
    variant::Variant,
    writer::Way,
};

/// One of each fault that an attempt or its requests may meet.
const ONE_OF_EACH: Faults =
    Faults { unanswered: 1, refused: 1, failed: 1, died: 1, ..Faults::NONE };

/// How long an exploration takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Seconds: with every test.
    Small,
    /// Minutes: with `make model`.
    Large,
}

/// An exploration and what it has to find.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is explored.
    pub configuration: Configuration,
    /// How long it takes.
    pub size: Size,
    /// The properties that do not hold.
    pub breaks: &'static [&'static str],
}

/// Returns the explorations of the protocol as it is.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![small(
        Configuration {
            writers: 1,
            faults: Faults { unanswered: 3, refused: 1, failed: 1, died: 1, ..Faults::NONE },
            requests: Requests::MayOutliveGrace,
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

fn small(configuration: Configuration, breaks: &'static [&'static str]) -> Case {
    Case { configuration, size: Size::Small, breaks }
}

fn large(configuration: Configuration, breaks: &'static [&'static str]) -> Case {
    Case { configuration, size: Size::Large, breaks }
}

/// Two attempts: every kind of store, both policies, requests that end in time and that do not.
fn two_writers() -> Vec<Case> {
    let mut cases = Vec::new();
    for store in [Store::Enforcing, Store::Ignoring, Store::Echoing, Store::Ruining] {
        let ruins = store == Store::Ruining;
        for leftovers in [Leftovers::Refused, Leftovers::Replaced] {
            let most = if ruins { Requests::EndWithinGrace } else { Requests::SealsEndWithinGrace };
            for requests in [most, Requests::MayOutliveGrace] {
                let breaks: &[&str] = match (requests, leftovers) {
                    (Requests::MayOutliveGrace, _) if ruins => &[G02, G03, G05],
                    (Requests::MayOutliveGrace, Leftovers::Replaced) => &[G02, G03],
                    _ => &[],
                };
                let faults = if store == Store::Echoing {
                    Faults { listed_again: 1, failed: 1, died: 1, ..Faults::NONE }
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

/// Two attempts, and what else may happen.
fn more_faults() -> Vec<Case> {
    let plain = Configuration { requests: Requests::SealsEndWithinGrace, ..Configuration::PLAIN };
    let unanswered = |unanswered| Faults { unanswered, ..Faults::NONE };
    let cleaned = Faults { cleaned: 1, failed: 1, ..Faults::NONE };
    let refused = Configuration {
        leftovers: Leftovers::Refused,
        requests: Requests::MayOutliveGrace,
        ..plain.clone()
    };
    let ruining = Configuration {
        store: Store::Ruining,
        requests: Requests::EndWithinGrace,
        ..plain.clone()
    };
    let twice = Faults { unanswered: 2, ..ONE_OF_EACH };
    let any = UploadOrder::Any;
    vec![
        small(
            Configuration {
                requests: Requests::SealsTakeAGrace,
                faults: unanswered(1),
                ..plain.clone()
            },
            &[G02, G03],
        ),
        small(Configuration { order: any, faults: unanswered(1), ..plain.clone() }, &[]),
        small(Configuration { faults: cleaned, ..plain.clone() }, &[]),
        small(Configuration { faults: cleaned, ..refused.clone() }, &[]),
        // Two writers end each other's uploads, where times are not in the order of creation.
        small(Configuration { order: any, ..ruining.clone() }, &[G02, G05]),
        // A writer that was paused between its last part and its Complete for longer than the age.
        small(Configuration { faults: cleaned, ..ruining.clone() }, &[G02, G03, G05]),
        large(Configuration { order: any, faults: twice, ..plain.clone() }, &[]),
        large(Configuration { order: any, faults: twice, ..refused }, &[]),
        large(Configuration { faults: twice, ..ruining }, &[]),
        large(
            Configuration {
                faults: Faults { cleaned: 1, ..ONE_OF_EACH },
                order: any,
                ..plain.clone()
            },
            &[],
        ),
        large(
            Configuration {
                store: Store::Echoing,
                faults: Faults { listed_again: 1, ..ONE_OF_EACH },
                ..plain
            },
            &[],
        ),
    ]
}

/// Three attempts.
fn three_writers() -> Vec<Case> {
    let plain = Configuration {
        writers: 3,
        requests: Requests::SealsEndWithinGrace,
        ..Configuration::PLAIN
    };
    let unanswered = Faults { unanswered: 1, ..Faults::NONE };
    let refused = Configuration {
        leftovers: Leftovers::Refused,
        requests: Requests::MayOutliveGrace,
        ..plain.clone()
    };
    let mut cases = vec![
        small(Configuration { ways: &[Way::Multipart], ..refused.clone() }, &[]),
        large(
            Configuration { ways: &[Way::Multipart], order: UploadOrder::Any, ..plain.clone() },
            &[],
        ),
        large(Configuration { faults: unanswered, ..refused }, &[]),
    ];
    for store in [Store::Enforcing, Store::Ignoring, Store::Ruining] {
        let requests = match store {
            Store::Ruining => Requests::EndWithinGrace,
            _ => Requests::SealsEndWithinGrace,
        };
        cases.push(large(Configuration { store, requests, ..plain.clone() }, &[]));
    }
    for ways in [&[Way::Single], &[Way::Multipart]] {
        cases.push(large(Configuration { ways, faults: unanswered, ..plain.clone() }, &[]));
    }
    let late = Configuration {
        ways: &[Way::Multipart],
        requests: Requests::MayOutliveGrace,
        faults: unanswered,
        ..plain
    };
    cases.push(large(late, &[G02, G03]));
    cases
}

/// A broken variant, the exploration that notices it, and the property by which.
#[derive(Debug, Clone)]
pub struct Broken {
    /// What is explored, with the variant.
    pub configuration: Configuration,
    /// What does not hold any more, and does without the variant.
    pub property: &'static str,
}

/// Returns every broken variant with the least that notices it.
pub fn broken() -> Vec<Broken> {
    Variant::BROKEN.into_iter().map(notices).collect()
}

fn notices(variant: Variant) -> Broken {
    let plain = Configuration { variant, ..Configuration::PLAIN };
    let unanswered = Faults { unanswered: 1, ..Faults::NONE };
    let failed = Faults { failed: 1, ..Faults::NONE };
    let late =
        Configuration { requests: Requests::MayOutliveGrace, faults: unanswered, ..plain.clone() };
    let ruining = Configuration { store: Store::Ruining, ..plain.clone() };
    let (configuration, property) = match variant {
        Variant::None
        | Variant::WithoutLookOnceMore
        | Variant::HeadBeforeUploadList
        | Variant::WithoutGrace
        | Variant::GraceFromBegin
        | Variant::DeadlineFromAnswer
        | Variant::WithoutLookBeforeComplete
        | Variant::WrongSetting => (plain, G05),
        Variant::WithoutDeadline => (plain, G03),
        Variant::TakesOverAtOnce => (Configuration { store: Store::Enforcing, ..plain }, G05),
        Variant::NewestDoesNotWin | Variant::EndsOwnUploadAlways => {
            (Configuration { faults: failed, ..ruining }, G05)
        }
        Variant::EndsUploadAfterComplete => {
            (Configuration { faults: Faults { failed: 1, ..unanswered }, ..ruining }, G05)
        }
        Variant::WithoutNewToken => (Configuration { faults: unanswered, ..plain }, G03),
        Variant::WithoutLookAfterLateEvidence => (late, G05),
        Variant::AnySealIsMine => (late, G04),
        Variant::DecidesByStatus => (Configuration { faults: unanswered, ..plain }, G06),
        Variant::DoubtToldAsFailure => (plain, G06),
        Variant::DoubtToldAsCorrupt => (plain, G07),
        Variant::LeavesUpload => (plain, G08),
        Variant::YieldsToEveryUpload => (plain, G09),
    };
    Broken { configuration, property }
}

/// An assumption that does not hold, and what comes of it.
#[derive(Debug, Clone)]
pub struct Outside {
    /// What is not as assumed.
    pub title: &'static str,
    /// What is explored.
    pub configuration: Configuration,
    /// What does not hold.
    pub property: &'static str,
}

/// Returns what comes of it where an assumption does not hold.
pub fn outside() -> Vec<Outside> {
    let unanswered = Faults { unanswered: 1, ..Faults::NONE };
    let plain = Configuration::PLAIN;
    let ruining = Configuration { store: Store::Ruining, ..plain.clone() };
    vec![
        Outside {
            title: "Leftovers are replaced, and a seal is applied after the grace",
            configuration: Configuration {
                requests: Requests::SealsTakeAGrace,
                faults: unanswered,
                ..plain
            },
            property: G03,
        },
        Outside {
            title: "An abort ruins a running Complete, and that Complete outlives the grace",
            configuration: Configuration {
                requests: Requests::MayOutliveGrace,
                leftovers: Leftovers::Refused,
                ..ruining.clone()
            },
            property: G05,
        },
        Outside {
            title: "An abort ruins a running Complete, and uploads are not listed in the order of \
                    their creation, so that two writers end each other's",
            configuration: Configuration { order: UploadOrder::Any, ..ruining.clone() },
            property: G05,
        },
        Outside {
            title: "An abort ruins a running Complete, and `clean` meets that of a writer that was \
                    paused between its last part and its Complete for longer than `clean`'s age",
            configuration: Configuration {
                leftovers: Leftovers::Refused,
                faults: Faults { cleaned: 1, ..Faults::NONE },
                ..ruining
            },
            property: G05,
        },
    ]
}
