//! The caller's types for keys and contents.

use std::fmt::Debug;

use bytes::Bytes;

/// An object's key.
pub trait ObjectKey: Clone + Ord + Debug {
    /// Returns whether a listing of this prefix shows the key.
    fn has_prefix(&self, prefix: &Self) -> bool;

    /// Returns whether this is the prefix of every key.
    fn is_empty_prefix(&self) -> bool;
}

impl ObjectKey for String {
    fn has_prefix(&self, prefix: &Self) -> bool {
        self.starts_with(prefix.as_str())
    }

    fn is_empty_prefix(&self) -> bool {
        self.is_empty()
    }
}

/// An object's content.
pub trait ObjectBody: Clone + Eq + Debug {
    /// Returns the length in bytes.
    fn byte_count(&self) -> u64;

    /// Joins the parts of an upload in the order given.
    fn join<'a>(parts: impl Iterator<Item = &'a Self>) -> Self
    where
        Self: 'a;
}

impl ObjectBody for Bytes {
    fn byte_count(&self) -> u64 {
        self.len() as u64
    }

    fn join<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let mut whole = Vec::new();
        parts.for_each(|part| whole.extend_from_slice(part));
        whole.into()
    }
}
