//! A new SQLite file.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use rawsink::state::{PartitionState, SqliteState};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{Database, Sql};
use crate::states::StateBackend;

pub struct Sqlite {
    pub folder: TempDir,
}

#[expect(clippy::new_without_default, reason = "it creates a folder")]
impl Sqlite {
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }
}

impl StateBackend for Sqlite {
    fn state(&self) -> Box<dyn PartitionState> {
        Box::new(SqliteState::new(self.path()).busy_timeout(Duration::from_millis(200)))
    }

    fn patient_state(&self) -> Box<dyn PartitionState> {
        Box::new(SqliteState::new(self.path()))
    }
}

#[async_trait]
impl Database for Sqlite {
    async fn connect(&self) -> Box<dyn Sql> {
        let options = SqliteConnectOptions::new().filename(self.path()).create_if_missing(true);
        Box::new(options.connect().await.unwrap())
    }

    fn contract(&self) -> &'static str {
        "CREATE TABLE partition_state (source TEXT, customer_id TEXT, query_name TEXT, logical_date TEXT, \
         status TEXT, current_run_id TEXT, schema_version TEXT, record_count BIGINT, updated_at TEXT, \
         error_message TEXT, attempt_count INTEGER, \
         PRIMARY KEY (source, customer_id, query_name, logical_date))"
    }

    async fn columns(&self) -> Vec<String> {
        let names = "SELECT name FROM pragma_table_info('partition_state')";
        self.connect().await.texts(names).await.into_iter().flatten().collect()
    }

    fn close_table(&self) -> &'static str {
        "BEGIN EXCLUSIVE"
    }
}

#[async_trait]
impl Sql for SqliteConnection {
    async fn attempt(&mut self, sql: &str) -> sqlx::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(self).await.map(|_| ())
    }

    async fn texts(&mut self, sql: &str) -> Vec<Option<String>> {
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(self).await.unwrap();
        rows.iter().map(|row| row.try_get(0).unwrap()).collect()
    }
}
