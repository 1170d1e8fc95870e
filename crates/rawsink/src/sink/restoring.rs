//! Restores damaged objects of a sealed run from the same run in another sink.
//!
//! Owns what may be written into a sealed run: a payload only if it is the one that the seal covers, a
//! seal only if it is the one that was validated. Nothing is replaced before all bytes are compared.

use std::ops::ControlFlow;

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{
    PayloadSummary, RawSink,
    digest::{PayloadDigest, RowCount, sha256},
    origin::{Origin, Suspicion},
};
use crate::{
    error::{Error, ErrorKind, Result},
    partition::{PartitionKey, RunId, metadata},
    store::{Object, Restoration, Store, StorePath, WriterToken},
};

/// A callback that gets the number of bytes read since the last call, and decides whether to continue.
pub type ReadProgress<'a> = dyn FnMut(u64) -> ControlFlow<()> + Send + 'a;

impl RawSink {
    /// Replaces the payload of a sealed run, or creates it again if it is missing.
    ///
    /// `document` must be the run's `metadata.json`, byte for byte, and `chunks` must be the payload
    /// that it covers, with this summary. The bytes are compared before they replace anything. Readers
    /// see the old payload or the new one.
    ///
    /// # Errors
    /// `Invalid` if the seal block of `document` does not cover a payload with this summary; `Corrupt` if
    /// the bytes have another summary, or the run has another `metadata.json`; `NotSealed` if it has
    /// none; the stream's. After these, nothing is changed. Otherwise as
    /// [`Store::restore`].
    pub async fn restore_payload(
        &self,
        key: &PartitionKey,
        run: &RunId,
        document: Bytes,
        payload: &PayloadSummary,
        chunks: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        let path = self.run_path(key, run)?;
        let (_, seal) = metadata::parse_sealed(&document).map_err(|error| error.at(&path))?;
        if seal.is_some_and(|seal| PayloadSummary::from(&seal) != *payload) {
            return Err(Error::invalid("the seal does not cover this payload").at(&path));
        }
        let chunks = checked(chunks, payload.clone());
        self.restore(&path, Restoration::Payload { seal: document, chunks }).await
    }

    /// Replaces `metadata.json` of a sealed run by the one that was validated.
    ///
    /// `validated` is its SHA-256 in the verdict log.
    ///
    /// # Errors
    /// `Invalid` if `document` has another SHA-256; `Corrupt` if it is malformed; `NotSealed` if the run
    /// has no `metadata.json`: then it is written again. Otherwise as
    /// [`Store::restore`].
    pub async fn restore_document(
        &self,
        key: &PartitionKey,
        run: &RunId,
        document: Bytes,
        validated: &str,
    ) -> Result<()> {
        let path = self.run_path(key, run)?;
        metadata::parse_sealed(&document).map_err(|error| error.at(&path))?;
        let found = sha256(&document);
        if found != validated {
            let message =
                format!("metadata.json has SHA-256 {found}, the validated one {validated}");
            return Err(Error::invalid(message).at(&path));
        }
        self.restore(&path, Restoration::Seal(document)).await
    }

    /// Reads a stored payload to its end, checks by a HEAD that these were the stored bytes, and returns
    /// their summary. Does not compare it with the seal. `None` without a payload.
    ///
    /// # Errors
    /// The store's; `Unavailable` if they were not; `Closed` if `progress` stops it.
    pub async fn summarize_payload(
        &self,
        key: &PartitionKey,
        run: &RunId,
        progress: &mut ReadProgress<'_>,
    ) -> Result<Option<PayloadSummary>> {
        let path = self.run_path(key, run)?;
        match summarize(&*self.store, &path, progress).await {
            Ok((origin, summary)) => {
                let (store, run) = (self.store.clone(), path.clone());
                let read = Suspicion { store, run, origins: vec![origin] };
                read.check().await.map_err(|error| error.at(&path))?;
                Ok(Some(summary))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.at(&path)),
        }
    }

    async fn restore(&self, path: &StorePath, restoration: Restoration) -> Result<()> {
        let token = WriterToken::new(self.runtime.tokens.next());
        let restored = self.store.restore(path, token, restoration).await;
        restored.map_err(|error| error.at(path))
    }
}

/// Reads a payload and returns its summary, and where the bytes come from.
pub(super) async fn summarize(
    store: &dyn Store,
    path: &StorePath,
    progress: &mut ReadProgress<'_>,
) -> Result<(Origin, PayloadSummary)> {
    let mut reading = store.read(path, Object::Payload, 0).await?;
    let origin = Origin { object: Object::Payload, bytes: reading.bytes, tag: reading.tag };
    let (mut digest, mut rows) = (PayloadDigest::default(), RowCount::default());
    while let Some(chunk) = reading.chunks.next().await.transpose()? {
        digest.update(&chunk);
        rows.update(&chunk);
        if progress(chunk.len() as u64).is_break() {
            return Err(Error::new(ErrorKind::Closed, "reading the payload was stopped"));
        }
    }
    Ok((origin, digest.finish(rows.rows())))
}

/// Passes chunks on, and ends with an error if all of them together have another summary.
fn checked(
    chunks: BoxStream<'static, Result<Bytes>>,
    expected: PayloadSummary,
) -> BoxStream<'static, Result<Bytes>> {
    let sums = (PayloadDigest::default(), RowCount::default());
    let checked = stream::unfold(Some((chunks, sums, expected)), |state| async move {
        let (mut chunks, (mut digest, mut rows), expected) = state?;
        let Some(chunk) = chunks.next().await else {
            let message = "the bytes to restore are not those that the seal covers";
            let is_whole = digest.finish(rows.rows()) == expected;
            return (!is_whole).then(|| (Err(Error::corrupt(message)), None));
        };
        match chunk {
            Ok(chunk) => {
                digest.update(&chunk);
                rows.update(&chunk);
                Some((Ok(chunk), Some((chunks, (digest, rows), expected))))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    checked.boxed()
}
