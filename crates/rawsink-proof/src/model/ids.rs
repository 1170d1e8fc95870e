//! Sets of upload ids, stored in one word because a state has many of them.

/// A set of upload ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UploadSet(u32);

impl UploadSet {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Returns the set of one id.
    pub fn one(id: u8) -> Self {
        debug_assert!(id < 32, "an id has a bit");
        Self(1 << id)
    }

    /// Returns whether the set has an id.
    pub fn contains(self, id: u8) -> bool {
        self.0 & Self::one(id).0 != 0
    }

    /// Returns whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the union.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the difference.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the intersection.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the smallest id.
    pub fn first(self) -> Option<u8> {
        (!self.is_empty()).then(|| u8::try_from(self.0.trailing_zeros()).expect("at most 31"))
    }

    /// Returns the ids.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..32).filter(move |id| self.contains(*id))
    }
}

impl FromIterator<u8> for UploadSet {
    fn from_iter<T: IntoIterator<Item = u8>>(ids: T) -> Self {
        ids.into_iter().fold(Self::NONE, |set, id| set.with(Self::one(id)))
    }
}
