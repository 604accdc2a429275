//! The TLS settings of a client, made when the first connection needs them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use rustls::{ClientConfig, RootCertStore};

use crate::error::TlsFault;

/// Sessions that are kept for a faster second handshake.
const SESSIONS_MAX: usize = 32;

/// Protocols offered during the handshake, best first (RFC 7301).
#[cfg(feature = "http2")]
const OFFERED: &[&[u8]] = &[b"h2", b"http/1.1"];
#[cfg(not(feature = "http2"))]
const OFFERED: &[&[u8]] = &[b"http/1.1"];

/// Roots of trust and settings. Certificates are always verified (N8).
pub(crate) struct Tls {
    ca_file: Option<PathBuf>,
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Tls {
    /// Remembers where extra certificates are and reads nothing yet.
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, config: Mutex::new(None) }
    }

    /// The settings; built at the first call. A failure is not remembered: the next call tries again.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, TlsFault> {
        let mut slot = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = slot.as_ref() {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(client_config(self.ca_file.as_deref())?);
        *slot = Some(Arc::clone(&config));
        Ok(config)
    }

    #[cfg(test)]
    fn is_built(&self) -> bool {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// The settings of a TLS client that trusts what this crate's client trusts: what the operating system trusts, and the
/// certificates in `ca_file`. Reads files. Certificates are always verified (N8); no certificate of its own is shown.
///
/// # Errors
///
/// [`TlsFault::CaFile`] when the file cannot be used.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsFault> {
    let roots = roots(ca_file)?;
    let provider = Arc::new(CryptoProvider { key_provider: &NoKeys, ..rustls::crypto::ring::default_provider() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsFault::Other(error.to_string().into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    config.alpn_protocols = OFFERED.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// Reads no private key: this client shows no certificate of its own. What would sign with one is left out of the
/// program, 40 KB of RSA and elliptic curves.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("this client shows no certificate of its own".to_owned()))
    }
}

/// What the operating system trusts, plus the configured file. The built-in list stands in only where the system has none.
fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(native.certs);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    Ok(roots)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsFault> {
    let fault = |found: String| TlsFault::CaFile { path: path.display().to_string().into(), found: found.into() };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
    let mut added = 0_usize;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
        added += 1;
    }
    if added == 0 {
        return Err(fault("no PEM certificate in it".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_built_before_it_is_needed() {
        let tls = Tls::new(Some("/nowhere/ca.pem".into()));
        assert!(!tls.is_built());
        let fault = tls.config().expect_err("the file does not exist");
        assert!(matches!(&fault, TlsFault::CaFile { path, .. } if &**path == "/nowhere/ca.pem"), "{fault}");
        assert!(!tls.is_built(), "a failure is not remembered");
        let tls = Tls::new(None);
        tls.config().expect("system or built-in roots");
        assert!(tls.is_built());
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let path = std::env::temp_dir().join(format!("aether-net-empty-{}.pem", std::process::id()));
        std::fs::write(&path, "not a certificate\n").expect("write");
        let fault = Tls::new(Some(path.clone())).config().expect_err("no certificate");
        std::fs::remove_file(&path).expect("remove");
        assert!(fault.to_string().contains("no PEM certificate in it"), "{fault}");
    }
}
