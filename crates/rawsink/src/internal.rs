//! Traits that only this workspace implements have this one as their supertrait.

/// Marks a type of this workspace.
pub trait Internal {}
