//! The tables, and how statements read and write their columns.

use sqlx::SqliteConnection;

use crate::state::{
    log,
    page::KEY_COLUMNS,
    row::{self, COLUMNS},
    sql::{Dialect, KeyComparison},
};

pub(super) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS partition_state (
    source TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    query_name TEXT NOT NULL,
    logical_date TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'success', 'failed')),
    current_run_id TEXT,
    schema_version TEXT,
    record_count BIGINT,
    updated_at TEXT NOT NULL,
    error_message TEXT,
    attempt_count INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source, customer_id, query_name, logical_date)
)";

/// The longest text that is read, in bytes.
const LONGEST_TEXT: usize = 1 << 20;

const KEY: &[&str] = COLUMNS.split_at(KEY_COLUMNS).0;

/// The table of the records.
pub(super) struct Records;

/// The table of the verdict log.
pub(super) struct Log;

impl Dialect for Records {
    /// Overrides the collation that other software may have declared.
    const BYTEWISE: &'static str = " COLLATE BINARY";

    /// Overrides `ON CONFLICT IGNORE` and `ON CONFLICT REPLACE`.
    const OR_ABORT: &'static str = " OR ABORT";

    const COLUMNS: &'static [&'static str] = &COLUMNS;

    fn table(&self) -> &'static str {
        "partition_state"
    }

    fn read(&self, column: &str) -> String {
        if row::is_count(column) {
            let whole = format!("CAST({column} AS INTEGER)");
            format!(
                "CAST(CASE typeof({column}) WHEN 'real' THEN {whole} ELSE {column} END AS TEXT)"
            )
        } else {
            read_text(column)
        }
    }

    fn parameter(&self, number: usize) -> String {
        format!("?{number}")
    }

    fn rows(&self, columns: &[&str], count: usize) -> String {
        values(self, columns, count)
    }

    /// The affinity of the column converts text. A column without affinity needs an integer.
    fn typed(&self, column: &str, parameter: String) -> String {
        if row::is_count(column) { format!("CAST({parameter} AS INTEGER)") } else { parameter }
    }
}

impl Dialect for Log {
    const BYTEWISE: &'static str = "";

    const OR_ABORT: &'static str = Records::OR_ABORT;

    const COLUMNS: &'static [&'static str] = &log::COLUMNS;

    fn table(&self) -> &'static str {
        "run_verdict"
    }

    fn read(&self, column: &str) -> String {
        read_text(column)
    }

    fn parameter(&self, number: usize) -> String {
        format!("?{number}")
    }

    fn rows(&self, columns: &[&str], count: usize) -> String {
        values(self, columns, count)
    }

    /// The affinity of the column converts text.
    fn typed(&self, _column: &str, parameter: String) -> String {
        parameter
    }
}

/// Returns rows of parameters: the columns of each row in turn. They have no numbers: SQLite looks up each
/// numbered one by one, which takes most of the time of a statement with thousands of them.
fn values(dialect: &impl Dialect, columns: &[&str], count: usize) -> String {
    let row = columns.iter().map(|column| dialect.typed(column, "?".to_owned()));
    let row = format!("({})", row.collect::<Vec<_>>().join(", "));
    format!("VALUES {}", vec![row; count].join(", "))
}

/// Compares keys by their columns, which can use an index. Leaves out values of other types that other
/// software adds while the records are listed: they sort after all text, so the listing would not end.
pub(super) fn compare_columns() -> KeyComparison {
    let keys = std::array::from_fn(|column| format!("{}{}", COLUMNS[column], Records::BYTEWISE));
    let condition =
        COLUMNS[..KEY_COLUMNS].iter().map(|column| format!("typeof({column}) = 'text'"));
    KeyComparison { keys, condition: Some(condition.collect::<Vec<_>>().join(" AND ")) }
}

/// Returns the expression that reads a column as text. Text that other software made endless is not loaded.
fn read_text(column: &str) -> String {
    if KEY.contains(&column) {
        // An expression that an index can serve.
        return format!("CAST({column} AS TEXT)");
    }
    format!(
        "CASE WHEN octet_length({column}) > {LONGEST_TEXT} THEN '(longer than 1 MiB)' \
         ELSE CAST({column} AS TEXT) END"
    )
}

/// Returns whether a table exists.
///
/// # Errors
/// `Protocol` for a view or a virtual table of its name, which may run any code and never end.
pub(super) async fn has_table(
    connection: &mut SqliteConnection,
    table: &impl Dialect,
) -> Result<bool, sqlx::Error> {
    let sql = "SELECT type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' FROM sqlite_master \
               WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')";
    let name = table.table();
    match sqlx::query_scalar(sql).bind(name).fetch_optional(connection).await? {
        None => Ok(false),
        Some(true) => Ok(true),
        Some(false) => Err(sqlx::Error::Protocol(format!("{name} is not an ordinary table"))),
    }
}

/// Checks that no trigger runs when a state is recorded.
///
/// # Errors
/// `Protocol` for a trigger on one of the tables. This software creates none, and it could record something
/// else than was written.
pub(super) async fn check_triggers(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let sql = "SELECT name, tbl_name FROM sqlite_master \
               WHERE type = 'trigger' AND lower(tbl_name) IN (?1, ?2) ORDER BY name LIMIT 1";
    let found: Option<(String, String)> = sqlx::query_as(sql)
        .bind(Records.table())
        .bind(Log.table())
        .fetch_optional(connection)
        .await?;
    match found {
        None => Ok(()),
        Some((name, table)) => Err(sqlx::Error::Protocol(format!(
            "{table} has the trigger {name:?}, which could change what is recorded: drop it, or keep the \
             state in another database"
        ))),
    }
}
