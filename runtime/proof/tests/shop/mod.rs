//! What the tests share: keys from numbers, one ordinary authority, and randomness from a seed that is printed.

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::tool::Limits;
use aether_proof::{Authority, Seed};
use zeroize::Zeroizing;

pub(crate) const NOW: u64 = 1_800_000_000_000;
pub(crate) const AUDIENCE: [u8; 32] = [0xA0; 32];

pub(crate) fn key(number: u64) -> Zeroizing<[u8; 32]> {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    Zeroizing::new(bytes)
}

pub(crate) fn seed(number: u64) -> Seed {
    Seed::from_bytes(key(number))
}

pub(crate) fn host(text: &str) -> Host {
    Host::parse(text).unwrap()
}

pub(crate) fn place(text: &str) -> Place {
    Place::parse(text).unwrap()
}

/// Any tool may read the workspace and speak with two hosts, for ten seconds from now.
pub(crate) fn authority() -> Authority {
    Authority {
        issuer: *b"node-of-the-test",
        task: 7,
        tool: "*".to_owned(),
        call: None,
        capability: Capability::default()
            .with_network(Network::hosts(vec![host("api.example.com"), host("*.example.org:8443")]))
            .with_read(vec![place("$workspace"), place("/usr")])
            .with_write(vec![place("$workspace/out")])
            .with_programs(vec![place("/usr/bin/git")]),
        limits: Limits {
            runtime_ms_max: 3_000,
            cpu_ms_max: 1_000,
            memory_bytes_max: 20 << 20,
            processes_max: 4,
            output_bytes_max: 65_536,
        },
        audience: AUDIENCE,
        expires_unix_ms: NOW + 10_000,
    }
}
