//! `builtin/script`: a model that says what a file tells it to, for tests and demonstrations without any model.
//!
//! A script is JSON Lines, one turn of the model a line: `say` is its text, `calls` are its tool calls, and `expect` is a
//! text that the results of the calls before must contain, so that a script that no longer fits ends with an error
//! instead of going on blindly.

use aether_core::model::{ModelError, ModelErrorKind, ModelEvent, Part, Question, Stop, ToolUse};
use aether_core::tool::ToolCall;
use aether_core::transcript::Entry;
use serde_json::{Map, Value};

use crate::usage;

/// The model's name, as it is asked for.
pub const SCRIPT_NAME: &str = "builtin/script";

/// What marks its turns in a transcript ([`aether_core::model::Codec::name`]).
pub const SCRIPT_CODEC: &str = "script";

/// The most bytes of a script.
pub const SCRIPT_BYTES_MAX: usize = 4 << 20;

/// How much of a result an error quotes.
const QUOTE_BYTES_MAX: usize = 400;

/// Turns to be played in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    turns: Vec<Turn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Turn {
    line: usize,
    expect: Vec<String>,
    say: String,
    calls: Vec<(String, String)>,
}

impl Script {
    /// Reads a script. Empty lines and lines that begin with `#` are left out.
    ///
    /// # Errors
    /// Names the line, what was found and what was wanted.
    pub fn parse(text: &str) -> Result<Script, String> {
        if text.len() > SCRIPT_BYTES_MAX {
            return Err(format!("the script has {} bytes; at most {SCRIPT_BYTES_MAX} are taken", text.len()));
        }
        let mut turns = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let content = line.trim();
            if !content.is_empty() && !content.starts_with('#') {
                turns.push(turn(index + 1, content).map_err(|why| format!("line {}: {why}", index + 1))?);
            }
        }
        if turns.is_empty() { Err("the script has no turn".into()) } else { Ok(Script { turns }) }
    }

    /// The next turn, as the answer to a question.
    #[must_use]
    pub fn answer(&self, question: &Question<'_>) -> Vec<ModelEvent> {
        let played = played(question.entries);
        let Some(turn) = self.turns.get(played) else {
            return failed(format!("the script is over: all of its {} turns were played", self.turns.len()));
        };
        let results = results(question.entries);
        if let Some(missing) = turn.expect.iter().find(|wanted| !results.contains(wanted.as_str())) {
            let seen = &results[..results.floor_char_boundary(QUOTE_BYTES_MAX)];
            return failed(format!(
                "line {} of the script expects `{missing}`; the last results are: {seen}",
                turn.line
            ));
        }
        if question.tool_use == ToolUse::Forbidden && !turn.calls.is_empty() {
            return failed(format!("line {} of the script calls tools, and this question forbids it", turn.line));
        }
        let mut events = vec![ModelEvent::Carried((played + 1).to_string().into())];
        if !turn.say.is_empty() {
            events.push(ModelEvent::Text(turn.say.clone()));
        }
        events.extend(turn.calls.iter().enumerate().map(|(n, (tool, input))| {
            let id = format!("script-{}-{}", turn.line, n + 1);
            ModelEvent::Call(ToolCall { id: id.into(), name: tool.as_str().into(), input: input.as_str().into() })
        }));
        events.push(ModelEvent::Usage(usage(question, &events)));
        events.push(ModelEvent::Stop(if turn.calls.is_empty() { Stop::Done } else { Stop::Calls }));
        events
    }
}

fn failed(message: String) -> Vec<ModelEvent> {
    vec![ModelEvent::Error(ModelError::new(ModelErrorKind::Unsupported, message))]
}

/// How many turns were played: the last turn carries the number, whatever was folded away before it.
fn played(entries: &[Entry]) -> usize {
    let carried = |entry: &Entry| match entry {
        Entry::Model { parts, codec } if *codec == SCRIPT_CODEC => parts.iter().find_map(|part| match part {
            Part::Carried(text) => text.parse().ok(),
            _ => None,
        }),
        _ => None,
    };
    entries.iter().rev().find_map(carried).unwrap_or(0)
}

/// The results of the last turn's calls, one after the other.
fn results(entries: &[Entry]) -> String {
    let last = entries.iter().rev().take_while(|entry| !matches!(entry, Entry::Model { .. } | Entry::Person { .. }));
    let mut texts: Vec<&str> =
        last.filter_map(|entry| if let Entry::Tool(tool) = entry { Some(tool.shown()) } else { None }).collect();
    texts.reverse();
    texts.join("\n")
}

fn turn(line: usize, content: &str) -> Result<Turn, String> {
    let value: Value = serde_json::from_str(content).map_err(|error| error.to_string())?;
    let Value::Object(fields) = value else { return Err("a turn is a JSON object".into()) };
    if let Some(unknown) = fields.keys().find(|name| !["say", "calls", "expect"].contains(&name.as_str())) {
        return Err(format!("unknown field `{unknown}`; wanted {{say?, calls?, expect?}}"));
    }
    let say = match fields.get("say") {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err("`say` is no text".into()),
    };
    let expect = match fields.get("expect") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(texts)) => {
            let texts: Option<Vec<String>> = texts.iter().map(|text| Some(text.as_str()?.to_owned())).collect();
            texts.ok_or("`expect` is a text or a list of texts")?
        }
        Some(_) => return Err("`expect` is a text or a list of texts".into()),
    };
    let calls = match fields.get("calls") {
        None => Vec::new(),
        Some(Value::Array(calls)) => calls.iter().map(call).collect::<Result<_, _>>()?,
        Some(_) => return Err("`calls` is a list of {tool, input}".into()),
    };
    if say.is_empty() && calls.is_empty() {
        return Err("a turn says something or calls something".into());
    }
    Ok(Turn { line, expect, say, calls })
}

fn call(value: &Value) -> Result<(String, String), String> {
    let wanted = "a call is {\"tool\": NAME, \"input\": {…}}";
    let fields: &Map<String, Value> = value.as_object().ok_or(wanted)?;
    let tool = fields.get("tool").and_then(Value::as_str).ok_or(wanted)?;
    let input = match fields.get("input") {
        None => "{}".to_owned(),
        Some(input @ Value::Object(_)) => input.to_string(),
        Some(_) => return Err(wanted.into()),
    };
    if fields.keys().any(|name| name != "tool" && name != "input") {
        return Err(wanted.into());
    }
    Ok((tool.to_owned(), input))
}

#[cfg(test)]
mod tests {
    use aether_core::label::{Label, Origin};
    use aether_core::model::ModelOptions;
    use aether_core::transcript::{ToolEntry, ToolOutcome};

    use super::*;

    const SCRIPT: &str = r#"
# Two turns.
{"say": "Look.", "calls": [{"tool": "shell", "input": {"command": "ls"}}]}
{"expect": ["notes.md"], "say": "There are notes."}
"#;

    fn ask(script: &Script, entries: &[Entry]) -> Vec<ModelEvent> {
        let options = ModelOptions::default();
        script.answer(&Question {
            model: "script",
            system: "",
            tools: &[],
            tool_use: ToolUse::Allowed,
            entries,
            options: &options,
        })
    }

    fn goal() -> Entry {
        Entry::Person { text: "go".into(), images: Vec::new(), label: Label::from(Origin::Person) }
    }

    fn after(result: &str) -> Vec<Entry> {
        let call = ToolCall { id: "script-3-1".into(), name: "shell".into(), input: "{}".into() };
        let parts = vec![Part::Carried("1".into()), Part::Call(call)];
        let tool = ToolEntry {
            call: "script-3-1".into(),
            name: "shell".into(),
            outcome: ToolOutcome::Done,
            text: result.into(),
            folded: None,
            label: Label::from(Origin::Tool),
        };
        vec![goal(), Entry::Model { parts, codec: SCRIPT_CODEC }, Entry::Tool(tool)]
    }

    #[test]
    fn turns_are_played_in_order() {
        let script = Script::parse(SCRIPT).unwrap();
        let first = ask(&script, &[goal()]);
        assert!(first.contains(&ModelEvent::Text("Look.".into())));
        assert!(
            first.iter().any(|event| matches!(event, ModelEvent::Call(call) if &*call.input == r#"{"command":"ls"}"#))
        );
        assert_eq!(first.last(), Some(&ModelEvent::Stop(Stop::Calls)));
        let second = ask(&script, &after("notes.md"));
        assert!(second.contains(&ModelEvent::Text("There are notes.".into())));
        assert_eq!(second.last(), Some(&ModelEvent::Stop(Stop::Done)));
    }

    #[test]
    fn a_script_that_does_not_fit_ends_with_an_error() {
        let script = Script::parse(SCRIPT).unwrap();
        let [ModelEvent::Error(error)] = &ask(&script, &after("nothing"))[..] else { panic!() };
        assert!(error.to_string().contains("line 4 of the script expects `notes.md`"), "{error}");
        let mut over = after("notes.md");
        over[1] = Entry::Model { parts: vec![Part::Carried("2".into())], codec: SCRIPT_CODEC };
        let [ModelEvent::Error(error)] = &ask(&script, &over)[..] else { panic!() };
        assert!(error.to_string().contains("the script is over"), "{error}");
    }

    #[test]
    fn n5_a_wrong_script_is_named_by_its_line() {
        for (text, why) in [
            ("", "no turn"),
            ("{}", "line 1: a turn says something"),
            ("\n[1]", "line 2: a turn is a JSON object"),
            (r#"{"say": 1}"#, "`say` is no text"),
            (r#"{"sya": "x"}"#, "unknown field `sya`"),
            (r#"{"calls": [{"tool": "x", "input": "y"}]}"#, "a call is"),
            (r#"{"calls": [{"name": "x"}]}"#, "a call is"),
            (r#"{"say": "x", "expect": 1}"#, "`expect`"),
            ("{", "EOF"),
        ] {
            let error = Script::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
