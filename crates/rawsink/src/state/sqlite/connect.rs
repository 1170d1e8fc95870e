//! Connections for reading and for writing.

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{
    ConnectOptions, Connection, Sqlite, SqliteConnection, Transaction, sqlite::SqliteConnectOptions,
};

use super::{
    SqliteState,
    fault::{needs_recovery, unavailable},
    tables::{Records, check_triggers, has_table},
};
use crate::{
    error::{Error, Result},
    runtime::waits::Seconds,
};

/// Modes of what is created, less the umask. SQLite gives its other files the mode of the database.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

impl SqliteState {
    /// Opens for reading; `None` if the database or the table of the records does not exist.
    pub(super) async fn reader(&self) -> Result<Option<SqliteConnection>> {
        let Some(mut connection) = self.file_reader().await? else { return Ok(None) };
        let has_table = has_table(&mut connection, &Records).await;
        Ok(has_table.map_err(|cause| self.error(cause))?.then_some(connection))
    }

    /// Opens for reading; `None` if the database does not exist.
    pub(super) async fn file_reader(&self) -> Result<Option<SqliteConnection>> {
        if !self.exists()? {
            return Ok(None);
        }
        let connect = async {
            match self.connect_for_reading(self.options().read_only(true)).await {
                Err(cause) if needs_recovery(&cause) => {
                    self.connect_for_reading(self.options()).await
                }
                found => found,
            }
        };
        self.locked(connect).await.map(Some)
    }

    /// Connects and begins a read transaction.
    ///
    /// Until the connection is closed, the transaction prevents other processes from changing the
    /// file, and so from crashing during a change.
    pub(super) async fn connect_for_reading(
        &self,
        options: SqliteConnectOptions,
    ) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = options.connect().await?;
        sqlx::query("BEGIN").execute(&mut connection).await?;
        // The transaction begins with the first statement that reads.
        check_triggers(&mut connection).await?;
        Ok(connection)
    }

    /// Opens for writing and creates a missing file.
    pub(super) async fn writer(&self) -> Result<SqliteConnection> {
        if !self.exists()? {
            self.create().map_err(|cause| unavailable(&cause, &self.path))?;
        }
        self.options().connect().await.map_err(|cause| self.error(cause))
    }

    /// Creates an empty file, which is a database without tables, and its directories. Another process may
    /// have created them since.
    ///
    /// The file gets its name when it is closed. A process that closes a database loses the locks that it
    /// has on it by other descriptors: those of SQLite, in another thread.
    fn create(&self) -> io::Result<()> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(self.directory())?;
        // A link may lead to a file that does not exist yet.
        let target = std::fs::read_link(&self.path);
        let path = target.map_or_else(|_| self.path.clone(), |to| self.directory().join(to));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut staged = path.clone().into_os_string();
        staged.push(format!(".new-{}-{number}", std::process::id()));
        OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&staged)?;
        let linked = std::fs::hard_link(&staged, &path);
        std::fs::remove_file(&staged)?;
        match linked {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => {
                // This file system has no hard links.
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(FILE_MODE)
                    .open(&path)
                    .map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the file exists.
    ///
    /// # Errors
    /// `Invalid` for anything but a regular file. Opening a named pipe would wait for ever.
    fn exists(&self) -> Result<bool> {
        for suffix in ["-journal", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            is_regular_file(Path::new(&path), "a file of the state database")?;
        }
        is_regular_file(&self.path, "the state database")
    }

    /// Returns the directory that the file is in.
    pub(super) fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }

    /// Begins a change, which excludes all others.
    pub(super) async fn begin<'lease>(
        &self,
        connection: &'lease mut SqliteConnection,
    ) -> Result<Transaction<'lease, Sqlite>> {
        let mut transaction = self.locked(connection.begin_with("BEGIN IMMEDIATE")).await?;
        check_triggers(&mut transaction).await.map_err(|cause| self.error(cause))?;
        Ok(transaction)
    }

    /// Commits a change, which waits for those who read.
    pub(super) async fn commit(&self, transaction: Transaction<'_, Sqlite>) -> Result<()> {
        self.locked(transaction.commit()).await
    }

    /// Does what may have to wait for the locks of other processes, and reports a long wait.
    async fn locked<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T> {
        let (path, most) = (self.path.display(), Seconds(self.busy_timeout));
        let what = |so_far| {
            format!(
                "waiting for other users of the state database {path} for up to {most}: {so_far} so far"
            )
        };
        let done = self.waits.start().until(work, what).await;
        done.map_err(|cause| self.error(cause))
    }

    fn options(&self) -> SqliteConnectOptions {
        // Views, indexes and defaults that other software made call no function with side effects.
        SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(self.busy_timeout)
            .pragma("trusted_schema", "OFF")
    }
}

/// Returns whether a file exists.
///
/// # Errors
/// `Invalid` for anything but a regular file.
fn is_regular_file(path: &Path, what: &str) -> Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(_) => {
            let message = format!("{what} is not a regular file");
            Err(Error::invalid(message).on_path(path.display()))
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(unavailable(&cause, path)),
    }
}
