//! Policies: what is read, what is refused and where, and that secrets stay out of messages.

#![cfg(test)]

use core::net::IpAddr;

use aether_core::capability::Host;
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::tool::Act;
use aether_manifest::{Guarantee, Mistake, MistakeKind, POLICY_BYTES_MAX, PolicyFile, SecretReference};

const FULL: &str = r#"# mine
[terminal]
write = "allow"
execute = "deny"

[schedule]
network_read = "deny"

[network]
allowed_hosts = ["*.example.com", "api.github.com:443"]
denied_hosts = ["bad.example.com", "worse.example.com:8443", "*.evil.example.com"]
private_exceptions = ["10.1.0.0/16", "fd00::/8", "192.168.1.7"]

[tools]
denied = ["shell"]

[sandbox]
approximate = ["memory"]

[secrets]
github_token = "env:GITHUB_TOKEN"
other = "file:/run/keys/other"
"#;

fn sound(text: &str) -> PolicyFile {
    PolicyFile::parse(text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:#?}"))
}

fn mistakes(text: &str) -> Vec<Mistake> {
    PolicyFile::parse(text).err().unwrap_or_else(|| panic!("this was taken:\n{text}"))
}

#[test]
fn an_empty_policy_is_the_built_in_one() {
    for text in ["", "# nothing\n", "[terminal]\n[network]\n[tools]\n[sandbox]\n[secrets]\n"] {
        assert_eq!(sound(text), PolicyFile::default(), "{text}");
        assert_eq!(*sound(text).table(), Policy::default());
    }
}

#[test]
fn every_table_is_read() {
    let policy = sound(FULL);
    let mut wanted = Policy::default();
    wanted.set(Act::Write, Asker::Terminal, Decision::Allow);
    wanted.set(Act::Execute, Asker::Terminal, Decision::Deny);
    wanted.set(Act::NetworkRead, Asker::Schedule, Decision::Deny);
    assert_eq!(*policy.table(), wanted);
    let cells: Vec<(&str, u32)> = policy.cells().iter().map(|cell| (cell.act.name(), cell.line)).collect();
    assert_eq!(cells, [("write", 3), ("execute", 4), ("network_read", 7)]);
    assert_eq!(policy.hosts_allowed().unwrap().len(), 2);
    assert_eq!(policy.tools_denied(), ["shell".into()]);
    assert_eq!(policy.approximate(), [Guarantee::Memory]);
    let said = |text: &str| PolicyFile::parse(text).unwrap().approximate().to_vec();
    assert_eq!(said(""), Guarantee::DEFAULT);
    assert_eq!(said("[sandbox]\napproximate = []\n"), []);
    assert_eq!(said("[sandbox]\napproximate = [\"names\"]\n"), [Guarantee::Names]);
    assert_eq!(policy.secrets()[0].1, SecretReference::Variable("GITHUB_TOKEN".into()));
    assert_eq!(policy.secrets()[1].1, SecretReference::File("/run/keys/other".into()));
    let has = |address: &str| {
        let address: IpAddr = address.parse().unwrap();
        policy.private_exceptions().iter().any(|range| range.has(address))
    };
    assert!(has("10.1.2.3") && has("fd12::1") && has("192.168.1.7"));
    assert!(!has("10.2.0.0") && !has("192.168.1.8") && !has("::1"));
}

#[test]
fn a_denied_host_without_a_port_is_denied_on_every_port() {
    let policy = sound(FULL);
    let denied = |text: &str| {
        let host = Host::parse(text).unwrap();
        policy.hosts_denied().iter().any(|denied| denied.covers(&host))
    };
    for host in [
        "bad.example.com",
        "BAD.example.com:80",
        "worse.example.com:8443",
        "a.evil.example.com:1",
        "*.evil.example.com:9",
    ] {
        assert!(denied(host), "{host}");
    }
    for host in ["example.com", "x.bad.example.com", "worse.example.com", "evil.example.com", "*.example.com"] {
        assert!(!denied(host), "{host}");
    }
    let addresses = sound("[network]\ndenied_hosts = [\"[2606:4700::1111]\", \"[2606:4700::2]:80\"]\n");
    let denies = |text: &str| addresses.hosts_denied().iter().any(|one| one.covers(&Host::parse(text).unwrap()));
    assert!(denies("[2606:4700::1111]:81") && denies("[2606:4700::2]:80") && !denies("[2606:4700::2]:443"));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, place, kind, words) in [
        ("[martian]\nwrite = \"allow\"\n", "1:2", MistakeKind::UnknownKey, "unknown key `martian`"),
        ("[gest]\nwrite = \"allow\"\n", "1:2", MistakeKind::UnknownKey, "did you mean `guest`?"),
        ("[terminal]\nwirte = \"allow\"\n", "2:1", MistakeKind::UnknownKey, "did you mean `terminal.write`?"),
        ("[terminal]\nwrite = \"yes\"\n", "2:9", MistakeKind::Malformed, "wanted `allow`, `ask` or `deny`"),
        ("[terminal]\nwrite = \"Allow\"\n", "2:9", MistakeKind::Malformed, "found `Allow`"),
        ("[terminal]\nwrite = true\n", "2:9", MistakeKind::WrongType, "found `true`"),
        ("terminal = \"allow\"\n", "1:12", MistakeKind::WrongType, "wanted a table"),
        ("[network]\nallowed_hosts = \"a.com\"\n", "2:17", MistakeKind::WrongType, "a list of texts"),
        ("[network]\nallowed_hosts = [\"https://a.com\"]\n", "2:18", MistakeKind::Malformed, "cannot be taken"),
        ("[network]\ndenied_hosts = [\"a.com\", \"A.com\"]\n", "2:26", MistakeKind::Duplicate, "twice"),
        ("[network]\nprivate_exceptions = [\"0.0.0.0/0\"]\n", "2:23", MistakeKind::Malformed, "half the internet"),
        ("[network]\nprivate_exceptions = [\"10.0.0.1/8\"]\n", "2:23", MistakeKind::Malformed, "bits set behind"),
        ("[tools]\ndenied = [\"*\"]\n", "2:11", MistakeKind::Malformed, "no name of a tool"),
        ("[sandbox]\napproximate = [\"network\"]\n", "2:16", MistakeKind::Malformed, "cannot be approximate"),
        ("[secrets]\nGITHUB = \"env:X\"\n", "2:1", MistakeKind::Malformed, "a handle has small letters"),
        ("[secrets]\na = [1]\n", "2:5", MistakeKind::Malformed, "never the secret itself"),
        ("[terminal]\nwrite = \"ask\"\nwrite = \"allow\"\n", "3:1", MistakeKind::Syntax, "not TOML"),
    ] {
        let found = mistakes(text);
        let one = &found[0];
        assert_eq!((found.len(), one.kind), (1, kind), "{text}: {found:?}");
        assert_eq!(format!("{}:{}", one.line, one.column), place, "{text}");
        assert!(one.sentence.contains(words), "{one}");
    }
    assert_eq!(mistakes(&" ".repeat(POLICY_BYTES_MAX + 1))[0].kind, MistakeKind::TooLarge);
}

#[test]
fn m1_one_mistake_is_enough_and_all_are_named() {
    let found = mistakes(&FULL.replace("\"deny\"", "\"dney\"").replace("[tools]", "[tolls]"));
    assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [4, 7, 14]);
}

#[test]
fn m7_a_secret_that_stands_in_the_file_is_not_shown() {
    for value in [
        "hunter2",
        "env:",
        "env:A-B",
        "env:1A",
        "file:relative",
        "file:",
        "ENV:hunter2",
        "env:A hunter2",
        "file:/a\\nhunter2",
    ] {
        let found = mistakes(&format!("[secrets]\ntoken = \"{value}\"\n"));
        assert_eq!((found.len(), found[0].kind), (1, MistakeKind::Malformed), "{value}");
        assert!(
            found[0].sentence.contains("`secrets.token`") && !found[0].sentence.contains("hunter2"),
            "{}",
            found[0]
        );
    }
    let found = mistakes("[terminal]\nwrite = \"\\u001b[2J\\u202eallow\"\n");
    assert!(!found[0].sentence.chars().any(|letter| letter.is_control() || letter == '\u{202e}'), "{:?}", found[0]);
}

#[test]
fn m6_no_prefix_of_a_policy_panics() {
    for end in 0..FULL.len() {
        let _ = PolicyFile::parse(&FULL[..end]);
    }
}

#[test]
fn differences_are_said_in_words() {
    let (before, after) = (PolicyFile::default(), sound(FULL));
    assert_eq!(before.differences(&before), [""; 0]);
    let found = before.differences(&after);
    assert_eq!(
        found[..3],
        ["terminal.write: ask -> allow", "terminal.execute: ask -> deny", "schedule.network_read: ask -> deny"]
    );
    assert!(found.contains(&"tools.denied: none -> shell".to_owned()), "{found:?}");
    assert!(
        found.contains(&"network.allowed_hosts: any -> *.example.com:443, api.github.com:443".to_owned()),
        "{found:?}"
    );
    assert_eq!(found.len(), 3 + 5, "{found:?}");
    let closed = sound("[network]\nallowed_hosts = []\n");
    assert_eq!(before.differences(&closed), ["network.allowed_hosts: any -> none"]);
}
