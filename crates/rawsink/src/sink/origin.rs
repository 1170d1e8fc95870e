//! Whether the bytes of an answer are those of the stored object.
//!
//! A server, or a gateway before it, may answer a GET with other bytes: an error page with status 200,
//! or an older copy. So bytes prove damage only if length and tag of the answer are those of the
//! stored object. That takes two requests, and only where damage is suspected.

use std::sync::Arc;

use crate::{
    error::{Error, ErrorKind, Result},
    store::{Object, ObjectTag, RunObjects, Store, StorePath},
};

/// What an answer says of the object that its bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) object: Object,
    /// Length in bytes.
    pub(super) bytes: u64,
    /// `None` proves nothing: every store has tags.
    pub(super) tag: Option<ObjectTag>,
}

impl Origin {
    /// Checks that the bytes are those of the stored object.
    fn check(&self, stored: &RunObjects) -> Result<()> {
        let name = self.object.file_name();
        let other = |why: String| {
            let message = format!(
                "the server answered with bytes that are not those of the stored {name}: {why}; \
                 try again"
            );
            Err(Error::new(ErrorKind::Unavailable, message))
        };
        match stored.get(self.object) {
            None => other("it does not exist".to_owned()),
            Some(stored) if stored.bytes != self.bytes => {
                other(format!("{} bytes, not {}", self.bytes, stored.bytes))
            }
            Some(_) if self.tag.is_none() => other("the answer has no tag".to_owned()),
            Some(stored) if stored.tag != self.tag => other("the tags differ".to_owned()),
            Some(_) => Ok(()),
        }
    }
}

/// Checks that bytes are those of the stored objects.
///
/// # Errors
/// `Unavailable` if they are not.
pub(super) fn check(origins: &[Origin], stored: &RunObjects) -> Result<()> {
    origins.iter().try_for_each(|origin| origin.check(stored))
}

/// A suspicion: an error that says that stored bytes are damaged, if the bytes are the stored ones.
pub(super) struct Suspicion {
    pub(super) store: Arc<dyn Store>,
    pub(super) run: StorePath,
    pub(super) origins: Vec<Origin>,
}

impl Suspicion {
    /// Checks the bytes by a HEAD of both objects, and returns these.
    ///
    /// # Errors
    /// `Unavailable` if the bytes are not those of the stored objects; the store's.
    pub(super) async fn check(&self) -> Result<RunObjects> {
        let stored = self.store.inspect(&self.run).await?;
        check(&self.origins, &stored)?;
        Ok(stored)
    }

    /// Returns an error, if it is not `Corrupt` or the bytes are the stored ones; otherwise the reason
    /// for the doubt.
    pub(super) async fn confirmed(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Corrupt {
            return error;
        }
        match self.check().await {
            Ok(_) => error,
            Err(doubt) => doubt.because(error),
        }
    }
}
