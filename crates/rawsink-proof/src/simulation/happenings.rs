//! What happens without any client's doing.

use bytes::Bytes;

use super::{
    plan::{Happening, Left},
    process::{NOBODY, ProcessId},
    requests::{Blob, Request},
    serving::live,
    time::{HOUR, MILLISECOND, MINUTE},
    world::{Woken, World},
};

impl World {
    /// Leaves what attempts that are dead by now left.
    pub(super) fn leave_things(&mut self) {
        for run in self.plan.runs.clone() {
            let (key, token) = (format!("{}payload.jsonl", run.prefix), "dead".to_owned());
            if matches!(run.left, Left::Payload | Left::Both) {
                let rows = self.random.pick(&[0, 1, 4, 8]);
                let body =
                    Blob(Bytes::from("{\"attempt\":\"dead\",\"n\":\"00000\"}\n".repeat(rows)));
                self.apply(
                    NOBODY,
                    Request::Create { key: key.clone(), body, token: token.clone() },
                );
            }
            if matches!(run.left, Left::Upload | Left::Both) {
                self.apply(NOBODY, Request::CreateUpload { key, token });
            }
        }
    }

    pub(super) fn happening(&mut self, happening: Happening) -> Woken {
        match happening {
            Happening::Lifecycle => self.lifecycle(),
            Happening::Echo => self.echo(),
            Happening::Garbage => {
                self.coverage.fault("garbage collection");
                self.server.collect_garbage();
            }
            Happening::Vandal => self.vandal(),
            Happening::Kill | Happening::Pause => {
                let alive: Vec<_> = (NOBODY.0 + 1..self.processes.len())
                    .filter(|process| !self.processes[*process].dead)
                    .map(ProcessId)
                    .collect();
                if !alive.is_empty() {
                    let process = self.random.pick(&alive);
                    match happening {
                        // Whoever started it goes on.
                        Happening::Kill => return self.kill(process, "killed at any time"),
                        _ => self.pause(process),
                    }
                }
            }
        }
        Woken::Nobody
    }

    /// Ends the uploads that nobody has used for an hour.
    fn lifecycle(&mut self) {
        let old = live(&self.server).map(|(id, _)| *id).filter(|id| {
            let used = self.log.uploads.get(id).map_or(0, |log| log.used);
            used + HOUR < self.now && !self.server.is_completing(*id)
        });
        for upload in old.collect::<Vec<_>>() {
            self.coverage.fault("ended by a lifecycle rule");
            self.tell("server", || format!("a lifecycle rule ends upload {upload:016x}"));
            self.apply(NOBODY, Request::Abort { upload });
        }
    }

    fn echo(&mut self) {
        let ended: Vec<_> = self.server.ended().collect();
        if !ended.is_empty() {
            let upload = self.random.pick(&ended);
            self.coverage.fault("ended and listed again");
            self.tell("server", || format!("lists upload {upload:016x} again"));
            self.server.list_again(upload);
        }
    }

    /// Changes a sealed payload, as software does that follows no rule.
    fn vandal(&mut self) {
        let Some(run) = self.auditor.a_sealed_run() else { return };
        let key = format!("{run}payload.jsonl");
        self.auditor.vandalised(&run);
        self.coverage.fault("sealed payload vandalised");
        self.tell("vandal", || format!("changes {key}"));
        let name = self.unique();
        let kind = self.random.below(4);
        let Some(stored) = self.server.objects.get_mut(&key) else { return };
        let bytes = &stored.body.0;
        let changed = match kind {
            0 => bytes.slice(..bytes.len() / 2),
            1 => Bytes::from([&bytes[..], b"{}\n"].concat()),
            2 => bytes.iter().map(|byte| if *byte == b'0' { b'9' } else { *byte }).collect(),
            _ => {
                self.server.objects.remove(&key);
                return;
            }
        };
        stored.body = Blob(changed);
        stored.tag = name;
    }

    /// Lists an upload for every sealed payload, as a gateway leaves one that dies within a Complete.
    pub(super) fn leave_completed(&mut self) {
        for run in self.plan.runs.clone() {
            let key = format!("{}payload.jsonl", run.prefix);
            let there = self.server.objects.get(&key).filter(|stored| !stored.body.0.is_empty());
            if there.is_some() && self.auditor.is_sealed(&run.prefix) {
                let upload = self.unique();
                self.coverage.fault("completed and still listed");
                self.server.leave_completed(upload, &key);
            }
        }
    }

    /// Lets an hour pass, after which nothing goes wrong any more and everything is quick.
    pub(super) fn clear_up(&mut self) {
        self.fair = true;
        self.plan.tempo = MILLISECOND;
        self.now += HOUR + MINUTE;
    }
}
