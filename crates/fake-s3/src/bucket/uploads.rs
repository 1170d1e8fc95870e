//! Multipart uploads: create, upload a part, abort.

use std::collections::BTreeMap;

use super::FakeBucket;
use crate::{
    AbortDuringComplete, AbortOfMissing, AbortScope, AbortedUpload, CompletedUpload, ErrorCode,
    ListedUpload, ObjectBody, ObjectKey, Stamp, Tag, UploadId, WriteCondition,
};

/// A multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MultipartUpload<K, B, M> {
    /// The key of the future object.
    pub key: K,
    /// The user metadata of the future object.
    pub metadata: Option<M>,
    /// Time of the creation, by the clock of the gateway that created it.
    pub initiated: u64,
    /// The parts by their numbers.
    pub parts: BTreeMap<i32, UploadedPart<B>>,
    /// Which requests it accepts.
    pub state: UploadState,
}

/// A part of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UploadedPart<B> {
    /// The tag of the part.
    pub tag: Tag,
    /// The content.
    pub body: B,
    /// Time of the arrival.
    pub sent: u64,
}

/// Which requests an upload accepts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UploadState {
    /// All requests.
    Open,
    /// A Complete of these parts is running.
    Completing(Vec<(i32, Tag)>, WriteCondition),
    /// It was aborted and is listed again. It accepts parts and aborts, and cannot complete.
    ListedAfterAbort,
    /// It was completed and is listed nevertheless. An abort dooms the object's content.
    ListedAfterComplete,
}

impl<K: ObjectKey, B: ObjectBody, M: Clone> FakeBucket<K, B, M> {
    /// Creates an upload and returns its id, which is the name in the stamp.
    pub fn create_upload(&mut self, key: K, metadata: Option<M>, stamp: Stamp) -> UploadId {
        let (initiated, parts, state) = (stamp.time, BTreeMap::new(), UploadState::Open);
        let upload = MultipartUpload { key, metadata, initiated, parts, state };
        self.uploads.insert(stamp.name, upload);
        stamp.name
    }

    /// Uploads a part and returns its tag.
    ///
    /// # Errors
    /// `InvalidArgument` for a number above the limit, `MissingContentLength` for an empty part that the server
    /// does not take, `NoSuchUpload` for an unknown upload.
    pub fn upload_part(
        &mut self,
        id: UploadId,
        number: i32,
        body: B,
        stamp: Stamp,
    ) -> Result<Tag, ErrorCode> {
        if number > self.behaviour.part_limits.max_number {
            return Err(ErrorCode::InvalidArgument);
        }
        if body.byte_count() == 0 && !self.behaviour.part_limits.may_be_empty {
            return Err(ErrorCode::MissingContentLength);
        }
        if self.behaviour.aborted_upload == AbortedUpload::ListedAfterLatePart {
            self.list_again(id);
        }
        let upload = self.uploads.get_mut(&id).ok_or(ErrorCode::NoSuchUpload)?;
        upload.parts.insert(number, UploadedPart { tag: stamp.name, body, sent: stamp.time });
        Ok(stamp.name)
    }

    /// Aborts an upload.
    ///
    /// # Errors
    /// `NoSuchUpload` for an unknown upload, unless the behaviour says otherwise.
    pub fn abort(&mut self, id: UploadId) -> Result<(), ErrorCode> {
        let Some(upload) = self.uploads.remove(&id) else {
            return match self.behaviour.abort_of_missing {
                AbortOfMissing::NoSuchUpload => Err(ErrorCode::NoSuchUpload),
                AbortOfMissing::Success => Ok(()),
            };
        };
        match self.behaviour.abort_scope {
            AbortScope::Upload => {}
            AbortScope::ObjectOfKey => drop(self.objects.remove(&upload.key)),
            AbortScope::UploadsOfKey => self.uploads.retain(|_, other| other.key != upload.key),
        }
        if self.behaviour.completed_upload == CompletedUpload::TagOfCurrentObject {
            self.former.insert(id, upload.key.clone());
        }
        if upload.state == UploadState::ListedAfterComplete {
            self.doom(&upload.key);
        }
        let runs = matches!(upload.state, UploadState::Completing(..));
        if runs && self.behaviour.abort_during_complete == AbortDuringComplete::LosesContent {
            self.aborted_while_completing.insert(id, upload);
            return Ok(());
        }
        match self.behaviour.aborted_upload {
            AbortedUpload::ListedTimes(times) if times > 0 => {
                let listed = ListedUpload { initiated: upload.initiated, id };
                self.lingering.insert(id, (upload.key, listed, times));
            }
            AbortedUpload::ListedAfterLatePart
            | AbortedUpload::ListedOnDemand
            | AbortedUpload::Completable => {
                self.aborted.insert(id, upload);
            }
            AbortedUpload::Gone | AbortedUpload::ListedTimes(_) => {}
        }
        Ok(())
    }

    /// Lists an aborted upload again, where the behaviour allows it.
    pub fn list_again(&mut self, id: UploadId) {
        let can_list = matches!(
            self.behaviour.aborted_upload,
            AbortedUpload::ListedAfterLatePart | AbortedUpload::ListedOnDemand
        );
        if !can_list {
            return;
        }
        if let Some(upload) = self.aborted.remove(&id) {
            let state = UploadState::ListedAfterAbort;
            self.uploads.insert(id, MultipartUpload { state, ..upload });
        }
    }

    /// Returns the aborted uploads that may be listed again.
    pub fn aborted_uploads(&self) -> impl Iterator<Item = UploadId> {
        self.aborted.keys().copied()
    }

    /// Returns the uploads that can still complete.
    pub fn open_uploads(&self) -> impl Iterator<Item = (UploadId, &MultipartUpload<K, B, M>)> {
        let can_complete = |upload: &MultipartUpload<K, B, M>| {
            matches!(upload.state, UploadState::Open | UploadState::Completing(..))
        };
        self.uploads.iter().filter(move |(_, up)| can_complete(up)).map(|(id, up)| (*id, up))
    }

    /// Lists an upload for an existing object, as a gateway does that crashed during a Complete.
    pub fn list_completed(&mut self, id: UploadId, key: &K) {
        let Some(object) = self.objects.get(key) else { return };
        let (tag, sent) = (object.tag, object.modified);
        let part = UploadedPart { tag, body: object.body.clone(), sent };
        let upload = MultipartUpload {
            key: key.clone(),
            metadata: object.metadata.clone(),
            initiated: sent,
            parts: BTreeMap::from([(1, part)]),
            state: UploadState::ListedAfterComplete,
        };
        self.uploads.insert(id, upload);
    }
}
