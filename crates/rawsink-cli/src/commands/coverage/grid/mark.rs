//! The mark of one day: a character, its meaning and its colour.

use rawsink_ops::coverage::{Cell, Standing};

/// Ends a colour.
pub(super) const RESET: &str = "\x1b[0m";

/// The mark of one day. The order is that of the legend, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Lost,
    /// The storage cannot be listed there.
    Unreadable,
    Failed,
    Missing,
    Unsealed,
    Sealed,
    Withdrawn,
    /// Validated, and another run is due or cannot get authority.
    Drifting,
    /// Validated, without rows.
    Empty,
    Validated,
}

impl Mark {
    pub(super) fn of(cell: &Cell<'_>) -> Self {
        match cell.standing {
            Standing::Lost => Self::Lost,
            Standing::Unreadable => Self::Unreadable,
            Standing::Failed => Self::Failed,
            Standing::Missing => Self::Missing,
            Standing::Unsealed => Self::Unsealed,
            Standing::Sealed => Self::Sealed,
            Standing::Withdrawn => Self::Withdrawn,
            Standing::Validated if cell.drift.unknown || cell.drift.blocked => Self::Drifting,
            Standing::Validated if cell.is_empty() => Self::Empty,
            Standing::Validated => Self::Validated,
        }
    }

    pub(super) fn sign(self) -> char {
        match self {
            Self::Lost => 'L',
            Self::Unreadable => '?',
            Self::Failed => 'F',
            Self::Missing => '-',
            Self::Unsealed => 'u',
            Self::Sealed => 's',
            Self::Withdrawn => 'w',
            Self::Drifting => '+',
            Self::Empty => 'o',
            Self::Validated => '.',
        }
    }

    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Unreadable => "unreadable",
            Self::Failed => "failed",
            Self::Missing => "missing",
            Self::Unsealed => "unsealed",
            Self::Sealed => "sealed only",
            Self::Withdrawn => "withdrawn",
            Self::Drifting => "validated, a run waits",
            Self::Empty => "validated, no rows",
            Self::Validated => "validated",
        }
    }

    pub(super) fn colour(self) -> &'static str {
        match self {
            Self::Lost => "\x1b[1;97;45m",
            Self::Unreadable | Self::Failed => "\x1b[1;31m",
            Self::Missing | Self::Unsealed => "\x1b[33m",
            Self::Sealed | Self::Drifting => "\x1b[36m",
            Self::Withdrawn => "\x1b[90m",
            Self::Empty | Self::Validated => "\x1b[32m",
        }
    }
}
