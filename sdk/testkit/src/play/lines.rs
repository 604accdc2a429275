//! What a play says to a task, word by word, and how a refusal is written.

use aether_core::facts::{ChildReport, Surprise, Verdict};
use aether_core::governor::{Governor, Spending};
use aether_core::label::{Label, Origin};
use aether_core::model::{ModelError, ModelErrorKind, ModelEvent, Stop, Usage};
use aether_core::tool::ToolCall;

use super::notation::Words;
use super::stage::Actor;
use super::toolbox::label;

/// A model's answer: `say "…"`, `think "…"`, `carry "…"`, `call NAME[*N] "input"`, `usage IN OUT [cached N]`,
/// `stop WHY`, `fail KIND ["…"] [after MS]`. It stops by itself, unless the line ends with `...`.
pub(super) fn events(actor: &mut Actor, words: &mut Words) -> Result<Vec<ModelEvent>, String> {
    let mut events = Vec::new();
    let mut stop = Stop::Done;
    while let Some(word) = words.word() {
        match &*word {
            "say" => events.push(ModelEvent::Text(words.need_text()?)),
            "think" => events.push(ModelEvent::Reasoning(words.need_text()?)),
            "carry" => events.push(ModelEvent::Carried(words.need_text()?.into())),
            "usage" => events.push(ModelEvent::Usage(usage(words)?)),
            "call" => {
                stop = Stop::Calls;
                let word = words.need("a tool")?;
                let (name, times) = word.split_once('*').unwrap_or((&word, "1"));
                let input = words.text().unwrap_or_default();
                for _ in 0..super::notation::parsed(times)? {
                    actor.calls += 1;
                    let id = format!("c{}", actor.calls).into();
                    events.push(ModelEvent::Call(ToolCall { id, name: name.into(), input: input.as_str().into() }));
                }
            }
            "stop" => {
                let name = words.need("done, calls, length or refused")?;
                stop = Stop::named(&name).ok_or(format!("no answer stops with `{name}`"))?;
            }
            "fail" => {
                events.push(ModelEvent::Error(failure(words)?));
                return Ok(events);
            }
            "..." => return Ok(events),
            _ => return Err(format!("a model cannot `{word}`")),
        }
    }
    events.push(ModelEvent::Stop(stop));
    Ok(events)
}

fn usage(words: &mut Words) -> Result<Usage, String> {
    let (input_tokens, output_tokens) = (words.number()?, words.number()?);
    let cached_tokens = if words.takes("cached") { words.number()? } else { 0 };
    Ok(Usage { input_tokens, output_tokens, cached_tokens, ..Usage::default() })
}

fn failure(words: &mut Words) -> Result<ModelError, String> {
    let name = words.need("a kind of error")?;
    let kind = ModelErrorKind::named(&name).ok_or(format!("no error is called `{name}`"))?;
    let mut error = ModelError::new(kind, words.text().unwrap_or("it broke".to_owned()));
    if words.takes("after") {
        error.retry_after_ms = Some(words.number()?);
    }
    Ok(error)
}

/// `done`, `length`, `interrupted`, `spent`, `failed` or `refused`, and the answer; or `none "why"`. Then a label and
/// `used ASKS CALLS` follow, if wished.
pub(super) fn report(words: &mut Words) -> Result<ChildReport, String> {
    let word = words.need("how the child ended")?;
    let text = words.text().unwrap_or_default();
    let (verdict, answer) = match &*word {
        "none" => (Err(text.as_str().into()), String::new()),
        "done" => (Ok(Verdict::Done), text),
        "length" => (Ok(Verdict::Length), text),
        "interrupted" => (Ok(Verdict::Interrupted), text),
        "refused" => (Ok(Verdict::Refused), text),
        "spent" => (Ok(Verdict::Spent(Governor::Wall)), text),
        "failed" => (Ok(Verdict::Failed(ModelError::new(ModelErrorKind::Unavailable, "it broke"))), text),
        _ => return Err(format!("no child ends `{word}`")),
    };
    let mut spending = Spending::default();
    let mut own = Label::from(Origin::Person);
    while let Some(word) = words.word() {
        if word == "used" {
            (spending.model_calls, spending.tool_calls) = (words.number()?, words.number()?);
            spending.usage.input_tokens = words.number()?;
        } else {
            own = label(&word)?;
        }
    }
    Ok(ChildReport { verdict, answer: answer.into(), label: own, spending })
}

/// A refusal in words that name what was said.
pub(super) fn surprise(error: Surprise, said: &str, has_question: bool) -> String {
    let mut words = said.split_whitespace().skip_while(|word| word.ends_with(':'));
    let (verb, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match (error, verb) {
        (Surprise::NotOpen(_), "model") if !has_question => {
            format!("reply to ask {name}, but the model was not asked anything")
        }
        (Surprise::NotOpen(_), "model") => format!("reply to ask {name}, but another question is open"),
        (Surprise::NotOpen(_), "tool") => format!("result of {name}, but it does not run"),
        (Surprise::NotOpen(_), "child") => format!("report of {name}, but it does not work"),
        (Surprise::NotOpen(_), _) => format!("word on {name}, but nobody asked"),
        (other, _) => other.to_string(),
    }
}
