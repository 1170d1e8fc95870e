//! Extra trusted certificates, and the names of this machine.

use std::path::Path;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{error::system_text, small_file};

/// Reads a PEM file and checks each certificate: the SDK panics at one that it cannot use.
///
/// # Errors
/// A text that follows the name of the setting.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |what: &str| format!("names a file that {what} ({})", path.display());
    let pem = small_file::read(path)
        .map_err(|cause| wrong(&format!("cannot be read: {}", system_text(&cause))))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| wrong("is not PEM"))?;
        roots.add(certificate).map_err(|cause| {
            wrong(&format!("contains a certificate that is not a CA certificate: {cause}"))
        })?;
    }
    if roots.is_empty() { Err(wrong("contains no certificate")) } else { Ok(pem) }
}

/// Returns whether a host is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback())
}
