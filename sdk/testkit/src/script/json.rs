//! Reads a script from JSON, strictly: an unknown key is an error that names its place.

use serde_json::{Map, Value};

use super::{
    Checks, Comments, DataLines, End, Failure, Framing, Item, LastLine, LineEnd, Outcome, Place, Raw, Reply, Script,
    ScriptError, Speaker, Transport, Turn, Usage, When,
};
use crate::dialect::Dialect;

type Read<T> = Result<T, ScriptError>;

pub(super) fn script(text: &str) -> Read<Script> {
    let value: Value = serde_json::from_str(text).map_err(|error| fault("", format!("not JSON: {error}")))?;
    let at = Node { value: &value, place: String::new() };
    let map = at.keys(&["models", "keys", "checks", "turns"])?;
    let mut script = Script::new();
    for (key, value) in map {
        let at = at.child(key, value);
        match key.as_str() {
            "models" => script.models = at.texts()?,
            "keys" => script.keys = at.texts()?,
            "checks" => script.checks = at.word(&[("strict", Checks::Strict), ("skipped", Checks::Skipped)])?,
            _ => script.turns = at.items()?.iter().map(turn).collect::<Read<_>>()?,
        }
    }
    Ok(script)
}

/// A value and where it stands.
struct Node<'a> {
    value: &'a Value,
    place: String,
}

fn fault(place: &str, message: impl Into<String>) -> ScriptError {
    ScriptError { place: place.to_owned(), message: message.into() }
}

impl<'a> Node<'a> {
    fn child(&self, key: &str, value: &'a Value) -> Node<'a> {
        let dot = if self.place.is_empty() { "" } else { "." };
        Node { value, place: format!("{}{dot}{key}", self.place) }
    }

    fn wrong<T>(&self, wanted: &str) -> Read<T> {
        let found: String = self.value.to_string().chars().take(60).collect();
        Err(fault(&self.place, format!("found {found}, wanted {wanted}")))
    }

    fn keys(&self, known: &[&str]) -> Read<&'a Map<String, Value>> {
        let Value::Object(map) = self.value else { return self.wrong("an object") };
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(fault(&self.place, format!("unknown key {key:?}, known are {}", known.join(", ")))),
            None => Ok(map),
        }
    }

    fn items(&self) -> Read<Vec<Node<'a>>> {
        let Value::Array(items) = self.value else { return self.wrong("a list") };
        let node = |(index, value)| Node { value, place: format!("{}[{index}]", self.place) };
        Ok(items.iter().enumerate().map(node).collect())
    }

    fn text(&self) -> Read<String> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            _ => self.wrong("a text"),
        }
    }

    /// One text or a list of texts.
    fn texts(&self) -> Read<Vec<String>> {
        match self.value {
            Value::String(text) => Ok(vec![text.clone()]),
            _ => self.items()?.iter().map(Node::text).collect(),
        }
    }

    fn number(&self) -> Read<u64> {
        match self.value.as_u64() {
            Some(number) => Ok(number),
            None => self.wrong("a whole number"),
        }
    }

    fn number_up_to(&self, max: u32) -> Read<u32> {
        match u32::try_from(self.number()?) {
            Ok(number) if number <= max => Ok(number),
            _ => self.wrong(&format!("a number up to {max}")),
        }
    }

    fn status(&self) -> Read<u16> {
        match u16::try_from(self.number()?) {
            Ok(status @ 200..=599) => Ok(status),
            _ => self.wrong("an HTTP status from 200 to 599"),
        }
    }

    fn word<T: Clone>(&self, words: &[(&str, T)]) -> Read<T> {
        let found = words.iter().find(|(word, _)| self.value == word);
        match found {
            Some((_, value)) => Ok(value.clone()),
            None => self.wrong(&words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ")),
        }
    }
}

fn turn(at: &Node<'_>) -> Read<Turn> {
    let map = at.keys(&["when", "uses", "reply", "usage", "end", "failure", "raw", "transport"])?;
    let mut turn = Turn::reply(Vec::new());
    let mut reply = Reply::default();
    let mut outcomes = 0;
    for (key, value) in map {
        let at = at.child(key, value);
        match key.as_str() {
            "when" => turn.when = when(&at)?,
            "uses" if at.value == "any" => turn.uses = None,
            "uses" => turn.uses = Some(at.number_up_to(u32::MAX)?),
            "reply" => {
                outcomes += 1;
                reply.items = at.items()?.iter().map(item).collect::<Read<_>>()?;
            }
            "usage" => reply.usage = Some(usage(&at)?),
            "end" => reply.end = Some(end(&at)?),
            "failure" => {
                outcomes += 1;
                turn.outcome = Outcome::Failure(failure(&at)?);
            }
            "raw" => {
                outcomes += 1;
                turn.outcome = Outcome::Raw(raw(&at)?);
            }
            _ => turn.transport = transport(&at)?,
        }
    }
    if outcomes != 1 {
        return Err(fault(&at.place, format!("found {outcomes} of reply, failure and raw, wanted one")));
    }
    if let Outcome::Reply(empty) = &mut turn.outcome {
        *empty = reply;
    }
    Ok(turn)
}

fn when(at: &Node<'_>) -> Read<When> {
    let mut when = When::default();
    for (key, value) in at.keys(&["model", "contains", "dialect", "last"])? {
        let at = at.child(key, value);
        match key.as_str() {
            "model" => when.model = Some(at.text()?),
            "contains" => when.contains = Some(at.text()?),
            "dialect" => when.dialect = Some(at.word(&Dialect::ALL.map(|dialect| (dialect.name(), dialect)))?),
            _ => when.last = Some(at.word(&[("user", Speaker::User), ("tool", Speaker::Tool)])?),
        }
    }
    Ok(when)
}

fn item(at: &Node<'_>) -> Read<Item> {
    if let Value::String(text) = at.value {
        return Ok(Item::text(text));
    }
    let map = at.keys(&["text", "times", "reasoning", "call", "id", "input", "fragments", "failure"])?;
    let key = |name: &str| map.get(name).map(|value| at.child(name, value));
    if let Some(text) = key("text") {
        let times = key("times").map_or(Ok(1), |times| times.number_up_to(10_000_000))?;
        return Ok(Item::Text { pieces: text.texts()?, times });
    }
    if let Some(reasoning) = key("reasoning") {
        return Ok(Item::Reasoning(reasoning.texts()?));
    }
    if let Some(at) = key("failure") {
        return Ok(Item::Failure(failure(&at)?));
    }
    let Some(name) = key("call") else { return at.wrong("text, reasoning, call or failure") };
    let mut item = match key("input") {
        Some(input) => Item::call(&name.text()?, &input.value.to_string()),
        None => Item::call(&name.text()?, "{}"),
    };
    if let Item::Call { id, fragments, .. } = &mut item {
        *id = key("id").map(|id| id.text()).transpose()?;
        if let Some(at) = key("fragments") {
            *fragments = at.texts()?;
        }
    }
    Ok(item)
}

fn usage(at: &Node<'_>) -> Read<Usage> {
    let mut usage = Usage::default();
    for (key, value) in at.keys(&["input", "output", "cached", "cache_write", "reasoning"])? {
        let number = at.child(key, value).number()?;
        match key.as_str() {
            "input" => usage.input_tokens = number,
            "output" => usage.output_tokens = number,
            "cached" => usage.cached_tokens = number,
            "cache_write" => usage.cache_write_tokens = number,
            _ => usage.reasoning_tokens = number,
        }
    }
    Ok(usage)
}

fn end(at: &Node<'_>) -> Read<End> {
    let word = at.text()?;
    Ok(match word.as_str() {
        "done" => End::Done,
        "calls" => End::Calls,
        "length" => End::Length,
        "refused" => End::Refused,
        _ => End::Word(word),
    })
}

fn failure(at: &Node<'_>) -> Read<Failure> {
    let mut failure = Failure::new(500, "scripted failure");
    for (key, value) in at.keys(&["status", "message", "kind", "code", "retry_after"])? {
        let at = at.child(key, value);
        match key.as_str() {
            "status" => failure.status = at.status()?,
            "message" => failure.message = at.text()?,
            "kind" => failure.kind = at.text()?,
            "code" => failure.code = Some(at.text()?),
            _ => failure.retry_after = Some(at.text()?),
        }
    }
    Ok(failure)
}

fn raw(at: &Node<'_>) -> Read<Raw> {
    let mut raw = Raw { status: 200, content_type: "text/plain".to_owned(), body: Vec::new(), times: 1 };
    for (key, value) in at.keys(&["status", "content_type", "body", "times"])? {
        let at = at.child(key, value);
        match key.as_str() {
            "status" => raw.status = at.status()?,
            "content_type" => raw.content_type = at.text()?,
            "body" => raw.body = at.text()?.into_bytes(),
            _ => raw.times = at.number_up_to(u32::MAX)?,
        }
    }
    Ok(raw)
}

fn transport(at: &Node<'_>) -> Read<Transport> {
    let mut transport = Transport::default();
    let mut framing = Framing::default();
    let known = [
        "head_delay_ms",
        "piece_delay_ms",
        "chunk_bytes",
        "chunk_delay_ms",
        "cut",
        "hang",
        "line_end",
        "comments",
        "data",
        "last",
        "headers",
    ];
    for (key, value) in at.keys(&known)? {
        let at = at.child(key, value);
        match key.as_str() {
            "head_delay_ms" => transport.head_delay_ms = at.number()?,
            "piece_delay_ms" => transport.piece_delay_ms = at.number()?,
            "chunk_bytes" => transport.chunk_bytes = at.number_up_to(u32::MAX)? as usize,
            "chunk_delay_ms" => transport.chunk_delay_ms = at.number()?,
            "cut" => transport.cut = Some(place(&at)?),
            "hang" => transport.hang = Some(place(&at)?),
            "line_end" => framing.line_end = at.word(&[("usual", LineEnd::Usual), ("crlf", LineEnd::CrLf)])?,
            "comments" => {
                framing.comments = at.word(&[("none", Comments::None), ("everywhere", Comments::Everywhere)])?;
            }
            "data" => framing.data = at.word(&[("one", DataLines::One), ("two", DataLines::Two)])?,
            "last" => framing.last = at.word(&[("whole", LastLine::Whole), ("open", LastLine::Open)])?,
            _ => {
                let Value::Object(headers) = at.value else { return at.wrong("an object of texts") };
                for (name, value) in headers {
                    transport.headers.push((name.clone(), at.child(name, value).text()?));
                }
            }
        }
    }
    transport.framing = framing;
    Ok(transport)
}

fn place(at: &Node<'_>) -> Read<Place> {
    if at.value.is_u64() {
        return Ok(Place::AfterBytes(at.number()?));
    }
    at.word(&[("before_head", Place::BeforeHead), ("in_head", Place::InHead)])
}

#[cfg(test)]
mod tests {
    use super::super::{Checks, End, Item, Outcome, Place, Script, Speaker};

    #[test]
    fn every_key_is_read() {
        let script = Script::from_json(
            r#"{"models": ["m"], "keys": ["k"], "checks": "skipped", "turns": [
              {"when": {"model": "m", "contains": "hi", "dialect": "gemini", "last": "tool"}, "uses": "any",
               "reply": ["a", {"text": ["b", "c"], "times": 2}, {"reasoning": "r"},
                         {"call": "clock", "id": "i", "input": {"z": "Oslo"}}, {"call": "x", "fragments": ["{", "}"]},
                         {"failure": {"status": 529, "message": "m", "kind": "k", "code": "c"}}],
               "usage": {"input": 1, "output": 2, "cached": 3, "cache_write": 4, "reasoning": 5}, "end": "pause_turn",
               "transport": {"head_delay_ms": 1, "piece_delay_ms": 2, "chunk_bytes": 3, "chunk_delay_ms": 4, "cut": 5,
                 "hang": "in_head", "line_end": "crlf", "comments": "everywhere", "data": "two", "last": "open",
                 "headers": {"x-a": "b"}}},
              {"failure": {"status": 429, "retry_after": "3"}},
              {"raw": {"status": 502, "content_type": "text/html", "body": "<p>", "times": 2}, "uses": 4}]}"#,
        )
        .unwrap();
        assert_eq!((script.checks, script.turns.len()), (Checks::Skipped, 3));
        let turn = &script.turns[0];
        assert_eq!((turn.uses, turn.when.last), (None, Some(Speaker::Tool)));
        let Outcome::Reply(reply) = &turn.outcome else { panic!("{turn:?}") };
        assert_eq!(reply.items.len(), 6);
        assert_eq!(reply.end, Some(End::Word("pause_turn".to_owned())));
        assert_eq!(reply.usage.unwrap().reasoning_tokens, 5);
        let Item::Call { fragments, .. } = &reply.items[3] else { panic!("{reply:?}") };
        assert_eq!(fragments.concat(), r#"{"z":"Oslo"}"#);
        assert_eq!(turn.transport.cut, Some(Place::AfterBytes(5)));
        assert_eq!(script.turns[2].uses, Some(4));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (text, place) in [
            ("{", ""),
            ("[]", ""),
            (r#"{"turn": []}"#, ""),
            (r#"{"turns": [{}]}"#, "turns[0]"),
            (r#"{"turns": [{"reply": [], "raw": {}}]}"#, "turns[0]"),
            (r#"{"turns": [{"reply": [{"txt": "a"}]}]}"#, "turns[0].reply[0]"),
            (r#"{"turns": [{"reply": [{"times": 2}]}]}"#, "turns[0].reply[0]"),
            (r#"{"turns": [{"reply": [7]}]}"#, "turns[0].reply[0]"),
            (r#"{"turns": [{"raw": {"status": 99}}]}"#, "turns[0].raw.status"),
            (r#"{"turns": [{"reply": [], "uses": -1}]}"#, "turns[0].uses"),
            (r#"{"turns": [{"reply": [], "when": {"dialect": "x"}}]}"#, "turns[0].when.dialect"),
            (r#"{"turns": [{"reply": [], "transport": {"cut": "x"}}]}"#, "turns[0].transport.cut"),
        ] {
            let error = Script::from_json(text).unwrap_err();
            assert_eq!(error.place, place, "{error}");
        }
    }
}
