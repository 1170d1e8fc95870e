//! The operations of S3 that the server offers, and how a request names one.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// An operation of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// `ListObjectsV2`
    List,
    /// `HeadObject`
    Head,
    /// `GetObject`
    Get,
    /// `PutObject`
    Put,
    /// `CreateMultipartUpload`
    Create,
    /// `UploadPart`
    Part,
    /// `ListMultipartUploads`
    Uploads,
    /// `ListParts`
    Parts,
    /// `CompleteMultipartUpload`
    Complete,
    /// `AbortMultipartUpload`
    Abort,
    /// `DeleteObject`
    Delete,
    /// `GetBucketVersioning`
    Versioning,
    /// `ListObjectVersions`
    Versions,
}

impl Op {
    /// All operations.
    pub const ALL: [Self; 13] = [
        Self::List,
        Self::Head,
        Self::Get,
        Self::Put,
        Self::Create,
        Self::Part,
        Self::Uploads,
        Self::Parts,
        Self::Complete,
        Self::Abort,
        Self::Delete,
        Self::Versioning,
        Self::Versions,
    ];

    /// Returns the operation of a request; `None` for one that the server does not offer.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        let query = request.uri().split_once('?').map_or("", |(_, query)| query);
        let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
        Some(match request.method() {
            "GET" if has("list-type") => Self::List,
            "GET" if has("uploads") => Self::Uploads,
            "GET" if has("versioning") => Self::Versioning,
            "GET" if has("versions") => Self::Versions,
            "GET" if has("uploadId") => Self::Parts,
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "PUT" if has("uploadId") => Self::Part,
            "PUT" => Self::Put,
            "POST" if has("uploads") => Self::Create,
            "POST" if has("uploadId") => Self::Complete,
            "DELETE" if has("uploadId") => Self::Abort,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }
}

/// Returns the last segment of a request's path, percent-encoded.
pub(super) fn last_segment(request: &HttpRequest) -> &str {
    let path = request.uri().split_once('?').map_or(request.uri(), |(path, _)| path);
    path.rsplit('/').next().unwrap_or(path)
}
