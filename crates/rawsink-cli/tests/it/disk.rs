//! Disks that are full, limited, forbidden or missing: one clear error, nothing visible.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::{
    landing::{Answer, Landing, PARTITION, PROGRAM, RUN, answer, run_path},
    namespace::SmallDisk,
};

pub(crate) const ROWS: &str = "{\"n\":1}\n{\"n\":2}\n";

fn large() -> String {
    "{\"filler\":\"0123456789abcdef0123456789abcdef\"}\n".repeat(100_000)
}

/// Returns a landing on a small disk.
fn on(disk: &SmallDisk) -> Landing {
    let root = disk.path().join("raw").to_str().unwrap().to_owned();
    Landing::at(disk.path()).with("RAW_SINK_ROOT", root)
}

/// Lands rows as the run of most tests.
pub(crate) fn write(landing: &Landing, rows: &str) -> Answer {
    landing.feed(["write", PARTITION, "--run-id", RUN], rows)
}

/// Asserts one error line and one hint, besides warnings.
#[track_caller]
pub(crate) fn assert_clear(answer: &Answer, kind: &str, said: &str) {
    let error = answer.one_error(kind);
    assert!(error.contains(said), "does not say {said:?}: {error}");
    let others = answer.stderr.lines().filter(|line| {
        !line.starts_with("warning: ") && !line.starts_with("hint: ") && *line != error
    });
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(answer.stdout, "");
}

#[test]
fn g08_a_full_disk_is_one_clear_error_and_writing_works_with_space_again() {
    let Some(disk) = SmallDisk::mount("size=2m") else { return };
    let landing = on(&disk);
    let answer = write(&landing, &large()).exits(75);
    assert_clear(&answer, "Unavailable", "no space left on device");
    answer.says(&["hint: run the same command again later"]);
    landing.assert_nothing_of(RUN);
    assert_eq!(landing.files(), Vec::<String>::new());
    write(&landing, ROWS).exits(0);
    assert_eq!(landing.rawsink(["read", &run_path(RUN)]).exits(0).stdout, ROWS);
}

#[test]
fn g08_with_any_number_of_free_blocks_a_run_is_sealed_or_nothing_is_visible() {
    let Some(disk) = SmallDisk::mount("size=256k") else { return };
    let landing = on(&disk);
    let (mut sealed, mut refused) = (0, 0);
    for free in 0..6 {
        let path = format!("{PARTITION}/run_id=free-{free}");
        disk.fill_but(free * 4096);
        let answer = landing.feed(["write", &path], ROWS);
        if answer.code == Some(0) {
            sealed += 1;
        } else {
            refused += 1;
            assert_clear(&answer.exits(75), "Unavailable", "no space left on device");
            assert!(!landing.dir().join("data/raw").join(&path).exists(), "{:?}", landing.files());
            disk.empty();
            landing.feed(["write", &path], ROWS).exits(0);
            disk.fill_but(0);
        }
        assert_eq!(landing.rawsink(["read", &path]).exits(0).stdout, ROWS);
        disk.empty();
    }
    println!("free blocks: {sealed} sealed, {refused} refused");
    assert!(refused >= 2, "neither payload nor seal met the full disk");
    assert!(sealed >= 1, "no space was enough");
}

#[test]
fn g08_with_any_number_of_free_inodes_a_run_is_sealed_or_nothing_is_visible() {
    let (mut sealed, mut refused) = (0, 0);
    for inodes in 2..14 {
        let Some(disk) = SmallDisk::mount(&format!("size=1m,nr_inodes={inodes}")) else { return };
        let landing = on(&disk);
        let answer = write(&landing, ROWS);
        if answer.code == Some(0) {
            sealed += 1;
            assert_eq!(landing.rawsink(["read", &run_path(RUN)]).exits(0).stdout, ROWS);
        } else {
            refused += 1;
            assert_clear(&answer.exits(75), "Unavailable", "no space left on device");
            landing.assert_nothing_of(RUN);
            assert_eq!(landing.files(), Vec::<String>::new());
        }
    }
    println!("inodes: {sealed} sealed, {refused} refused");
    assert!(sealed >= 1 && refused >= 8, "not every step met the end of the inodes");
}

#[test]
fn g08_a_file_size_limit_is_one_clear_error_and_no_crash() {
    let landing = Landing::new();
    landing.file("rows.jsonl", large());
    // In blocks of 512 or 1024 bytes, depending on the shell: the rows are larger, the seal is smaller.
    let limited =
        |file| format!("ulimit -f 512 && exec rawsink write {PARTITION} {file} --run-id {RUN}");
    let answer = landing.shell(&limited("rows.jsonl")).exits(75);
    assert_clear(&answer, "Unavailable", "file too large");
    landing.assert_nothing_of(RUN);
    assert_eq!(landing.files(), ["rows.jsonl"]);
    landing.file("rows.jsonl", ROWS);
    landing.shell(&limited("rows.jsonl")).exits(0);
}

#[test]
fn g08_a_file_size_limit_that_only_the_seal_exceeds_leaves_nothing() {
    let landing = Landing::new();
    let note = "x".repeat(4096);
    let script = format!(
        "ulimit -f 2 && echo {{}} | rawsink write {PARTITION} --run-id {RUN} --set note={note}"
    );
    let answer = landing.shell(&script).exits(75);
    assert_clear(&answer, "Unavailable", "file too large");
    landing.assert_nothing_of(RUN);
}

#[test]
fn g08_a_directory_without_permission_is_one_clear_error_and_nothing_is_visible() {
    let landing = Landing::without_root();
    let below = Denied::below(landing.dir());
    let answer = below.rawsink(&["write", PARTITION, "--run-id", RUN]).exits(4);
    assert_clear(&answer, "Denied", "permission denied");
    answer.says(&["hint: run \"rawsink config\" to see"]);
    assert_eq!(landing.files(), Vec::<String>::new());
}

#[test]
fn g08_a_run_directory_without_permission_is_one_clear_error() {
    let landing = Landing::new();
    fs::create_dir_all(landing.run_dir(RUN)).unwrap();
    let denied = Denied::below(landing.dir());
    for dir in landing.snapshot().keys() {
        set_mode(&landing.dir().join(dir), 0o555);
    }
    let answer = denied.rawsink(&["write", PARTITION, "--run-id", RUN]).exits(4);
    assert_clear(&answer, "Denied", "permission denied");
    assert_eq!(landing.files(), Vec::<String>::new());
    let unreadable = denied.rawsink(&["list"]).exits(0);
    assert_eq!(unreadable.stdout, "");
}

#[test]
fn an_unreadable_payload_is_denied_and_gets_no_verdict() {
    let landing = Landing::new();
    landing.land(RUN, ROWS);
    let denied = Denied::below(landing.dir());
    for dir in landing.snapshot().keys() {
        set_mode(&landing.dir().join(dir), 0o755);
    }
    set_mode(&landing.payload(RUN), 0o000);
    for command in ["read", "verify", "validate"] {
        let answer = denied.rawsink(&[command, &run_path(RUN)]).exits(4);
        assert_clear(&answer, "Denied", "permission denied");
    }
    assert!(!landing.dir().join("data/state_store.db").exists());
}

#[test]
fn an_unreadable_directory_hides_no_other_from_clean_and_copy() {
    let landing = Landing::new();
    for run in ["a", "b", "c"] {
        landing.land(run, ROWS).exits(0);
        landing.file(
            &format!("data/raw/{}/.payload.jsonl.00000000000000000000000000000000", run_path(run)),
            "left",
        );
    }
    fs::create_dir(landing.dir().join("there")).unwrap();
    let denied = Denied::below(landing.dir());
    for path in landing.snapshot().keys() {
        set_mode(&landing.dir().join(path), 0o755);
    }
    set_mode(&landing.dir().join("there"), 0o777);
    set_mode(&landing.run_dir("b"), 0o000);
    let clean = denied.rawsink(&["clean", "--older-than", "0s"]).exits(4);
    let paths: Vec<&str> =
        clean.stdout.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(paths, [run_path("a"), run_path("c")]);
    clean.says(&["error[Denied]", &run_path("b"), "1 error"]);
    let copy = denied.rawsink(&["copy", "--to-root", "there"]).exits(4);
    copy.says(&["error[Denied]", &run_path("b"), "2 copied", "not all runs were copied: 1 error"]);
    for run in ["a", "c"] {
        let there = landing.dir().join("there").join(run_path(run));
        assert_eq!(fs::read_to_string(there.join("payload.jsonl")).unwrap(), ROWS);
    }
    set_mode(&landing.run_dir("b"), 0o755);
}

/// Lands a run of a customer of a source.
fn land(landing: &Landing, source: &str, customer: &str, run: &str) -> String {
    let key = format!("{source}/customer_id={customer}/query_name=q/logical_date=2024-06-01");
    let path = format!("{key}/run_id={run}");
    landing.feed(["write", &path], ROWS).exits(0);
    path
}

/// Makes everything readable, and the state writable.
fn open_to_all(landing: &Landing) {
    for path in landing.snapshot().keys() {
        set_mode(&landing.dir().join(path), 0o755);
    }
    set_mode(&landing.dir().join("data"), 0o777);
    let database = landing.dir().join("data/state_store.db");
    if database.exists() {
        set_mode(&database, 0o666);
    }
}

#[test]
fn a_lost_and_found_that_nobody_may_read_hides_nothing() {
    let landing = Landing::new();
    let runs = ["alpha", "stripe"].map(|source| land(&landing, source, "1", "r1"));
    fs::create_dir(landing.dir().join("there")).unwrap();
    let denied = Denied::below(landing.dir());
    open_to_all(&landing);
    set_mode(&landing.dir().join("there"), 0o777);
    for name in ["lost+found", "alpha/@eaDir"] {
        let dir = landing.dir().join("data/raw").join(name);
        fs::create_dir(&dir).unwrap();
        set_mode(&dir, 0o000);
    }
    assert_eq!(denied.rawsink(&["list"]).exits(0).stdout, "alpha\nstripe\n");
    assert_eq!(denied.rawsink(&["list", "--runs"]).exits(0).stdout.lines().count(), 2);
    let validated = denied.rawsink(&["validate", "--all", "--jobs", "1"]).exits(0);
    assert_eq!(validated.stdout, runs.map(|run| format!("{run}\tpassed\n")).concat());
    denied.rawsink(&["coverage", "--until", "2024-06-01"]).exits(0);
    denied.rawsink(&["clean"]).exits(0);
    denied.rawsink(&["copy", "--to-root", "there"]).exits(0).says(&["2 copied"]);
    assert_eq!(denied.rawsink(&["manifest"]).exits(0).stdout.lines().count(), 2);
    let refused = landing
        .feed(["write", "lost+found/customer_id=1/query_name=q/logical_date=2024-06-01"], ROWS);
    let error = refused.exits(2);
    assert!(error.one_error("Invalid").contains("file systems or appliances"), "{error:?}");
    for name in ["lost+found", "alpha/@eaDir"] {
        set_mode(&landing.dir().join("data/raw").join(name), 0o755);
    }
}

#[test]
fn g20_an_unreadable_directory_is_an_error_and_hides_no_other_partition() {
    let landing = Landing::new();
    let customers = ["1", "2", "3"];
    for customer in customers {
        land(&landing, "google_ads", customer, "r1");
    }
    land(&landing, "stripe", "9", "r1");
    landing.rawsink(["validate", "--all"]).exits(0);
    let newer = customers.map(|customer| land(&landing, "google_ads", customer, "r2"));
    let denied = Denied::below(landing.dir());
    open_to_all(&landing);
    let hidden = landing.dir().join("data/raw/google_ads/customer_id=2");
    set_mode(&hidden, 0o000);
    let validated = denied.rawsink(&["validate", "--all", "--jobs", "1"]).exits(4);
    let passed = [&newer[0], &newer[2]].map(|run| format!("{run}\tpassed\n")).concat();
    assert_eq!(validated.stdout, passed);
    validated.says(&[
        "error[Denied]: google_ads/customer_id=2: cannot list: permission denied",
        "3 partitions compared, 2 runs validated: 2 passed, 0 failed",
        "not all runs were validated: 1 error, see above",
    ]);
    let covered = denied.rawsink(&["coverage", "--until", "2024-06-01"]).exits(4);
    let standing =
        |path: &str, standing: &str| format!("{path}/query_name=q\t{standing} 2024-06-01\n");
    let expected = [
        standing("google_ads/customer_id=1", "validated"),
        standing("google_ads/customer_id=2", "unreadable"),
        standing("google_ads/customer_id=3", "validated"),
        standing("stripe/customer_id=9", "validated"),
    ];
    assert_eq!(covered.stdout, expected.concat());
    covered.says(&[
        "3 validated, 0 sealed only, 0 unsealed, 0 failed, 0 missing, 0 lost, 0 withdrawn",
        "1 partition unreadable",
        "not everything could be compared: 1 error, see above",
    ]);
    assert_eq!(denied.rawsink(&["coverage", "--plan"]).exits(4).stdout, "");
    let listed = denied.rawsink(&["list", "google_ads"]).exits(4);
    assert_eq!(listed.stdout, "google_ads/customer_id=1\ngoogle_ads/customer_id=3\n");
    listed.says(&["not everything could be listed: 1 error"]);
    let runs = denied.rawsink(&["list", "--runs"]).exits(4);
    assert_eq!(runs.stdout.lines().count(), 5);
    // A hidden run: the others of its partition are listed, and its partition is unreadable.
    let run = landing.dir().join("data/raw").join(&newer[0]);
    set_mode(&run, 0o000);
    let partition = newer[0].strip_suffix("/run_id=r2").unwrap();
    let listed = denied.rawsink(&["list", partition]).exits(4);
    assert_eq!(listed.stdout, format!("{partition}/run_id=r1\tsealed\t16 bytes\n"));
    let covered = denied.rawsink(&["coverage", "--until", "2024-06-01", "--json"]).exits(4);
    let standings = covered.json();
    let standings: Vec<&str> =
        standings.iter().map(|cell| cell["standing"].as_str().unwrap()).collect();
    assert_eq!(standings, ["unreadable", "unreadable", "validated", "validated"]);
    set_mode(&run, 0o755);
    set_mode(&hidden, 0o755);
    let validated = denied.rawsink(&["validate", "--all"]).exits(0);
    assert_eq!(validated.stdout, format!("{}\tpassed\n", newer[1]));
}

#[test]
fn a_read_only_state_database_is_denied() {
    let landing = Landing::new();
    landing.land(RUN, ROWS);
    let denied = Denied::below(landing.dir());
    for path in landing.snapshot().keys() {
        set_mode(&landing.dir().join(path), 0o755);
    }
    set_mode(&landing.dir().join("data"), 0o555);
    let answer = denied.rawsink(&["validate", &run_path(RUN)]).exits(4);
    assert!(answer.one_error("Denied").contains("state_store.db"), "{answer:#?}");
    set_mode(&landing.dir().join("data"), 0o755);
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    set_mode(&landing.dir().join("data/state_store.db"), 0o000);
    let answer = denied.rawsink(&["state", "list"]).exits(4);
    assert!(answer.one_error("Denied").contains("state_store.db"), "{answer:#?}");
}

#[test]
fn a_consumer_needs_no_write_permission() {
    let landing = Landing::new();
    landing.land(RUN, ROWS);
    landing.rawsink(["validate", &run_path(RUN)]).exits(0);
    let denied = Denied::below(landing.dir());
    for path in landing.snapshot().keys() {
        set_mode(&landing.dir().join(path), 0o555);
    }
    let before = landing.snapshot();
    assert_eq!(denied.rawsink(&["read", PARTITION, "--current"]).exits(0).stdout, ROWS);
    for args in [&["verify", PARTITION, "--latest"][..], &["list", "--runs"], &["state", "list"]] {
        assert_eq!(denied.rawsink(args).exits(0).stdout.lines().count(), 1);
    }
    assert!(landing.snapshot() == before);
    for path in landing.snapshot().keys() {
        set_mode(&landing.dir().join(path), 0o755);
    }
}

#[test]
fn a_state_database_that_is_a_directory_is_the_callers_fault() {
    let landing = Landing::new().with("RAW_SINK_STATE_URL", "sqlite:data");
    landing.land(RUN, ROWS);
    for args in [&["validate", &*run_path(RUN)][..], &["state", "list"]] {
        landing.rawsink(args).exits(2).one_error("Invalid");
    }
}

#[test]
fn a_file_in_the_way_of_a_directory_is_a_clear_error() {
    let landing = Landing::new();
    landing.file("data/raw/google_ads/customer_id=123", "in the way");
    let answer = write(&landing, ROWS).exits(2);
    assert_clear(&answer, "Invalid", "customer_id=123");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The program as a user that can read a directory and not write it.
///
/// Root ignores permissions, so it becomes `nobody`.
struct Denied {
    dir: PathBuf,
    program: PathBuf,
    _copy: Option<TempDir>,
}

impl Denied {
    fn below(dir: &Path) -> Self {
        set_mode(dir, 0o555);
        let dir = dir.to_owned();
        let reachable = as_nobody("test").args(["-x", PROGRAM]).status().unwrap().success();
        if reachable {
            return Self { dir, program: PROGRAM.into(), _copy: None };
        }
        let copy = TempDir::new().unwrap();
        set_mode(copy.path(), 0o755);
        let program = copy.path().join("rawsink");
        // By another process: a file that this one has open for writing cannot be executed.
        assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
        Self { dir, program, _copy: Some(copy) }
    }

    fn rawsink(&self, args: &[&str]) -> Answer {
        let mut command = as_nobody(&self.program);
        command.args(args).current_dir(&self.dir);
        answer(command, ROWS.as_bytes())
    }
}

impl Drop for Denied {
    fn drop(&mut self) {
        // So that a user other than root can delete it.
        set_mode(&self.dir, 0o755);
    }
}

fn as_nobody(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
    command
}
