//! The table as it is: which types its columns have, and whether a key is unique in it.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::fault::Fault;
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
const LOOK: &str = "SELECT a.attname::text, format_type(a.atttypid, -1), t.typcategory = 'N', \
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

/// Whether the table keeps two records of one key apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uniqueness {
    /// By a primary key or unique index.
    Kept,
    /// Only whoever closes the table can be sure.
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

/// Types are the table's; values travel as text, and the server makes them what the column holds.
impl Dialect for FoundTable {
    const BYTEWISE: &'static str = " COLLATE \"C\"";

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

    fn typed(&self, column: &str, parameter: String) -> String {
        match self.column(column).sql_type.as_str() {
            "text" => parameter,
            sql_type => format!("CAST({parameter} AS {sql_type})"),
        }
    }
}

/// Looks at the table; `None` where there is none.
pub(super) async fn look(connection: &mut PgConnection) -> Result<Option<FoundTable>, Fault> {
    let rows: Vec<(String, String, bool, bool)> =
        sqlx::query_as(LOOK).fetch_all(connection).await?;
    let Some((.., has_key)) = rows.first() else { return Ok(None) };
    let uniqueness = if *has_key { Uniqueness::Kept } else { Uniqueness::Unknown };
    let column = |(name, sql_type, is_numeric, _)| Column { name, sql_type, is_numeric };
    let columns: Vec<Column> = rows.into_iter().map(column).collect();
    for name in COLUMNS {
        if !columns.iter().any(|column| column.name == name) {
            return Err(Fault::table(format!("has no column {name}")));
        }
    }
    Ok(Some(FoundTable { columns, uniqueness }))
}

/// Makes the table.
pub(super) async fn make(connection: &mut PgConnection, begin: String) -> Result<(), Fault> {
    let mut transaction = connection.begin_with(AssertSqlSafe(begin)).await?;
    match sqlx::query(SCHEMA).execute(&mut *transaction).await {
        Ok(_) => Ok(transaction.commit().await?),
        Err(refused) => {
            transaction.rollback().await?;
            Err(refused.into())
        }
    }
}
