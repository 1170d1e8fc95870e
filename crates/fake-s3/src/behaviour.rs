//! The differences between S3 servers, as data.

/// How the server behaves where servers differ. The default is an exact server without limits on part
/// sizes, which ignores nothing and loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// The effect of `If-None-Match: *` on PUT.
    pub create_condition: CreateCondition,
    /// The effect of `If-None-Match: *` on Complete.
    pub complete_condition: CompleteCondition,
    /// The effect of `If-Match` on DELETE.
    pub delete_condition: DeleteCondition,
    /// The effect of Complete.
    pub complete_effect: CompleteEffect,
    /// The answer to a Complete of an upload that is completed.
    pub completed_upload: CompletedUpload,
    /// The effect of an abort during a running Complete.
    pub abort_during_complete: AbortDuringComplete,
    /// The answer to an abort of an upload that does not exist.
    pub abort_of_missing: AbortOfMissing,
    /// What an abort ends.
    pub abort_scope: AbortScope,
    /// The visibility of an upload after its abort.
    pub aborted_upload: AbortedUpload,
    /// The objects that LIST shows.
    pub object_listing: ObjectListing,
    /// The uploads that a listing below a prefix shows.
    pub upload_listing: UploadListing,
    /// The times in listings of uploads and parts.
    pub upload_times: UploadTimes,
    /// The fate of user metadata.
    pub user_metadata: UserMetadata,
    /// The answer to a range request.
    pub range_requests: RangeRequests,
    /// Whether the bucket keeps old versions.
    pub versioning: ObjectVersioning,
    /// The page sizes of listings.
    pub page_limits: PageLimits,
    /// The limits on parts.
    pub part_limits: PartLimits,
    /// Seconds by which the `Date` header is ahead of the clock; `None` omits the header.
    pub clock_ahead_s: Option<i64>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            create_condition: CreateCondition::Enforced,
            complete_condition: CompleteCondition::Enforced,
            delete_condition: DeleteCondition::Enforced,
            complete_effect: CompleteEffect::CreatesObject,
            completed_upload: CompletedUpload::NoSuchUpload,
            abort_during_complete: AbortDuringComplete::CancelsComplete,
            abort_of_missing: AbortOfMissing::NoSuchUpload,
            abort_scope: AbortScope::Upload,
            aborted_upload: AbortedUpload::Gone,
            object_listing: ObjectListing::Consistent,
            upload_listing: UploadListing::ByPrefix,
            upload_times: UploadTimes::All,
            user_metadata: UserMetadata::Kept,
            range_requests: RangeRequests::Honoured,
            versioning: ObjectVersioning::Off,
            page_limits: PageLimits::default(),
            part_limits: PartLimits::default(),
            clock_ahead_s: None,
        }
    }
}

/// The effect of `If-None-Match: *` on PUT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateCondition {
    /// The server refuses the request where the object exists.
    Enforced,
    /// The server ignores the condition.
    Ignored,
    /// The server checks the condition when the request arrives, and writes later.
    CheckedEarly,
    /// The server answers 412 where the object exists, and overwrites it nevertheless.
    RefusedButApplied,
    /// The server answers 501.
    NotImplemented,
}

/// Whether the server enforces `If-None-Match: *` on Complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompleteCondition {
    /// AWS, R2, `MinIO` and Ceph from 20.2.1.
    Enforced,
    /// Ceph before 20.2.1.
    Ignored,
}

/// The effect of `If-Match` on DELETE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteCondition {
    /// The server refuses the request where the object has another tag. A missing object is no
    /// failure.
    Enforced,
    /// The server refuses the request also where the object does not exist.
    EnforcedOnMissing,
    /// The server ignores the condition.
    Ignored,
    /// The server answers 501.
    NotImplemented,
}

/// The effect of Complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompleteEffect {
    /// The object appears.
    CreatesObject,
    /// The server answers success, and no object appears.
    AnsweredOnly,
}

/// The answer to a Complete of an upload that is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletedUpload {
    /// 404: `MinIO`, and Ceph from 20.2.1.
    NoSuchUpload,
    /// 200 with the object's tag: AWS.
    SameTag,
    /// 200 without a tag.
    EmptyTag,
    /// 200 with the tag of the current object, also for an aborted upload. Without an object the server
    /// answers 500 "already in progress" every time. The first Complete has no tag: Ceph 16.2.15.
    TagOfCurrentObject,
}

/// The effect of an abort during a running Complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortDuringComplete {
    /// The upload is aborted, and the Complete fails.
    CancelsComplete,
    /// Both requests succeed, and the object's content is lost hours later: Ceph before 18.2.5.
    LosesContent,
}

/// The answer to an abort of an upload that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortOfMissing {
    /// 404.
    NoSuchUpload,
    /// Success.
    Success,
}

/// What an abort ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortScope {
    /// The upload.
    Upload,
    /// The upload, and the object of its key: `S3Mock`.
    ObjectOfKey,
    /// All uploads of its key.
    UploadsOfKey,
}

/// The visibility of an upload after its abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortedUpload {
    /// No listing shows it, and no request finds it.
    Gone,
    /// This number of listings still show it. Other requests do not find it.
    ListedTimes(usize),
    /// A late part, or [`list_again`](crate::FakeBucket::list_again), lists it again. Then it accepts
    /// parts and cannot complete: `MinIO`.
    ListedAfterLatePart,
    /// Only [`list_again`](crate::FakeBucket::list_again) lists it again, as if a part had come late.
    ListedOnDemand,
    /// A Complete still creates the object. No real server does this.
    Completable,
}

/// The objects that LIST shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectListing {
    /// All objects.
    Consistent,
    /// All objects except the one written last.
    HidesNewest,
}

/// The uploads that a listing below a prefix shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadListing {
    /// Those whose key starts with the prefix.
    ByPrefix,
    /// Those whose key equals the prefix, or all for an empty prefix: `MinIO`.
    ByKey,
}

/// The times in listings of uploads and parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadTimes {
    /// The creation of each upload and the arrival of each part.
    All,
    /// The arrival of each part.
    PartsOnly,
    /// None.
    Omitted,
}

/// The fate of user metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserMetadata {
    /// The server keeps it.
    Kept,
    /// The server drops it.
    Dropped,
    /// The server drops it from multipart uploads.
    DroppedByMultipart,
}

/// The answer to a range request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeRequests {
    /// The range.
    Honoured,
    /// The whole object.
    Ignored,
}

/// Whether the bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectVersioning {
    /// It does not.
    Off,
    /// It does, with a marker for each DELETE.
    On,
}

/// The page sizes of listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// Keys per page.
    pub objects: usize,
    /// Uploads per page.
    pub uploads: usize,
    /// Parts per page.
    pub parts: usize,
    /// Versions per page.
    pub versions: usize,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self { objects: 1000, uploads: 1000, parts: 1000, versions: 1000 }
    }
}

/// The limits on parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartLimits {
    /// Minimum size of every part except the last, in bytes.
    pub min_bytes: u64,
    /// Largest part number.
    pub max_number: i32,
    /// Whether a part may be empty.
    pub may_be_empty: bool,
}

impl Default for PartLimits {
    fn default() -> Self {
        Self { min_bytes: 0, max_number: 10_000, may_be_empty: true }
    }
}
