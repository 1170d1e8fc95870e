//! Statements and their parameters, which are text.
//!
//! A statement on many rows has one array for each column. So its text does not depend on the number of rows,
//! and the server parses it once for each connection.

use sqlx::{AssertSqlSafe, Postgres, postgres::PgArguments, query::Query};

use crate::{
    partition::PartitionKey,
    state::{
        page::{KEY_COLUMNS, key_values},
        sql::Dialect,
    },
};

/// A statement with its parameters.
pub(super) type PgQuery = Query<'static, Postgres, PgArguments>;

/// Returns a statement with its parameters.
pub(super) fn bound(sql: String, parameters: impl IntoIterator<Item = Option<String>>) -> PgQuery {
    let query = sqlx::query(AssertSqlSafe(sql));
    parameters.into_iter().fold(query, Query::bind)
}

/// Returns a statement with the values of [`unnested`] rows: the columns of each row in turn.
pub(super) fn bound_rows(
    sql: String,
    columns: usize,
    values: impl IntoIterator<Item = Option<String>>,
) -> PgQuery {
    let mut arrays = vec![Vec::new(); columns];
    for (index, value) in values.into_iter().enumerate() {
        arrays[index % columns].push(value);
    }
    arrays.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), Query::bind)
}

/// Returns a statement on the rows of several keys.
pub(super) fn of_keys(sql: String, keys: &[PartitionKey]) -> PgQuery {
    bound_rows(sql, KEY_COLUMNS, keys.iter().flat_map(key_values).map(Some))
}

/// Returns the query that yields the rows of parameters: an array of text for each column.
pub(super) fn unnested(dialect: &impl Dialect, columns: &[&str]) -> String {
    let typed = columns.iter().map(|column| dialect.typed(column, (*column).to_owned()));
    let arrays =
        (1..=columns.len()).map(|number| format!("CAST({} AS text[])", dialect.parameter(number)));
    format!(
        "SELECT {} FROM unnest({}) AS given ({})",
        typed.collect::<Vec<_>>().join(", "),
        arrays.collect::<Vec<_>>().join(", "),
        columns.join(", ")
    )
}
