//! The rules of configuration: what each kind takes, which source wins, and what an error says.

use aether_core::config::{Config, ConfigError, Key, Kind, Source, Value, nearest};

const KEYS: &[Key] = &[
    Key { name: "color", kind: Kind::Bool, default: Some("on"), doc: "Whether." },
    Key { name: "limits.calls", kind: Kind::Int { min: 1, max: 9 }, default: Some("3"), doc: "How many." },
    Key { name: "limits.bad", kind: Kind::Int { min: 1, max: 9 }, default: Some("10"), doc: "A default out of range." },
    Key { name: "name", kind: Kind::Text, default: None, doc: "What." },
];

const MORE: &[Key] = &[
    Key { name: "size", kind: Kind::Choice(&["small", "large"]), default: Some("small"), doc: "Which." },
    Key { name: "models", kind: Kind::List, default: Some("a, b,,c "), doc: "All." },
    Key { name: "providers.*.key", kind: Kind::Secret, default: None, doc: "Where." },
    Key { name: "providers.*.kind", kind: Kind::Text, default: Some("chat"), doc: "Which." },
];

#[cfg(test)]
fn config() -> Config {
    Config::new(&[KEYS, MORE])
}

fn file(line: u32) -> Source {
    Source::File { path: "c.toml".into(), line }
}

fn flag() -> Source {
    Source::Flag("--x".into())
}

fn environment() -> Source {
    Source::Environment("AETHER_X".into())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn list(items: &[&str]) -> Value {
    Value::List(items.iter().map(|item| (*item).to_owned()).collect())
}

#[test]
fn defaults_are_read_and_those_out_of_range_count_as_none() {
    let config = config();
    assert_eq!(config.keys().len(), 8);
    assert!(config.is_on("color"));
    assert_eq!(config.int("limits.calls"), Some(3));
    assert_eq!(config.value("limits.bad"), None);
    assert_eq!(config.value("name"), None);
    assert_eq!(config.text("size"), Some("small"));
    assert_eq!(config.list("models"), ["a", "b", "c"]);
    assert_eq!(config.explain("color"), [(Source::Default, Value::Bool(true))]);
    assert_eq!(config.explain("nothing"), []);
}

#[test]
fn a_value_of_another_type_is_not_there() {
    let config = config();
    assert_eq!(config.text("color"), None);
    assert_eq!(config.int("size"), None);
    assert_eq!(config.int("name"), None);
    assert_eq!(config.text("name"), None);
    assert!(!config.is_on("size"));
    assert!(!config.is_on("name"));
    assert!(config.list("size").is_empty());
}

#[test]
fn a_later_source_wins_whatever_the_order_of_saying() {
    let said = [(flag(), "8"), (file(3), "5"), (environment(), "7"), (file(4), "6"), (environment(), "4")];
    let mut config = config();
    for (source, value) in &said {
        config.say_text("limits.calls", value, source.clone()).unwrap();
    }
    let explained: Vec<(Source, Value)> = config.explain("limits.calls").to_vec();
    let order = [(Source::Default, 3), (file(3), 5), (file(4), 6), (environment(), 7), (environment(), 4), (flag(), 8)];
    assert_eq!(explained, order.map(|(source, n)| (source, Value::Int(n))));
    assert_eq!(config.int("limits.calls"), Some(8));
}

#[test]
fn kinds_take_their_values_and_no_other() {
    let bools = [("true", true), ("1", true), ("yes", true), ("on", true)];
    let bools = bools.into_iter().chain([("false", false), ("0", false), ("no", false), ("off", false)]);
    for (word, value) in bools {
        assert_eq!(Kind::Bool.read(word), Ok(Value::Bool(value)));
    }
    assert_eq!(Kind::Bool.read("maybe"), Err("wanted true or false".to_owned()));
    let int = Kind::Int { min: -1, max: 9 };
    assert_eq!(int.read("-1"), Ok(Value::Int(-1)));
    assert_eq!(int.read("9"), Ok(Value::Int(9)));
    for wrong in ["-2", "10", "x", "", "1.0", "99999999999999999999"] {
        assert_eq!(int.read(wrong), Err("wanted a whole number from -1 to 9".to_owned()), "{wrong}");
    }
    assert_eq!(int.check(text("1")), Err("wanted a whole number from -1 to 9".to_owned()));
    assert_eq!(Kind::Text.read(""), Ok(text("")));
    assert_eq!(Kind::Text.check(Value::Int(1)), Err("wanted a text".to_owned()));
    let choice = Kind::Choice(&["small", "large"]);
    assert_eq!(choice.read("large"), Ok(text("large")));
    assert_eq!(choice.read("Large"), Err("wanted one of small, large".to_owned()));
    assert_eq!(Kind::List.read(" a ,, b"), Ok(list(&["a", "b"])));
    assert_eq!(Kind::List.read(""), Ok(list(&[])));
    assert_eq!(Kind::List.check(text("a")), Err("wanted a list of texts".to_owned()));
}

#[test]
fn a_secret_is_a_reference_and_never_the_secret() {
    for reference in ["env:KEY", "file:/k"] {
        assert_eq!(Kind::Secret.read(reference), Ok(text(reference)));
    }
    let wanted = "wanted a reference: env:NAME or file:PATH, never the secret itself";
    for wrong in ["sk-123", "env:", "file:", "", "keyring:x", "ENV:KEY"] {
        assert_eq!(Kind::Secret.read(wrong), Err(wanted.to_owned()), "{wrong}");
    }
}

#[test]
fn an_unknown_key_is_an_error_with_the_nearest_name() {
    let mut config = config();
    let error = config.say("limits.cals", Value::Int(1), file(7)).unwrap_err();
    assert_eq!(error.to_string(), "c.toml:7: unknown key `limits.cals`; did you mean `limits.calls`?");
    let error = config.say_text("zzzzzzzzzzzz", "1", environment()).unwrap_err();
    let known = "`aether config explain` lists the known ones";
    assert_eq!(error.to_string(), format!("environment variable AETHER_X: unknown key `zzzzzzzzzzzz`; {known}"));
    assert!(matches!(error, ConfigError::UnknownKey { nearest: None, .. }));
}

#[test]
fn k6_a_wrong_value_changes_nothing() {
    let mut config = config();
    let before = config.clone();
    let error = config.say_text("limits.calls", "12", flag()).unwrap_err();
    assert_eq!(error.to_string(), "flag --x: `limits.calls`: wanted a whole number from 1 to 9");
    let error = config.say_text("color", "maybe", Source::Default).unwrap_err();
    assert_eq!(error.to_string(), "default: `color`: wanted true or false");
    config.say("models", Value::Int(1), file(1)).unwrap_err();
    for key in before.keys() {
        assert_eq!(config.explain(key.name), before.explain(key.name));
    }
}

#[test]
fn a_star_stands_for_any_one_name() {
    let mut config = config();
    config.say_text("providers.local.key", "env:A", file(1)).unwrap();
    config.say_text("providers.local.kind", "x", file(2)).unwrap();
    config.say_text("providers.away.key", "file:/k", file(3)).unwrap();
    assert_eq!(config.text("providers.local.key"), Some("env:A"));
    assert_eq!(config.names("providers.").collect::<Vec<_>>(), ["away", "local"]);
    assert_eq!(config.names("provider.").count(), 0);
    for unknown in ["providers.key", "providers..key", "providers.a.b.key", "providers.a", "providers.a.key.b", ""] {
        assert!(config.key(unknown).is_none(), "{unknown}");
    }
    assert_eq!(config.key("providers.a.key").map(|key| key.name), Some("providers.*.key"));
}

#[test]
fn values_are_written_as_they_are_read() {
    for (kind, written) in [
        (Kind::Bool, "true"),
        (Kind::Int { min: 0, max: 9 }, "7"),
        (Kind::Text, "a b"),
        (Kind::List, "a,b,c"),
        (Kind::List, ""),
    ] {
        assert_eq!(kind.read(written).unwrap().to_string(), written);
    }
}

#[test]
fn the_nearest_is_a_slip_of_the_hand_away() {
    let names = ["read_file", "write_file", "list_dir", "time"];
    for (slip, meant) in [
        ("read_fiel", Some("read_file")),
        ("Read_File", Some("read_file")),
        ("writefile", Some("write_file")),
        ("tmie", Some("time")),
        ("tim", Some("time")),
        ("ti", None),
        ("lits_dir", Some("list_dir")),
        ("", None),
        ("something_else", None),
        ("rad_fle", Some("read_file")),
        ("raad_fll", None),
        ("raad_flle", Some("read_file")),
        ("xxxx_file", None),
    ] {
        assert_eq!(nearest(slip, names), meant, "{slip}");
    }
    assert_eq!(nearest("x", []), None);
    assert_eq!(nearest("a", ["b", "c"]), None);
    assert_eq!(nearest("ab", ["ax"]), Some("ax"));
    assert_eq!(nearest("abc", ["axc", "abx", "abc"]), Some("abc"));
    assert_eq!(nearest("abcd", ["badc"]), None);
    assert_eq!(nearest("ca", ["abc"]), None);
    assert_eq!(nearest("abcdef", ["badcef"]), Some("badcef"));
}
