//! The verdict log's table: where it is, its creation, and who may use it.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{fault::PgFault, statement::unnested};
use crate::state::{log, sql::Dialect};

/// The schema of `partition_state`, whether the log exists in it, and whether this role may create one.
const INSPECT: &str = "SELECT quote_ident(n.nspname), quote_ident(current_user), \
    to_regclass(quote_ident(n.nspname) || '.run_verdict') IS NOT NULL, \
    has_schema_privilege(n.oid, 'CREATE') \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.oid = to_regclass('partition_state')";

/// The roles that may use `partition_state`, and what they may do with the log: a role that reads
/// records reads the log, and a role that changes records appends to it.
const GRANTS: &str = "SELECT DISTINCT \
        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END, \
        CASE WHEN a.privilege_type = 'SELECT' THEN 'SELECT' ELSE 'INSERT' END \
    FROM pg_class c \
    CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a \
    LEFT JOIN pg_roles r ON r.oid = a.grantee \
    WHERE c.oid = to_regclass('partition_state') \
        AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE') \
        AND (a.grantee = 0 OR r.rolname <> current_user)";

/// The table `run_verdict` in the schema of `partition_state`.
#[derive(Debug)]
pub(super) struct LogTable {
    /// Its name with its schema, quoted.
    name: String,
    /// The role that uses it, quoted.
    role: String,
}

/// What was found of the log.
#[derive(Debug)]
pub(super) enum Found {
    /// It exists.
    Table(LogTable),
    /// It does not exist, and this role may create it, or try to.
    Creatable(LogTable),
    /// It does not exist, and this role may not create it.
    Refused(LogTable),
    /// The table of the records does not exist.
    NoRecords,
}

impl Dialect for LogTable {
    const BYTEWISE: &'static str = " COLLATE \"C\"";

    const COLUMNS: &'static [&'static str] = &log::COLUMNS;

    fn table(&self) -> &str {
        &self.name
    }

    fn read(&self, column: &str) -> String {
        format!("CAST({column} AS text)")
    }

    fn parameter(&self, number: usize) -> String {
        format!("${number}")
    }

    fn rows(&self, columns: &[&str], _count: usize) -> String {
        unnested(self, columns)
    }

    fn typed(&self, column: &str, parameter: String) -> String {
        match column {
            "logical_date" => format!("CAST({parameter} AS date)"),
            "judged_at" => format!("CAST({parameter} AS timestamp with time zone)"),
            _ if log::is_count(column) => format!("CAST({parameter} AS bigint)"),
            _ => parameter,
        }
    }
}

impl LogTable {
    /// Names the statement that is missing, if the server refused this role.
    pub(super) fn explain(&self, fault: PgFault) -> PgFault {
        if !fault.is_missing_privilege() {
            return fault;
        }
        let Self { name, role } = self;
        let message = format!(
            "no permission for the verdict log: GRANT SELECT, INSERT ON {name} TO {role} (readers \
             need SELECT only)"
        );
        PgFault::Explained(message, Box::new(fault))
    }

    /// Returns the statements that create the table, for a role that may.
    pub(super) fn statements(&self) -> [String; 2] {
        log::postgres_schema(&self.name)
    }
}

/// Finds the log.
pub(super) async fn inspect(connection: &mut PgConnection) -> Result<Found, PgFault> {
    let found: Option<(String, String, bool, bool)> =
        sqlx::query_as(INSPECT).fetch_optional(connection).await?;
    Ok(match found {
        None => Found::NoRecords,
        Some((schema, role, exists, may_create)) => {
            let table = LogTable { name: format!("{schema}.run_verdict"), role };
            match (exists, may_create) {
                (true, _) => Found::Table(table),
                (false, true) => Found::Creatable(table),
                (false, false) => Found::Refused(table),
            }
        }
    })
}

/// Creates the table, for all roles that may use `partition_state`.
pub(super) async fn create(
    connection: &mut PgConnection,
    begin: String,
    table: &LogTable,
) -> Result<(), PgFault> {
    let mut transaction = connection.begin_with(AssertSqlSafe(begin)).await?;
    let created = async {
        for sql in table.statements() {
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        }
        let grants: Vec<(String, String)> =
            sqlx::query_as(GRANTS).fetch_all(&mut *transaction).await?;
        for (role, privilege) in grants {
            let grant = format!("GRANT {privilege} ON {} TO {role}", table.table());
            sqlx::query(AssertSqlSafe(grant)).execute(&mut *transaction).await?;
        }
        Ok(())
    };
    let created: Result<(), PgFault> = created.await;
    match created {
        Ok(()) => Ok(transaction.commit().await?),
        Err(refused) => {
            transaction.rollback().await?;
            Err(refused)
        }
    }
}
