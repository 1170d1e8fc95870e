//! The credentials. They are read again when a server refuses them, and never printed.

use std::{
    fmt,
    sync::{Arc, RwLock},
};

use aws_sdk_s3::config::{Credentials as SdkCredentials, ProvideCredentials};

use super::{S3Config, proxy};
use crate::{
    error::Result,
    secret::{Hidden, Secret},
};

/// The credentials of a bucket. Clones share the last values.
#[derive(Clone)]
pub(super) struct Credentials {
    sources: Arc<Sources>,
    current: Arc<RwLock<Current>>,
}

/// The values in use.
struct Current {
    values: SdkCredentials,
    hidden: Hidden,
}

struct Sources {
    access_key_id: Secret,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    /// User and password of the proxy.
    proxy: Vec<String>,
}

impl Credentials {
    /// Reads the credentials from the config and its secret files.
    pub(super) fn read(config: &S3Config) -> Result<Self> {
        let sources = Sources {
            access_key_id: config.access_key.id.clone(),
            secret_access_key: config.access_key.secret.clone(),
            session_token: config.access_key.session_token.clone(),
            proxy: proxy::secrets(config),
        };
        let values = sources.read()?;
        let current = Current { hidden: sources.hidden(&[&values]), values };
        Ok(Self { sources: Arc::new(sources), current: Arc::new(RwLock::new(current)) })
    }

    /// Returns a server's text without the credentials, in any form, and without those before the last
    /// reload: the server may still answer requests that it got with them.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        self.current.read().expect("no holder of the lock panics").hidden.in_text(text)
    }

    /// Reads the files again and returns whether a value has changed.
    pub(super) fn reload(&self) -> bool {
        // A file that is being replaced may be unreadable. Then the old values stay.
        let Ok(fresh) = self.sources.read() else { return false };
        let mut current = self.current.write().expect("no holder of the lock panics");
        let same = texts(&current.values).eq(texts(&fresh));
        if !same {
            let hidden = self.sources.hidden(&[&current.values, &fresh]);
            *current = Current { values: fresh, hidden };
        }
        !same
    }
}

/// Returns the texts of credentials that a server may see.
fn texts(values: &SdkCredentials) -> impl Iterator<Item = &str> {
    let token = values.session_token();
    [Some(values.access_key_id()), Some(values.secret_access_key()), token].into_iter().flatten()
}

impl Sources {
    fn read(&self) -> Result<SdkCredentials> {
        let token = self.session_token.as_ref().map(Secret::read).transpose()?;
        let (id, key) = (self.access_key_id.read()?, self.secret_access_key.read()?);
        Ok(SdkCredentials::new(id, key, token, None, "rawsink"))
    }

    fn hidden(&self, values: &[&SdkCredentials]) -> Hidden {
        let proxy = self.proxy.iter().map(String::as_str);
        Hidden::new(values.iter().flat_map(|values| texts(values)).chain(proxy))
    }
}

impl ProvideCredentials for Credentials {
    fn provide_credentials<'a>(
        &'a self,
    ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let values = self.current.read().expect("no holder of the lock panics").values.clone();
        aws_credential_types::provider::future::ProvideCredentials::ready(Ok(values))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}
