//! What a row may hold that is JSON and that common readers cannot read, or read differently.
//!
//! Rows are kept as they are. Which reader fails at which hazard is measured by `make readers-test` and
//! shown in `docs/rows-and-metadata.md`.

use std::fmt;

use serde::Serialize;

/// A kind of content that common readers cannot read, or read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Hazard {
    /// An object has a name twice.
    DuplicateNames,
    /// Names of one object differ only in case.
    NamesDifferInCase,
    /// A `\u` escape is half of a surrogate pair: not a character.
    LoneSurrogate,
    /// A number is too large for a double, such as `1e400`.
    NumberOutOfRange,
    /// An integer is too large for 64 bits with a sign.
    IntegerOutOfRange,
    /// Arrays and objects are nested deeper than [`DEEP_LEVELS`].
    DeepNesting,
    /// The row is longer than [`LONG_ROW_BYTES`].
    LongRow,
}

/// Deepest nesting that is no hazard.
pub const DEEP_LEVELS: usize = 100;

/// Length of the longest row that is no hazard, in bytes: the default block of `PyArrow`.
pub const LONG_ROW_BYTES: usize = 1024 * 1024;

impl Hazard {
    /// Every kind, in documentation order.
    pub const ALL: [Self; 7] = [
        Self::DuplicateNames,
        Self::NamesDifferInCase,
        Self::LoneSurrogate,
        Self::NumberOutOfRange,
        Self::IntegerOutOfRange,
        Self::DeepNesting,
        Self::LongRow,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Writes what a row has, such as `duplicate names`.
impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateNames => f.write_str("duplicate names"),
            Self::NamesDifferInCase => f.write_str("names that differ only in case"),
            Self::LoneSurrogate => f.write_str("lone surrogates"),
            Self::NumberOutOfRange => f.write_str("numbers too large for a double"),
            Self::IntegerOutOfRange => f.write_str("integers too large for 64 bits"),
            Self::DeepNesting => write!(f, "nesting deeper than {DEEP_LEVELS} levels"),
            Self::LongRow => write!(f, "more than {} MiB", LONG_ROW_BYTES >> 20),
        }
    }
}

/// The hazards of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hazards(u8);

impl Hazards {
    pub(super) fn add(&mut self, hazard: Hazard) {
        self.0 |= hazard.bit();
    }

    /// Returns whether the row has a hazard.
    pub fn contains(self, hazard: Hazard) -> bool {
        self.0 & hazard.bit() != 0
    }

    /// Returns whether the row has no hazard.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The rows with one hazard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HazardCount {
    /// The hazard.
    pub hazard: Hazard,
    /// Number of rows that have it.
    pub rows: u64,
    /// Line of the first of them, from 1.
    pub first_line: u64,
}

impl fmt::Display for HazardCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hazard, rows, first_line } = self;
        write!(f, "rows with {hazard}: {rows} (first: line {first_line})")
    }
}

/// The rows of a payload with hazards, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HazardCounts([Option<HazardCount>; Hazard::ALL.len()]);

impl HazardCounts {
    /// Counts the row in a line.
    pub(crate) fn note(&mut self, line: u64, hazards: Hazards) {
        for (slot, hazard) in self.0.iter_mut().zip(Hazard::ALL) {
            if hazards.contains(hazard) {
                let first = HazardCount { hazard, rows: 0, first_line: line };
                slot.get_or_insert(first).rows += 1;
            }
        }
    }

    /// Returns the count of each hazard that a row has.
    pub fn iter(&self) -> impl Iterator<Item = HazardCount> {
        self.0.iter().flatten().copied()
    }
}
