//! `aether doctor`: finds what is broken, says how to mend it, and leaves alone what is not its business.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use aether_testkit::script::Script;
use aether_testkit::server::Server;
use serde_json::Value;

use crate::ground::Nest;
use crate::model::nest_with;
use crate::person::Person;

const SECRET: &str = "sk-planted-77aa51d0c3";

/// The first check of that name, which has this status.
#[track_caller]
fn check(report: &Value, name: &str, status: &str) -> Value {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name && check["status"] == status);
    found.cloned().unwrap_or_else(|| panic!("no {status} {name} in {report:#}"))
}

#[test]
fn a_fresh_machine_is_sound_and_stays_untouched() {
    let nest = Nest::new();
    let ran = nest.run(&["doctor"]).exits(0);
    assert!(ran.stdout.ends_with("nothing is broken\n"), "{}", ran.stdout);
    assert_eq!(nest.files(), []);
    let report = nest.run(&["doctor", "--json"]).exits(0).json();
    assert_eq!(report["broken"], 0);
    check(&report, "providers", "skipped");
    check(&report, "free space", "ok");
    check(&report, "workspace", "ok");
    check(&report, "clock", "ok");
    let version = check(&report, "version", "ok");
    assert!(version["found"].as_str().unwrap().contains("providers"), "{version}");
    let report = nest.run(&["doctor", "--network", "--json"]).exits(0).json();
    assert!(report["checks"].as_array().unwrap().iter().any(|check| check["name"] == "local servers"), "{report:#}");
}

#[test]
fn what_is_wrong_with_files_has_a_remedy() {
    let nest = Nest::new();
    nest.configure("modle = 1\n[limits]\nwall_ms = \"x\"\n");
    nest.write(".local/share/aether/keys/groq", SECRET, 0o644);
    for (path, mode) in [(nest.config_file(), 0o666), (nest.path(".local/share/aether"), 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let ran = nest.run(&["doctor", "--json"]).exits(1).hides(SECRET);
    let report = ran.json();
    let wrong = check(&report, "configuration", "broken");
    assert!(wrong["found"].as_str().unwrap().contains(":1: unknown key `modle`"), "{wrong}");
    assert!(wrong["remedy"].as_str().unwrap().contains("config edit"), "{wrong}");
    let file = check(&report, "configuration file", "broken");
    assert!(file["remedy"].as_str().unwrap().starts_with("chmod 600 "), "{file}");
    let data = check(&report, "data directory", "note");
    assert!(data["remedy"].as_str().unwrap().starts_with("chmod 700 "), "{data}");
    let key = check(&report, "key groq", "broken");
    assert!(key["found"].as_str().unwrap().contains("chmod 600"), "{key}");
    check(&report, "data", "ok");
    let text = nest.run(&["doctor"]).exits(1).hides(SECRET).stdout;
    assert!(text.contains("-> chmod 600 ") && text.ends_with("4 things are broken\n"), "{text}");
    assert!(!nest.path(".local/share/aether/.doctor").exists());

    let nest = Nest::new();
    nest.write(".local", "a file", 0o600);
    let report = nest.run(&["doctor", "--json", "--workspace", "nowhere"]).exits(1).json();
    check(&report, "data", "broken");
    let workspace = check(&report, "workspace", "broken");
    assert!(workspace["found"].as_str().unwrap().contains("`nowhere`"), "{workspace}");
}

#[test]
fn a_provider_is_walked_to_as_far_as_the_way_leads() {
    let server = Server::start(Script::new().key(SECRET).model("tiny-1").model("large-2")).unwrap();
    let nest = nest_with("openai_chat", &format!("{}/v1", server.base_url()));
    let report = nest.run(&["doctor", "--json"]).exits(0).hides(SECRET).json();
    assert_eq!(check(&report, "mine key", "ok")["found"], "found by env:MINE");
    let way = check(&report, "mine network", "ok");
    assert!(way["found"].as_str().unwrap().contains("127.0.0.1 found in") && way["ms"].is_u64(), "{way}");
    assert_eq!(check(&report, "mine answer", "ok")["found"], "2 models");

    let other = Server::start(Script::new().key("another")).unwrap();
    let nest = nest_with("openai_chat", &format!("{}/v1", other.base_url()));
    let report = nest.run(&["doctor", "--json"]).exits(1).hides(SECRET).json();
    let answer = check(&report, "mine answer", "broken");
    assert!(answer["found"].as_str().unwrap().contains("did not accept the key"), "{answer}");
    assert!(answer["remedy"].as_str().unwrap().contains("aether onboard --provider mine"), "{answer}");

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nest = nest_with("anthropic", &format!("http://127.0.0.1:{port}"));
    let report = nest.run(&["doctor", "--json"]).exits(1).json();
    assert!(check(&report, "mine network", "broken")["found"].as_str().unwrap().contains("refused"));
    let nest = Nest::new();
    nest.configure("model = \"anthropic/claude-sonnet-5-5\"\n");
    let report = nest.run(&["doctor", "--json"]).exits(1).json();
    let key = check(&report, "anthropic key", "broken");
    assert!(key["found"].as_str().unwrap().contains("ANTHROPIC_API_KEY"), "{key}");
}

/// A server that has no models, and its own idea of what time it is.
fn with_date(date: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 2_048];
            // The first connection only looks whether there is somebody.
            if stream.read(&mut asked).unwrap_or(0) > 0 {
                let body = "{\"object\": \"list\", \"data\": []}";
                let head = format!("HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-type: application/json\r\n");
                write!(stream, "{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).unwrap();
            }
        }
    });
    format!("http://{address}/v1")
}

#[test]
fn a_clock_that_is_wrong_is_noticed() {
    let nest = nest_with("openai_chat", &with_date("Sun, 06 Nov 1994 08:49:37 GMT"));
    let report = nest.run(&["doctor", "--json"]).exits(1).json();
    let clock = check(&report, "clock", "broken");
    assert!(clock["found"].as_str().unwrap().ends_with(" s ahead of the provider's"), "{clock}");
    assert!(clock["remedy"].as_str().unwrap().contains("set it"), "{clock}");
}

#[test]
fn proxies_and_certificates_are_looked_at() {
    let nest = Nest::new().env("HTTPS_PROXY", &format!("http://me:{SECRET}@127.0.0.1:9"));
    let file = nest.write("ca.pem", "no certificate", 0o644);
    nest.configure(&format!(
        "[network]\nca_file = \"{}\"\n[providers.mine]\nkind = \"openai_chat\"\nbase_url = \"https://provider.invalid/v1\"\n",
        file.display()
    ));
    let report = nest.run(&["doctor", "--json"]).exits(1).hides(SECRET).json();
    let certificates = check(&report, "certificates", "broken");
    assert!(certificates["found"].as_str().unwrap().ends_with("holds no certificate"), "{certificates}");
    let way = check(&report, "mine network", "ok");
    assert_eq!(way["found"], "through the proxy 127.0.0.1:9");
    check(&report, "mine answer", "broken");
}

#[test]
fn a_terminal_is_told_from_a_pipe() {
    let nest = Nest::new();
    let mut person = Person::in_colour(&nest, &["doctor"]);
    person.sees("input is a terminal, output is a terminal");
    person.sees("TERM is xterm, colour");
    assert_eq!(person.waits(), Some(0));
    assert!(person.all.contains("\u{1b}[32mok"), "{}", person.all);
}
