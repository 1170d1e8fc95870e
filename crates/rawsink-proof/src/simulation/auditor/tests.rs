//! The auditor detects the violation of each guarantee.

use bytes::Bytes;
use fake_s3::{Behaviour, FakeBucket, Stamp, WriteCondition};
use rawsink::{
    ErrorKind, Sealed,
    sink::PayloadSummary,
    state::{Outcome, Record, Verdict, transition},
};

use super::*;
use crate::simulation::{
    ids::ProcessId,
    plan::{PlannedRun, SeedPlan, WriterEnding},
    random::Random,
    requests::{Request, ServerReply, SimBucket},
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ROWS: &[u8] = b"{}\n";

/// An auditor, a bucket, and an attempt at the first run of a plan with correct settings.
struct Scene {
    auditor: Auditor,
    server: SimBucket,
    run: PlannedRun,
    attempt: AttemptId,
    names: u64,
}

impl Scene {
    fn new() -> Self {
        let plans = (0..).map(|seed| SeedPlan::draw(&mut Random::new(seed), Options::default()));
        let plan = plans.into_iter().find(|plan| plan.mishaps.windows.is_empty()).unwrap();
        let (run, server) = (plan.runs[0].clone(), FakeBucket::new(Behaviour::default()));
        let mut auditor = Auditor::new(&plan, Options::default());
        let attempt = auditor.attempt(&run.prefix, ProcessId(1), WriterEnding::Seal);
        auditor.writes(attempt, Bytes::from_static(ROWS));
        Self { auditor, server, run, attempt, names: 0 }
    }

    /// Sends a request of the attempt and applies it.
    fn send(&mut self, request: Request) -> ServerReply {
        self.auditor.sent(Some(self.attempt), &request, &self.server);
        self.names += 1;
        let reply = request.apply(&mut self.server, Stamp { time: 0, name: self.names });
        self.auditor.heard(Some(self.attempt), &reply);
        self.auditor.after_event(&self.server);
        reply
    }

    /// Sends a request of a repair and applies it.
    fn repairs(&mut self, request: Request) -> ServerReply {
        self.auditor.repairs(&request, &self.run.prefix.clone(), &self.server);
        self.names += 1;
        let reply = request.apply(&mut self.server, Stamp { time: 0, name: self.names });
        self.auditor.after_event(&self.server);
        reply
    }

    fn put(&mut self, name: &str, content: &[u8]) {
        let (key, body) = (format!("{}{name}", self.run.prefix), content.to_vec().into());
        let condition = WriteCondition::CreateOnly;
        self.send(Request::Put { key, body, token: TOKEN.to_owned(), condition });
    }

    fn put_payload(&mut self, content: &[u8]) {
        self.put("payload.jsonl", content);
    }

    fn put_seal(&mut self) {
        self.put("metadata.json", format!("{{\"_seal\":{{\"writer\":\"{TOKEN}\"}}}}").as_bytes());
    }

    fn ends_with(&mut self, told: WriterOutcome) {
        self.auditor.told(self.attempt, told, &self.server);
    }

    fn succeeds(&mut self) {
        let payload = PayloadSummary {
            payload_bytes: ROWS.len() as u64,
            payload_sha256: String::new(),
            record_count: 1,
        };
        self.ends_with(WriterOutcome::Sealed(Sealed { writer: TOKEN.to_owned(), payload }));
    }

    fn fails_with(&mut self, kind: ErrorKind) {
        self.ends_with(WriterOutcome::Failed(kind, String::new()));
    }

    fn sealed() -> Self {
        let mut scene = Self::new();
        scene.put_payload(ROWS);
        scene.put_seal();
        scene.succeeds();
        assert_eq!(scene.auditor.violation(), None);
        scene
    }

    fn reads(&mut self, payload: &[u8]) {
        let prefix = self.run.prefix.clone();
        let seen = ReadResult { prefix: &prefix, token: TOKEN, attempt: Some(0), payload };
        self.auditor.read(&seen);
    }

    fn assert_detected(&self, guarantee: &str) {
        let noticed = self.auditor.violation().unwrap_or_default();
        assert!(noticed.starts_with(guarantee), "{guarantee}: {noticed:?}");
    }
}

#[test]
fn g01_a_seal_without_a_writer_and_results_that_contradict_a_seal_are_detected() {
    let mut scene = Scene::new();
    scene.put("metadata.json", b"{}");
    scene.assert_detected("G01");
    let mut scene = Scene::new();
    scene.reads(ROWS);
    scene.assert_detected("G01");
    let mut scene = Scene::new();
    scene.fails_with(ErrorKind::AlreadySealed);
    scene.assert_detected("G01");
    let mut scene = Scene::sealed();
    let since = scene.auditor.snapshot(&scene.run.prefix, "");
    scene.auditor.refused(&scene.run.prefix, since, ErrorKind::NotSealed, false);
    scene.assert_detected("G01");
}

#[test]
fn g02_a_seal_without_its_payload_is_detected() {
    let mut scene = Scene::new();
    scene.put_seal();
    scene.assert_detected("G02");
    let mut scene = Scene::new();
    scene.put_payload(b"{\"other\":1}\n");
    scene.put_seal();
    scene.assert_detected("G02");
}

#[test]
fn g03_a_change_of_a_sealed_run_is_detected() {
    for name in ["payload.jsonl", "metadata.json"] {
        let mut scene = Scene::sealed();
        scene.server.objects.remove(&format!("{}{name}", scene.run.prefix));
        scene.auditor.after_event(&scene.server);
        scene.assert_detected("G03");
    }
}

#[test]
fn g04_success_without_its_own_seal_is_detected() {
    let mut scene = Scene::new();
    scene.succeeds();
    scene.assert_detected("G04");
    let mut scene = Scene::sealed();
    scene.attempt = scene.auditor.attempt(&scene.run.prefix, ProcessId(2), WriterEnding::Seal);
    scene.succeeds();
    scene.assert_detected("G04");
}

#[test]
fn g05_a_corrupt_run_without_tampering_is_detected() {
    let mut scene = Scene::sealed();
    let since = scene.auditor.snapshot(&scene.run.prefix, "");
    scene.auditor.refused(&scene.run.prefix, since, ErrorKind::Corrupt, true);
    assert_eq!(scene.auditor.violation(), None, "a misled reader may get this error");
    scene.auditor.refused(&scene.run.prefix, since, ErrorKind::Corrupt, false);
    scene.assert_detected("G05");
    let mut scene = Scene::new();
    scene.fails_with(ErrorKind::Corrupt);
    scene.assert_detected("G05");
}

#[test]
fn g06_a_seal_before_or_after_a_final_error_is_detected() {
    let mut scene = Scene::new();
    scene.put_payload(ROWS);
    scene.put_seal();
    scene.fails_with(ErrorKind::Conflict);
    scene.assert_detected("G06");
    let mut scene = Scene::new();
    scene.put_payload(ROWS);
    scene.fails_with(ErrorKind::Unavailable);
    assert_eq!(scene.auditor.violation(), None);
    scene.put_seal();
    scene.assert_detected("G06");
    let mut scene = Scene::new();
    scene.put_payload(ROWS);
    scene.fails_with(ErrorKind::Unknown);
    scene.put_seal();
    assert_eq!(scene.auditor.violation(), None, "Unknown leaves it open");
}

#[test]
fn g08_an_upload_left_open_is_detected_unless_it_is_a_marker() {
    for ended_another in [false, true] {
        let mut scene = Scene::new();
        let key = format!("{}payload.jsonl", scene.run.prefix);
        scene.send(Request::CreateUpload { key, token: TOKEN.to_owned() });
        if ended_another {
            scene.send(Request::Abort { upload: 99 });
        }
        scene.fails_with(ErrorKind::Conflict);
        scene.auditor.look_for_leaks(&scene.server);
        scene.assert_detected(if ended_another { "" } else { "G08" });
        assert_eq!(scene.auditor.violation().is_none(), ended_another);
    }
}

#[test]
fn g10_wrong_rows_returned_as_correct_are_detected() {
    let mut scene = Scene::sealed();
    scene.reads(ROWS);
    assert_eq!(scene.auditor.violation(), None);
    scene.reads(b"{ }\n");
    scene.assert_detected("G10");
}

#[test]
fn g12_g18_forbidden_requests_are_detected() {
    let mut scene = Scene::new();
    let upload = Request::Abort { upload: 1 };
    scene.auditor.sent(None, &upload, &scene.server);
    scene.assert_detected("G12");
    let mut scene = Scene::new();
    scene.send(Request::Head { key: "raw/zone/other/payload.jsonl".to_owned() });
    scene.assert_detected("G18");
}

#[test]
fn g18_g08_a_cleanup_that_deletes_too_much_or_too_little_is_detected() {
    let hour = 3_600_000_000;
    for (rested, guarantee) in [(Some(hour), ""), (Some(hour - 1), "G18"), (None, "G18")] {
        let mut scene = Scene::new();
        let inspected = rested.map(|rested| (1, rested)).into_iter().collect();
        scene.auditor.cleans(&Request::Abort { upload: 1 }, &inspected);
        scene.assert_detected(guarantee);
        assert_eq!(scene.auditor.violation().is_none(), guarantee.is_empty());
    }
    let mut scene = Scene::new();
    let key = format!("{}metadata.json", scene.run.prefix);
    scene.auditor.cleans(&Request::Delete { key, tag: None }, &BTreeMap::new());
    scene.assert_detected("G18");
    let mut scene = Scene::new();
    scene.put_payload(ROWS);
    scene.auditor.cleaned_up(&scene.server, &BTreeSet::new());
    scene.assert_detected("G08");
    let mut scene = Scene::sealed();
    let key = format!("{}payload.jsonl", scene.run.prefix);
    scene.server.list_completed(7, &key);
    scene.auditor.cleaned_up(&scene.server, &BTreeSet::new());
    assert_eq!(scene.auditor.violation(), None);
    scene.auditor.cleaning_failed(ErrorKind::Unavailable, "");
    assert_eq!(scene.auditor.violation(), None);
    scene.server.abort(7).unwrap();
    scene.auditor.after_event(&scene.server);
    scene.assert_detected("G03");
    let mut scene = Scene::new();
    scene.auditor.cleaning_failed(ErrorKind::Corrupt, "");
    scene.assert_detected("G08");
}

fn verdict(run: &str, passed: bool) -> Verdict {
    let outcome = if passed {
        Outcome::Passed { schema_version: None, record_count: 1 }
    } else {
        Outcome::Failed("wrong".to_owned())
    };
    Verdict::new(run.parse().unwrap(), outcome)
}

/// Applies verdicts to the state; `record` changes the last record.
fn judge(scene: &mut Scene, verdicts: &[Verdict], record: impl Fn(Record) -> Record) {
    let mut before: Option<Record> = None;
    for (number, verdict) in verdicts.iter().enumerate() {
        assert_eq!(scene.auditor.violation(), None);
        let mut after = transition(before.as_ref(), verdict, jiff::Timestamp::UNIX_EPOCH);
        if number + 1 == verdicts.len() {
            after = record(after);
        }
        let judged = StateChange { before: before.as_ref(), verdict, after: &after };
        scene.auditor.judged("partition", &scene.run.prefix, &judged);
        before = Some(after);
    }
}

#[test]
fn g13_g14_wrong_authority_and_lost_verdicts_are_detected() {
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
        scene.assert_detected("G13");
        let mut scene = Scene::sealed();
        judge(&mut scene, &verdicts, |record| Record { attempt_count: 1, ..record });
        scene.assert_detected("G14");
    }
}

#[test]
fn g15_reading_a_run_without_authority_is_detected() {
    let (old, new) = ("2024-06-02T00:00:00.000Z", "2024-06-03T00:00:00.000Z");
    let mut scene = Scene::sealed();
    judge(&mut scene, &[verdict(new, true)], |record| record);
    let since = scene.auditor.snapshot(&scene.run.prefix, "partition");
    scene.auditor.consumed("partition", since, Some(&new.parse().unwrap()));
    assert_eq!(scene.auditor.violation(), None);
    scene.auditor.consumed("partition", since, Some(&old.parse().unwrap()));
    scene.assert_detected("G15");
    let mut scene = Scene::sealed();
    judge(&mut scene, &[verdict(new, true)], |record| record);
    scene.auditor.consumed("partition", since, None);
    scene.assert_detected("G15");
}

/// A scene in which a repair writes a sealed payload, with these bytes, after a change by others.
fn repaired_with(payload: &[u8]) -> Scene {
    let mut scene = Scene::sealed();
    let (prefix, key) = (scene.run.prefix.clone(), format!("{}payload.jsonl", scene.run.prefix));
    scene.auditor.vandalised(&prefix);
    scene.server.objects.remove(&key);
    scene.auditor.after_event(&scene.server);
    assert_eq!(scene.auditor.violation(), None, "a change by others is expected");
    let create = Request::CreateUpload { key, token: "repair".to_owned() };
    let ServerReply::UploadCreated(upload) = scene.repairs(create) else { panic!() };
    let body = Bytes::copy_from_slice(payload);
    let part = Request::UploadPart { upload, number: 1, body };
    let ServerReply::PartTaken(tag) = scene.repairs(part) else { panic!() };
    let (parts, condition) = (vec![(1, tag)], WriteCondition::Overwrite);
    scene.repairs(Request::Complete { upload, parts, condition });
    scene
}

#[test]
fn g03_a_repair_that_puts_back_the_sealed_bytes_is_no_change() {
    let mut scene = repaired_with(ROWS);
    assert_eq!(scene.auditor.violation(), None);
    let prefix = scene.run.prefix.clone();
    let since = scene.auditor.snapshot(&prefix, "");
    scene.auditor.repaired(&prefix, since, "repaired", &scene.server);
    scene.reads(ROWS);
    assert_eq!(scene.auditor.violation(), None);
    // The run is intact again: from now on every change is noticed.
    scene.auditor.refused(&prefix, since, ErrorKind::Corrupt, false);
    scene.assert_detected("G05");
}

#[test]
fn g03_a_repair_that_writes_other_bytes_or_succeeds_wrongly_is_detected() {
    repaired_with(b"{\"n\":1}\n").assert_detected("G03: a repair wrote other bytes");
    let mut scene = Scene::sealed();
    let prefix = scene.run.prefix.clone();
    scene.auditor.vandalised(&prefix);
    scene.server.objects.remove(&format!("{prefix}payload.jsonl"));
    let since = scene.auditor.snapshot(&prefix, "");
    scene.auditor.repaired(&prefix, since, "repaired", &scene.server);
    scene.assert_detected("G03");
    let mut scene = Scene::sealed();
    let since = scene.auditor.snapshot(&prefix, "");
    let kind = (ErrorKind::Corrupt, "no reason");
    scene.auditor.repair_failed(&prefix, since, kind, true);
    assert_eq!(scene.auditor.violation(), None, "a misled repair may get this error");
    scene.auditor.repair_failed(&prefix, since, kind, false);
    scene.assert_detected("G03");
    let mut scene = Scene::sealed();
    scene.auditor.repaired_alone(&prefix, Some("Corrupt"));
    scene.assert_detected("G03");
}

#[test]
fn g18_a_request_that_a_repair_does_not_need_is_detected() {
    let (key, other) =
        (|run: &PlannedRun| format!("{}payload.jsonl", run.prefix), "other/payload.jsonl");
    let run = Scene::new().run;
    for request in [
        Request::Delete { key: key(&run), tag: None },
        Request::Get { key: other.to_owned() },
        Request::CreateUpload {
            key: format!("{}metadata.json", run.prefix),
            token: "x".to_owned(),
        },
    ] {
        let mut scene = Scene::sealed();
        scene.repairs(request);
        scene.assert_detected("G18");
    }
    // An abort after Complete.
    let mut scene = repaired_with(ROWS);
    let upload = *scene.auditor.repair_completes.first().unwrap();
    scene.repairs(Request::Abort { upload });
    scene.assert_detected("G18");
}
