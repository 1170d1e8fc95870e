//! Inspects the table: the types of its columns, and whether a key is unique in it.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{fault::PgFault, statement::unnested};
use crate::state::{
    row::{COLUMNS, is_count},
    sql::Dialect,
};

const SCHEMA: &str = "CREATE TABLE partition_state (
    source text NOT NULL,
    customer_id text NOT NULL,
    query_name text NOT NULL,
    logical_date date NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'success', 'failed')),
    current_run_id text,
    schema_version text,
    record_count bigint,
    updated_at timestamp with time zone NOT NULL,
    error_message text,
    attempt_count integer NOT NULL DEFAULT 0,
    PRIMARY KEY (source, customer_id, query_name, logical_date)
)";

/// Each column with its type (without a length: a cast would cut), whether it is numeric, and
/// whether the table has a unique index on exactly the key, which `ON CONFLICT` can use.
const INSPECT: &str = "SELECT a.attname::text, format_type(a.atttypid, -1), t.typcategory = 'N', \
    EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid \
        AND i.indisunique AND i.indisvalid AND i.indimmediate \
        AND i.indpred IS NULL AND i.indexprs IS NULL \
        AND (SELECT array_agg(k.attname::text ORDER BY k.attname::text COLLATE \"C\") FROM pg_attribute k \
             WHERE k.attrelid = i.indrelid AND k.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) \
            = ARRAY['customer_id', 'logical_date', 'query_name', 'source']) \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
    WHERE a.attrelid = to_regclass('partition_state') AND a.attnum > 0 AND NOT a.attisdropped";

/// A table with every column of the contract.
#[derive(Debug)]
pub(super) struct FoundTable {
    columns: Vec<Column>,
    pub(super) uniqueness: Uniqueness,
}

/// Whether the table prevents two records of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uniqueness {
    /// A primary key or unique index prevents them.
    Kept,
    /// Nothing prevents them: a writer must lock the table.
    Unknown,
}

#[derive(Debug)]
struct Column {
    name: String,
    sql_type: String,
    is_numeric: bool,
}

impl FoundTable {
    fn column(&self, name: &str) -> &Column {
        self.columns.iter().find(|column| column.name == name).expect("every column was found")
    }
}

/// Sends values as text; the server casts them to the column's type.
impl Dialect for FoundTable {
    const BYTEWISE: &'static str = " COLLATE \"C\"";

    const COLUMNS: &'static [&'static str] = &COLUMNS;

    fn table(&self) -> &'static str {
        "partition_state"
    }

    fn read(&self, column: &str) -> String {
        if is_count(column) && self.column(column).is_numeric {
            format!("CAST(trunc(CAST({column} AS numeric)) AS text)")
        } else {
            format!("CAST({column} AS text)")
        }
    }

    fn parameter(&self, number: usize) -> String {
        format!("${number}")
    }

    fn rows(&self, columns: &[&str], _count: usize) -> String {
        unnested(self, columns)
    }

    fn typed(&self, column: &str, parameter: String) -> String {
        match self.column(column).sql_type.as_str() {
            "text" => parameter,
            sql_type => format!("CAST({parameter} AS {sql_type})"),
        }
    }
}

/// Describes the table; `None` if it does not exist.
pub(super) async fn inspect(connection: &mut PgConnection) -> Result<Option<FoundTable>, PgFault> {
    let rows: Vec<(String, String, bool, bool)> =
        sqlx::query_as(INSPECT).fetch_all(connection).await?;
    let Some((.., has_key)) = rows.first() else { return Ok(None) };
    let uniqueness = if *has_key { Uniqueness::Kept } else { Uniqueness::Unknown };
    let column = |(name, sql_type, is_numeric, _)| Column { name, sql_type, is_numeric };
    let columns: Vec<Column> = rows.into_iter().map(column).collect();
    for name in COLUMNS {
        if !columns.iter().any(|column| column.name == name) {
            return Err(PgFault::table(format!("has no column {name}")));
        }
    }
    Ok(Some(FoundTable { columns, uniqueness }))
}

/// Creates the table.
pub(super) async fn create(connection: &mut PgConnection, begin: String) -> Result<(), PgFault> {
    let mut transaction = connection.begin_with(AssertSqlSafe(begin)).await?;
    match sqlx::query(SCHEMA).execute(&mut *transaction).await {
        Ok(_) => Ok(transaction.commit().await?),
        Err(refused) => {
            transaction.rollback().await?;
            Err(refused.into())
        }
    }
}
