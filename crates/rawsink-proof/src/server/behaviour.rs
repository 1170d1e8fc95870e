//! In what real servers differ, as data.

/// How a server behaves where others behave differently. The default is the most exact one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Behaviour {
    /// What `If-None-Match: *` on Complete does.
    pub conditions: Conditions,
    /// What an abort does to a Complete that runs.
    pub abort_meeting_complete: AbortMeetingComplete,
    /// What the Complete of a completed upload is answered.
    pub second_complete: SecondComplete,
    /// What a part of an upload that was ended does.
    pub late_part: LatePart,
    /// Which uploads a listing below a prefix shows.
    pub upload_listing: UploadListing,
    /// How many keys, or uploads, a page of a listing has.
    pub page_keys: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            conditions: Conditions::Enforced,
            abort_meeting_complete: AbortMeetingComplete::EndsIt,
            second_complete: SecondComplete::NoSuchUpload,
            late_part: LatePart::Refused,
            upload_listing: UploadListing::ByPrefix,
            page_keys: 1000,
        }
    }
}

/// What `If-None-Match: *` on Complete does, and `If-Match` on DELETE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conditions {
    /// They hold, or the request is refused: AWS, R2, `MinIO`, newest Ceph.
    Enforced,
    /// Nothing: Ceph before 20.2.1.
    Ignored,
}

/// What an abort does to a Complete that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AbortMeetingComplete {
    /// The upload is ended, and the Complete refused.
    EndsIt,
    /// Both are answered with success, and the object is lost hours later: Ceph before 18.2.5.
    Ruins,
}

/// What the Complete of a completed upload is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecondComplete {
    /// 404: `MinIO`, newest Ceph.
    NoSuchUpload,
    /// 200 and the object's tag: AWS.
    SameTag,
    /// 200 without a tag.
    EmptyTag,
    /// 200 and the tag of whatever object is there, also where the upload was ended; where none is,
    /// 500 "already in progress", for ever. And the first Complete is answered without a tag: Ceph
    /// 16.2.15.
    TagOfWhatIsThere,
}

/// What a part of an upload that was ended does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LatePart {
    /// 404.
    Refused,
    /// The upload is listed again, and cannot complete: `MinIO`.
    ListsUploadAgain,
}

/// Which uploads a listing below a prefix shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UploadListing {
    /// Those below it.
    ByPrefix,
    /// Those of the key that it is, or all where it is empty: `MinIO`.
    ByKey,
}
