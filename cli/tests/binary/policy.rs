//! `aether policy` in the built program: it holds, it is signed, and nothing but the person changes it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use aether_testkit::script::{Script, Turn};
use aether_testkit::server::Server;

use crate::ground::{Nest, asking, last_result, mode};
use crate::person::Person;

const POLICY: &str = ".config/aether/policy.toml";
const WRITE: &str = r#"{"path":"note.txt","content":"hello\n"}"#;

fn one_call(name: &str, input: &str) -> Server {
    Server::start(Script::new().turn(Turn::call(name, input)).turn(Turn::text("done"))).expect("a server")
}

#[test]
fn without_a_file_the_built_in_policy_holds_and_nothing_is_made() {
    let nest = Nest::new();
    let shown = nest.run(&["policy", "show"]).exits(0).answers("the built-in policy");
    let write = shown.stdout.lines().find(|line| line.starts_with("write ")).expect("a row");
    assert_eq!(write.split_whitespace().collect::<Vec<_>>(), ["write", "ask", "ask", "deny", "deny", "ask", "deny"]);
    nest.run(&["policy", "check"]).exits(0).answers("does not exist, and does not have to");
    nest.run(&["policy", "sign"]).exits(2).says("there is no ");
    nest.run(&["doctor"]).answers("ok       policy").answers("the built-in policy holds");
    assert!(!nest.policy_file().exists() && !nest.path(".local/share/aether/trust").exists());
}

#[test]
fn a_cell_is_set_signed_shown_and_holds() {
    let nest = Nest::new();
    let set = nest.run(&["policy", "set", "terminal.write", "deny"]).exits(0);
    set.says("terminal.write: ask -> deny").says("is saved and signed");
    assert_eq!(fs::read_to_string(nest.policy_file()).expect("a policy"), "[terminal]\nwrite = \"deny\"\n");
    assert_eq!(mode(&nest.policy_file()), 0o600);
    nest.run(&["policy", "show"])
        .exits(0)
        .answers("signed by this machine")
        .answers("* terminal.write = deny (line 2)");
    let report = &nest.run(&["policy", "show", "--json"]).exits(0).lines()[0];
    let cells = report["cells"].as_array().expect("cells");
    assert_eq!((cells.len(), &report["state"]), (54, &"signed".into()));
    let cell = |asker: &str, act: &str| cells.iter().find(|c| c["asker"] == asker && c["act"] == act).expect("a cell");
    assert_eq!(cell("terminal", "write")["decision"], "deny");
    assert!(cell("terminal", "write")["source"].as_str().is_some_and(|source| source.ends_with("policy.toml:2")));
    assert_eq!(cell("owner", "write")["source"], "built-in");
    nest.run(&["tool", "run", "write_file", WRITE]).exits(3).says("policy denies write");
    nest.run(&["run", "x", "--model", "builtin/offline", "--allow", "write"]).exits(3).says("no flag lifts that");
    assert!(nest.names().is_empty());
    nest.run(&["policy", "set", "terminal.write", "default"]).exits(0);
    nest.run(&["tool", "run", "write_file", WRITE]).exits(0);
    nest.run(&["policy", "set", "terminal.write", "default"]).exits(0).says("was so already");
    let logged = nest.run(&["audit", "show", "--kind", "policy", "--json"]).exits(0);
    assert_eq!(logged.stdout.matches("terminal.write: ask -> deny").count(), 1, "{logged:#?}");
    nest.run(&["policy", "set", "terminal.wrte", "ask"]).exits(2).says("did you mean `terminal.write`?");
    nest.run(&["policy", "set", "terminal.write", "yes"]).exits(2).says("wanted allow, ask, deny or default");
    nest.run(&["policy", "set", "*.*", "allow"]).exits(2).says("is no cell of the policy");
    let completed = nest.run(&["completions", "bash"]).exits(0).stdout;
    assert!(
        completed.contains("terminal.write") && completed.contains("peer.spend") && completed.contains("allow ask")
    );
}

/// A change by hand, an unsigned file, a lost signature, another machine's: nothing runs until the person has looked.
#[test]
fn what_nobody_signed_does_not_hold_and_stops_everything() {
    let nest = Nest::new();
    let refused = |words: &[&str]| {
        for command in [
            &["tool", "run", "write_file", WRITE][..],
            &["run", "hello", "--model", "builtin/offline"],
            &["policy", "show"],
            &["policy", "check"],
            &["policy", "set", "guest.write", "allow"],
        ] {
            nest.run(command).exits(3).says_all(words).says("aether policy sign");
        }
        assert!(nest.names().is_empty());
    };
    nest.write(POLICY, "[terminal]\nwrite = \"allow\"\n", 0o600);
    refused(&["is not signed", "differs from the built-in policy in terminal.write: ask -> allow"]);
    nest.run(&["policy", "sign"]).exits(3).answers("+ write = \"allow\"").says("no terminal to ask on");
    refused(&["is not signed"]);
    let signed = nest.run(&["policy", "sign", "--yes"]).exits(0);
    signed.answers("terminal.write: ask -> allow").says("is signed");
    nest.run(&["policy", "check"]).exits(0).answers("sound and signed");
    let text = fs::read_to_string(nest.policy_file()).expect("a policy");
    nest.write(POLICY, &format!("{text}execute = \"allow\"\n"), 0o600);
    refused(&["was changed since it was signed", "differs from what was signed in terminal.execute: ask -> allow"]);
    nest.write(POLICY, &format!("# mine\n{text}"), 0o600);
    refused(&["it allows the same as what was signed"]);
    nest.run(&["policy", "sign", "--yes"]).exits(0).answers("+ # mine").answers("stays the same");
    let signature = nest.path(".config/aether/policy.toml.sig");
    let kept = fs::read(&signature).expect("a signature");
    fs::remove_file(&signature).expect("removed");
    refused(&["is not signed"]);
    fs::write(&signature, &kept).expect("written");
    nest.run(&["policy", "check"]).exits(0);
}

/// Whoever takes the signed file away, with its signature or without, does not get the built-in policy for it.
#[test]
fn a_policy_that_was_signed_is_not_lifted_by_taking_it_away() {
    let nest = Nest::new();
    nest.decide("terminal.write", "deny");
    let signature = nest.path(".config/aether/policy.toml.sig");
    let stopped = || {
        for command in [
            &["tool", "run", "write_file", WRITE][..],
            &["run", "hello", "--model", "builtin/offline"],
            &["policy", "show"],
            &["policy", "check"],
            &["policy", "sign", "--yes"],
            &["policy", "edit"],
            &["policy", "set", "guest.write", "allow"],
            &["policy", "explain", "write_file", WRITE],
        ] {
            nest.run(command).exits(3).says_all(&["is gone", "this machine signed it", "aether policy reset"]);
        }
        let report = &nest.run(&["policy", "check", "--json"]).exits(3).lines()[0];
        assert_eq!(report["state"], "gone");
        nest.run(&["doctor"]).exits(1).answers("broken   policy").answers("aether policy reset");
        assert!(nest.names().is_empty() && !nest.policy_file().exists());
    };
    fs::remove_file(nest.policy_file()).expect("removed");
    stopped();
    fs::remove_file(&signature).expect("removed");
    stopped();
    // One that is written in its place is signed by nobody.
    nest.write(POLICY, "", 0o600);
    nest.run(&["tool", "run", "write_file", WRITE]).exits(3).says("is not signed");
    fs::remove_file(nest.policy_file()).expect("removed");
    nest.run(&["policy", "reset"]).exits(3).answers("terminal.write: deny -> ask").says("no terminal to ask on");
    stopped();
    let mut person = Person::at(&nest, &["policy", "reset"]);
    person.sees("terminal.write: deny -> ask");
    person.sees("[s]ign it, or [l]eave it: ");
    person.types("l");
    assert_eq!(person.waits(), Some(3));
    stopped();
    nest.run(&["policy", "reset", "--yes"]).exits(0).answers("terminal.write: deny -> ask").says("is signed");
    nest.run(&["policy", "check"]).exits(0).answers("sound and signed");
    nest.run(&["doctor"]).answers("is signed and says what the built-in policy says");
    nest.run(&["tool", "run", "write_file", WRITE]).exits(0);
    let logged = nest.run(&["audit", "show", "--kind", "policy", "--json"]).exits(0);
    assert_eq!(logged.stdout.matches("terminal.write: deny -> ask").count(), 1, "{logged:#?}");
    nest.run(&["policy", "reset"]).exits(0).says("holds already");
}

/// The way back also leads out of a file that nobody can read any more, and past one that nobody signed.
#[test]
fn a_reset_takes_the_place_of_anything() {
    let nest = Nest::new();
    nest.run(&["policy", "reset"]).exits(0).says("holds already");
    assert!(!nest.policy_file().exists() && !nest.path(".local/share/aether/trust").exists());
    nest.decide("terminal.execute", "deny");
    for text in ["[terminal\n", "[terminal]\nwrite = \"allow\"\n"] {
        nest.write(POLICY, text, 0o600);
        nest.run(&["tool", "run", "time"]);
        nest.run(&["policy", "reset", "--yes"]).exits(0);
        nest.run(&["policy", "check"]).exits(0).answers("sound and signed");
        assert!(fs::read_to_string(nest.policy_file()).expect("a policy").starts_with("# The built-in policy"));
    }
    nest.decide("terminal.write", "deny");
    nest.run(&["policy", "reset", "--yes"]).exits(0).answers("terminal.write: deny -> ask");
    nest.run(&["policy", "show"]).exits(0).hides("*");
}

#[test]
fn an_older_signed_copy_and_one_that_others_may_write_do_not_hold() {
    let nest = Nest::new();
    let signature = nest.path(".config/aether/policy.toml.sig");
    nest.decide("terminal.write", "allow");
    let before = (fs::read(nest.policy_file()).expect("a policy"), fs::read(&signature).expect("a signature"));
    nest.decide("terminal.write", "deny");
    let after = (fs::read(nest.policy_file()).expect("a policy"), fs::read(&signature).expect("a signature"));
    fs::write(nest.policy_file(), &before.0).and_then(|()| fs::write(&signature, &before.1)).expect("rolled back");
    nest.run(&["tool", "run", "write_file", WRITE]).exits(3).says("is an older copy");
    fs::write(nest.policy_file(), &after.0).and_then(|()| fs::write(&signature, &after.1)).expect("put back");
    nest.run(&["policy", "check"]).exits(0);
    fs::set_permissions(nest.policy_file(), Permissions::from_mode(0o666)).expect("a mode");
    nest.run(&["policy", "show"]).exits(3).says("is open to others");
    let other = Nest::new();
    other.write(POLICY, &String::from_utf8_lossy(&after.0), 0o600);
    other.write(".config/aether/policy.toml.sig", &String::from_utf8_lossy(&after.1), 0o600);
    other.run(&["policy", "show"]).exits(3).says("is not signed");
    other.write(POLICY, "", 0o600);
    other.run(&["policy", "sign", "--yes"]).exits(0);
    other.write(POLICY, &String::from_utf8_lossy(&after.0), 0o600);
    other.write(".config/aether/policy.toml.sig", &String::from_utf8_lossy(&after.1), 0o600);
    other.run(&["policy", "show"]).exits(3).says("is not this machine's");
}

/// What cannot be read denies, with every mistake and its place; also in `sign`, which would be blind.
#[test]
fn a_policy_with_mistakes_denies_and_says_where() {
    let nest = Nest::new();
    nest.write(POLICY, "[terminal]\nwirte = \"allow\"\nexecute = \"yes\"\n[secrets]\ntoken = \"hunter2\"\n", 0o600);
    for command in [
        &["run", "hello"][..],
        &["policy", "show"],
        &["policy", "check"],
        &["policy", "sign", "--yes"],
        &["policy", "set", "terminal.write", "ask"],
    ] {
        nest.run(command)
            .exits(2)
            .says_all(&[
                "policy.toml:2:1: unknown key",
                "did you mean `terminal.write`",
                "policy.toml:3:11:",
                "policy.toml:5:9:",
            ])
            .hides("hunter2");
    }
    let report = &nest.run(&["policy", "check", "--json"]).exits(2).lines()[0];
    assert_eq!((&report["state"], report["errors"].as_array().map(Vec::len)), (&"broken".into(), Some(3)));
}

#[test]
fn a_call_is_explained_cell_by_cell() {
    let nest = Nest::new();
    nest.decide("schedule.write", "allow");
    let told = nest.run(&["policy", "explain", "write_file", WRITE]).exits(0);
    let told = told.answers("writes $workspace/note.txt").answers("none of its acts leaves the machine");
    let told = told.answers("terminal   ask    policy asks before write (terminal.write, built in)");
    told.answers("schedule   allow")
        .answers("guest      deny   refused: policy denies write to guest (guest.write, built in)");
    let fetch = r#"http_fetch {"url":"https://example.com/"}"#;
    let told = nest.run(&["policy", "explain", fetch, "--as", "schedule"]).exits(0);
    told.answers("network_read leaves the machine").answers("schedule   ask").hides("terminal   ");
    let report = &nest.run(&["policy", "explain", fetch, "--json"]).exits(0).lines()[0];
    assert_eq!(report["rulings"].as_array().map(Vec::len), Some(6));
    assert_eq!(report["rulings"][0]["cell"], "terminal.network_read");
    nest.run(&["policy", "explain", "write_fil"]).exits(2).says("did you mean `write_file`?");
    nest.run(&["policy", "explain", "write_file", "{}"]).exits(2).says("write_file:");
    nest.run(&["policy", "explain", "time", "--as", "gest"]).exits(2).says("did you mean `guest`?");
}

#[test]
fn denied_tools_and_hosts_are_out_of_reach() {
    let nest = Nest::new();
    let text = "[tools]\ndenied = [\"write_file\"]\n[network]\nallowed_hosts = [\"*.example.com\"]\ndenied_hosts = [\"bad.example.com\"]\n";
    nest.write(POLICY, text, 0o600);
    nest.run(&["policy", "sign", "--yes"]).exits(0);
    nest.run(&["tool", "run", "write_file", WRITE]).exits(3).says("not granted the tool");
    let fetch = |host: &str| nest.run(&["tool", "run", "http_fetch", &format!(r#"{{"url":"https://{host}/"}}"#)]);
    fetch("other.example").exits(3).says("not granted network to other.example:443");
    fetch("bad.example.com").exits(1).says("policy denies the host bad.example.com:443");
    nest.run(&["policy", "explain", "http_fetch", r#"{"url":"https://bad.example.com/"}"#])
        .exits(0)
        .answers("to everybody");
    let listed = nest.run(&["policy", "show"]).exits(0);
    listed.answers("network.allowed_hosts        *.example.com:443").answers("tools.denied                 write_file");
}

/// Where the workspace holds this program's own files, no tool changes them, by whatever name.
#[test]
fn a_model_cannot_change_what_decides_over_it() {
    let own = [
        ".config/aether/policy.toml",
        ".config/aether/policy.toml.sig",
        ".config/aether/new.toml",
        ".config/aether/../aether/x",
        ".local/share/aether/trust/machine.key",
        ".local/share/aether/x",
        "link/policy.toml",
    ];
    for path in own {
        let server =
            one_call("write_file", &serde_json::json!({"path": path, "content": "x", "overwrite": true}).to_string());
        let nest = asking(&server);
        nest.decide("guest.write", "deny");
        symlink(nest.path(".config/aether"), nest.path("link")).expect("a link");
        let before = fs::read(nest.policy_file()).expect("a policy");
        let home = nest.home().to_string_lossy().into_owned();
        nest.aether(&["run", "widen it", "--yes", "--workspace", &home]).run();
        assert_eq!(fs::read(nest.policy_file()).expect("a policy"), before, "{path}");
        assert!(
            !nest.path(".config/aether/new.toml").exists() && !nest.path(".local/share/aether/x").exists(),
            "{path}"
        );
        assert!(!last_result(&server).contains("wrote"), "{path}: {}", last_result(&server));
        nest.run(&["policy", "check"]).exits(0);
    }
    let server = one_call("write_file", r#"{"path":"notes.txt","content":"x"}"#);
    let nest = asking(&server);
    let home = nest.home().to_string_lossy().into_owned();
    nest.aether(&["run", "write", "--yes", "--workspace", &home]).run().exits(0);
    assert!(nest.path("notes.txt").exists(), "everything else in such a workspace can be written");
    let config = nest.path(".config/aether").to_string_lossy().into_owned();
    let inside = nest.run(&["tool", "run", "write_file", WRITE, "--workspace", &config]);
    inside.exits(1).says("belongs to this program's own configuration");
}

/// The table that used to be in config.toml is refused there, and every way to say so names the new one.
#[test]
fn the_old_place_names_the_new_one() {
    let nest = Nest::with("[policy.terminal]\nwrite = \"deny\"\n");
    nest.run(&["run", "hello"]).exits(2).says("aether policy set terminal.write deny");
    let report = &nest.run(&["config", "check", "--json"]).exits(2).lines()[0];
    assert_eq!(report["errors"][0]["line"], 2, "{report}");
    nest.run(&["config", "unset", "policy.terminal.write"]).exits(0);
    nest.run(&["config", "check"]).exits(0);
    for command in [
        &["config", "set", "policy.terminal.write", "allow"][..],
        &["config", "get", "policy.terminal.write"],
        &["config", "explain", "policy"],
    ] {
        nest.run(command).exits(2).says("policy is a signed file of its own");
    }
    let by_variable = nest.aether(&["policy", "show"]).env("AETHER_POLICY__TERMINAL__WRITE", "allow").run();
    by_variable.exits(2).says("unset AETHER_POLICY__TERMINAL__WRITE");
    let other = nest.file("other.toml", "");
    nest.decide("terminal.write", "deny");
    let around = nest.run(&["tool", "run", "write_file", WRITE, "--config", &other.to_string_lossy()]);
    around.exits(3).says("policy denies write");
}

#[test]
fn a_person_edits_looks_and_signs() {
    let nest = Nest::new();
    let editor = nest.write("bin/editor", "#!/bin/sh\nprintf '[terminal]\\nwrite = \"deny\"\\n' > \"$1\"\n", 0o755);
    let edited = nest.aether(&["policy", "edit"]).env("EDITOR", &editor).run().exits(0);
    edited.answers("policy.toml is saved");
    nest.run(&["policy", "check"]).exits(0).answers("sound and signed");
    nest.run(&["tool", "run", "write_file", WRITE]).exits(3);
    let bad = nest.write("bin/bad", "#!/bin/sh\nprintf '[terminal]\\nwrite = 1\\n' > \"$1\"\n", 0o755);
    nest.aether(&["policy", "edit"])
        .env("EDITOR", &bad)
        .run()
        .exits(2)
        .says("policy.toml:2:9")
        .says("policy.rejected.toml");
    nest.run(&["policy", "check"]).exits(0);
    nest.write(POLICY, "[terminal]\nwrite = \"allow\"\n", 0o600);
    let mut person = Person::at(&nest, &["policy", "sign"]);
    person.sees("terminal.write: deny -> allow");
    person.sees("[s]ign it, or [l]eave it: ");
    person.types("l");
    assert_eq!(person.waits(), Some(3));
    nest.run(&["policy", "check"]).exits(3);
    let mut person = Person::at(&nest, &["policy", "sign"]);
    person.sees("[s]ign it, or [l]eave it: ");
    person.types("s");
    person.sees("is signed");
    assert_eq!(person.waits(), Some(0));
    nest.run(&["tool", "run", "write_file", WRITE]).exits(0);
}

/// What the operator says of hosts holds within a jail, for names that no call ever mentioned.
#[cfg(all(feature = "sandbox", target_os = "linux"))]
#[test]
fn denied_hosts_are_out_of_reach_for_programs() {
    use crate::yard::{Who, audits, manifest};
    const CODE: &str = "import socket\n\
        for name in ('bad.example', 'BAD.example.', 'x.worse.example', 'fine.example', 'worse.example'):\n  try:\n    \
        socket.getaddrinfo(name, 443)\n    print(name, 'KNOWN')\n  except OSError:\n    print(name, 'UNKNOWN')\n\
        s = socket.create_connection(('93.184.215.14', 80), 5)\n\
        s.sendall(b'GET / HTTP/1.1\\r\\nhost: 93.184.215.14\\r\\nconnection: close\\r\\n\\r\\n')\n\
        print(s.makefile('rb').read().decode())";
    for who in Who::all() {
        let nest = Nest::new();
        let text = "[network]\ndenied_hosts = [\"bad.example\", \"*.worse.example\", \"93.184.215.14\"]\n";
        nest.write(POLICY, text, 0o600);
        let path = manifest(&nest, "network = true\nmax_runtime = \"20s\"\nmemory_limit = \"100mb\"");
        who.aether(&nest, &["policy", "sign", "--yes"]).run().exits(0);
        let words = ["sandbox", "run", "--manifest", &path, "--", "python3", "-c", CODE];
        let ended = who.aether(&nest, &words).run().exits(0);
        let ended =
            ended.answers("bad.example UNKNOWN").answers("BAD.example. UNKNOWN").answers("x.worse.example UNKNOWN");
        let ended = ended.answers("fine.example KNOWN").answers("\nworse.example KNOWN");
        ended.answers("403 Forbidden").answers("policy denies this host to everybody");
        audits(*who, &nest, &["\"kind\":\"egress\"", "bad.example", "policy denies this host"]);
        audits(*who, &nest, &["\"kind\":\"egress\"", "93.184.215.14", "policy denies this host"]);
    }
}
