//! A random landing and state, and the coverage that the manual specifies for them.

use std::{collections::BTreeMap, fmt::Write};

use proptest::{collection::vec, prelude::*};
use rawsink::{PartitionKey, RunId, layout::Place, store::Object};
use rawsink_ops::coverage::Scope;

use super::{cell_texts, check_random, cover, page};
use rawsink_testkit::{
    backend::{Backend, Bucket, Directory},
    databases::{Database, Sqlite},
    sample::{path, run},
};

pub(super) const CUSTOMERS: [&str; 4] = ["1", "1-2", "<script>\"'&", "]]><!--é"];
const QUERIES: [&str; 2] = ["a", "a b"];
const DAYS: [&str; 3] = ["2024-02-28", "2024-02-29", "2024-03-01"];

/// The objects of one partition: for each of three runs nothing, a payload or a seal, and a record.
#[derive(Debug, Clone)]
struct Drawn {
    runs: [u8; 3],
    record: Option<(&'static str, Option<usize>, Option<usize>)>,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let status = prop_oneof![Just("pending"), Just("success"), Just("failed")];
    let record = (status, prop::option::of(0..3_usize), prop::option::of(0..3_usize));
    let runs = prop::array::uniform3(0..3_u8);
    // Half of the partitions are empty, so that rows and days are missing too.
    let some = (runs, prop::option::of(record)).prop_map(|(runs, record)| Drawn { runs, record });
    prop_oneof![some, Just(Drawn { runs: [0; 3], record: None })]
}

fn name(n: usize) -> RunId {
    run(u16::try_from(n).unwrap())
}

fn reason(n: usize) -> String {
    format!("run {}: it's bad </script>", name(n))
}

/// Returns the partition of a number below 24.
fn key(n: usize) -> PartitionKey {
    PartitionKey::new("ads", CUSTOMERS[n / 6], QUERIES[n / 3 % 2], DAYS[n % 3]).unwrap()
}

async fn land(backend: &dyn Backend, database: &Sqlite, all: &[Drawn]) {
    let mut sql = database.contract().to_owned();
    let text = |text: Option<String>| {
        text.map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
    };
    for (n, Drawn { runs, record }) in all.iter().enumerate() {
        let key = key(n);
        for (n, there) in runs.iter().enumerate() {
            if *there > 0 {
                backend.tamper(&path(&key, &name(n)), Object::Payload, Some(b"{}\n")).await;
            }
            if *there > 1 {
                backend.tamper(&path(&key, &name(n)), Object::Seal, Some(b"{}")).await;
            }
        }
        if let Some((status, current, failed)) = record {
            let customer = text(Some(key.customer_id().to_owned()));
            let _ = write!(
                sql,
                "; INSERT INTO partition_state VALUES ('ads', {customer}, '{}', '{}', '{status}', \
                 {}, 'v1', {n}, '2024-03-02T00:00:00Z', {}, 1)",
                key.query_name(),
                key.logical_date(),
                text(current.map(|n| name(n).to_string())),
                text(failed.map(reason)),
            );
        }
    }
    database.execute(&sql).await;
}

/// Returns a cell as the manual specifies it.
fn expected(n: usize, Drawn { runs, record }: &Drawn) -> String {
    let newest = |kind: u8| (0..3).rev().find(|n| runs[*n] == kind);
    let (sealed, unsealed) = (newest(2), newest(1));
    let status = record.map_or("none", |(status, ..)| status);
    let current = record.and_then(|(_, current, _)| current);
    let failed = record.and_then(|(_, _, failed)| failed);
    let has_authority = status == "success" && current.is_some();
    let readable = current.is_some_and(|n| runs[n] == 2);
    let is_pending = matches!(status, "none" | "pending");
    // The table has no log: a failure that only the record knows is due once more.
    let is_failed = status == "failed";
    let is_newer = |n| current.is_none_or(|c| c < n || (c == n && is_failed));
    let is_due = |n: &usize| runs[*n] == 2 && (is_pending || is_newer(*n));
    let due = (0..3).rev().find(is_due);
    let (standing, about) = if has_authority {
        (if readable { "validated" } else { "lost" }, current)
    } else if sealed.is_some() {
        if status == "failed" { ("failed", sealed) } else { ("sealed", due) }
    } else if unsealed.is_some() {
        ("unsealed", unsealed)
    } else {
        ("missing", None)
    };
    let (lost, unknown) = (standing == "lost", due.is_some());
    let run = |n: Option<usize>| n.map_or("-".to_owned(), |n| name(n).to_string());
    format!(
        "{standing} {} {status} {} {} {} {} lost={lost} unknown={unknown} {} {:?}",
        run(about),
        run(current),
        run(sealed),
        run(unsealed),
        run(due),
        failed.map_or("-".to_owned(), reason),
        record.map(|_| u64::try_from(n).unwrap()),
    )
}

/// Returns the expected cell of every known customer, query and day.
fn all_expected(all: &[Drawn]) -> BTreeMap<String, String> {
    let seen: Vec<usize> = (0..all.len())
        .filter(|n| all[*n].record.is_some() || all[*n].runs.iter().any(|there| *there > 0))
        .collect();
    let (first, last) = (seen.iter().map(|n| n % 3).min(), seen.iter().map(|n| n % 3).max());
    let is_expected = |n: &usize| {
        seen.iter().any(|other| other / 6 == n / 6)
            && seen.iter().any(|other| other / 3 % 2 == n / 3 % 2)
            && first <= Some(n % 3)
            && Some(n % 3) <= last
    };
    let expected = (0..all.len()).filter(is_expected);
    expected.map(|n| (Place::of_partition(&key(n)).to_string(), expected_of(n, all))).collect()
}

fn expected_of(n: usize, all: &[Drawn]) -> String {
    expected(n, &all[n])
}

async fn check(backend: &dyn Backend, all: Vec<Drawn>) {
    let database = Sqlite::new();
    land(backend, &database, &all).await;
    let coverage = cover(backend, &database, &Scope::default()).await;
    assert!(coverage.faults().is_empty(), "{:?}", coverage.faults());
    let told = cell_texts(&coverage);
    assert_eq!(told, all_expected(&all));
    let tally = coverage.tally();
    let count = |what: &str| told.values().filter(|text| text.contains(what)).count();
    assert_eq!(
        [tally.validated, tally.sealed, tally.unsealed, tally.failed, tally.missing, tally.lost],
        ["validated ", "sealed ", "unsealed ", "failed ", "missing ", "lost "]
            .map(|standing| told.values().filter(|text| text.starts_with(standing)).count())
    );
    assert_eq!([tally.withdrawn, tally.unknown], [0, count("unknown=true")]);
    page::assert_page_matches(&coverage, &told);
}

fn landings(cases: u32, fresh: fn() -> Box<dyn Backend>) {
    check_random(cases, &vec(drawn(), 24), async |all| check(&*fresh(), all).await);
}

#[test]
fn coverage_of_a_directory_matches_its_content() {
    landings(24, || Box::new(Directory::default()));
}

#[test]
fn coverage_of_a_bucket_matches_its_content() {
    landings(24, || Box::new(Bucket::default()));
}
