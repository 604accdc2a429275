//! `--kernel`: the sidecar of the built program, what it refuses, and what becomes of a call when a process dies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aether_core::capability::{Capability, Place};
use aether_core::tool::Limits;
use aether_sidecar::{Call, Options, Outcome, Sidecar, SidecarError};
use serde_json::json;

use crate::ground::{BINARY, Nest, asking, last_result, results, until};
use crate::yard::{
    MODES, WORK, Who, audited, audits, calling, command, gone, groups_of, input, mark, offspring, placeholders,
    sidecar, spawner, until_marked, within, words,
};

/// The sidecar serves before the first question, is in the audit log, and is gone afterwards.
#[test]
fn a_sidecar_comes_and_goes_with_the_run() {
    for who in Who::all() {
        let mark = mark();
        let server = calling(&[("shell", &command(&format!("sleep {mark} & sleep 0.3; echo done")))]);
        let nest = asking(&server);
        let live = who.aether(&nest, &words(&[&["--kernel", "run", "go"], WORK])).start();
        until_marked(&format!("sleep\0{mark}"));
        let own = sidecar(live.pid());
        let family = offspring(live.pid());
        assert!(family.iter().any(|process| process.is_named("aether-spawner")));
        let children: Vec<u32> =
            family.iter().filter(|process| process.parent == live.pid()).map(|process| process.pid).collect();
        assert_eq!(children, [own.pid], "everything else belongs to the sidecar");
        live.wait().exits(0);
        assert_eq!(last_result(&server), "done\n");
        until("nothing is left", || !family.iter().any(|process| process.is_alive()));
        audits(who.to_owned(), &nest, &["\"kind\":\"sidecar\"", "serving", &format!("{}", own.pid)]);
    }
}

/// A sidecar that is killed in the middle of a call: the model is told so, and the next call is done by another one.
#[test]
fn a_sidecar_that_is_killed_is_replaced() {
    for who in Who::all() {
        let mark = mark();
        let server = calling(&[("shell", &command(&format!("sleep {mark}"))), ("shell", &command("echo again"))]);
        let nest = asking(&server);
        let live = who.aether(&nest, &words(&[&["run", "go", "--kernel"], WORK])).start();
        until_marked(&format!("sleep\0{mark}"));
        let (first, family) = (sidecar(live.pid()), offspring(live.pid()));
        first.kill();
        live.wait().exits(0);
        let told = results(server.requests().last().expect("a request"));
        assert!(told[0].contains("the secure runtime stopped"), "{who:?}: {told:#?}");
        assert_eq!(told[1], "again\n", "{who:?}: {told:#?}");
        gone(&mark, 3_000);
        assert!(!family.iter().any(|process| process.is_alive()), "{family:?}");
        audits(*who, &nest, &["\"kind\":\"sidecar\"", "\"ended\"", "signal: 9"]);
        let serving = audited(*who, &nest).iter().filter(|line| line.contains("\"serving\"")).count();
        assert_eq!(serving, 2);
    }
}

/// The process that makes jails is killed in the middle of a call: the same, in both modes.
#[test]
fn a_spawner_that_is_killed_is_replaced() {
    for mode in MODES {
        let mark = mark();
        let server = calling(&[("shell", &command(&format!("sleep {mark}"))), ("shell", &command("echo again"))]);
        let nest = asking(&server);
        let live = nest.aether(&words(&[&["run", "go"], mode, WORK])).start();
        until_marked(&format!("sleep\0{mark}"));
        spawner(live.pid()).kill();
        live.wait().exits(0);
        let told = results(server.requests().last().expect("a request"));
        assert!(told[0].contains("ended before") || told[0].contains("stopped"), "{mode:?}: {told:#?}");
        assert_eq!(told[1], "again\n", "{mode:?}: {told:#?}");
        gone(&mark, 3_000);
    }
}

/// The process that people see is killed in the middle of a call. Everything goes with it, and nothing is left.
#[test]
fn nothing_outlives_the_kernels_process() {
    for who in Who::all() {
        for mode in MODES {
            let mark = mark();
            let line = format!(
                "trap '' TERM INT HUP; (setsid sleep {mark} >/dev/null 2>&1 &); touch /tmp/x made; sleep {mark}"
            );
            let server = calling(&[("shell", &command(&line))]);
            let nest = asking(&server);
            let temporary = nest.path("temporary");
            std::fs::create_dir(&temporary).expect("a directory");
            let call = who.aether(&nest, &words(&[&["run", "go"], mode, WORK])).env("TMPDIR", &temporary);
            let live = call.start();
            until_marked(&format!("sleep\0{mark}"));
            let (maker, family) = (spawner(live.pid()), offspring(live.pid()));
            live.kill();
            let begun = Instant::now();
            within(1_000, "everything is gone", || {
                !family.iter().any(|process| process.is_alive()) && crate::yard::marked(&mark).is_empty()
            });
            let took = begun.elapsed();
            until("no placeholder is left", || placeholders(&nest.workspace()).is_empty());
            until("no control group is left", || groups_of(maker.pid).is_empty());
            assert_eq!(nest.names(), ["made"], "{who:?} {mode:?} after {took:?}");
            assert!(crate::ground::names_in(&temporary).is_empty());
        }
    }
}

/// The words by which the program starts itself are no commands: by hand they end at once.
#[test]
fn hidden_words_are_no_commands() {
    let nest = Nest::new();
    for word in ["--sidecar", "--aether-spawner"] {
        for input in ["", "hello\n"] {
            let ended = nest.aether(&[word, "run"]).input(input).run().within(5_000);
            assert!(ended.stdout.is_empty(), "{word}: {ended:#?}");
        }
    }
    nest.run(&["--sidecar"]).exits(1).says("started by the program itself");
}

/// What the sidecar is told at its start, in its own words.
fn settings(nest: &Nest) -> Vec<u8> {
    let workspace = nest.workspace().canonicalize().expect("a workspace");
    let text = json!({
        "workspace": workspace, "home": nest.home(), "programs_in": [], "environment": [],
        "approximate": ["memory"], "protected": [], "exceptions": [], "hosts_allowed": null, "hosts_denied": [], "ca_file": null,
        "tools_denied": ["node"],
    });
    text.to_string().into_bytes()
}

/// A call that was proven, as the kernel's process would make it.
fn proven(tool: &str, input: &str) -> Call {
    let places = |names: &[&str]| names.iter().map(|name| Place::parse(name).expect("a place")).collect::<Vec<_>>();
    let workspace = places(&["$workspace"]);
    Call {
        tool: tool.to_owned(),
        input: input.to_owned(),
        task: 1,
        capability: Capability::default()
            .with_read(workspace.clone())
            .with_write(workspace)
            .with_programs(places(&["$system", "$workspace"])),
        limits: Limits {
            runtime_ms_max: 60_000,
            cpu_ms_max: 60_000,
            memory_bytes_max: 256 << 20,
            processes_max: 32,
            output_bytes_max: 32 << 10,
        },
        session: None,
    }
}

/// The sidecar of the built program, asked without the kernel's process between.
fn with_sidecar<T>(nest: &Nest, ask: impl AsyncFnOnce(Arc<Sidecar>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().expect("a runtime");
    let options = Options { program: BINARY.into(), settings: settings(nest).into(), ..Options::default() };
    runtime.block_on(async {
        let sidecar = Arc::new(Sidecar::start(options).await.expect("a sidecar"));
        let answer = ask(Arc::clone(&sidecar)).await;
        Arc::into_inner(sidecar).expect("nobody else has it").stop().await;
        answer
    })
}

async fn answered(sidecar: &Sidecar, call: Call) -> Result<(Outcome, String), SidecarError> {
    let finished = sidecar.run(call).await?.finish(|_piece| {}).await?;
    Ok((finished.outcome, finished.text))
}

/// What the kernel's process would never send is refused by the sidecar, too.
#[test]
fn the_sidecar_refuses_by_itself() {
    let nest = Nest::new();
    with_sidecar(&nest, async |sidecar| {
        for (tool, input, why) in [
            ("launch", r#"{"command":"touch ran"}"#, "there is no tool `launch`"),
            ("node", r#"{"code":"1"}"#, "there is no tool `node`"),
            ("read_file", r#"{"path":"x"}"#, "there is no tool `read_file`"),
            ("shell", r#"{"comand":"touch ran"}"#, "comand"),
            ("shell", r#"{"command":"touch ran","folder":"/etc"}"#, "outside"),
        ] {
            let refused = answered(&sidecar, proven(tool, input)).await;
            let Err(SidecarError::Refused { text, .. }) = &refused else { panic!("{tool}: {refused:?}") };
            assert!(text.contains(why), "{tool}: {text}");
        }
        // A right that the proof does not have cannot be had by asking.
        let narrow = Call { capability: Capability::default(), ..proven("shell", r#"{"command":"touch ran"}"#) };
        let refused = answered(&sidecar, narrow).await;
        assert!(!matches!(refused, Ok((Outcome::Done, _))), "{refused:?}");
        assert_eq!(
            answered(&sidecar, proven("shell", r#"{"command":"echo in"}"#)).await,
            Ok((Outcome::Done, "in\n".into()))
        );
    });
    assert!(nest.names().is_empty(), "{:?}", nest.names());
}

/// Two hundred calls at once are all answered, each with its own result.
#[test]
fn two_hundred_calls_at_once() {
    let nest = Nest::new();
    let begun = Instant::now();
    with_sidecar(&nest, async |sidecar| {
        let mut all = tokio::task::JoinSet::new();
        for n in 0..200 {
            let sidecar = Arc::clone(&sidecar);
            let call = proven("shell", &command(&format!("sleep 0.5; echo {n}")));
            all.spawn(async move { (n, answered(&sidecar, call).await) });
        }
        while let Some(joined) = all.join_next().await {
            let (n, answer) = joined.expect("a call");
            assert_eq!(answer, Ok((Outcome::Done, format!("{n}\n"))), "call {n}");
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

/// A conversation keeps its sidecar, its sessions, and goes on after the sidecar was killed.
#[test]
fn a_conversation_goes_on_without_its_sidecar() {
    let session = input(json!({ "command": "echo in $PWD", "session": "s" }));
    let server = calling(&[("shell", &session), ("shell", &session)]);
    let nest = asking(&server);
    let mut live = nest.aether(&words(&[&["chat", "--kernel", "--no-save"], WORK])).start();
    live.type_in("first\n");
    until("both calls", || server.requests().len() == 3);
    sidecar(live.pid()).kill();
    live.type_in("second\n");
    until("the next question", || server.requests().len() == 4);
    live.type_in("/exit\n");
    live.wait().exits(0);
    let told = results(&server.requests()[2]);
    assert!(told.iter().all(|text| text.starts_with("in /")), "{told:#?}");
}
