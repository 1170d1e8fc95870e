//! How a bucket is reached: endpoint, credentials, TLS, proxy, time limits.
//!
//! The SDK's own habits that are switched off here: checksum headers and trailers (some servers
//! refuse them), retries (they turn an own committed seal into "exists already", and `retry` is the
//! one place for them), correction of the clock by the server's (one gateway with a wrong `Date`
//! would make the next request fail everywhere), cached identities (secrets in files may change),
//! profiles and `AWS_*` variables (a stray one must not redirect a production write).

use std::{error::Error as StdError, io, sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client as SdkClient,
    config::{
        BehaviorVersion, Builder, Config, IdentityCache, Region, RequestChecksumCalculation,
        ResponseChecksumValidation, SharedHttpClient, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::{
    pool::{self, ConnectionPool},
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

use super::{client::Client, credentials::Credentials};
use crate::{
    clock::Clock,
    config::{Addressing, ObjectSettings, certificates},
    error::{Error, Result},
};

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Makes a client of the bucket that the settings name; sends nothing.
pub(super) fn client(
    settings: &ObjectSettings,
    clock: Arc<dyn Clock>,
    http: Option<SharedHttpClient>,
) -> Result<Client> {
    client_with(settings, clock, http, |config| config)
}

/// Makes a client whose configuration is changed at the end.
pub(super) fn client_with(
    settings: &ObjectSettings,
    clock: Arc<dyn Clock>,
    http: Option<SharedHttpClient>,
    change: impl FnOnce(Builder) -> Builder,
) -> Result<Client> {
    let credentials = Credentials::read(settings)?;
    let http = match http {
        Some(http) => http,
        None => transport(settings)?,
    };
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .endpoint_url(&settings.endpoint_url)
        .force_path_style(settings.addressing == Addressing::Path)
        .credentials_provider(credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .disable_clock_skew_correction(true)
        .timeout_config(timeouts)
        .http_client(http);
    Ok(Client {
        sdk: SdkClient::from_conf(change(config).build()),
        endpoint_url: settings.endpoint_url.clone(),
        bucket: settings.bucket.clone(),
        credentials,
        clock,
    })
}

/// Connections with the private CA and the proxy that are set.
fn transport(settings: &ObjectSettings) -> Result<SharedHttpClient> {
    let mut trust = TrustStore::empty().with_native_roots(true);
    if let Some(path) = &settings.ca_file {
        let refused = |fault| Error::invalid(format!("RAW_SINK_CA_FILE {fault}"));
        trust = trust.with_pem_certificate(certificates::read(path).map_err(refused)?);
    }
    let refused = |cause: &dyn std::fmt::Display| {
        Error::invalid(format!(
            "RAW_SINK_CA_FILE or the system's certificates cannot be used: {cause}"
        ))
    };
    let context =
        TlsContext::builder().with_trust_store(trust).build().map_err(|cause| refused(&cause))?;
    let pool = ConnectionPool::builder()
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https()
        .map_err(|cause| refused(&cause))?;
    let client = pool::Client::new(&pool).map_err(|cause| refused(&cause))?;
    Ok(SharedHttpClient::new(client))
}

/// Tells whether an error is this side's refusal of what the server showed in the handshake: another
/// connection would see the same.
pub(super) fn is_refused_handshake(error: &(dyn StdError + 'static)) -> bool {
    let refusal = |error: &(dyn StdError + 'static)| {
        let error = error.downcast_ref();
        matches!(
            error,
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::InvalidMessage(_))
        )
    };
    let mut next = Some(error);
    while let Some(error) = next {
        if refusal(error) {
            return true;
        }
        // An I/O error shows the causes of what it wraps, and not that itself.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError::UnknownIssuer;

    use super::*;

    #[test]
    fn a_refused_certificate_is_found_however_it_is_wrapped() {
        let refused = || rustls::Error::InvalidCertificate(UnknownIssuer);
        assert!(is_refused_handshake(&refused()));
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, refused());
        assert!(is_refused_handshake(&io::Error::other(wrapped)));
        assert!(!is_refused_handshake(&io::Error::other("closed")));
        assert!(!is_refused_handshake(&io::Error::from(io::ErrorKind::ConnectionReset)));
    }
}
