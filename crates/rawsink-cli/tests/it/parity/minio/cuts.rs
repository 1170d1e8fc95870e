//! Lost requests, lost replies, and writers killed in between.

use std::sync::Mutex;

use nix::sys::signal::Signal;

use super::wire::{Fate, Request, Wire};
use crate::{
    landing::{Answer, Landing, PARTITION, RUN, run_path},
    parity::{Client, assert_sealed, bucket, payload_of, rows, seal_of},
    running::Running,
};

/// Payload sizes in MiB: for a single PUT and for multipart.
const SIZES: [u64; 2] = [1, 12];

/// Returns two landings in one place: one over a wire, one direct.
fn landings(decide: impl Fn(&Request) -> Fate + Send + Sync + 'static) -> (Wire, Landing, Landing) {
    let direct = bucket();
    let wire = Wire::to(direct.var("RAW_SINK_ENDPOINT_URL"), decide);
    let prefix = direct.var("RAW_SINK_PREFIX").to_owned();
    let over_wire = wire.between(bucket().with("RAW_SINK_PREFIX", prefix));
    (wire, over_wire, direct)
}

/// Starts a writer and signals it when the wire holds its request or reply.
fn signal_held(wire: &Wire, landing: &Landing, text: &str, signal: Signal) -> Answer {
    landing.file("rows.jsonl", text);
    let write = ["write", PARTITION, "rows.jsonl", "--run-id", RUN];
    let mut writer = Running::start(landing.command(write));
    wire.until_held();
    writer.signal(signal);
    writer.finish()
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g09_a_run_can_be_rewritten_after_a_kill_between_payload_and_seal() {
    for (old, new) in SIZES.into_iter().flat_map(|old| SIZES.map(|new| (old, new))) {
        let (wire, over_wire, direct) =
            landings(|request| if request.is_seal() { Fate::Held } else { Fate::Passed });
        signal_held(&wire, &over_wire, &rows("old", old), Signal::SIGKILL);
        let client = Client::of(&direct);
        assert!(client.head(&payload_of(RUN)).is_some(), "{old} MiB: no payload");
        assert_eq!(client.head(&seal_of(RUN)), None, "{old} MiB: a seal");
        direct.rawsink(["read", &run_path(RUN)]).exits(3).one_error("NotSealed");
        // It waits for the grace, unless this machine was slower than that.
        direct.land(RUN, rows("new", new));
        assert_sealed(&direct, RUN, &rows("new", new));
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g05_a_run_is_sealed_if_its_writer_is_killed_before_the_reply() {
    for mib in SIZES {
        let (wire, over_wire, direct) =
            landings(|request| if request.is_seal() { Fate::AnswerHeld } else { Fate::Passed });
        signal_held(&wire, &over_wire, &rows("old", mib), Signal::SIGKILL);
        let again = direct.feed(["write", PARTITION, "--run-id", RUN], "{}\n").exits(3);
        again.one_error("AlreadySealed");
        assert_sealed(&direct, RUN, &rows("old", mib));
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g08_a_writer_interrupted_between_parts_aborts_its_upload() {
    let (wire, over_wire, direct) =
        landings(|request| if request.is_part() { Fate::Held } else { Fate::Passed });
    let answer = signal_held(&wire, &over_wire, &rows("old", 40), Signal::SIGTERM).exits(143);
    assert!(!answer.stderr.contains("outcome unknown"), "{answer:#?}");
    let client = Client::of(&direct);
    assert_eq!(client.open_uploads(&payload_of(RUN)), 0);
    assert_eq!(client.keys(), Vec::<String>::new());
    direct.land(RUN, rows("new", 12));
    assert_sealed(&direct, RUN, &rows("new", 12));
}

/// Returns the kind of a request for these tests.
fn kind(request: &Request) -> &'static str {
    match request {
        _ if request.is_seal() => "seal",
        _ if request.is_part() => "part",
        _ => match request.method.as_str() {
            "PUT" => "payload",
            "POST" if request.target.contains("uploads") => "create",
            "POST" => "complete",
            "GET" => "list",
            _ => "check",
        },
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn g07_a_writer_with_cut_connections_still_seals() {
    for (mib, kinds) in [
        (1, &["list", "payload", "check", "seal"][..]),
        (40, &["list", "create", "part", "complete", "check", "seal"]),
    ] {
        for fate in [Fate::Cut, Fate::AnswerCut] {
            // The first request of each kind, and the sixth part.
            let met: Mutex<Vec<&'static str>> = Mutex::default();
            let (wire, over_wire, direct) = landings(move |request| {
                let mut met = met.lock().unwrap();
                met.push(kind(request));
                match met.iter().filter(|known| **known == kind(request)).count() {
                    1 => fate,
                    6 if request.is_part() => fate,
                    _ => Fate::Passed,
                }
            });
            over_wire.land(RUN, rows("mine", mib));
            assert_sealed(&direct, RUN, &rows("mine", mib));
            let seen: Vec<&str> = wire.seen().iter().map(kind).collect();
            assert!(kinds.iter().all(|kind| seen.contains(kind)), "not all were cut: {seen:?}");
        }
    }
}
