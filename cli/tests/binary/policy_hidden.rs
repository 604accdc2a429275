//! This program's own files in the workspace: keys, policy, records and sessions are there for no tool.

use std::fs;
use std::os::unix::fs::symlink;

use aether_testkit::script::{Item, Script, Turn};
use aether_testkit::server::Server;

use crate::ground::{Nest, asking, results};

/// The key's own word, and what the person said in a conversation: what must not come out.
const KEY_WORD: &str = "ed25519-seed";
const DIARY: &str = "dear diary";

/// A home that holds a key, a policy, an audit log and a session, and is the workspace.
fn lived_in(nest: &Nest) -> String {
    nest.decide("guest.write", "deny");
    nest.aether(&["chat", "--model", "builtin/offline"]).input(format!("{DIARY}\n")).run();
    assert!(nest.files_with(KEY_WORD).iter().any(|path| path.ends_with("machine.key")));
    assert!(!nest.files_with(DIARY).is_empty(), "the conversation is kept");
    nest.write("notes.txt", "ed25519-nothing, dear reader\n", 0o644);
    symlink(nest.path(".local/share/aether/trust"), nest.path("absolute")).expect("a link");
    symlink(".local/share/aether/trust", nest.path("relative")).expect("a link");
    symlink("relative/machine.key", nest.path("key")).expect("a link");
    symlink("../.local/share/aether/../aether/./trust", nest.path(".config/detour")).expect("a link");
    nest.home().to_string_lossy().into_owned()
}

#[test]
fn no_tool_reads_lists_or_searches_what_is_this_programs_own() {
    let nest = Nest::new();
    let home = lived_in(&nest);
    let tool = |name: &str, input: &serde_json::Value| {
        nest.run(&["tool", "run", name, &input.to_string(), "--workspace", &home]).hides(KEY_WORD).hides(DIARY)
    };
    let direct = [
        ".local/share/aether/trust/machine.key",
        ".local/share/aether/audit/audit-000001.jsonl",
        ".config/aether/policy.toml",
        ".config/aether/policy.toml.sig",
        "absolute/machine.key",
        "relative/machine.key",
        "key",
        ".config/detour/machine.key",
        ".local//share/./aether/trust/machine.key",
    ];
    for path in direct {
        let read = tool("read_file", &serde_json::json!({"path": path}));
        assert_eq!(read.status.code(), Some(1), "{path}: {read:#?}");
        assert!(!read.stdout.contains("counter") && !read.stdout.contains("guest"), "{path}: {read:#?}");
    }
    tool("read_file", &serde_json::json!({"path": direct[0]}))
        .exits(1)
        .says("this program's own")
        .says("ask the person");
    for path in [".local/share/aether", ".config/aether", ".local/share/aether/sessions", "relative", ".config/detour"]
    {
        tool("list_dir", &serde_json::json!({"path": path})).exits(1).says("this program's own");
    }
    tool("list_dir", &serde_json::json!({"path": ".local/share"})).exits(0).answers("0 entries");
    let all = tool("list_dir", &serde_json::json!({"path": ".", "depth": 8}));
    assert!(!all.stdout.contains("machine.key") && !all.stdout.contains("policy.toml"), "{all:#?}");
    for pattern in ["**/*.key", "**/aether/**", "**/*.jsonl"] {
        let found = tool("find_files", &serde_json::json!({"pattern": pattern})).exits(0);
        assert!(!found.stdout.contains("machine") && !found.stdout.contains("audit"), "{found:#?}");
    }
    let found = tool("search_text", &serde_json::json!({"pattern": "ed25519|dear|guest|signature"})).exits(0);
    found.answers("notes.txt").answers("1 match");
    for path in [".local/share/aether", "relative", "key"] {
        tool("search_text", &serde_json::json!({"pattern": "e", "path": path})).exits(1);
    }
}

/// The same by a model that tries, with everything allowed; and moved aside while it runs nothing changes.
#[test]
fn a_model_with_every_permission_does_not_get_the_key() {
    let read = |path: &str| Item::call("read_file", &serde_json::json!({"path": path}).to_string());
    let calls = vec![
        read(".local/share/aether/trust/machine.key"),
        read("key"),
        read("absolute/machine.key"),
        Item::call("search_text", r#"{"pattern":"ed25519"}"#),
        Item::call("find_files", r#"{"pattern":"**/*.key"}"#),
        Item::call("list_dir", r#"{"path":"relative"}"#),
        Item::call(
            "write_file",
            r#"{"path":".local/share/aether/trust/policy.counter","content":"9","overwrite":true}"#,
        ),
        Item::call("edit_file", r#"{"path":".config/aether/policy.toml","old":"deny","new":"allow"}"#),
    ];
    let count = calls.len();
    let server = Server::start(Script::new().turn(Turn::reply(calls)).turn(Turn::text("done"))).expect("a server");
    let nest = asking(&server);
    let home = lived_in(&nest);
    let own = |nest: &Nest| {
        (fs::read(nest.policy_file()).ok(), fs::read(nest.path(".local/share/aether/trust/policy.counter")).ok())
    };
    let before = own(&nest);
    nest.aether(&["run", "show me the key", "--yes", "--workspace", &home]).run().exits(0).hides(KEY_WORD);
    let requests = server.requests();
    let told = results(requests.last().expect("a request"));
    assert_eq!(told.len(), count, "{told:#?}");
    for result in &told {
        assert!(!result.contains(KEY_WORD) && !result.contains(DIARY), "{result}");
    }
    assert!(told[3].contains("notes.txt"), "what is not ours is found: {}", told[3]);
    assert_eq!(own(&nest), before);
    nest.run(&["policy", "check"]).exits(0);
}

/// A workspace within this program's own directories is one in which there is nothing.
#[test]
fn a_workspace_of_our_own_files_is_closed() {
    let nest = Nest::new();
    lived_in(&nest);
    for workspace in [".local/share/aether", ".local/share/aether/trust", ".config/aether"] {
        let workspace = nest.path(workspace).to_string_lossy().into_owned();
        let tool =
            |name: &str, input: &str| nest.run(&["tool", "run", name, input, "--workspace", &workspace]).exits(1);
        tool("list_dir", r#"{"path":"."}"#).says("this program's own");
        tool("search_text", r#"{"pattern":"e"}"#).hides(KEY_WORD);
        tool("read_file", r#"{"path":"machine.key"}"#).hides(KEY_WORD);
        tool("write_file", r#"{"path":"x","content":"x"}"#).says("this program's own");
    }
    assert!(!nest.path(".config/aether/x").exists() && !nest.path(".local/share/aether/x").exists());
}
