//! TLS hellos: a name that is read is one name, however the bytes come, and nothing that follows changes it.
#![no_main]

use aether_egress::hello::{Hello, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes);
    if let Err(fault) = whole {
        assert!(!fault.to_string().is_empty());
    }
    let mut settled = None;
    for end in 0..=bytes.len().min(2048) {
        match read(&bytes[..end]) {
            Ok(Hello::Incomplete) => assert!(settled.is_none(), "complete, and then not"),
            found => assert_eq!(settled.get_or_insert_with(|| found.clone()), &found),
        }
    }
    if let (Some(settled), true) = (&settled, bytes.len() <= 2048) {
        assert_eq!(settled, &whole);
    }
    if let Ok(Hello::Name(_)) = &whole {
        let more = [bytes, &[23, 3, 3, 0, 1, 0]].concat();
        assert_eq!(read(&more), whole);
    }
});
