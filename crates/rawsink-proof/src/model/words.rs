//! What is in the bucket: two keys, tokens, and contents that only say whose they are.

use crate::server::{Body, Key, Server};

/// The server's name for one state of an object.
pub(super) type Tag = u8;

/// The bucket of one run.
pub(super) type Bucket = Server<Name, Content, Token>;

/// The objects of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// `metadata.json`.
    Seal,
    /// `payload.jsonl`.
    Payload,
}

impl Key for Name {
    fn is_below(&self, _prefix: &Self) -> bool {
        true
    }

    fn is_top(&self) -> bool {
        true
    }
}

/// An attempt's token: its first one, or that of its multipart way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u8);

impl Token {
    /// Returns the token with which an attempt begins.
    pub const fn first(writer: u8) -> Self {
        Self(2 * writer)
    }

    /// Returns the token of the same attempt's multipart way.
    #[must_use]
    pub fn new_one(self) -> Self {
        Self(self.0 | 1)
    }

    /// Returns whose token it is.
    pub fn writer(self) -> u8 {
        self.0 / 2
    }

    /// Returns the tag of what is created with this token by one PUT.
    pub(super) fn tag_of_put(self) -> Tag {
        self.0 * 2
    }

    /// Returns the tag of what is completed with this token.
    pub fn tag_of_complete(self) -> Tag {
        self.0 * 2 + 1
    }

    /// Returns whose an upload is.
    pub fn of_upload(id: u8) -> Self {
        Self(id / 4)
    }

    /// Returns the ids of uploads that this token may create.
    pub fn uploads(self) -> impl Iterator<Item = u8> {
        (0..4).map(move |number| self.0 * 4 + number)
    }
}

/// An object's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// The rows of this attempt; or a part of them, which makes no difference since an upload has the
    /// parts of one attempt alone.
    Rows(u8),
    /// A seal with this token.
    Seal(Token),
}

impl Body for Content {
    fn bytes(&self) -> u64 {
        1
    }

    fn join<'a>(mut parts: impl Iterator<Item = &'a Self>) -> Self {
        *parts.next().expect("an upload has a part")
    }
}

/// Returns the tag of the object that is there.
pub(super) fn tag_of(bucket: &Bucket, name: Name) -> Option<Tag> {
    let stored = bucket.objects.get(&name)?;
    Some(Tag::try_from(stored.tag).expect("tags are small"))
}
