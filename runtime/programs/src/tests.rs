//! What the tools read from their input.

use aether_core::tool::Act;
use aether_tools::Scope;

use super::*;

fn programs() -> Programs {
    Programs::new(&Scope::workspace("/w"), &[Available::Git, Available::Python, Available::Node])
}

fn once(name: &str, input: &str) -> Line {
    match programs().order(name, input) {
        Ok(Order::Once(line)) => line,
        other => panic!("{name} {input}: {other:?}"),
    }
}

#[test]
fn p5_the_manifests_cost_little() {
    let all = programs();
    let bytes: usize = all.manifests().map(|m| m.name.len() + m.description.len() + m.input.len()).sum();
    assert!(bytes <= PROMPT_BYTES_MAX, "{bytes} bytes");
    for manifest in all.manifests() {
        let schema: serde_json::Value = serde_json::from_str(&manifest.input).unwrap();
        assert_eq!(schema["additionalProperties"].as_bool(), Some(false), "{}", manifest.name);
        assert_eq!(manifest.runtime, Runtime::Native);
    }
}

#[test]
fn p1_the_network_is_what_the_input_names() {
    let all = programs();
    for (name, input) in [
        ("shell", r#"{"command":"curl https://example.com"}"#),
        ("run_program", r#"{"program":"curl","args":["https://example.com"]}"#),
        ("git", r#"{"args":["fetch","origin"]}"#),
        ("python", r#"{"code":"print(1)"}"#),
    ] {
        let needs = all.needs(name, input).unwrap();
        assert_eq!(needs.capability.network, Network::None, "{name}");
        assert!(!needs.acts.has(Act::NetworkRead) && !needs.acts.has(Act::NetworkSend), "{name}");
    }
    let needs = all.needs("shell", r#"{"command":"curl x","hosts":["example.com","*.example.org:8443"]}"#).unwrap();
    assert_eq!(needs.capability.network.to_owned(), {
        let hosts =
            ["example.com", "*.example.org:8443"].map(|text| aether_core::capability::Host::parse(text).unwrap());
        Network::hosts(hosts.to_vec())
    });
    assert!(needs.acts.has(Act::NetworkSend) && needs.label.untrusted && needs.label.private);
    assert!(all.needs("shell", r#"{"command":"x","hosts":["http://a"]}"#).unwrap_err().contains("`hosts`"));
    let many = (0..17).map(|n| format!("\"h{n}.example\"")).collect::<Vec<_>>().join(",");
    assert!(all.needs("shell", &format!(r#"{{"command":"x","hosts":[{many}]}}"#)).unwrap_err().contains("at most 16"));
}

#[test]
fn p2_every_need_is_covered_by_what_was_declared() {
    let all = programs();
    for (name, input) in [
        ("shell", r#"{"command":"ls","session":"a","background":true}"#),
        ("shell", r#"{"session":"a","kill":7}"#),
        ("run_program", r#"{"program":"./build/test"}"#),
        ("git", r#"{"args":["clone","https://example.com/x.git"]}"#),
        ("node", r#"{"code":"1"}"#),
    ] {
        let needs = all.needs(name, input).unwrap();
        let manifest = all.manifests().find(|manifest| &*manifest.name == name).unwrap();
        assert!(manifest.acts.covers(needs.acts) && manifest.capability.covers(&needs.capability), "{name}");
        assert!(needs.capability.write().iter().all(|place| place.as_str() == WORKSPACE), "{name}");
        assert_eq!(needs.capability.write().is_empty(), name == "node", "{name}");
    }
}

#[test]
fn p3_a_command_is_one_argument_and_code_is_standard_input() {
    let line = once("shell", r#"{"command":"echo '$(id)'; ls","folder":"src/../lib","seconds":5}"#);
    assert_eq!(
        (line.program.as_str(), line.args.as_slice()),
        ("sh", &["-c".to_owned(), "echo '$(id)'; ls".to_owned()][..])
    );
    assert_eq!((line.folder.as_str(), line.seconds_max), ("lib", 5));
    let line = once("python", r#"{"code":"import sys"}"#);
    assert_eq!((line.args, line.input.as_str()), (vec!["-".into()], "import sys"));
    let line = once("run_program", r#"{"program":"echo","args":["; rm -rf /"]}"#);
    assert_eq!(line.args, ["; rm -rf /"]);
    assert_eq!(once("run_program", r#"{"program":"/w/a/./b"}"#).program, "./a/b");
    assert_eq!(once("run_program", r#"{"program":"make"}"#).program, "make");
    let wrong = |name: &str, input: &str| programs().order(name, input).unwrap_err();
    assert!(wrong("shell", r#"{"command":" "}"#).contains("is empty"));
    assert!(wrong("shell", "{\"command\":\"a\\u0000b\"}").contains("NUL"));
    assert!(wrong("shell", r#"{"command":"ls","folder":"../x"}"#).contains("leads out of"));
    assert!(wrong("shell", r#"{"command":"ls","background":true}"#).contains("`session`"));
    assert!(wrong("shell", r#"{"command":"ls","session":"a","kill":1}"#).contains("not both"));
    assert!(wrong("shell", r#"{"kill":1}"#).contains("`session`"));
    assert!(wrong("shell", r#"{"command":"ls","session":"a b"}"#).contains("letters"));
    assert!(wrong("shell", r#"{"command":"ls","seconds":601}"#).contains("1 to 600"));
    assert!(wrong("run_program", r#"{"program":"/etc/x"}"#).contains("outside the workspace"));
    assert!(wrong("sudo", "{}").contains("there is no tool `sudo`"));
}

#[test]
fn p4_git_takes_no_settings_and_no_programs_from_a_call() {
    let wrong = |words: &str| programs().order("git", &format!(r#"{{"args":{words}}}"#)).unwrap_err();
    for words in [
        r#"[]"#,
        r#"["-c","core.pager=sh","log"]"#,
        r#"["-ccore.pager=sh","log"]"#,
        r#"["--exec-path=/w","log"]"#,
        r#"["-C","/","log"]"#,
        r#"["--no-pager","-c","core.pager=sh","log"]"#,
        r#"["--git-dir=/x","log"]"#,
        r#"["clone","ext::sh -c id"]"#,
        r#"["clone","git@example.com:x.git"]"#,
        r#"["clone","ssh://example.com/x.git"]"#,
        r#"["clone","-u","sh","https://example.com/x"]"#,
        r#"["fetch","--upload-pack=sh"]"#,
        r#"["fetch","--upl=sh"]"#,
        r#"["clone","-ush","https://example.com/x"]"#,
        r#"["clone","-qush","https://example.com/x"]"#,
        r#"["clone","-o","--","--upload-pa=sh","https://example.com/x"]"#,
        r#"["push","--rec=sh","https://example.com/x"]"#,
        r#"["grep","-O=sh","x"]"#,
        r#"["grep","-nOsh","x"]"#,
        r#"["grep","--open=sh","x"]"#,
        r#"["rebase","-xsh","HEAD~1"]"#,
        r#"["rebase","--exec","sh","HEAD~1"]"#,
        r#"["clone","https://user:word@example.com/x"]"#,
    ] {
        assert!(!wrong(words).is_empty(), "{words}");
    }
    let line = once("git", r#"{"args":["push","-u","https://example.com/x.git","main"]}"#);
    let at = |word: &str| line.args.iter().position(|arg| arg == word).unwrap();
    assert!(at("core.hooksPath=/dev/null") < at("push") && at("protocol.allow=never") < at("push"));
    assert!(line.env.contains(&("GIT_CONFIG_GLOBAL", "/dev/null".into())));
    for words in
        [r#"["commit","-m","--","-u"]"#, r#"["add","-u"]"#, r#"["cherry-pick","-x","HEAD"]"#, r#"["log","-L","1,2:x"]"#]
    {
        once("git", &format!(r#"{{"args":{words}}}"#));
    }
    for (words, command, place) in [
        (r#"["diff","--stat"]"#, "diff", 1),
        (r#"["show","HEAD"]"#, "show", 1),
        (r#"["stash","show","-p"]"#, "stash", 2),
    ] {
        let line = once("git", &format!(r#"{{"args":{words}}}"#));
        let at = line.args.iter().position(|arg| arg == command).unwrap() + place;
        assert_eq!(line.args[at..at + 2], ["--no-ext-diff", "--no-textconv"], "{words}");
    }
    let needs = programs().needs("git", r#"{"args":["ls-remote","https://example.com:8443/x.git"]}"#).unwrap();
    assert_eq!(
        needs.capability.network,
        Network::hosts(vec![aether_core::capability::Host::parse("example.com:8443").unwrap()])
    );
}

#[test]
fn sessions_are_orders_of_their_own() {
    let order = |name: &str, input: &str| programs().order(name, input).unwrap();
    let session = |action| Order::Session { name: "a".into(), action, seconds_max: SECONDS_DEFAULT };
    assert_eq!(order("shell", r#"{"command":"ls","session":"a"}"#), session(Action::Run("ls".into())));
    assert_eq!(
        order("shell", r#"{"command":"ls","session":"a","background":true}"#),
        session(Action::Start("ls".into()))
    );
    assert_eq!(order("shell", r#"{"session":"a"}"#), session(Action::Jobs));
    assert_eq!(order("shell", r#"{"session":"a","kill":12}"#), session(Action::Kill(12)));
}

#[test]
fn a_machine_without_git_has_no_git_tool() {
    let few = Programs::new(&Scope::workspace("/w"), &[]);
    let names: Vec<&str> = few.manifests().map(|manifest| &*manifest.name).collect();
    assert_eq!(names, ["shell", "run_program"]);
    assert_eq!(programs().only(|name| name == "git").manifests().count(), 1);
    assert_eq!(programs().each().len(), 5);
}
