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
pub(crate) type Reply<T> = Result<T, Fault>;

/// An object as HEAD, or a listing, shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The tag that the server gave; never computed here.
    pub(crate) etag: String,
    /// Last change, in whole seconds.
    pub(crate) modified: Timestamp,
    /// Length in bytes.
    pub(crate) bytes: u64,
    /// The writer's token in the user metadata; a listing never shows it.
    pub(crate) writer: Option<String>,
}

/// An open multipart upload; sorts as the protocol orders uploads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpenUpload {
    pub(crate) initiated: Timestamp,
    pub(crate) id: String,
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    /// Full keys with what is known of them, in byte order.
    pub(crate) objects: Vec<(String, Head)>,
    /// Where the next page starts; `None` after the last.
    pub(crate) next: Option<String>,
}

/// An object's content from an offset on.
pub(crate) struct Content {
    pub(crate) etag: String,
    /// The writer's token in the user metadata.
    pub(crate) writer: Option<String>,
    /// Length of the whole object.
    pub(crate) bytes: u64,
    pub(crate) chunks: BoxStream<'static, Reply<Bytes>>,
}

/// Whether a request may replace what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `If-None-Match: *`
    CreateOnly,
    /// None: this attempt's leftover is replaced.
    Replace,
}

/// The requests.
#[async_trait]
pub(crate) trait Requests: fmt::Debug + Send + Sync {
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
}
