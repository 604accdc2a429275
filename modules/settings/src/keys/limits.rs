//! The keys of a task's budget: every governor is finite and has a default.

use aether_core::config::Key;

use super::{key, range};

/// A week, the longest a task may live.
const WEEK_MS: i64 = 7 * 24 * 3_600_000;

/// The table.
pub const KEYS: &[Key] = &[
    key("limits.wall_ms", range(1, WEEK_MS), "1800000", "The longest a task may take, its last answer included."),
    key(
        "limits.closing_ms",
        range(1, 3_600_000),
        "60000",
        "How much of that time is kept back for a last answer without tools.",
    ),
    key("limits.model_calls", range(1, 100_000), "60", "How many questions a task may put to models."),
    key("limits.tool_calls", range(0, 1_000_000), "200", "How many tool calls a task may make."),
    key(
        "limits.tokens_in",
        range(1, 1_000_000_000_000),
        "5000000",
        "How many input tokens a task may use, over all its questions.",
    ),
    key(
        "limits.tokens_out",
        range(1, 1_000_000_000_000),
        "200000",
        "How many output tokens a task may use, over all answers.",
    ),
    key(
        "limits.cost_micro_usd",
        range(0, 1_000_000_000_000),
        "5000000",
        "What a task may cost, in millionths of a dollar, for models with a known price.",
    ),
    key("limits.output_bytes", range(1, 1 << 40), "1048576", "How many bytes of text a task may say."),
    key("limits.depth", range(0, 16), "2", "How many generations of child tasks a task may have."),
    key("limits.repeats", range(1, 1_000), "4", "How often the same tool call may bring the same result."),
    key(
        "limits.approval_ms",
        range(1_000, WEEK_MS),
        "600000",
        "How long a task waits for the answer when it asks for an approval.",
    ),
];
