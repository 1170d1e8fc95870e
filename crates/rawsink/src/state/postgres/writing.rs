//! Makes changes in one transaction: locks records, reads them and their logs, writes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};

use super::{
    PostgresState, RETRIES,
    connect::within,
    fault::PgFault,
    log::LogTable,
    statement::bound_rows,
    table::{FoundTable, Uniqueness},
    text,
};
use crate::{
    error::Result,
    partition::PartitionKey,
    state::{Change, Record, batch::Batch, combined, log as entries, row, sql},
};

/// Prevents other writers from adding the same key if no constraint does.
const LOCK_TABLE: &str = "LOCK TABLE partition_state IN SHARE ROW EXCLUSIVE MODE";

/// What is wrong with a table whose triggers or policies keep a record from being written.
const REFUSED: &str = "accepts neither an insert nor an update of the record";

impl PostgresState {
    /// Makes changes in one transaction.
    pub(super) async fn write(
        &self,
        changes: &[(PartitionKey, Change)],
        now: Timestamp,
    ) -> Result<Vec<Result<Option<Record>>>, PgFault> {
        let mut lease = self.connections.lease().await?;
        let patience = self.connections.patience();
        let apply = self.apply(&mut lease.connection, changes, now);
        let (transaction, outcomes) = within(patience, apply).await?;
        within(patience, transaction.commit()).await.map_err(PgFault::of_commit)?;
        self.connections.keep(lease);
        Ok(outcomes)
    }

    /// Applies changes and returns the open transaction.
    async fn apply<'lease>(
        &self,
        connection: &'lease mut PgConnection,
        changes: &[(PartitionKey, Change)],
        now: Timestamp,
    ) -> Result<(Transaction<'lease, Postgres>, Vec<Result<Option<Record>>>), PgFault> {
        let (table, _) = self.ensure_table(connection).await?;
        let log = self.ensure_log(connection).await?;
        let begin = AssertSqlSafe(self.connections.begin());
        let mut transaction = connection.begin_with(begin).await?;
        if table.uniqueness == Uniqueness::Unknown {
            sqlx::query(LOCK_TABLE).execute(&mut *transaction).await?;
        }
        let mut outcomes: Vec<Option<Result<Option<Record>>>> =
            changes.iter().map(|_| None).collect();
        for _ in 0..RETRIES {
            let open: Vec<usize> =
                (0..changes.len()).filter(|index| outcomes[*index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let open_changes: Vec<_> = open.iter().map(|index| &changes[*index]).collect();
            let (batch, others) = self
                .apply_open(&mut transaction, &table, log.as_deref(), &open_changes, now)
                .await?;
            for (index, outcome) in open.into_iter().zip(batch.outcomes) {
                // Another host has just created these records: read them.
                if !others.contains(&changes[index].0) {
                    outcomes[index] = Some(outcome);
                }
            }
        }
        let outcomes: Option<Vec<_>> = outcomes.into_iter().collect();
        Ok((transaction, outcomes.ok_or_else(|| PgFault::table(REFUSED))?))
    }

    /// Locks the records, reads them and the log, applies the changes and writes. Also returns the
    /// partitions whose changes were not written.
    async fn apply_open(
        &self,
        connection: &mut PgConnection,
        table: &FoundTable,
        log: Option<&LogTable>,
        changes: &[&(PartitionKey, Change)],
        now: Timestamp,
    ) -> Result<(Batch, BTreeSet<PartitionKey>), PgFault> {
        let keys: BTreeSet<&PartitionKey> = changes.iter().map(|(key, _)| key).collect();
        let keys: Vec<PartitionKey> = keys.into_iter().cloned().collect();
        let locked = sql::select_many_locked(table, keys.len());
        let records = self.records(connection, locked, &keys).await?;
        let logs = match log {
            Some(log) => Some(self.log_entries(connection, log, &keys).await?),
            None => None,
        };
        let histories = combined(&keys, records, logs);
        let batch = Batch::apply(histories, changes.iter().copied(), now);
        let others = write_records(connection, table, &batch).await?;
        if let Some(log) = log {
            let mut values = Vec::new();
            for (key, entry) in batch.entries.iter().filter(|(key, _)| !others.contains(key)) {
                values.extend(entries::values(key, &self.origin.sign(entry.clone()))?);
            }
            let columns = entries::COLUMNS.len();
            if !values.is_empty() {
                let insert = sql::insert(log, values.len() / columns);
                let done = bound_rows(insert, columns, values).execute(connection).await;
                done.map_err(|cause| log.explain(cause.into()))?;
            }
        }
        Ok((batch, others))
    }
}

/// Writes the records of a batch, and returns the partitions that were not written.
async fn write_records(
    connection: &mut PgConnection,
    table: &FoundTable,
    batch: &Batch,
) -> Result<BTreeSet<PartitionKey>, PgFault> {
    let (mut changed, mut created) = (Vec::new(), Vec::new());
    let mut others = BTreeSet::new();
    for (key, (record, had_record)) in &batch.records {
        let values = row::values(key, record)?;
        if *had_record {
            changed.extend(values);
        } else {
            created.extend(values);
            others.insert(key.clone());
        }
    }
    let columns = row::COLUMNS.len();
    // A record that is there several times would hide that another is not written.
    let is_unique = table.uniqueness == Uniqueness::Kept;
    let at_once = if is_unique { changed.len().max(1) } else { columns };
    for rows in changed.chunks(at_once) {
        let count = rows.len() / columns;
        let update = bound_rows(sql::update_many(table, count), columns, rows.iter().cloned());
        // The rows are locked. A trigger or a policy may still keep them.
        if update.execute(&mut *connection).await?.rows_affected() < count as u64 {
            return Err(PgFault::table(REFUSED));
        }
    }
    if created.is_empty() {
        return Ok(others);
    }
    let count = created.len() / columns;
    if !is_unique {
        let insert = bound_rows(sql::insert(table, count), columns, created);
        insert.execute(&mut *connection).await?;
        return Ok(BTreeSet::new());
    }
    let insert = bound_rows(sql::insert_unless_exists(table, count), columns, created);
    for row in insert.fetch_all(&mut *connection).await? {
        if let Ok(key) = row::key(&|column| text(&row, column)) {
            others.remove(&key);
        }
    }
    Ok(others)
}
