//! The statements on the table `partition_state`, common to all databases.

use super::{
    Filter, Status,
    row::{COLUMNS, KEY_COLUMNS},
};

/// The parts of a statement that differ between databases.
pub(super) trait Dialect {
    /// Suffix of an expression that makes it compare text byte by byte.
    const BYTEWISE: &'static str;

    /// Returns the expression that reads a column as text.
    fn read(&self, column: &str) -> String;

    /// Returns the n-th parameter, text, from 1.
    fn parameter(&self, number: usize) -> String;

    /// Returns the expression that converts a parameter to the column's type.
    fn typed(&self, column: &str, parameter: String) -> String;

    /// Returns the expression that converts the n-th parameter to the column's type.
    fn value(&self, column: &str, number: usize) -> String {
        self.typed(column, self.parameter(number))
    }
}

fn key_columns() -> String {
    COLUMNS[..KEY_COLUMNS].join(", ")
}

/// Reads all columns, in the order of [`COLUMNS`].
fn select(dialect: &impl Dialect) -> String {
    let columns = COLUMNS.map(|column| dialect.read(column));
    format!("SELECT {} FROM partition_state", columns.join(", "))
}

/// Restricts a statement to one record; parameters: the key's columns.
fn of_key(dialect: &impl Dialect) -> String {
    let same = numbered(0..KEY_COLUMNS)
        .map(|(column, number)| format!("{column} = {}", dialect.value(column, number)));
    format!(" WHERE {}", same.collect::<Vec<_>>().join(" AND "))
}

/// Reads one record; parameters: the key's columns.
pub(super) fn select_one(dialect: &impl Dialect) -> String {
    select(dialect) + &of_key(dialect)
}

/// Reads the records of several keys; parameters: the columns of each key in turn.
pub(super) fn select_many(dialect: &impl Dialect, keys: usize) -> String {
    let key = |index: usize| {
        let values = numbered(0..KEY_COLUMNS)
            .map(|(column, number)| dialect.value(column, index * KEY_COLUMNS + number));
        format!("({})", values.collect::<Vec<_>>().join(", "))
    };
    let wanted = (0..keys).map(key).collect::<Vec<_>>().join(", ");
    let columns = key_columns();
    format!("{} WHERE ({columns}) IN (VALUES {wanted})", select(dialect))
}

/// Creates one record unless its key exists; parameters: all columns. Names the key columns, so that
/// a table without that key is an error.
#[cfg(feature = "postgres")]
pub(super) fn insert_unless_exists(dialect: &impl Dialect) -> String {
    format!("{} ON CONFLICT ({}) DO NOTHING", insert(dialect), key_columns())
}

/// Creates one record; parameters: all columns.
pub(super) fn insert(dialect: &impl Dialect) -> String {
    let values = numbered(0..COLUMNS.len()).map(|(column, number)| dialect.value(column, number));
    let values = values.collect::<Vec<_>>().join(", ");
    format!("INSERT INTO partition_state ({}) VALUES ({values})", COLUMNS.join(", "))
}

/// Changes one record; parameters: all columns.
pub(super) fn update(dialect: &impl Dialect) -> String {
    let set = numbered(KEY_COLUMNS..COLUMNS.len())
        .map(|(column, number)| format!("{column} = {}", dialect.value(column, number)));
    let set = set.collect::<Vec<_>>().join(", ");
    format!("UPDATE partition_state SET {set}{}", of_key(dialect))
}

/// Reads the records that pass a filter, sorted by key; returned with its parameters.
pub(super) fn select_filtered(dialect: &impl Dialect, filter: &Filter) -> (String, Vec<String>) {
    let (mut conditions, mut parameters) = (Vec::new(), Vec::new());
    let Filter { partitions, status } = filter;
    for (column, value) in [
        ("source", partitions.source.as_deref()),
        ("customer_id", partitions.customer_id.as_deref()),
        ("query_name", partitions.query_name.as_deref()),
        ("status", status.map(Status::as_str)),
    ] {
        if let Some(value) = value {
            parameters.push(value.to_owned());
            conditions.push(format!("{column} = {}", dialect.value(column, parameters.len())));
        }
    }
    // Days sort as text in every column type.
    let day = bytewise(dialect, "logical_date");
    for (comparison, value) in [(">=", partitions.since), ("<=", partitions.until)] {
        if let Some(value) = value {
            parameters.push(value.to_string());
            conditions.push(format!("{day} {comparison} {}", dialect.parameter(parameters.len())));
        }
    }
    let mut sql = select(dialect);
    if !conditions.is_empty() {
        sql = format!("{sql} WHERE {}", conditions.join(" AND "));
    }
    let order = numbered(0..KEY_COLUMNS).map(|(column, _)| bytewise(dialect, column));
    (format!("{sql} ORDER BY {}", order.collect::<Vec<_>>().join(", ")), parameters)
}

fn bytewise<D: Dialect>(dialect: &D, column: &str) -> String {
    dialect.read(column) + D::BYTEWISE
}

fn numbered(range: std::ops::Range<usize>) -> impl Iterator<Item = (&'static str, usize)> {
    range.map(|column| (COLUMNS[column], column + 1))
}
