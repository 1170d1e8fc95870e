//! The evidence about one logical partition, and its standing.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, num::NonZeroU32};

use serde::Serialize;

use rawsink::{partition::LogicalDate, state::Status};

/// Whether a logical partition can be read, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The run that has authority is sealed, and its files have the lengths that were validated.
    Validated,
    /// A run is sealed and needs a verdict.
    Sealed,
    /// A run has a payload, and no run is sealed.
    Unsealed,
    /// A run is sealed, and the last verdict that applies is a failure.
    Failed,
    /// No run exists.
    Missing,
    /// The run that has authority does not exist, is not sealed, is not the one that was validated, or was
    /// withdrawn: consumers cannot read it.
    Lost,
    /// An operator withdrew every run.
    Withdrawn,
    /// The storage cannot be listed there, or not completely: nothing is known.
    Unreadable,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 8] = [
        Self::Validated,
        Self::Sealed,
        Self::Unsealed,
        Self::Failed,
        Self::Missing,
        Self::Lost,
        Self::Withdrawn,
        Self::Unreadable,
    ];

    /// Returns the name of the standing in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validated => "validated",
            Self::Sealed => "sealed",
            Self::Unsealed => "unsealed",
            Self::Failed => "failed",
            Self::Missing => "missing",
            Self::Lost => "lost",
            Self::Withdrawn => "withdrawn",
            Self::Unreadable => "unreadable",
        }
    }

    /// Returns whether something is left to do: the partition is neither validated nor withdrawn.
    pub fn needs_work(self) -> bool {
        !matches!(self, Self::Validated | Self::Withdrawn)
    }
}

/// An index into a table of values that many cells share; `None` for no value.
pub(super) type Index = Option<NonZeroU32>;

/// The evidence about one logical partition. There may be millions, so it is small.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "a byte each, of millions of cells")]
pub(super) struct Evidence {
    pub(super) day: LogicalDate,
    pub(super) status: Option<Status>,
    /// Whether the storage cannot be listed there.
    pub(super) is_hidden: bool,
    /// Whether storage has the run that the record names, as it was validated, and nobody withdrew it.
    pub(super) is_intact: bool,
    /// Whether an operator withdrew a run.
    pub(super) has_withdrawn: bool,
    /// Whether the id of the run that the record names is a time in the future.
    pub(super) is_future: bool,
    /// Whether state or log name the newest run without a seal.
    pub(super) is_unsealed_named: bool,
    /// Length in bytes of the `metadata.json` that was validated; 0 if unknown.
    pub(super) seal_bytes: u32,
    /// The run that the record names.
    pub(super) current: Index,
    /// The newest sealed run that is not withdrawn.
    pub(super) sealed: Index,
    /// The newest sealed run that needs a verdict.
    pub(super) due: Index,
    /// The newest run that passed and that a run of the future keeps from authority.
    pub(super) blocked: Index,
    /// The newest run without a seal that is not withdrawn.
    pub(super) unsealed: Index,
    pub(super) reason: Index,
    /// Length in bytes of the payload that was validated plus one; 0 if unknown.
    payload_bytes: u64,
    /// Number of rows plus one; 0 if unknown.
    rows: u64,
}

impl Evidence {
    pub(super) fn new(day: LogicalDate) -> Self {
        Self {
            day,
            status: None,
            is_hidden: false,
            is_intact: false,
            has_withdrawn: false,
            is_future: false,
            is_unsealed_named: false,
            seal_bytes: 0,
            current: None,
            sealed: None,
            due: None,
            blocked: None,
            unsealed: None,
            reason: None,
            payload_bytes: 0,
            rows: 0,
        }
    }

    pub(super) fn set_record_count(&mut self, count: Option<u64>) {
        self.rows = plus_one(count);
    }

    pub(super) fn record_count(&self) -> Option<u64> {
        self.rows.checked_sub(1)
    }

    /// Sets the lengths of the files that were validated.
    pub(super) fn set_lengths(&mut self, seal_bytes: Option<u64>, payload_bytes: Option<u64>) {
        self.seal_bytes = seal_bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or(0);
        self.payload_bytes = plus_one(payload_bytes);
    }

    /// Returns whether a sealed run has the lengths that were validated, as far as they are known.
    pub(super) fn has_lengths(&self, seal_bytes: u64, payload_bytes: Option<u64>) -> bool {
        let validated_seal = Some(u64::from(self.seal_bytes)).filter(|bytes| *bytes > 0);
        let validated = [validated_seal, self.payload_bytes.checked_sub(1)];
        have_lengths(validated, [Some(seal_bytes), payload_bytes])
    }

    pub(super) fn standing(&self) -> Standing {
        match (self.status, self.current) {
            _ if self.is_hidden => Standing::Unreadable,
            (Some(Status::Success), Some(_)) if self.is_intact => Standing::Validated,
            (Some(Status::Success), Some(_)) => Standing::Lost,
            (Some(Status::Failed), _) if self.sealed.is_some() => Standing::Failed,
            _ if self.due.is_some() => Standing::Sealed,
            // Every sealed run has a verdict, and none of them passed.
            _ if self.sealed.is_some() => Standing::Failed,
            _ if self.unsealed.is_some() => Standing::Unsealed,
            _ if self.has_withdrawn => Standing::Withdrawn,
            _ => Standing::Missing,
        }
    }

    /// Returns the run that the standing is about; `None` if no run exists.
    pub(super) fn run(&self) -> Index {
        match self.standing() {
            Standing::Validated | Standing::Lost => self.current,
            Standing::Sealed => self.due,
            Standing::Failed => self.sealed,
            Standing::Unsealed => self.unsealed,
            Standing::Missing | Standing::Withdrawn | Standing::Unreadable => None,
        }
    }
}

/// Returns whether `metadata.json` and payload exist and have the lengths that were validated, as far as
/// these are known.
pub(super) fn have_lengths(validated: [Option<u64>; 2], found: [Option<u64>; 2]) -> bool {
    validated.into_iter().zip(found).all(|(validated, found)| {
        found.is_some_and(|found| validated.is_none_or(|validated| validated == found))
    })
}

fn plus_one(number: Option<u64>) -> u64 {
    number.map_or(0, |number| number.saturating_add(1))
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

    /// Returns the index of a value that was added before.
    pub(super) fn known<Q>(&self, value: &Q) -> Index
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.known.get(value).copied()
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
        use {Standing as S, Status::*};
        let index = NonZeroU32::new(1);
        // The record's status; whether it names a run; whether that run is intact; then which runs exist:
        // sealed, due, unsealed, withdrawn.
        for (status, named, intact, [sealed, due, unsealed, withdrawn], expected) in [
            (None, false, false, [0, 0, 0, 0], S::Missing),
            (None, false, false, [0, 0, 1, 0], S::Unsealed),
            (None, false, false, [1, 1, 1, 0], S::Sealed),
            (None, false, false, [0, 0, 0, 1], S::Withdrawn),
            (None, false, false, [0, 0, 1, 1], S::Unsealed),
            (Some(Pending), true, true, [1, 1, 0, 0], S::Sealed),
            (Some(Pending), false, false, [1, 0, 1, 1], S::Failed),
            (Some(Pending), false, false, [0, 0, 0, 1], S::Withdrawn),
            (Some(Failed), false, false, [0, 0, 0, 0], S::Missing),
            (Some(Failed), true, false, [0, 0, 1, 0], S::Unsealed),
            (Some(Failed), true, true, [1, 0, 0, 0], S::Failed),
            (Some(Failed), true, true, [1, 1, 0, 0], S::Failed),
            (Some(Failed), true, false, [0, 0, 0, 1], S::Withdrawn),
            (Some(Success), true, true, [1, 0, 0, 0], S::Validated),
            (Some(Success), true, true, [1, 1, 1, 1], S::Validated),
            (Some(Success), true, false, [0, 0, 0, 0], S::Lost),
            (Some(Success), true, false, [1, 1, 0, 0], S::Lost),
            (Some(Success), true, false, [0, 0, 1, 1], S::Lost),
            // Other software recorded a success without a run.
            (Some(Success), false, false, [0, 0, 0, 0], S::Missing),
            (Some(Success), false, false, [1, 1, 0, 0], S::Sealed),
        ] {
            let some = |is: u8| index.filter(|_| is == 1);
            let evidence = Evidence {
                status,
                current: index.filter(|_| named),
                is_intact: intact,
                sealed: some(sealed),
                due: some(due),
                unsealed: some(unsealed),
                has_withdrawn: withdrawn == 1,
                ..Evidence::new("2024-06-01".parse().unwrap())
            };
            assert_eq!(evidence.standing(), expected, "{evidence:?}");
            let hidden = Evidence { is_hidden: true, ..evidence };
            assert_eq!((hidden.standing(), hidden.run()), (S::Unreadable, None), "{hidden:?}");
        }
    }

    #[test]
    fn lengths_are_compared_as_far_as_they_are_known() {
        let mut evidence = Evidence::new("2024-06-01".parse().unwrap());
        assert!(evidence.has_lengths(1, Some(0)));
        assert!(!evidence.has_lengths(1, None), "a sealed run without a payload is lost");
        evidence.set_lengths(Some(10), Some(0));
        assert!(evidence.has_lengths(10, Some(0)));
        assert!(!evidence.has_lengths(11, Some(0)));
        assert!(!evidence.has_lengths(10, Some(1)));
    }

    #[test]
    fn evidence_is_small() {
        assert!(size_of::<Evidence>() <= 56, "{}", size_of::<Evidence>());
    }
}
