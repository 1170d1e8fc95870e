//! Reads `metadata.json` as it is stored.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::origin::{Origin, Suspicion};
use crate::{
    error::{Error, ErrorKind, Result},
    partition::{
        Metadata, Seal,
        metadata::{self, MAX_METADATA_BYTES},
    },
    store::{Object, Reading, RunObjects, Store, StorePath},
};

/// The bytes of a `metadata.json`, and where they come from.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) bytes: Bytes,
    pub(super) origin: Origin,
}

impl Document {
    /// Reads the document, even if the payload is missing.
    pub(super) async fn read(store: &Arc<dyn Store>, run: &StorePath) -> Result<Self> {
        match Self::get(store, run).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let stored = store.inspect(run).await?;
                if stored.seal.is_none() {
                    return Err(unsealed(&stored));
                }
            }
            document => return document,
        }
        // It was sealed between the two requests, or one of the answers is wrong.
        Self::get(store, run).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => not_served(Object::Seal),
            _ => error,
        })
    }

    async fn get(store: &Arc<dyn Store>, run: &StorePath) -> Result<Self> {
        let Reading { bytes: announced, tag, mut chunks, .. } =
            store.read(run, Object::Seal, 0).await?;
        let mut document = BytesMut::new();
        while let Some(chunk) = chunks.next().await.transpose()? {
            document.extend_from_slice(&chunk);
            if document.len() > MAX_METADATA_BYTES {
                let message = format!(
                    "metadata.json has {announced} bytes, the limit is {MAX_METADATA_BYTES}"
                );
                let origin = Origin { object: Object::Seal, bytes: announced, tag };
                return Err(suspicion(store, run, origin).confirmed(Error::corrupt(message)).await);
            }
        }
        let origin = Origin { object: Object::Seal, bytes: document.len() as u64, tag };
        Ok(Self { bytes: document.freeze(), origin })
    }

    /// Parses the document.
    ///
    /// # Errors
    /// `Corrupt` for a malformed document, if it is the stored one; `Unsupported` for a seal of newer
    /// software.
    pub(super) async fn parse(
        &self,
        store: &Arc<dyn Store>,
        run: &StorePath,
    ) -> Result<(Metadata, Option<Seal>)> {
        match metadata::parse_sealed(&self.bytes) {
            Ok(parsed) => Ok(parsed),
            Err(error) => Err(suspicion(store, run, self.origin).confirmed(error).await),
        }
    }

    /// Checks that this is the stored document.
    ///
    /// # Errors
    /// `Unavailable` if it is not; the store's.
    pub(super) async fn check(
        &self,
        store: &Arc<dyn Store>,
        run: &StorePath,
    ) -> Result<RunObjects> {
        suspicion(store, run, self.origin).check().await
    }
}

fn suspicion(store: &Arc<dyn Store>, run: &StorePath, origin: Origin) -> Suspicion {
    Suspicion { store: store.clone(), run: run.clone(), origins: vec![origin] }
}

/// Returns the error of opening a run without a seal.
fn unsealed(stored: &RunObjects) -> Error {
    match stored.payload {
        Some(_) => Error::new(ErrorKind::NotSealed, "the run has a payload but is not sealed"),
        None => Error::new(ErrorKind::NotFound, "the run does not exist"),
    }
}

/// Returns the error for an object that exists, although a GET does not find it.
pub(super) fn not_served(object: Object) -> Error {
    let name = object.file_name();
    let message = format!("{name} exists, but the server does not return its content; try again");
    Error::new(ErrorKind::Unavailable, message)
}
