//! Sets of upload ids, in one word: a state has many of them.

/// A set of upload ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Ids(u32);

impl Ids {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Returns the set of one.
    pub fn one(id: u8) -> Self {
        debug_assert!(id < 32, "an id has a bit");
        Self(1 << id)
    }

    /// Tells whether an id is in the set.
    pub fn contains(self, id: u8) -> bool {
        self.0 & Self::one(id).0 != 0
    }

    /// Tells whether nothing is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns what is in either.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns what is in this and not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns what is in both.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the least id.
    pub fn first(self) -> Option<u8> {
        (!self.is_empty()).then(|| u8::try_from(self.0.trailing_zeros()).expect("at most 31"))
    }

    /// Returns the ids.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..32).filter(move |id| self.contains(*id))
    }
}

impl FromIterator<u8> for Ids {
    fn from_iter<T: IntoIterator<Item = u8>>(ids: T) -> Self {
        ids.into_iter().fold(Self::NONE, |set, id| set.with(Self::one(id)))
    }
}
