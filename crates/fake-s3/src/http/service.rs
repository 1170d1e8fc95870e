//! The operations of S3 over the bucket, as `s3s` calls them.

mod dto;

use std::sync::{Arc, MutexGuard};

use s3s::{
    S3, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, BucketVersioningStatus,
        CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput,
        GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectInput, GetObjectOutput,
        HeadObjectInput, HeadObjectOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput,
        ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsV2Input, ListObjectsV2Output,
        ListPartsInput, ListPartsOutput, PutObjectInput, PutObjectOutput, UploadPartInput,
        UploadPartOutput,
    },
    s3_error,
};

use super::{ServedBucket, date::timestamp, shared::Shared};
use crate::{
    AbortDuringComplete, CompleteStart, ObjectVersioning, RangeRequests, format_name, parse_name,
};

/// The service behind the connectors.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Shared>);

impl Service {
    fn bucket(&self, name: &str) -> S3Result<MutexGuard<'_, ServedBucket>> {
        if name == self.0.bucket_name { Ok(self.0.bucket()) } else { Err(s3_error!(NoSuchBucket)) }
    }
}

/// Lets concurrent requests arrive in the middle of this one.
async fn yield_to_others() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

type ServiceResult<T> = S3Result<S3Response<T>>;

#[async_trait::async_trait]
impl S3 for Service {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> ServiceResult<PutObjectOutput> {
        let input = request.input;
        let (body, metadata) = (dto::whole(input.body).await?, input.metadata.map(dto::sorted));
        let condition = dto::condition(input.if_none_match.as_ref());
        let begun = self.bucket(&input.bucket)?.begin_put(&input.key, condition);
        if begun.map_err(dto::error)? {
            yield_to_others().await;
        }
        let mut bucket = self.bucket(&input.bucket)?;
        let stamp = bucket.stamp();
        let tag = bucket.put(input.key, body, metadata, condition, stamp).map_err(dto::error)?;
        let e_tag = Some(dto::etag(tag));
        Ok(S3Response::new(PutObjectOutput { e_tag, ..Default::default() }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> ServiceResult<HeadObjectOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        let head = bucket.head(&request.input.key).ok_or_else(|| s3_error!(NoSuchKey))?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(dto::length(head.bytes)),
            e_tag: Some(dto::etag(head.tag)),
            last_modified: Some(timestamp(head.modified)),
            metadata: head.metadata.map(dto::unsorted),
            ..Default::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> ServiceResult<GetObjectOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        let object = bucket.get(&request.input.key).ok_or_else(|| s3_error!(NoSuchKey))?.clone();
        let honoured = bucket.behaviour.range_requests == RangeRequests::Honoured;
        let (total, mut body, mut content_range) = (object.body.len(), object.body, None);
        if let Some(range) = request.input.range.filter(|_| honoured) {
            let range = range.check(total as u64).map_err(|_| s3_error!(InvalidRange))?;
            content_range = Some(format!("bytes {}-{}/{total}", range.start, range.end - 1));
            body = body.slice(usize::try_from(range.start).unwrap_or(total)..);
        }
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(dto::length(body.len() as u64)),
            body: Some(dto::pieces(&body)),
            content_range,
            e_tag: Some(dto::etag(object.tag)),
            last_modified: Some(timestamp(object.modified)),
            metadata: object.metadata.map(dto::unsorted),
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> ServiceResult<ListObjectsV2Output> {
        let input = request.input;
        let max = input.max_keys.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        let (prefix, after) = (input.prefix.unwrap_or_default(), input.start_after);
        let page = self.bucket(&input.bucket)?.list(&prefix, after.as_ref(), max);
        let encoding = input.encoding_type;
        let objects = page.objects.into_iter();
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(objects.map(|found| dto::object(found, encoding.as_ref())).collect()),
            is_truncated: Some(page.next.is_some()),
            encoding_type: encoding,
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> ServiceResult<CreateMultipartUploadOutput> {
        let input = request.input;
        let mut bucket = self.bucket(&input.bucket)?;
        let stamp = bucket.stamp();
        let id = bucket.create_upload(input.key, input.metadata.map(dto::sorted), stamp);
        let upload_id = Some(format_name(id));
        Ok(S3Response::new(CreateMultipartUploadOutput { upload_id, ..Default::default() }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> ServiceResult<UploadPartOutput> {
        let input = request.input;
        let body = dto::whole(input.body).await?;
        let mut bucket = self.bucket(&input.bucket)?;
        let (id, stamp) = (dto::upload_id(&input.upload_id)?, bucket.stamp());
        let tag = bucket.upload_part(id, input.part_number, body, stamp).map_err(dto::error)?;
        let e_tag = Some(dto::etag(tag));
        Ok(S3Response::new(UploadPartOutput { e_tag, ..Default::default() }))
    }

    /// Encodes keys on request and omits the encoding from the answer, as Ceph does.
    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> ServiceResult<ListMultipartUploadsOutput> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        let marker = input.upload_id_marker;
        let after = input.key_marker.map(|key| {
            // Without an upload id, the page starts after all uploads of the key.
            (key, marker.and_then(|id| parse_name(&id)).unwrap_or(u64::MAX))
        });
        let mut bucket = self.bucket(&input.bucket)?;
        let page = bucket.list_uploads(&prefix, after.as_ref());
        let (times, encoding) = (bucket.behaviour.upload_times, input.encoding_type.as_ref());
        let (next_key_marker, next_upload_id_marker) =
            page.next.map(|(key, id)| (dto::encoded(&key, encoding), format_name(id))).unzip();
        let uploads = page.uploads.into_iter().map(|found| dto::upload(found, encoding, times));
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(uploads.collect()),
            is_truncated: Some(next_key_marker.is_some()),
            next_key_marker,
            next_upload_id_marker,
            ..Default::default()
        }))
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> ServiceResult<ListPartsOutput> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let after = input.part_number_marker.unwrap_or_default();
        let page = bucket.list_parts(dto::upload_id(&input.upload_id)?, after);
        let page = page.map_err(dto::error)?;
        let times = bucket.behaviour.upload_times;
        let last = page.parts.last().filter(|_| page.has_more);
        Ok(S3Response::new(ListPartsOutput {
            next_part_number_marker: last.map(|part| part.number),
            parts: Some(page.parts.iter().map(|part| dto::part(*part, times)).collect()),
            is_truncated: Some(page.has_more),
            ..Default::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> ServiceResult<CompleteMultipartUploadOutput> {
        let input = request.input;
        let id = dto::upload_id(&input.upload_id)?;
        let parts = dto::completed_parts(input.multipart_upload)?;
        let condition = dto::condition(input.if_none_match.as_ref());
        let start = self.bucket(&input.bucket)?.begin_complete(id, parts, condition);
        let answer = match start {
            CompleteStart::Answered(answer) => answer,
            CompleteStart::Running => {
                let behaviour = self.bucket(&input.bucket)?.behaviour;
                if behaviour.abort_during_complete == AbortDuringComplete::LosesContent {
                    yield_to_others().await;
                }
                let mut bucket = self.bucket(&input.bucket)?;
                let stamp = bucket.stamp();
                bucket.end_complete(id, stamp)
            }
        };
        let e_tag = answer.map_err(dto::error)?.map(dto::etag);
        Ok(S3Response::new(CompleteMultipartUploadOutput { e_tag, ..Default::default() }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> ServiceResult<AbortMultipartUploadOutput> {
        let id = dto::upload_id(&request.input.upload_id)?;
        self.bucket(&request.input.bucket)?.abort(id).map_err(dto::error)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> ServiceResult<DeleteObjectOutput> {
        let input = request.input;
        let mut bucket = self.bucket(&input.bucket)?;
        if let Some(version) = &input.version_id {
            let id = parse_name(version).ok_or_else(|| s3_error!(NoSuchVersion))?;
            bucket.delete_version(&input.key, id);
        } else {
            // A text that is no tag of this server matches no object.
            let if_match = input.if_match.as_ref().and_then(|condition| condition.as_etag());
            let if_match = if_match.map(|tag| parse_name(tag.value()).unwrap_or_default());
            let stamp = bucket.stamp();
            bucket.delete(&input.key, if_match, stamp).map_err(dto::error)?;
        }
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> ServiceResult<GetBucketVersioningOutput> {
        let versioning = self.bucket(&request.input.bucket)?.behaviour.versioning;
        let status = (versioning == ObjectVersioning::On)
            .then(|| BucketVersioningStatus::from_static("Enabled"));
        Ok(S3Response::new(GetBucketVersioningOutput { status, ..Default::default() }))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> ServiceResult<ListObjectVersionsOutput> {
        let input = request.input;
        let after = input.version_id_marker.as_deref().and_then(parse_name);
        let prefix = input.prefix.unwrap_or_default();
        let page = self.bucket(&input.bucket)?.list_versions(&prefix, after);
        Ok(S3Response::new(dto::versions(page, input.encoding_type)))
    }
}
