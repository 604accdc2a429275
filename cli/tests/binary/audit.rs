//! The audit log of the built program: what goes in, before what, and what is found when somebody was at it.

use std::fs;
use std::path::PathBuf;

use aether_testkit::script::{Script, Turn};
use aether_testkit::server::Server;
use serde_json::Value;

use crate::ground::{KEY, Nest, asking, last_result, names_in};

/// A model that makes these calls, one after the other, and then says that it is done.
fn calling(calls: &[(&str, &str)]) -> Server {
    let script = calls.iter().fold(Script::new(), |script, (name, input)| script.turn(Turn::call(name, input)));
    Server::start(script.turn(Turn::text("done"))).expect("a server")
}

const WRITE: (&str, &str) = ("write_file", r#"{"path":"note.txt","content":"quite private"}"#);
const READ: (&str, &str) = ("read_file", r#"{"path":"note.txt"}"#);

fn data(nest: &Nest, beneath: &str) -> PathBuf {
    nest.path(".local/share/aether").join(beneath)
}

/// The lines of the log, of every kind.
fn lines(nest: &Nest) -> Vec<Value> {
    let ended = nest.run(&["audit", "show", "--json", "--last", "1000"]).exits(0);
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The kinds of the log's lines, without its own.
fn kinds(nest: &Nest) -> Vec<String> {
    let kinds = lines(nest).into_iter().map(|line| line["kind"].as_str().expect("a kind").to_owned());
    kinds.filter(|kind| !["begin", "checkpoint"].contains(&kind.as_str())).collect()
}

fn verdict(nest: &Nest, exit: i32) -> Value {
    let ended = nest.run(&["audit", "verify", "--json"]).exits(exit);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// A log with one line for a write that was allowed.
fn written() -> Nest {
    let server = calling(&[WRITE]);
    let nest = asking(&server);
    nest.aether(&["run", "write a note", "--allow", "write"]).run().exits(0);
    assert_eq!(nest.text_of("note.txt"), "quite private");
    nest
}

#[test]
fn an_effect_has_its_line() {
    let nest = written();
    let allowed: Vec<Value> = lines(&nest).into_iter().filter(|line| line["kind"] == "allow").collect();
    let [line] = &allowed[..] else { panic!("{allowed:?}") };
    let facts = &line["facts"];
    assert_eq!((&facts["tool"], &facts["acts"]), (&"write_file".into(), &"write".into()));
    assert_eq!((&facts["reach"], &facts["task"]), (&"write $workspace/note.txt".into(), &"t0.0".into()));
    assert_eq!(facts["call"].as_str().map(str::len), Some(64));
    let trace = nest.run(&["trace", "--list"]).exits(0).stdout.trim().to_owned();
    assert_eq!(facts["trace"], *trace);
    for task in ["t0.0", &trace] {
        nest.run(&["audit", "show", "--task", task]).exits(0).answers("write_file").answers("allow");
    }
    nest.run(&["audit", "verify"]).exits(0).answers("the audit log is whole").answers("1 checkpoints");
    let verdict = verdict(&nest, 0);
    assert_eq!((&verdict["is_whole"], &verdict["fault"]), (&true.into(), &Value::Null));
}

/// What was read or written, and what is secret, is not in the log.
#[test]
fn no_content_and_no_secret_goes_in() {
    let nest = written();
    let mut all = nest.run(&["audit", "export"]).exits(0).stdout;
    for name in names_in(&data(&nest, "audit")) {
        all.push_str(&fs::read_to_string(data(&nest, "audit").join(name)).expect("a text"));
    }
    assert!(all.contains("note.txt") && !all.contains("quite private") && !all.contains(KEY), "{all}");
}

#[test]
fn a_run_that_decides_nothing_leaves_nothing() {
    let server = calling(&[("calculate", r#"{"expression":"1+1"}"#)]);
    let nest = asking(&server);
    nest.aether(&["run", "add"]).run().exits(0);
    assert!(!data(&nest, "audit").exists() && !data(&nest, "trust").exists());
    nest.run(&["audit", "show"]).exits(0);
    nest.run(&["audit", "verify"]).exits(0).answers("nothing was logged");
    nest.run(&["audit", "export"]).exits(1).says("nothing was logged yet");
    assert!(!data(&nest, "audit").exists() && !data(&nest, "trust").exists(), "looking makes nothing");
}

#[test]
fn every_decision_is_there_in_its_order() {
    let server = calling(&[READ, WRITE]);
    let nest = asking(&server);
    nest.file("note.txt", "before");
    nest.aether(&["run", "go on", "--yes"]).run().exits(0);
    assert_eq!(kinds(&nest), ["allow", "ask", "approve", "allow"]);
    // Nobody is there to be asked.
    let server = calling(&[WRITE]);
    let nest = asking(&server);
    nest.aether(&["run", "go on"]).run().exits(0);
    assert_eq!(kinds(&nest), ["ask", "deny"]);
    assert_eq!(lines(&nest).iter().find(|line| line["kind"] == "deny").expect("a line")["facts"]["reason"], "declined");
    // Policy denies it.
    let server = calling(&[WRITE]);
    let nest = asking(&server);
    nest.aether(&["run", "go on", "--deny", "write"]).run().exits(0);
    assert_eq!(kinds(&nest), ["deny"]);
    // By hand.
    let nest = Nest::new();
    nest.run(&["tool", "run", WRITE.0, WRITE.1]).exits(0);
    assert_eq!(kinds(&nest), ["allow"]);
    nest.run(&["audit", "show", "--kind", "deny"]).exits(0);
    nest.run(&["audit", "show", "--kind", "dney"]).exits(2).says("deny");
    nest.run(&["audit", "show", "--last", "many"]).exits(2).says("--last");
}

/// A change of the configuration is there by its digests, and does not happen where it cannot be there.
#[test]
fn a_change_of_the_configuration_has_its_line() {
    let nest = Nest::new();
    nest.run(&["config", "set", "limits.wall_ms", "60000"]).exits(0);
    nest.run(&["config", "unset", "limits.wall_ms"]).exits(0);
    assert_eq!(kinds(&nest), ["config", "config"]);
    let facts: Vec<Value> = lines(&nest).into_iter().map(|line| line["facts"].clone()).collect();
    let changes: Vec<&Value> = facts.iter().filter(|facts| facts["file"].is_string()).collect();
    assert_eq!(changes[0]["after"], changes[1]["before"]);
    assert_ne!(changes[0]["before"], changes[0]["after"]);
    let nest = Nest::new();
    nest.write(".local/share/aether/audit", "in the way", 0o600);
    nest.run(&["config", "set", "limits.wall_ms", "60000"]).exits(1).says("not changed").says("audit log");
    assert_eq!(nest.config(), "");
}

/// Where the log cannot be written, nothing happens that has to be in it; and the rest goes on.
#[test]
fn what_cannot_be_written_down_does_not_happen() {
    let server = calling(&[WRITE, ("list_dir", r#"{"path":"."}"#)]);
    let nest = asking(&server);
    nest.file("other.txt", "here");
    // A file where the directory should be stops every user, the administrator too.
    nest.write(".local/share/aether/audit", "in the way", 0o600);
    let ended = nest.aether(&["run", "write a note", "--allow", "write"]).run().exits(0);
    assert_eq!(nest.names(), ["other.txt"]);
    let results: Vec<String> = server.requests().iter().flat_map(crate::ground::results).collect();
    assert!(results.iter().any(|text| text.contains("not run") && text.contains("audit log")), "{results:?}");
    assert!(last_result(&server).contains("other.txt"), "{}", last_result(&server));
    ended.says("the audit log is not complete");
    let ended = nest.run(&["tool", "run", WRITE.0, WRITE.1]).exits(1).says("not run");
    assert_eq!(nest.names(), ["other.txt"]);
    assert!(ended.stderr.contains("audit"), "{ended:?}");
}

#[test]
fn a_key_that_others_can_read_stops_effects_and_says_what_to_do() {
    let nest = written();
    let key = data(&nest, "trust/machine.key");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode");
    nest.run(&["tool", "run", "write_file", r#"{"path":"b.txt","content":"x"}"#]).exits(1).says("chmod 600");
    assert_eq!(nest.names(), ["note.txt"]);
}

#[test]
fn a_change_is_located_and_an_archive_lets_work_go_on() {
    let nest = written();
    let log = data(&nest, "audit/audit-000001.jsonl");
    let text = fs::read_to_string(&log).expect("a log");
    fs::write(&log, text.replace("write_file", "read_files")).expect("an edit");
    nest.run(&["audit", "verify"]).exits(1).says("audit-000001.jsonl:2").says("line 2").says("aether audit archive");
    let fault = &verdict(&nest, 1)["fault"];
    assert_eq!((&fault["wrong"], &fault["seq"], &fault["line"]), (&"edited".into(), &2.into(), &2.into()));
    nest.run(&["audit", "export"]).exits(1).says("line 2");
    // Cut short, it takes no more lines, and nothing happens.
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&log, format!("{}\n", lines[0])).expect("a cut");
    nest.run(&["audit", "verify"]).exits(1).says("cut, or an older copy");
    let again = r#"{"path":"more.txt","content":"x"}"#;
    nest.run(&["tool", "run", "write_file", again]).exits(1).says("aether audit archive");
    assert_eq!(nest.names(), ["note.txt"]);
    nest.run(&["audit", "archive"]).exits(0).says("archive-");
    nest.run(&["tool", "run", "write_file", again]).exits(0);
    assert_eq!(nest.names(), ["more.txt", "note.txt"]);
    nest.run(&["audit", "verify"]).exits(0).answers("follows an archived log of 3 lines that was damaged (truncated)");
}

#[test]
fn an_export_is_checked_elsewhere() {
    let nest = written();
    let file = nest.outside("audit.jsonl");
    let path = file.to_str().expect("UTF-8");
    let ended = nest.run(&["audit", "export", "--output", path]).exits(0).says("lines in");
    nest.run(&["audit", "export", "--output", path]).exits(2).says("audit.jsonl");
    let key = ended.stderr.split("signed by the key ").nth(1).expect("a key").trim().to_owned();
    let elsewhere = Nest::new();
    elsewhere.run(&["audit", "verify", "--file", path]).exits(0).answers(&key).answers("compare");
    elsewhere.run(&["audit", "verify", "--file", path, "--key", &key]).exits(0).answers("whole");
    elsewhere.run(&["audit", "verify", "--file", path, "--key", &"0".repeat(64)]).exits(1).says("not the one to trust");
    elsewhere.run(&["audit", "verify", "--file", path, "--key", "short"]).exits(2).says("64 hexadecimal digits");
    let text = fs::read_to_string(&file).expect("an export");
    let cut: String = text.lines().take(3).map(|line| format!("{line}\n")).collect();
    fs::write(&file, cut).expect("a cut");
    elsewhere.run(&["audit", "verify", "--file", path]).exits(1).says("cut");
    assert!(!elsewhere.path(".local").exists(), "looking makes nothing");
}
