//! What is asked of the server, and what it answers.

/// An object's tag (`ETag`): the name that the server gave to one state of it.
pub type Tag = u64;

/// An upload's id.
pub type UploadId = u64;

/// A request. Every body and token is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request<K, B, W> {
    /// Lists a page of the keys below a prefix, after a key.
    List {
        /// Which keys.
        prefix: K,
        /// The last key of the page before.
        after: Option<K>,
    },
    /// Shows an object without its content.
    Head {
        /// Which object.
        key: K,
    },
    /// Reads an object.
    Get {
        /// Which object.
        key: K,
    },
    /// PUT with `If-None-Match: *`.
    Create {
        /// Which object.
        key: K,
        /// Its content.
        body: B,
        /// The token in its user metadata.
        token: W,
    },
    /// Creates a multipart upload.
    CreateUpload {
        /// Which object it is going to be.
        key: K,
        /// The token in its user metadata.
        token: W,
    },
    /// Sends a part.
    UploadPart {
        /// Of which upload.
        upload: UploadId,
        /// Which part, from 1.
        number: i32,
        /// Its content.
        body: B,
    },
    /// Lists the uploads of exactly this key.
    ListUploads {
        /// Which key.
        key: K,
    },
    /// Lists a page of the uploads below a prefix, after one of them.
    ListUploadsBelow {
        /// Which keys.
        prefix: K,
        /// The last upload of the page before, and its key.
        after: Option<(K, UploadId)>,
    },
    /// Lists the parts of an upload.
    ListParts {
        /// Of which upload.
        upload: UploadId,
    },
    /// Completes an upload.
    Complete {
        /// Which upload.
        upload: UploadId,
        /// Its parts: numbers and tags.
        parts: Vec<(i32, Tag)>,
        /// Whether it may replace what is there.
        condition: Condition,
    },
    /// Ends an upload.
    Abort {
        /// Which upload.
        upload: UploadId,
    },
    /// Deletes an object, with `If-Match` where a tag is given.
    Delete {
        /// Which object.
        key: K,
        /// The only state of it that is to go.
        tag: Option<Tag>,
    },
}

/// Whether a Complete may replace what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `If-None-Match: *`
    CreateOnly,
    /// None.
    Replace,
}

/// What the world adds to a request when it is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    /// The time, in the caller's unit; gateways may have clocks of their own.
    pub time: u64,
    /// The name that the server gives, if it gives one; not given before.
    pub name: u64,
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reply<K, B, W> {
    /// A page of keys in their order, and the key after which the next one starts. It shows no
    /// tokens.
    Listed(Vec<(K, Head<W>)>, Option<K>),
    /// What is known of an object; `None` where there is none.
    Head(Option<Head<W>>),
    /// An object; `None` where there is none, or its content is lost.
    Content(Option<(Head<W>, B)>),
    /// An object was created.
    Created(Tag),
    /// An upload was created.
    UploadCreated(UploadId),
    /// A part was taken.
    PartTaken(Tag),
    /// The uploads, in the order of their ids.
    Uploads(Vec<OpenUpload>),
    /// A page of uploads with their keys, in the order of keys and ids, and after which the next one
    /// starts.
    UploadPage(Vec<(K, OpenUpload)>, Option<(K, UploadId)>),
    /// The length of all parts of an upload, and when the newest was sent, which whoever applies the
    /// request has to know.
    Parts(u64, Option<u64>),
    /// An upload is an object now; some servers give no tag at the second time.
    Completed(Option<Tag>),
    /// An upload was ended.
    Aborted,
    /// An object is not there any more.
    Deleted,
    /// The request was not applied.
    Refused(Refusal),
}

/// An object without its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Head<W> {
    /// The server's name for this state of it.
    pub tag: Tag,
    /// Time of the last change.
    pub modified: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// The token in its user metadata.
    pub token: Option<W>,
}

/// An upload in a listing; sorts as the protocol orders uploads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpenUpload {
    /// Time of the creation.
    pub initiated: u64,
    /// Its id.
    pub id: UploadId,
}

/// Why a request was not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The upload was ended, completed or never there.
    NoSuchUpload,
    /// There is an object already.
    PreconditionFailed,
    /// The parts are not those that were sent.
    InvalidPart,
    /// A Complete of this upload runs.
    InProgress,
}

impl Refusal {
    /// Returns the HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::NoSuchUpload => 404,
            Self::PreconditionFailed => 412,
            Self::InvalidPart => 400,
            Self::InProgress => 500,
        }
    }

    /// Returns the S3 error code.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoSuchUpload => "NoSuchUpload",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::InvalidPart => "InvalidPart",
            Self::InProgress => "InternalError",
        }
    }
}
