//! The library's requests as the server's, and the server's answers as the library's.

use bytes::Bytes;
use rawsink::store::{
    Object,
    s3::{self, Fault},
};

use super::time::timestamp_of;
use crate::server::{self, Body, Refusal};

/// An object's content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Blob(pub(super) Bytes);

impl Body for Blob {
    fn bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn join<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        Self(parts.flat_map(|part| part.0.iter().copied()).collect())
    }
}

pub(super) type Bucket = server::Server<String, Blob, String>;
pub(super) type Request = server::Request<String, Blob, String>;
pub(super) type Reply = server::Reply<String, Blob, String>;

/// The operations of S3 that the store uses, with the object where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    List,
    Head(Object),
    Get(Object),
    Create(Object),
    CreateUpload,
    Part,
    Uploads,
    Complete,
    Abort,
    UploadsBelow,
    Parts,
    Delete,
}

impl Op {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::List { .. } => Self::List,
            Request::Head { key } => Self::Head(object_of(key)),
            Request::Get { key } => Self::Get(object_of(key)),
            Request::Create { key, .. } => Self::Create(object_of(key)),
            Request::CreateUpload { .. } => Self::CreateUpload,
            Request::UploadPart { .. } => Self::Part,
            Request::ListUploads { .. } => Self::Uploads,
            Request::Complete { .. } => Self::Complete,
            Request::Abort { .. } => Self::Abort,
            Request::ListUploadsBelow { .. } => Self::UploadsBelow,
            Request::ListParts { .. } => Self::Parts,
            Request::Delete { .. } => Self::Delete,
        }
    }
}

impl Op {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::List => "LIST",
            Self::Head(_) => "HEAD",
            Self::Get(_) => "GET",
            Self::Create(Object::Payload) => "PUT of the payload",
            Self::Create(Object::Seal) => "PUT of the seal",
            Self::CreateUpload => "create upload",
            Self::Part => "part",
            Self::Uploads => "list uploads",
            Self::Complete => "complete",
            Self::Abort => "abort",
            Self::UploadsBelow => "list uploads below",
            Self::Parts => "list parts",
            Self::Delete => "DELETE",
        }
    }
}

/// Returns which of a run's two objects a key names.
pub(super) fn object_of(key: &str) -> Object {
    let name = key.rsplit('/').next().unwrap_or(key);
    Object::from_file_name(name).expect("the store asks for no other objects")
}

/// Says what a request asks for, for a person.
pub(super) fn described(request: &Request) -> String {
    match request {
        Request::List { after: None, .. } => "LIST".to_owned(),
        Request::List { after: Some(after), .. } => format!("LIST after {}", file_name(after)),
        Request::Head { key } => format!("HEAD {}", file_name(key)),
        Request::Get { key } => format!("GET {}", file_name(key)),
        Request::Create { key, body, token } => {
            let (name, bytes) = (file_name(key), body.bytes());
            format!("PUT {name} if none, {bytes} bytes, token {}", short(token))
        }
        Request::CreateUpload { token, .. } => format!("create upload, token {}", short(token)),
        Request::UploadPart { upload, number, body } => {
            format!("part {number} of upload {}, {} bytes", short(&name(*upload)), body.bytes())
        }
        Request::ListUploads { .. } => "list uploads".to_owned(),
        Request::Complete { upload, condition, .. } => {
            format!("complete upload {} {condition:?}", short(&name(*upload)))
        }
        Request::Abort { upload } => format!("abort upload {}", short(&name(*upload))),
        Request::ListUploadsBelow { prefix, after } => {
            format!("list uploads below {prefix:?}{}", if after.is_some() { ", go on" } else { "" })
        }
        Request::ListParts { upload } => format!("list parts of upload {}", short(&name(*upload))),
        Request::Delete { key, tag } => format!("DELETE {} if {:?}", file_name(key), tag.map(name)),
    }
}

/// Says what the server answered, for a person.
pub(super) fn answered(reply: &Reply) -> String {
    match reply {
        Reply::Listed(page, next) => {
            let keys: Vec<_> = page.iter().map(|(key, _)| file_name(key)).collect();
            format!("{keys:?}{}", if next.is_some() { " and more" } else { "" })
        }
        Reply::Head(None) | Reply::Content(None) => "not there".to_owned(),
        Reply::Head(Some(head)) | Reply::Content(Some((head, _))) => {
            let token = head.token.as_deref().map_or("none", short);
            format!("{} bytes, token {token}, tag {}", head.bytes, short(&name(head.tag)))
        }
        Reply::Created(tag) | Reply::PartTaken(tag) => format!("tag {}", short(&name(*tag))),
        Reply::UploadCreated(id) => format!("upload {}", short(&name(*id))),
        Reply::Uploads(open) => {
            let ids: Vec<_> = open.iter().map(|open| short(&name(open.id)).to_owned()).collect();
            format!("uploads {ids:?}")
        }
        Reply::Completed(tag) => format!("completed, tag {:?}", tag.map(name)),
        Reply::UploadPage(page, next) => {
            let ids: Vec<_> =
                page.iter().map(|(_, open)| short(&name(open.id)).to_owned()).collect();
            format!("uploads {ids:?}{}", if next.is_some() { " and more" } else { "" })
        }
        Reply::Parts(bytes, _) => format!("{bytes} bytes"),
        Reply::Aborted => "ended".to_owned(),
        Reply::Deleted => "deleted".to_owned(),
        Reply::Refused(refusal) => format!("{} {}", refusal.status(), refusal.code()),
    }
}

fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Returns as much of a name as tells it from others.
fn short(name: &str) -> &str {
    name.get(..6).unwrap_or(name)
}

/// Returns the text of a tag or an upload's id.
pub(super) fn name(number: u64) -> String {
    format!("{number:016x}")
}

/// Reads a text that [`name`] made.
pub(super) fn number(name: &str) -> u64 {
    u64::from_str_radix(name, 16).expect("the server gave this name")
}

pub(super) fn head(head: server::Head<String>) -> s3::Head {
    s3::Head {
        etag: name(head.tag),
        // Whole seconds, as HTTP has them.
        modified: timestamp_of(head.modified / 1_000_000 * 1_000_000),
        bytes: head.bytes,
        writer: head.token,
    }
}

pub(super) fn open_upload(upload: &server::OpenUpload) -> s3::OpenUpload {
    s3::OpenUpload { initiated: timestamp_of(upload.initiated), id: name(upload.id) }
}

pub(super) fn refused(refusal: Refusal) -> Fault {
    status(refusal.status(), refusal.code())
}

pub(super) fn status(status: u16, code: &str) -> Fault {
    let code = Some(code).filter(|code| !code.is_empty()).map(str::to_owned);
    Fault { status: Some(status), code, ..Fault::default() }
}

pub(super) fn unanswered(message: &str) -> Fault {
    Fault { message: message.to_owned(), ..Fault::default() }
}
