//! Events without a client: leftovers, lifecycle rules, garbage collection, tampering.

use bytes::Bytes;
use fake_s3::WriteCondition;

use super::{
    ids::{NOBODY, ProcessId},
    plan::{InitialLeftover, WorldEvent},
    requests::Request,
    time::HOUR,
    world::{SimWorld, Woken},
};

/// The owner of objects that software outside the protocol changed.
const VANDAL: &str = "vandal";

impl SimWorld {
    /// Creates the leftovers of attempts that died before the start.
    pub(super) fn create_leftovers(&mut self) {
        for run in self.plan.runs.clone() {
            let (key, token) = (format!("{}payload.jsonl", run.prefix), "dead".to_owned());
            if matches!(run.leftover, InitialLeftover::Payload | InitialLeftover::Both) {
                let rows = self.random.pick(&[0, 1, 4, 8]);
                let body = Bytes::from("{\"attempt\":\"dead\",\"n\":\"00000\"}\n".repeat(rows));
                let (key, token) = (key.clone(), token.clone());
                let condition = WriteCondition::CreateOnly;
                self.apply(NOBODY, &Request::Put { key, body, token, condition });
            }
            if matches!(run.leftover, InitialLeftover::Upload | InitialLeftover::Both) {
                self.apply(NOBODY, &Request::CreateUpload { key, token });
            }
        }
    }

    pub(super) fn world_event(&mut self, event: WorldEvent) -> Woken {
        match event {
            WorldEvent::Lifecycle => self.lifecycle(),
            WorldEvent::Echo => self.echo(),
            WorldEvent::Garbage => {
                self.encounters.mishap("garbage collection");
                self.server.collect_garbage();
            }
            WorldEvent::Vandal => self.vandal(),
            WorldEvent::SealVandal => self.seal_vandal(),
            WorldEvent::Kill | WorldEvent::Pause => {
                let alive: Vec<_> = (NOBODY.0 + 1..self.processes.len())
                    .filter(|process| !self.processes[*process].dead)
                    .map(ProcessId)
                    .collect();
                if !alive.is_empty() {
                    let process = self.random.pick(&alive);
                    match event {
                        // The task that waits for the process continues.
                        WorldEvent::Kill => return self.kill(process, "killed at any time"),
                        _ => self.pause(process),
                    }
                }
            }
        }
        Woken::Nothing
    }

    /// Aborts uploads that were not used for an hour.
    fn lifecycle(&mut self) {
        let old = self.server.open_uploads().map(|(id, _)| id).filter(|id| {
            let used = self.log.uploads.get(id).map_or(0, |log| log.used);
            used + HOUR < self.now && !self.server.is_completing(*id)
        });
        for upload in old.collect::<Vec<_>>() {
            self.encounters.mishap("aborted by a lifecycle rule");
            self.trace("server", || format!("a lifecycle rule aborts upload {upload:016x}"));
            self.apply(NOBODY, &Request::Abort { upload });
        }
    }

    fn echo(&mut self) {
        let aborted: Vec<_> = self.server.aborted_uploads().collect();
        if !aborted.is_empty() {
            let upload = self.random.pick(&aborted);
            self.encounters.mishap("aborted and listed again");
            self.trace("server", || format!("lists upload {upload:016x} again"));
            self.server.list_again(upload);
        }
    }

    /// Changes a sealed payload, as software outside the protocol would.
    fn vandal(&mut self) {
        let Some(run) = self.auditor.a_sealed_run() else { return };
        let key = format!("{run}payload.jsonl");
        self.auditor.vandalised(&run);
        self.encounters.mishap("sealed payload vandalised");
        self.trace("vandal", || format!("changes {key}"));
        let name = self.unique();
        let kind = self.random.below(4);
        let Some(stored) = self.server.objects.get_mut(&key) else { return };
        let bytes = &stored.body;
        let changed = match kind {
            0 => bytes.slice(..bytes.len() / 2),
            1 => Bytes::from([&bytes[..], b"{}\n"].concat()),
            2 => bytes.iter().map(|byte| if *byte == b'0' { b'9' } else { *byte }).collect(),
            _ => {
                self.server.objects.remove(&key);
                return;
            }
        };
        stored.body = changed;
        (stored.tag, stored.metadata) = (name, Some(VANDAL.to_owned()));
    }

    /// Cuts a seal, as software outside the protocol would.
    fn seal_vandal(&mut self) {
        let Some(run) = self.auditor.a_sealed_run() else { return };
        let key = format!("{run}metadata.json");
        self.auditor.seal_vandalised(&run);
        self.encounters.mishap("seal vandalised");
        self.trace("vandal", || format!("cuts {key}"));
        let name = self.unique();
        let Some(stored) = self.server.objects.get_mut(&key) else { return };
        stored.body = stored.body.slice(..stored.body.len() / 2);
        (stored.tag, stored.metadata) = (name, Some(VANDAL.to_owned()));
    }

    /// Lists an upload for every sealed payload, as a gateway does that crashed during a Complete.
    pub(super) fn list_completed_uploads(&mut self) {
        for run in self.plan.runs.clone() {
            let key = format!("{}payload.jsonl", run.prefix);
            let object = self.server.objects.get(&key).filter(|stored| !stored.body.is_empty());
            if object.is_some() && self.auditor.is_sealed(&run.prefix) {
                let upload = self.unique();
                self.encounters.mishap("completed and still listed");
                self.server.list_completed(upload, &key);
            }
        }
    }
}
