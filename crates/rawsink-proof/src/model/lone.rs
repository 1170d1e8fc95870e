//! A lone writer on any bucket: no other writer is active, and every request is answered.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use super::{
    Protocol,
    actions::ModelAction,
    configuration::{Configuration, FaultBudget, OnLeftover, UploadOrder},
    network::Phase,
    time::ClockReading,
    words::ModelBucket,
    world::ModelState,
    writer::{ModelWriter, PayloadWay, ProtocolStep},
};

/// The buckets that were tried before. Many states have the same bucket.
#[derive(Debug, Default)]
pub(super) struct Tried {
    hasher: RandomState,
    sealed: Mutex<HashSet<u64>>,
}

/// Returns whether a lone writer can seal an unsealed run, with a small or large payload, and with the
/// earliest or the latest upload in the listing.
pub(super) fn can_seal(protocol: &Protocol, state: &ModelState) -> bool {
    if state.is_sealed() {
        return true;
    }
    let mut bucket = state.bucket.clone();
    for flight in state.network.iter().filter(|flight| flight.phase == Phase::Runs) {
        Protocol::end_running(&mut bucket, flight);
    }
    let tried = &protocol.tried;
    let hash = tried.hasher.hash_one(&bucket);
    if tried.sealed.lock().unwrap_or_else(PoisonError::into_inner).contains(&hash) {
        return true;
    }
    let seals = [PayloadWay::Single, PayloadWay::Multipart].into_iter().all(|way| {
        let orders = [UploadOrder::Created, UploadOrder::Any];
        orders.into_iter().all(|order| seals_alone(&protocol.configuration, &bucket, way, order))
    });
    if seals {
        tried.sealed.lock().unwrap_or_else(PoisonError::into_inner).insert(hash);
    }
    seals
}

/// Runs one writer to its end.
fn seals_alone(
    seen: &Configuration,
    bucket: &ModelBucket,
    way: PayloadWay,
    order: UploadOrder,
) -> bool {
    let configuration = Configuration {
        leftovers: OnLeftover::Replaced,
        order,
        faults: FaultBudget::NONE,
        ..seen.clone()
    };
    let protocol = Protocol::new(configuration);
    // No other attempt has this number.
    let lone = seen.writers;
    let mut writer = ModelWriter::idle(lone);
    (writer.way, writer.step) = (way, ProtocolStep::Begin);
    let mut state = ModelState { writers: vec![writer], ..protocol.initial() };
    state.bucket = bucket.clone();
    let mut actions = Vec::new();
    // No attempt has more steps.
    for _ in 0..64 {
        actions.clear();
        protocol.possible(&state, &mut actions);
        let Some(action) = actions.iter().find(|action| goes_well(**action)) else {
            break;
        };
        state = protocol.happens(&state, *action).0;
    }
    state.writers[0].step == ProtocolStep::Sealed
}

fn goes_well(action: ModelAction) -> bool {
    matches!(
        action,
        ModelAction::Goes(_)
            | ModelAction::Answered(_, ClockReading::InTime, _)
            | ModelAction::CompleteEnds(_)
    )
}
