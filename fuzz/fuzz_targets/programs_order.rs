//! Calls that execute programs: no input breaks them, and what a call needs was declared and named (P1, P2, P3, P4).
#![no_main]

use std::sync::LazyLock;

use aether_core::capability::{Capability, Host, Network};
use aether_core::tool::{Act, Acts};
use aether_fuzz::Draw;
use aether_programs::{Action, Available, LIMITS, Line, Order, Programs, WORKSPACE};
use aether_tools::Scope;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const NAMES: &[&str] = &["shell", "run_program", "git", "python", "node"];
/// Options of git that name a program to execute, in full; it also takes them shortened.
const EXECUTING: &[&str] = &["upload-pack", "receive-pack", "exec", "extcmd", "open-files-in-pager"];

static PROGRAMS: LazyLock<Programs> =
    LazyLock::new(|| Programs::new(&Scope::workspace("/w"), &[Available::Git, Available::Python, Available::Node]));

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let (name, other) = (draw.one_of(&["shell", "run_program", "git", "python", "node", ""]), draw.text());
    let name = if name.is_empty() { other.as_str() } else { name };
    let input = draw.rest_text();
    let (needs, order) = match (PROGRAMS.needs(name, &input), PROGRAMS.order(name, &input)) {
        (Ok(needs), Ok(order)) => (needs, order),
        (Err(why), Err(same)) => return assert!(why == same && !why.is_empty()),
        (needs, order) => panic!("{needs:?} {order:?}"),
    };
    assert!(NAMES.contains(&name));
    let input: Value = serde_json::from_str(&input).expect("it was read");
    let manifest = PROGRAMS.manifests().find(|manifest| &*manifest.name == name).expect("it was found");
    assert!(manifest.capability.covers(&needs.capability) && manifest.acts.covers(needs.acts));
    assert!(needs.capability.write().iter().all(|place| place.as_str().starts_with(WORKSPACE)), "P2");
    let reached = named(name, &input);
    let reaches = Capability::default().with_network(reached.clone());
    assert_eq!(reaches.network, needs.capability.network, "P1");
    let network = Acts::of(&[Act::NetworkRead, Act::NetworkSend]);
    assert_eq!(needs.acts.meet(network) == network, reached != Network::None, "P1");
    match order {
        Order::Once(line) => once(name, &input, &line),
        Order::Session { name: session, action, seconds_max } => {
            assert!(
                name == "shell" && (1..=32).contains(&session.len()) && seconds_max * 1_000 <= LIMITS.runtime_ms_max
            );
            if let Action::Run(command) | Action::Start(command) = action {
                assert_eq!(input["command"].as_str(), Some(&*command));
                assert!(!command.contains('\0'));
            }
        }
    }
});

/// The hosts that an input names: those of `hosts`, and those of a remote.
fn named(name: &str, input: &Value) -> Network {
    let texts = |field: &str| input[field].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut hosts: Vec<Host> = texts("hosts").map(|text| Host::parse(text).expect("it was taken")).collect();
    let remotes = texts("args").filter(|_| name == "git").filter_map(|word| word.strip_prefix("https://"));
    hosts.extend(remotes.map(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        Host::parse(authority).expect("it was taken")
    }));
    if hosts.is_empty() { Network::None } else { Network::hosts(hosts) }
}

/// One program: what the input says is one argument each, or the script (P3), and git is told first (P4).
fn once(name: &str, input: &Value, line: &Line) {
    assert!(line.seconds_max > 0 && line.seconds_max * 1_000 <= LIMITS.runtime_ms_max);
    assert!(line.args.iter().all(|word| !word.contains('\0')) && !line.program.contains('\0'));
    assert!(!line.folder.starts_with('/') && !line.folder.split('/').any(|part| part == ".."), "{line:?}");
    let words = || input["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    match name {
        "shell" => assert_eq!(line.args, ["-c", input["command"].as_str().expect("a command")]),
        "run_program" => assert!(line.args.iter().map(String::as_str).eq(words()), "{line:?}"),
        "git" => {
            assert_eq!(line.args[0], "--no-pager");
            let first = words().next().expect("a command");
            let before = line.args.iter().take_while(|word| *word != first).count();
            assert!(line.args[1..before].chunks(2).all(|pair| pair[0] == "-c"), "P4: {line:?}");
            for option in words().skip(1).filter_map(|word| word.strip_prefix("--")) {
                let option = option.split('=').next().unwrap_or_default();
                let is_short_for = |whole: &&&str| !option.is_empty() && whole.starts_with(option);
                assert_eq!(EXECUTING.iter().find(is_short_for), None, "P4: {line:?}");
            }
        }
        _ => assert!(line.args == ["-"] && input["code"].as_str() == Some(&line.input), "{line:?}"),
    }
}
