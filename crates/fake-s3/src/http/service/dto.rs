//! Conversions between the types of the bucket and those of `s3s`.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{
    S3Error, S3ErrorCode, S3Result,
    dto::{
        CompletedMultipartUpload, DeleteMarkerEntry, ETag, ETagCondition, EncodingType,
        ListObjectVersionsOutput, Metadata, MultipartUpload, Object, ObjectVersion, Part,
        StreamingBlob,
    },
    s3_error,
};

use crate::{
    ErrorCode, ListedPart, ListedUpload, ObjectHead, Tag, UploadId, UploadTimes, VersionKind,
    VersionPage, WriteCondition, format_name,
    http::{MetadataMap, date::timestamp},
    parse_name,
};

/// Size of the pieces of an object's body, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

pub(super) fn error(code: ErrorCode) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.code().as_bytes());
    S3Error::new(code.expect("the code is one of S3's"))
}

pub(super) fn condition(if_none_match: Option<&ETagCondition>) -> WriteCondition {
    if if_none_match == Some(&ETagCondition::Any) {
        WriteCondition::CreateOnly
    } else {
        WriteCondition::Overwrite
    }
}

pub(super) fn etag(tag: Tag) -> ETag {
    ETag::Strong(format_name(tag))
}

pub(super) fn upload_id(text: &str) -> S3Result<UploadId> {
    parse_name(text).ok_or_else(|| s3_error!(NoSuchUpload))
}

pub(super) fn length(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

pub(super) fn sorted(metadata: Metadata) -> MetadataMap {
    metadata.into_iter().collect()
}

pub(super) fn unsorted(metadata: MetadataMap) -> Metadata {
    metadata.into_iter().collect()
}

pub(super) fn encoded(key: &str, encoding: Option<&EncodingType>) -> String {
    match encoding {
        Some(_) => utf8_percent_encode(key, NON_ALPHANUMERIC).to_string(),
        None => key.to_owned(),
    }
}

/// Reads a whole request body.
pub(super) async fn whole(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let chunks: Vec<Bytes> = body.try_collect().await.map_err(|_| s3_error!(IncompleteBody))?;
    Ok(chunks.concat().into())
}

/// Returns a response body in pieces.
pub(super) fn pieces(body: &Bytes) -> StreamingBlob {
    let pieces: Vec<Bytes> = body.chunks(PIECE_BYTES).map(|piece| body.slice_ref(piece)).collect();
    StreamingBlob::wrap(stream::iter(pieces).map(Ok::<_, Infallible>))
}

pub(super) fn object(
    (key, head): (String, ObjectHead<MetadataMap>),
    encoding: Option<&EncodingType>,
) -> Object {
    Object {
        key: Some(encoded(&key, encoding)),
        e_tag: Some(etag(head.tag)),
        last_modified: Some(timestamp(head.modified)),
        size: Some(length(head.bytes)),
        ..Default::default()
    }
}

pub(super) fn upload(
    (key, upload): (String, ListedUpload),
    encoding: Option<&EncodingType>,
    times: UploadTimes,
) -> MultipartUpload {
    MultipartUpload {
        key: Some(encoded(&key, encoding)),
        upload_id: Some(format_name(upload.id)),
        initiated: (times == UploadTimes::All).then(|| timestamp(upload.initiated)),
        ..Default::default()
    }
}

pub(super) fn part(part: ListedPart, times: UploadTimes) -> Part {
    Part {
        part_number: Some(part.number),
        size: Some(length(part.bytes)),
        last_modified: (times != UploadTimes::Omitted).then(|| timestamp(part.sent)),
        ..Default::default()
    }
}

/// Returns the parts that a Complete names.
pub(super) fn completed_parts(
    upload: Option<CompletedMultipartUpload>,
) -> S3Result<Vec<(i32, Tag)>> {
    let parts = upload.and_then(|upload| upload.parts).unwrap_or_default();
    let part = |part: s3s::dto::CompletedPart| {
        let tag = part.e_tag.as_ref().and_then(|tag| parse_name(tag.value()));
        let tag = tag.ok_or_else(|| s3_error!(InvalidPart))?;
        Ok((part.part_number.unwrap_or_default(), tag))
    };
    parts.into_iter().map(part).collect()
}

pub(super) fn versions(
    page: VersionPage<String>,
    encoding: Option<EncodingType>,
) -> ListObjectVersionsOutput {
    let last = page.versions.last().filter(|_| page.has_more);
    let (next_key_marker, next_version_id_marker) =
        last.map(|last| (encoded(&last.key, encoding.as_ref()), format_name(last.id))).unzip();
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for version in page.versions {
        let key = Some(encoded(&version.key, encoding.as_ref()));
        let version_id = Some(format_name(version.id));
        match version.kind {
            VersionKind::Content => {
                versions.push(ObjectVersion { key, version_id, ..Default::default() });
            }
            VersionKind::DeleteMarker => {
                markers.push(DeleteMarkerEntry { key, version_id, ..Default::default() });
            }
        }
    }
    ListObjectVersionsOutput {
        versions: Some(versions),
        delete_markers: Some(markers),
        is_truncated: Some(page.has_more),
        next_key_marker,
        next_version_id_marker,
        encoding_type: encoding,
        ..Default::default()
    }
}
