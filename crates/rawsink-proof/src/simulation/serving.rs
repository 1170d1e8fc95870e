//! How the server applies what reaches it, and how it lies where it is told to.

use std::collections::BTreeMap;

use super::{
    options::Lie,
    plan::PartTags,
    process::ProcessId,
    requests::{Blob, Bucket, Reply, Request},
    time::{HOUR, Micros, SECOND},
    world::{Due, World},
};
use crate::server::{Head, OpenUpload, Refusal, Stored, Upload, UploadId, UploadState};

/// How old a view is that is stale.
const STALE: Micros = 15 * SECOND;

/// What the server's operator would know, and the server itself does not tell.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) uploads: BTreeMap<UploadId, UploadLog>,
    /// What runs at the server, by the message that began it.
    running: BTreeMap<u64, Running>,
    /// What was there before an object's last change, and when that was.
    before: BTreeMap<String, (Micros, Option<Head<String>>)>,
    /// Uploads that were ended, on a server that completes them even so.
    ended: BTreeMap<UploadId, Upload<String, Blob, String>>,
}

/// The life of an upload.
#[derive(Debug)]
pub(super) struct UploadLog {
    key: String,
    by: ProcessId,
    created: Micros,
    initiated: Micros,
    /// When it was last used.
    pub(super) used: Micros,
    /// When its newest part was sent, as the server says.
    newest_part: Option<Micros>,
    ended: Option<Micros>,
}

#[derive(Debug)]
enum Running {
    Complete(UploadId),
    /// A PUT that found nothing there.
    Create(ProcessId, Request),
}

impl World {
    /// Applies a request, or begins to: then there is no answer yet.
    pub(super) fn begin(
        &mut self,
        message: u64,
        by: ProcessId,
        request: Request,
        running: Micros,
    ) -> Option<Reply> {
        match request {
            Request::Complete { upload, parts, condition } => {
                if let Some(ended) = self.log.ended.remove(&upload) {
                    self.server.uploads.insert(upload, ended);
                }
                if let Err(reply) = self.server.begin_complete(upload, parts, condition) {
                    return Some(reply);
                }
                if self.lies(Lie::UntrueSuccess) {
                    self.server.uploads.remove(&upload);
                    return Some(Reply::Completed(Some(self.unique())));
                }
                self.log.running.insert(message, Running::Complete(upload));
                self.due(self.now + running, Due::Finish(message));
                None
            }
            Request::Create { ref key, .. } if self.lies(Lie::CreateIsNotAtomic) => {
                if self.server.objects.contains_key(key) {
                    return Some(Reply::Refused(Refusal::PreconditionFailed));
                }
                self.log.running.insert(message, Running::Create(by, request));
                let takes = self.latency();
                self.due(self.now + takes, Due::Finish(message));
                None
            }
            request => Some(self.apply(by, request)),
        }
    }

    /// Ends what a message began.
    pub(super) fn end(&mut self, message: u64) -> Reply {
        let moment = self.moment();
        match self.log.running.remove(&message) {
            Some(Running::Complete(upload)) => {
                let key = self.log.uploads.get(&upload).map(|log| log.key.clone());
                let before = self.before(key.as_deref());
                let reply = self.server.end_complete(upload, moment);
                self.ended(upload);
                self.changed(key, before);
                reply
            }
            Some(Running::Create(by, request)) => {
                if let Request::Create { key, .. } = &request {
                    self.server.objects.remove(key);
                }
                self.apply(by, request)
            }
            // It arrived twice.
            None => Reply::Refused(Refusal::PreconditionFailed),
        }
    }

    pub(super) fn apply(&mut self, by: ProcessId, request: Request) -> Reply {
        let mut moment = self.moment();
        match &request {
            Request::UploadPart { upload, body, .. } => {
                if self.plan.part_tags == PartTags::Content {
                    moment.name = body.0.iter().fold(7, |hash: u64, byte| {
                        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
                    });
                }
                let (now, newest_part) = (self.now, Some(moment.time));
                let log = self.log.uploads.entry(*upload);
                log.and_modify(|log| (log.used, log.newest_part) = (now, newest_part));
            }
            Request::ListParts { upload } => self.looked_at(by, *upload),
            Request::Abort { upload } if self.lies(Lie::EndedUploadsComplete) => {
                if let Some(upload_there) = self.server.uploads.get(upload) {
                    self.log.ended.insert(*upload, upload_there.clone());
                }
            }
            _ => {}
        }
        let (created, ended, key) = match &request {
            Request::CreateUpload { key, .. } => (Some(key.clone()), None, None),
            Request::Abort { upload } => (None, Some(*upload), None),
            Request::Create { key, .. } | Request::Delete { key, .. } => {
                (None, None, Some(key.clone()))
            }
            _ => (None, None, None),
        };
        let listed = match &request {
            Request::ListParts { upload } => Some(*upload),
            _ => None,
        };
        let before = self.before(key.as_deref());
        let lies = self.lies(Lie::StaleUploads) || self.lies(Lie::StaleLooks);
        let asked = lies.then(|| request.clone());
        let reply = self.server.apply(request, moment);
        if let (Some(key), Reply::UploadCreated(id)) = (created, &reply) {
            let (created, initiated) = (self.now, moment.time);
            let (used, newest_part, ended) = (created, None, None);
            let log = UploadLog { key, by, created, initiated, used, newest_part, ended };
            self.log.uploads.insert(*id, log);
        }
        if let Some(upload) = ended {
            self.ended(upload);
        }
        self.changed(key, before);
        let reply = match asked {
            Some(request) => self.stale(by, &request, reply),
            None => reply,
        };
        self.dated(listed, reply)
    }

    /// Notes how long an upload has rested when somebody looks at its parts.
    fn looked_at(&mut self, by: ProcessId, upload: UploadId) {
        let used = self.log.uploads.get(&upload).map_or(0, |log| log.used);
        let rested = self.now - used;
        if let Some(looked) = &mut self.processes[by.0].looked_at {
            looked.insert(upload, rested);
        }
    }

    /// Adds the times that the server data does not know, or wrong ones where the server is one of
    /// those.
    fn dated(&self, listed: Option<UploadId>, reply: Reply) -> Reply {
        let behind = if self.lies(Lie::OldUploads) { 24 * HOUR } else { 0 };
        match reply {
            Reply::Parts(bytes, _) => {
                let sent = |upload| self.log.uploads.get(&upload).and_then(|log| log.newest_part);
                let open = |upload| self.server.uploads.get(&upload).map(|open| open.initiated);
                let last = listed.and_then(|upload| sent(upload).or_else(|| open(upload)));
                Reply::Parts(bytes, last.map(|at| at.saturating_sub(behind)))
            }
            Reply::UploadPage(mut page, next) => {
                for (_, open) in &mut page {
                    open.initiated = open.initiated.saturating_sub(behind);
                }
                Reply::UploadPage(page, next)
            }
            reply => reply,
        }
    }

    fn before(&self, key: Option<&str>) -> Option<Head<String>> {
        self.server.objects.get(key?).map(Stored::head)
    }

    /// Notes what was there before, where that is another object now.
    fn changed(&mut self, key: Option<String>, before: Option<Head<String>>) {
        let Some(key) = key else { return };
        let now = self.before(Some(&key));
        if now != before {
            self.log.before.insert(key, (self.now, before));
        }
    }

    fn ended(&mut self, upload: UploadId) {
        let gone = !self.server.uploads.contains_key(&upload);
        let now = self.now;
        if let Some(log) = self.log.uploads.get_mut(&upload).filter(|_| gone) {
            log.ended.get_or_insert(now);
        }
    }

    /// Returns what was true a while ago, where the server is one of those.
    fn stale(&self, by: ProcessId, request: &Request, reply: Reply) -> Reply {
        let then = self.now - STALE;
        match (self.options.lie, request, reply) {
            (Some(Lie::StaleUploads), Request::ListUploads { key }, _) => {
                // Who created an upload sees it at once.
                let open = self.log.uploads.iter().filter(|(_, log)| {
                    log.key == *key
                        && (log.created <= then || log.by == by)
                        && log.ended.is_none_or(|ended| ended > then)
                });
                let open = open.map(|(id, log)| OpenUpload { initiated: log.initiated, id: *id });
                Reply::Uploads(open.collect())
            }
            (Some(Lie::StaleLooks), Request::Head { key }, Reply::Head(head)) => {
                Reply::Head(match self.log.before.get(key) {
                    Some((changed, before)) if *changed > then => before.clone(),
                    _ => head,
                })
            }
            (Some(Lie::StaleLooks), Request::List { .. }, Reply::Listed(page, next)) => {
                let known = |key: &String| {
                    let before = self.log.before.get(key);
                    !before.is_some_and(|(changed, before)| *changed > then && before.is_none())
                };
                let page = page.into_iter().filter(|(key, _)| known(key));
                Reply::Listed(page.collect(), next)
            }
            (_, _, reply) => reply,
        }
    }
}

/// Returns the uploads of a server that can still be completed.
pub(super) fn live(
    server: &Bucket,
) -> impl Iterator<Item = (&UploadId, &Upload<String, Blob, String>)> {
    server
        .uploads
        .iter()
        .filter(|(_, upload)| !matches!(upload.state, UploadState::Echo | UploadState::Completed))
}
