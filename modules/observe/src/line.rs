//! One event as one line of JSON.

use std::borrow::Cow;

use aether_core::event::{Event, Next};
use aether_core::gate::Reason;
use aether_core::governor::Spending;
use aether_core::label::{Label, Origin};
use aether_core::model::{Stop, ToolUse, Usage};
use aether_core::tool::Act;

use crate::json::Json;
use crate::level::level;
use crate::moment;
use crate::schema::{VERSION, name};
use crate::stamp::Stamp;

/// The most bytes that one line has.
pub const LINE_BYTES_MAX: usize = 4 << 10;

/// The most bytes of a name from outside that are shown, before escaping.
pub const NAME_BYTES_MAX: usize = 128;

/// The most bytes of a tool's name: what [`aether_core::tool::Manifest::name`] may have.
const TOOL_BYTES_MAX: usize = 64;

/// The names behind the numbers in events.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// `provider/name` of each model of the fallback chain, in its order. A model that is not in it is written down by
    /// its number alone.
    pub models: &'a [String],
}

/// `event` as one JSON object, without a line break: at most [`LINE_BYTES_MAX`] bytes, fields as in
/// [`crate::schema`], attribute names of the OpenTelemetry semantic conventions for generative AI where one exists.
///
/// Whatever stands in a name, the line holds no control character and nothing that a terminal would act on.
#[must_use]
pub fn line(stamp: &Stamp, names: &Names<'_>, event: &Event) -> String {
    let mut json = Json::new(384);
    json.open('{');
    json.count("v", VERSION);
    json.text("at", &moment::write(stamp.unix_ms));
    json.text("trace", &stamp.trace.to_string());
    json.text("task", &stamp.task.to_string());
    if let Some(parent) = stamp.parent {
        json.text("parent", &parent.to_string());
    }
    json.text("level", level(event).name());
    json.text("event", name(event));
    match event {
        Event::Asked { .. } | Event::Answered { .. } | Event::Failed { .. } => question(&mut json, names, event),
        Event::Spawned { .. } | Event::Labelled { .. } | Event::Tripped { .. } => course(&mut json, event),
        Event::Folded { .. } | Event::Steered | Event::Ended { .. } => course(&mut json, event),
        Event::Allowed { .. }
        | Event::Wanted { .. }
        | Event::Approved { .. }
        | Event::Refused { .. }
        | Event::Returned { .. }
        | Event::Delegated { .. } => call(&mut json, event),
    }
    json.close('}');
    json.finish()
}

/// What happens between a task and a model.
fn question(json: &mut Json, names: &Names<'_>, event: &Event) {
    match event {
        Event::Asked { ask, model, attempt, entries, bytes, tool_use } => {
            json.count("ask", ask.0.into());
            json.count("model_index", *model as u64);
            if let Some(full) = names.models.get(*model) {
                let (provider, name) = full.split_once('/').unwrap_or(("", full));
                if !provider.is_empty() {
                    json.text("gen_ai.provider.name", cut(provider_name(provider)));
                }
                json.text("gen_ai.request.model", cut(name));
            }
            json.count("attempt", (*attempt).into());
            json.count("entries", *entries as u64);
            json.count("bytes", *bytes as u64);
            json.text("tool_use", if *tool_use == ToolUse::Allowed { "allowed" } else { "forbidden" });
        }
        Event::Answered { ask, usage, stop, calls } => {
            json.count("ask", ask.0.into());
            tokens(json, usage);
            json.words("gen_ai.response.finish_reasons", &mut [finish_reason(*stop)].into_iter());
            json.count("calls", *calls as u64);
        }
        Event::Failed { ask, kind, next } => {
            json.count("ask", ask.0.into());
            json.text("error.type", kind.name());
            json.text("next", next_name(*next));
            if let Next::Retry { after_ms } = next {
                json.count("after_ms", *after_ms);
            }
        }
        _ => {}
    }
}

/// What happens to a tool call.
fn call(json: &mut Json, event: &Event) {
    match event {
        Event::Allowed { run, tool, digest, acts } => {
            json.count("run", run.0.into());
            json.text("gen_ai.tool.name", &tool_name(&tool.name));
            json.text("tool_version", cut(&tool.version));
            json.text("tool_runtime", tool.runtime.name());
            json.words("acts", &mut acts.iter().map(Act::name));
            json.text("digest", &digest.to_string());
        }
        Event::Wanted { approval, tool, digest, reason } => {
            let (rule, act) = match reason {
                Reason::Policy(act) => ("policy", act),
                Reason::Sink(act) => ("sink", act),
            };
            json.count("approval", approval.0.into());
            json.text("gen_ai.tool.name", &tool_name(&tool.name));
            json.text("rule", rule);
            json.text("act", act.name());
            json.text("digest", &digest.to_string());
        }
        Event::Approved { approval, scope } => {
            json.count("approval", approval.0.into());
            json.text("scope", scope.name());
        }
        Event::Refused { tool, why } => {
            json.text("gen_ai.tool.name", &tool_name(tool));
            json.text("why", why);
        }
        Event::Returned { run, outcome, bytes, label } => {
            json.count("run", run.0.into());
            json.text("outcome", outcome.name());
            json.count("bytes", *bytes as u64);
            words(json, *label);
        }
        Event::Delegated { run } => json.count("run", run.0.into()),
        _ => {}
    }
}

/// What happens to the task as a whole.
fn course(json: &mut Json, event: &Event) {
    match event {
        Event::Spawned { depth, label } => {
            json.count("depth", (*depth).into());
            words(json, *label);
        }
        Event::Labelled { label } => words(json, *label),
        Event::Tripped { governor } => json.text("governor", governor.name()),
        Event::Folded { how, entries, bytes_before, bytes_after } => {
            json.text("how", how.name());
            json.count("entries", *entries as u64);
            json.count("bytes_before", *bytes_before as u64);
            json.count("bytes_after", *bytes_after as u64);
        }
        Event::Ended { verdict, spending } => {
            json.text("verdict", verdict);
            spent(json, spending);
        }
        _ => {}
    }
}

fn spent(json: &mut Json, spending: &Spending) {
    json.count("model_calls", spending.model_calls.into());
    json.count("tool_calls", spending.tool_calls.into());
    tokens(json, &spending.usage);
    json.count("cost_micro_usd", spending.cost_micro_usd());
    json.count("output_bytes", spending.output_bytes);
}

fn tokens(json: &mut Json, usage: &Usage) {
    json.count("gen_ai.usage.input_tokens", usage.input_tokens);
    json.count("gen_ai.usage.output_tokens", usage.output_tokens);
    json.count("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens);
    json.count("gen_ai.usage.cache_write.input_tokens", usage.cache_write_tokens);
    json.count("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens);
}

fn words(json: &mut Json, label: Label) {
    let origins = Origin::ALL.iter().filter(|origin| label.has(**origin)).map(|origin| origin.name());
    let bits = [(label.untrusted, "untrusted"), (label.private, "private")];
    json.words("label", &mut origins.chain(bits.into_iter().filter(|(set, _)| *set).map(|(_, name)| name)));
}

/// The values of `finish_reason` in the conventions' schema of output messages.
fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Done => "stop",
        Stop::Calls => "tool_call",
        Stop::Length => "length",
        Stop::Refused => "content_filter",
    }
}

/// The well-known values of `gen_ai.provider.name` where ours differ; any other name stands for itself.
fn provider_name(provider: &str) -> &str {
    match provider {
        "azure" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "moonshot" => "moonshot_ai",
        "openai-chat" => "openai",
        "xai" => "x_ai",
        other => other,
    }
}

fn next_name(next: Next) -> &'static str {
    match next {
        Next::Retry { .. } => "retry",
        Next::Fallback => "fallback",
        Next::Fold => "fold",
        Next::GiveUp => "give_up",
    }
}

/// A tool's name if a tool can have it (`[a-z][a-z0-9_]*`, at most 64 bytes), else only how long it is: a model may
/// write anything there, a secret or a sentence of its conversation too.
fn tool_name(name: &str) -> Cow<'_, str> {
    let is_possible = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= TOOL_BYTES_MAX
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_possible { name.into() } else { format!("({} bytes, no tool's name)", name.len()).into() }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME_BYTES_MAX)]
}
