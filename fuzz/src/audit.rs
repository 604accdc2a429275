//! A whole audit log, signed with a toy, for the target that edits it and for its seeds.

use aether_audit::{Durability, Kind, Limits, Log, Place, Record, Signer, export};
use aether_core::digest::Sha256;

/// The toy's public key.
pub const AUDIT_KEY: [u8; 32] = [7; 32];
/// Records of the log.
const RECORDS: u64 = 12;

/// Signs with a digest: enough to tell what was signed from what was not.
struct Toy;

impl Signer for Toy {
    fn public(&self) -> [u8; 32] {
        AUDIT_KEY
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out[..32].copy_from_slice(&Sha256::of(bytes).0);
        out
    }
}

/// Whether the toy signed this.
pub fn is_audit_signature(key: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    *key == AUDIT_KEY && Toy.sign(bytes) == *signature
}

/// The log, as it is exported.
///
/// # Panics
/// Without a directory for temporary files.
pub fn audit_log() -> Vec<u8> {
    let home = tempfile::tempdir().expect("a directory");
    let place = Place { directory: home.path().join("audit"), head: home.path().join("trust/head") };
    let limits = Limits { checkpoint_lines: 4, ..Limits::default() };
    let log = Log::open(place.clone(), Box::new(Toy), is_audit_signature, limits);
    for n in 0..RECORDS {
        let record = Record::new(Kind::Allow).text("tool", "write_file").number("n", n);
        log.append(&record, n, Durability::Later).expect("room");
    }
    let mut out = Vec::new();
    export(&place, &Toy, is_audit_signature, RECORDS, &mut out).expect("a whole log");
    out
}
