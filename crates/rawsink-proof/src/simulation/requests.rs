//! Requests to the server and its answers, as data: they travel as messages.

use bytes::Bytes;
use fake_s3::{
    ErrorCode, FakeBucket, ListedUpload, ObjectHead, Stamp, StoredObject, Tag, UploadId,
    WriteCondition,
};

/// The server's bucket. The user metadata is the writer's token.
pub(super) type SimBucket = FakeBucket<String, Bytes, String>;
pub(super) type SimObject = StoredObject<Bytes, String>;
pub(super) type SimHead = ObjectHead<String>;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    List {
        prefix: String,
        after: Option<String>,
    },
    Head {
        key: String,
    },
    Get {
        key: String,
    },
    Put {
        key: String,
        body: Bytes,
        token: String,
        condition: WriteCondition,
    },
    CreateUpload {
        key: String,
        token: String,
    },
    UploadPart {
        upload: UploadId,
        number: i32,
        body: Bytes,
    },
    /// Lists the uploads of exactly this key.
    ListUploads {
        key: String,
    },
    ListUploadsBelow {
        prefix: String,
        after: Option<(String, UploadId)>,
    },
    ListParts {
        upload: UploadId,
    },
    Complete {
        upload: UploadId,
        parts: Vec<(i32, Tag)>,
        condition: WriteCondition,
    },
    Abort {
        upload: UploadId,
    },
    /// DELETE with `If-Match` where a tag is given.
    Delete {
        key: String,
        tag: Option<Tag>,
    },
}

/// The server's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ServerReply {
    /// A page of objects, and the last key where another page follows.
    Listed(Vec<(String, SimHead)>, Option<String>),
    Head(Option<SimHead>),
    Content(Option<(SimHead, Bytes)>),
    Created(Tag),
    UploadCreated(UploadId),
    PartTaken(Tag),
    Uploads(Vec<ListedUpload>),
    /// A page of uploads, and the last one where another page follows.
    UploadPage(Vec<(String, ListedUpload)>, Option<(String, UploadId)>),
    /// The length of all parts, and the time of the newest.
    Parts(u64, Option<u64>),
    Completed(Option<Tag>),
    Aborted,
    Deleted,
    Refused(ErrorCode),
}

impl Request {
    /// Applies the request to the bucket in one step.
    pub(super) fn apply(self, bucket: &mut SimBucket, stamp: Stamp) -> ServerReply {
        let applied = match self {
            Self::List { prefix, after } => {
                let page = bucket.list(&prefix, after.as_ref(), usize::MAX);
                Ok(ServerReply::Listed(page.objects, page.next))
            }
            Self::Head { key } => Ok(ServerReply::Head(bucket.head(&key))),
            Self::Get { key } => {
                let found = bucket.get(&key);
                Ok(ServerReply::Content(found.map(|object| (object.head(), object.body.clone()))))
            }
            Self::Put { key, body, token, condition } => {
                bucket.put(key, body, Some(token), condition, stamp).map(ServerReply::Created)
            }
            Self::CreateUpload { key, token } => {
                Ok(ServerReply::UploadCreated(bucket.create_upload(key, Some(token), stamp)))
            }
            Self::UploadPart { upload, number, body } => {
                bucket.upload_part(upload, number, body, stamp).map(ServerReply::PartTaken)
            }
            Self::ListUploads { key } => Ok(ServerReply::Uploads(bucket.list_uploads_of(&key))),
            Self::ListUploadsBelow { prefix, after } => {
                let page = bucket.list_uploads(&prefix, after.as_ref());
                Ok(ServerReply::UploadPage(page.uploads, page.next))
            }
            Self::ListParts { upload } => bucket.list_parts(upload, 0).map(|page| {
                let bytes = page.parts.iter().map(|part| part.bytes).sum();
                ServerReply::Parts(bytes, page.parts.iter().map(|part| part.sent).max())
            }),
            Self::Complete { upload, parts, condition } => {
                bucket.complete(upload, parts, condition, stamp).map(ServerReply::Completed)
            }
            Self::Abort { upload } => bucket.abort(upload).map(|()| ServerReply::Aborted),
            Self::Delete { key, tag } => {
                bucket.delete(&key, tag, stamp).map(|()| ServerReply::Deleted)
            }
        };
        applied.unwrap_or_else(ServerReply::Refused)
    }
}
