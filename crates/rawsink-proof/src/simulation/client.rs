//! The library's requests, sent as messages.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rawsink::store::{
    WriterToken,
    s3::{
        self, Condition, Content, Head, OpenUpload, Page, Requests, UploadMarker, UploadPage,
        UploadParts,
    },
};

use super::{
    faults::Body,
    messages::{Answer, Tag},
    process::Here,
    requests::{self, Blob, Reply, Request, name, number},
    time::{MINUTE, Micros, micros, timestamp_of},
};
use crate::server;

/// How long the client over HTTP waits for most requests, for a part, and for Complete.
const LIMIT: Micros = MINUTE;
const PART_LIMIT: Micros = 5 * MINUTE;
const COMPLETE_LIMIT: Micros = 10 * MINUTE;

impl Here {
    async fn ask(&self, request: Request, limit: Micros) -> s3::Reply<(Reply, Tag, Body)> {
        let sent = self.world.lock().send(self.id, request, limit);
        let answered = match sent {
            Some(answer) => answer.await.ok(),
            None => None,
        };
        match answered {
            Some(Answer { reply, tag, body }) => Ok((reply?, tag, body)),
            // Killed: nothing goes on here.
            None => std::future::pending().await,
        }
    }

    /// Returns a body in pieces, as far as it comes.
    fn pieces(&self, blob: &Bytes, body: Body) -> Vec<s3::Reply<Bytes>> {
        let mut world = self.world.lock();
        let mut blob = blob.clone();
        let some = blob.len() as u64;
        let mut end = None;
        match body {
            _ if blob.is_empty() => {}
            Body::Whole => {}
            Body::Cut | Body::Short => {
                let bytes = world.random.between(0, some - 1);
                blob.truncate(usize::try_from(bytes).expect("less than there is"));
                end = (body == Body::Cut).then(|| Err(requests::unanswered("body cut")));
            }
            Body::Garbled => {
                let at = usize::try_from(world.random.below(some)).expect("less than there is");
                let mut garbled = blob.to_vec();
                garbled[at] ^= 1;
                blob = garbled.into();
                world.processes[self.id.0].misled = true;
            }
        }
        let mut pieces = Vec::new();
        while !blob.is_empty() {
            let bytes = world.random.between(1, 200).min(blob.len() as u64);
            pieces.push(Ok(blob.split_to(usize::try_from(bytes).expect("at most what is there"))));
        }
        pieces.extend(end);
        pieces
    }
}

/// The server answers what it was asked.
fn unexpected(reply: &Reply) -> ! {
    panic!("the server answered something else: {reply:?}")
}

#[async_trait]
impl Requests for Here {
    async fn head(&self, key: &str) -> s3::Reply<Option<Head>> {
        match self.ask(Request::Head { key: key.to_owned() }, LIMIT).await?.0 {
            Reply::Head(head) => Ok(head.map(requests::head)),
            reply => unexpected(&reply),
        }
    }

    async fn get(&self, key: &str, offset: u64) -> s3::Reply<Option<Content>> {
        let (reply, _, body) = self.ask(Request::Get { key: key.to_owned() }, LIMIT).await?;
        let Reply::Content(found) = reply else { unexpected(&reply) };
        let Some((head, Blob(whole))) = found else { return Ok(None) };
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
            writer: head.token,
            bytes: whole.len() as u64,
            chunks: chunks.boxed(),
        }))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> s3::Reply<Page> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        match self.ask(Request::List { prefix, after }, LIMIT).await?.0 {
            Reply::Listed(page, next) => {
                let objects = page.into_iter().map(|(key, head)| (key, requests::head(head)));
                Ok(Page { objects: objects.collect(), next })
            }
            reply => unexpected(&reply),
        }
    }

    async fn create(
        &self,
        key: &str,
        body: Bytes,
        token: &WriterToken,
        timeout: Duration,
    ) -> s3::Reply<String> {
        let (key, token) = (key.to_owned(), token.to_string());
        let request = Request::Create { key, body: Blob(body), token };
        match self.ask(request, micros(timeout)).await? {
            (Reply::Created(tag), Tag::Shown, _) => Ok(name(tag)),
            (Reply::Created(_), Tag::Empty, _) => Ok(String::new()),
            (reply, ..) => unexpected(&reply),
        }
    }

    async fn create_upload(&self, key: &str, token: &WriterToken) -> s3::Reply<String> {
        let request = Request::CreateUpload { key: key.to_owned(), token: token.to_string() };
        match self.ask(request, LIMIT).await?.0 {
            Reply::UploadCreated(upload) => Ok(name(upload)),
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
        let request =
            Request::UploadPart { upload: number(upload), number: part, body: Blob(body) };
        match self.ask(request, PART_LIMIT).await?.0 {
            Reply::PartTaken(tag) => Ok(name(tag)),
            reply => unexpected(&reply),
        }
    }

    async fn list_uploads(&self, key: &str) -> s3::Reply<Vec<OpenUpload>> {
        match self.ask(Request::ListUploads { key: key.to_owned() }, LIMIT).await?.0 {
            Reply::Uploads(open) => Ok(open.iter().map(requests::open_upload).collect()),
            reply => unexpected(&reply),
        }
    }

    async fn list_uploads_below(
        &self,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> s3::Reply<UploadPage> {
        let after = after.map(|UploadMarker { key, id }| {
            (key.clone(), id.as_deref().map(number).expect("the server said where to go on"))
        });
        let request = Request::ListUploadsBelow { prefix: prefix.to_owned(), after };
        match self.ask(request, LIMIT).await?.0 {
            Reply::UploadPage(page, next) => Ok(UploadPage {
                uploads: page
                    .iter()
                    .map(|(key, open)| (key.clone(), requests::open_upload(open)))
                    .collect(),
                next: next.map(|(key, id)| UploadMarker { key, id: Some(name(id)) }),
            }),
            reply => unexpected(&reply),
        }
    }

    async fn list_parts(&self, _key: &str, upload: &str) -> s3::Reply<UploadParts> {
        match self.ask(Request::ListParts { upload: number(upload) }, LIMIT).await?.0 {
            Reply::Parts(bytes, last) => Ok(UploadParts { bytes, last: last.map(timestamp_of) }),
            reply => unexpected(&reply),
        }
    }

    async fn delete(&self, key: &str, etag: Option<&str>) -> s3::Reply<()> {
        let request = Request::Delete { key: key.to_owned(), tag: etag.map(number) };
        match self.ask(request, LIMIT).await?.0 {
            Reply::Deleted => Ok(()),
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
            condition: match condition {
                Condition::CreateOnly => server::Condition::CreateOnly,
                Condition::Replace => server::Condition::Replace,
            },
        };
        match self.ask(request, COMPLETE_LIMIT).await? {
            (Reply::Completed(tag), Tag::Shown, _) => Ok(tag.map(name)),
            (Reply::Completed(_), Tag::Empty, _) => Ok(None),
            (reply, ..) => unexpected(&reply),
        }
    }

    async fn abort_upload(&self, _key: &str, upload: &str) -> s3::Reply<()> {
        match self.ask(Request::Abort { upload: number(upload) }, LIMIT).await?.0 {
            Reply::Aborted => Ok(()),
            reply => unexpected(&reply),
        }
    }
}
