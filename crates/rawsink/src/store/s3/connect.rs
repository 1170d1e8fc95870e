//! The connection to a bucket: endpoint, credentials, TLS, proxy, time limits.
//!
//! These features of the SDK are disabled:
//!
//! | feature | reason |
//! |---|---|
//! | checksum headers and trailers | some servers refuse them |
//! | retries | they turn an own committed seal into "already exists"; `retry` handles them all |
//! | clock correction by the server | one gateway with a wrong `Date` makes the next request fail |
//! | cached identities | secret files may change |
//! | limits for an answer and for stalled streams | `patience` has them all |
//! | profiles and `AWS_*` variables | a stray one must not redirect a production write |

use std::{
    error::Error as StdError,
    io,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use aws_sdk_s3::{
    Client as SdkClient,
    config::{
        BehaviorVersion, Builder, Config, ConfigBag, IdentityCache, Intercept, Region,
        RequestChecksumCalculation, ResponseChecksumValidation, RuntimeComponents,
        SharedHttpClient, StalledStreamProtectionConfig,
        interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef},
        retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::BoxError,
};
use aws_smithy_http_client::{
    pool::{self, ConnectionPool},
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    dns::{DnsFuture, ResolveDns},
    interceptors::dyn_dispatch_hint,
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use super::{
    Addressing, S3Config,
    credentials::Credentials,
    patience::{Answer, Patience},
    proxy,
};
use crate::{
    error::{Error, Result},
    tls,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The SDK's clients of one bucket, by the answers that they expect. They share their connections.
#[derive(Debug)]
pub(super) struct SdkClients {
    /// For answers that are expected soon.
    pub(super) documents: SdkClient,
    /// For objects.
    pub(super) objects: SdkClient,
    /// For requests that the caller limits.
    pub(super) limited: SdkClient,
}

/// Creates the SDK's clients of a bucket. `change` may change their configuration. Sends nothing.
pub(super) fn sdk_clients(
    config: &S3Config,
    credentials: Credentials,
    patience: &Patience,
    http: Option<SharedHttpClient>,
    change: impl FnOnce(Builder) -> Builder,
) -> Result<SdkClients> {
    let http = match http {
        Some(http) => http,
        None => transport(config)?,
    };
    let sdk = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config.region.clone()))
        .endpoint_url(&config.endpoint_url)
        .force_path_style(config.addressing == Addressing::Path)
        .credentials_provider(credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .disable_clock_skew_correction(true)
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .interceptor(LogRequests(credentials))
        .http_client(patience.limit(&http, Answer::Document));
    let documents = SdkClient::from_conf(change(sdk).build());
    let expecting = |answer| {
        let config = documents.config().to_builder().http_client(patience.limit(&http, answer));
        SdkClient::from_conf(config.build())
    };
    let (objects, limited) = (expecting(Answer::Object), expecting(Answer::Limited));
    Ok(SdkClients { documents, objects, limited })
}

/// Logs every request at level `trace`, with the status of its reply.
///
/// Signatures and keys are in headers, which are not logged. A server may have put them into an upload id.
#[derive(Debug)]
struct LogRequests(Credentials);

/// The method and the URI of the request in flight.
#[derive(Debug)]
struct RequestLine(String);

impl Storable for RequestLine {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for LogRequests {
    fn name(&self) -> &'static str {
        "LogRequests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if tracing::enabled!(tracing::Level::TRACE) {
            let request = context.request();
            let line = format!("{} {}", request.method(), request.uri());
            bag.interceptor_state().store_put(RequestLine(self.0.hidden_in(&line)));
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The transport has consumed the request.
        if let Some(RequestLine(line)) = bag.load::<RequestLine>() {
            let status = context.response().map(|response| response.status().as_u16());
            tracing::trace!(status, "{line}");
        }
        Ok(())
    }
}

/// The names of this machine, such as `s3.localhost`. No name server is asked: it could lead elsewhere.
#[derive(Debug)]
struct LoopbackNames;

impl ResolveDns for LoopbackNames {
    fn resolve_dns<'a>(&'a self, _name: &'a str) -> DnsFuture<'a> {
        DnsFuture::ready(Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]))
    }
}

/// Returns a transport with the configured CA and proxy.
fn transport(config: &S3Config) -> Result<SharedHttpClient> {
    let mut trust = TrustStore::empty().with_native_roots(true);
    if let Some(path) = &config.ca_file {
        let refused = |fault| Error::invalid(format!("the CA file {fault}")).by_setting("ca_file");
        trust = trust.with_pem_certificate(tls::read_certificates(path).map_err(refused)?);
    }
    let refused = |cause: &dyn std::fmt::Display| {
        Error::invalid(format!("cannot use the CA file or the system's certificates: {cause}"))
    };
    let context =
        TlsContext::builder().with_trust_store(trust).build().map_err(|cause| refused(&cause))?;
    let pool = ConnectionPool::builder().proxy_config(proxy::of_transport(config)?);
    let is_local = config.is_plain_and_local();
    let pool = if is_local { pool.dns_resolver(LoopbackNames) } else { pool };
    let pool = pool
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https()
        .map_err(|cause| refused(&cause))?;
    let client = pool::Client::new(&pool).map_err(|cause| refused(&cause))?;
    Ok(SharedHttpClient::new(client))
}

/// Returns whether this side refused the server in the TLS handshake. Another connection would fail
/// too.
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
        // `source` of an I/O error skips the error that it wraps.
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
    fn a_refused_certificate_is_found_in_any_wrapper() {
        let refused = || rustls::Error::InvalidCertificate(UnknownIssuer);
        assert!(is_refused_handshake(&refused()));
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, refused());
        assert!(is_refused_handshake(&io::Error::other(wrapped)));
        assert!(!is_refused_handshake(&io::Error::other("closed")));
        assert!(!is_refused_handshake(&io::Error::from(io::ErrorKind::ConnectionReset)));
    }
}
