//! The program against a real object storage server, the one that the environment names.
//!
//! `make parity` starts one and runs these; every test works below a prefix of its own.

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{
    landing::{Answer, Landing, PARTITION, RUN, lines, run_path},
    random::Random,
    running::Running,
};

/// The least size of a part that servers take.
const PART: &str = "5MiB";

/// A landing zone in the bucket, below a prefix of its own.
pub(crate) fn bucket() -> Landing {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("{}/{}-{number}", var("RAW_SINK_PREFIX"), std::process::id());
    let names = [
        "RAW_SINK",
        "RAW_SINK_ENDPOINT_URL",
        "RAW_SINK_BUCKET",
        "RAW_SINK_ACCESS_KEY_ID",
        "RAW_SINK_SECRET_ACCESS_KEY",
        "RAW_SINK_LEFTOVER_GRACE_S",
        "RAW_SINK_SEAL_DEADLINE_S",
        "RAW_SINK_SEAL_TIMEOUT_S",
    ];
    let landing = Landing::new().with("RAW_SINK_PREFIX", prefix).with("RAW_SINK_PART_BYTES", PART);
    names.into_iter().fold(landing, |landing, name| landing.with(name, var(name)))
}

#[expect(clippy::disallowed_methods, reason = "the server is named by the environment")]
fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make parity`"))
}

/// Returns how many multipart uploads of a run's payload are open, asked without the program.
fn open_uploads(landing: &Landing, run: &str) -> usize {
    let key = format!("{}/{}/payload.jsonl", landing.var("RAW_SINK_PREFIX"), run_path(run));
    let keys = format!("{}:{}", var("RAW_SINK_ACCESS_KEY_ID"), var("RAW_SINK_SECRET_ACCESS_KEY"));
    let url = format!("{}/{}", var("RAW_SINK_ENDPOINT_URL"), var("RAW_SINK_BUCKET"));
    let encoded = key.replace('=', "%3D").replace(':', "%3A").replace('/', "%2F");
    let answer = Command::new("curl")
        .args(["-sf", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &keys])
        .arg(format!("{url}?prefix={encoded}&uploads="))
        .output()
        .unwrap();
    assert!(answer.status.success(), "{answer:?}");
    String::from_utf8(answer.stdout).unwrap().matches("<UploadId>").count()
}

/// About `mib` MiB of rows that carry `name`.
fn rows(name: &str, mib: u64) -> String {
    lines(mib * 1024, |row| format!("{{\"name\":\"{name}\",\"row\":{row},\"pad\":\"{:0980}\"}}", 0))
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn a_partition_goes_the_whole_way_as_in_a_directory() {
    let (object, directory) = (bucket(), Landing::new());
    for landing in [&object, &directory] {
        let write = ["write", PARTITION, "--run-id", RUN, "--extracted-at", "2024-06-02T00:00:00Z"];
        landing.feed(write, "{\"n\":1}\n{\"n\":2}\n").exits(0);
        let again = landing.feed(write, "{\"n\":3}\n").exits(3);
        assert!(again.stderr.contains("error[AlreadySealed]"), "{again:?}");
        assert_eq!(
            landing.rawsink(["read", PARTITION, "--latest"]).exits(0).stdout,
            "{\"n\":1}\n{\"n\":2}\n"
        );
        landing.rawsink(["verify", PARTITION, "--latest"]).exits(0);
        landing.rawsink(["validate", PARTITION, "--latest"]).exits(0);
        landing.rawsink(["read", PARTITION, "--current"]).exits(0);
        landing.rawsink(["read", &run_path("nobody")]).exits(3);
    }
    for args in [
        &["list"][..],
        &["list", "google_ads"],
        &["list", PARTITION],
        &["list", "--runs"],
        &["state", "list"],
    ] {
        assert_eq!(
            object.rawsink(args).exits(0).stdout,
            directory.rawsink(args).exits(0).stdout,
            "{args:?}"
        );
    }
    let shown = |landing: &Landing| {
        landing.rawsink(["show", PARTITION, "--latest", "--json"]).json()[0].clone()
    };
    let (object, directory) = (shown(&object), shown(&directory));
    assert_eq!(object["metadata"], directory["metadata"]);
    for sum in ["payload_bytes", "payload_sha256", "record_count"] {
        assert_eq!(object["seal"][sum], directory["seal"][sum], "{sum}");
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn a_payload_of_a_hundred_parts_is_whole() {
    let landing = bucket();
    landing.file("rows.jsonl", rows("large", 500));
    landing.rawsink(["write", PARTITION, "rows.jsonl", "--run-id", RUN]).exits(0);
    landing.rawsink(["verify", PARTITION, "--latest"]).exits(0);
    landing.shell(&format!("rawsink read {PARTITION} --latest | cmp - rows.jsonl")).exits(0);
    assert_eq!(open_uploads(&landing, RUN), 0);
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn an_empty_payload_replaces_a_leftover_and_hostile_names_come_back() {
    let landing = bucket();
    let partition = "api:x/customer_id=a b+c%2F/query_name=d=e#f/logical_date=2024-06-01";
    let write = ["write", partition, "--run-id", "ré:1", "--allow-empty"];
    landing.feed(write, "").exits(0);
    assert_eq!(landing.rawsink(["read", partition, "--latest"]).exits(0).stdout, "");
    let listed = landing.rawsink(["list", partition]).exits(0).stdout;
    assert_eq!(listed, format!("{partition}/run_id=ré:1\tsealed\t0 bytes\n"));
    assert_eq!(landing.rawsink(["list"]).exits(0).stdout, "api:x\n");
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g09_a_writer_that_was_killed_at_any_moment_can_be_followed_by_another() {
    let (landing, mut random) = (bucket(), Random::seeded("killed on a server"));
    landing.file("first.jsonl", rows("first", 40));
    landing.file("second.jsonl", rows("second", 12));
    let (mut sealed, mut followed) = (0, 0);
    for round in 0..12 {
        let run = format!("run-{round:02}");
        let mut writer =
            Running::start(landing.command(["write", PARTITION, "first.jsonl", "--run-id", &run]));
        thread::sleep(Duration::from_millis(random.below(900)));
        writer.signal(Signal::SIGKILL);
        writer.finish();
        let answer = landing.rawsink(["write", PARTITION, "second.jsonl", "--run-id", &run]);
        let file = if answer.code == Some(0) { "second.jsonl" } else { "first.jsonl" };
        if file == "first.jsonl" {
            answer.exits(3);
            sealed += 1;
        } else {
            followed += 1;
        }
        landing.shell(&format!("rawsink read {} | cmp - {file}", run_path(&run))).exits(0);
        assert_eq!(open_uploads(&landing, &run), 0, "an upload of {run} is open");
    }
    println!("killed on a server: {sealed} sealed before, {followed} written again");
    assert!(followed > 0, "no writer was killed in the middle");
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g04_of_two_and_three_processes_that_race_never_two_are_told_sealed() {
    let landing = bucket();
    for (rounds, rivals, mib) in [(50, 2, 0), (20, 3, 0), (10, 2, 12), (10, 3, 12)] {
        let mut without_winner = 0;
        for round in 0..rounds {
            let run = format!("race-{rivals}-{mib}-{round:02}");
            without_winner += u64::from(!race(&landing, &run, rivals, mib));
        }
        println!("{rivals} rivals, {mib} MiB: {rounds} rounds, {without_winner} without a winner");
    }
}

/// Lets rivals race for a run; returns whether one of them was told that it sealed.
fn race(landing: &Landing, run: &str, rivals: usize, mib: u64) -> bool {
    let text = |rival: usize| {
        if mib == 0 { format!("{{\"rival\":{rival}}}\n") } else { rows(&rival.to_string(), mib) }
    };
    let start = |rival: usize| {
        let file = format!("rival-{rival}-{mib}.jsonl");
        if !landing.dir().join(&file).exists() {
            landing.file(&file, text(rival));
        }
        Running::start(landing.command(["write", PARTITION, &file, "--run-id", run]))
    };
    let writers: Vec<Running> = (0..rivals).map(start).collect();
    let answers: Vec<Answer> = writers.into_iter().map(Running::finish).collect();
    let winners: Vec<usize> = (0..rivals).filter(|rival| answers[*rival].code == Some(0)).collect();
    assert!(winners.len() <= 1, "{answers:#?}");
    for answer in &answers {
        let ended = matches!(answer.code, Some(0 | 3)) || answer.stderr.contains("error[Unknown]");
        assert!(ended, "{answer:#?}");
    }
    let read = landing.rawsink(["read", &run_path(run)]);
    match winners.first() {
        Some(winner) => {
            assert!(read.exits(0).stdout == text(*winner), "the rows are not the winner's");
        }
        None if read.code == Some(0) => {
            let one_rivals = (0..rivals).any(|rival| read.stdout == text(rival));
            assert!(one_rivals, "the rows are nobody's");
        }
        None => {
            landing.feed(["write", PARTITION, "--run-id", run], "{}\n").exits(0);
        }
    }
    !winners.is_empty()
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn a_wrong_key_and_a_missing_bucket_are_named_and_no_secret_is_shown() {
    let wrong = bucket().with("RAW_SINK_SECRET_ACCESS_KEY", "canary-secret");
    let answer = wrong.feed(["write", PARTITION, "--run-id", RUN], "{}\n").exits(4);
    assert!(answer.one_error("Denied").contains("[request "), "{answer:?}");
    assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
    let missing = bucket().with("RAW_SINK_BUCKET", "no-such-bucket");
    let answer = missing.feed(["write", PARTITION, "--run-id", RUN], "{}\n").exits(2);
    assert!(answer.one_error("Invalid").contains("NoSuchBucket"), "{answer:?}");
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g17_secrets_are_read_from_files_and_stand_in_no_output() {
    let landing = bucket();
    let secret =
        fs::canonicalize(landing.file("secret", var("RAW_SINK_SECRET_ACCESS_KEY") + "\n")).unwrap();
    let landing = landing
        .with("RAW_SINK_SECRET_ACCESS_KEY", "")
        .with("RAW_SINK_SECRET_ACCESS_KEY_FILE", secret.to_str().unwrap());
    landing.land(RUN, "{}\n");
    for args in [
        &["config"][..],
        &["config", "--json"],
        &["list", "--runs"],
        &["show", PARTITION, "--latest"],
    ] {
        let answer = landing.rawsink(args).exits(0);
        assert!(!format!("{answer:?}").contains(&var("RAW_SINK_SECRET_ACCESS_KEY")), "{answer:?}");
    }
}
