//! Plain HTTP: what goes on is the same however the bytes are cut, and every head that goes on is for the one host.
#![no_main]

use aether_egress::head::{AnswerHead, Finder, RequestHead};
use aether_egress::inspect::Inspector;
use aether_egress::names::{Name, Peer};
use aether_fuzz::Draw;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let cut = draw.within(1..512);
    let stream = draw.rest();
    let peer = || Peer::Name(Name::parse("a.com").expect("a name"));

    let mut whole = Inspector::new(peer(), 80);
    let (at_once, is_wrong) = match whole.pass(stream) {
        Ok(count) => (count, false),
        Err(_) => (0, true),
    };
    let (mut pieces, mut held, mut gone, mut failed) = (Inspector::new(peer(), 80), Vec::new(), 0, false);
    for piece in stream.chunks(cut) {
        held.extend_from_slice(piece);
        match pieces.pass(&held) {
            Ok(count) => {
                held.drain(..count);
                gone += count;
            }
            Err(fault) => {
                assert!(!fault.to_string().is_empty());
                failed = true;
                break;
            }
        }
    }
    assert_eq!(failed, is_wrong);
    if !failed {
        assert_eq!(gone, at_once);
    }

    if let Ok(Some(end)) = Finder::default().find(stream) {
        if let Ok(head) = RequestHead::read(&stream[..end], &peer(), 80) {
            let hosts: Vec<_> = head.fields.iter().filter(|field| field.name == "host").collect();
            assert_eq!(hosts.len(), 1);
            let host = String::from_utf8(hosts[0].value.clone()).expect("text").to_ascii_lowercase();
            assert!(host.starts_with("a.com"), "{host}");
            assert!(head.target.starts_with('/') || head.target == "*");
        }
        for method in ["GET", "HEAD"] {
            if let Ok(head) = AnswerHead::read(&stream[..end], method) {
                assert!(head.status >= 100);
            }
        }
    }
});
