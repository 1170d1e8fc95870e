//! A lone writer: whatever is in the bucket, with nobody else at work and every request answered.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use super::{
    Protocol,
    actions::Action,
    configuration::{Configuration, Faults, Leftovers, UploadOrder},
    network::Phase,
    time::Clock,
    words::Bucket,
    world::State,
    writer::{Step, Way, Writer},
};

/// What was tried before: many states have the same bucket.
#[derive(Debug, Default)]
pub(super) struct Tried {
    hasher: RandomState,
    sealed: Mutex<HashSet<u64>>,
}

/// Tells whether a lone writer can seal what is not sealed yet: small or large, its upload the
/// earliest or the latest that is listed.
pub(super) fn can_seal(protocol: &Protocol, state: &State) -> bool {
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
    let seals = [Way::Single, Way::Multipart].into_iter().all(|way| {
        let orders = [UploadOrder::Created, UploadOrder::Any];
        orders.into_iter().all(|order| seals_alone(&protocol.configuration, &bucket, way, order))
    });
    if seals {
        tried.sealed.lock().unwrap_or_else(PoisonError::into_inner).insert(hash);
    }
    seals
}

/// Plays one writer to its end.
fn seals_alone(seen: &Configuration, bucket: &Bucket, way: Way, order: UploadOrder) -> bool {
    let configuration = Configuration {
        leftovers: Leftovers::Replaced,
        order,
        faults: Faults::NONE,
        ..seen.clone()
    };
    let protocol = Protocol::new(configuration);
    // A token that nobody had.
    let lone = seen.writers;
    let mut writer = Writer::idle(lone);
    (writer.way, writer.step) = (way, Step::Begin);
    let mut state = State { writers: vec![writer], ..protocol.initial() };
    state.bucket = bucket.clone();
    let mut actions = Vec::new();
    // More steps than any attempt has.
    for _ in 0..64 {
        actions.clear();
        protocol.possible(&state, &mut actions);
        let Some(action) = actions.iter().find(|action| goes_well(**action)) else {
            break;
        };
        state = protocol.happens(&state, *action).0;
    }
    state.writers[0].step == Step::Sealed
}

fn goes_well(action: Action) -> bool {
    matches!(
        action,
        Action::Goes(_) | Action::Answered(_, Clock::InTime, _) | Action::CompleteEnds(_)
    )
}
