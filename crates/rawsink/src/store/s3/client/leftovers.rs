//! The requests that find and delete leftovers: uploads page by page, parts, DELETE.

use super::{Client, length, timestamp_exact, unexpected};
use crate::store::s3::requests::{OpenUpload, Reply, UploadMarker, UploadPage, UploadParts};

impl Client {
    /// Lists open uploads below a prefix, after a marker.
    ///
    /// Does not request encoded keys: Ceph then encodes them without reporting it. All names are
    /// legal in XML.
    pub(super) async fn uploads_page(
        &self,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Reply<UploadPage> {
        let page = self
            .send(|| {
                let request = self.sdk.list_multipart_uploads().bucket(&self.bucket).prefix(prefix);
                let request = request.set_key_marker(after.map(|marker| marker.key.clone()));
                request.set_upload_id_marker(after.and_then(|marker| marker.id.clone())).send()
            })
            .await;
        let page = match page {
            // Some servers answer so as long as a bucket never had an upload.
            Err(fault) if fault.is_no_such_upload() => return Ok(UploadPage::default()),
            page => page?,
        };
        let open = page.uploads.unwrap_or_default().into_iter();
        let uploads = open.filter_map(|upload| {
            let initiated = timestamp_exact(upload.initiated());
            let id = upload.upload_id.unwrap_or_default();
            Some((upload.key?, OpenUpload { initiated, id }))
        });
        let uploads = uploads.collect();
        if page.is_truncated != Some(true) {
            return Ok(UploadPage { uploads, next: None });
        }
        let key = page.next_key_marker.filter(|key| !key.is_empty());
        let next =
            key.and_then(|key| UploadMarker::following(after, key, page.next_upload_id_marker));
        if next.is_none() {
            return Err(unexpected("a truncated list of uploads that does not go on"));
        }
        Ok(UploadPage { uploads, next })
    }

    /// Returns the total length and the newest time of an upload's parts.
    pub(super) async fn parts_of(&self, key: &str, upload: &str) -> Reply<UploadParts> {
        let (mut found, mut after) = (UploadParts::default(), None::<String>);
        loop {
            let page = self
                .send(|| {
                    let request = self.sdk.list_parts().bucket(&self.bucket).key(key);
                    request.upload_id(upload).set_part_number_marker(after.clone()).send()
                })
                .await?;
            for part in page.parts() {
                found.bytes = found.bytes.saturating_add(length(part.size()));
                found.last =
                    found.last.max(part.last_modified().map(|at| timestamp_exact(Some(at))));
            }
            if page.is_truncated != Some(true) {
                return Ok(found);
            }
            let next = page.next_part_number_marker;
            let number = |marker: &Option<String>| marker.as_ref()?.parse::<u32>().ok();
            if number(&next) <= number(&after) {
                return Err(unexpected("a truncated list of parts that does not go on"));
            }
            after = next;
        }
    }

    /// Deletes an object, with `If-Match` if a tag is given. Some servers ignore the condition.
    pub(super) async fn delete_object(&self, key: &str, etag: Option<&str>) -> Reply<()> {
        let request = || {
            let request = self.sdk.delete_object().bucket(&self.bucket).key(key);
            request.set_if_match(etag.map(str::to_owned)).send()
        };
        self.send(request).await.map(|_| ())
    }
}
