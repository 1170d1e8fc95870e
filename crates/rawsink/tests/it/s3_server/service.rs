//! The operations of S3, over what is in memory.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{
    S3, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, BucketVersioningStatus,
        CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, DeleteMarkerEntry, DeleteObjectInput, DeleteObjectOutput,
        ETag, ETagCondition, EncodingType, GetBucketVersioningInput, GetBucketVersioningOutput,
        GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
        ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectVersionsInput,
        ListObjectVersionsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
        ListPartsOutput, MultipartUpload, ObjectVersion, Part, PutObjectInput, PutObjectOutput,
        StreamingBlob, Timestamp, UploadPartInput, UploadPartOutput,
    },
    s3_error,
};

use super::{
    BUCKET, Shared,
    objects::{Aborts, CreateOnly, Objects, Ranges, Stored, UploadTimes},
};

/// Bytes of a body come in pieces of this size.
const CHUNK: usize = 64 * 1024;

/// What `s3s` calls.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Shared>);

impl Service {
    fn bucket<T>(&self, name: &str, work: impl FnOnce(&mut Objects) -> S3Result<T>) -> S3Result<T> {
        if name == BUCKET {
            work(&mut self.0.objects.lock().unwrap())
        } else {
            Err(s3_error!(NoSuchBucket))
        }
    }

    fn compares_first(&self) -> bool {
        self.0.objects.lock().unwrap().create_only == CreateOnly::ComparedFirst
    }

    fn stored(&self, bucket: &str, key: &str) -> S3Result<Stored> {
        self.bucket(bucket, |objects| {
            objects.stored.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))
        })
    }
}

async fn others_go_first() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

fn only_new(condition: Option<&ETagCondition>) -> bool {
    condition == Some(&ETagCondition::Any)
}

fn time(time: jiff::Timestamp) -> Timestamp {
    let since = Duration::from_millis(u64::try_from(time.as_millisecond()).unwrap());
    (SystemTime::UNIX_EPOCH + since).into()
}

fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap()
}

fn encoded(key: &str, encoding: Option<&EncodingType>) -> String {
    match encoding {
        Some(_) => utf8_percent_encode(key, NON_ALPHANUMERIC).to_string(),
        None => key.to_owned(),
    }
}

async fn whole(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let chunks: Vec<Bytes> = body.try_collect().await.map_err(|_| s3_error!(IncompleteBody))?;
    Ok(chunks.concat().into())
}

fn pieces(bytes: &Bytes) -> StreamingBlob {
    let pieces: Vec<Bytes> = bytes.chunks(CHUNK).map(|piece| bytes.slice_ref(piece)).collect();
    StreamingBlob::wrap(stream::iter(pieces).map(Ok::<_, Infallible>))
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let (bytes, new) = (whole(input.body).await?, only_new(input.if_none_match.as_ref()));
        if new && self.compares_first() {
            if self.stored(&input.bucket, &input.key).is_ok() {
                return Err(s3_error!(PreconditionFailed));
            }
            others_go_first().await;
        }
        let etag = self
            .bucket(&input.bucket, |objects| objects.put(&input.key, bytes, input.metadata, new))?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(etag)),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let stored = self.stored(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(length(stored.bytes.len())),
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(time(stored.modified)),
            metadata: stored.metadata,
            ..Default::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let stored = self.stored(&request.input.bucket, &request.input.key)?;
        let total = stored.bytes.len();
        let (mut bytes, mut content_range) = (stored.bytes, None);
        let ranges = self.0.objects.lock().unwrap().ranges;
        if let Some(range) = request.input.range.filter(|_| ranges == Ranges::Honoured) {
            let range = range.check(total as u64).map_err(|_| s3_error!(InvalidRange))?;
            content_range = Some(format!("bytes {}-{}/{total}", range.start, range.end - 1));
            bytes = bytes.slice(usize::try_from(range.start).unwrap()..);
        }
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(length(bytes.len())),
            body: Some(pieces(&bytes)),
            content_range,
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(time(stored.modified)),
            metadata: stored.metadata,
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        let after = input.start_after.unwrap_or_default();
        let max = usize::try_from(input.max_keys.unwrap_or(1000)).unwrap();
        let (found, more) =
            self.bucket(&input.bucket, |objects| Ok(objects.list(&prefix, &after, max)))?;
        let object = |(key, stored): (String, Stored)| s3s::dto::Object {
            key: Some(encoded(&key, input.encoding_type.as_ref())),
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(time(stored.modified)),
            size: Some(length(stored.bytes.len())),
            ..Default::default()
        };
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(found.into_iter().map(object).collect()),
            is_truncated: Some(more),
            encoding_type: input.encoding_type.clone(),
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let id = self.bucket(&input.bucket, |objects| {
            Ok(objects.create_upload(&input.key, input.metadata))
        })?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            upload_id: Some(id),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let bytes = whole(input.body).await?;
        let etag = self.bucket(&input.bucket, |objects| {
            objects.upload_part(&input.upload_id, input.part_number, bytes)
        })?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(etag)),
            ..Default::default()
        }))
    }

    /// As Ceph does: keys are encoded where that is asked for, and nothing says so.
    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        let after =
            (input.key_marker.unwrap_or_default(), input.upload_id_marker.unwrap_or_default());
        let ((uploads, more), times) = self.bucket(&input.bucket, |objects| {
            Ok((objects.list_uploads(&prefix, (&after.0, &after.1)), objects.upload_times))
        })?;
        let encoding = input.encoding_type.as_ref();
        let next = uploads
            .last()
            .filter(|_| more)
            .map(|(key, id, _)| (encoded(key, encoding), id.clone()));
        let upload = |(key, id, initiated): (String, String, jiff::Timestamp)| MultipartUpload {
            key: Some(encoded(&key, encoding)),
            upload_id: Some(id),
            initiated: Some(time(initiated)).filter(|_| times == UploadTimes::All),
            ..Default::default()
        };
        let (next_key, next_id) = next.unzip();
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(uploads.into_iter().map(upload).collect()),
            is_truncated: Some(more),
            next_key_marker: next_key,
            next_upload_id_marker: next_id,
            ..Default::default()
        }))
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let after = input.part_number_marker.unwrap_or_default();
        let ((parts, more), times) = self.bucket(&input.bucket, |objects| {
            Ok((objects.list_parts(&input.upload_id, after)?, objects.upload_times))
        })?;
        let next = parts.last().filter(|_| more).map(|(number, ..)| *number);
        let part = |(number, bytes, sent): (i32, usize, jiff::Timestamp)| Part {
            part_number: Some(number),
            size: Some(length(bytes)),
            last_modified: Some(time(sent)).filter(|_| times != UploadTimes::Neither),
            ..Default::default()
        };
        Ok(S3Response::new(ListPartsOutput {
            parts: Some(parts.into_iter().map(part).collect()),
            is_truncated: Some(more),
            next_part_number_marker: next,
            ..Default::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let part = |part: s3s::dto::CompletedPart| {
            (part.part_number.unwrap_or_default(), part.e_tag.unwrap().into_value())
        };
        let parts: Vec<(i32, String)> = parts.into_iter().map(part).collect();
        let (id, new) = (input.upload_id, only_new(input.if_none_match.as_ref()));
        self.bucket(&input.bucket, |objects| Ok(objects.completing.insert(id.clone())))?;
        if self.0.objects.lock().unwrap().aborts == Aborts::Ruinous {
            others_go_first().await;
        }
        let etag = self.bucket(&input.bucket, |objects| {
            objects.completing.remove(&id);
            objects.complete(&id, &parts, new)
        })?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            e_tag: Some(ETag::Strong(etag)),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.bucket(&input.bucket, |objects| objects.abort(&input.upload_id))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let tag =
            input.if_match.as_ref().and_then(|tag| tag.as_etag()).map(|tag| tag.value().to_owned());
        self.bucket(&input.bucket, |objects| {
            match &input.version_id {
                Some(id) => objects.delete_version(&input.key, id),
                None => objects.delete(&input.key, tag.as_deref())?,
            }
            Ok(())
        })?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let on = self.bucket(&request.input.bucket, |objects| Ok(objects.versioned))?;
        let status = on.then(|| BucketVersioningStatus::from_static("Enabled"));
        Ok(S3Response::new(GetBucketVersioningOutput { status, ..Default::default() }))
    }

    /// Two at a time, so that somebody has to ask for more.
    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = request.input;
        let (prefix, after) = (input.prefix.unwrap_or_default(), input.version_id_marker);
        let mut found = self.bucket(&input.bucket, |objects| Ok(objects.versions.clone()))?;
        found.retain(|(key, _, _)| key.starts_with(&prefix));
        let start = found.iter().position(|(_, id, _)| Some(id) == after.as_ref());
        let mut page = found.split_off(start.map_or(0, |at| at + 1));
        let more = page.len() > 2;
        page.truncate(2);
        let last = page.last().cloned().filter(|_| more);
        let encoding = input.encoding_type.as_ref();
        let (marks, versions): (Vec<_>, Vec<_>) = page.into_iter().partition(|(_, _, mark)| *mark);
        let version = |(key, id, _): (String, String, bool)| ObjectVersion {
            key: Some(encoded(&key, encoding)),
            version_id: Some(id),
            ..Default::default()
        };
        let mark = |(key, id, _): (String, String, bool)| DeleteMarkerEntry {
            key: Some(encoded(&key, encoding)),
            version_id: Some(id),
            ..Default::default()
        };
        Ok(S3Response::new(ListObjectVersionsOutput {
            versions: Some(versions.into_iter().map(version).collect()),
            delete_markers: Some(marks.into_iter().map(mark).collect()),
            is_truncated: Some(more),
            next_key_marker: last.as_ref().map(|(key, _, _)| encoded(key, encoding)),
            next_version_id_marker: last.map(|(_, id, _)| id),
            encoding_type: input.encoding_type.clone(),
            ..Default::default()
        }))
    }
}
