//! The keys, tokens and contents of the bucket. A content only names its owner.

use fake_s3::{FakeBucket, ObjectBody, ObjectKey, StoredObject};

/// Names one state of an object.
pub(super) type SmallTag = u8;

/// The bucket of one run.
pub(super) type ModelBucket = FakeBucket<ObjectName, ModelBody, Token>;

/// The objects of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectName {
    /// `metadata.json`.
    Seal,
    /// `payload.jsonl`.
    Payload,
}

impl ObjectKey for ObjectName {
    fn has_prefix(&self, _prefix: &Self) -> bool {
        true
    }

    fn is_empty_prefix(&self) -> bool {
        true
    }
}

/// A token of an attempt: its first one, or the one of its multipart way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u8);

impl Token {
    /// Returns the first token of an attempt.
    pub const fn first(writer: u8) -> Self {
        Self(2 * writer)
    }

    /// Returns the token of the attempt's multipart way.
    #[must_use]
    pub fn new_one(self) -> Self {
        Self(self.0 | 1)
    }

    /// Returns the number of its attempt.
    pub fn writer(self) -> u8 {
        self.0 / 2
    }

    /// Returns the tag of an object that a PUT with this token creates.
    pub(super) fn tag_of_put(self) -> SmallTag {
        self.0 * 2
    }

    /// Returns the tag of an object that a Complete with this token creates.
    pub fn tag_of_complete(self) -> SmallTag {
        self.0 * 2 + 1
    }

    /// Returns the token of an upload.
    pub fn of_upload(id: u8) -> Self {
        Self(id / 4)
    }

    /// Returns the ids of uploads with this token.
    pub fn uploads(self) -> impl Iterator<Item = u8> {
        (0..4).map(move |number| self.0 * 4 + number)
    }
}

/// An object's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelBody {
    /// All rows of this attempt, or a part of them. An upload has only parts of one attempt, so the
    /// difference has no effect.
    Rows(u8),
    /// A seal with this token.
    Seal(Token),
}

impl ObjectBody for ModelBody {
    fn byte_count(&self) -> u64 {
        1
    }

    fn join<'a>(mut parts: impl Iterator<Item = &'a Self>) -> Self {
        *parts.next().expect("an upload has a part")
    }
}

/// Returns the token of an object.
pub(super) fn token_of(object: &StoredObject<ModelBody, Token>) -> Token {
    object.metadata.expect("every write has a token")
}

/// Returns the tag of an existing object.
pub(super) fn tag_of(bucket: &ModelBucket, name: ObjectName) -> Option<SmallTag> {
    let stored = bucket.objects.get(&name)?;
    Some(SmallTag::try_from(stored.tag).expect("tags are small"))
}
