//! The objects of each run, compared with those before: G01, G02, G03, G04, G06.

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
    /// Whether software outside the protocol changed it.
    pub(super) vandalised: bool,
    /// Whether the payload was replaced after the seal, where that is allowed.
    pub(super) corrupt: bool,
}

/// A seal and its payload.
#[derive(Debug, Clone)]
pub(super) struct SealRecord {
    tag: Tag,
    /// The tag of the payload at the appearance of the seal.
    payload: Option<Tag>,
    pub(super) token: String,
    pub(super) attempt: Option<AttemptId>,
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
                (Some(_), there) => self.stayed(at, there.map(|seal| seal.tag), server),
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
        run.seal = Some(SealRecord { tag: seal.tag, payload: payload_tag, token, attempt });
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

    /// Checks that a sealed run does not change (G03).
    fn stayed(&mut self, at: usize, tag: Option<Tag>, server: &SimBucket) {
        let run = &self.runs[at];
        let Some(seal) = &run.seal else { return };
        let payload = run.payload(server);
        let same = tag == Some(seal.tag) && payload.map(|payload| payload.tag) == seal.payload;
        let whole = payload.is_none_or(|payload| payload.content == ContentState::Intact);
        if same && whole || run.vandalised {
            return;
        }
        let unknown = tag == Some(seal.tag) && run.told.is_none();
        if self.lateness == Lateness::Unbounded && unknown {
            self.runs[at].corrupt = true;
            return;
        }
        let now = payload.map(|payload| (&payload.metadata, payload.content));
        let how = format!("G03: {} changed after {} sealed it: {now:?}", run.prefix, seal.token);
        self.violate(how);
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
        self.run_mut(prefix).vandalised = true;
    }
}
