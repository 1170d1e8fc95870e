//! What is sent by who cleans: nothing of a living writer's is to go (G18).

use std::collections::BTreeMap;

use rawsink::{ErrorKind, clean::LEAST_AGE_WITHOUT_LOCK, store::Object};

use super::{Auditor, Run, run_of};
use crate::{
    server::{self, Body, UploadId},
    simulation::{
        requests::{Blob, Bucket, Request, object_of},
        time::{Micros, SECOND, micros},
    },
};

impl Auditor {
    /// Notes what somebody sends who cleans, who had looked at these uploads when they had rested so
    /// long.
    pub(in crate::simulation) fn cleans(
        &mut self,
        request: &Request,
        looked_at: &BTreeMap<UploadId, Micros>,
    ) {
        let wrong = match request {
            Request::List { .. }
            | Request::Head { .. }
            | Request::ListUploads { .. }
            | Request::ListUploadsBelow { .. }
            | Request::ListParts { .. } => return,
            Request::Delete { key, .. } if object_of(key) == Object::Payload => return,
            Request::Abort { upload } => match looked_at.get(upload) {
                Some(rested) if *rested >= micros(LEAST_AGE_WITHOUT_LOCK) => return,
                Some(rested) => format!("it was used {} s before the look", rested / SECOND),
                None => "nobody had looked at it".to_owned(),
            },
            _ => "who cleans has no business with it".to_owned(),
        };
        self.violate(format!("G18: clean sent {request:?}: {wrong}"));
    }

    /// Notes what who cleans was told.
    pub(in crate::simulation) fn cleaning_failed(&mut self, kind: ErrorKind, message: &str) {
        let passes = matches!(kind, ErrorKind::Unavailable) || !self.is_surprise(kind);
        let is_bug = matches!(
            kind,
            ErrorKind::Internal | ErrorKind::Closed | ErrorKind::Corrupt | ErrorKind::Unknown
        );
        if is_bug || !passes {
            self.violate(format!("G08: clean was told {kind}: {message}"));
        }
    }

    /// Compares what is there after a clean-up, where everything was old and nobody lived: nothing but
    /// payloads that are sealed, or that may be an upload completed, and such uploads.
    pub(in crate::simulation) fn cleaned_up(&mut self, server: &Bucket) {
        let may_be_completed = |upload: &server::Upload<String, Blob, String>| {
            let bytes: u64 = upload.parts.values().map(|(_, part)| part.bytes()).sum();
            let payload = server.objects.get(&upload.key);
            payload.is_some_and(|payload| payload.body.bytes() == bytes)
        };
        let (kept, left): (Vec<_>, Vec<_>) =
            server.uploads.values().partition(|upload| may_be_completed(upload));
        let is_alone = |run: &&Run| kept.iter().all(|upload| run_of(&upload.key) != run.prefix);
        let mut unsealed = self.runs.iter().filter(|run| run.is_left(server)).filter(is_alone);
        let payload = unsealed.next().map(|run| run.prefix.clone());
        if !left.is_empty() || payload.is_some() {
            self.violate(format!("G08: after a clean-up there are {left:?} and {payload:?}"));
        }
    }
}
