//! Sends the requests over HTTP. Only this module and `connect` call the SDK.
//!
//! It decides nothing and retries nothing, except once after refused credentials if their files have
//! changed. Bodies are always hashed in memory: a real `x-amz-content-sha256`, no trailers, no
//! checksum headers.

mod answers;
mod leftovers;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client as SdkClient,
    config::{Builder, SharedHttpClient},
    error::{ProvideErrorMetadata, SdkError},
    operation::head_object::HeadObjectOutput,
    primitives::{ByteStream, DateTime},
    types::{CompletedMultipartUpload, CompletedPart, EncodingType},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use self::answers::{NoAnswer, chain};
use super::{
    config::S3Config,
    connect::{self, SdkClients},
    credentials::Credentials,
    fault::S3Fault,
    patience::Patience,
    requests::{
        Condition, Content, Head, OpenUpload, Page, Reply, Requests, UploadMarker, UploadPage,
        UploadParts,
    },
};
use crate::{
    error::Error,
    runtime::{Clock, waits::Waits},
    store::WriterToken,
};

/// User metadata that contains the writer's token.
const WRITER: &str = "rawsink-writer";

/// A bucket over HTTP.
pub(super) struct Client {
    pub(super) sdk: SdkClient,
    /// The same for objects.
    objects: SdkClient,
    /// The same for requests that this module limits.
    limited: SdkClient,
    /// The endpoint and the proxy, for messages.
    pub(super) endpoint_url: String,
    proxy: Option<String>,
    pub(super) bucket: String,
    pub(super) credentials: Credentials,
    pub(super) clock: Arc<dyn Clock>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The SDK's own output is pages long.
        f.debug_struct("Client").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client of a bucket. Sends nothing.
    pub(super) fn new(
        config: &S3Config,
        clock: Arc<dyn Clock>,
        waits: Waits,
        http: Option<SharedHttpClient>,
    ) -> Result<Self, Error> {
        Self::with_sdk_config(config, clock, waits, http, |sdk| sdk)
    }

    /// Creates a client. `change` may change the SDK's configuration.
    pub(super) fn with_sdk_config(
        config: &S3Config,
        clock: Arc<dyn Clock>,
        waits: Waits,
        http: Option<SharedHttpClient>,
        change: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self, Error> {
        let credentials = Credentials::read(config)?;
        let patience = Patience::new(config.retry.stall_timeout, waits, &config.endpoint_url);
        let SdkClients { documents, objects, limited } =
            connect::sdk_clients(config, credentials.clone(), &patience, http, change)?;
        Ok(Self {
            sdk: documents,
            objects,
            limited,
            endpoint_url: config.endpoint_url.clone(),
            proxy: config.proxy_in_use().map(ToString::to_string),
            bucket: config.bucket.clone(),
            credentials,
            clock,
        })
    }

    /// Sends a request, and once more if the server refuses the credentials and their files have changed.
    pub(super) async fn send<T, E, F>(&self, request: impl Fn() -> F + Send) -> Reply<T>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        T: Send,
    {
        let changes = self.credentials.changes();
        let fault = match request().await {
            Ok(value) => return Ok(value),
            Err(error) => self.fault(&error),
        };
        if fault.refuses_credentials() && self.credentials.changed_since(changes) {
            return request().await.map_err(|error| self.fault(&error));
        }
        Err(fault)
    }

    /// Sends a request that has to be answered within `limit`.
    async fn send_within<T, E, F>(
        &self,
        limit: Duration,
        request: impl Fn() -> F + Send + Sync,
    ) -> Reply<T>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        T: Send,
    {
        let limited = || async {
            // A request that ends here is closed, as by the SDK's own limit.
            match tokio::time::timeout(limit, request()).await {
                Ok(answer) => answer,
                Err(_) => Err(SdkError::timeout_error(NoAnswer(limit))),
            }
        };
        self.send(limited).await
    }

    async fn send_head(&self, key: &str) -> Reply<HeadObjectOutput> {
        self.send(|| self.sdk.head_object().bucket(&self.bucket).key(key).send()).await
    }

    /// Sends a GET of one byte in place of a HEAD, and returns the fault that the answer to a HEAD cannot say.
    async fn reason(&self, key: &str) -> Option<S3Fault> {
        let get = || self.sdk.get_object().bucket(&self.bucket).key(key).range("bytes=0-0").send();
        let fault = self.send(get).await.err()?;
        (!fault.is_no_such_key() && !fault.is_past_the_end()).then_some(fault)
    }
}

#[async_trait]
impl Requests for Client {
    async fn head(&self, key: &str) -> Reply<Option<Head>> {
        let sent = match self.send_head(key).await {
            // So AWS answers expired credentials, and versitygw wrong ones.
            Err(fault) if fault.has_no_reason() => match self.reason(key).await {
                Some(fault) => Err(fault),
                None => self.send_head(key).await,
            },
            sent => sent,
        };
        let head = match sent {
            // The 404 of a bucket stays a fault.
            Err(fault) if fault.is_no_such_object() => return Ok(None),
            sent => sent?,
        };
        Ok(Some(Head {
            etag: head.e_tag.unwrap_or_default(),
            modified: timestamp(head.last_modified.as_ref()),
            bytes: length(head.content_length),
            writer: head.metadata.and_then(|mut metadata| metadata.remove(WRITER)),
        }))
    }

    async fn get(&self, key: &str, offset: u64) -> Reply<Option<Content>> {
        if i64::try_from(offset).is_err() {
            // No object is that long, and some servers cannot parse the number.
            return Ok(self.head(key).await?.map(nothing_left));
        }
        let range = (offset > 0).then(|| format!("bytes={offset}-"));
        let sent = self
            .send(|| {
                self.objects
                    .get_object()
                    .bucket(&self.bucket)
                    .key(key)
                    .set_range(range.clone())
                    .send()
            })
            .await;
        let sent = match sent {
            Err(fault) if fault.is_past_the_end() => {
                let head = self.head(key).await?.ok_or_else(|| S3Fault::contradicted(key))?;
                return Ok(Some(nothing_left(head)));
            }
            sent => sent,
        };
        let object = match sent {
            Err(fault) if fault.is_no_such_key() => return Ok(None),
            sent => sent?,
        };
        let from = object.content_range.as_deref().unwrap_or("bytes 0-");
        if !from.starts_with(&format!("bytes {offset}-")) {
            return Err(unexpected("a different range than requested"));
        }
        let rest = length(object.content_length);
        let credentials = self.credentials.clone();
        let chunks = stream::unfold(Some(object.body), move |body| {
            let credentials = credentials.clone();
            async move {
                let mut body = body?;
                match body.next().await? {
                    Ok(chunk) => Some((Ok(chunk), Some(body))),
                    Err(cause) => {
                        let message = credentials.hidden_in(&chain(&cause));
                        Some((Err(S3Fault { message, ..S3Fault::default() }), None))
                    }
                }
            }
        });
        Ok(Some(Content {
            etag: object.e_tag.unwrap_or_default(),
            writer: object.metadata.and_then(|mut metadata| metadata.remove(WRITER)),
            bytes: offset + rest,
            chunks: chunks
                .filter(|chunk| std::future::ready(!matches!(chunk, Ok(empty) if empty.is_empty())))
                .boxed(),
        }))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Reply<Page> {
        let page = self
            .send(|| {
                let request = self.sdk.list_objects_v2().bucket(&self.bucket).prefix(prefix);
                request
                    .set_start_after(after.map(str::to_owned))
                    .encoding_type(EncodingType::Url)
                    .send()
            })
            .await?;
        let encoded = page.encoding_type == Some(EncodingType::Url);
        let objects = page.contents.unwrap_or_default().into_iter().map(|object| {
            let head = Head {
                etag: object.e_tag.unwrap_or_default(),
                modified: timestamp(object.last_modified.as_ref()),
                bytes: length(object.size),
                writer: None,
            };
            (decoded(&object.key.unwrap_or_default(), encoded), head)
        });
        let objects: Vec<_> = objects.collect();
        let more = page.is_truncated == Some(true);
        let next = objects.last().filter(|_| more).map(|(key, _)| key.clone());
        // It would never end.
        if more && next.as_deref() <= after {
            let fault = unexpected("a truncated listing that does not go on");
            return Err(S3Fault { unusable: true, ..fault });
        }
        Ok(Page { objects, next })
    }

    async fn put(
        &self,
        key: &str,
        body: Bytes,
        condition: Condition,
        token: &WriterToken,
        timeout: Option<Duration>,
    ) -> Reply<String> {
        let only_new = only_new(condition);
        let sdk = if timeout.is_some() { &self.limited } else { &self.sdk };
        let request = || {
            let request = sdk.put_object().bucket(&self.bucket).key(key);
            let request = request.metadata(WRITER, token.as_str());
            request.set_if_none_match(only_new.clone()).body(ByteStream::from(body.clone())).send()
        };
        let put = match timeout {
            Some(limit) => self.send_within(limit, request).await?,
            None => self.send(request).await?,
        };
        Ok(put.e_tag.unwrap_or_default())
    }

    async fn create_upload(&self, key: &str, token: &WriterToken) -> Reply<String> {
        let created = self
            .send(|| {
                let request = self.sdk.create_multipart_upload().bucket(&self.bucket).key(key);
                request.metadata(WRITER, token.as_str()).send()
            })
            .await;
        // An upload may exist, and another request would create one more.
        let is_created =
            |fault: &S3Fault| matches!(fault.status, Some(200..=299)) && fault.code.is_none();
        let created = created.map_err(|fault| {
            let unusable = fault.unusable || is_created(&fault);
            S3Fault { unusable, ..fault }
        })?;
        created
            .upload_id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| S3Fault { unusable: true, ..unexpected("an upload without an id") })
    }

    async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        body: Bytes,
    ) -> Reply<String> {
        let sent = self
            .send(|| {
                let request =
                    self.sdk.upload_part().bucket(&self.bucket).key(key).upload_id(upload);
                request.part_number(number).body(ByteStream::from(body.clone())).send()
            })
            .await?;
        sent.e_tag.filter(|tag| !tag.is_empty()).ok_or_else(|| unexpected("a part without a tag"))
    }

    async fn list_uploads(&self, key: &str) -> Reply<Vec<OpenUpload>> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let UploadPage { uploads, next } = self.uploads_page(key, after.as_ref()).await?;
            let exactly = uploads.into_iter().filter(|(found, _)| found == key);
            found.extend(exactly.map(|(_, upload)| upload));
            if next.is_none() {
                return Ok(found);
            }
            after = next;
        }
    }

    async fn list_uploads_below(
        &self,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Reply<UploadPage> {
        self.uploads_page(prefix, after).await
    }

    async fn list_parts(&self, key: &str, upload: &str) -> Reply<UploadParts> {
        self.parts_of(key, upload).await
    }

    async fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        parts: &[(i32, String)],
        condition: Condition,
    ) -> Reply<Option<String>> {
        let parts = parts
            .iter()
            .map(|(number, tag)| CompletedPart::builder().part_number(*number).e_tag(tag).build());
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let only_new = only_new(condition);
        let completed = self
            // The server may take minutes to assemble thousands of parts.
            .send_within(COMPLETE_TIMEOUT, || {
                let request = self
                    .limited
                    .complete_multipart_upload()
                    .bucket(&self.bucket)
                    .key(key)
                    .upload_id(upload);
                request.multipart_upload(parts.clone()).set_if_none_match(only_new.clone()).send()
            })
            .await?;
        Ok(completed.e_tag.filter(|tag| !tag.trim_matches('"').is_empty()))
    }

    async fn abort_upload(&self, key: &str, upload: &str) -> Reply<()> {
        let request = || {
            self.sdk.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload).send()
        };
        self.send(request).await.map(|_| ())
    }

    async fn delete(&self, key: &str, etag: Option<&str>) -> Reply<()> {
        self.delete_object(key, etag).await
    }
}

/// Returns the value of `If-None-Match`.
fn only_new(condition: Condition) -> Option<String> {
    (condition == Condition::CreateOnly).then(|| "*".to_owned())
}

/// How long one Complete request may take.
const COMPLETE_TIMEOUT: Duration = Duration::from_mins(10);

/// Returns the content of a GET past the end of an object: no bytes.
fn nothing_left(head: Head) -> Content {
    let Head { etag, writer, bytes, .. } = head;
    Content { etag, writer, bytes, chunks: stream::empty().boxed() }
}

fn unexpected(what: &str) -> S3Fault {
    let message = format!("the server returned {what}");
    S3Fault { status: Some(200), message, ..S3Fault::default() }
}

fn length(bytes: Option<i64>) -> u64 {
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default()
}

/// Returns a time in whole seconds, since HEAD and listings differ in the fraction.
fn timestamp(time: Option<&DateTime>) -> Timestamp {
    time.and_then(|time| Timestamp::from_second(time.secs()).ok()).unwrap_or_default()
}

fn timestamp_exact(time: Option<&DateTime>) -> Timestamp {
    time.and_then(|time| Timestamp::from_nanosecond(time.as_nanos()).ok()).unwrap_or_default()
}

/// Decodes a key of a listing, where a plus is a space.
fn decoded(text: &str, encoded: bool) -> String {
    if !encoded {
        return text.to_owned();
    }
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
