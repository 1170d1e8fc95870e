//! Virtual time: microseconds since the start, and the agenda.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use jiff::Timestamp;

/// A time since the start, or a duration, in microseconds.
pub(super) type Micros = u64;

pub(super) const MILLISECOND: Micros = 1000;
pub(super) const SECOND: Micros = 1_000_000;
pub(super) const MINUTE: Micros = 60 * SECOND;
pub(super) const HOUR: Micros = 60 * MINUTE;

/// 2024-06-02T04:00:00Z: the right time at the start.
const START: Micros = 1_717_300_800 * SECOND;

pub(super) fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).expect("no wait is that long")
}

/// Returns the wall-clock time at a time since the start.
pub(super) fn timestamp_of(time: Micros) -> Timestamp {
    let wall = i64::try_from(START + time).expect("a simulation ends before that");
    Timestamp::from_microsecond(wall).expect("a simulation ends before that")
}

/// Entries in the order of their times; entries of one time in the order of their insertion.
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

    /// Takes the first entry.
    pub(super) fn next(&mut self) -> Option<(Micros, T)> {
        let Reverse((at, number)) = self.due.pop()?;
        let place = usize::try_from(number).ok().and_then(|number| self.what.get_mut(number));
        let what = place.and_then(Option::take).expect("each entry is due once");
        Some((at, what))
    }
}
