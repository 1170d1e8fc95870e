//! The requests and results of repairs: G03, G18.

use fake_s3::{UploadId, WriteCondition};
use rawsink::{ErrorKind, store::Object};

use super::{Auditor, observers::Snapshot, run_of};
use crate::simulation::{
    request_kind::object_of,
    requests::{Request, SimBucket},
};

impl Auditor {
    /// Checks a request of a repair of a run.
    pub(in crate::simulation) fn repairs(
        &mut self,
        request: &Request,
        run: &str,
        server: &SimBucket,
    ) {
        let of_run = |key: &String| run_of(key) == run;
        let right = match request {
            Request::Head { key } | Request::Get { key } | Request::ListUploads { key } => {
                of_run(key)
            }
            Request::List { prefix, .. } => of_run(prefix),
            Request::CreateUpload { key, token } => {
                self.repair_tokens.insert(token.clone());
                of_run(key) && object_of(key) == Object::Payload
            }
            Request::Put { key, token, condition, .. } => {
                self.repair_tokens.insert(token.clone());
                let replaces = *condition == WriteCondition::Overwrite;
                of_run(key) && object_of(key) == Object::Seal && replaces
            }
            Request::UploadPart { upload, .. } => self.is_of_repair(*upload, server),
            Request::Complete { upload, .. } => {
                self.repair_completes.insert(*upload);
                self.is_of_repair(*upload, server)
            }
            Request::Abort { upload } => {
                self.is_of_repair(*upload, server) && !self.repair_completes.contains(upload)
            }
            Request::ListUploadsBelow { .. }
            | Request::ListParts { .. }
            | Request::Delete { .. } => false,
        };
        if !right {
            self.violate(format!("G18: a repair of {run} sent {request:?}"));
        }
    }

    /// Returns whether an upload is a repair's, or does not exist any more.
    fn is_of_repair(&self, upload: UploadId, server: &SimBucket) -> bool {
        server.uploads.get(&upload).is_none_or(|upload| {
            upload.metadata.as_ref().is_some_and(|token| self.repair_tokens.contains(token))
        })
    }

    /// Checks the success of a repair: the run is intact, unless it was changed meanwhile.
    pub(in crate::simulation) fn repaired(
        &mut self,
        prefix: &str,
        since: Snapshot,
        name: &str,
        server: &SimBucket,
    ) {
        let changed = since.is_changed(self.run(prefix));
        let damaged = !changed && self.is_damaged(prefix, server);
        if damaged || !matches!(name, "intact" | "repaired") {
            self.violate(format!("G03: {prefix} is {name}; damaged: {damaged}"));
        }
    }

    /// Checks the error of a repair.
    pub(in crate::simulation) fn repair_failed(
        &mut self,
        prefix: &str,
        since: Snapshot,
        (kind, message): (ErrorKind, &str),
        misled: bool,
    ) {
        let right = match kind {
            ErrorKind::Unavailable | ErrorKind::Conflict => true,
            // A damaged seal is repaired only if a validation of it was recorded.
            ErrorKind::Corrupt => misled || self.may_have_been_corrupt(prefix, since),
            ErrorKind::Denied | ErrorKind::Unsupported | ErrorKind::Invalid => {
                !self.is_surprise(kind)
            }
            _ => false,
        };
        if !right {
            self.violate(format!("G03: a repair of {prefix} got {kind}: {message}"));
        }
    }

    /// Checks the result of a repair when no other process is active. Only a seal without a recorded
    /// validation cannot be repaired.
    pub(in crate::simulation) fn repaired_alone(&mut self, prefix: &str, name: Option<&str>) {
        let without_evidence = self.run(prefix).seal_vandalised && name == Some("Corrupt");
        if !matches!(name, Some("intact" | "repaired")) && !without_evidence {
            self.violate(format!("G03: alone, a repair of {prefix} got {name:?}"));
        }
    }
}
