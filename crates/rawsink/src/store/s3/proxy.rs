//! The proxy of a bucket's requests: the SDK's own reading of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
//! `NO_PROXY`.

use aws_smithy_http_client::proxy::ProxyConfig;
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::Url;

use super::{Addressing, Proxy, S3Config};
use crate::tls;

/// Returns the proxy for the transport.
pub(super) fn of_transport(config: &S3Config) -> ProxyConfig {
    if may_use_proxy(config) { ProxyConfig::from_env() } else { ProxyConfig::disabled() }
}

impl S3Config {
    /// Returns the URL of the proxy that the environment names for requests to this bucket, without user and
    /// password; `None` for a direct connection.
    pub fn proxy_in_use(&self) -> Option<String> {
        let intercept = of_requests(self)?;
        let uri = intercept.uri();
        let scheme = uri.scheme_str().unwrap_or_default();
        let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{scheme}://{}{port}", uri.host()?))
    }
}

/// Returns the user and password that the proxy receives, as sent and as given.
pub(super) fn secrets(config: &S3Config) -> Vec<String> {
    let Some(intercept) = of_requests(config) else { return Vec::new() };
    if let Some((user, password)) = intercept.raw_auth() {
        return vec![user.to_owned(), password.to_owned()];
    }
    let sent = intercept.basic_auth().and_then(|sent| sent.to_str().ok());
    let Some(sent) = sent.and_then(|sent| sent.strip_prefix("Basic ")) else { return Vec::new() };
    let given = STANDARD.decode(sent).unwrap_or_default();
    let given = String::from_utf8_lossy(&given).into_owned();
    let password = given.split_once(':').map(|(_, password)| password.to_owned());
    [Some(sent.to_owned()), password, Some(given)].into_iter().flatten().collect()
}

/// Plain requests to this machine are always allowed, so none of them may leave it.
fn may_use_proxy(config: &S3Config) -> bool {
    config.proxy == Proxy::FromEnvironment && !is_plain_and_local(config)
}

/// Returns whether requests are plain http to this machine.
pub(super) fn is_plain_and_local(config: &S3Config) -> bool {
    let url = Url::parse(&config.endpoint_url).ok();
    url.is_some_and(|url| url.scheme() == "http" && url.host_str().is_some_and(tls::is_loopback))
}

fn of_requests(config: &S3Config) -> Option<Intercept> {
    if !may_use_proxy(config) {
        return None;
    }
    let mut url = Url::parse(&config.endpoint_url).ok()?;
    if config.addressing == Addressing::Virtual {
        let host = format!("{}.{}", config.bucket, url.host_str()?);
        url.set_host(Some(&host)).ok()?;
    }
    Matcher::from_env().intercept(&url.as_str().parse().ok()?)
}
