//! What was seen of one logical partition, and what follows from it.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, num::NonZeroU32};

use serde::Serialize;

use crate::{key::LogicalDate, state::Status};

/// What is there of a logical partition, for whoever wants to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The run that has authority is there and sealed.
    Validated,
    /// A run is sealed and has no verdict that counts.
    Sealed,
    /// A run has a payload, and none is sealed.
    Unsealed,
    /// A run is sealed, and the last verdict that counts is a failure.
    Failed,
    /// No run is there, whatever the state says.
    Missing,
}

impl Standing {
    /// Every standing, from the best to the worst.
    pub const ALL: [Self; 5] =
        [Self::Validated, Self::Sealed, Self::Unsealed, Self::Failed, Self::Missing];

    /// Returns the standing's name as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validated => "validated",
            Self::Sealed => "sealed",
            Self::Unsealed => "unsealed",
            Self::Failed => "failed",
            Self::Missing => "missing",
        }
    }

    /// Returns what follows from the record's status, from what the storage has of the run that the
    /// record names, and from the most that it has of any run.
    pub fn of(status: Option<Status>, current: There, most: There) -> Self {
        match (status, current, most) {
            (Some(Status::Success), There::Sealed, _) => Self::Validated,
            (Some(Status::Failed), _, There::Sealed) => Self::Failed,
            (_, _, There::Sealed) => Self::Sealed,
            (_, _, There::Unsealed) => Self::Unsealed,
            (_, _, There::Nothing) => Self::Missing,
        }
    }
}

/// What the storage has of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum There {
    /// Nothing.
    #[default]
    Nothing,
    /// A payload without a seal.
    Unsealed,
    /// A seal.
    Sealed,
}

/// A place in a table of values that many cells share; `None` for no value.
pub(super) type Index = Option<NonZeroU32>;

/// What was seen of one logical partition. There may be millions.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) day: LogicalDate,
    pub(super) status: Option<Status>,
    /// The run that the record names.
    pub(super) current: Index,
    /// What the storage has of it.
    pub(super) current_there: There,
    /// The newest sealed run.
    pub(super) sealed: Index,
    /// The newest run without a seal.
    pub(super) unsealed: Index,
    pub(super) reason: Index,
    /// One more than the rows; 0 where they are not known.
    rows: u64,
}

impl Evidence {
    pub(super) fn new(day: LogicalDate) -> Self {
        Self {
            day,
            status: None,
            current: None,
            current_there: There::Nothing,
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
            (Some(_), _) => There::Sealed,
            (None, Some(_)) => There::Unsealed,
            (None, None) => There::Nothing,
        };
        Standing::of(self.status, self.current_there, most)
    }

    /// Returns the run that the standing is about; `None` where nothing is there.
    pub(super) fn run(&self) -> Index {
        match self.standing() {
            Standing::Validated => self.current,
            Standing::Sealed | Standing::Failed => self.sealed,
            Standing::Unsealed => self.unsealed,
            Standing::Missing => None,
        }
    }

    /// Tells whether the run that has authority cannot be read.
    pub(super) fn is_lost(&self) -> bool {
        self.status == Some(Status::Success)
            && self.current.is_some()
            && self.current_there < There::Sealed
    }
}

/// Values that many cells share, each once.
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
    /// Returns the place of a value, which is kept when it is new.
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
    fn a_standing_follows_from_state_and_storage() {
        use {Standing as S, Status::*, There::*};
        // The record's status; what is there of its run; the most of any run.
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
