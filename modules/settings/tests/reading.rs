//! Reading files and variables: what is taken, what is refused, and what the sentences say.

#![cfg(test)]

use aether_core::config::{Config, Source, Value};
use aether_settings::keys::TABLES;
use aether_settings::{CONFIG_BYTES_MAX, MISTAKES_MAX, VARIABLE_PREFIX, environment, read, variable};

fn config() -> Config {
    Config::new(TABLES)
}

/// The sentences that reading `text` gives.
fn complaints(text: &str) -> Vec<String> {
    let mut config = config();
    let before = format!("{config:?}");
    let errors = read("config.toml", text, &mut config).expect_err("a bad file is refused");
    assert_eq!(format!("{config:?}"), before, "S1: nothing changed");
    errors.iter().map(ToString::to_string).collect()
}

fn check(text: &str, wanted: &[&str]) {
    assert_eq!(complaints(text), wanted);
}

#[test]
fn tables_become_dotted_names_with_the_line_of_each_value() {
    let mut config = config();
    let text = "model = \"groq/llama\"\nfallback = [\n  \"a/b\",\n  \"c/d\",\n]\n\n[providers.groq]\nkey = \"env:GROQ_API_KEY\"\n\
                headers = { x-title = \"t\" }\n[limits]\nwall_ms = 60_000\n[providers.\"my.own\"]\nbase_url = 'https://x/v1'\n";
    read("c.toml", text, &mut config).unwrap();
    assert_eq!(config.text("model"), Some("groq/llama"));
    assert_eq!(config.list("fallback"), ["a/b", "c/d"]);
    assert_eq!(config.text("providers.groq.key"), Some("env:GROQ_API_KEY"));
    assert_eq!(config.text("providers.groq.headers.x-title"), Some("t"));
    assert_eq!(config.int("limits.wall_ms"), Some(60_000));
    assert_eq!(config.text("providers.my%2Eown.base_url"), Some("https://x/v1"));
    assert_eq!(config.names("providers.").collect::<Vec<_>>(), ["groq", "my%2Eown"]);
    let (source, value) = config.explain("limits.wall_ms").last().unwrap();
    assert_eq!((source, value), (&Source::File { path: "c.toml".into(), line: 11 }, &Value::Int(60_000)));
}

#[test]
fn dotted_keys_inline_tables_and_headers_say_the_same() {
    for text in [
        "providers.x.base_url = \"u\"\n",
        "[providers]\nx.base_url = \"u\"\n",
        "[providers.x]\nbase_url = \"u\"\n",
        "providers = { x = { base_url = \"u\" } }\n",
        "\u{feff}providers.x = { base_url = \"u\" }\r\n",
    ] {
        let mut config = config();
        read("c.toml", text, &mut config).unwrap();
        assert_eq!(config.text("providers.x.base_url"), Some("u"), "{text}");
    }
}

#[test]
fn broken_toml_is_named_by_line_and_column() {
    check(
        "model = \"a\"\n[limits]\nwall_ms = soon\n",
        &["config.toml:3:11: string values must be quoted, expected literal string, in the line `wall_ms = soon`"],
    );
    check(
        "model = \"ü\" x\n",
        &["config.toml:1:13: unexpected key or value, expected newline, `#`, in the line `model = \"ü\" x`"],
    );
    check("a = 1\na = 2\n", &["config.toml:2:1: duplicate key, in the line `a = 2`"]);
}

#[test]
fn a_broken_line_does_not_steer_the_terminal_that_shows_it() {
    for text in ["a\u{1b}[31m\0 = ", "limits.wall_ms = \"\\u001b[31m\""] {
        let sentences = complaints(text).concat();
        assert!(sentences.contains("\u{fffd}[31m") && !sentences.contains(char::is_control), "{sentences:?}");
    }
}

/// S5.
#[test]
fn a_line_that_may_hold_a_secret_is_not_shown() {
    let text = "[providers.groq]\nkey = \"sk-live-123456\n";
    let sentences = complaints(text);
    assert!(sentences[0].ends_with("in the line `key …`"), "{sentences:?}");
    let sentences = complaints("[providers.groq]\nkey = \"sk-live-123456\"\n");
    assert_eq!(
        sentences,
        ["config.toml:2: `providers.groq.key`: found something else, wanted a reference: env:NAME or file:PATH, \
          never the secret itself"]
    );
}

#[test]
fn every_mistake_is_reported_not_only_the_first() {
    check(
        "modle = \"a\"\ncolor = \"sometimes\"\nca_file = \"x\"\n\n[limits]\nwall_ms = \"long\"\nmodel_calls = 0\ndepth = 1.5\n\
         [providers.groq]\nbase_ur = \"x\"\n",
        &[
            "config.toml:1: unknown key `modle`; did you mean `model`?",
            "config.toml:2: `color`: found the text `sometimes`, wanted one of auto, always, never",
            "config.toml:3: unknown key `ca_file`; did you mean `network.ca_file`?",
            "config.toml:6: `limits.wall_ms`: found the text `long`, wanted a whole number from 1 to 604800000",
            "config.toml:7: `limits.model_calls`: found 0, wanted a whole number from 1 to 100000",
            "config.toml:8: `limits.depth`: found a number with a point, wanted a whole number from 0 to 16",
            "config.toml:10: unknown key `providers.groq.base_ur`; did you mean `providers.groq.base_url`?",
        ],
    );
}

#[test]
fn tables_and_values_are_told_apart() {
    check("network = 5\n", &["config.toml:1: `network`: found a value, wanted a table"]);
    check("[model]\n", &["config.toml:1: `model`: found a table, wanted a text"]);
    check("fallback = \"a\"\n", &["config.toml:1: `fallback`: found the text `a`, wanted a list of texts"]);
    check(
        "fallback = [1]\n",
        &["config.toml:1: `fallback`: found a list of other things than texts, wanted a list of texts"],
    );
    check("[[limits]]\ndepth = 1\n", &["config.toml:1: `limits`: found a value, wanted a table"]);
    check("[polcy]\n", &["config.toml:1: unknown key `polcy`; `aether config explain` lists the known ones"]);
    check("color = 2026-01-01\n", &["config.toml:1: `color`: found a date or time, wanted one of auto, always, never"]);
}

#[test]
fn what_is_policy_is_sent_to_its_own_file() {
    let tail = "is no longer configuration: policy is a signed file of its own;";
    let moved = |name: &str, instead: &str| {
        format!(
            "{name}` {tail} `aether policy set {instead}` says it there, and `aether config unset {name}` takes it out here"
        )
    };
    check(
        "[policy.terminal]\nwrite = \"allow\"\nexecute = 5\n",
        &[
            &format!("config.toml:2: `{}", moved("policy.terminal.write", "terminal.write allow")),
            &format!("config.toml:3: `{}", moved("policy.terminal.execute", "terminal.execute DECISION")),
        ],
    );
    check("policy = 5\n", &[&format!("config.toml:1: `{}", moved("policy", "ASKER.ACT DECISION"))]);
    let mut config = config();
    let variable = ("AETHER_POLICY__TERMINAL__WRITE".to_owned(), "deny".to_owned());
    let errors = aether_settings::environment([variable], &[], &mut config).unwrap_err();
    assert!(errors[0].to_string().contains("aether policy set terminal.write deny"), "{errors:?}");
    assert!(errors[0].to_string().contains("`unset AETHER_POLICY__TERMINAL__WRITE`"), "{errors:?}");
}

#[test]
fn an_asterisk_is_no_name_for_everything() {
    let mut config = config();
    read("c.toml", "[providers.\"*\"]\nbase_url = \"u\"\n", &mut config).unwrap();
    assert_eq!(config.value("providers.*.base_url"), None);
    assert_eq!(config.text("providers.%2A.base_url"), Some("u"));
}

#[test]
fn empty_files_and_empty_known_tables_say_nothing() {
    for text in ["", "# nothing\n", "[limits]\n[providers.groq]\n", "limits = {}\n"] {
        let mut config = config();
        let before = format!("{config:?}");
        read("c.toml", text, &mut config).unwrap();
        assert_eq!(format!("{config:?}"), before);
    }
}

#[test]
fn large_files_are_read_in_one_pass_and_their_mistakes_are_bounded() {
    let headers: String = (0..40_000).map(|n| format!("h{n} = \"v\"\n")).collect();
    let mut config = config();
    read("c.toml", &format!("[providers.x.headers]\n{headers}"), &mut config).unwrap();
    assert_eq!(config.explain("providers.x.headers.h39999")[0].0.to_string(), "c.toml:40001");
    let unknown: String = (0..40_000).map(|n| format!("k{n} = 1\n")).collect();
    let sentences = complaints(&unknown);
    assert_eq!(sentences.len(), MISTAKES_MAX);
    assert!(sentences[MISTAKES_MAX - 1].starts_with("config.toml:100: unknown key `k99`"), "{}", sentences[99]);
}

#[test]
fn size_and_depth_are_bounded() {
    let text = "#".repeat(CONFIG_BYTES_MAX + 1);
    assert_eq!(complaints(&text), ["config.toml: found 1048577 bytes, wanted at most 1048576; is it the right file?"]);
    for text in [
        format!("[{}a]\n", "a.".repeat(100_000)),
        format!("{}a = 1\n", "a.".repeat(100_000)),
        format!("x = {{ {}a = 1 }}\n", "a.".repeat(100_000)),
        format!("x = {}1{}\n", "[".repeat(100_000), "]".repeat(100_000)),
        format!("x = {}1{}\n", "{a=".repeat(100_000), "}".repeat(100_000)),
        format!(
            "[{0}a]\n{0}a = {1}1{2}\n",
            "a.".repeat(70),
            format!("{{{}a=", "a.".repeat(70)).repeat(70),
            "}".repeat(70)
        ),
    ] {
        assert_eq!(complaints(&text).len(), 1);
    }
}

/// xorshift64*, so that a failure can be run again from its seed.
fn next(seed: &mut u64) -> usize {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    (seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize
}

/// S4.
#[test]
fn no_text_makes_reading_panic() {
    let sound = "model = \"é/b\" # why\r\nfallback = ['a', \"\"\"b\"\"\"]\n[limits]\nwall_ms = 5\n[providers.\"a.b\"]\nheaders = { x = 'y' }\n";
    let alphabet: Vec<char> = "\"'=[]{}.,#\n\r\t \\u1e+-_:TZaé\u{0}\u{7f}💥".chars().collect();
    let mut seed = 0x5eed_0001;
    println!("SEED={seed}");
    for _ in 0..6_000 {
        let mut text: Vec<char> = sound.chars().collect();
        for _ in 0..=next(&mut seed) % 6 {
            let at = next(&mut seed) % text.len();
            match next(&mut seed) % 3 {
                0 => text[at] = alphabet[next(&mut seed) % alphabet.len()],
                1 => text.insert(at, alphabet[next(&mut seed) % alphabet.len()]),
                _ => drop(text.remove(at)),
            }
        }
        let text: String = text.into_iter().collect();
        if let Err(errors) = read("c.toml", &text, &mut config()) {
            assert!(errors.iter().all(|error| !error.to_string().contains('\n')), "{errors:?}");
        }
    }
}

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn variables_win_over_files_and_name_themselves() {
    let mut config = config();
    read("c.toml", "model = \"a/b\"\n", &mut config).unwrap();
    let variables = pairs(&[
        ("AETHER_MODEL", "c/d"),
        ("AETHER_LIMITS__WALL_MS", "5000"),
        ("AETHER_PROVIDERS__GROQ__KEY", "env:GROQ"),
        ("AETHER_FALLBACK", "a/b, c/d"),
        ("AETHER_COLOR", ""),
        ("AETHER_CONFIG", "/etc/aether.toml"),
        ("PATH", "/bin"),
    ]);
    let unknown = environment(variables, &["AETHER_CONFIG"], &mut config).unwrap();
    assert_eq!(unknown, []);
    assert_eq!(config.text("model"), Some("c/d"));
    assert_eq!(config.int("limits.wall_ms"), Some(5000));
    assert_eq!(config.text("providers.groq.key"), Some("env:GROQ"));
    assert_eq!(config.list("fallback"), ["a/b", "c/d"]);
    assert_eq!(config.text("color"), Some("auto"));
    assert_eq!(config.explain("model").last().unwrap().0.to_string(), "environment variable AETHER_MODEL");
}

#[test]
fn unknown_variables_are_warnings_and_wrong_values_are_errors() {
    let mut config = config();
    let given = [
        ("AETHER_MODLE", "x"),
        ("AETHER_LIMITS_WALL_MS", "1"),
        ("AETHER_CONFIGG", "x"),
        ("AETHER_Model", "x"),
        ("AETHER_", "x"),
    ];
    let unknown = environment(pairs(&given), &["AETHER_CONFIG"], &mut config).unwrap();
    let sentences: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "environment variable AETHER_MODLE is ignored: no key is called so; did you mean AETHER_MODEL?",
            "environment variable AETHER_LIMITS_WALL_MS is ignored: no key is called so; did you mean AETHER_LIMITS__WALL_MS?",
            "environment variable AETHER_CONFIGG is ignored: no key is called so; did you mean AETHER_CONFIG?",
            "environment variable AETHER_Model is ignored: no key is called so; did you mean AETHER_MODEL?",
            "environment variable AETHER_ is ignored: no key is called so",
        ]
    );
    let wrong = [("AETHER_MODEL", "fine"), ("AETHER_COLOR", "blue"), ("AETHER_PROVIDERS__X__KEY", "sk-123")];
    let errors = environment(pairs(&wrong), &[], &mut config).unwrap_err();
    let sentences: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "environment variable AETHER_COLOR: `color`: found the text `blue`, wanted one of auto, always, never",
            "environment variable AETHER_PROVIDERS__X__KEY: `providers.x.key`: found something else, wanted a reference: \
             env:NAME or file:PATH, never the secret itself",
        ]
    );
    assert_eq!(config.text("model"), None, "S1: nothing changed");
}

#[test]
fn every_key_without_a_star_has_a_variable_that_leads_back_to_it() {
    for key in TABLES.iter().flat_map(|table| table.iter()).filter(|key| !key.name.contains('*')) {
        let variable = variable(key.name).expect(key.name);
        let name = variable.strip_prefix(VARIABLE_PREFIX).unwrap().to_ascii_lowercase().replace("__", ".");
        assert_eq!(name, key.name);
    }
    for name in ["a-b", "A", "a..b", "_a", "a_.b", "a__b", "", "prices.gpt%2E4.x"] {
        assert_eq!(variable(name), None, "{name}");
    }
}
