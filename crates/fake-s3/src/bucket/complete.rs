//! Complete, which takes time: other requests may arrive between its begin and its end.

use super::FakeBucket;
use crate::{
    AbortedUpload, CompleteCondition, CompleteEffect, CompletedUpload, ContentState, ErrorCode,
    MultipartUpload, ObjectBody, ObjectKey, Stamp, Tag, UploadId, UploadState, UserMetadata,
    WriteCondition,
};

/// The answer to a Complete: the object's tag, which some servers omit.
pub type CompleteAnswer = Result<Option<Tag>, ErrorCode>;

/// How a Complete begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompleteStart {
    /// It runs until [`end_complete`](FakeBucket::end_complete).
    Running,
    /// The server answers at once.
    Answered(CompleteAnswer),
}

impl<K: ObjectKey, B: ObjectBody, M: Clone> FakeBucket<K, B, M> {
    /// Completes an upload in one step.
    ///
    /// # Errors
    /// As [`begin_complete`](Self::begin_complete) and [`end_complete`](Self::end_complete).
    pub fn complete(
        &mut self,
        id: UploadId,
        parts: Vec<(i32, Tag)>,
        condition: WriteCondition,
        stamp: Stamp,
    ) -> CompleteAnswer {
        match self.begin_complete(id, parts, condition) {
            CompleteStart::Running => self.end_complete(id, stamp),
            CompleteStart::Answered(answer) => answer,
        }
    }

    /// Begins a Complete. While it runs, the upload stays listed and the object does not appear.
    ///
    /// It answers at once for an unknown or completed upload, for wrong parts, and for an upload with a
    /// running Complete.
    pub fn begin_complete(
        &mut self,
        id: UploadId,
        parts: Vec<(i32, Tag)>,
        condition: WriteCondition,
    ) -> CompleteStart {
        if self.behaviour.aborted_upload == AbortedUpload::Completable
            && let Some(upload) = self.aborted.remove(&id)
        {
            self.uploads.insert(id, MultipartUpload { state: UploadState::Open, ..upload });
        }
        let Some(upload) = self.uploads.get(&id) else {
            return CompleteStart::Answered(self.complete_of_missing(id));
        };
        let checked = match upload.state {
            UploadState::ListedAfterAbort | UploadState::ListedAfterComplete => {
                Err(ErrorCode::NoSuchUpload)
            }
            UploadState::Completing(..) => Err(ErrorCode::InProgress),
            UploadState::Open => self.check_parts(upload, &parts),
        };
        if let Err(error) = checked {
            return CompleteStart::Answered(Err(error));
        }
        if let Some(upload) = self.uploads.get_mut(&id) {
            upload.state = UploadState::Completing(parts, condition);
        }
        CompleteStart::Running
    }

    /// Ends a running Complete.
    ///
    /// # Errors
    /// `PreconditionFailed` where the object exists and the condition forbids that, `NoSuchUpload` where
    /// the upload was aborted in between.
    pub fn end_complete(&mut self, id: UploadId, stamp: Stamp) -> CompleteAnswer {
        let aborted = self.aborted_while_completing.remove(&id);
        let (upload, content) = match (self.uploads.remove(&id), aborted) {
            (Some(upload), _) => (upload, ContentState::Intact),
            (None, Some(upload)) => (upload, ContentState::Doomed),
            (None, None) => return self.complete_of_missing(id),
        };
        let UploadState::Completing(parts, condition) = &upload.state else {
            // It was aborted and listed again in between.
            self.uploads.insert(id, upload);
            return Err(ErrorCode::NoSuchUpload);
        };
        let refused = *condition == WriteCondition::CreateOnly
            && self.behaviour.complete_condition == CompleteCondition::Enforced
            && self.objects.contains_key(&upload.key);
        if refused {
            if content == ContentState::Intact {
                self.uploads.insert(id, MultipartUpload { state: UploadState::Open, ..upload });
            }
            return Err(ErrorCode::PreconditionFailed);
        }
        if self.behaviour.complete_effect == CompleteEffect::AnsweredOnly {
            return Ok(Some(stamp.name));
        }
        let bodies = parts.iter().filter_map(|(number, _)| Some(&upload.parts.get(number)?.body));
        let body = B::join(bodies);
        let keeps = self.behaviour.user_metadata != UserMetadata::DroppedByMultipart;
        let metadata = upload.metadata.filter(|_| keeps);
        let tag = self.store(upload.key.clone(), body, metadata, content, stamp);
        match self.behaviour.completed_upload {
            CompletedUpload::NoSuchUpload => {}
            CompletedUpload::SameTag | CompletedUpload::EmptyTag => {
                self.completed.insert(id, tag);
            }
            CompletedUpload::TagOfCurrentObject => {
                self.former.insert(id, upload.key);
                return Ok(None);
            }
        }
        Ok(Some(tag))
    }

    /// Returns whether a Complete of an upload is running.
    pub fn is_completing(&self, id: UploadId) -> bool {
        let upload = self.uploads.get(&id);
        self.aborted_while_completing.contains_key(&id)
            || upload.is_some_and(|upload| matches!(upload.state, UploadState::Completing(..)))
    }

    fn check_parts(
        &self,
        upload: &MultipartUpload<K, B, M>,
        parts: &[(i32, Tag)],
    ) -> Result<(), ErrorCode> {
        if parts.is_empty() {
            return Err(ErrorCode::InvalidPart);
        }
        if !parts.is_sorted_by_key(|(number, _)| *number) {
            return Err(ErrorCode::InvalidPartOrder);
        }
        for (at, (number, tag)) in parts.iter().enumerate() {
            let part = upload.parts.get(number).filter(|part| part.tag == *tag);
            let part = part.ok_or(ErrorCode::InvalidPart)?;
            let is_last = at + 1 == parts.len();
            if !is_last && part.body.byte_count() < self.behaviour.part_limits.min_bytes {
                return Err(ErrorCode::EntityTooSmall);
            }
        }
        Ok(())
    }

    /// Returns the answer to a Complete of an upload that does not exist any more.
    fn complete_of_missing(&self, id: UploadId) -> CompleteAnswer {
        let current = self.former.get(&id).map(|key| self.objects.get(key));
        match (self.completed.get(&id), current) {
            (Some(_), _) if self.behaviour.completed_upload == CompletedUpload::EmptyTag => {
                Ok(None)
            }
            (Some(tag), _) => Ok(Some(*tag)),
            (None, Some(Some(object))) => Ok(Some(object.tag)),
            (None, Some(None)) => Err(ErrorCode::InProgress),
            (None, None) => Err(ErrorCode::NoSuchUpload),
        }
    }
}
