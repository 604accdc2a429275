//! Edits: where a key goes, and that everything else stays (S2, S3).

#![cfg(test)]

use aether_core::config::{Config, Kind};
use aether_settings::keys::TABLES;
use aether_settings::{key_name, read, set, spelled, unset};

fn kind(name: &str) -> Kind {
    Config::new(TABLES).key(name).expect("a known key").kind
}

/// What `text` becomes when `assignment`, such as `limits.depth=2`, is set.
fn check(text: &str, assignment: &str, wanted: &str) {
    let (typed, value) = assignment.split_once('=').unwrap();
    let name = key_name(typed).unwrap();
    assert_eq!(set(text, &name, value, kind(&name)).unwrap(), wanted, "set {assignment} in {text:?}");
}

fn refused(text: &str, assignment: &str, wanted: &str) {
    let (typed, value) = assignment.split_once('=').unwrap();
    let name = key_name(typed).unwrap();
    assert_eq!(set(text, &name, value, kind(&name)).unwrap_err().to_string(), wanted);
}

fn without(text: &str, typed: &str, wanted: Option<&str>) {
    assert_eq!(unset(text, &key_name(typed).unwrap()).unwrap().as_deref(), wanted, "unset {typed} in {text:?}");
}

#[test]
fn an_existing_value_is_replaced_in_its_place() {
    check(
        "# mine\nmodel   =  'a/b' # why\n\n[limits]\n",
        "model=c/d",
        "# mine\nmodel   =  \"c/d\" # why\n\n[limits]\n",
    );
    check(
        "fallback = [\n  \"a\", # one\n]\nmodel = \"x\"\n",
        "fallback=p/q,r/s",
        "fallback = [\"p/q\", \"r/s\"]\nmodel = \"x\"\n",
    );
    check("limits = { depth = 1, repeats = 2 }\n", "limits.depth=9", "limits = { depth = 9, repeats = 2 }\n");
    check("limits.depth = 1\r\nmodel = \"x\"\r\n", "limits.depth=2", "limits.depth = 2\r\nmodel = \"x\"\r\n");
}

#[test]
fn a_new_key_goes_to_the_end_of_its_table() {
    check(
        "[limits]\ndepth = 1 # deep\n\n[log]\nlevel = \"info\"\n",
        "limits.repeats=4",
        "[limits]\ndepth = 1 # deep\nrepeats = 4\n\n[log]\nlevel = \"info\"\n",
    );
    check("[limits] # all\n[log]\n", "limits.repeats=4", "[limits] # all\nrepeats = 4\n[log]\n");
    check("[limits]", "limits.repeats=4", "[limits]\nrepeats = 4\n");
    check("[limits]\r\ndepth = 1", "limits.repeats=4", "[limits]\r\ndepth = 1\r\nrepeats = 4\r\n");
    check("limits = {}\n", "limits.depth=1", "limits = { depth = 1 }\n");
    check("limits = { depth = 1 }\n", "limits.repeats=4", "limits = { depth = 1, repeats = 4 }\n");
    check("limits.depth = 1\n[log]\n", "limits.repeats=4", "limits.depth = 1\nlimits.repeats = 4\n[log]\n");
    check(
        "[providers]\na.base_url = \"u\"\n",
        "providers.a.kind=gemini",
        "[providers]\na.base_url = \"u\"\na.kind = \"gemini\"\n",
    );
}

#[test]
fn a_new_table_goes_to_the_end_of_the_file() {
    check("", "limits.depth=1", "[limits]\ndepth = 1\n");
    check("model = \"a\"", "limits.depth=1", "model = \"a\"\n\n[limits]\ndepth = 1\n");
    check(
        "[providers.a]\nkind = \"gemini\"\n",
        "providers.b.key=env:B",
        "[providers.a]\nkind = \"gemini\"\n\n[providers.b]\nkey = \"env:B\"\n",
    );
    check(
        "[providers.a.headers]\nx = \"y\"\n",
        "providers.a.key=env:B",
        "[providers.a.headers]\nx = \"y\"\n\n[providers.a]\nkey = \"env:B\"\n",
    );
    check(
        "",
        "prices.\"openai/gpt-4.1\".input_micro_usd_per_mtok=5",
        "[prices.\"openai/gpt-4.1\"]\ninput_micro_usd_per_mtok = 5\n",
    );
}

#[test]
fn a_new_key_of_the_root_goes_before_the_first_table() {
    check("", "model=a/b", "model = \"a/b\"\n");
    check("# mine\n", "model=a/b", "# mine\nmodel = \"a/b\"\n");
    check("[limits]\ndepth = 1\n", "model=a/b", "model = \"a/b\"\n\n[limits]\ndepth = 1\n");
    check("# mine\n\n# the limits\n[limits]\n", "model=a/b", "# mine\n\nmodel = \"a/b\"\n\n# the limits\n[limits]\n");
    check("color = \"never\"\n[limits]\n", "model=a/b", "color = \"never\"\nmodel = \"a/b\"\n[limits]\n");
}

#[test]
fn what_cannot_be_set_is_refused() {
    refused(
        "model = [",
        "model=a",
        "the configuration:1:10: unclosed array, expected `]`, in the line `model = [`; mend that first with `aether config edit`",
    );
    refused("", "limits.depth=99", "`limits.depth`: wanted a whole number from 0 to 16");
    refused(
        "\nlimits = 5\n",
        "limits.depth=1",
        "`limits.depth` cannot be set: a value stands in its place on line 2; use `aether config edit`",
    );
    refused(
        "[model]\nx = 1\n",
        "model=a",
        "`model` cannot be set: a table stands in its place on line 1; use `aether config edit`",
    );
}

#[test]
fn a_key_is_removed_with_its_line_and_nothing_else() {
    without("# mine\nmodel = \"a\" # why\ncolor = \"never\"\n", "model", Some("# mine\ncolor = \"never\"\n"));
    without("fallback = [\n \"a\",\n]\r\nmodel = \"x\"\n", "fallback", Some("model = \"x\"\n"));
    without("[limits]\ndepth = 1", "limits.depth", Some("[limits]\n"));
    without("limits.depth = 1\nlimits.repeats = 2\n", "limits.repeats", Some("limits.depth = 1\n"));
    without("limits = { depth = 1, repeats = 2 }\n", "limits.depth", Some("limits = { repeats = 2 }\n"));
    without("limits = { depth = 1, repeats = 2 }\n", "limits.repeats", Some("limits = { depth = 1 }\n"));
    without("limits = { depth = 1 }\n", "limits.depth", Some("limits = {  }\n"));
    without("model = \"a\"\n", "color", None);
    without("limits = 5\n", "limits.depth", None);
    let tangled = unset("providers = { a.kind = \"gemini\", a.key = \"env:A\" }\n", "providers.a.key").unwrap_err();
    assert_eq!(
        tangled.to_string(),
        "`providers.a.key` stands in a layout that only a person can edit; use `aether config edit`"
    );
}

/// xorshift64*, so that a failure can be run again from its seed.
fn next(seed: &mut u64) -> usize {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    (seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize
}

fn pick<T: Copy>(seed: &mut u64, from: &[T]) -> T {
    from[next(seed) % from.len()]
}

/// A known key with its stars filled in, and a value that it takes.
fn assignment(seed: &mut u64) -> (String, String, Kind) {
    let keys: Vec<_> = TABLES.iter().flat_map(|table| table.iter()).collect();
    let key = pick(seed, &keys);
    let mut name = String::new();
    for segment in key.name.split('.') {
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(if segment == "*" { pick(seed, &["a", "b-c", "x%2Ey", "ü z"]) } else { segment });
    }
    let value = match key.kind {
        Kind::Bool => pick(seed, &["true", "false"]).to_owned(),
        Kind::Int { min, max } => (min + (next(seed) as i64 % (max - min + 1))).to_string(),
        Kind::Text => pick(seed, &["", "plain", "q\"uo\\te", "two\nlines\u{1}", "# no comment", "ü"]).to_owned(),
        Kind::Choice(words) => pick(seed, words).to_owned(),
        Kind::List => pick(seed, &["", "a", "a,b\"c,d"]).to_owned(),
        Kind::Secret => pick(seed, &["env:A", "file:/a b"]).to_owned(),
    };
    (name, value, key.kind)
}

#[test]
fn what_is_set_is_read_back_and_every_other_line_stays() {
    let mut seed = 0x5eed_0002;
    println!("SEED={seed}");
    for _ in 0..300 {
        let mut text = pick(
            &mut seed,
            &["", "# mine\n\n", "# mine\r\n[log] # levels\r\n", "limits = { depth = 2 }\n", "trace.files_max = 7\n"],
        )
        .to_owned();
        let mut said: Vec<(String, String, Kind)> = Vec::new();
        for _ in 0..12 {
            let (name, value, kind) = assignment(&mut seed);
            let before = text.clone();
            text =
                set(&text, &name, &value, kind).unwrap_or_else(|error| panic!("{name}={value:?} in {text:?}: {error}"));
            let mut kept = before.lines().filter(|line| !line.contains('='));
            assert!(kept.all(|line| text.lines().any(|now| now == line)), "S2: {before:?} -> {text:?}");
            said.retain(|(known, _, _)| *known != name);
            said.push((name, value, kind));
            if next(&mut seed).is_multiple_of(4) {
                let (gone, _, _) = said.remove(next(&mut seed) % said.len());
                text = unset(&text, &gone)
                    .unwrap_or_else(|error| panic!("{gone} in {text:?}: {error}"))
                    .expect("it is there");
                assert_eq!(unset(&text, &gone).unwrap(), None);
            }
        }
        let mut config = Config::new(TABLES);
        read("c.toml", &text, &mut config).unwrap_or_else(|errors| panic!("{text}\n{errors:?}"));
        for (name, value, kind) in &said {
            assert_eq!(config.value(name), kind.read(value).ok().as_ref(), "{} in {text}", spelled(name));
        }
    }
}
