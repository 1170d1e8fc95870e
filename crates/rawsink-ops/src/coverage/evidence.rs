//! The evidence about one logical partition, and its standing.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, num::NonZeroU32};

use serde::Serialize;

use rawsink::{partition::LogicalDate, state::Status};

/// Whether a logical partition can be read, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The run that has authority is sealed.
    Validated,
    /// A run is sealed and has no verdict that applies.
    Sealed,
    /// A run has a payload, and no run is sealed.
    Unsealed,
    /// A run is sealed, and the last verdict that applies is a failure.
    Failed,
    /// Storage has no run; the state does not matter.
    Missing,
}

impl Standing {
    /// Every standing, from the best to the worst.
    pub const ALL: [Self; 5] =
        [Self::Validated, Self::Sealed, Self::Unsealed, Self::Failed, Self::Missing];

    /// Returns the name of the standing in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validated => "validated",
            Self::Sealed => "sealed",
            Self::Unsealed => "unsealed",
            Self::Failed => "failed",
            Self::Missing => "missing",
        }
    }

    /// Returns the standing for the record's status, the seal status of the run that the record names,
    /// and the highest seal status of any run.
    pub fn of(status: Option<Status>, current: SealStatus, most: SealStatus) -> Self {
        match (status, current, most) {
            (Some(Status::Success), SealStatus::Sealed, _) => Self::Validated,
            (Some(Status::Failed), _, SealStatus::Sealed) => Self::Failed,
            (_, _, SealStatus::Sealed) => Self::Sealed,
            (_, _, SealStatus::Unsealed) => Self::Unsealed,
            (_, _, SealStatus::Nothing) => Self::Missing,
        }
    }
}

/// Whether storage has a run, and whether it is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum SealStatus {
    /// Nothing.
    #[default]
    Nothing,
    /// A payload without a seal.
    Unsealed,
    /// A seal.
    Sealed,
}

/// An index into a table of values that many cells share; `None` for no value.
pub(super) type Index = Option<NonZeroU32>;

/// The evidence about one logical partition. There may be millions, so it is small.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) day: LogicalDate,
    pub(super) status: Option<Status>,
    /// The run that the record names.
    pub(super) current: Index,
    /// The seal status of that run.
    pub(super) current_status: SealStatus,
    /// The newest sealed run.
    pub(super) sealed: Index,
    /// The newest run without a seal.
    pub(super) unsealed: Index,
    pub(super) reason: Index,
    /// Number of rows plus one; 0 if unknown.
    rows: u64,
}

impl Evidence {
    pub(super) fn new(day: LogicalDate) -> Self {
        Self {
            day,
            status: None,
            current: None,
            current_status: SealStatus::Nothing,
            sealed: None,
            unsealed: None,
            reason: None,
            rows: 0,
        }
    }

    pub(super) fn set_record_count(&mut self, count: Option<u64>) {
        self.rows = count.map_or(0, |count| count.saturating_add(1));
    }

    pub(super) fn record_count(&self) -> Option<u64> {
        self.rows.checked_sub(1)
    }

    pub(super) fn standing(&self) -> Standing {
        let most = match (self.sealed, self.unsealed) {
            (Some(_), _) => SealStatus::Sealed,
            (None, Some(_)) => SealStatus::Unsealed,
            (None, None) => SealStatus::Nothing,
        };
        Standing::of(self.status, self.current_status, most)
    }

    /// Returns the run that the standing is about; `None` if no run exists.
    pub(super) fn run(&self) -> Index {
        match self.standing() {
            Standing::Validated => self.current,
            Standing::Sealed | Standing::Failed => self.sealed,
            Standing::Unsealed => self.unsealed,
            Standing::Missing => None,
        }
    }

    /// Returns whether the run that has authority cannot be read.
    pub(super) fn is_lost(&self) -> bool {
        self.status == Some(Status::Success)
            && self.current.is_some()
            && self.current_status < SealStatus::Sealed
    }
}

/// A table of the distinct values that many cells share.
#[derive(Debug)]
pub(super) struct Interned<T> {
    values: Vec<T>,
    known: HashMap<T, NonZeroU32>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { values: Vec::new(), known: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Interned<T> {
    /// Returns the index of a value, and adds a new one.
    pub(super) fn index<Q>(&mut self, value: &Q) -> Index
    where
        T: Borrow<Q>,
        Q: ToOwned<Owned = T> + Eq + Hash + ?Sized,
    {
        if let Some(known) = self.known.get(value) {
            return Some(*known);
        }
        self.values.push(value.to_owned());
        let index = u32::try_from(self.values.len()).ok().and_then(NonZeroU32::new);
        if let Some(index) = index {
            self.known.insert(value.to_owned(), index);
        }
        index
    }

    pub(super) fn get(&self, index: Index) -> Option<&T> {
        self.values.get(index?.get() as usize - 1)
    }

    pub(super) fn values(&self) -> &[T] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standing_for_every_state_and_storage() {
        use {SealStatus::*, Standing as S, Status::*};
        // The record's status; the seal status of its run; the highest one of any run.
        for (status, current, most, expected) in [
            (None, Nothing, Nothing, S::Missing),
            (None, Nothing, Unsealed, S::Unsealed),
            (None, Nothing, Sealed, S::Sealed),
            (Some(Pending), Nothing, Nothing, S::Missing),
            (Some(Pending), Nothing, Unsealed, S::Unsealed),
            (Some(Pending), Nothing, Sealed, S::Sealed),
            // After a retry the record still names the run that had authority.
            (Some(Pending), Sealed, Sealed, S::Sealed),
            (Some(Failed), Nothing, Nothing, S::Missing),
            (Some(Failed), Nothing, Unsealed, S::Unsealed),
            (Some(Failed), Nothing, Sealed, S::Failed),
            (Some(Failed), Unsealed, Unsealed, S::Unsealed),
            (Some(Failed), Sealed, Sealed, S::Failed),
            (Some(Success), Sealed, Sealed, S::Validated),
            (Some(Success), Nothing, Sealed, S::Sealed),
            (Some(Success), Unsealed, Sealed, S::Sealed),
            (Some(Success), Nothing, Unsealed, S::Unsealed),
            (Some(Success), Unsealed, Unsealed, S::Unsealed),
            (Some(Success), Nothing, Nothing, S::Missing),
        ] {
            let standing = Standing::of(status, current, most);
            assert_eq!(standing, expected, "{status:?} {current:?} {most:?}");
        }
    }

    #[test]
    fn evidence_is_small() {
        assert!(size_of::<Evidence>() <= 40, "{}", size_of::<Evidence>());
    }
}
