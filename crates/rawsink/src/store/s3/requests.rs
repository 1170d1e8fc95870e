//! The requests that the protocol makes, one method each: no retry, no decision.
//!
//! `client` answers them over HTTP; a test, a simulation or a model answers them without a network.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

use super::fault::Fault;
use crate::store::WriterToken;

/// What a request answers: its value, or why there is none.
pub type Reply<T> = Result<T, Fault>;

/// An object as HEAD, or a listing, shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The tag that the server gave; never computed here.
    pub etag: String,
    /// Last change, in whole seconds.
    pub modified: Timestamp,
    /// Length in bytes.
    pub bytes: u64,
    /// The writer's token in the user metadata; a listing never shows it.
    pub writer: Option<String>,
}

/// An open multipart upload; sorts as the protocol orders uploads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenUpload {
    /// When it was created, as the server says.
    pub initiated: Timestamp,
    /// The server's name for it.
    pub id: String,
}

/// Where a page of open uploads starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadMarker {
    /// The last key of the page before.
    pub key: String,
    /// The last upload of that key.
    pub id: Option<String>,
}

/// One page of open uploads.
#[derive(Debug, Clone, Default)]
pub struct UploadPage {
    /// The full key of each, and the upload.
    pub uploads: Vec<(String, OpenUpload)>,
    /// Where the next page starts; `None` after the last.
    pub next: Option<UploadMarker>,
}

/// What an open upload holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UploadParts {
    /// Length of all parts together, in bytes.
    pub bytes: u64,
    /// When the newest part was sent, as the server says; `None` without parts.
    pub last: Option<Timestamp>,
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Full keys with what is known of them, in byte order.
    pub objects: Vec<(String, Head)>,
    /// Where the next page starts; `None` after the last.
    pub next: Option<String>,
}

/// An object's content from an offset on.
pub struct Content {
    /// The tag that the server gave.
    pub etag: String,
    /// The writer's token in the user metadata.
    pub writer: Option<String>,
    /// Length of the whole object.
    pub bytes: u64,
    /// The bytes from the offset on; nothing follows an error.
    pub chunks: BoxStream<'static, Reply<Bytes>>,
}

/// Whether a request may replace what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// `If-None-Match: *`
    CreateOnly,
    /// None: this attempt's leftover is replaced.
    Replace,
}

/// The requests to one bucket.
///
/// A future that is dropped was sent all the same: the server may apply it at any later time.
#[async_trait]
pub trait Requests: fmt::Debug + Send + Sync {
    /// Returns what is there under a key; `None` where nothing is.
    async fn head(&self, key: &str) -> Reply<Option<Head>>;

    /// Opens an object; `None` where nothing is.
    async fn get(&self, key: &str, offset: u64) -> Reply<Option<Content>>;

    /// Lists keys below a prefix, after a key, `encoding-type=url`.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Reply<Page>;

    /// Creates an object, `If-None-Match: *`; returns its tag.
    async fn create(
        &self,
        key: &str,
        body: Bytes,
        token: &WriterToken,
        timeout: Duration,
    ) -> Reply<String>;

    /// Creates a multipart upload and returns its id.
    async fn create_upload(&self, key: &str, token: &WriterToken) -> Reply<String>;

    /// Sends a part and returns its tag.
    async fn upload_part(&self, key: &str, upload: &str, number: i32, body: Bytes)
    -> Reply<String>;

    /// Lists the open uploads of exactly this key.
    async fn list_uploads(&self, key: &str) -> Reply<Vec<OpenUpload>>;

    /// Lists the open uploads below a prefix, behind a marker. Some servers list those of an exact key,
    /// or of the whole bucket, alone.
    async fn list_uploads_below(
        &self,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Reply<UploadPage>;

    /// Returns what an open upload holds.
    async fn list_parts(&self, key: &str, upload: &str) -> Reply<UploadParts>;

    /// Completes an upload and returns the object's tag; an empty tag is none.
    async fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        parts: &[(i32, String)],
        condition: Condition,
    ) -> Reply<Option<String>>;

    /// Ends an upload.
    async fn abort_upload(&self, key: &str, upload: &str) -> Reply<()>;

    /// Deletes an object, `If-Match` where a tag is given; some servers ignore that. One that is not
    /// there is fine, or a 404.
    async fn delete(&self, key: &str, etag: Option<&str>) -> Reply<()>;
}
