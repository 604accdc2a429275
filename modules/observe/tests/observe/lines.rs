//! Lines keep to the schema, and the schema is what `docs/events.md` says.

use std::collections::BTreeSet;
use std::fmt::Write;

use aether_core::event::Event;
use aether_core::model::ModelErrorKind;
use aether_observe::schema::{EVENTS, Field, Form, Kind, Presence, STAMP, VERSION};
use aether_observe::{LINE_BYTES_MAX, Level, Names, Stamp, TraceId, level, line};
use serde_json::{Map, Value};

use crate::check;
use crate::story::{self, Random};

fn written(event: &Event, models: &[String]) -> Map<String, Value> {
    let text = line(&story::stamp(), &Names { models }, event);
    assert!(!text.contains('\n') && !text.contains('\u{1b}'), "{text}");
    assert!(text.len() <= LINE_BYTES_MAX, "{} bytes: {text}", text.len());
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) => fields,
        other => panic!("{other:?}: {text}"),
    }
}

fn kind(fields: &Map<String, Value>) -> &'static Kind {
    EVENTS.iter().find(|kind| kind.name == fields["event"]).unwrap_or_else(|| panic!("not in the schema: {fields:?}"))
}

/// The fields are those of the schema, in its order, and hold what it says.
fn fits(fields: &Map<String, Value>) {
    let mut left = fields.iter().peekable();
    for field in STAMP.iter().chain(kind(fields).fields) {
        match left.next_if(|(name, _)| *name == field.name) {
            Some((_, value)) => assert!(is(field, value), "{} holds {value}", field.name),
            None => assert_eq!(field.presence, Presence::Sometimes, "{} is missing in {fields:?}", field.name),
        }
    }
    assert_eq!(left.next(), None, "not in the schema");
}

fn is(field: &Field, value: &Value) -> bool {
    match field.form {
        Form::Text => value.is_string(),
        Form::Number => value.is_u64(),
        Form::Words => value.as_array().is_some_and(|words| words.iter().all(Value::is_string)),
    }
}

/// O1: every kind of event is declared, and every field of it is seen at least once.
#[test]
fn every_event_is_as_the_schema_says() {
    let models = story::models();
    let mut seen = BTreeSet::new();
    for event in story::every() {
        let fields = written(&event, &models);
        fits(&fields);
        let kind = kind(&fields).name;
        seen.extend(fields.keys().map(|name| (kind, name.clone())));
    }
    for kind in EVENTS {
        for field in kind.fields {
            assert!(
                seen.contains(&(kind.name, field.name.to_owned())),
                "{} {} is never written",
                kind.name,
                field.name
            );
        }
    }
}

/// O1, O2: whatever stands in a name, a line is one bounded line of JSON with the fields of the schema.
#[test]
fn any_event_is_one_line_of_json() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_120);
    println!("SEED={seed}");
    let mut random = Random(seed);
    for _ in 0..4_000 {
        let models = [format!("{}/{}", random.text(400), random.text(400)), random.text(400)];
        fits(&written(&random.event(), &models));
    }
}

#[test]
fn a_line_reads_like_this() {
    let models = story::models();
    let text: String =
        story::every().iter().map(|event| line(&story::stamp(), &Names { models: &models }, event) + "\n").collect();
    check("tests/golden/every.jsonl", &text);
    check("tests/golden/story.jsonl", &story::lines());
}

/// O2: what a model writes as a tool's name may be a secret or a sentence; lines say only how long it was.
#[test]
fn a_name_that_no_tool_has_is_not_written_down() {
    let long = "a".repeat(65);
    for secret in ["sk-live-PLANTED", "ghp_PLANTED", "the password is PLANTED", "\u{1b}]0;PLANTED\u{7}", "", "ä", &long]
    {
        let event = Event::Refused { tool: secret.into(), why: "unreadable" };
        let fields = written(&event, &[]);
        assert_eq!(fields["gen_ai.tool.name"], format!("({} bytes, no tool's name)", secret.len()));
    }
    let event = Event::Refused { tool: "read_file2".into(), why: "tool" };
    assert_eq!(written(&event, &[])["gen_ai.tool.name"], "read_file2");
}

/// Descriptions and schemas of tools are not in lines, and neither is anything else that `story` plants.
#[test]
fn nothing_planted_comes_out() {
    let lines = story::lines();
    assert!(lines.len() > 5_000 && !lines.contains("PLANTED"));
    let models = story::models();
    for event in story::every() {
        assert!(!line(&story::stamp(), &Names { models: &models }, &event).contains("PLANTED"), "{event:?}");
    }
}

#[test]
fn models_have_the_names_of_the_conventions() {
    let models: Vec<String> =
        ["gemini/g", "xai/grok", "openai-chat/gpt", "azure/gpt", "mistral/m", "moonshot/k", "ollama/a/b:c", "alone"]
            .map(str::to_owned)
            .to_vec();
    let wanted = [
        ("gcp.gemini", "g"),
        ("x_ai", "grok"),
        ("openai", "gpt"),
        ("azure.ai.openai", "gpt"),
        ("mistral_ai", "m"),
        ("moonshot_ai", "k"),
        ("ollama", "a/b:c"),
        ("", "alone"),
    ];
    for (model, (provider, name)) in wanted.into_iter().enumerate() {
        let Event::Asked { ask, attempt, entries, bytes, tool_use, .. } = story::every().swap_remove(1) else {
            panic!()
        };
        let fields = written(&Event::Asked { ask, model, attempt, entries, bytes, tool_use }, &models);
        assert_eq!(fields.get("gen_ai.provider.name").and_then(Value::as_str).unwrap_or(""), provider);
        assert_eq!(fields["gen_ai.request.model"], name);
    }
}

/// The documents name every value that the kernel has words for.
#[test]
fn values_are_documented() {
    let meaning = |event: &str, field: &str| {
        let kind = EVENTS.iter().find(|kind| kind.name == event).unwrap();
        kind.fields.iter().find(|known| known.name == field).unwrap().meaning
    };
    for kind in ModelErrorKind::ALL {
        assert!(meaning("failed", "error.type").contains(&format!("`{}`", kind.name())));
    }
    for event in story::every() {
        let fields = written(&event, &[]);
        let (field, value) = match &event {
            Event::Tripped { .. } => ("governor", fields["governor"].clone()),
            Event::Folded { .. } => ("how", fields["how"].clone()),
            Event::Failed { .. } => ("next", fields["next"].clone()),
            Event::Wanted { .. } => ("rule", fields["rule"].clone()),
            Event::Approved { .. } => ("scope", fields["scope"].clone()),
            Event::Returned { .. } => ("outcome", fields["outcome"].clone()),
            Event::Answered { .. } => {
                ("gen_ai.response.finish_reasons", fields["gen_ai.response.finish_reasons"][0].clone())
            }
            _ => continue,
        };
        let value = value.as_str().unwrap();
        let text = meaning(kind(&fields).name, field);
        assert!(text.contains(&format!("`{value}`")), "{field} does not explain {value}");
    }
}

#[test]
fn levels_are_ordered_and_named() {
    assert_eq!(Level::named("warn"), Some(Level::Warn));
    assert_eq!(Level::named("off"), None);
    assert!(Level::Error < Level::Warn && Level::Warn < Level::Info && Level::Info < Level::Debug);
    for one in Level::ALL {
        assert_eq!(Level::named(one.name()), Some(*one));
    }
    let models = story::models();
    for event in story::every() {
        let fields = written(&event, &models);
        let said = kind(&fields).level;
        let level = level(&event).to_string();
        assert_eq!(fields["level"], level);
        assert!(
            said.split(';').any(|part| part.trim().starts_with(&level)),
            "{event:?}: {level}, documented as {said}"
        );
    }
}

#[test]
fn trace_ids_are_read_back() {
    let text = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(TraceId::parse(text).unwrap().to_string(), text);
    assert_eq!(TraceId::parse(&text.to_uppercase()), TraceId::parse(text));
    for wrong in ["", "4bf9", "+bf92f3577b34da6a3ce929d0e0e4736", "xbf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)] {
        assert_eq!(TraceId::parse(wrong), None, "{wrong}");
    }
    assert_eq!(TraceId::new([0; 16]).to_string(), format!("{:032x}", 1));
    assert_eq!(TraceId::parse(text).unwrap().bytes()[0], 0x4b);
}

/// A clock that is far off still gives a line that can be read.
#[test]
fn any_moment_can_be_written() {
    for unix_ms in [i64::MIN, -1, 0, i64::MAX] {
        let stamp = Stamp { unix_ms, parent: None, ..story::stamp() };
        let text = line(&stamp, &Names { models: &[] }, &Event::Steered);
        let fields: Map<String, Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(fields["at"].as_str().unwrap().len(), 24);
        assert!(!fields.contains_key("parent"));
    }
}

#[test]
fn the_document_is_made_from_the_schema() {
    let mut text = format!(
        "# Events\n\n\
         Every line of a trace, of a log and of `--json` that begins with `\"v\"` is one event: a JSON object on one line, version {VERSION} of this schema.\n\
         Lines hold ids, counts and names, never text of a conversation; a tool's name is written only if a tool can have it.\n\
         A new event or field does not change the version: readers pass over what they do not know.\n\
         Names that begin with `gen_ai.` and `error.` are those of the OpenTelemetry semantic conventions.\n\n\
         This file is made from `modules/observe/src/schema.rs`: `UPDATE=1 cargo test -p aether-observe`.\n\n\
         ## In every line\n\n"
    );
    table(STAMP, &mut text);
    for kind in EVENTS {
        let Kind { name, level, meaning, fields } = kind;
        let _written = write!(text, "\n## {name}\n\n{meaning} Level: {level}.\n");
        if !fields.is_empty() {
            text.push('\n');
            table(fields, &mut text);
        }
    }
    check("../../docs/events.md", &text);
}

fn table(fields: &[Field], text: &mut String) {
    text.push_str("| field | holds | meaning |\n|---|---|---|\n");
    for Field { name, form, presence, meaning } in fields {
        let form = match form {
            Form::Text => "text",
            Form::Number => "number",
            Form::Words => "list of texts",
        };
        let optional = if *presence == Presence::Sometimes { ", not always" } else { "" };
        let _written = writeln!(text, "| `{name}` | {form}{optional} | {meaning} |");
    }
}
