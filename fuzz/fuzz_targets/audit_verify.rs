//! A log that was edited in any way has a fault, and any other text is no log (A3).
#![no_main]

use std::sync::LazyLock;

use aether_audit::{Trust, verify_text};
use aether_fuzz::{AUDIT_KEY, Draw, audit_log, is_audit_signature};
use libfuzzer_sys::fuzz_target;

const EDITS_MAX: usize = 4;

static LOG: LazyLock<Vec<u8>> = LazyLock::new(audit_log);

fuzz_target!(|bytes: &[u8]| {
    let found = verify_text(bytes, Trust::Stated, |_, _, _| true);
    assert!(found.lines <= bytes.iter().filter(|byte| **byte == b'\n').count() as u64);
    if let Some(fault) = &found.fault {
        assert!(!fault.to_string().contains('\n'));
    }
    let strict = verify_text(bytes, Trust::Key(AUDIT_KEY), is_audit_signature);
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
    let report = verify_text(&edited, Trust::Key(AUDIT_KEY), is_audit_signature);
    assert_eq!(report.fault.is_none(), edited == *LOG, "{report:?}");
});
