//! Copying sealed runs from one sink to another, byte for byte.
//!
//! Owns when a run that is there already is the same one, and what is compared on the way. A copy
//! goes the way of every writer in the destination, so that whatever cuts it off it can be repeated.
//! Must not know which backends are below.

mod comparison;
mod many;
mod transfer;

use std::{ops::ControlFlow, sync::Arc};

use serde::Serialize;

pub use self::{
    comparison::compare,
    many::{Done, compare_all, copy_all},
    transfer::copy,
};

/// What became of a run, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was copied and sealed.
    Copied,
    /// The same run was there already.
    AlreadyThere,
    /// It is not sealed in the destination yet; a copy would make it.
    Missing,
}

impl Outcome {
    /// Returns the outcome's name as it stands in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::AlreadyThere => "already there",
            Self::Missing => "missing",
        }
    }
}

/// When a run that is there already is taken for the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// When both have the same `metadata.json` with its seal block, and payloads of the same length.
    /// Without a seal block nothing vouches for the bytes, so they are read.
    #[default]
    BySeal,
    /// When besides all bytes of both were read and are the same.
    ReadAgain,
}

/// Is called with the number of bytes that were copied since it was called last, and decides whether
/// to go on.
pub type Progress = Arc<dyn Fn(u64) -> ControlFlow<()> + Send + Sync>;
