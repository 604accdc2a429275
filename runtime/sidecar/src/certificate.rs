//! A self-signed Ed25519 certificate, made anew at every start (RFC 5280, RFC 8410).
//!
//! Nobody reads anything of it but its key and, as a whole, its digest; so it is as small as a certificate can be.

use aether_core::digest::{Digest, Sha256};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

/// The name in it, which is nobody's (RFC 2606, section 2).
const NAME: &[u8] = b"aether.invalid";

/// Ed25519 (RFC 8410, section 3), as a whole AlgorithmIdentifier.
const ALGORITHM: &[u8] = &[SEQUENCE, 5, 6, 3, 0x2b, 0x65, 0x70];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// A certificate and its key.
pub(crate) struct Certificate {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// A new one, or `None` if the system has no randomness.
    pub(crate) fn generate() -> Option<Certificate> {
        let random = SystemRandom::new();
        let key = Ed25519KeyPair::generate_pkcs8(&random).ok()?;
        let pair = Ed25519KeyPair::from_pkcs8(key.as_ref()).ok()?;
        let mut serial = [0; 16];
        random.fill(&mut serial).ok()?;
        // Positive, and without a leading zero byte (RFC 5280, section 4.1.2.2).
        serial[0] = serial[0] & 0x3f | 0x40;
        let body = body(&serial, pair.public_key().as_ref());
        let signature = pair.sign(&body);
        let der = element(SEQUENCE, &[&body, ALGORITHM, &bits(signature.as_ref())]);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_ref().to_vec()));
        Some(Certificate { der: CertificateDer::from(der), key })
    }

    /// What the other side is told to accept.
    pub(crate) fn pin(&self) -> [u8; 32] {
        pin(&self.der)
    }
}

/// SHA-256 over a certificate as it is sent.
pub(crate) fn pin(der: &CertificateDer<'_>) -> [u8; 32] {
    let Digest(pin) = Sha256::of(der);
    pin
}

/// Random bytes, or `None` if the system has none.
pub(crate) fn random_bytes() -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut *bytes).ok()?;
    Some(bytes)
}

/// TBSCertificate (RFC 5280, section 4.1).
fn body(serial: &[u8], public_key: &[u8]) -> Vec<u8> {
    let common_name: &[u8] = &[OBJECT, 3, 0x55, 4, 3];
    let name =
        element(SEQUENCE, &[&element(SET, &[&element(SEQUENCE, &[common_name, &element(UTF8_STRING, &[NAME])])])]);
    // "No well-defined expiration date" (RFC 5280, section 4.1.2.5): it lives as long as its process.
    let validity = element(
        SEQUENCE,
        &[&element(UTC_TIME, &[b"700101000000Z"]), &element(GENERALIZED_TIME, &[b"99991231235959Z"])],
    );
    let version = element(VERSION, &[&[INTEGER, 1, 2]]);
    let public_key = element(SEQUENCE, &[ALGORITHM, &bits(public_key)]);
    element(SEQUENCE, &[&version, &element(INTEGER, &[serial]), ALGORITHM, &name, &validity, &name, &public_key])
}

/// A BIT STRING of whole bytes.
fn bits(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes])
}

/// One DER element (X.690, section 8.1). All of ours are shorter than 65,536 bytes.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let [.., high, low] = length.to_be_bytes();
    let mut bytes = vec![tag];
    match length {
        0..0x80 => bytes.push(low),
        0x80..0x100 => bytes.extend([0x81, low]),
        _ => bytes.extend([0x82, high, low]),
    }
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_new_and_well_formed() {
        let (one, other) = (Certificate::generate().unwrap(), Certificate::generate().unwrap());
        assert_ne!(one.pin(), other.pin());
        // Rustls reads it as a certificate and finds that the key is its own.
        let provider = rustls::crypto::ring::default_provider();
        for (certificate, key, same) in [(&one, &one, true), (&one, &other, false)] {
            let chain = vec![certificate.der.clone()];
            let pair = rustls::sign::CertifiedKey::from_der(chain, key.key.clone_key(), &provider);
            assert_eq!(pair.is_ok(), same);
        }
    }

    #[test]
    fn lengths_are_written_as_der_wants_them() {
        assert_eq!(element(4, &[&[0; 127]])[..2], [4, 127]);
        assert_eq!(element(4, &[&[0; 128]])[..3], [4, 0x81, 128]);
        assert_eq!(element(4, &[&[0; 200], &[0; 100]])[..4], [4, 0x82, 1, 44]);
    }
}
