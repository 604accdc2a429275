//! Dry: `builtin/offline`, a small rule-based model without network, and `builtin/script`, which plays a file of turns.
//!
//! It is asked like any model ([`aether_core::model::Question`]) and answers like one, in events. What it does, it does
//! by rules: it finds out which file or folder a goal is about, reads it through the same tools that any model has,
//! counts, and reports facts, each with the lines that prove it. It says that it is no more than that. Its door is
//! [`answer`]; that of the other is [`Script`].
//!
//! What is not here: any understanding of language, any knowledge of the world, a network, a file, a clock, a random
//! number, state between two questions. What it must remember from one turn to the next it carries in its own turn
//! ([`aether_core::model::ModelEvent::Carried`]), so that results which were folded away are not missed.
//!
//! Invariants, cited by the tests:
//!
//! - **N1** the same question has the same answer.
//! - **N2** every number of a report was counted, and every place named is where it was counted.
//! - **N3** what was not read is said not to have been read.
//! - **N4** every answer says which model this is.
//! - **N5** no file, however strange, makes it panic, and what is carried and said is bounded.
//! - **N6** a file has the same facts, however it was sliced.
#![forbid(unsafe_code)]

mod access;
mod carry;
mod clock;
mod desk;
mod facts;
mod folder;
mod goal;
mod json_shape;
mod level;
mod log;
mod log_report;
mod numbers;
mod prose;
mod reading;
mod report;
mod script;
mod shelf;
mod spread;
mod stamp;
mod subject;
mod table;
mod template;
mod trace;
mod words;

use aether_core::model::{ModelError, ModelErrorKind, ModelEvent, Part, Question, Stop, ToolUse, Usage};
use aether_core::tool::ToolCall;
use aether_core::transcript::Entry;

use crate::desk::Turn;

pub use script::{SCRIPT_BYTES_MAX, SCRIPT_CODEC, SCRIPT_NAME, Script};

/// The model's name, as it is asked for.
pub const NAME: &str = "builtin/offline";

/// What marks its turns in a transcript ([`aether_core::model::Codec::name`]).
pub const CODEC: &str = "offline";

/// The context window it should be given, in tokens. One turn's slices of a file have about 65,000, so in this window
/// results are folded only after they were read, and a file of 5 MiB stays within the default budget of input tokens.
pub const WINDOW_TOKENS: u32 = 256_000;

/// Bytes that count as one token in [`Usage`]: an estimate, for governors to work with.
const BYTES_PER_TOKEN: u64 = 4;

/// The answer to a question: text in pieces of one line each, or tool calls, then what it cost, then why it ends.
///
/// Tools it may call, where they are declared: `read_file`, `list_dir`, `find_files`, `search_text`, `time` and
/// `calculate`. A question for structured output gets an error of the kind [`ModelErrorKind::Unsupported`].
#[must_use]
pub fn answer(question: &Question<'_>) -> Vec<ModelEvent> {
    if question.options.schema.is_some() {
        let message = "builtin/offline is a rule-based model and cannot answer in a given schema; leave the schema out, \
                       or connect a model that can with `aether onboard`";
        return vec![ModelEvent::Error(ModelError::new(ModelErrorKind::Unsupported, message))];
    }
    let mut events = Vec::new();
    let stop = if asks_for_summary(question) {
        events.push(ModelEvent::Text(
            "What was found so far is carried in the last turn of builtin/offline.\n".to_owned(),
        ));
        Stop::Done
    } else {
        match desk::turn(question) {
            Turn::Say(report) => {
                events.extend(report.into_pieces().into_iter().map(ModelEvent::Text));
                Stop::Done
            }
            Turn::Call { wishes, carried, progress } => {
                let made = calls_made(question.entries);
                events.push(ModelEvent::Reasoning(progress));
                events.push(ModelEvent::Carried(carried.into()));
                events.extend(wishes.into_iter().enumerate().map(|(n, wish)| {
                    let id = format!("offline-{}", made.saturating_add(n + 1));
                    ModelEvent::Call(ToolCall { id: id.into(), name: wish.tool.into(), input: wish.input.into() })
                }));
                Stop::Calls
            }
        }
    };
    events.push(ModelEvent::Usage(usage(question, &events)));
    events.push(ModelEvent::Stop(stop));
    events
}

/// Whether the kernel wants the conversation summarised to make room.
fn asks_for_summary(question: &Question<'_>) -> bool {
    let Some(Entry::Note { text, .. }) = question.entries.last() else { return false };
    question.tool_use == ToolUse::Forbidden && text.contains("Summarise")
}

/// The highest number among the ids of earlier calls, so that none is used twice.
fn calls_made(entries: &[Entry]) -> usize {
    let parts =
        entries.iter().filter_map(|entry| if let Entry::Model { parts, .. } = entry { Some(parts) } else { None });
    let number = |part: &Part| match part {
        Part::Call(call) => call.id.strip_prefix("offline-")?.parse().ok(),
        _ => None,
    };
    parts.flatten().filter_map(number).max().unwrap_or(0)
}

fn usage(question: &Question<'_>, events: &[ModelEvent]) -> Usage {
    let tools = question.tools.iter().map(|tool| tool.name.len() + tool.description.len() + tool.input.len());
    let entries = question.entries.iter().map(Entry::shown_bytes);
    let input = question.system.len() + tools.sum::<usize>() + entries.sum::<usize>();
    let output = events.iter().map(|event| match event {
        ModelEvent::Text(text) => text.len(),
        ModelEvent::Carried(text) => text.len(),
        ModelEvent::Call(call) => call.name.len() + call.input.len(),
        _ => 0,
    });
    let tokens = |bytes: usize| (bytes as u64).div_ceil(BYTES_PER_TOKEN);
    Usage { input_tokens: tokens(input), output_tokens: tokens(output.sum()), ..Usage::default() }
}
