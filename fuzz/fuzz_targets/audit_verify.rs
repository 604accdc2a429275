//! A log that was edited in any way has a fault, and any other text is no log (A3).
#![no_main]

use std::sync::LazyLock;

use aether_audit::{Durability, Kind, Limits, Log, Place, Record, Signer, Trust, export, verify_text};
use aether_core::digest::Sha256;
use aether_fuzz::Draw;
use libfuzzer_sys::fuzz_target;

const KEY: [u8; 32] = [7; 32];
const LINES: u64 = 12;
const EDITS_MAX: usize = 4;

/// Signs with a digest: enough to tell what was signed from what was not.
struct Toy;

impl Signer for Toy {
    fn public(&self) -> [u8; 32] {
        KEY
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out[..32].copy_from_slice(&Sha256::of(bytes).0);
        out
    }
}

fn check(key: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    *key == KEY && Toy.sign(bytes) == *signature
}

static LOG: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let home = tempfile::tempdir().expect("a directory");
    let place = Place { directory: home.path().join("audit"), head: home.path().join("trust/head") };
    let limits = Limits { checkpoint_lines: 4, ..Limits::default() };
    let log = Log::open(place.clone(), Box::new(Toy), check, limits);
    for n in 0..LINES {
        let record = Record::new(Kind::Allow).text("tool", "write_file").number("n", n);
        log.append(&record, n, Durability::Later).expect("room");
    }
    let mut out = Vec::new();
    export(&place, &Toy, check, LINES, &mut out).expect("a whole log");
    out
});

fuzz_target!(|bytes: &[u8]| {
    let found = verify_text(bytes, Trust::Stated, |_, _, _| true);
    assert!(found.lines <= bytes.iter().filter(|byte| **byte == b'\n').count() as u64);
    if let Some(fault) = &found.fault {
        assert!(!fault.to_string().contains('\n'));
    }
    let strict = verify_text(bytes, Trust::Key(KEY), check);
    assert!(strict.fault.is_some() || bytes == &LOG[..]);

    let mut draw = Draw::new(bytes);
    let mut edited = LOG.clone();
    for _ in 0..draw.within(1..EDITS_MAX + 1) {
        let from = draw.within(0..edited.len() + 1);
        let to = (from + draw.within(0..200)).min(edited.len());
        let piece = match draw.byte() % 4 {
            0 => Vec::new(),
            1 => draw.text().into_bytes(),
            2 => vec![draw.byte()],
            // Lines that are good elsewhere.
            _ => {
                let start = draw.within(0..LOG.len());
                LOG[start..(start + draw.within(0..2_000)).min(LOG.len())].to_vec()
            }
        };
        edited.splice(from..to, piece);
    }
    let report = verify_text(&edited, Trust::Key(KEY), check);
    assert_eq!(report.fault.is_none(), edited == *LOG, "{report:?}");
});
