//! Planted bugs and violated assumptions, and the properties that each must break.

use super::{
    configuration::{
        Configuration, FaultBudget, OnLeftover, RequestDelay, ServerKind, UploadOrder,
    },
    properties::{G03, G04, G05, G06, G07, G08, G09},
    variant::Variant,
};

/// A broken variant, with the exploration and the property that notice it.
#[derive(Debug, Clone)]
pub struct BrokenVariant {
    /// The configuration with the variant.
    pub configuration: Configuration,
    /// The property that holds only without the variant.
    pub property: &'static str,
}

/// Returns every broken variant with a small exploration that notices it.
pub fn broken() -> Vec<BrokenVariant> {
    Variant::BROKEN.into_iter().map(notices).collect()
}

fn notices(variant: Variant) -> BrokenVariant {
    let plain = Configuration { variant, ..Configuration::PLAIN };
    let unanswered = FaultBudget { unanswered: 1, ..FaultBudget::NONE };
    let failed = FaultBudget { failed: 1, ..FaultBudget::NONE };
    let late = Configuration {
        requests: RequestDelay::MayOutliveGrace,
        faults: unanswered,
        ..plain.clone()
    };
    let ruining = Configuration { store: ServerKind::Ruining, ..plain.clone() };
    let (configuration, property) = match variant {
        Variant::None
        | Variant::WithoutLastCheck
        | Variant::HeadBeforeUploadList
        | Variant::WithoutGrace
        | Variant::GraceFromBegin
        | Variant::DeadlineFromAnswer
        | Variant::WithoutCheckBeforeComplete
        | Variant::WrongSetting => (plain, G05),
        Variant::WithoutDeadline => (plain, G03),
        Variant::TakesOverAtOnce => (Configuration { store: ServerKind::Enforcing, ..plain }, G05),
        Variant::NewestDoesNotWin | Variant::AbortsOwnUploadAlways => {
            (Configuration { faults: failed, ..ruining }, G05)
        }
        Variant::AbortsUploadAfterComplete => {
            (Configuration { faults: FaultBudget { failed: 1, ..unanswered }, ..ruining }, G05)
        }
        Variant::WithoutNewToken => (Configuration { faults: unanswered, ..plain }, G03),
        Variant::WithoutCheckAfterLateEvidence => (late, G05),
        Variant::AnySealIsMine => (late, G04),
        Variant::DecidesByStatus => (Configuration { faults: unanswered, ..plain }, G06),
        Variant::ReportsDoubtAsFailure => (plain, G06),
        Variant::ReportsDoubtAsCorrupt => (plain, G07),
        Variant::LeavesUpload => (plain, G08),
        Variant::YieldsToEveryUpload => (plain, G09),
    };
    BrokenVariant { configuration, property }
}

/// A violated assumption and its consequence.
#[derive(Debug, Clone)]
pub struct OutsideAssumption {
    /// The violated assumption.
    pub title: &'static str,
    /// The configuration.
    pub configuration: Configuration,
    /// The property that does not hold.
    pub property: &'static str,
}

/// Returns the consequences of violated assumptions.
pub fn outside() -> Vec<OutsideAssumption> {
    let unanswered = FaultBudget { unanswered: 1, ..FaultBudget::NONE };
    let plain = Configuration::PLAIN;
    let ruining = Configuration { store: ServerKind::Ruining, ..plain.clone() };
    vec![
        OutsideAssumption {
            title: "Leftovers are replaced, and a seal is applied after the grace",
            configuration: Configuration {
                requests: RequestDelay::SealsTakeAGrace,
                faults: unanswered,
                ..plain
            },
            property: G03,
        },
        OutsideAssumption {
            title: "An abort ruins a running Complete, and that Complete outlives the grace",
            configuration: Configuration {
                requests: RequestDelay::MayOutliveGrace,
                leftovers: OnLeftover::Refused,
                ..ruining.clone()
            },
            property: G05,
        },
        OutsideAssumption {
            title: "An abort ruins a running Complete, and uploads are not listed in the order of \
                    their creation, so that two writers end each other's",
            configuration: Configuration { order: UploadOrder::Any, ..ruining.clone() },
            property: G05,
        },
        OutsideAssumption {
            title: "An abort ruins a running Complete, and `clean` meets that of a writer that was \
                    paused between its last part and its Complete for longer than `clean`'s age",
            configuration: Configuration {
                leftovers: OnLeftover::Refused,
                faults: FaultBudget { cleaned: 1, ..FaultBudget::NONE },
                ..ruining
            },
            property: G05,
        },
    ]
}
