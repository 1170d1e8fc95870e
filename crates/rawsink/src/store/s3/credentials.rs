//! The credentials. They are read again when a server refuses them, and never printed.

use std::{
    fmt,
    sync::{Arc, RwLock},
};

use aws_sdk_s3::config::{Credentials as SdkCredentials, ProvideCredentials};

use crate::{
    error::Result,
    secret::{self, Secret},
    store::s3::S3Config,
};

/// The credentials of a bucket. Clones share the last values.
#[derive(Clone)]
pub(super) struct Credentials {
    sources: Arc<Sources>,
    current: Arc<RwLock<SdkCredentials>>,
}

struct Sources {
    access_key_id: Secret,
    secret_access_key: Secret,
    session_token: Option<Secret>,
}

impl Credentials {
    /// Reads the credentials from the config and its secret files.
    pub(super) fn read(config: &S3Config) -> Result<Self> {
        let sources = Sources {
            access_key_id: config.access_key.id.clone(),
            secret_access_key: config.access_key.secret.clone(),
            session_token: config.access_key.session_token.clone(),
        };
        let current = sources.read()?;
        Ok(Self { sources: Arc::new(sources), current: Arc::new(RwLock::new(current)) })
    }

    /// Replaces the credentials in a server's text.
    pub(super) fn hidden_in(&self, text: String) -> String {
        let current = self.current.read().expect("no holder of the lock panics");
        let all = [
            Some(current.access_key_id()),
            Some(current.secret_access_key()),
            current.session_token(),
        ];
        secret::hidden_in(text, all.into_iter().flatten())
    }

    /// Reads the files again and returns whether a value has changed.
    pub(super) fn reload(&self) -> bool {
        // A file that is being replaced may be unreadable. Then the old values stay.
        let Ok(fresh) = self.sources.read() else { return false };
        let mut current = self.current.write().expect("no holder of the lock panics");
        let same = (current.access_key_id(), current.secret_access_key(), current.session_token())
            == (fresh.access_key_id(), fresh.secret_access_key(), fresh.session_token());
        *current = fresh;
        !same
    }
}

impl Sources {
    fn read(&self) -> Result<SdkCredentials> {
        let token = self.session_token.as_ref().map(Secret::read).transpose()?;
        let (id, key) = (self.access_key_id.read()?, self.secret_access_key.read()?);
        Ok(SdkCredentials::new(id, key, token, None, "rawsink"))
    }
}

impl ProvideCredentials for Credentials {
    fn provide_credentials<'a>(
        &'a self,
    ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let current = self.current.read().expect("no holder of the lock panics").clone();
        aws_credential_types::provider::future::ProvideCredentials::ready(Ok(current))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}
