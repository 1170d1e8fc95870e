//! The expected coverage, computed from the directory tree and the table.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
};

use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::landing::Landing;

/// Source, customer, query, day.
pub(super) type Key = [String; 4];

/// The request; `None` and empty sets select everything seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) source: Option<String>,
    pub(super) customers: BTreeSet<String>,
    pub(super) queries: BTreeSet<String>,
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
}

/// The expected result.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) cells: Vec<Value>,
    pub(super) code: i32,
    pub(super) summary: String,
}

#[derive(Debug, Clone, Default)]
struct Record {
    status: String,
    current: Option<String>,
    count: Option<i64>,
    error: Option<String>,
}

/// Runs of a partition and whether they are sealed.
type Runs = BTreeMap<String, bool>;

/// The log of a partition: run and verdict, oldest first.
/// The run and the event of each entry, and the status of the record after the last.
#[derive(Default)]
struct Log {
    entries: Vec<(Option<String>, String)>,
    status: String,
}

/// Runs statements on the landing's database.
pub(crate) fn execute(landing: &Landing, sql: &str) {
    on_database(landing, async |database| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(database).await.unwrap();
    });
}

fn on_database<T>(
    landing: &Landing,
    work: impl AsyncFnOnce(&mut sqlx::SqliteConnection) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let path = landing.dir().join("data/state_store.db");
        let options = SqliteConnectOptions::new().filename(path);
        let mut database = options.connect().await.unwrap();
        let answer = work(&mut database).await;
        database.close().await.unwrap();
        answer
    })
}

type Columns =
    (String, String, String, String, String, Option<String>, Option<i64>, Option<String>);

fn records(landing: &Landing) -> BTreeMap<Key, Record> {
    let rows: Vec<Columns> = on_database(landing, async |database| {
        let sql = "SELECT source, customer_id, query_name, logical_date, status, current_run_id, \
                   record_count, error_message FROM partition_state";
        sqlx::query_as(sql).fetch_all(database).await.unwrap()
    });
    let record = |(source, customer, query, day, status, current, count, error)| {
        ([source, customer, query, day], Record { status, current, count, error })
    };
    rows.into_iter().map(record).collect()
}

/// Returns the log of every partition. No table is an empty log.
fn logs(landing: &Landing) -> BTreeMap<Key, Log> {
    type Row = (String, String, String, String, Option<String>, String, String);
    let rows: Vec<Row> = on_database(landing, async |database| {
        let sql = "SELECT source, customer_id, query_name, logical_date, run_id, verdict, \
                   status FROM run_verdict ORDER BY seq";
        sqlx::query_as(sql).fetch_all(database).await.unwrap_or_default()
    });
    let mut logs = BTreeMap::<Key, Log>::new();
    for (source, customer, query, day, run, verdict, status) in rows {
        let log = logs.entry([source, customer, query, day]).or_default();
        log.entries.push((run, verdict));
        log.status = status;
    }
    logs
}

/// Returns every run of the tree.
fn tree(landing: &Landing) -> BTreeMap<Key, Runs> {
    let mut found = BTreeMap::<Key, Runs>::new();
    let below = |dir: &Path| -> Vec<(String, std::path::PathBuf)> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let dirs = entries.filter(|path| path.is_dir());
        let named = dirs.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path));
        named.collect()
    };
    let value = |name: &str| name.split_once('=').map_or(name, |(_, value)| value).to_owned();
    let mut level = vec![(Vec::<String>::new(), landing.dir().join("data/raw"))];
    for _ in 0..5 {
        let deeper = level.iter().flat_map(|(names, dir)| {
            below(dir)
                .into_iter()
                .map(|(name, path)| ([names.as_slice(), &[value(&name)]].concat(), path))
        });
        level = deeper.collect();
    }
    for (names, dir) in level {
        let (sealed, payload) = (dir.join("metadata.json"), dir.join("payload.jsonl"));
        if sealed.exists() || payload.exists() {
            let run = names[4].clone();
            let key = names[..4].to_vec().try_into().unwrap();
            found.entry(key).or_default().insert(run, sealed.exists());
        }
    }
    found
}

/// Returns the expected coverage of a landing.
pub(super) fn expected(landing: &Landing, asked: &Asked) -> Expected {
    let (records, logs, tree) = (records(landing), logs(landing), tree(landing));
    let is_asked = |[source, customer, query, day]: &&Key| {
        asked.source.as_ref().is_none_or(|asked| asked == source)
            && (asked.customers.is_empty() || asked.customers.contains(customer))
            && (asked.queries.is_empty() || asked.queries.contains(query))
            && asked.since.as_ref().is_none_or(|since| since <= day)
            && asked.until.as_ref().is_none_or(|until| day <= until)
    };
    let seen: BTreeSet<&Key> = records.keys().chain(tree.keys()).filter(is_asked).collect();
    let days = || seen.iter().map(|key| key[3].clone());
    let first = asked.since.clone().or_else(|| days().min());
    let last = asked.until.clone().or_else(|| days().max());
    let days = match (first.clone().or(last.clone()), last.or(first)) {
        (Some(first), Some(last)) => days_from(&first, &last),
        _ => Vec::new(),
    };
    let mut series = BTreeSet::new();
    for source in seen.iter().map(|key| &key[0]).chain(&asked.source) {
        let of_source = || seen.iter().filter(|key| key[0] == *source);
        let all = |asked: &BTreeSet<String>, level: usize| {
            if asked.is_empty() {
                of_source().map(|key| key[level].clone()).collect()
            } else {
                asked.clone()
            }
        };
        for customer in all(&asked.customers, 1) {
            for query in all(&asked.queries, 2) {
                series.insert([source.clone(), customer.clone(), query]);
            }
        }
    }
    let mut cells = Vec::new();
    for [source, customer, query] in &series {
        for day in &days {
            let key = [source, customer, query, day].map(Clone::clone);
            cells.push(cell(&key, records.get(&key), logs.get(&key), tree.get(&key)));
        }
    }
    // Nobody expects data of a customer whose every run was withdrawn.
    for (source, customer) in series.iter().map(|[source, customer, _]| (source, customer)) {
        let of_customer = |cell: &Value| {
            cell["source"] == source.as_str() && cell["customer_id"] == customer.as_str()
        };
        let mut found =
            cells.iter().filter(|cell| of_customer(cell) && cell["standing"] != "missing");
        if found.all(|cell| cell["standing"] == "withdrawn")
            && cells.iter().any(|cell| of_customer(cell) && cell["standing"] == "withdrawn")
            && !asked.customers.contains(customer)
        {
            for cell in cells.iter_mut().filter(|cell| of_customer(cell)) {
                cell["standing"] = "withdrawn".into();
            }
        }
    }
    let is_stale = asked.until.is_none();
    answer(cells, series.len(), &days, is_stale)
}

/// Returns the cell of a partition as the manual specifies it.
fn cell(key: &Key, record: Option<&Record>, log: Option<&Log>, runs: Option<&Runs>) -> Value {
    let is_requeued = log.is_some_and(|log| log.status != "pending");
    let log = log.map(|log| log.entries.as_slice()).unwrap_or_default();
    // The last of these entries about a run.
    let newest_entry = |run: &str, kinds: &[&str]| {
        let mut entries = log.iter().rev();
        let of_run = entries.find(|(named, what)| {
            named.as_deref() == Some(run) && (kinds.is_empty() || kinds.contains(&what.as_str()))
        });
        of_run.map(|(_, what)| what.clone()).unwrap_or_default()
    };
    let is_withdrawn = |run: &str| newest_entry(run, &["withdrawn", "restored"]) == "withdrawn";
    let newest = |kind| {
        let of_kind = runs.into_iter().flatten().filter(|(_, sealed)| **sealed == kind);
        of_kind.map(|(run, _)| run.clone()).filter(|run| !is_withdrawn(run)).max()
    };
    let (sealed, unsealed) = (newest(true), newest(false));
    let record = record.cloned();
    let status = record.as_ref().map(|record| record.status.clone());
    let Record { current, count, error, .. } = record.unwrap_or_default();
    let is_pending = matches!(status.as_deref(), None | Some("pending"));
    let is_verdict = |what: &str| what == "passed" || what == "failed";
    let is_due = |run: &String| {
        let since = log.iter().rposition(|(named, what)| {
            what == "requeued" || (named.as_ref() == Some(run) && what == "restored")
        });
        let rest = &log[since.map_or(0, |at| at + 1)..];
        let is_judged =
            rest.iter().any(|(named, what)| named.as_ref() == Some(run) && is_verdict(what))
                && !(is_pending && is_requeued);
        let is_restored = newest_entry(run, &[]) == "restored";
        let is_failed = status.as_deref() == Some("failed");
        let is_newer =
            current.as_ref().is_none_or(|current| current < run || (current == run && is_failed));
        !is_withdrawn(run) && !is_judged && (is_pending || is_restored || is_newer)
    };
    let sealed_runs = runs.into_iter().flatten().filter(|(_, sealed)| **sealed);
    let due = sealed_runs.map(|(run, _)| run.clone()).filter(is_due).max();
    let is_readable = current.as_ref().is_some_and(|run| {
        runs.is_some_and(|runs| runs.get(run) == Some(&true)) && !is_withdrawn(run)
    });
    let is_erased = log.iter().any(|(run, _)| run.as_ref().is_some_and(|run| is_withdrawn(run)));
    let (standing, run) = match status.as_deref() {
        Some("success") if is_readable => ("validated", current.clone()),
        Some("success") if current.is_some() => ("lost", current.clone()),
        Some("failed") if sealed.is_some() => ("failed", sealed.clone()),
        _ if due.is_some() => ("sealed", due.clone()),
        _ if sealed.is_some() => ("failed", sealed.clone()),
        _ if unsealed.is_some() => ("unsealed", unsealed.clone()),
        _ if is_erased => ("withdrawn", None),
        _ => ("missing", None),
    };
    let (lost, unknown) = (standing == "lost", due.is_some());
    let [source, customer, query, day] = key;
    json!({
        "path": format!("{source}/customer_id={customer}/query_name={query}/logical_date={day}"),
        "source": source, "customer_id": customer, "query_name": query, "logical_date": day,
        "standing": standing, "run_id": run, "status": status, "current_run_id": current,
        "record_count": count, "error_message": error, "sealed_run_id": sealed,
        "due_run_id": due, "blocked_run_id": null, "unsealed_run_id": unsealed, "lost": lost, "unknown": unknown, "blocked": false
    })
}

fn answer(cells: Vec<Value>, rows: usize, days: &[String], is_stale: bool) -> Expected {
    let standing = |name: &str| cells.iter().filter(|cell| cell["standing"] == name).count();
    let s = |count: usize| if count == 1 { "" } else { "s" };
    let unknown = cells.iter().filter(|cell| cell["unknown"] == true).count();
    let mut summary = format!(
        "{rows} row{} of {} day{}, {} to {}: {} validated, {} sealed only, {} unsealed, {} failed, \
         {} missing, {} lost, {} withdrawn\n",
        s(rows),
        days.len(),
        s(days.len()),
        days[0],
        days[days.len() - 1],
        standing("validated"),
        standing("sealed"),
        standing("unsealed"),
        standing("failed"),
        standing("missing"),
        standing("lost"),
        standing("withdrawn"),
    );
    if unknown > 0 {
        let _ = writeln!(summary, "{unknown} sealed run{} without a verdict", s(unknown));
    }
    let is_open =
        |cell: &&Value| cell["standing"] != "validated" && cell["standing"] != "withdrawn";
    let open = |day: &String| {
        cells.iter().filter(is_open).filter(|cell| cell["logical_date"] == **day).count()
    };
    let worst = days.iter().max_by_key(|day| open(day)).unwrap();
    if days.len() > 1 && open(worst) > 0 {
        let _ = writeln!(summary, "worst day {worst}: {} of {rows} validated", rows - open(worst));
    }
    if is_stale {
        let last = &days[days.len() - 1];
        let _ = writeln!(summary, "stale: the last day is {last}, and later days are not expected");
    }
    let code = i32::from(is_stale || cells.iter().any(|cell| is_open(&cell)));
    Expected { cells, code, summary }
}

fn days_from(first: &str, last: &str) -> Vec<String> {
    let first: jiff::civil::Date = first.parse().unwrap();
    let days = first.series(jiff::Span::new().days(1)).map(|day| day.to_string());
    days.take_while(|day| day.as_str() <= last).collect()
}
