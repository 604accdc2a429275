//! Questions for names: whatever comes, at most one name is read from it, and the answer is for that question.
#![no_main]

use std::net::Ipv4Addr;

use aether_egress::dns::{Answer, QUESTION_BYTES_MAX, Question};
use aether_egress::names::{NAME_BYTES_MAX, Name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    match Question::read(packet) {
        Ok(question) => {
            assert!(packet.len() <= QUESTION_BYTES_MAX);
            if let Some(name) = question.name() {
                assert!(name.as_str().len() <= NAME_BYTES_MAX);
                assert_eq!(Name::parse(name.as_str()).as_ref(), Some(name));
                assert!(name.as_str().parse::<std::net::IpAddr>().is_err());
            }
            for answer in [Answer::Address(Ipv4Addr::new(198, 18, 0, 1)), Answer::Nothing, Answer::Refused] {
                let reply = question.reply(answer);
                assert!(reply.len() <= 300);
                assert_eq!(reply[..2], packet[..2]);
                assert!(reply[2] & 0x80 != 0 && packet[12..].starts_with(&reply[12..reply.len().min(packet.len())]) || reply[7] == 1);
                assert!(Question::read(&reply).is_err(), "an answer is no question");
            }
        }
        Err(fault) => {
            if let Some(reply) = fault.reply() {
                assert_eq!(reply.len(), 12);
                assert_eq!(reply[..2], packet[..2]);
            }
        }
    }
});
