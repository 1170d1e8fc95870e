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
    /// How often the values have changed.
    changes: u64,
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
        let current = Current { hidden: sources.hidden(&[&values]), values, changes: 0 };
        Ok(Self { sources: Arc::new(sources), current: Arc::new(RwLock::new(current)) })
    }

    /// Returns a server's text without the credentials, in any form, and without those before the last
    /// change: the server may still answer requests that it got with them. Without signatures, too.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        let current = self.current.read().expect("no holder of the lock panics");
        without_signatures(&current.hidden.in_text(text))
    }

    /// Returns how often the values have changed.
    pub(super) fn changes(&self) -> u64 {
        self.current.read().expect("no holder of the lock panics").changes
    }

    /// Returns whether the values are newer than they were at this number of changes. Reads the files again,
    /// unless another request has done that.
    pub(super) fn changed_since(&self, changes: u64) -> bool {
        // Read without the lock: a file may be slow. One that is being replaced may be unreadable; then the
        // old values stay.
        let fresh = if self.changes() == changes { self.sources.read().ok() } else { None };
        let mut current = self.current.write().expect("no holder of the lock panics");
        if current.changes != changes {
            return true;
        }
        let Some(fresh) = fresh else { return false };
        if texts(&current.values).eq(texts(&fresh)) {
            return false;
        }
        let hidden = self.sources.hidden(&[&current.values, &fresh]);
        *current = Current { values: fresh, hidden, changes: changes + 1 };
        true
    }
}

/// How far behind the word a signature may begin: there are `=`, `%3D` or a tag between them.
const SIGNATURE_WITHIN: usize = 16;

/// Hides the signatures of requests in a text. A signature is valid for 15 minutes, for the same request.
fn without_signatures(text: &str) -> String {
    let (mut shown, mut from) = (String::new(), 0);
    for (at, word) in text.to_ascii_lowercase().match_indices("signature") {
        let after = &text[at + word.len()..];
        let length = |start: usize| {
            let rest = &after[start..];
            rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len())
        };
        let mut starts = after.char_indices().take(SIGNATURE_WITHIN).map(|(start, _)| start);
        if let Some(start) = starts.find(|start| length(*start) == SIGNATURE_DIGITS) {
            let start = at + word.len() + start;
            shown.push_str(&text[from..start]);
            shown.push_str("(hidden)");
            from = start + SIGNATURE_DIGITS;
        }
    }
    shown + &text[from..]
}

/// Length of a signature: an HMAC with SHA-256.
const SIGNATURE_DIGITS: usize = 64;

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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::s3::AccessKey;

    #[test]
    fn every_request_with_old_credentials_is_sent_once_more() {
        let dir = tempfile::tempdir().unwrap();
        let [id, secret] = ["id", "secret"].map(|name| dir.path().join(name));
        fs::write(&id, "first-id").unwrap();
        fs::write(&secret, "first-secret").unwrap();
        let key = AccessKey::new(Secret::file(&id), Secret::file(&secret));
        let config =
            S3Config::builder("https://s3.example.org", "bucket", "raw", key).build().unwrap();
        let credentials = Credentials::read(&config).unwrap();
        // Two requests are in flight, and both are refused.
        let [one, other] = [credentials.changes(), credentials.changes()];
        assert!(!credentials.changed_since(one), "nothing has changed yet");
        fs::write(&id, "second-id").unwrap();
        assert!(credentials.changed_since(one));
        assert!(credentials.changed_since(other), "the other request has read the files");
        // A request with the new values gains nothing.
        assert!(!credentials.changed_since(credentials.changes()));
        assert_eq!(credentials.hidden_in("first-id second-id"), "(hidden) (hidden)");
    }

    #[test]
    fn signatures_are_hidden() {
        let digits = "0123456789abcdef".repeat(4);
        for (text, expected) in [
            (format!("Signature={digits}, x"), "Signature=(hidden), x"),
            (format!("X-Amz-Signature%3D{digits}"), "X-Amz-Signature%3D(hidden)"),
            (format!("<SignatureProvided>{digits}</a>"), "<SignatureProvided>(hidden)</a>"),
            (format!("signature=é{digits}"), "signature=é(hidden)"),
            (format!("signature=1 {digits}"), "signature=1 (hidden)"),
        ] {
            assert_eq!(without_signatures(&text), expected);
        }
        for kept in [format!("sha256 {digits}"), "the signature".to_owned()] {
            assert_eq!(without_signatures(&kept), kept);
        }
    }
}
