//! Peak memory of a manifest, for any number of partitions.

use std::os::unix::fs::symlink;

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::{
    budget::{PEAK_MIB, judge},
    lab::{Lab, PARTITION, ROWS, Sink},
    on_runtime, rows,
};

/// The customer of [`PARTITION`]; the directories of the others are links to it.
const CUSTOMER: &str = "data/ads/customer_id=123";

/// Prints the table for these numbers of partitions.
#[expect(clippy::cast_precision_loss, reason = "shown without digits")]
pub(crate) fn table(lab: &Lab, counts: &[u64]) {
    let (lab, sink) = (&lab.with("RAW_SINK_FOLLOW_LINKS", "1"), Sink::Filesystem);
    lab.clear(sink);
    // Missing if no table before this one validated anything.
    let _ = std::fs::remove_file(lab.dir.join("state.db"));
    rows::generate(&lab.dir.join(ROWS), 1);
    lab.program(sink, &["write", PARTITION, ROWS]);
    lab.program(sink, &["validate", PARTITION, "--latest"]);
    println!(
        "\n| partitions | peak memory of `manifest` | CPU of each | budget | verdict |\n|---|---|---|---|---|"
    );
    let mut existing = 1;
    for count in counts {
        multiply(lab, existing, *count);
        existing = existing.max(*count);
        let usage = lab.program(sink, &["manifest"]);
        let micros = usage.cpu_s * 1e6 / *count as f64;
        println!(
            "| {count} | {:.1} MiB | {micros:.0} us | {PEAK_MIB} MiB | {} |",
            usage.peak_mib,
            judge(usage.peak_mib, PEAK_MIB)
        );
    }
    lab.clear(sink);
}

/// Copies the validated partition for more customers, with its record and its verdict.
fn multiply(lab: &Lab, existing: u64, count: u64) {
    for number in existing..count {
        let link = lab.dir.join(format!("data/ads/customer_id=c{number}"));
        symlink(lab.dir.join(CUSTOMER), link).unwrap();
    }
    let others = format!(
        "WITH RECURSIVE number(n) AS (SELECT {existing} UNION ALL SELECT n + 1 FROM number WHERE n + 1 < {count}) \
         SELECT source, 'c' || n, query_name, logical_date,"
    );
    let record = "status, current_run_id, schema_version, record_count, updated_at, error_message, attempt_count";
    let verdict = "run_id, verdict, seal_sha256, seal_bytes, seal_writer, payload_sha256, payload_bytes, \
        record_count, schema_version, reason, attempt, status, sink_uri, judged_at, judged_by";
    let copies = [("partition_state", record), ("run_verdict", verdict)].map(|(table, columns)| {
        format!(
            "INSERT INTO {table} (source, customer_id, query_name, logical_date, {columns}) \
             {others} {columns} FROM number, {table} WHERE customer_id = '123'"
        )
    });
    let file = format!("sqlite:{}", lab.dir.join("state.db").display());
    on_runtime(async {
        let mut database = SqliteConnection::connect(&file).await.unwrap();
        for copy in copies {
            sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut database).await.unwrap();
        }
        database.close().await.unwrap();
    });
}
