//! The requests of the protocol, one method each, without retries and decisions.
//!
//! `client` sends them over HTTP. A test, a simulation or a model answers them without a network.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

use super::fault::S3Fault;
use crate::store::{ObjectInfo, ObjectTag, WriterToken};

/// The value that a request returns, or its fault.
pub type Reply<T> = Result<T, S3Fault>;

/// An object as HEAD or a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The server's tag. It is never computed here.
    pub etag: String,
    /// Time of the last change, in whole seconds.
    pub modified: Timestamp,
    /// Length in bytes.
    pub bytes: u64,
    /// The writer's token in the user metadata. `None` in a listing.
    pub writer: Option<String>,
}

impl Head {
    /// Returns the object's length, age and tag.
    pub(in crate::store::s3) fn info(&self) -> ObjectInfo {
        ObjectInfo { bytes: self.bytes, modified: self.modified, tag: object_tag(&self.etag) }
    }
}

/// Returns the tag of an object by its `ETag`; `None` for an empty one. Listings of some servers
/// omit the quotes, and a proxy that compresses makes the tag weak.
pub(in crate::store::s3) fn object_tag(etag: &str) -> Option<ObjectTag> {
    let value = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    (!value.is_empty()).then(|| ObjectTag::of(value))
}

/// An open multipart upload. The sort order is the order of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenUpload {
    /// Time of its creation, by the server's clock.
    pub initiated: Timestamp,
    /// The upload's id.
    pub id: String,
}

/// The start of a page of open uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadMarker {
    /// The last key of the previous page.
    pub key: String,
    /// The last upload of this key.
    pub id: Option<String>,
    /// The starts of the pages before, to notice a list that goes round in a circle.
    earlier: Vec<(String, Option<String>)>,
}

impl UploadMarker {
    /// Returns the start of the page that follows the one from `after`; `None` if the list has been there: it
    /// would not end.
    pub fn following(after: Option<&Self>, key: String, id: Option<String>) -> Option<Self> {
        let Some(after) = after else { return Some(Self { key, id, earlier: Vec::new() }) };
        let mut earlier = after.earlier.clone();
        earlier.push((after.key.clone(), after.id.clone()));
        let is_new = earlier.iter().all(|start| *start != (key.clone(), id.clone()));
        is_new.then_some(Self { key, id, earlier })
    }
}

/// One page of open uploads.
#[derive(Debug, Clone, Default)]
pub struct UploadPage {
    /// Full keys with their uploads.
    pub uploads: Vec<(String, OpenUpload)>,
    /// The start of the next page; `None` on the last.
    pub next: Option<UploadMarker>,
}

/// The parts of an open upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UploadParts {
    /// Total length of all parts, in bytes.
    pub bytes: u64,
    /// Time of the newest part, by the server's clock; `None` without parts.
    pub last: Option<Timestamp>,
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Full keys with their objects, in byte order.
    pub objects: Vec<(String, Head)>,
    /// The start of the next page; `None` on the last.
    pub next: Option<String>,
}

/// An object's content from an offset on.
pub struct Content {
    /// The server's tag.
    pub etag: String,
    /// The writer's token in the user metadata.
    pub writer: Option<String>,
    /// Length of the whole object, in bytes.
    pub bytes: u64,
    /// The bytes from the offset on. An error ends the stream.
    pub chunks: BoxStream<'static, Reply<Bytes>>,
}

/// Whether a request may replace an existing object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// `If-None-Match: *`
    CreateOnly,
    /// No condition: it replaces a leftover, or a damaged object of a sealed run.
    Replace,
}

/// The requests to one bucket.
///
/// Dropping a future does not cancel its request: the server may apply it at any later time.
#[async_trait]
pub trait Requests: fmt::Debug + Send + Sync {
    /// Returns the object of a key; `None` if it does not exist.
    async fn head(&self, key: &str) -> Reply<Option<Head>>;

    /// Opens an object from `offset` on; `None` if it does not exist.
    async fn get(&self, key: &str, offset: u64) -> Reply<Option<Content>>;

    /// Lists keys below a prefix, after a key, `encoding-type=url`.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Reply<Page>;

    /// Sends an object by one PUT, which has to be answered within `timeout`; without one it may take as long
    /// as it makes progress. Returns its tag.
    async fn put(
        &self,
        key: &str,
        body: Bytes,
        condition: Condition,
        token: &WriterToken,
        timeout: Option<Duration>,
    ) -> Reply<String>;

    /// Creates a multipart upload and returns its id.
    async fn create_upload(&self, key: &str, token: &WriterToken) -> Reply<String>;

    /// Sends a part and returns its tag.
    async fn upload_part(&self, key: &str, upload: &str, number: i32, body: Bytes)
    -> Reply<String>;

    /// Lists the open uploads of exactly this key.
    async fn list_uploads(&self, key: &str) -> Reply<Vec<OpenUpload>>;

    /// Lists the open uploads below a prefix, after a marker. Some servers accept only an exact key
    /// or an empty prefix.
    async fn list_uploads_below(
        &self,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Reply<UploadPage>;

    /// Returns the parts of an open upload.
    async fn list_parts(&self, key: &str, upload: &str) -> Reply<UploadParts>;

    /// Completes an upload and returns the object's tag; `None` for an empty tag.
    async fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        parts: &[(i32, String)],
        condition: Condition,
    ) -> Reply<Option<String>>;

    /// Aborts an upload.
    async fn abort_upload(&self, key: &str, upload: &str) -> Reply<()>;

    /// Deletes an object, with `If-Match` if a tag is given. Some servers ignore the condition. A
    /// key that does not exist is a success or a 404.
    async fn delete(&self, key: &str, etag: Option<&str>) -> Reply<()>;
}
