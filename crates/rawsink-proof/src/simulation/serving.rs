//! The server: it applies requests, and breaks the assumptions that the options name.

use fake_s3::{CompleteStart, ErrorCode, ListedUpload, UploadId};

use super::{
    ids::ProcessId,
    options::Lie,
    plan::PartTags,
    requests::{Request, ServerReply, SimHead},
    server_log::{RunningRequest, UploadLog},
    time::{HOUR, Micros, SECOND},
    world::{AgendaEntry, SimWorld},
};

/// Age of a stale view.
const STALE: Micros = 15 * SECOND;

impl SimWorld {
    /// Applies a request, or begins a request that takes time: then it returns `None`.
    pub(super) fn begin(
        &mut self,
        message: u64,
        by: ProcessId,
        request: Request,
        running: Micros,
    ) -> Option<ServerReply> {
        let (request, takes) = match request {
            Request::Complete { upload, parts, condition } => {
                match self.server.begin_complete(upload, parts, condition) {
                    CompleteStart::Running => (RunningRequest::Complete(upload), running),
                    CompleteStart::Answered(answer) => {
                        return Some(
                            answer.map_or_else(ServerReply::Refused, ServerReply::Completed),
                        );
                    }
                }
            }
            Request::Put { ref key, condition, .. } => {
                match self.server.begin_put(key, condition) {
                    Ok(true) => (RunningRequest::Put(by, request), self.latency()),
                    Ok(false) => return Some(self.apply(by, &request)),
                    Err(error) => return Some(ServerReply::Refused(error)),
                }
            }
            request => return Some(self.apply(by, &request)),
        };
        self.log.running.insert(message, request);
        self.due(self.now + takes, AgendaEntry::Finish(message));
        None
    }

    /// Ends a request that a message began.
    pub(super) fn end(&mut self, message: u64) -> ServerReply {
        match self.log.running.remove(&message) {
            Some(RunningRequest::Complete(upload)) => {
                let stamp = self.stamp();
                let key = self.log.uploads.get(&upload).map(|log| log.key.clone());
                let before = self.current(key.as_deref());
                let answer = self.server.end_complete(upload, stamp);
                self.note_end(upload);
                self.note_change(key, before);
                answer.map_or_else(ServerReply::Refused, ServerReply::Completed)
            }
            Some(RunningRequest::Put(by, request)) => self.apply(by, &request),
            // The message arrived twice and has ended once.
            None => ServerReply::Refused(ErrorCode::PreconditionFailed),
        }
    }

    /// Applies a request in one step.
    pub(super) fn apply(&mut self, by: ProcessId, request: &Request) -> ServerReply {
        let mut stamp = self.stamp();
        if let Request::UploadPart { upload, body, .. } = request {
            if self.plan.part_tags == PartTags::Content {
                stamp.name = body.iter().fold(7, |hash: u64, byte| {
                    (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
                });
            }
            let now = self.now;
            self.log.uploads.entry(*upload).and_modify(|log| log.used = now);
        }
        if let Request::ListParts { upload } = request {
            self.note_inspection(by, *upload);
        }
        let key = match request {
            Request::Put { key, .. } | Request::Delete { key, .. } => Some(key.clone()),
            _ => None,
        };
        let before = self.current(key.as_deref());
        let reply = request.clone().apply(&mut self.server, stamp);
        match (request, &reply) {
            (Request::CreateUpload { key, .. }, ServerReply::UploadCreated(id)) => {
                let (key, now, initiated) = (key.clone(), self.now, stamp.time);
                let log = UploadLog { key, by, created: now, initiated, used: now, ended: None };
                self.log.uploads.insert(*id, log);
            }
            (Request::Abort { upload }, _) => self.note_end(*upload),
            _ => {}
        }
        self.note_change(key, before);
        self.distort(by, request, reply)
    }

    /// Notes the time since the last use of an upload whose parts a cleaner lists.
    fn note_inspection(&mut self, by: ProcessId, upload: UploadId) {
        let used = self.log.uploads.get(&upload).map_or(0, |log| log.used);
        let unused_for = self.now - used;
        if let Some(inspected) = &mut self.processes[by.0].inspected {
            inspected.insert(upload, unused_for);
        }
    }

    fn current(&self, key: Option<&str>) -> Option<SimHead> {
        self.server.head(&key?.to_owned())
    }

    /// Notes the former state of an object that changed.
    fn note_change(&mut self, key: Option<String>, before: Option<SimHead>) {
        let Some(key) = key else { return };
        if self.current(Some(&key)) != before {
            self.log.before.insert(key, (self.now, before));
        }
    }

    fn note_end(&mut self, upload: UploadId) {
        let is_gone = !self.server.uploads.contains_key(&upload);
        let now = self.now;
        if let Some(log) = self.log.uploads.get_mut(&upload).filter(|_| is_gone) {
            log.ended.get_or_insert(now);
        }
    }

    /// Replaces an answer by a stale or wrong one, where the options name such a lie.
    fn distort(&self, by: ProcessId, request: &Request, reply: ServerReply) -> ServerReply {
        let lie = self.options.lie.filter(|_| !self.fair);
        match (lie, request, reply) {
            (Some(Lie::StaleUploads), Request::ListUploads { key }, _) => {
                ServerReply::Uploads(self.stale_uploads(by, key))
            }
            (Some(Lie::StaleChecks), Request::Head { key }, ServerReply::Head(head)) => {
                ServerReply::Head(match self.log.before.get(key) {
                    Some((changed, before)) if *changed > self.stale_time() => before.clone(),
                    _ => head,
                })
            }
            (Some(Lie::StaleChecks), Request::List { .. }, ServerReply::Listed(page, next)) => {
                let is_old = |key: &String| {
                    let before = self.log.before.get(key);
                    !before.is_some_and(|(changed, before)| {
                        *changed > self.stale_time() && before.is_none()
                    })
                };
                ServerReply::Listed(page.into_iter().filter(|(key, _)| is_old(key)).collect(), next)
            }
            (Some(Lie::OldUploads), _, ServerReply::Parts(bytes, newest)) => {
                ServerReply::Parts(bytes, newest.map(|at| at.saturating_sub(24 * HOUR)))
            }
            (Some(Lie::OldUploads), _, ServerReply::UploadPage(mut page, next)) => {
                for (_, upload) in &mut page {
                    upload.initiated = upload.initiated.saturating_sub(24 * HOUR);
                }
                ServerReply::UploadPage(page, next)
            }
            (_, _, reply) => reply,
        }
    }

    /// Returns the uploads of a key as they were a while ago. Their creator sees them at once.
    fn stale_uploads(&self, by: ProcessId, key: &str) -> Vec<ListedUpload> {
        let then = self.stale_time();
        let listed = self.log.uploads.iter().filter(|(_, log)| {
            log.key == key
                && (log.created <= then || log.by == by)
                && log.ended.is_none_or(|ended| ended > then)
        });
        listed.map(|(id, log)| ListedUpload { initiated: log.initiated, id: *id }).collect()
    }

    fn stale_time(&self) -> Micros {
        self.now - STALE
    }
}
