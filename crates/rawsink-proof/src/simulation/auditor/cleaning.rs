//! The requests of cleaners: they delete nothing of a living writer (G18).

use std::collections::{BTreeMap, BTreeSet};

use fake_s3::UploadId;
use rawsink::{ErrorKind, store::Object};
use rawsink_ops::clean::LEAST_AGE_WITHOUT_LOCK;

use super::{Auditor, run_of, runs::RunRecord};
use crate::simulation::{
    request_kind::object_of,
    requests::{Request, SimBucket},
    time::{Micros, SECOND, micros},
};

impl Auditor {
    /// Checks a request of a cleaner, which inspected these uploads after they were unused for so long.
    pub(in crate::simulation) fn cleans(
        &mut self,
        request: &Request,
        inspected: &BTreeMap<UploadId, Micros>,
    ) {
        let wrong = match request {
            Request::List { .. }
            | Request::Head { .. }
            | Request::ListUploads { .. }
            | Request::ListUploadsBelow { .. }
            | Request::ListParts { .. } => return,
            Request::Delete { key, .. } if object_of(key) == Object::Payload => return,
            Request::Abort { upload } => match inspected.get(upload) {
                Some(unused) if *unused >= micros(LEAST_AGE_WITHOUT_LOCK) => return,
                Some(unused) => format!("it was used {} s before the inspection", unused / SECOND),
                None => "the cleaner did not inspect it".to_owned(),
            },
            _ => "cleaners do not send it".to_owned(),
        };
        self.violate(format!("G18: clean sent {request:?}: {wrong}"));
    }

    /// Checks an error of a cleaner.
    pub(in crate::simulation) fn cleaning_failed(&mut self, kind: ErrorKind, message: &str) {
        let passes = matches!(kind, ErrorKind::Unavailable) || !self.is_surprise(kind);
        let is_bug = matches!(
            kind,
            ErrorKind::Internal | ErrorKind::Closed | ErrorKind::Corrupt | ErrorKind::Unknown
        );
        if is_bug || !passes {
            self.violate(format!("G08: clean got {kind}: {message}"));
        }
    }

    /// Checks the bucket after the last clean-up, when everything is old and no writer lives. It may hold
    /// sealed payloads, uploads that may be a completed payload, the payloads of these uploads, and those of
    /// runs that the state names, given by their prefixes.
    pub(in crate::simulation) fn cleaned_up(
        &mut self,
        server: &SimBucket,
        named: &BTreeSet<String>,
    ) {
        let (kept, left): (Vec<_>, Vec<_>) = server.uploads.values().partition(|upload| {
            let bytes: usize = upload.parts.values().map(|part| part.body.len()).sum();
            let payload = server.objects.get(&upload.key);
            payload.is_some_and(|payload| payload.body.len() == bytes)
        });
        let is_alone =
            |run: &&RunRecord| kept.iter().all(|upload| run_of(&upload.key) != run.prefix);
        let mut unsealed = self
            .runs
            .iter()
            .filter(|run| run.is_left(server) && is_alone(run) && !named.contains(&run.prefix));
        let payload = unsealed.next().map(|run| run.prefix.clone());
        if !left.is_empty() || payload.is_some() {
            self.violate(format!("G08: a clean-up left {left:?} and {payload:?}"));
        }
    }
}
