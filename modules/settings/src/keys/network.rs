//! The keys of the network client.

use aether_core::config::{Key, Kind};

use super::{key, range, unset};

/// An hour, the longest time limit on one request.
const HOUR_MS: i64 = 3_600_000;

/// The table.
pub const KEYS: &[Key] = &[
    unset("network.ca_file", Kind::Text, "A file of PEM certificates to trust besides the system's."),
    unset("network.proxy", Kind::Text, "The proxy for all requests, taken from HTTPS_PROXY and its like when not set."),
    key(
        "network.plaintext_hosts",
        Kind::List,
        "",
        "The private hosts that may be reached without TLS; loopback always may.",
    ),
    key(
        "network.connect_ms_max",
        range(1, HOUR_MS),
        "10000",
        "The longest time to establish a connection, TLS included.",
    ),
    key(
        "network.headers_ms_max",
        range(1, HOUR_MS),
        "300000",
        "The longest time from a request to the head of its response.",
    ),
    key("network.idle_ms_max", range(1, HOUR_MS), "120000", "The longest silence within a response."),
    key("network.total_ms_max", range(1, HOUR_MS), "1800000", "The longest time for a request and its whole response."),
];
