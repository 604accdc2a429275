//! Servers that speak one of the formats, as data: address, key variable, model to begin with, quirks.
//!
//! A preset is where configuration starts, never where it ends: each of its values can be set otherwise. Prices
//! are not here, because they change more often than programs do; a configuration that wants costs names them.
//!
//! Sources: each provider's API documentation. A base URL is written as the provider's own documentation writes
//! it, so the formats differ in whether it ends with `/v1`.

use aether_core::model::Codec;

use crate::anthropic::Anthropic;
use crate::gemini::Gemini;
use crate::ollama::Ollama;
use crate::openai_chat::{
    AfterTools, Caching, CallIds, CarriedField, EffortField, Instructions, OpenAiChat, OpenAiRules, OutputLimit,
    Quirks, StreamUsage, Structure,
};
use crate::openai_responses::OpenAiResponses;
use crate::schema::Strictness;

/// The context window asked of Ollama, in tokens: what fits beside a model of middle size on a home machine.
pub const OLLAMA_WINDOW_TOKENS: u32 = 16_384;

/// One server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name in configuration and on the command line: lower case, digits, hyphens.
    pub name: &'static str,
    /// The name people know it by.
    pub title: &'static str,
    /// What it speaks.
    pub format: Format,
    /// Where it is, without a slash at the end; `None` where everybody has an address of their own.
    pub base_url: Option<&'static str>,
    /// The environment variables that may hold its key, the usual one first; none where no key is needed.
    pub key_variables: &'static [&'static str],
    /// Whether it answers without a key.
    pub key_need: KeyNeed,
    /// The model to begin with; `None` where the server's list of models decides.
    pub model: Option<&'static str>,
    /// The context window of that model in tokens, where it is known.
    pub window_tokens: Option<u32>,
}

/// Whether a server answers without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyNeed {
    /// It does not.
    Required,
    /// It does, unless it was set up otherwise.
    Optional,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Anthropic Messages.
    Anthropic,
    /// Google Gemini.
    Gemini,
    /// Ollama's own format, with the context window to ask for.
    Ollama(Option<u32>),
    /// OpenAI Chat Completions, with the server's quirks.
    OpenAiChat(Quirks),
    /// OpenAI Responses.
    OpenAiResponses,
}

impl Format {
    /// A codec for it.
    #[must_use]
    pub fn codec(self) -> Box<dyn Codec> {
        match self {
            Format::Anthropic => Box::new(Anthropic::new()),
            Format::Gemini => Box::new(Gemini::new()),
            Format::Ollama(window_tokens) => Box::new(Ollama::new(window_tokens)),
            Format::OpenAiChat(quirks) => Box::new(OpenAiChat::new(quirks)),
            Format::OpenAiResponses => Box::new(OpenAiResponses::new()),
        }
    }

    /// The format a codec's name stands for, with the quirks most servers have.
    #[must_use]
    pub fn named(name: &str) -> Option<Format> {
        Some(match name {
            crate::anthropic::NAME => Format::Anthropic,
            crate::gemini::NAME => Format::Gemini,
            crate::ollama::NAME => Format::Ollama(None),
            crate::openai_chat::NAME => Format::OpenAiChat(Quirks::COMPATIBLE),
            crate::openai_responses::NAME => Format::OpenAiResponses,
            _ => return None,
        })
    }

    /// The name of its codec.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Anthropic => crate::anthropic::NAME,
            Format::Gemini => crate::gemini::NAME,
            Format::Ollama(_) => crate::ollama::NAME,
            Format::OpenAiChat(_) => crate::openai_chat::NAME,
            Format::OpenAiResponses => crate::openai_responses::NAME,
        }
    }
}

impl Preset {
    /// A codec for it.
    #[must_use]
    pub fn codec(&self) -> Box<dyn Codec> {
        self.format.codec()
    }
}

/// Every preset: the makers of the formats first, then by name, a server without a preset last.
#[must_use]
pub fn presets() -> &'static [Preset] {
    PRESETS
}

/// The preset of that name.
#[must_use]
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// The codec of that name ([`Codec::name`]), for a server that has no preset.
#[must_use]
pub fn codec(name: &str) -> Option<Box<dyn Codec>> {
    Format::named(name).map(Format::codec)
}

const COMPATIBLE: Quirks = Quirks::COMPATIBLE;

/// OpenAI itself, and what passes requests on to it unchanged.
const OPENAI: Quirks = Quirks {
    output_limit: OutputLimit::MaxCompletionTokens,
    instructions: Instructions::Developer,
    strictness: Strictness::Strict,
    ..COMPATIBLE
};

/// Servers that bring OpenAI's models under their own rules.
const TRANSLATING: Quirks = Quirks { openai_rules: OpenAiRules::Relaxed, ..COMPATIBLE };

/// The same, with the newer name of the limit.
const RENAMED: Quirks = Quirks { output_limit: OutputLimit::MaxCompletionTokens, ..TRANSLATING };

const OPENROUTER: Quirks = Quirks {
    effort: EffortField::Reasoning,
    carried: CarriedField::ReasoningDetails,
    caching: Caching::AskedOfAnthropic,
    ..TRANSLATING
};

const DEEPSEEK: Quirks =
    Quirks { structure: Structure::Object, carried: CarriedField::ReasoningContent, ..TRANSLATING };

const MISTRAL: Quirks = Quirks {
    stream_usage: StreamUsage::Unasked,
    call_ids: CallIds::Nine,
    after_tools: AfterTools::ModelSpeaks,
    ..TRANSLATING
};

const MOONSHOT: Quirks = Quirks {
    output_limit: OutputLimit::MaxCompletionTokens,
    effort: EffortField::Thinking,
    carried: CarriedField::ReasoningContent,
    ..TRANSLATING
};

const ZAI: Quirks = Quirks {
    structure: Structure::Object,
    effort: EffortField::Thinking,
    carried: CarriedField::ReasoningContent,
    ..TRANSLATING
};

/// Servers of open models that put the reasoning back into the model's template.
const LOCAL: Quirks = Quirks { carried: CarriedField::ReasoningContent, ..TRANSLATING };

const fn hosted(
    name: &'static str,
    title: &'static str,
    format: Format,
    base_url: &'static str,
    key_variables: &'static [&'static str],
) -> Preset {
    let base_url = Some(base_url);
    Preset {
        name,
        title,
        format,
        base_url,
        key_variables,
        key_need: KeyNeed::Required,
        model: None,
        window_tokens: None,
    }
}

const fn local(name: &'static str, title: &'static str, format: Format, base_url: &'static str) -> Preset {
    Preset { key_need: KeyNeed::Optional, ..hosted(name, title, format, base_url, &[]) }
}

const fn chat(quirks: Quirks) -> Format {
    Format::OpenAiChat(quirks)
}

impl Preset {
    const fn with_model(self, model: &'static str, window_tokens: Option<u32>) -> Preset {
        Preset { model: Some(model), window_tokens, ..self }
    }

    const fn with_key(self, key_variables: &'static [&'static str]) -> Preset {
        Preset { key_variables, ..self }
    }

    const fn anywhere(self) -> Preset {
        Preset { base_url: None, ..self }
    }
}

const PRESETS: &[Preset] = &[
    hosted("anthropic", "Anthropic", Format::Anthropic, "https://api.anthropic.com", &["ANTHROPIC_API_KEY"])
        .with_model("claude-sonnet-5-5", None),
    hosted("openai", "OpenAI", Format::OpenAiResponses, "https://api.openai.com/v1", &["OPENAI_API_KEY"])
        .with_model("gpt-6.1-terra", None),
    hosted(
        "gemini",
        "Google Gemini",
        Format::Gemini,
        "https://generativelanguage.googleapis.com",
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    )
    .with_model("gemini-3.8-flash", Some(1_048_576)),
    local("ollama", "Ollama", Format::Ollama(Some(OLLAMA_WINDOW_TOKENS)), "http://127.0.0.1:11434")
        .with_key(&["OLLAMA_API_KEY"]),
    hosted("openai-chat", "OpenAI (Chat Completions)", chat(OPENAI), "https://api.openai.com/v1", &["OPENAI_API_KEY"])
        .with_model("gpt-4.1", Some(1_047_576)),
    hosted(
        "azure",
        "Azure OpenAI (v1)",
        Format::OpenAiResponses,
        "https://RESOURCE.openai.azure.com/openai/v1",
        &["AZURE_OPENAI_API_KEY"],
    )
    .anywhere(),
    hosted("cerebras", "Cerebras", chat(RENAMED), "https://api.cerebras.ai/v1", &["CEREBRAS_API_KEY"])
        .with_model("gpt-oss-120b", Some(131_072)),
    hosted("deepseek", "DeepSeek", chat(DEEPSEEK), "https://api.deepseek.com", &["DEEPSEEK_API_KEY"])
        .with_model("deepseek-v4-flash", Some(1_000_000)),
    hosted(
        "fireworks",
        "Fireworks AI",
        chat(TRANSLATING),
        "https://api.fireworks.ai/inference/v1",
        &["FIREWORKS_API_KEY"],
    )
    .with_model("accounts/fireworks/models/gpt-oss-120b", Some(131_072)),
    hosted("github", "GitHub Models", chat(COMPATIBLE), "https://models.github.ai/inference", &["GITHUB_TOKEN"])
        .with_model("openai/gpt-4.1", None),
    hosted("groq", "Groq", chat(RENAMED), "https://api.groq.com/openai/v1", &["GROQ_API_KEY"])
        .with_model("openai/gpt-oss-120b", Some(131_072)),
    hosted(
        "huggingface",
        "Hugging Face (router)",
        chat(TRANSLATING),
        "https://router.huggingface.co/v1",
        &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
    )
    .with_model("openai/gpt-oss-120b", Some(131_072)),
    local("litellm", "LiteLLM", chat(COMPATIBLE), "http://127.0.0.1:4000/v1").with_key(&["LITELLM_API_KEY"]),
    local("llama-cpp", "llama.cpp server", chat(LOCAL), "http://127.0.0.1:8080/v1").with_key(&["LLAMA_API_KEY"]),
    local("lm-studio", "LM Studio", chat(TRANSLATING), "http://127.0.0.1:1234/v1").with_key(&["LM_API_TOKEN"]),
    hosted("mistral", "Mistral AI", chat(MISTRAL), "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"])
        .with_model("mistral-medium-latest", None),
    hosted("moonshot", "Moonshot AI (Kimi)", chat(MOONSHOT), "https://api.moonshot.ai/v1", &["MOONSHOT_API_KEY"])
        .with_model("kimi-k2.6", Some(262_144)),
    hosted("nvidia", "NVIDIA NIM", chat(TRANSLATING), "https://integrate.api.nvidia.com/v1", &["NVIDIA_API_KEY"])
        .with_model("openai/gpt-oss-120b", Some(131_072)),
    hosted("ollama-cloud", "Ollama Cloud", Format::Ollama(None), "https://ollama.com", &["OLLAMA_API_KEY"])
        .with_model("gpt-oss:120b", Some(131_072)),
    hosted("openrouter", "OpenRouter", chat(OPENROUTER), "https://openrouter.ai/api/v1", &["OPENROUTER_API_KEY"])
        .with_model("openrouter/auto", None),
    hosted(
        "qwen",
        "Qwen (Alibaba Cloud)",
        chat(TRANSLATING),
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        &["DASHSCOPE_API_KEY"],
    )
    .with_model("qwen-plus", None),
    hosted("together", "Together AI", chat(TRANSLATING), "https://api.together.xyz/v1", &["TOGETHER_API_KEY"])
        .with_model("openai/gpt-oss-120b", Some(131_072)),
    local("vllm", "vLLM", chat(LOCAL), "http://127.0.0.1:8000/v1").with_key(&["VLLM_API_KEY"]),
    hosted("xai", "xAI", chat(RENAMED), "https://api.x.ai/v1", &["XAI_API_KEY"])
        .with_model("grok-4.3", Some(1_000_000)),
    hosted("zai", "Z.ai", chat(ZAI), "https://api.z.ai/api/paas/v4", &["ZAI_API_KEY"]).with_model("glm-5.1", None),
    local("custom", "another OpenAI-compatible server", chat(COMPATIBLE), "http://127.0.0.1:8000/v1")
        .anywhere()
        .with_key(&["AETHER_API_KEY"]),
];
