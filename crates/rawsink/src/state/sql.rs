//! The statements on the tables `partition_state` and `run_verdict`, common to all databases.

use super::{Cursor, Event, Filter, Status, page::KEY_COLUMNS, row::COLUMNS};
use crate::partition::Selection;

/// A table in a database: what differs in a statement.
pub(super) trait Dialect {
    /// Suffix of an expression that makes it compare text byte by byte.
    const BYTEWISE: &'static str;

    /// What follows INSERT and UPDATE, so that a constraint of the table neither ignores nor replaces a row.
    const OR_ABORT: &'static str = "";

    /// The columns; those of the key come first.
    const COLUMNS: &'static [&'static str];

    /// Returns the name of the table.
    fn table(&self) -> &str;

    /// Returns the expression that reads a column as text.
    fn read(&self, column: &str) -> String;

    /// Returns the n-th parameter, text, from 1.
    fn parameter(&self, number: usize) -> String;

    /// Returns the query that yields `count` rows of these columns from the parameters of a statement that
    /// has no others.
    fn rows(&self, columns: &[&str], count: usize) -> String;

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

/// Reads all columns, in their order.
fn select<D: Dialect>(dialect: &D) -> String {
    let columns = D::COLUMNS.iter().map(|column| dialect.read(column)).collect::<Vec<_>>();
    format!("SELECT {} FROM {}", columns.join(", "), dialect.table())
}

/// Reads the columns of the key.
fn read_key(dialect: &impl Dialect) -> String {
    let columns = COLUMNS[..KEY_COLUMNS].iter().map(|column| dialect.read(column));
    columns.collect::<Vec<_>>().join(", ")
}

/// Restricts a statement to one key; parameters: the key's columns.
fn of_key(dialect: &impl Dialect) -> String {
    let same = numbered(&COLUMNS[..KEY_COLUMNS])
        .map(|(column, number)| format!("{column} = {}", dialect.value(column, number)));
    format!(" WHERE {}", same.collect::<Vec<_>>().join(" AND "))
}

/// Reads one record; parameters: the key's columns.
pub(super) fn select_one(dialect: &impl Dialect) -> String {
    select(dialect) + &of_key(dialect)
}

/// Restricts a statement to several keys; parameters: the rows of their columns.
fn of_keys(dialect: &impl Dialect, keys: usize) -> String {
    let wanted = dialect.rows(&COLUMNS[..KEY_COLUMNS], keys);
    format!(" WHERE ({}) IN ({wanted})", key_columns())
}

/// Reads the rows of several keys; parameters: as [`of_keys`].
pub(super) fn select_many(dialect: &impl Dialect, keys: usize) -> String {
    select(dialect) + &of_keys(dialect, keys)
}

/// As [`select_many`], sorted by key, and locks the rows in this order.
#[cfg(feature = "postgres")]
pub(super) fn select_many_locked(dialect: &impl Dialect, keys: usize) -> String {
    format!("{} ORDER BY {} FOR UPDATE", select_many(dialect, keys), order(dialect))
}

/// As [`select_many`], in the order in which the rows of the log were added.
pub(super) fn select_log(dialect: &impl Dialect, keys: usize) -> String {
    // The sum keeps the index of the key in use.
    select_many(dialect, keys) + " ORDER BY seq + 0"
}

/// Reads the keys, among several, that have an entry of this event in the log; parameters: as
/// [`select_many`].
pub(super) fn select_keys_with(dialect: &impl Dialect, event: Event, keys: usize) -> String {
    let key = read_key(dialect);
    let keys = of_keys(dialect, keys);
    format!("SELECT DISTINCT {key} FROM {}{keys} AND verdict = '{event}'", dialect.table())
}

/// Reads run, event, status and lengths of the log entries of a selection, in the order in which they were
/// added; returned with its parameters.
pub(super) fn select_log_filtered<D: Dialect>(
    dialect: &D,
    partitions: &Selection,
) -> (String, Vec<String>) {
    let (conditions, parameters) = selected(dialect, partitions);
    let is_read = |column: &str| {
        COLUMNS[..KEY_COLUMNS].contains(&column)
            || matches!(column, "run_id" | "verdict" | "status" | "seal_bytes" | "payload_bytes")
    };
    let columns = D::COLUMNS
        .iter()
        .map(|column| if is_read(column) { dialect.read(column) } else { "NULL".to_owned() });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let sql =
        format!("SELECT {columns} FROM {}{} ORDER BY seq", dialect.table(), when(&conditions));
    (sql, parameters)
}

/// Creates records unless their keys exist, and returns the keys of those created, as text;
/// parameters: the rows of all columns. Names the key columns, so that a table without that key is an
/// error.
#[cfg(feature = "postgres")]
pub(super) fn insert_unless_exists(dialect: &impl Dialect, rows: usize) -> String {
    let (insert, created) = (insert(dialect, rows), read_key(dialect));
    format!("{insert} ON CONFLICT ({}) DO NOTHING RETURNING {created}", key_columns())
}

/// Creates rows; parameters: the rows of all columns.
pub(super) fn insert<D: Dialect>(dialect: &D, rows: usize) -> String {
    let values = dialect.rows(D::COLUMNS, rows);
    let (table, columns) = (dialect.table(), D::COLUMNS.join(", "));
    format!("INSERT{} INTO {table} ({columns}) {values}", D::OR_ABORT)
}

/// Changes records; parameters: the rows of all columns.
#[cfg(feature = "postgres")]
pub(super) fn update_many(dialect: &impl Dialect, rows: usize) -> String {
    let (key, rest) = COLUMNS.split_at(KEY_COLUMNS);
    let (table, rows) = (dialect.table(), dialect.rows(&COLUMNS, rows));
    let set = rest.iter().map(|column| format!("{column} = new.{column}"));
    let set = set.collect::<Vec<_>>().join(", ");
    let same = key.iter().map(|column| format!("{table}.{column} = new.{column}"));
    let same = same.collect::<Vec<_>>().join(" AND ");
    format!("UPDATE {table} SET {set} FROM ({rows}) AS new WHERE {same}")
}

/// Changes one record; parameters: all columns.
#[cfg(feature = "sqlite")]
pub(super) fn update<D: Dialect>(dialect: &D) -> String {
    let set = numbered(&COLUMNS)
        .skip(KEY_COLUMNS)
        .map(|(column, number)| format!("{column} = {}", dialect.value(column, number)));
    let set = set.collect::<Vec<_>>().join(", ");
    format!("UPDATE{} {} SET {set}{}", D::OR_ABORT, dialect.table(), of_key(dialect))
}

/// Reads the records that pass a filter, sorted by key; returned with its parameters.
pub(super) fn select_filtered(dialect: &impl Dialect, filter: &Filter) -> (String, Vec<String>) {
    let (conditions, parameters) = passing(dialect, filter);
    let sql = format!("{}{}", select(dialect), when(&conditions));
    (format!("{sql} ORDER BY {}", order(dialect)), parameters)
}

/// How a statement compares keys.
pub(super) struct KeyComparison {
    /// The key columns, as expressions that compare byte by byte.
    pub(super) keys: [String; KEY_COLUMNS],
    /// The rows for which this is right; all without a condition.
    pub(super) condition: Option<String>,
}

/// Compares keys by the text of their columns. A missing value of a malformed record compares like an
/// empty one.
pub(super) fn compare_texts<D: Dialect>(dialect: &D) -> KeyComparison {
    let keys = std::array::from_fn(|column| {
        format!("COALESCE({}, ''){}", dialect.read(COLUMNS[column]), D::BYTEWISE)
    });
    KeyComparison { keys, condition: None }
}

/// Reads up to `limit` records that pass a filter, sorted by key, from a position on; returned with its
/// parameters.
pub(super) fn select_page(
    dialect: &impl Dialect,
    KeyComparison { keys, condition }: KeyComparison,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
) -> (String, Vec<String>) {
    let (mut conditions, mut parameters) = passing(dialect, filter);
    conditions.extend(condition);
    let keys = keys.join(", ");
    if let Some(Cursor { key, .. }) = after {
        let first = parameters.len() + 1;
        let last = (first..first + KEY_COLUMNS).map(|number| dialect.parameter(number));
        conditions.push(format!("({keys}) > ({})", last.collect::<Vec<_>>().join(", ")));
        parameters.extend(key.iter().cloned());
    }
    let sql = format!("{}{}", select(dialect), when(&conditions));
    (format!("{sql} ORDER BY {keys} LIMIT {limit}"), parameters)
}

/// Returns the conditions of a filter and their parameters.
fn passing(dialect: &impl Dialect, filter: &Filter) -> (Vec<String>, Vec<String>) {
    let Filter { partitions, status } = filter;
    let (mut conditions, mut parameters) = selected(dialect, partitions);
    if let Some(status) = status.map(Status::as_str) {
        parameters.push(status.to_owned());
        conditions.push(format!("status = {}", dialect.value("status", parameters.len())));
    }
    (conditions, parameters)
}

/// Returns the conditions of a selection and their parameters.
fn selected(dialect: &impl Dialect, partitions: &Selection) -> (Vec<String>, Vec<String>) {
    let (mut conditions, mut parameters) = (Vec::new(), Vec::new());
    for (column, value) in [
        ("source", partitions.source.as_deref()),
        ("customer_id", partitions.customer_id.as_deref()),
        ("query_name", partitions.query_name.as_deref()),
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
    (conditions, parameters)
}

fn when(conditions: &[String]) -> String {
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    }
}

/// Returns the order of keys, byte by byte.
fn order(dialect: &impl Dialect) -> String {
    let columns = COLUMNS[..KEY_COLUMNS].iter().map(|column| bytewise(dialect, column));
    columns.collect::<Vec<_>>().join(", ")
}

fn bytewise<D: Dialect>(dialect: &D, column: &str) -> String {
    dialect.read(column) + D::BYTEWISE
}

/// Returns columns with the numbers of their parameters, from 1.
fn numbered(columns: &'static [&'static str]) -> impl Iterator<Item = (&'static str, usize)> {
    columns.iter().zip(1..).map(|(column, number)| (*column, number))
}
