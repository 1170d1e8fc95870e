//! The objects of each run, compared with those before: G01, G02, G03, G04, G06.
//!
//! A sealed run changes only by software outside the protocol, and by a repair that puts back exactly the
//! sealed bytes (G03).

use bytes::Bytes;
use fake_s3::{ContentState, Tag};
use rawsink::store::Object;
use serde_json::Value;

use super::Auditor;
use crate::simulation::{
    ids::AttemptId,
    options::Lateness,
    requests::{SimBucket, SimObject},
};

/// The history of a run.
#[derive(Debug)]
pub(super) struct RunRecord {
    /// The prefix of its keys.
    pub(super) prefix: String,
    payload_key: String,
    seal_key: String,
    /// The seal, after its appearance.
    pub(super) seal: Option<SealRecord>,
    /// The attempt whose writer got "sealed".
    pub(super) told: Option<AttemptId>,
    /// Whether software outside the protocol changed it, and no repair has put its bytes back.
    pub(super) vandalised: bool,
    /// How often software outside the protocol changed it.
    pub(super) vandalisms: u64,
    /// Whether this is true of its seal.
    pub(super) seal_vandalised: bool,
    /// How often a repair put its bytes back.
    pub(super) repairs: u64,
    /// Whether the payload was replaced after the seal, where that is allowed.
    pub(super) corrupt: bool,
}

/// A seal and its payload.
#[derive(Debug, Clone)]
pub(super) struct SealRecord {
    tag: Tag,
    /// The sealed `metadata.json`.
    document: Bytes,
    /// The tag of the payload at the appearance of the seal, or after its last repair.
    payload: Option<Tag>,
    pub(super) token: String,
    pub(super) attempt: Option<AttemptId>,
}

/// How an object of a sealed run compares with the sealed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Unchanged,
    /// A repair wrote the sealed bytes.
    Restored,
    /// A repair wrote other bytes.
    Forged,
    Changed,
}

impl RunRecord {
    pub(super) fn new(prefix: &str) -> Self {
        let key = |object: Object| format!("{prefix}{}", object.file_name());
        Self {
            prefix: prefix.to_owned(),
            payload_key: key(Object::Payload),
            seal_key: key(Object::Seal),
            seal: None,
            told: None,
            vandalised: false,
            vandalisms: 0,
            seal_vandalised: false,
            repairs: 0,
            corrupt: false,
        }
    }

    /// Returns the current payload.
    pub(super) fn payload<'s>(&self, server: &'s SimBucket) -> Option<&'s SimObject> {
        server.objects.get(&self.payload_key)
    }

    /// Returns whether a payload exists without a seal.
    pub(super) fn is_left(&self, server: &SimBucket) -> bool {
        self.payload(server).is_some() && self.current_seal(server).is_none()
    }

    /// Notes the tags of seal and payload after a repair.
    fn restored(&mut self, (seal, payload): (Option<Tag>, Option<Tag>)) {
        (self.vandalised, self.seal_vandalised) = (false, false);
        self.repairs += 1;
        if let (Some(record), Some(tag)) = (&mut self.seal, seal) {
            (record.tag, record.payload) = (tag, payload);
        }
    }

    fn current_seal<'s>(&self, server: &'s SimBucket) -> Option<&'s SimObject> {
        server.objects.get(&self.seal_key)
    }
}

impl Auditor {
    /// Compares every run with its record.
    pub(in crate::simulation) fn after_event(&mut self, server: &SimBucket) {
        for at in 0..self.runs.len() {
            let run = &self.runs[at];
            match (&run.seal, run.current_seal(server)) {
                (None, None) => {}
                (None, Some(seal)) => self.appeared(at, seal, server),
                (Some(_), _) => self.stayed(at, server),
            }
        }
    }

    /// Checks a new seal: its payload must exist, intact, from the same writer.
    fn appeared(&mut self, at: usize, seal: &SimObject, server: &SimBucket) {
        let document: Value = serde_json::from_slice(&seal.body).unwrap_or_default();
        let token = document["_seal"]["writer"].as_str().unwrap_or_default().to_owned();
        let attempt = self.tokens.get(&token).copied();
        let run = &mut self.runs[at];
        let payload = run.payload(server);
        let payload_tag = payload.map(|payload| payload.tag);
        run.seal = Some(SealRecord {
            tag: seal.tag,
            document: seal.body.clone(),
            payload: payload_tag,
            token,
            attempt,
        });
        let prefix = run.prefix.clone();
        let Some(attempt) = attempt else {
            return self.violate(format!("G01: {prefix} has a seal of no writer: {document}"));
        };
        let attempt = &self.attempts[attempt.0];
        if let Some(told) = attempt.told.as_ref().filter(|told| !told.leaves_open(attempt.ending)) {
            return self.violate(format!("G06: the seal appeared after its writer got {told:?}"));
        }
        let whole = payload.is_some_and(|payload| {
            payload.content == ContentState::Intact && payload.body == attempt.payload
        });
        if whole {
            return;
        }
        if self.lateness == Lateness::Unbounded {
            self.runs[at].corrupt = true;
        } else {
            let there = payload.map(|payload| (payload.content, &payload.metadata));
            self.violate(format!("G02: {prefix} was sealed over {there:?}: {document}"));
        }
    }

    /// Checks that a sealed run does not change, except by a repair (G03).
    fn stayed(&mut self, at: usize, server: &SimBucket) {
        let run = &self.runs[at];
        let Some(sealed) = &run.seal else { return };
        let (seal, payload) = (run.current_seal(server), run.payload(server));
        let rows = sealed.attempt.map(|attempt| &self.attempts[attempt.0].payload);
        let found = [
            self.compare(seal, Some(sealed.tag), Some(&sealed.document)),
            self.compare(payload, sealed.payload, rows),
        ];
        if found == [Found::Unchanged; 2] {
            return;
        }
        if found.contains(&Found::Forged) {
            let how = format!("G03: a repair wrote other bytes into {}", run.prefix);
            return self.violate(how);
        }
        if !found.contains(&Found::Changed) {
            let tags = (seal.map(|seal| seal.tag), payload.map(|payload| payload.tag));
            return self.runs[at].restored(tags);
        }
        if run.vandalised {
            return;
        }
        let unknown = seal.map(|seal| seal.tag) == Some(sealed.tag) && run.told.is_none();
        if self.lateness == Lateness::Unbounded && unknown {
            self.runs[at].corrupt = true;
            return;
        }
        let now = payload.map(|payload| (&payload.metadata, payload.content));
        let how = format!("G03: {} changed after {} sealed it: {now:?}", run.prefix, sealed.token);
        self.violate(how);
    }

    /// Compares an object with the sealed one, by its tag, or by its bytes if a repair wrote it.
    fn compare(
        &self,
        object: Option<&SimObject>,
        tag: Option<Tag>,
        bytes: Option<&Bytes>,
    ) -> Found {
        let Some(object) = object else {
            return if tag.is_none() { Found::Unchanged } else { Found::Changed };
        };
        let by_repair =
            object.metadata.as_ref().is_some_and(|token| self.repair_tokens.contains(token));
        match object.content {
            ContentState::Intact if Some(object.tag) == tag => Found::Unchanged,
            ContentState::Intact if by_repair && Some(&object.body) == bytes => Found::Restored,
            _ if by_repair => Found::Forged,
            _ => Found::Changed,
        }
    }

    /// Returns whether a run is sealed.
    pub(in crate::simulation) fn is_sealed(&self, prefix: &str) -> bool {
        self.run(prefix).seal.is_some()
    }

    /// Returns whether a run may be corrupt.
    pub(in crate::simulation) fn may_be_corrupt(&self, prefix: &str) -> bool {
        let run = self.run(prefix);
        run.vandalised || run.corrupt
    }

    /// Returns whether a late request made a run corrupt.
    pub(in crate::simulation) fn any_is_corrupt(&self) -> bool {
        self.runs.iter().any(|run| run.corrupt)
    }

    /// Returns the prefix of a sealed run.
    pub(in crate::simulation) fn a_sealed_run(&self) -> Option<String> {
        let mut sealed = self.runs.iter().filter(|run| run.seal.is_some());
        sealed.next().map(|run| run.prefix.clone())
    }

    /// Notes that software outside the protocol changed a run.
    pub(in crate::simulation) fn vandalised(&mut self, prefix: &str) {
        let run = self.run_mut(prefix);
        run.vandalised = true;
        run.vandalisms += 1;
    }

    /// Notes that software outside the protocol changed the seal of a run.
    pub(in crate::simulation) fn seal_vandalised(&mut self, prefix: &str) {
        self.vandalised(prefix);
        self.run_mut(prefix).seal_vandalised = true;
    }

    /// Returns whether a sealed run has other bytes than those that were sealed.
    pub(super) fn is_damaged(&self, prefix: &str, server: &SimBucket) -> bool {
        let run = self.run(prefix);
        let found = [run.current_seal(server), run.payload(server)].map(|object| {
            object
                .filter(|object| object.content == ContentState::Intact)
                .map(|object| &object.body)
        });
        self.backup(prefix).is_some_and(|(seal, payload)| found != [Some(&seal), Some(&payload)])
    }

    /// Returns the sealed `metadata.json` and payload of a run, as a backup has them.
    pub(in crate::simulation) fn backup(&self, prefix: &str) -> Option<(Bytes, Bytes)> {
        let seal = self.run(prefix).seal.as_ref()?;
        let payload = self.attempts[seal.attempt?.0].payload.clone();
        Some((seal.document.clone(), payload))
    }
}
