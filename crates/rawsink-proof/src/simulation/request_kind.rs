//! The kinds of requests that the simulation counts and disturbs.

use rawsink::store::Object;

use super::requests::Request;

/// A kind of request, with the object where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    List,
    Head(Object),
    Get(Object),
    Put(Object),
    CreateUpload,
    Part,
    Uploads,
    Complete,
    Abort,
    UploadsBelow,
    Parts,
    Delete,
}

impl RequestKind {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::List { .. } => Self::List,
            Request::Head { key } => Self::Head(object_of(key)),
            Request::Get { key } => Self::Get(object_of(key)),
            Request::Put { key, .. } => Self::Put(object_of(key)),
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

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::List => "LIST",
            Self::Head(_) => "HEAD",
            Self::Get(_) => "GET",
            Self::Put(Object::Payload) => "PUT of the payload",
            Self::Put(Object::Seal) => "PUT of the seal",
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

/// Returns the object of a run that a key names.
pub(super) fn object_of(key: &str) -> Object {
    let name = key.rsplit('/').next().unwrap_or(key);
    Object::from_file_name(name).expect("the store requests no other objects")
}
