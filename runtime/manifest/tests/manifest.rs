//! Manifests: what is read, what is refused and where, and that what is written reads back.

#![cfg(test)]

use aether_core::capability::Network;
use aether_core::tool::{Act, Acts, Runtime};
use aether_manifest::{INPUT_BYTES_MAX, MANIFEST_BYTES_MAX, MISTAKES_MAX, Mistake, MistakeKind, ToolManifest, words};

/// The simple form: the five keys of it.
const SIMPLE: &str =
    "name = \"weather\"\nnetwork = true\nfilesystem = true\nmax_runtime = \"3s\"\nmemory_limit = \"20mb\"\n";

/// Every key.
const FULL: &str = r#"name = "http_request"
version = "1.0.0"
description = "Fetch one URL and return its text"
runtime = "wasm"
network = ["api.github.com:443"]
filesystem = { read = ["$workspace"], write = ["$workspace/out"] }
programs = []
max_runtime = "3s"
memory_limit = "20mb"
cpu_limit = "1s"
processes_max = 1
output_bytes_max = 65536

[[secrets]]
name = "github_token"
host = "api.github.com"
header = "authorization: Bearer {}"

[input]
type = "object"
required = ["url"]
properties.url = { type = "string", description = "What to fetch" }
"#;

/// What has to be there, and nothing else.
const LEAST: &str = "name = \"x\"\nmax_runtime = \"1s\"\nmemory_limit = \"1mb\"\n";

fn sound(text: &str) -> ToolManifest {
    ToolManifest::parse(text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:#?}"))
}

fn mistakes(text: &str) -> Vec<Mistake> {
    ToolManifest::parse(text).err().unwrap_or_else(|| panic!("this was taken:\n{text}"))
}

/// One line added to the least manifest is the one mistake, on that line, and its sentence has these words.
fn refused(line: &str, kind: MistakeKind, words: &str) {
    let text = format!("{LEAST}{line}\n");
    let found = mistakes(&text);
    assert_eq!(found.len(), 1, "{line}: {found:#?}");
    assert_eq!((found[0].line, found[0].kind), (4, kind), "{line}: {}", found[0]);
    assert!(found[0].sentence.contains(words), "{line}: {}", found[0]);
    assert!(!found[0].sentence.ends_with('.') && !found[0].sentence.contains('\n'), "{}", found[0]);
}

#[test]
fn m2_the_simple_form_is_sound_and_absent_means_no() {
    let simple = sound(SIMPLE);
    let core = simple.core();
    assert_eq!((&*core.name, &*core.version, core.runtime), ("weather", "0.0.0", Runtime::Native));
    assert_eq!(core.capability.network, Network::Public);
    assert_eq!(words::places(core.capability.read()), "$workspace");
    assert_eq!(words::places(core.capability.write()), "$workspace");
    let acts = [Act::ReadWorkspace, Act::Write, Act::Execute, Act::NetworkRead, Act::NetworkSend];
    assert_eq!(core.acts, Acts::of(&acts));
    assert_eq!((core.limits.runtime_ms_max, core.limits.cpu_ms_max), (3_000, 3_000));
    assert_eq!((core.limits.memory_bytes_max, core.limits.processes_max), (20 << 20, 1));
    assert_eq!(&*core.input, r#"{"type":"object","properties":{}}"#);
    let closed = sound(&SIMPLE.replace("= true", "= false"));
    assert_eq!(closed.core().capability, sound(LEAST).core().capability);
    assert_eq!(closed.core().capability, Default::default());
    assert_eq!(closed.core().acts, Acts::of(&[Act::Execute]), "a program of its own is executed");
    for key in ["name", "max_runtime", "memory_limit"] {
        let rest: String =
            LEAST.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        let found = mistakes(&rest);
        assert_eq!((found.len(), found[0].kind), (1, MistakeKind::Missing), "{key}: {found:?}");
        assert!(found[0].sentence.starts_with(&format!("`{key}` is missing: ")), "{}", found[0]);
    }
}

#[test]
fn every_key_is_read() {
    let full = sound(FULL);
    let core = full.core();
    assert_eq!((&*core.version, core.runtime), ("1.0.0", Runtime::Wasm));
    assert_eq!(words::network(&core.capability.network), "api.github.com:443");
    assert_eq!(core.acts, Acts::of(&[Act::ReadWorkspace, Act::Write, Act::NetworkRead, Act::NetworkSend]));
    let [secret] = full.secrets() else { panic!("one secret") };
    assert_eq!((&*secret.name, &*secret.header, &*secret.template), ("github_token", "authorization", "Bearer {}"));
    assert_eq!(secret.host.to_string(), "api.github.com:443");
    let input =
        r#"{"type":"object","required":["url"],"properties":{"url":{"type":"string","description":"What to fetch"}}}"#;
    assert_eq!(&*core.input, input);
    let native = sound(&format!("{LEAST}programs = [\"/usr/bin/git\"]\nfilesystem.read = [\"/usr/share/zoneinfo\"]\n"));
    assert_eq!(native.core().acts, Acts::of(&[Act::ReadPrivate, Act::Execute]));
}

#[test]
fn units_have_ranges() {
    let limits = |line: &str| sound(&format!("name = \"x\"\n{line}")).core().limits;
    for (runtime, ms) in [("500ms", 500), ("3s", 3_000), ("2m", 120_000), ("1h", 3_600_000), ("1S", 1_000)] {
        assert_eq!(limits(&format!("max_runtime = \"{runtime}\"\nmemory_limit = \"1mb\"\n")).runtime_ms_max, ms);
    }
    for (memory, bytes) in [("1mb", 1 << 20), ("2048kb", 2 << 20), ("64gb", 64 << 30), ("1048576b", 1 << 20)] {
        let limits = limits(&format!("max_runtime = \"1s\"\nmemory_limit = \"{memory}\"\n"));
        assert_eq!(limits.memory_bytes_max, bytes);
    }
    for (line, kind) in [
        ("cpu_limit = \"0s\"", MistakeKind::OutOfRange),
        ("cpu_limit = \"61m\"", MistakeKind::OutOfRange),
        ("cpu_limit = \"3\"", MistakeKind::Malformed),
        ("cpu_limit = \"3 s\"", MistakeKind::Malformed),
        ("cpu_limit = \"1.5s\"", MistakeKind::Malformed),
        ("cpu_limit = \"-1s\"", MistakeKind::Malformed),
        ("cpu_limit = \"3d\"", MistakeKind::Malformed),
        ("cpu_limit = \"\"", MistakeKind::Malformed),
        ("cpu_limit = \"99999999999999999999s\"", MistakeKind::Malformed),
        ("cpu_limit = \"18446744073709551615h\"", MistakeKind::Malformed),
        ("cpu_limit = 3", MistakeKind::WrongType),
        ("processes_max = 0", MistakeKind::OutOfRange),
        ("processes_max = -1", MistakeKind::OutOfRange),
        ("processes_max = 1025", MistakeKind::OutOfRange),
        ("processes_max = \"1\"", MistakeKind::WrongType),
        ("output_bytes_max = 0", MistakeKind::OutOfRange),
        ("output_bytes_max = \"2mb\"", MistakeKind::OutOfRange),
        ("output_bytes_max = 1.5", MistakeKind::WrongType),
    ] {
        refused(line, kind, "wanted");
    }
    assert_eq!(sound(&format!("{LEAST}output_bytes_max = \"64kb\"\n")).core().limits.output_bytes_max, 65_536);
}

#[test]
fn m3_hosts_that_are_too_much_or_not_public_are_refused() {
    for host in ["*", "*:443", "*.com", "*.co.uk", "*.org:80"] {
        refused(&format!("network = [\"{host}\"]"), MistakeKind::TooBroad, host);
    }
    refused("network = \"*\"", MistakeKind::TooBroad, "network = true");
    for host in [
        "localhost",
        "x.localhost",
        "printer",
        "db.internal",
        "nas.local",
        "metadata.google.internal",
        "router.lan",
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1:80",
        "[::1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "*.internal.internal",
    ] {
        refused(&format!("network = [\"{host}\"]"), MistakeKind::Protected, "policy.toml");
    }
    for host in [
        "",
        "a..b",
        "a.com.",
        "https://a.com",
        "a.com/x",
        "a.com@b.com",
        "a b.com",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0177.0.0.1",
        "1.2.3.4.5",
        "a.com:0",
        "a.com:65536",
        "a.com:+1",
        "a.*.com",
        "x.123",
        "[::1",
        "[1]",
        "[2606:4700:0:0::1111]",
        "[fe80::1%eth0]",
        "ä.com",
        "a\\u0000.com",
        "a.com\\r\\nx",
    ] {
        refused(&format!("network = [\"{host}\"]"), MistakeKind::Malformed, "`network`");
    }
    let long = format!("network = [\"{}.com\"]", "a".repeat(64));
    refused(&long, MistakeKind::Malformed, "too long");
    for host in ["1.1.1.1", "[2606:4700::1111]:853", "*.example.co.uk", "a_b.example.com", "EXAMPLE.com:8443"] {
        sound(&format!("{LEAST}network = [\"{host}\"]\n"));
    }
    refused("network = [\"a.com\", \"A.com:443\"]", MistakeKind::Duplicate, "`A.com:443`");
    refused("network = [\"x.a.com\", \"*.a.com\"]", MistakeKind::Duplicate, "one is in the other");
    refused("network = 443", MistakeKind::WrongType, "the number 443");
    refused("network = [443]", MistakeKind::WrongType, "the number 443");
    refused("network = \"a.com\"", MistakeKind::WrongType, "a list of hosts");
    assert_eq!(sound(&format!("{LEAST}network = []\n")).core().capability.network, Network::None);
}

#[test]
fn m3_places_that_are_too_much_or_protected_are_refused() {
    let read = |place: &str| format!("filesystem = {{ read = [\"{place}\"] }}");
    let write = |place: &str| format!("filesystem = {{ write = [\"{place}\"] }}");
    for place in [
        "/",
        "//",
        "/.",
        "~",
        "~/",
        "$home",
        "$home/.",
        "/root",
        "/home",
        "/home/ann",
        "/Users/ann",
        "/tmp",
        "/var",
        "/mnt",
    ] {
        refused(&read(place), MistakeKind::TooBroad, "is ");
        refused(&write(place), MistakeKind::TooBroad, "is ");
    }
    for place in [
        "$home/.ssh",
        "$home/.ssh/id_ed25519",
        "$home/.SSH",
        "/root/.aws",
        "/home/ann/.gnupg/x",
        "/Users/ann/.ssh",
        "$home/.config",
        "$home/.config/aether",
        "$home/.local",
        "$home/.local/share/aether/keys",
        "/etc",
        "/etc/shadow",
        "/proc",
        "/proc/self/environ",
        "/sys",
        "/dev/mem",
        "/run/docker.sock",
        "/var/run",
        "/boot",
    ] {
        refused(&read(place), MistakeKind::Protected, "reaches `");
        refused(&write(place), MistakeKind::Protected, "reaches `");
    }
    for place in [
        "/usr",
        "/usr/local/bin",
        "/bin",
        "/etc/cron.d",
        "/lib",
        "$home/.bashrc",
        "$home/bin",
        "$home/.config/systemd",
        "$workspace/.git",
        "$workspace/a/.git/hooks",
        "$workspace/.aether",
        "$workspace/.GIT",
        "$workspace/.vscode",
        "/srv/x/.mcp.json",
    ] {
        refused(&write(place), MistakeKind::Protected, "reaches `");
    }
    for place in [
        "",
        "out",
        "./out",
        "../x",
        "$workspace/../x",
        "$workspace/*",
        "$worspace",
        "$",
        "$/x",
        "a\\u0000b",
        "~/notes",
        "/a\\u0007",
        "/a\\u202e",
    ] {
        refused(&read(place), MistakeKind::Malformed, "`filesystem.read`");
    }
    refused(&read("$worspace/x"), MistakeKind::Malformed, "did you mean `$workspace`?");
    refused(&read("~/notes"), MistakeKind::Malformed, "`$home/notes`");
    for place in [
        "$workspace",
        "$workspace/.git",
        "$home/notes",
        "/usr/share",
        "/srv/data",
        "/home/ann/projects",
        "/etc/ssl/certs",
        "/sshd",
    ] {
        sound(&format!("{LEAST}{}\n", read(place)));
    }
    for place in ["$workspace/out", "$home/notes", "/srv/data", "$workspace/.gitignore", "$home/.sshfoo", "/usrx"] {
        sound(&format!("{LEAST}{}\n", write(place)));
    }
    refused("filesystem = { read = [\"$workspace\", \"$workspace/a\"] }", MistakeKind::Duplicate, "`$workspace/a`");
    refused("filesystem = { raed = [] }", MistakeKind::UnknownKey, "did you mean `filesystem.read`?");
    refused("filesystem = [\"$workspace\"]", MistakeKind::WrongType, "found a list");
    refused("filesystem = { read = \"$workspace\" }", MistakeKind::WrongType, "a list of texts");
}

#[test]
fn programs_are_named_one_by_one_and_only_by_native_tools() {
    for program in ["/usr/bin", "/bin", "/usr", "$workspace", "/opt"] {
        refused(&format!("programs = [\"{program}\"]"), MistakeKind::TooBroad, "name each program");
    }
    refused("programs = [\"git\"]", MistakeKind::Malformed, "a path starts with `/`");
    refused("programs = [\"*\"]", MistakeKind::Malformed, "`*`");
    refused("programs = true", MistakeKind::WrongType, "a list of texts");
    let wasm = format!("{LEAST}runtime = \"wasm\"\nprograms = [\"/usr/bin/git\"]\n");
    assert_eq!(mistakes(&wasm)[0].kind, MistakeKind::Conflict);
    sound(&format!("{LEAST}runtime = \"native\"\nprograms = [\"/usr/bin/git\", \"$workspace/tools/lint\"]\n"));
}

#[test]
fn names_versions_and_descriptions_are_checked() {
    for name in ["", "X", "1x", "_x", "a-b", "a b", "ä", &"a".repeat(65)] {
        let found = mistakes(&LEAST.replace("\"x\"", &format!("\"{name}\"")));
        assert_eq!(
            (found.len(), found[0].line, found[0].column, found[0].kind),
            (1, 1, 8, MistakeKind::Malformed),
            "{name}"
        );
    }
    for version in
        ["", "1", "1.0", "01.0.0", "1.0.0.0", "v1.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "1.0.0-a..b", "1.0.0 "]
    {
        refused(&format!("version = \"{version}\""), MistakeKind::Malformed, "semantic version");
    }
    for version in ["0.0.0", "1.2.3", "1.0.0-alpha.1", "1.0.0-0a", "1.0.0+20130313144700", "1.0.0-x-y.z+5.-"] {
        sound(&format!("{LEAST}version = \"{version}\"\n"));
    }
    refused("description = \"\"", MistakeKind::OutOfRange, "1 to 1024");
    refused(&format!("description = \"{}\"", "x".repeat(1025)), MistakeKind::OutOfRange, "1025 characters");
    refused("description = \"a\\u001b[31m\"", MistakeKind::Malformed, "not seen");
    refused("description = \"a\\u202eb\"", MistakeKind::Malformed, "not seen");
    refused("description = 5", MistakeKind::WrongType, "the number 5");
    refused("runtime = \"builtin\"", MistakeKind::Malformed, "trusted code");
    refused("runtime = \"wsam\"", MistakeKind::Malformed, "did you mean `wasm`?");
    refused("runtime = true", MistakeKind::WrongType, "`wasm`, `native` or `mcp`");
}

#[test]
fn secrets_go_to_one_declared_host_in_one_header() {
    let secret = |name: &str, host: &str, header: &str| {
        let head = format!("{LEAST}network = [\"api.a.com\", \"*.b.com\"]\n\n[[secrets]]\n");
        ToolManifest::parse(&format!("{head}name = \"{name}\"\nhost = \"{host}\"\nheader = \"{header}\"\n"))
    };
    assert!(secret("token", "api.a.com", "Authorization: Bearer {}").is_ok());
    assert!(secret("token", "x.b.com", "x-api-key:{}").is_ok());
    for (host, kind) in [
        ("api.c.com", MistakeKind::Conflict),
        ("api.a.com:80", MistakeKind::Conflict),
        ("b.com", MistakeKind::Conflict),
        ("*.b.com", MistakeKind::TooBroad),
        ("localhost", MistakeKind::Protected),
        ("", MistakeKind::Malformed),
    ] {
        let found = secret("token", host, "authorization: {}").unwrap_err();
        assert_eq!((found.len(), found[0].line, found[0].kind), (1, 8, kind), "{host}: {found:?}");
    }
    for header in [
        "",
        "{}",
        "authorization",
        "authorization: Bearer",
        "authorization: {} {}",
        ": {}",
        "a b: {}",
        "host: {}",
        "Content-Length: {}",
        "proxy-authorization: {}",
        "a: {}\\r\\nb: c",
        "a: ä{}",
        "a: {}\\u0000",
    ] {
        let found = secret("token", "api.a.com", header).unwrap_err();
        assert_eq!((found.len(), found[0].line, found[0].kind), (1, 9, MistakeKind::Malformed), "{header}: {found:?}");
    }
    let found = secret("Token", "api.a.com", "a: {}").unwrap_err();
    assert_eq!((found[0].line, found[0].kind), (7, MistakeKind::Malformed));
    let twice = "[[secrets]]\nname = \"t\"\nhost = \"a.com\"\nheader = \"a: {}\"\n".repeat(2);
    let found = mistakes(&format!("{LEAST}network = true\n{twice}"));
    assert!(found.iter().all(|one| one.kind == MistakeKind::Duplicate) && found.len() == 2, "{found:?}");
    let found = mistakes(&format!("{LEAST}[[secrets]]\nvalue = \"hunter2\"\n"));
    assert_eq!(found.len(), 4, "three are missing and one is unknown: {found:?}");
    assert!(!format!("{found:?}").contains("hunter2"));
    refused("secrets = \"x\"", MistakeKind::WrongType, "[[secrets]]");
}

#[test]
fn the_input_is_a_json_schema_of_an_object() {
    let input = |text: &str| ToolManifest::parse(&format!("{LEAST}[input]\n{text}\n"));
    let wrong = |text: &str, kind: MistakeKind| {
        let found = input(text).expect_err(text);
        assert_eq!((found.len(), found[0].kind), (1, kind), "{text}: {found:#?}");
    };
    wrong("type = \"string\"", MistakeKind::Conflict);
    wrong("type = [\"object\"]", MistakeKind::Conflict);
    wrong("properties = { a = { type = \"text\" } }", MistakeKind::Malformed);
    wrong("properties = { a = 5 }", MistakeKind::WrongType);
    wrong("properties = [\"a\"]", MistakeKind::WrongType);
    wrong("required = \"a\"", MistakeKind::WrongType);
    wrong("properties.a.enum = []", MistakeKind::WrongType);
    wrong("properties.a.description = 5", MistakeKind::WrongType);
    wrong("properties.a.default = 1979-05-27", MistakeKind::WrongType);
    wrong("properties.a.maximum = inf", MistakeKind::WrongType);
    wrong("\"$id\" = \"https://a.com/x\"", MistakeKind::Conflict);
    wrong("properties.a.\"$ref\" = \"https://a.com/x\"", MistakeKind::Conflict);
    wrong("properties.a.\"$ref\" = \"#\"", MistakeKind::Conflict);
    wrong("properties.a.\"$ref\" = \"#/$defs/b\"", MistakeKind::Conflict);
    wrong("properties.a.\"$ref\" = \"file:///etc/passwd\"", MistakeKind::Conflict);
    wrong("properties.a.\"$ref\" = 5", MistakeKind::WrongType);
    wrong("\"$defs\".a.\"$ref\" = \"#/$defs/a\"", MistakeKind::Conflict);
    let found = input("\"$defs\".a.\"$ref\" = \"#/$defs/b\"\n\"$defs\".b.\"$ref\" = \"#/$defs/a\"").unwrap_err();
    assert_eq!(found.len(), 2, "{found:?}");
    wrong(&format!("properties.a.description = \"{}\"", "x".repeat(INPUT_BYTES_MAX)), MistakeKind::TooLarge);
    wrong(&format!("default = {}1{}", "[".repeat(20), "]".repeat(20)), MistakeKind::TooLarge);
    refused("input = \"{}\"", MistakeKind::WrongType, "JSON Schema");
    for text in [
        "",
        "type = \"object\"",
        "properties = {}",
        "additionalProperties = false",
        "properties.\"$ref\" = { type = \"string\" }",
        "properties.type.type = \"string\"",
        "properties.a = { anyOf = [{ type = \"string\" }, { type = [\"integer\", \"null\"] }] }",
        "properties.a.\"$ref\" = \"#/$defs/tree\"\n\"$defs\".tree = { items = { \"$ref\" = \"#/$defs/tree\" } }",
        "properties.a = { default = { \"$ref\" = \"anything\" } }",
        "properties.a.minimum = -1.5e3",
    ] {
        let read = input(text).unwrap_or_else(|found| panic!("{text}: {found:?}"));
        assert!(
            read.core().input.starts_with("{\"type\":\"object\"") || text.contains("\"object\""),
            "{}",
            read.core().input
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&read.core().input).unwrap(), *read.schema());
    }
}

#[test]
fn everything_that_is_wrong_is_reported_at_once_in_order() {
    let text = "nmae = \"x\"\nnetwork = [\"*\", \"ok.com\",\n  \"*.com\"]\nmax_runtime = \"soon\"\n\"ä\" = 1\n\n[[secrets]]\nname = \"t\"\n";
    let places: Vec<String> = mistakes(text).iter().map(|one| format!("{}:{}", one.line, one.column)).collect();
    assert_eq!(places, ["1:1", "1:1", "1:1", "2:12", "3:3", "4:15", "5:1", "7:1", "7:1"]);
    let found = mistakes("name = \"x\"\n  = 5\n");
    assert_eq!((found.len(), found[0].kind, found[0].line), (1, MistakeKind::Syntax, 2));
    assert_eq!(mistakes("name = \"x\"\nname = \"y\"\n")[0].line, 2);
    let found = mistakes(&"# x\n".repeat(MANIFEST_BYTES_MAX / 4 + 1));
    assert_eq!((found.len(), found[0].kind), (1, MistakeKind::TooLarge));
    let many: String = (0..500).map(|n| format!("key{n} = 1\n")).collect();
    assert_eq!(mistakes(&many).len(), MISTAKES_MAX);
}

#[test]
fn m6_no_prefix_and_no_changed_byte_of_a_manifest_panics() {
    for end in 0..FULL.len() {
        let _ = ToolManifest::parse(&FULL[..end]);
    }
    let mut random = Random(7);
    for _ in 0..3_000 {
        let mut bytes = FULL.as_bytes().to_vec();
        let at = random.below(bytes.len());
        bytes[at] = random.below(256) as u8;
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(read) = ToolManifest::parse(&text)
        {
            assert_eq!(sound(&read.to_toml()), read);
        }
    }
    let deep = format!("{LEAST}x = {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(mistakes(&deep)[0].kind, MistakeKind::Syntax);
    let keys = format!("{LEAST}[{}]\n", vec!["a"; 5_000].join("."));
    assert!(!mistakes(&keys).is_empty());
}

#[test]
fn m4_what_is_written_reads_back_the_same() {
    for text in [SIMPLE, FULL, LEAST] {
        let read = sound(text);
        let written = read.to_toml();
        assert_eq!(sound(&written), read, "{written}");
        assert_eq!(sound(&written).to_toml(), written, "canonical");
    }
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("SEED={seed}");
    let mut random = Random(seed);
    for _ in 0..2_000 {
        let text = random.manifest();
        let read = sound(&text);
        let written = read.to_toml();
        assert_eq!(sound(&written), read, "{text}\n---\n{written}");
    }
}

/// xorshift64, for texts that differ.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn some(&mut self, of: &[&str]) -> String {
        let kept: Vec<String> = of.iter().filter(|_| self.below(2) == 0).map(|one| format!("\"{one}\"")).collect();
        format!("[{}]", kept.join(", "))
    }

    /// A sound manifest.
    fn manifest(&mut self) -> String {
        let hosts = ["a.com", "*.b.org:8443", "1.1.1.1", "[2606:4700::1111]:80", "x-1.example.co.uk"];
        let places = ["$workspace/a", "$workspace/b c/ä", "/srv/x'y\\\"", "$home/notes", "/data/#1"];
        let is_native = self.below(2) == 0;
        let network = match self.below(3) {
            0 => "true".to_owned(),
            1 => "false".to_owned(),
            _ => self.some(&hosts),
        };
        let programs = if is_native { self.some(&["/usr/bin/git", "/opt/x/run me"]) } else { "[]".to_owned() };
        let mut text = format!(
            "name = \"t{}\"\ndescription = {}\nruntime = \"{}\"\nnetwork = {network}\nprograms = {programs}\n",
            self.below(1000),
            self.one(&["\"plain\"", "'''two\nlines'''", "\"quote \\\" and \\\\ and \\t\"", "\"é 🦀\""])
                .replace("\\t", ""),
            if is_native { "native" } else { self.one(&["wasm", "mcp"]) },
        );
        text.push_str(&format!("filesystem = {{ read = {}, write = {} }}\n", self.some(&places), self.some(&places)));
        text.push_str(&format!("max_runtime = \"{}ms\"\n", 1 + self.below(3_600_000)));
        text.push_str(&format!("memory_limit = \"{}b\"\n", (1 << 20) + self.below(1 << 30)));
        text.push_str(&format!(
            "processes_max = {}\noutput_bytes_max = {}\n",
            1 + self.below(1024),
            1 + self.below(1 << 20)
        ));
        if network == "true" {
            text.push_str("[[secrets]]\nname = \"s\"\nhost = \"A.com\"\nheader = \"X-Key:  a{}\\\"b \"\n");
        }
        text.push_str(&format!("[input]\nrequired = {}\n", self.some(&["a", "b\\n", "\\u0000"])));
        text.push_str(&format!(
            "properties = {{ \"a b\" = {{ type = \"number\", default = {} }}, \"\" = true }}\n",
            self.one(&[
                "1.0",
                "1e300",
                "-0.1",
                "7",
                "-9223372036854775808",
                "0.30000000000000004",
                "[true, {}]",
                "5e-324"
            ])
        ));
        text
    }
}
