//! How requests reach the endpoint.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::{
    error::{Error, Result},
    literal,
};

/// How requests reach the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Proxy {
    /// Directly.
    #[default]
    Direct,
    /// Through an HTTP proxy. Plain http to this machine is always direct.
    Through(ProxyUrl),
}

/// The URL of an HTTP proxy, with or without a user and a password, which are never printed (G17).
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// Parses a URL such as `http://user:password@proxy.example.org:3128`. Without a scheme it is `http`.
    ///
    /// # Errors
    /// `Invalid` for any other scheme than `http` and `https`, and for a malformed URL.
    pub fn parse(text: &str) -> Result<Self> {
        Self::checked(text).map_err(|what| Error::invalid(format!("the proxy {what}")))
    }

    /// Parses a URL. The error, which follows the name of the setting, never contains it.
    pub(crate) fn checked(text: &str) -> Result<Self, String> {
        literal::check(text)?;
        let has_scheme = text.contains("://");
        let whole = if has_scheme { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&whole).map_err(|cause| format!("is not a URL: {cause}"))?;
        match url.scheme() {
            "http" | "https" if url.host_str().is_some() => Ok(Self(url)),
            "http" | "https" => Err("has no host".to_owned()),
            scheme if scheme.starts_with("socks") => {
                Err(format!("is a {scheme} proxy; only http and https are supported"))
            }
            _ => Err("does not start with http:// or https://".to_owned()),
        }
    }

    /// Returns the URL with user and password.
    pub(in crate::store::s3) fn with_secrets(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the user and the password in all forms that may be seen: as given, decoded and as sent. A user alone is
    /// a secret too: it may be a token.
    pub(in crate::store::s3) fn secrets(&self) -> Vec<String> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (self.0.username(), self.0.password().unwrap_or_default());
        if user.is_empty() && password.is_empty() {
            return Vec::new();
        }
        let given = format!("{}:{}", decoded(user), decoded(password));
        let secret = if password.is_empty() { user } else { password };
        let texts = [STANDARD.encode(&given), given, decoded(secret), secret.to_owned()];
        texts.into_iter().filter(|text| !text.is_empty()).collect()
    }
}

/// Writes scheme, host and port.
impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::ProxyUrl;

    #[test]
    fn g17_a_proxy_shows_neither_user_nor_password() {
        for (text, shown) in [
            ("proxy.example.org:3128", "http://proxy.example.org:3128"),
            ("http://proxy.example.org", "http://proxy.example.org"),
            ("https://user:can%40ary@[::1]:3128/canary", "https://[::1]:3128"),
            ("http://canary@proxy.example.org", "http://proxy.example.org"),
            ("http://user:can@ary@proxy.example.org:1", "http://proxy.example.org:1"),
            ("user:canary@proxy.example.org:1", "http://proxy.example.org:1"),
        ] {
            let proxy = ProxyUrl::parse(text).unwrap();
            assert_eq!(proxy.to_string(), shown, "{text}");
            assert_eq!(format!("{proxy:?}"), format!("ProxyUrl({shown})"), "{text}");
        }
        let proxy = ProxyUrl::parse("http://user:can@ary@proxy.example.org:1").unwrap();
        for secret in ["can@ary", "can%40ary", "user:can@ary", "dXNlcjpjYW5AYXJ5"] {
            assert!(proxy.secrets().contains(&secret.to_owned()), "{secret}");
        }
        let token = ProxyUrl::parse("http://canary@proxy.example.org").unwrap();
        assert!(token.secrets().contains(&"canary".to_owned()));
        assert!(ProxyUrl::parse("http://proxy.example.org").unwrap().secrets().is_empty());
    }

    #[test]
    fn a_malformed_proxy_is_refused_without_showing_it() {
        for (text, what) in [
            ("socks5://canary@proxy.example.org", "socks5"),
            ("ftp://canary@proxy.example.org", "http"),
            ("http://user:canary@ no proxy", "URL"),
            ("http://canary:port", "URL"),
            ("http://", "URL"),
            ("\"http://canary\"", "quotation"),
            ("http://proxy.canary\r", "Windows"),
        ] {
            let error = ProxyUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains("canary"), "{text}: {error}");
        }
    }
}
