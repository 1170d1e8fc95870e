//! Copies a run from another sink: payload and `metadata.json` byte for byte.
//!
//! The attempt is an ordinary writer with its own token on the payload. Only the seal's bytes come
//! from the caller.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;

use super::{
    PartitionWriter, PayloadSummary, RawSink, digest::RowCount, origin::Suspicion, restoring,
};
use crate::{
    error::{Error, Result},
    partition::{PartitionKey, RunId, metadata},
    store::{Store, StorePath},
};

/// Writes the bytes of one run and seals it with the seal document of the original.
///
/// Like a [`PartitionWriter`], it ends after any error. Several concurrent copies of the same bytes
/// may all succeed: the stored run equals each of them.
#[derive(Debug)]
pub struct CopyWriter {
    writer: PartitionWriter,
    rows: RowCount,
    store: Arc<dyn Store>,
    path: StorePath,
}

impl RawSink {
    /// Starts writing a copy of a run that is sealed in another sink.
    ///
    /// The id may be a time in the future: the original run exists.
    ///
    /// # Errors
    /// As [`write_partition`](Self::write_partition).
    pub async fn write_copy(&self, key: &PartitionKey, run: &RunId) -> Result<CopyWriter> {
        let path = self.run_path(key, run)?;
        let writer = self.start(key, run, path.clone()).await?;
        Ok(CopyWriter { writer, rows: RowCount::default(), store: self.store.clone(), path })
    }
}

impl CopyWriter {
    /// Appends payload bytes. Chunks may end anywhere, also inside a row.
    ///
    /// # Errors
    /// The store's. Any error ends the writer.
    pub async fn write_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.begin()?;
        self.rows.update(bytes);
        self.writer.put_lines(bytes, 0).await?;
        self.writer.finish();
        Ok(())
    }

    /// Makes the payload visible, then `document` as the seal.
    ///
    /// A seal block in the document has to match the bytes written. Other software writes no block:
    /// then the payload is read back and compared before the seal appears.
    ///
    /// # Errors
    /// `Invalid` for a document that is not metadata or does not match the bytes; `Corrupt` if the
    /// bytes read back differ; otherwise as [`PartitionWriter::finalize`].
    pub async fn finalize(mut self, document: Bytes) -> Result<PayloadSummary> {
        self.writer.check_open()?;
        let (last, summary) = self.writer.sum_up(self.rows.rows());
        if let Err(error) = self.appear(last, &summary, &document).await {
            return Err(self.writer.end(error).await);
        }
        self.writer.seal(&|_| document.clone()).await?;
        Ok(summary)
    }

    /// Aborts the attempt. Nothing of it stays visible (G08).
    pub async fn abort(self) {
        self.writer.abort().await;
    }

    async fn appear(
        &mut self,
        last: Bytes,
        summary: &PayloadSummary,
        document: &[u8],
    ) -> Result<()> {
        metadata::check_length(document.len())?;
        let (_, seal) = metadata::parse_sealed(document)?;
        let Some(seal) = seal else {
            self.writer.complete(last).await?;
            return read_back(&self.store, &self.path, summary).await;
        };
        if PayloadSummary::from(&seal) != *summary {
            return Err(Error::invalid("the seal does not match the bytes written"));
        }
        self.writer.complete(last).await
    }
}

/// Reads a payload and compares it with the bytes written.
async fn read_back(
    store: &Arc<dyn Store>,
    path: &StorePath,
    written: &PayloadSummary,
) -> Result<()> {
    let (origin, found) =
        restoring::summarize(&**store, path, &mut |_| ControlFlow::Continue(())).await?;
    if found == *written {
        return Ok(());
    }
    let differs = Error::corrupt("the payload read back differs from the bytes written");
    let (store, run) = (store.clone(), path.clone());
    Err(Suspicion { store, run, origins: vec![origin] }.confirmed(differs).await)
}
