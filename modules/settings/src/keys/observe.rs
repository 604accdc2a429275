//! The keys of logs, traces and telemetry.

use aether_core::config::{Key, Kind};

use super::{key, range, unset};

/// The table.
pub const KEYS: &[Key] = &[
    key(
        "log.level",
        Kind::Choice(&["off", "error", "warn", "info", "debug"]),
        "off",
        "The least serious events that are logged.",
    ),
    unset("log.file", Kind::Text, "The file that JSON log lines are appended to, standard error when not set."),
    key(
        "trace.files_max",
        range(0, 100_000),
        "200",
        "How many traces are kept before the oldest is removed, where 0 keeps none.",
    ),
    key("trace.file_bytes_max", range(4_096, 1 << 30), "4194304", "The most bytes of one trace."),
    unset(
        "telemetry.otlp_endpoint",
        Kind::Text,
        "The address of an OpenTelemetry collector, without which nothing is sent anywhere.",
    ),
];
