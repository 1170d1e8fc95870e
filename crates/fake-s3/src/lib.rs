//! An S3 bucket as data, for tests and simulations.
//!
//! [`FakeBucket`] applies one request at a time. It knows no network, no clock and no randomness: the
//! caller decides when a request arrives, and passes the time and a unique name in a [`Stamp`].
//! Therefore a model can explore every order of requests, a simulation can draw one from a seed, and
//! a test can serve the same bucket to a real client.
//!
//! | module | contents |
//! |---|---|
//! | [`FakeBucket`] | objects, multipart uploads, versions, and the requests on them |
//! | [`Behaviour`] | how the server differs from others, as data |
//! | `http` (feature `http`) | the bucket as a server inside the process, with planted misbehaviour |

mod behaviour;
mod bucket;
mod error_code;
#[cfg(feature = "http")]
pub mod http;
mod names;
mod object_types;

pub use self::{
    behaviour::{
        AbortDuringComplete, AbortOfMissing, AbortScope, AbortedUpload, Behaviour,
        CompleteCondition, CompleteEffect, CompletedUpload, CreateCondition, DeleteCondition,
        ObjectListing, ObjectVersioning, PageLimits, PartLimits, RangeRequests, UploadListing,
        UploadTimes, UserMetadata,
    },
    bucket::{
        CompleteAnswer, CompleteStart, ContentState, FakeBucket, ListedPart, ListedUpload,
        MultipartUpload, ObjectHead, ObjectPage, ObjectVersion, PartPage, StoredObject,
        UploadListPage, UploadState, UploadedPart, VersionKind, VersionPage, WriteCondition,
    },
    error_code::ErrorCode,
    names::{Stamp, Tag, UploadId, format_name, parse_name},
    object_types::{ObjectBody, ObjectKey},
};
