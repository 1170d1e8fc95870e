//! Certificates of a private authority: a PEM file that the TLS library will take.

use std::path::Path;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::error::system_text;

/// Reads a file of certificates and checks each: the SDK panics at those that it cannot take.
///
/// # Errors
/// What is wrong, behind the name of the variable.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |what: &str| format!("names a file that {what} ({})", path.display());
    let pem = std::fs::read(path)
        .map_err(|cause| wrong(&format!("cannot be read: {}", system_text(&cause))))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| wrong("is not PEM"))?;
        roots
            .add(certificate)
            .map_err(|cause| wrong(&format!("holds no certificate of an authority: {cause}")))?;
    }
    if roots.is_empty() { Err(wrong("holds no certificate")) } else { Ok(pem) }
}
