//! PUT, GET, HEAD and DELETE, and the loss of contents.

use super::FakeBucket;
use crate::{
    CreateCondition, DeleteCondition, ErrorCode, ObjectBody, ObjectKey, ObjectListing,
    ObjectVersioning, Stamp, Tag, UserMetadata, VersionKind,
};

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoredObject<B, M> {
    /// The content.
    pub body: B,
    /// The user metadata.
    pub metadata: Option<M>,
    /// The tag of this state of the object.
    pub tag: Tag,
    /// Time of the write.
    pub modified: u64,
    /// Whether the content survives.
    pub content: ContentState,
}

/// An object without its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectHead<M> {
    /// The tag of this state of the object.
    pub tag: Tag,
    /// Time of the write.
    pub modified: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// The user metadata; LIST never shows it.
    pub metadata: Option<M>,
}

/// Whether an object's content survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentState {
    /// The content survives.
    Intact,
    /// The object looks intact. The server's garbage collection will delete its content.
    Doomed,
    /// HEAD still shows the object. Its content is deleted.
    Lost,
}

/// The condition of a PUT or a Complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WriteCondition {
    /// `If-None-Match: *`.
    CreateOnly,
    /// No condition.
    Overwrite,
}

impl<B: ObjectBody, M: Clone> StoredObject<B, M> {
    /// Returns the object without its content.
    pub fn head(&self) -> ObjectHead<M> {
        ObjectHead {
            tag: self.tag,
            modified: self.modified,
            bytes: self.body.byte_count(),
            metadata: self.metadata.clone(),
        }
    }
}

impl<K: ObjectKey, B: ObjectBody, M: Clone> FakeBucket<K, B, M> {
    /// Returns the answer to HEAD; `None` is 404.
    pub fn head(&self, key: &K) -> Option<ObjectHead<M>> {
        self.objects.get(key).map(StoredObject::head)
    }

    /// Returns the answer to GET; `None` is 404.
    pub fn get(&self, key: &K) -> Option<&StoredObject<B, M>> {
        self.objects.get(key).filter(|object| object.content != ContentState::Lost)
    }

    /// Begins a PUT that the server applies later: checks its condition. The caller ends it by
    /// [`put`](Self::put), which does not check the condition again.
    ///
    /// Returns whether the PUT takes time, which only happens for
    /// [`CheckedEarly`](CreateCondition::CheckedEarly).
    ///
    /// # Errors
    /// `PreconditionFailed` where the object exists.
    pub fn begin_put(&self, key: &K, condition: WriteCondition) -> Result<bool, ErrorCode> {
        let early = self.behaviour.create_condition == CreateCondition::CheckedEarly
            && condition == WriteCondition::CreateOnly;
        if early && self.objects.contains_key(key) {
            return Err(ErrorCode::PreconditionFailed);
        }
        Ok(early)
    }

    /// Writes an object and returns its tag.
    ///
    /// # Errors
    /// `PreconditionFailed` or `NotImplemented`, as the behaviour says.
    pub fn put(
        &mut self,
        key: K,
        body: B,
        metadata: Option<M>,
        condition: WriteCondition,
        stamp: Stamp,
    ) -> Result<Tag, ErrorCode> {
        let create_only = condition == WriteCondition::CreateOnly;
        let exists = create_only && self.objects.contains_key(&key);
        match self.behaviour.create_condition {
            CreateCondition::NotImplemented if create_only => Err(ErrorCode::NotImplemented),
            CreateCondition::Enforced if exists => Err(ErrorCode::PreconditionFailed),
            CreateCondition::RefusedButApplied if exists => {
                self.store(key, body, metadata, ContentState::Intact, stamp);
                Err(ErrorCode::PreconditionFailed)
            }
            _ => Ok(self.store(key, body, metadata, ContentState::Intact, stamp)),
        }
    }

    /// Deletes an object, with `If-Match` where a tag is given.
    ///
    /// # Errors
    /// `PreconditionFailed` or `NotImplemented`, as the behaviour says.
    pub fn delete(
        &mut self,
        key: &K,
        if_match: Option<Tag>,
        stamp: Stamp,
    ) -> Result<(), ErrorCode> {
        let current = self.objects.get(key).map(|object| object.tag);
        let differs = if_match.is_some() && if_match != current;
        match self.behaviour.delete_condition {
            DeleteCondition::NotImplemented if if_match.is_some() => {
                return Err(ErrorCode::NotImplemented);
            }
            DeleteCondition::Enforced if differs && current.is_some() => {
                return Err(ErrorCode::PreconditionFailed);
            }
            DeleteCondition::EnforcedOnMissing if differs => {
                return Err(ErrorCode::PreconditionFailed);
            }
            _ => {}
        }
        self.objects.remove(key);
        self.add_version(key, stamp.name, VersionKind::DeleteMarker);
        Ok(())
    }

    /// Deletes the content of doomed objects, as the server does hours later.
    pub fn collect_garbage(&mut self) {
        let objects = self.objects.values_mut();
        for object in objects.filter(|object| object.content == ContentState::Doomed) {
            object.content = ContentState::Lost;
        }
    }

    /// Writes an object without checks.
    pub(crate) fn store(
        &mut self,
        key: K,
        body: B,
        metadata: Option<M>,
        content: ContentState,
        stamp: Stamp,
    ) -> Tag {
        if self.behaviour.object_listing == ObjectListing::HidesNewest {
            self.newest = Some(key.clone());
        }
        self.add_version(&key, stamp.name, VersionKind::Content);
        let metadata = metadata.filter(|_| self.behaviour.user_metadata != UserMetadata::Dropped);
        let (tag, modified) = (stamp.name, stamp.time);
        self.objects.insert(key, StoredObject { body, metadata, tag, modified, content });
        tag
    }

    /// Dooms the content of an object.
    pub(super) fn doom(&mut self, key: &K) {
        if let Some(object) = self.objects.get_mut(key) {
            object.content = ContentState::Doomed;
        }
    }

    fn add_version(&mut self, key: &K, id: u64, kind: VersionKind) {
        if self.behaviour.versioning == ObjectVersioning::On {
            self.versions.push(crate::ObjectVersion { key: key.clone(), id, kind });
        }
    }
}
