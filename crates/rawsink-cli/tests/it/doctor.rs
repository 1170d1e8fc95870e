//! `rawsink doctor`: results, exit codes and cleanup.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{landing::Landing, namespace::SmallDisk, running::Running};

/// Returns the findings that are worse than a note, with their outcomes.
fn complaints(findings: &[Value]) -> Vec<(&str, &str)> {
    let text = |finding: &'_ Value, member: &str| finding[member].as_str().map(str::to_owned);
    let bad = findings.iter().filter(|finding| {
        !["ok", "note"].contains(&text(finding, "outcome").unwrap_or("ok".into()).as_str())
    });
    bad.map(|finding| (finding["finding"].as_str().unwrap(), finding["outcome"].as_str().unwrap()))
        .collect()
}

/// Returns settings of a bucket without a server.
fn bucket(endpoint: &str) -> Landing {
    Landing::new()
        .in_bucket(endpoint)
        .with("RAW_SINK_ACCESS_KEY_ID", "key")
        .with("RAW_SINK_SECRET_ACCESS_KEY", "canary-secret")
}

#[test]
fn a_directory_is_examined_without_changes() {
    let landing = Landing::new();
    landing.land("r", "{}\n");
    let before = landing.files();
    let text = landing.rawsink(["doctor"]).exits(0).stdout;
    assert!(text.starts_with("ok       1") && text.contains(" checks; -v shows them\n"), "{text}");
    assert!(text.ends_with("safe to use\n") && !text.contains("create-link"), "{text}");
    let text = landing.rawsink(["doctor", "-v"]).exits(0).stdout;
    for start in ["ok       create-link ", "ok       lock ", "ok       sync ", "ok       scratch "]
    {
        assert!(text.lines().any(|line| line.starts_with(start)), "no {start:?} in {text}");
    }
    let root = landing.dir().join("data/raw");
    assert!(text.contains(&format!("\nsound    {}\n", root.display())), "{text}");
    assert!(text.ends_with("supports G02 G03 G04 G05 G09 G18\n         safe to use\n"), "{text}");
    assert_eq!(landing.files(), before);
}

#[test]
fn a_missing_root_is_an_error_and_stays_missing() {
    let landing = Landing::without_root();
    let answer = landing.rawsink(["doctor"]).exits(75);
    let error = answer.one_error("Unavailable");
    assert!(error.contains("neither the root nor the directory above it exists"), "{error}");
    assert_eq!(landing.snapshot().len(), 0);
}

#[test]
fn each_finding_is_a_line_of_json_and_the_last_line_is_the_diagnosis() {
    let landing = Landing::new();
    fs::create_dir_all(landing.dir().join("data/raw")).unwrap();
    let lines = landing.rawsink(["doctor", "--json"]).exits(0).json();
    let (diagnosis, findings) = lines.split_last().unwrap();
    let long_names = findings.iter().find(|finding| finding["finding"] == "long-names").unwrap();
    assert_eq!(
        *long_names,
        json!({
            "finding": "long-names",
            "asked": "can a name have 255 bytes",
            "guarantees": [],
            "outcome": "ok",
            "seen": "255 bytes are allowed",
            "set": null,
            "advice": null,
        })
    );
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(findings.iter().all(|finding| members(finding) == members(long_names)), "{lines:?}");
    assert_eq!(
        *diagnosis,
        json!({
            "diagnosis": "sound",
            "store": landing.dir().join("data/raw").to_str().unwrap(),
            "kept": ["G02", "G03", "G04", "G05", "G09", "G18"],
            "undetermined": [],
            "broken": [],
            "set": null,
            "leftovers": [],
        })
    );
    let left = fs::read_dir(landing.dir().join("data/raw")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn an_inconclusive_check_is_exit_1() {
    // Space for the directories, but for none of the files.
    let Some(disk) = SmallDisk::mount("size=1m,nr_inodes=2") else { return };
    let landing = Landing::new().with("RAW_SINK_ROOT", disk.path().to_str().unwrap());
    let lines = landing.rawsink(["doctor", "--json"]).exits(1).json();
    let (diagnosis, findings) = lines.split_last().unwrap();
    assert_eq!(diagnosis["diagnosis"], "undetermined", "{lines:#?}");
    let complaints = complaints(findings);
    for expected in [("file-system", "warning"), ("space", "warning"), ("create-link", "unknown")] {
        assert!(complaints.contains(&expected), "{complaints:?}");
    }
}

#[test]
fn a_read_only_directory_is_denied() {
    let Some(disk) = SmallDisk::mount("size=1m,ro") else { return };
    let landing = Landing::new().with("RAW_SINK_ROOT", disk.path().to_str().unwrap());
    landing.rawsink(["doctor"]).exits(4).one_error("Denied");
}

#[test]
fn g17_an_unreachable_endpoint_is_unavailable_and_no_secret_is_shown() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer = bucket(&format!("http://{free}")).rawsink(["doctor"]).exits(75);
    assert!(answer.one_error("Unavailable").contains("/landing/raw"), "{answer:?}");
    assert!(answer.stdout.is_empty() && !format!("{answer:?}").contains("canary"), "{answer:?}");
}

#[test]
#[ignore = "parity: needs a loopback interface"]
fn a_signal_stops_an_examination_cleanly_and_a_second_one_at_once() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let landing = bucket(&format!("http://{}", server.local_addr().unwrap()));
    for signals in [1, 2] {
        let mut doctor = Running::start(landing.command(["doctor"]));
        let (mut connection, _) = server.accept().unwrap();
        let mut request = [0; 4096];
        assert!(connection.read(&mut request).unwrap() > 0);
        doctor.signal(Signal::SIGINT);
        let mut stderr = doctor.child().stderr.take().unwrap();
        let mut said = [0; 8];
        stderr.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"stopping", "the first signal is not acknowledged");
        if signals == 2 {
            doctor.signal(Signal::SIGTERM);
        } else {
            let refusal =
                "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            connection.write_all(refusal.as_bytes()).unwrap();
        }
        let rest = thread::spawn(move || {
            let mut rest = String::new();
            stderr.read_to_string(&mut rest).unwrap();
            rest
        });
        let answer = doctor.end().exits(if signals == 2 { 143 } else { 130 });
        let rest = rest.join().unwrap();
        let expected =
            if signals == 2 { "interrupted by a second signal" } else { "interrupted by a signal" };
        assert!(rest.contains(expected), "{rest} {answer:?}");
    }
}
