//! Tells one state of an object from another.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A fingerprint of one state of an object: of its `ETag`, or of inode and modification time of a file.
///
/// Tags are compared within one process and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectTag(u64);

impl ObjectTag {
    /// Computes the tag of the values that identify a state.
    pub fn of(state: &(impl Hash + ?Sized)) -> Self {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        Self(hasher.finish())
    }
}
