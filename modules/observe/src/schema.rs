//! The schema of the lines: every event and every field, as data. `docs/events.md` is made from it.

use aether_core::event::Event;

/// The version of the schema, in every line. It goes up when a field changes its meaning or goes away; a new event or
/// field does not change it, so readers pass over what they do not know.
pub const VERSION: u64 = 1;

/// One kind of event.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The value of `event`.
    pub name: &'static str,
    /// The value of `level`, with the exceptions.
    pub level: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// Its own fields, in the order in which they are written.
    pub fields: &'static [Field],
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub form: Form,
    /// When it is there.
    pub presence: Presence,
    /// What it means; units and values.
    pub meaning: &'static str,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A string.
    Text,
    /// A whole number, 0 to 2^64 - 1.
    Number,
    /// An array of strings.
    Words,
}

/// When a field is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In every line of its kind.
    Always,
    /// Only where it has something to say; the meaning says when.
    Sometimes,
}

const fn text(name: &'static str, meaning: &'static str) -> Field {
    Field { name, form: Form::Text, presence: Presence::Always, meaning }
}

const fn number(name: &'static str, meaning: &'static str) -> Field {
    Field { name, form: Form::Number, presence: Presence::Always, meaning }
}

const fn words(name: &'static str, meaning: &'static str) -> Field {
    Field { name, form: Form::Words, presence: Presence::Always, meaning }
}

const fn sometimes(field: Field) -> Field {
    Field { presence: Presence::Sometimes, ..field }
}

/// The fields that every line begins with.
pub const STAMP: &[Field] = &[
    number("v", "version of this schema: 1"),
    text("at", "moment, RFC 3339 in UTC with milliseconds"),
    text("trace", "trace id, 32 hexadecimal digits (W3C Trace Context)"),
    text("task", "task id: `t`, slot, `.`, generation"),
    sometimes(text("parent", "task that spawned this one; absent for the root of a trace")),
    text("level", "`error`, `warn`, `info` or `debug`"),
    text("event", "which event; the tables below"),
];

const LABEL: Field = words(
    "label",
    "origins (`person`, `model`, `tool`, `web`, `guest`, `peer`), then `untrusted` and `private` where they hold",
);
const ASK: Field = number("ask", "the question, counted within the task");
const RUN: Field = number("run", "the run, counted within the task");
const APPROVAL: Field = number("approval", "the approval, counted within the task");
const TOOL: Field =
    text("gen_ai.tool.name", "the tool; a name that no tool can have is replaced by `(N bytes, no tool's name)`");
const DIGEST: Field = text("digest", "SHA-256 of the exact call, name and input, 64 hexadecimal digits");
const ENTRIES: &str = "entries of the transcript the model is shown";
const INPUT_TOKENS: Field = number("gen_ai.usage.input_tokens", "tokens read by the model, cached ones included");
const OUTPUT_TOKENS: Field = number("gen_ai.usage.output_tokens", "tokens written by the model, reasoning included");
const CACHE_READ: Field =
    number("gen_ai.usage.cache_read.input_tokens", "of the input: read from the provider's cache");
const CACHE_WRITE: Field =
    number("gen_ai.usage.cache_write.input_tokens", "of the input: written to the provider's cache");
const REASONING: Field = number("gen_ai.usage.reasoning.output_tokens", "of the output: reasoning");

/// Every kind of event, in the order of [`aether_core::event::Event`].
pub const EVENTS: &[Kind] = &[
    Kind {
        name: "spawned",
        level: "info",
        meaning: "The task began.",
        fields: &[number("depth", "generations of tasks above it"), LABEL],
    },
    Kind {
        name: "asked",
        level: "debug",
        meaning: "A model was asked.",
        fields: &[
            ASK,
            number("model_index", "which model of the fallback chain, from 0"),
            sometimes(text("gen_ai.provider.name", "the provider, where it is known")),
            sometimes(text("gen_ai.request.model", "the model, where it is known")),
            number("attempt", "how often this question failed before"),
            number("entries", ENTRIES),
            number("bytes", "bytes the model is shown, standing instructions and tools included"),
            text("tool_use", "`allowed`, or `forbidden` in a closing or summing-up turn"),
        ],
    },
    Kind {
        name: "answered",
        level: "debug",
        meaning: "A model answered.",
        fields: &[
            ASK,
            INPUT_TOKENS,
            OUTPUT_TOKENS,
            CACHE_READ,
            CACHE_WRITE,
            REASONING,
            words("gen_ai.response.finish_reasons", "one of `stop`, `tool_call`, `length`, `content_filter`"),
            number("calls", "tool calls in the answer"),
        ],
    },
    Kind {
        name: "failed",
        level: "warn; error when `next` is `give_up`",
        meaning: "A question failed.",
        fields: &[
            ASK,
            text(
                "error.type",
                "`unauthorized`, `unpaid`, `unknown_model`, `rate_limited`, `unavailable`, `context_too_long`, \
                 `bad_request`, `unsupported`, `unreachable`, `timeout`, `cut`, `malformed` or `too_large`",
            ),
            text(
                "next",
                "`retry`: the same again; `fallback`: the next model; `fold`: the same, shorter; `give_up`: the task ends",
            ),
            sometimes(number("after_ms", "milliseconds until the retry; absent unless `next` is `retry`")),
        ],
    },
    Kind {
        name: "allowed",
        level: "info",
        meaning: "A call was authorised and runs.",
        fields: &[
            RUN,
            TOOL,
            text("tool_version", "the tool's version"),
            text("tool_runtime", "`builtin`, `wasm`, `native` or `mcp`"),
            words(
                "acts",
                "what the call does: `read_workspace`, `read_private`, `write`, `execute`, `network_read`, \
                 `network_send`, `message_person`, `install`, `spend`",
            ),
            DIGEST,
        ],
    },
    Kind {
        name: "wanted",
        level: "info",
        meaning: "The person is asked about a call.",
        fields: &[
            APPROVAL,
            TOOL,
            text("rule", "`policy`: the policy table asks; `sink`: the label stops what would leave the machine"),
            text("act", "the act that the rule is about"),
            DIGEST,
        ],
    },
    Kind {
        name: "approved",
        level: "info",
        meaning: "The person said yes.",
        fields: &[APPROVAL, text("scope", "`once`, or `task` for calls like it until the task ends")],
    },
    Kind {
        name: "refused",
        level: "warn",
        meaning: "A call was refused; nothing ran.",
        fields: &[
            TOOL,
            text(
                "why",
                "`unreadable`, `tool`, `undeclared`, `act`, `reach`, `policy`, `declined`, `unanswered`, or a governor whose budget is spent",
            ),
        ],
    },
    Kind {
        name: "returned",
        level: "debug",
        meaning: "A tool or a child task reported.",
        fields: &[RUN, text("outcome", "`done` or `failed`"), number("bytes", "bytes of output"), LABEL],
    },
    Kind { name: "delegated", level: "info", meaning: "A child task was wished for.", fields: &[RUN] },
    Kind { name: "labelled", level: "debug", meaning: "The task's label grew.", fields: &[LABEL] },
    Kind {
        name: "tripped",
        level: "warn",
        meaning: "A budget is spent; the task closes.",
        fields: &[text(
            "governor",
            "`wall`, `model_calls`, `tool_calls`, `input_tokens`, `output_tokens`, `cost`, `output_bytes`, `depth` or \
             `repeats`",
        )],
    },
    Kind {
        name: "folded",
        level: "info",
        meaning: "Old entries were folded away to make room.",
        fields: &[
            text("how", "`references` that can be opened again, or a `summary`"),
            number("entries", "entries that were folded"),
            number("bytes_before", "bytes they had"),
            number("bytes_after", "bytes the model is shown in their place"),
        ],
    },
    Kind { name: "steered", level: "debug", meaning: "A message from the person came in on the way.", fields: &[] },
    Kind {
        name: "ended",
        level: "info",
        meaning: "The task is over. The numbers include its children's.",
        fields: &[
            text(
                "verdict",
                "`done`, `length`, `refused`, `interrupted`, a governor whose budget was spent, or an `error.type`",
            ),
            number("model_calls", "questions to models"),
            number("tool_calls", "tool calls"),
            INPUT_TOKENS,
            OUTPUT_TOKENS,
            CACHE_READ,
            CACHE_WRITE,
            REASONING,
            number("cost_micro_usd", "cost in millionths of a US dollar, rounded down"),
            number("output_bytes", "bytes said to the person"),
        ],
    },
];

/// The value of `event`.
pub(crate) fn name(event: &Event) -> &'static str {
    match event {
        Event::Spawned { .. } => "spawned",
        Event::Asked { .. } => "asked",
        Event::Answered { .. } => "answered",
        Event::Failed { .. } => "failed",
        Event::Allowed { .. } => "allowed",
        Event::Wanted { .. } => "wanted",
        Event::Approved { .. } => "approved",
        Event::Refused { .. } => "refused",
        Event::Returned { .. } => "returned",
        Event::Delegated { .. } => "delegated",
        Event::Labelled { .. } => "labelled",
        Event::Tripped { .. } => "tripped",
        Event::Folded { .. } => "folded",
        Event::Steered => "steered",
        Event::Ended { .. } => "ended",
    }
}
