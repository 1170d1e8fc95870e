//! The auditor notices each broken guarantee, and says which.

use bytes::Bytes;
use rawsink::{
    ErrorKind, Sealed,
    sink::PayloadSummary,
    state::{Outcome, Record, Verdict, transition},
};

use super::*;
use crate::{
    server::{Behaviour, Moment},
    simulation::{
        plan::{self, Ending, Plan},
        process::ProcessId,
        random::Random,
        requests::{Blob, Bucket, Reply, Request},
    },
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ROWS: &[u8] = b"{}\n";

/// An auditor, a server, and an attempt at the first run of a plan in which nothing is set up wrong.
struct Scene {
    auditor: Auditor,
    server: Bucket,
    run: plan::Run,
    attempt: AttemptId,
    names: u64,
}

impl Scene {
    fn new() -> Self {
        let plans = (0..).map(|seed| Plan::draw(&mut Random::new(seed), Options::default()));
        let plan = plans.into_iter().find(|plan| plan.weather.windows.is_empty()).unwrap();
        let (run, server) = (plan.runs[0].clone(), Bucket::new(Behaviour::default()));
        let mut auditor = Auditor::new(&plan, Options::default());
        let attempt = auditor.attempt(&run.prefix, ProcessId(1), Ending::Seal);
        auditor.writes(attempt, Bytes::from_static(ROWS));
        Self { auditor, server, run, attempt, names: 0 }
    }

    /// Sends a request of the attempt and applies it.
    fn send(&mut self, request: Request) -> Reply {
        self.auditor.sent(Some(self.attempt), &request, &self.server);
        self.names += 1;
        let reply = self.server.apply(request, Moment { time: 0, name: self.names });
        self.auditor.heard(Some(self.attempt), &reply);
        self.auditor.after_step(&self.server);
        reply
    }

    fn put(&mut self, name: &str, content: &[u8]) {
        let (key, body) = (format!("{}{name}", self.run.prefix), Blob(content.to_vec().into()));
        self.send(Request::Create { key, body, token: TOKEN.to_owned() });
    }

    fn put_payload(&mut self, content: &[u8]) {
        self.put("payload.jsonl", content);
    }

    fn put_seal(&mut self) {
        self.put("metadata.json", format!("{{\"_seal\":{{\"writer\":\"{TOKEN}\"}}}}").as_bytes());
    }

    fn told(&mut self, told: Told) {
        self.auditor.told(self.attempt, told, &self.server);
    }

    fn is_told_sealed(&mut self) {
        let payload = PayloadSummary {
            payload_bytes: ROWS.len() as u64,
            payload_sha256: String::new(),
            record_count: 1,
        };
        self.told(Told::Sealed(Sealed { writer: TOKEN.to_owned(), payload }));
    }

    fn is_told(&mut self, kind: ErrorKind) {
        self.told(Told::Failed(kind, String::new()));
    }

    fn sealed() -> Self {
        let mut scene = Self::new();
        scene.put_payload(ROWS);
        scene.put_seal();
        scene.is_told_sealed();
        assert_eq!(scene.auditor.violation(), None);
        scene
    }

    fn reads(&mut self, payload: &[u8]) {
        let prefix = self.run.prefix.clone();
        let seen = Seen { prefix: &prefix, token: TOKEN, attempt: Some(0), payload };
        self.auditor.read(&seen);
    }

    fn assert_noticed(&self, guarantee: &str) {
        let noticed = self.auditor.violation().unwrap_or_default();
        assert!(noticed.starts_with(guarantee), "{guarantee}: {noticed:?}");
    }
}

#[test]
fn g01_a_seal_of_nobody_and_what_contradicts_a_seal_are_noticed() {
    let mut scene = Scene::new();
    scene.put("metadata.json", b"{}");
    scene.assert_noticed("G01");
    let mut scene = Scene::new();
    scene.reads(ROWS);
    scene.assert_noticed("G01");
    let mut scene = Scene::new();
    scene.is_told(ErrorKind::AlreadySealed);
    scene.assert_noticed("G01");
    let mut scene = Scene::sealed();
    let since = scene.auditor.moment(&scene.run.prefix, "");
    scene.auditor.refused(&scene.run.prefix, since, ErrorKind::NotSealed, false);
    scene.assert_noticed("G01");
}

#[test]
fn g02_a_seal_without_its_payload_is_noticed() {
    let mut scene = Scene::new();
    scene.put_seal();
    scene.assert_noticed("G02");
    let mut scene = Scene::new();
    scene.put_payload(b"{\"other\":1}\n");
    scene.put_seal();
    scene.assert_noticed("G02");
}

#[test]
fn g03_a_change_of_a_sealed_run_is_noticed() {
    for name in ["payload.jsonl", "metadata.json"] {
        let mut scene = Scene::sealed();
        scene.server.objects.remove(&format!("{}{name}", scene.run.prefix));
        scene.auditor.after_step(&scene.server);
        scene.assert_noticed("G03");
    }
}

#[test]
fn g04_sealed_without_ones_seal_is_noticed() {
    let mut scene = Scene::new();
    scene.is_told_sealed();
    scene.assert_noticed("G04");
    let mut scene = Scene::sealed();
    scene.attempt = scene.auditor.attempt(&scene.run.prefix, ProcessId(2), Ending::Seal);
    scene.is_told_sealed();
    scene.assert_noticed("G04");
}

#[test]
fn g05_a_corrupt_run_that_nobody_vandalised_is_noticed() {
    let mut scene = Scene::sealed();
    let since = scene.auditor.moment(&scene.run.prefix, "");
    scene.auditor.refused(&scene.run.prefix, since, ErrorKind::Corrupt, true);
    assert_eq!(scene.auditor.violation(), None, "who was misled may be told so");
    scene.auditor.refused(&scene.run.prefix, since, ErrorKind::Corrupt, false);
    scene.assert_noticed("G05");
    let mut scene = Scene::new();
    scene.is_told(ErrorKind::Corrupt);
    scene.assert_noticed("G05");
}

#[test]
fn g06_a_seal_of_who_was_told_otherwise_is_noticed_before_and_after() {
    let mut scene = Scene::new();
    scene.put_payload(ROWS);
    scene.put_seal();
    scene.is_told(ErrorKind::Conflict);
    scene.assert_noticed("G06");
    let mut scene = Scene::new();
    scene.put_payload(ROWS);
    scene.is_told(ErrorKind::Unavailable);
    assert_eq!(scene.auditor.violation(), None);
    scene.put_seal();
    scene.assert_noticed("G06");
    let mut scene = Scene::new();
    scene.put_payload(ROWS);
    scene.is_told(ErrorKind::Unknown);
    scene.put_seal();
    assert_eq!(scene.auditor.violation(), None, "Unknown leaves it open");
}

#[test]
fn g08_an_upload_that_was_left_is_noticed_and_one_that_stands_for_another_is_not() {
    for ended_another in [false, true] {
        let mut scene = Scene::new();
        let key = format!("{}payload.jsonl", scene.run.prefix);
        scene.send(Request::CreateUpload { key, token: TOKEN.to_owned() });
        if ended_another {
            scene.send(Request::Abort { upload: 99 });
        }
        scene.is_told(ErrorKind::Conflict);
        scene.auditor.look_for_leaks(&scene.server);
        scene.assert_noticed(if ended_another { "" } else { "G08" });
        assert_eq!(scene.auditor.violation().is_none(), ended_another);
    }
}

#[test]
fn g10_wrong_rows_that_are_shown_as_right_are_noticed() {
    let mut scene = Scene::sealed();
    scene.reads(ROWS);
    assert_eq!(scene.auditor.violation(), None);
    scene.reads(b"{ }\n");
    scene.assert_noticed("G10");
}

#[test]
fn g12_g18_requests_that_nobody_should_send_are_noticed() {
    let mut scene = Scene::new();
    let upload = Request::Abort { upload: 1 };
    scene.auditor.sent(None, &upload, &scene.server);
    scene.assert_noticed("G12");
    let mut scene = Scene::new();
    scene.send(Request::Head { key: "raw/zone/other/payload.jsonl".to_owned() });
    scene.assert_noticed("G18");
}

#[test]
fn g18_g08_a_clean_up_that_takes_too_much_or_too_little_is_noticed() {
    let hour = 3_600_000_000;
    for (rested, guarantee) in [(Some(hour), ""), (Some(hour - 1), "G18"), (None, "G18")] {
        let mut scene = Scene::new();
        let looked_at = rested.map(|rested| (1, rested)).into_iter().collect();
        scene.auditor.cleans(&Request::Abort { upload: 1 }, &looked_at);
        scene.assert_noticed(guarantee);
        assert_eq!(scene.auditor.violation().is_none(), guarantee.is_empty());
    }
    let mut scene = Scene::new();
    let key = format!("{}metadata.json", scene.run.prefix);
    scene.auditor.cleans(&Request::Delete { key, tag: None }, &BTreeMap::new());
    scene.assert_noticed("G18");
    let mut scene = Scene::new();
    scene.put_payload(ROWS);
    scene.auditor.cleaned_up(&scene.server);
    scene.assert_noticed("G08");
    let mut scene = Scene::sealed();
    let key = format!("{}payload.jsonl", scene.run.prefix);
    scene.server.leave_completed(7, &key);
    scene.auditor.cleaned_up(&scene.server);
    assert_eq!(scene.auditor.violation(), None);
    scene.auditor.cleaning_failed(ErrorKind::Unavailable, "");
    assert_eq!(scene.auditor.violation(), None);
    scene.server.apply(Request::Abort { upload: 7 }, Moment { time: 0, name: 8 });
    scene.auditor.after_step(&scene.server);
    scene.assert_noticed("G03");
    let mut scene = Scene::new();
    scene.auditor.cleaning_failed(ErrorKind::Corrupt, "");
    scene.assert_noticed("G08");
}

fn verdict(run: &str, passed: bool) -> Verdict {
    let outcome = if passed {
        Outcome::Passed { schema_version: None, record_count: 1 }
    } else {
        Outcome::Failed("wrong".to_owned())
    };
    Verdict { run_id: run.parse().unwrap(), outcome }
}

/// Judges as the state should, and then as `record` says.
fn judge(scene: &mut Scene, verdicts: &[Verdict], record: impl Fn(Record) -> Record) {
    let mut before: Option<Record> = None;
    for (number, verdict) in verdicts.iter().enumerate() {
        assert_eq!(scene.auditor.violation(), None);
        let mut after = transition(before.as_ref(), verdict, jiff::Timestamp::UNIX_EPOCH);
        if number + 1 == verdicts.len() {
            after = record(after);
        }
        let judged = Judged { before: before.as_ref(), verdict, after: &after };
        scene.auditor.judged("partition", &scene.run.prefix, &judged);
        before = Some(after);
    }
}

#[test]
fn g13_g14_authority_that_goes_astray_and_lost_verdicts_are_noticed() {
    let (old, new) = ("2024-06-02T00:00:00.000Z", "2024-06-03T00:00:00.000Z");
    for verdicts in
        [[verdict(new, true), verdict(old, true)], [verdict(new, true), verdict(old, false)]]
    {
        let mut scene = Scene::sealed();
        judge(&mut scene, &verdicts, |record| record);
        assert_eq!(scene.auditor.violation(), None);
        let mut scene = Scene::sealed();
        let to_old = |record| Record { current_run_id: Some(old.parse().unwrap()), ..record };
        judge(&mut scene, &verdicts, to_old);
        scene.assert_noticed("G13");
        let mut scene = Scene::sealed();
        judge(&mut scene, &verdicts, |record| Record { attempt_count: 1, ..record });
        scene.assert_noticed("G14");
    }
}

#[test]
fn g15_a_run_without_authority_that_is_consumed_is_noticed() {
    let (old, new) = ("2024-06-02T00:00:00.000Z", "2024-06-03T00:00:00.000Z");
    let mut scene = Scene::sealed();
    judge(&mut scene, &[verdict(new, true)], |record| record);
    let since = scene.auditor.moment(&scene.run.prefix, "partition");
    scene.auditor.consumed("partition", since, Some(&new.parse().unwrap()));
    assert_eq!(scene.auditor.violation(), None);
    scene.auditor.consumed("partition", since, Some(&old.parse().unwrap()));
    scene.assert_noticed("G15");
    let mut scene = Scene::sealed();
    judge(&mut scene, &[verdict(new, true)], |record| record);
    scene.auditor.consumed("partition", since, None);
    scene.assert_noticed("G15");
}
