//! Certificates with which the broker speaks for hosts that have a secret. They are made here, known to jails only, and gone
//! with the process.

use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};

use crate::error::EgressError;
use crate::names::Name;

/// Names whose settings are kept.
const NAMES_KEPT_MAX: usize = 64;

/// An authority of its own for every broker. Its key, and the one that all its certificates share, never leave it.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    certificate: CertificateDer<'static>,
    leaf_key: KeyPair,
    signing_key: Arc<dyn SigningKey>,
    kept: Mutex<Vec<(Name, Arc<ServerConfig>)>>,
}

impl Authority {
    pub(crate) fn generate() -> Result<Authority, EgressError> {
        let wrong = |error: rcgen::Error| EgressError::Certificate(error.to_string().into());
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(wrong)?;
        params.distinguished_name = named("AetherCore egress, this process only");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(wrong)?;
        let leaf_key = KeyPair::generate().map_err(wrong)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let signing_key = any_ecdsa_type(&der).map_err(|error| EgressError::Certificate(error.to_string().into()))?;
        Ok(Authority {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            leaf_key,
            signing_key,
            kept: Mutex::default(),
        })
    }

    /// The authority's certificate, for the trust store of a jail.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// The settings to speak TLS as `name`: HTTP/1.1, no resumption.
    pub(crate) fn server(&self, name: &Name, provider: &Arc<CryptoProvider>) -> Result<Arc<ServerConfig>, EgressError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = kept.iter().find(|(known, _)| known == name) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make(name, provider)?);
        if kept.len() == NAMES_KEPT_MAX {
            kept.remove(0);
        }
        kept.push((name.clone(), Arc::clone(&config)));
        Ok(config)
    }

    fn make(&self, name: &Name, provider: &Arc<CryptoProvider>) -> Result<ServerConfig, EgressError> {
        let wrong = |error: rcgen::Error| EgressError::Certificate(error.to_string().into());
        let mut params = CertificateParams::new(vec![name.as_str().to_owned()]).map_err(wrong)?;
        params.distinguished_name = named("AetherCore egress");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&self.leaf_key, &self.issuer).map_err(wrong)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let certified = CertifiedKey::new(chain, Arc::clone(&self.signing_key));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| EgressError::Certificate(error.to_string().into()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn named(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}
