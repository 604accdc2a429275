//! How servers that speak Chat Completions differ, as data.

use crate::schema::Strictness;

/// How one server differs from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The field for the most tokens of an answer.
    pub output_limit: OutputLimit,
    /// The role of the standing instructions.
    pub instructions: Instructions,
    /// Whether the server reports usage in a stream only when asked.
    pub stream_usage: StreamUsage,
    /// Whether the server takes `strict` schemas.
    pub strictness: Strictness,
    /// How the server is told the schema of an answer.
    pub structure: Structure,
    /// How the server is told an effort.
    pub effort: EffortField,
    /// What the server wants carried back.
    pub carried: CarriedField,
    /// Which ids of calls the server takes.
    pub call_ids: CallIds,
    /// Whether a person may speak directly after a tool.
    pub after_tools: AfterTools,
    /// Whether OpenAI's own rules for its models hold at this server.
    pub openai_rules: OpenAiRules,
    /// Whether the server caches prompts by itself.
    pub caching: Caching,
}

impl Quirks {
    /// What nearly every compatible server takes.
    pub const COMPATIBLE: Quirks = Quirks {
        output_limit: OutputLimit::MaxTokens,
        instructions: Instructions::System,
        stream_usage: StreamUsage::WhenAsked,
        strictness: Strictness::Loose,
        structure: Structure::Schema,
        effort: EffortField::ReasoningEffort,
        carried: CarriedField::Nothing,
        call_ids: CallIds::Any,
        after_tools: AfterTools::AnyoneSpeaks,
        openai_rules: OpenAiRules::Hold,
        caching: Caching::Automatic,
    };
}

/// The field for the most tokens of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputLimit {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// The role of the standing instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// `system`.
    System,
    /// `developer` for OpenAI's reasoning models, else `system`.
    Developer,
}

/// Whether a server reports usage in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamUsage {
    /// It does when `stream_options` asks for it.
    WhenAsked,
    /// It does by itself, or never, and does not know `stream_options`.
    Unasked,
}

/// How a server is told the schema of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    /// `response_format` of type `json_schema`.
    Schema,
    /// `response_format` of type `json_object`, with the schema in the instructions.
    Object,
}

/// How a server is told an effort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffortField {
    /// `reasoning_effort`.
    ReasoningEffort,
    /// `reasoning` with an `effort` in it.
    Reasoning,
    /// `thinking`, enabled or disabled.
    Thinking,
}

/// What a server wants carried back in the messages of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarriedField {
    /// Nothing.
    Nothing,
    /// `reasoning_content`, in every message with tool calls.
    ReasoningContent,
    /// `reasoning_details`.
    ReasoningDetails,
}

/// Which ids of calls a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallIds {
    /// Any.
    Any,
    /// Nine letters and digits.
    Nine,
}

/// Whether a person may speak directly after a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterTools {
    /// Yes.
    AnyoneSpeaks,
    /// No: the model has to say something in between.
    ModelSpeaks,
}

/// Whether OpenAI's own rules for its models hold at a server that has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenAiRules {
    /// It passes requests on as they are.
    Hold,
    /// It translates.
    Relaxed,
}

/// Whether a server caches prompts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// It does, or never does.
    Automatic,
    /// It asks for `cache_control` with Anthropic's models.
    AskedOfAnthropic,
}
