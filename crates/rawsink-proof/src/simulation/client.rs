//! The library's client: it sends each request as a message.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use fake_s3::format_name as name;
use futures_util::{StreamExt, stream};
use rawsink::{
    RawSink,
    store::{
        LeftoverPolicy, WriterToken,
        s3::{
            self, CompleteConditions, Condition, Content, Head, OpenUpload, Page, Requests,
            UploadMarker, UploadPage, UploadParts,
        },
    },
};

use super::{
    conversions::{self, number},
    handle::ProcessHandle,
    message::{ClientAnswer, TagDelivery},
    mishaps::BodyDelivery,
    requests::{Request, ServerReply},
    time::{MINUTE, Micros, micros, timestamp_of},
};

/// The timeouts of the HTTP client: for most requests, for a part or a payload (as if they had made no progress for so long), and for Complete.
const LIMIT: Micros = MINUTE;
const BODY_LIMIT: Micros = 5 * MINUTE;
const COMPLETE_LIMIT: Micros = 10 * MINUTE;

impl ProcessHandle {
    /// Opens the sink as a process does that does not write.
    pub(super) fn sink(&self) -> RawSink {
        self.sink_with(LeftoverPolicy::Replace, CompleteConditions::Ignored)
    }

    /// Opens the sink.
    pub(super) fn sink_with(
        &self,
        leftover: LeftoverPolicy,
        conditions: CompleteConditions,
    ) -> RawSink {
        self.sink_over(Arc::new(self.clone()), leftover, conditions)
    }

    async fn send(
        &self,
        request: Request,
        limit: Micros,
    ) -> s3::Reply<(ServerReply, TagDelivery, BodyDelivery)> {
        let sent = self.world.lock().send(self.id, request, limit);
        let answered = match sent {
            Some(answer) => answer.await.ok(),
            None => None,
        };
        match answered {
            Some(ClientAnswer { reply, tag, body }) => Ok((reply?, tag, body)),
            // The process was killed.
            None => std::future::pending().await,
        }
    }

    /// Returns the pieces of a body that arrive.
    fn pieces(&self, blob: &Bytes, body: BodyDelivery) -> Vec<s3::Reply<Bytes>> {
        let mut world = self.world.lock();
        let mut blob = blob.clone();
        let some = blob.len() as u64;
        let mut end = None;
        match body {
            _ if blob.is_empty() => {}
            BodyDelivery::Whole => {}
            BodyDelivery::Cut | BodyDelivery::Short => {
                let bytes = world.random.between(0, some - 1);
                blob.truncate(usize::try_from(bytes).expect("it is below the length"));
                end = (body == BodyDelivery::Cut).then(|| Err(conversions::unanswered("body cut")));
            }
            BodyDelivery::Garbled => {
                let at = usize::try_from(world.random.below(some)).expect("it is below the length");
                let mut garbled = blob.to_vec();
                garbled[at] ^= 1;
                blob = garbled.into();
                world.processes[self.id.0].misled = true;
            }
        }
        let mut pieces = Vec::new();
        while !blob.is_empty() {
            let bytes = world.random.between(1, 200).min(blob.len() as u64);
            pieces
                .push(Ok(blob.split_to(usize::try_from(bytes).expect("it is at most the length"))));
        }
        pieces.extend(end);
        pieces
    }
}

fn unexpected(reply: &ServerReply) -> ! {
    panic!("the server answered another request: {reply:?}")
}

#[async_trait]
impl Requests for ProcessHandle {
    async fn head(&self, key: &str) -> s3::Reply<Option<Head>> {
        match self.send(Request::Head { key: key.to_owned() }, LIMIT).await?.0 {
            ServerReply::Head(head) => Ok(head.map(conversions::head)),
            reply => unexpected(&reply),
        }
    }

    async fn get(&self, key: &str, offset: u64) -> s3::Reply<Option<Content>> {
        let (reply, _, body) = self.send(Request::Get { key: key.to_owned() }, LIMIT).await?;
        let ServerReply::Content(found) = reply else { unexpected(&reply) };
        let Some((head, whole)) = found else { return Ok(None) };
        let from = whole.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
        let pieces = self.pieces(&whole.slice(from..), body);
        let here = self.clone();
        let chunks = stream::iter(pieces).then(move |piece| {
            let here = here.clone();
            async move {
                here.perhaps_wait().await;
                piece
            }
        });
        Ok(Some(Content {
            etag: name(head.tag),
            writer: head.metadata,
            bytes: whole.len() as u64,
            chunks: chunks.boxed(),
        }))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> s3::Reply<Page> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        match self.send(Request::List { prefix, after }, LIMIT).await?.0 {
            ServerReply::Listed(page, next) => {
                let objects = page.into_iter().map(|(key, head)| (key, conversions::head(head)));
                Ok(Page { objects: objects.collect(), next })
            }
            reply => unexpected(&reply),
        }
    }

    async fn put(
        &self,
        key: &str,
        body: Bytes,
        condition: Condition,
        token: &WriterToken,
        timeout: Option<Duration>,
    ) -> s3::Reply<String> {
        let (key, token) = (key.to_owned(), token.to_string());
        let condition = conversions::condition(condition);
        let request = Request::Put { key, body, token, condition };
        match self.send(request, timeout.map_or(BODY_LIMIT, micros)).await? {
            (ServerReply::Created(tag), TagDelivery::Shown, _) => Ok(name(tag)),
            (ServerReply::Created(_), TagDelivery::Empty, _) => Ok(String::new()),
            (reply, ..) => unexpected(&reply),
        }
    }

    async fn create_upload(&self, key: &str, token: &WriterToken) -> s3::Reply<String> {
        let request = Request::CreateUpload { key: key.to_owned(), token: token.to_string() };
        match self.send(request, LIMIT).await?.0 {
            ServerReply::UploadCreated(upload) => Ok(name(upload)),
            reply => unexpected(&reply),
        }
    }

    async fn upload_part(
        &self,
        _key: &str,
        upload: &str,
        part: i32,
        body: Bytes,
    ) -> s3::Reply<String> {
        let request = Request::UploadPart { upload: number(upload), number: part, body };
        match self.send(request, BODY_LIMIT).await?.0 {
            ServerReply::PartTaken(tag) => Ok(name(tag)),
            reply => unexpected(&reply),
        }
    }

    async fn list_uploads(&self, key: &str) -> s3::Reply<Vec<OpenUpload>> {
        match self.send(Request::ListUploads { key: key.to_owned() }, LIMIT).await?.0 {
            ServerReply::Uploads(open) => Ok(open.iter().map(conversions::open_upload).collect()),
            reply => unexpected(&reply),
        }
    }

    async fn list_uploads_below(
        &self,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> s3::Reply<UploadPage> {
        let from = after.map(|UploadMarker { key, id, .. }| {
            (
                key.clone(),
                id.as_deref().map(number).expect("the server named the last upload of the page"),
            )
        });
        let request = Request::ListUploadsBelow { prefix: prefix.to_owned(), after: from };
        match self.send(request, LIMIT).await?.0 {
            ServerReply::UploadPage(page, next) => Ok(UploadPage {
                uploads: page
                    .iter()
                    .map(|(key, open)| (key.clone(), conversions::open_upload(open)))
                    .collect(),
                next: next
                    .and_then(|(key, id)| UploadMarker::following(after, key, Some(name(id)))),
            }),
            reply => unexpected(&reply),
        }
    }

    async fn list_parts(&self, _key: &str, upload: &str) -> s3::Reply<UploadParts> {
        match self.send(Request::ListParts { upload: number(upload) }, LIMIT).await?.0 {
            ServerReply::Parts(bytes, last) => {
                Ok(UploadParts { bytes, last: last.map(timestamp_of) })
            }
            reply => unexpected(&reply),
        }
    }

    async fn delete(&self, key: &str, etag: Option<&str>) -> s3::Reply<()> {
        let request = Request::Delete { key: key.to_owned(), tag: etag.map(number) };
        match self.send(request, LIMIT).await?.0 {
            ServerReply::Deleted => Ok(()),
            reply => unexpected(&reply),
        }
    }

    async fn complete_upload(
        &self,
        _key: &str,
        upload: &str,
        parts: &[(i32, String)],
        condition: Condition,
    ) -> s3::Reply<Option<String>> {
        let request = Request::Complete {
            upload: number(upload),
            parts: parts.iter().map(|(part, tag)| (*part, number(tag))).collect(),
            condition: conversions::condition(condition),
        };
        match self.send(request, COMPLETE_LIMIT).await? {
            (ServerReply::Completed(tag), TagDelivery::Shown, _) => Ok(tag.map(name)),
            (ServerReply::Completed(_), TagDelivery::Empty, _) => Ok(None),
            (reply, ..) => unexpected(&reply),
        }
    }

    async fn abort_upload(&self, _key: &str, upload: &str) -> s3::Reply<()> {
        match self.send(Request::Abort { upload: number(upload) }, LIMIT).await?.0 {
            ServerReply::Aborted => Ok(()),
            reply => unexpected(&reply),
        }
    }
}
