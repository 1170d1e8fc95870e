//! kill -9 of a writer at any moment: its run is sealed and complete, or can be rewritten.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    landing::{Landing, PARTITION, lines},
    random::{Random, rounds},
    running::Running,
};

/// Results of the runs with killed writers.
#[derive(Debug, Default)]
struct Outcomes {
    ended_before: u64,
    sealed: u64,
    sealed_with_staging: u64,
    payload_without_seal: u64,
    staged: u64,
    nothing: u64,
}

#[test]
fn g09_a_killed_writer_of_a_few_rows_leaves_a_sealed_or_writable_run() {
    let outcomes = campaign("kill, a few rows", rounds(200), 20);
    assert_both(&outcomes);
}

#[test]
fn g09_a_killed_writer_of_many_parts_leaves_a_sealed_or_writable_run() {
    let outcomes = campaign("kill, many parts", rounds(200).div_ceil(4), 40_000);
    assert_both(&outcomes);
}

#[track_caller]
fn assert_both(outcomes: &Outcomes) {
    let sealed = outcomes.sealed + outcomes.sealed_with_staging + outcomes.ended_before;
    let unsealed = outcomes.payload_without_seal + outcomes.staged + outcomes.nothing;
    assert!(sealed > 0 && unsealed > 0, "one outcome never occurred: {outcomes:?}");
}

fn campaign(name: &str, rounds: u64, rows: u64) -> Outcomes {
    let mut random = Random::seeded(name);
    let landing = Landing::new();
    let mut typical = typical_time(&landing, rows);
    let mut outcomes = Outcomes::default();
    for round in 0..rounds {
        let writer = Victim::new(&landing, &format!("run-{round:04}"), rows);
        // Half of the kills aim at the end, when payload and seal appear.
        let span = u64::try_from(typical.as_micros()).unwrap();
        let aimed = random.below(2) == 0;
        let moment = if aimed { span * 3 / 4 + random.below(span / 2) } else { random.below(span) };
        let ended = writer.killed_after(Duration::from_micros(moment));
        if aimed {
            // The machine's load varies: the aim follows it.
            typical = if ended { typical * 97 / 100 } else { typical * 103 / 100 };
        }
        writer.check(ended, &mut outcomes);
    }
    println!("{name}: {outcomes:?} (a writer takes {typical:?})");
    outcomes
}

/// Returns how long an undisturbed writer takes.
fn typical_time(landing: &Landing, rows: u64) -> Duration {
    let mut times: Vec<Duration> = (0..5)
        .map(|sample| {
            let writer = Victim::new(landing, &format!("sample-{sample}"), rows);
            let start = Instant::now();
            landing.rawsink(writer.args()).exits(0);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// One writer of one run.
struct Victim<'a> {
    landing: &'a Landing,
    run: String,
    rows: String,
    file: String,
}

impl<'a> Victim<'a> {
    fn new(landing: &'a Landing, run: &str, rows: u64) -> Self {
        let filler = "0123456789abcdef".repeat(3);
        let rows = lines(rows, |row| {
            format!("{{\"run\":\"{run}\",\"row\":{row},\"filler\":\"{filler}\"}}")
        });
        let file = "rows.jsonl".to_owned();
        landing.file(&file, &rows);
        Self { landing, run: run.to_owned(), rows, file }
    }

    fn args(&self) -> [&str; 5] {
        ["write", PARTITION, &self.file, "--run-id", &self.run]
    }

    /// Starts the writer, kills it, and returns whether it had ended before.
    fn killed_after(&self, moment: Duration) -> bool {
        let mut writer = Running::start(self.landing.command(self.args()));
        // The kill has a random moment: no condition is awaited.
        thread::sleep(moment);
        writer.child().kill().unwrap();
        writer.child().wait().unwrap().success()
    }

    fn check(&self, ended: bool, outcomes: &mut Outcomes) {
        let staged = self.staging_files().len();
        let sealed = self.landing.metadata(&self.run).exists();
        match (ended, sealed, self.landing.payload(&self.run).exists(), staged) {
            (true, true, true, 0) => outcomes.ended_before += 1,
            (true, ..) => panic!("{} exited 0 and left {:?}", self.run, self.landing.files()),
            (false, true, _, 0) => outcomes.sealed += 1,
            (false, true, ..) => outcomes.sealed_with_staging += 1,
            (false, false, true, _) => outcomes.payload_without_seal += 1,
            (false, false, false, 0) => outcomes.nothing += 1,
            (false, false, false, _) => outcomes.staged += 1,
        }
        let path = format!("{PARTITION}/run_id={}", self.run);
        if !sealed {
            self.landing.rawsink(["read", &path]).exits(3);
            self.landing.rawsink(self.args()).exits(0);
            assert_eq!(self.staging_files(), Vec::<PathBuf>::new(), "left in {}", self.run);
        }
        self.landing.rawsink(["verify", &path]).exits(0);
        let landed = fs::read(self.landing.payload(&self.run)).unwrap();
        assert!(landed == self.rows.as_bytes(), "{} has other rows", self.run);
        let again = self.landing.rawsink(self.args()).exits(3);
        again.one_error("AlreadySealed");
    }

    fn staging_files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.landing.run_dir(&self.run)) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().path());
        names.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('.')).collect()
    }
}
