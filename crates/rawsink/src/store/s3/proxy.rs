//! The use of a proxy.

use aws_smithy_http_client::proxy::ProxyConfig;
use url::Url;

use super::{Proxy, ProxyUrl, S3Config};
use crate::{
    error::{Error, Result},
    tls,
};

impl S3Config {
    /// Returns the proxy of requests to this bucket; `None` for a direct connection.
    ///
    /// Plain requests to this machine are always allowed, so none of them may leave it.
    pub fn proxy_in_use(&self) -> Option<&ProxyUrl> {
        match &self.proxy {
            Proxy::Through(proxy) if !self.is_plain_and_local() => Some(proxy),
            _ => None,
        }
    }

    /// Returns whether requests are plain http to this machine.
    pub(crate) fn is_plain_and_local(&self) -> bool {
        let url = Url::parse(&self.endpoint_url).ok();
        let is_local = |url: Url| url.host_str().is_some_and(tls::is_loopback);
        url.is_some_and(|url| url.scheme() == "http" && is_local(url))
    }
}

/// Returns the proxy for the transport.
pub(super) fn of_transport(config: &S3Config) -> Result<ProxyConfig> {
    let Some(proxy) = config.proxy_in_use() else { return Ok(ProxyConfig::disabled()) };
    ProxyConfig::all(proxy.with_secrets())
        .map_err(|_| Error::invalid("the proxy is not a usable URL"))
}

/// Returns the user and password that the proxy receives, as sent and as given.
pub(super) fn secrets(config: &S3Config) -> Vec<String> {
    config.proxy_in_use().map(ProxyUrl::secrets).unwrap_or_default()
}
