//! Pages of records, sorted by key, so that nobody needs a list of all of them.

use super::Entry;
use crate::error::Result;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "test-util"))]
use crate::partition::PartitionKey;

/// Number of key columns.
pub(super) const KEY_COLUMNS: usize = 4;

/// A part of the records, see [`list_page`](super::PartitionState::list_page).
#[derive(Debug, Default)]
pub struct Page {
    /// The records, sorted by key. A malformed record is an item with a `Corrupt` error.
    pub entries: Vec<Result<Entry>>,
    /// Where the next page begins; `None` after the last page.
    pub next: Option<Cursor>,
}

/// The position after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The key columns of the last record, as text; the key may be malformed.
    pub(super) key: [String; KEY_COLUMNS],
    #[cfg(feature = "sqlite")]
    pub(super) order: KeyOrder,
}

/// How SQLite compares keys byte by byte.
#[cfg(feature = "sqlite")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum KeyOrder {
    /// By their text, for any type of their columns.
    #[default]
    Text,
    /// By their columns, which all hold text. This can use an index on the key.
    Columns,
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "test-util"))]
impl Page {
    /// Adds a record; `key` has its key columns as text.
    pub(super) fn add(&mut self, entry: Result<Entry>, key: [String; KEY_COLUMNS]) {
        self.entries.push(entry);
        self.next = Some(Cursor {
            key,
            #[cfg(feature = "sqlite")]
            order: KeyOrder::default(),
        });
    }

    /// Ends a page that may hold up to `limit` records.
    pub(super) fn end(mut self, limit: usize) -> Self {
        if self.entries.len() < limit {
            self.next = None;
        }
        self
    }
}

/// Returns the values of the key columns.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "test-util"))]
pub(super) fn key_values(key: &PartitionKey) -> [String; KEY_COLUMNS] {
    [key.source(), key.customer_id(), key.query_name(), &key.logical_date().to_string()]
        .map(str::to_owned)
}
