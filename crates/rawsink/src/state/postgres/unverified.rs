//! The connection to a server that is not verified, for `sslmode=disable`, `prefer` and `require`.
//!
//! `sqlx` encrypts its connections itself. Here the guard has to read what the server sends, so the encryption
//! is on the guard's side.

use std::{error::Error as StdError, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::{
    PostgresConfig, TlsMode,
    config::read,
    fault::{NO_TLS, PgFault},
    relay::Stream,
};

/// The first message of a client that wants TLS.
///
/// See <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Encrypts a connection according to the mode.
pub(super) async fn encrypted(
    mut socket: impl Stream + 'static,
    config: &PostgresConfig,
) -> Result<Box<dyn Stream>, PgFault> {
    if config.tls == TlsMode::Disable {
        return Ok(Box::new(socket));
    }
    socket.write_all(&SSL_REQUEST).await?;
    match socket.read_u8().await? {
        b'S' => {}
        b'N' if config.tls == TlsMode::Prefer => return Ok(Box::new(socket)),
        b'N' => return Err(sqlx::Error::Tls(NO_TLS.into()).into()),
        _ => return Err(sqlx::Error::Protocol("unexpected answer to SSLRequest".into()).into()),
    }
    let name = ServerName::try_from(config.host.clone()).map_err(unusable)?;
    let connector = TlsConnector::from(Arc::new(client_config(config)?));
    Ok(Box::new(connector.connect(name, socket).await?))
}

/// Returns a configuration that accepts every server, with the client's certificate.
fn client_config(config: &PostgresConfig) -> Result<ClientConfig, PgFault> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    let Some((certificate, key)) = &config.client else { return Ok(builder.with_no_client_auth()) };
    let certificate = read(certificate)?;
    let chain: Result<_, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(unusable)?;
    builder.with_client_auth_cert(chain.map_err(unusable)?, key).map_err(unusable)
}

fn unusable(cause: impl StdError + Send + Sync + 'static) -> PgFault {
    sqlx::Error::Tls(cause.into()).into()
}

/// Accepts the certificate of any server.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// Returns what the client gets from a server with this answer to a request for TLS.
    async fn answered(mode: TlsMode, answer: &[u8]) -> Result<Box<dyn Stream>, PgFault> {
        let mut config =
            PostgresConfig::from_url("postgres://me@db.example.org/d?sslmode=disable").unwrap();
        config.tls = mode;
        let (client, mut server) = duplex(64);
        server.write_all(answer).await.unwrap();
        encrypted(client, &config).await
    }

    #[tokio::test]
    async fn a_server_without_tls_is_accepted_only_by_prefer_and_disable() {
        assert!(answered(TlsMode::Disable, b"").await.is_ok());
        assert!(answered(TlsMode::Prefer, b"N").await.is_ok());
        for (answer, expected) in [(b"N", NO_TLS), (b"E", "unexpected answer to SSLRequest")] {
            let fault = answered(TlsMode::Require, answer).await.err().unwrap();
            let error = fault.into_error(&|text| text);
            assert!(error.message().contains(expected), "{error}");
        }
    }
}
