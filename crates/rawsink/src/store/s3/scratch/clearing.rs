//! Deletes the contents of a scratch: open uploads, objects, and their old versions.

use std::{collections::BTreeSet, sync::PoisonError, time::Duration};

use futures_util::{StreamExt, stream};

use super::{BucketScratch, Client, UsedNames, Versioning, within_limit};
use crate::store::s3::requests::Reply;

/// Greatest number of rounds of deleting and checking.
const ROUNDS: u32 = 5;
/// Time limit of all rounds together.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// Number of requests in parallel.
const PARALLEL: usize = 16;

/// An old version of an object, or a delete marker.
struct Version {
    name: String,
    id: String,
}

impl BucketScratch {
    /// Deletes everything below the prefix. Returns descriptions of objects and uploads that
    /// remain.
    pub async fn clear(&self, versioning: Option<Versioning>) -> Vec<String> {
        let versioned = versioning.is_none_or(|versioning| versioning != Versioning::Off);
        let cleared = tokio::time::timeout(TIME_LIMIT, self.clear_in_rounds(versioned)).await;
        cleared.unwrap_or_else(|_| {
            vec![format!("{} (not checked within {} s)", self.key(""), TIME_LIMIT.as_secs())]
        })
    }

    async fn clear_in_rounds(&self, versioned: bool) -> Vec<String> {
        let mut left = Vec::new();
        for round in 0..ROUNDS {
            if round > 0 {
                self.retrier.poll().await;
            }
            left = self.abort_uploads().await;
            left.extend(self.delete_objects().await);
            if versioned {
                left.extend(self.delete_versions().await);
            }
            if left.is_empty() {
                break;
            }
        }
        left.sort_unstable();
        left
    }

    /// Returns the names of objects, and those of uploads that may be open.
    fn used(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let UsedNames { objects, uploads } =
            &*self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let open = uploads.iter().filter(|(_, open)| **open > 0).map(|(name, _)| name.clone());
        (objects.clone(), open.collect())
    }

    /// Aborts every open upload; returns those that are still listed. An upload that the server
    /// does not list is not found.
    async fn abort_uploads(&self) -> Vec<String> {
        let (_, names) = self.used();
        let aborted = names.into_iter().map(|name| async move {
            let open = self.with_retries(|| self.list_uploads(&name)).await.unwrap_or_default();
            for upload in &open {
                // The following listing shows the outcome.
                let _ = self.with_retries(|| self.abort_upload(&name, &upload.id)).await;
            }
            if open.is_empty() {
                return Vec::new();
            }
            let still = self.with_retries(|| self.list_uploads(&name)).await.unwrap_or(open);
            still
                .iter()
                .map(|upload| format!("upload {} of {}", upload.id, self.key(&name)))
                .collect()
        });
        stream::iter(aborted).buffer_unordered(PARALLEL).concat().await
    }

    /// Deletes all used and listed objects; returns those that still exist.
    async fn delete_objects(&self) -> Vec<String> {
        let (mut names, _) = self.used();
        names.extend(self.with_retries(|| self.list("")).await.unwrap_or_default());
        let deleted = names.iter().map(|name| async move {
            let deleted = self.with_retries(|| self.delete(name)).await;
            deleted.is_err().then(|| name.clone())
        });
        let deleted = stream::iter(deleted).buffer_unordered(PARALLEL);
        let mut doubtful: BTreeSet<String> = deleted.filter_map(std::future::ready).collect().await;
        doubtful.extend(self.with_retries(|| self.list("")).await.unwrap_or_default());
        let existing = doubtful.into_iter().map(|name| async move {
            // Without an answer the object counts as existing.
            let head = self.with_retries(|| self.head(&name)).await;
            head.map_or(true, |head| head.is_some()).then(|| self.key(&name))
        });
        let left = stream::iter(existing).buffer_unordered(PARALLEL);
        left.filter_map(std::future::ready).collect().await
    }

    /// Deletes old versions and delete markers in a versioned bucket; returns those that are still
    /// listed.
    async fn delete_versions(&self) -> Vec<String> {
        // A server that does not support versions has none.
        let versions = self.with_retries(|| self.list_versions()).await.unwrap_or_default();
        if versions.is_empty() {
            return Vec::new();
        }
        let deleted = versions.iter().map(|Version { name, id }| async move {
            // The following listing shows the outcome.
            let _ = self.with_retries(|| self.delete_version(name, Some(id.clone()))).await;
        });
        stream::iter(deleted).buffer_unordered(PARALLEL).collect::<()>().await;
        let left = self.with_retries(|| self.list_versions()).await.unwrap_or(versions);
        let left = left.into_iter();
        left.map(|Version { name, id }| format!("version {id} of {}", self.key(&name))).collect()
    }

    /// Lists all versions. Does not request encoded keys, like the listing of uploads.
    async fn list_versions(&self) -> Reply<Vec<Version>> {
        let Client { sdk, bucket, .. } = &self.client;
        let prefix = self.key("");
        let (mut found, mut markers) = (Vec::new(), (None, None));
        loop {
            let answer = self.client.send(|| {
                let request = sdk.list_object_versions().bucket(bucket).prefix(&prefix);
                let request = request.set_key_marker(markers.0.clone());
                request.set_version_id_marker(markers.1.clone()).send()
            });
            let page = within_limit(answer).await?;
            let versions = page.versions.unwrap_or_default().into_iter();
            let versions = versions.map(|version| (version.key, version.version_id));
            let marks = page.delete_markers.unwrap_or_default().into_iter();
            let marks = marks.map(|mark| (mark.key, mark.version_id));
            found.extend(versions.chain(marks).filter_map(|(key, id)| {
                Some(Version { name: key?.strip_prefix(&prefix)?.to_owned(), id: id? })
            }));
            let next = (page.next_key_marker, page.next_version_id_marker);
            if page.is_truncated != Some(true) || next.0.is_none() || next == markers {
                return Ok(found);
            }
            markers = next;
        }
    }
}
