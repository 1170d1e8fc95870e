//! Virtual time: microseconds since the start, and what is due when.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use jiff::Timestamp;

/// Microseconds, since the start or for so long.
pub(super) type Micros = u64;

pub(super) const MILLISECOND: Micros = 1000;
pub(super) const SECOND: Micros = 1_000_000;
pub(super) const MINUTE: Micros = 60 * SECOND;
pub(super) const HOUR: Micros = 60 * MINUTE;

/// 2024-06-02T04:00:00Z: the time on a clock that goes right when a simulation starts.
const START: Micros = 1_717_300_800 * SECOND;

pub(super) fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).expect("nobody waits that long")
}

/// Returns the wall-clock time so long after the start.
pub(super) fn timestamp_of(time: Micros) -> Timestamp {
    let wall = i64::try_from(START + time).expect("a simulation ends before that");
    Timestamp::from_microsecond(wall).expect("a simulation ends before that")
}

/// What is due when; at the same time in the order in which it was said.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    due: BinaryHeap<Reverse<(Micros, u64)>>,
    what: Vec<Option<T>>,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { due: BinaryHeap::new(), what: Vec::new() }
    }
}

impl<T> Agenda<T> {
    pub(super) fn add(&mut self, at: Micros, what: T) {
        self.due.push(Reverse((at, self.what.len() as u64)));
        self.what.push(Some(what));
    }

    /// Takes what is due first.
    pub(super) fn next(&mut self) -> Option<(Micros, T)> {
        let Reverse((at, number)) = self.due.pop()?;
        let place = usize::try_from(number).ok().and_then(|number| self.what.get_mut(number));
        let what = place.and_then(Option::take).expect("each entry is due once");
        Some((at, what))
    }
}
