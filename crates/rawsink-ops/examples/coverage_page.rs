//! Writes the coverage page of a landing that is made up, of any size, and says what that took.
//!
//! ```sh
//! cargo run --package rawsink --example coverage_page -- 1000 5 90 coverage.html
//! ```
//!
//! The storage is a listing without any storage behind it, the state a real SQLite file. The plan of the
//! page is written beside it, to `coverage.html.plan`.

#![expect(clippy::print_stdout, reason = "an example shows what it measured")]
#![expect(clippy::disallowed_methods, reason = "an example measures time")]

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
    time::Instant,
};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::{Timestamp, ToSpan, civil::Date};
use rawsink::{
    Error, ErrorKind, PartitionKey, RawSink, Result, RunId,
    layout::Place,
    runtime::Runtime,
    sink::SinkOptions,
    state::{PartitionState, SqliteState},
    store::{
        Discarded, Leftover, Object, ObjectInfo, Presence, Reading, Restoration, RunObjects,
        StartOptions, Store, StorePath, Stored, Upload, WriterToken,
    },
};
use rawsink_ops::coverage::{PageFacts, Scope, coverage};
use sqlx::{AssertSqlSafe, ConnectOptions, sqlite::SqliteConnectOptions};

const QUERIES: [&str; 5] =
    ["ad_group", "campaign_daily_performance", "keyword_view", "landing_page", "search_term"];
/// The first day.
const FIRST: Date = Date::constant(2024, 4, 17);

/// What became of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Validated,
    /// Validated, and landed again since.
    Again,
    Sealed,
    Unsealed,
    Failed,
    Missing,
    /// Validated, and gone from the storage.
    Lost,
}

/// A landing that is made up.
#[derive(Debug, Clone, Copy)]
struct Landing {
    customers: usize,
    queries: usize,
    days: usize,
}

impl Landing {
    fn fate(self, [customer, query, day]: [usize; 3]) -> Fate {
        let draw = |seed: usize| {
            // SplitMix64: spread well, and the same on every machine.
            let mut word = (seed as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (word ^ (word >> 31)) % 1000
        };
        let series = customer * 7 + query;
        let chance = draw((customer * 31 + query) * 997 + day);
        let (began, left) = (draw(customer * 3 + 1), self.days - day);
        let outage = (draw(series + 50_000) % 90, draw(series + 90_000) % 9);
        let hit = draw(series + 70_000) < 170;
        match chance {
            _ if began < 210 && day < 22 => Fate::Missing,
            _ if hit && (outage.0..outage.0 + outage.1).contains(&(day as u64)) => Fate::Missing,
            0..800 if day == self.days * 5 / 8 => Fate::Missing,
            0..260 if left == 1 => Fate::Unsealed,
            _ if left <= 2 => Fate::Sealed,
            0..7 => Fate::Failed,
            7..11 => Fate::Lost,
            11..17 => Fate::Unsealed,
            17..21 => Fate::Again,
            21..25 => Fate::Missing,
            _ => Fate::Validated,
        }
    }

    /// Returns the number of rows of a partition; sometimes a customer has none.
    fn rows([customer, query, day]: [usize; 3]) -> usize {
        let chance = (customer * 7_919 + query * 104_729 + day * 1_299_709) % 1_000;
        if chance < 12 { 0 } else { 200 + customer % 9 * 150 + chance }
    }

    /// Returns every partition, in the order of paths.
    fn partitions(self) -> impl Iterator<Item = (PartitionKey, Fate, usize)> {
        let customer = |number: usize| (1_161_042_648 + number * 7_919_317).to_string();
        (0..self.customers).flat_map(move |c| {
            (0..self.queries).flat_map(move |q| {
                (0..self.days).map(move |d| {
                    let day = FIRST.checked_add(i64::try_from(d).unwrap_or(0).days());
                    let day = day.expect("the years are not over").to_string();
                    let key = PartitionKey::new("google_ads", &customer(c), QUERIES[q], &day);
                    let at = [c, q, d];
                    (key.expect("the names are legal"), self.fate(at), Self::rows(at))
                })
            })
        })
    }

    async fn fill_state(self, path: &Path) -> Result<(), sqlx::Error> {
        let mut database = SqliteConnectOptions::new().filename(path).connect().await?;
        let mut sql = String::from("BEGIN;");
        for (key, fate, rows) in self.partitions() {
            let (status, reason) = match fate {
                Fate::Validated | Fate::Again | Fate::Lost => ("success", "NULL".to_owned()),
                Fate::Failed => {
                    ("failed", format!("'run {}: line 17 is not a JSON object'", run(&key)))
                }
                _ => continue,
            };
            let (source, customer, query) = (key.source(), key.customer_id(), key.query_name());
            let _ = write!(
                sql,
                "INSERT INTO partition_state VALUES ('{source}', '{customer}', '{query}', '{}', \
                 '{status}', '{}', 'v1', {rows}, '2024-07-16T00:00:00Z', {reason}, 1);",
                key.logical_date(),
                run(&key)
            );
            if fate == Fate::Failed {
                let _ = write!(
                    sql,
                    "INSERT INTO run_verdict (source, customer_id, query_name, logical_date, run_id, \
                     verdict, reason, attempt, status, judged_at) VALUES ('{source}', '{customer}', \
                     '{query}', '{}', '{}', 'failed', 'line 17 is not a JSON object', 1, \
                     'failed', '2024-07-16T00:00:00Z');",
                    key.logical_date(),
                    run(&key)
                );
            }
            if sql.len() > 1 << 20 {
                sqlx::raw_sql(AssertSqlSafe(std::mem::take(&mut sql)))
                    .execute(&mut database)
                    .await?;
            }
        }
        sql.push_str("COMMIT;");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database).await?;
        Ok(())
    }
}

fn run(key: &PartitionKey) -> RunId {
    format!("{}T23:05:06.789Z", key.logical_date()).parse().expect("the run is legal")
}

fn stored((key, fate, _): (PartitionKey, Fate, usize)) -> Vec<Result<Stored>> {
    let again = format!("{}-again", run(&key)).parse().expect("the run is legal");
    let runs = match fate {
        Fate::Missing | Fate::Lost => vec![],
        Fate::Again => vec![run(&key), again],
        _ => vec![run(&key)],
    };
    let info = ObjectInfo { bytes: 421, modified: Timestamp::UNIX_EPOCH, tag: None };
    let objects = if fate == Fate::Unsealed {
        vec![Object::Payload]
    } else {
        vec![Object::Seal, Object::Payload]
    };
    let of_run = |run: RunId| {
        let dir = Place::of_run(&key, &run).store_path();
        objects.iter().map(move |object| Ok(Stored { dir: dir.clone(), object: *object, info }))
    };
    runs.into_iter().flat_map(of_run).collect()
}

impl rawsink::Internal for Landing {}

#[async_trait]
impl Store for Landing {
    async fn inspect(&self, _run: &StorePath) -> Result<RunObjects> {
        Err(made_up())
    }

    async fn start(&self, _run: &StorePath, _attempt: StartOptions) -> Result<Box<dyn Upload>> {
        Err(made_up())
    }

    async fn read(&self, _run: &StorePath, _object: Object, _offset: u64) -> Result<Reading> {
        Err(made_up())
    }

    async fn sync(&self, _runs: &[StorePath]) -> Result<()> {
        Err(made_up())
    }

    fn children(&self, _dir: &StorePath) -> BoxStream<'static, Result<String>> {
        stream::once(async { Err(made_up()) }).boxed()
    }

    fn walk(&self, _dir: &StorePath) -> BoxStream<'static, Result<Stored>> {
        stream::iter(self.partitions().flat_map(stored)).boxed()
    }

    fn prefix_bytes(&self) -> usize {
        0
    }

    fn presence(&self) -> Presence {
        Presence::Lock
    }

    fn leftovers(&self, _dir: &StorePath) -> BoxStream<'static, Result<Leftover>> {
        stream::empty().boxed()
    }

    async fn discard(&self, _leftover: &Leftover) -> Result<Discarded> {
        Err(made_up())
    }

    async fn restore(
        &self,
        _run: &StorePath,
        _token: WriterToken,
        _restoration: Restoration,
    ) -> Result<()> {
        Err(made_up())
    }
}

fn made_up() -> Error {
    Error::new(ErrorKind::Unsupported, "this store is made up")
}

/// Returns a size of this process, in MiB.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [customers, queries, days, file] = args.as_slice() else {
        return Err("usage: coverage_page CUSTOMERS QUERIES DAYS FILE".into());
    };
    let (customers, queries, days) = (customers.parse()?, queries.parse()?, days.parse()?);
    let landing = Landing { customers, queries: QUERIES.len().min(queries), days };
    let database = format!("{file}.db");
    if let Err(cause) = fs::remove_file(&database)
        && cause.kind() != io::ErrorKind::NotFound
    {
        return Err(cause.into());
    }
    let state = SqliteState::new(&database);
    state.init().await?;
    landing.fill_state(Path::new(&database)).await?;
    let sink = RawSink::with(Arc::new(landing), SinkOptions::default(), Runtime::default());
    let before = memory("VmRSS");
    let start = Instant::now();
    let coverage = coverage(&sink, &state, &Scope::default()).await?;
    let (gathered, start) = (start.elapsed(), Instant::now());
    let facts = PageFacts {
        made: "2024-07-16T06:30:00Z".parse()?,
        place: "https://fsn1.example/landing/raw".to_owned(),
    };
    let mut out = BufWriter::new(File::create(file)?);
    coverage.write_page(&facts, &mut out)?;
    out.flush()?;
    let newest = RunId::at(facts.made);
    let plan: String = coverage.steps(&newest).map(|step| step.command(None) + "\n").collect();
    fs::write(format!("{file}.plan"), plan)?;
    println!(
        "{} cells: compared in {} ms, page of {} KiB in {} ms more; {before} MiB before, {} MiB at \
         the most, {} MiB after",
        coverage.rows().len() * coverage.days().len(),
        gathered.as_millis(),
        fs::metadata(file)?.len() / 1024,
        start.elapsed().as_millis(),
        memory("VmHWM"),
        memory("VmRSS"),
    );
    fs::remove_file(database)?;
    Ok(())
}
