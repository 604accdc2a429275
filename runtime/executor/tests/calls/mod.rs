//! What calls do, see and leave.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aether_core::capability::{Capability, Host, Network, Place};
use aether_executor::{Call, Executor, ExecutorError, Fact, Finished, Options, Piece};
use aether_jail::{Guarantees, Spawner};
use aether_programs::{Available, LIMITS, Programs};
use aether_tools::Scope;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

type Test = (&'static str, fn());

/// Every test, by name.
pub(crate) const TESTS: &[Test] = &[
    ("e1_nothing_outlives_its_call", e1_nothing_outlives_its_call),
    ("e1_no_descriptor_is_left", e1_no_descriptor_is_left),
    ("e2_a_call_sees_the_workspace_and_the_system_alone", e2_a_call_sees_the_workspace_and_the_system_alone),
    ("e2_a_link_out_of_the_workspace_is_no_place", e2_a_link_out_of_the_workspace_is_no_place),
    ("e3_a_flood_is_cut_off", e3_a_flood_is_cut_off),
    ("e4_dropping_a_call_kills_it", e4_dropping_a_call_kills_it),
    ("e5_a_session_keeps_directory_variables_and_rights", e5_a_session_keeps_directory_variables_and_rights),
    ("jobs_are_listed_and_killed", jobs_are_listed_and_killed),
    ("a_session_ends_with_exit_and_with_its_time", a_session_ends_with_exit_and_with_its_time),
    ("output_streams_while_a_call_runs", output_streams_while_a_call_runs),
    ("a_slow_reader_misses_nothing", a_slow_reader_misses_nothing),
    ("input_code_and_exit_codes_get_through", input_code_and_exit_codes_get_through),
    ("a_breach_is_named_and_told", a_breach_is_named_and_told),
    ("git_runs_nothing_of_a_hostile_repository", git_runs_nothing_of_a_hostile_repository),
    ("a_spawner_that_dies_is_replaced", a_spawner_that_dies_is_replaced),
    ("many_calls_at_once", many_calls_at_once),
    ("calls_that_change_nothing_find_a_jail_ready", calls_that_change_nothing_find_a_jail_ready),
    ("the_network_is_what_the_call_names", the_network_is_what_the_call_names),
];

/// An executor over a workspace of its own.
struct Stage {
    folder: tempfile::TempDir,
    executor: Arc<Executor>,
    facts: Arc<Mutex<Vec<String>>>,
    runtime: Runtime,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().canonicalize().unwrap();
        let all = [Available::Git, Available::Python, Available::Node];
        let facts: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&facts);
        let options = Options {
            programs: Programs::new(&Scope::workspace(&workspace.to_string_lossy()), &all),
            workspace,
            home: None,
            programs_in: Vec::new(),
            environment: vec![("GREETING".into(), "hello".into())],
            guarantees: Guarantees::default(),
            network: aether_egress::Options::default(),
            exceptions: Vec::new(),
            bounds: aether_egress::Bounds::default(),
            ahead: 1,
            spawner: Arc::new(Spawner::exec),
        };
        let watcher = Arc::new(move |fact: &Fact<'_>| heard.lock().unwrap().push(format!("{fact:?}")));
        let executor = Arc::new(Executor::new(options, None, watcher));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        Stage { folder, executor, facts, runtime }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn try_run(&self, call: &Call) -> Result<Finished, ExecutorError> {
        self.runtime.block_on(self.executor.run(call, None))
    }

    fn shell(&self, command: &str) -> Finished {
        self.try_run(&shell(command)).unwrap()
    }

    fn in_session(&self, command: &str) -> Finished {
        let input = format!(r#"{{"command":{},"session":"s"}}"#, quoted(command));
        self.try_run(&call("shell", &input)).unwrap()
    }
}

fn quoted(text: &str) -> String {
    let escaped: String = text.chars().flat_map(char::escape_default).collect();
    format!("\"{}\"", escaped.replace("\\'", "'"))
}

fn call(tool: &str, input: &str) -> Call {
    let programs = Programs::new(&Scope::workspace("/"), &[Available::Git, Available::Python, Available::Node]);
    let capability = programs.needs(tool, input).unwrap().capability;
    Call { tool: tool.into(), input: input.into(), capability, limits: LIMITS }
}

fn shell(command: &str) -> Call {
    call("shell", &format!(r#"{{"command":{}}}"#, quoted(command)))
}

/// Processes of this machine that have this word among their arguments.
fn processes_with(word: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.windows(word.len()).any(|part| part == word.as_bytes())).count()
}

fn soon(is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    is_so()
}

fn e1_nothing_outlives_its_call() {
    let stage = Stage::new();
    let finished = stage.shell("(setsid sleep 98765 >/dev/null 2>&1 &) ; sleep 98765 & echo started");
    assert!(finished.is_success && finished.text.contains("started"), "{finished:?}");
    assert!(soon(|| processes_with("98765") == 0));
}

fn e1_no_descriptor_is_left() {
    let stage = Stage::new();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mixed = || {
        assert!(stage.shell("echo out; echo wrong >&2").is_success);
        assert!(stage.in_session("echo in").is_success);
        assert!(stage.try_run(&call("run_program", r#"{"program":"no-such-program"}"#)).is_err());
        let named = call("shell", r#"{"command":"true","hosts":["example.com"]}"#);
        assert!(stage.try_run(&named).unwrap().is_success);
        stage.runtime.block_on(async {
            let long = shell("sleep 9");
            let waited = tokio::time::timeout(Duration::from_millis(30), stage.executor.run(&long, None)).await;
            assert!(waited.is_err());
        });
        stage.in_session("exit");
    };
    mixed();
    let before = open();
    (0..10).for_each(|_| mixed());
    assert!(soon(|| open() <= before), "{before}, then {}", open());
}

fn e2_a_call_sees_the_workspace_and_the_system_alone() {
    let stage = Stage::new();
    std::fs::write(stage.path().join("notes.txt"), "mine\n").unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    let finished = stage.shell("cat notes.txt; echo new > made; id -u; echo $GREETING; ls /home /root 2>&1; env");
    assert!(finished.text.starts_with("mine\n1000\nhello\n"), "{}", finished.text);
    assert_eq!(std::fs::read_to_string(stage.path().join("made")).unwrap(), "new\n");
    assert!(!finished.text.contains("CARGO"), "{}", finished.text);
    let finished = stage.shell(&format!("cat {}", outside.path().display()));
    assert_eq!(finished.exit_code, Some(1), "{finished:?}");
    let finished = stage.shell("echo x > /usr/bin/x");
    assert!(!finished.is_success && finished.text.contains("Read-only"), "{finished:?}");
}

fn e2_a_link_out_of_the_workspace_is_no_place() {
    let stage = Stage::new();
    std::os::unix::fs::symlink("/etc", stage.path().join("out")).unwrap();
    let error = stage.try_run(&call("shell", r#"{"command":"ls","folder":"out"}"#)).unwrap_err();
    assert!(error.to_string().contains("leads out of the workspace"), "{error}");
    let place = Place::parse("$workspace/out").unwrap();
    let capability = shell("ls").capability.with_read(vec![place.clone()]).with_write(vec![place]);
    let error = stage.try_run(&Call { capability, ..shell("ls") }).unwrap_err();
    assert!(error.to_string().contains("leads to /etc"), "{error}");
}

fn e3_a_flood_is_cut_off() {
    let stage = Stage::new();
    let from = Instant::now();
    let finished = stage.shell("yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_eq!(finished.breach.as_deref(), Some("output limit 64 MB exceeded"), "{from:?}");
    assert!(finished.text.len() < 40 << 10, "{}", finished.text.len());
    assert!(
        finished.text.contains("bytes left out here")
            && finished.text.ends_with("[killed: output limit 64 MB exceeded]")
    );
    let finished = stage.shell("seq 1 20000");
    assert!(finished.is_success && finished.text.starts_with("1\n2\n") && finished.text.ends_with("19999\n20000\n"));
}

fn e4_dropping_a_call_kills_it() {
    let stage = Stage::new();
    let long = shell("sleep 87654");
    stage.runtime.block_on(async {
        let waited = tokio::time::timeout(Duration::from_millis(300), stage.executor.run(&long, None)).await;
        assert!(waited.is_err());
    });
    assert!(soon(|| processes_with("87654") == 0));
    // The same in a session, which is over then.
    let call = call("shell", r#"{"command":"sleep 87653","session":"s"}"#);
    stage.runtime.block_on(async {
        let waited = tokio::time::timeout(Duration::from_millis(300), stage.executor.run(&call, None)).await;
        assert!(waited.is_err());
    });
    assert!(soon(|| processes_with("87653") == 0));
    let error = stage.try_run(&call).unwrap_err();
    assert!(error.to_string().contains("was stopped in the middle of a command"), "{error}");
    assert!(stage.in_session("echo again").text.contains("again"));
}

fn e5_a_session_keeps_directory_variables_and_rights() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path().join("src")).unwrap();
    let workspace = stage.path().canonicalize().unwrap().display().to_string();
    let finished = stage.in_session("cd src; NAME=value; f() { echo function; }");
    assert_eq!(finished.text, format!("[in {workspace}/src]"));
    let finished = stage.in_session("pwd; echo \"$NAME\"; f; false");
    assert_eq!(finished.text, format!("{workspace}/src\nvalue\nfunction\n[exit code 1; in {workspace}/src]"));
    // Neither a wrong command nor one that reads its input harms the next.
    assert!(!stage.in_session("if then").is_success);
    let finished = stage.in_session("echo 'it'\"'\"'s fine\nsecond line'");
    assert!(finished.text.starts_with("it's fine\nsecond line\n[in "), "{finished:?}");
    assert!(stage.in_session("cat; echo after").text.starts_with("after\n"));
    let other = Capability::clone(&shell("x").capability)
        .with_network(Network::hosts(vec![Host::parse("example.com").unwrap()]));
    let input = r#"{"command":"echo in","session":"s"}"#;
    let error = stage.try_run(&Call { capability: other, ..call("shell", input) }).unwrap_err();
    assert!(error.to_string().contains("has other rights"), "{error}");
}

fn jobs_are_listed_and_killed() {
    let stage = Stage::new();
    let start = call("shell", r#"{"command":"echo begun; sleep 76543","session":"s","background":true}"#);
    let finished = stage.try_run(&start).unwrap();
    assert!(finished.text.starts_with("job 1; its output is in /tmp/job-1.log\n"), "{}", finished.text);
    let jobs = call("shell", r#"{"session":"s"}"#);
    assert!(soon(|| stage.try_run(&jobs).unwrap().text.starts_with("job 1: running\nbegun\n")));
    assert_eq!(processes_with("76543"), 2);
    let kill = call("shell", r#"{"session":"s","kill":1}"#);
    assert!(stage.try_run(&kill).unwrap().text.starts_with("job 1 is killed\n"));
    assert!(soon(|| processes_with("76543") == 0));
    assert!(stage.try_run(&jobs).unwrap().text.starts_with("job 1: over\n"));
    // One that ends by itself is over, too, and cannot be killed any more.
    assert!(
        stage
            .try_run(&call("shell", r#"{"command":"echo brief","session":"s","background":true}"#))
            .unwrap()
            .is_success
    );
    assert!(soon(|| stage.try_run(&jobs).unwrap().text.contains("job 2: over\nbrief\n")));
    let kill = call("shell", r#"{"session":"s","kill":2}"#);
    assert!(stage.try_run(&kill).unwrap().text.contains("job 2 is over already"));
    let none = call("shell", r#"{"session":"s","kill":9}"#);
    assert!(stage.try_run(&none).unwrap().text.contains("there is no job 9"));
    let error = stage.try_run(&call("shell", r#"{"session":"other"}"#)).unwrap_err();
    assert_eq!(error.to_string(), "there is no session `other`");
}

fn a_session_ends_with_exit_and_with_its_time() {
    let stage = Stage::new();
    let finished = stage.in_session("echo last; exit 3");
    assert_eq!(finished.text, "last\n[exit code 3]\n[the session is over]");
    assert!(stage.in_session("echo anew").text.starts_with("anew\n"));
    let slow = call("shell", r#"{"command":"echo begun; sleep 65432","session":"s","seconds":1}"#);
    let finished = stage.try_run(&slow).unwrap();
    assert_eq!(finished.breach.as_deref(), Some("runtime limit 1 s exceeded"));
    assert!(finished.text.starts_with("begun\n"), "{}", finished.text);
    assert!(soon(|| processes_with("65432") == 0));
}

fn output_streams_while_a_call_runs() {
    let stage = Stage::new();
    let call = shell("echo first; echo wrong >&2; sleep 0.5; echo last");
    let (sender, mut pieces) = mpsc::channel(4);
    stage.runtime.block_on(async {
        let run = stage.executor.run(&call, Some(&sender));
        let from = Instant::now();
        let read = async {
            let mut first = None;
            let mut all = Vec::new();
            while all.len() < 3 {
                let piece = pieces.recv().await.unwrap();
                first.get_or_insert_with(|| from.elapsed());
                all.push(piece);
            }
            (first.unwrap(), all)
        };
        let (finished, (first, all)) = tokio::join!(run, read);
        assert!(finished.unwrap().is_success);
        assert!(first < Duration::from_millis(450), "{first:?}");
        assert!(all.contains(&Piece::Out(b"first\n".to_vec())) && all.contains(&Piece::Err(b"wrong\n".to_vec())));
        assert_eq!(all.last(), Some(&Piece::Out(b"last\n".to_vec())));
    });
}

fn a_slow_reader_misses_nothing() {
    let stage = Stage::new();
    let call = shell("head -c 1000000 /dev/zero; echo end");
    let (sender, mut pieces) = mpsc::channel(1);
    let bytes = stage.runtime.block_on(async {
        let run = async {
            let finished = stage.executor.run(&call, Some(&sender)).await;
            drop(sender);
            finished
        };
        let read = async {
            let mut bytes = Vec::new();
            while let Some(piece) = pieces.recv().await {
                tokio::time::sleep(Duration::from_millis(15)).await;
                let Piece::Out(piece) = piece else { panic!("{piece:?}") };
                bytes.extend(piece);
            }
            bytes
        };
        let (finished, bytes) = tokio::join!(run, read);
        assert!(finished.unwrap().is_success);
        bytes
    });
    assert!(bytes.len() == 1_000_004 && bytes.ends_with(b"end\n"), "{}", bytes.len());
    // That everything was read is seen, not waited for.
    let timed = |_| {
        let from = Instant::now();
        assert!(stage.shell("true").is_success);
        from.elapsed()
    };
    let quickest = (0..10).map(timed).min().unwrap();
    assert!(quickest < Duration::from_millis(90), "{quickest:?}");
}

fn input_code_and_exit_codes_get_through() {
    let stage = Stage::new();
    let finished =
        stage.try_run(&call("run_program", r#"{"program":"tr","args":["a-z","A-Z"],"stdin":"loud"}"#)).unwrap();
    assert_eq!(finished.text, "LOUD");
    let finished = stage.try_run(&call("python", r#"{"code":"import sys\nprint(6*7)\nsys.exit(5)"}"#)).unwrap();
    assert_eq!((finished.text.as_str(), finished.exit_code), ("42\n[exit code 5]", Some(5)));
    let finished = stage.shell("kill -TERM $$");
    assert_eq!((finished.text.as_str(), finished.signal), ("[killed by signal 15]", Some(15)));
    let error = stage.try_run(&call("run_program", r#"{"program":"no-such-program"}"#)).unwrap_err();
    assert_eq!(error.to_string(), "there is no program `no-such-program` on this machine");
    let wrong = Call { tool: "sudo".into(), input: "{}".into(), ..shell("x") };
    assert!(stage.try_run(&wrong).unwrap_err().to_string().contains("there is no tool `sudo`"));
}

fn a_breach_is_named_and_told() {
    let stage = Stage::new();
    let mut call = shell("head -c 300m /dev/zero | tail");
    call.limits.memory_bytes_max = 50_000_000;
    let finished = stage.try_run(&call).unwrap();
    assert_eq!(finished.breach.as_deref(), Some("memory limit 50 MB exceeded"), "{finished:?}");
    let finished = stage.try_run(&self::call("shell", r#"{"command":"sleep 9","seconds":1}"#)).unwrap();
    assert_eq!(finished.breach.as_deref(), Some("runtime limit 1 s exceeded"));
    let facts = stage.facts.lock().unwrap().join("\n");
    assert!(facts.contains("Breached") && facts.contains("Memory") && facts.contains("Runtime"), "{facts}");
}

fn git_runs_nothing_of_a_hostile_repository() {
    let stage = Stage::new();
    let git = |words: &str| stage.try_run(&call("git", &format!(r#"{{"args":{words}}}"#))).unwrap();
    let run = |words: &[&str]| {
        let ended = std::process::Command::new("git").args(words).current_dir(stage.path()).output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    };
    run(&["init", "-q"]);
    std::fs::write(stage.path().join("a.txt"), "a\n").unwrap();
    let hook = stage.path().join(".git/hooks/pre-commit");
    std::fs::write(&hook, "#!/bin/sh\ntouch hooked\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(stage.path().join(".git/info/attributes"), "*.txt diff=own\n").unwrap();
    for setting in [
        "core.fsmonitor=touch fsmonitored",
        "core.pager=touch paged",
        "diff.external=touch diffed",
        "diff.own.textconv=touch converted; cat",
        "diff.own.command=touch commanded",
    ] {
        let (name, value) = setting.split_once('=').unwrap();
        run(&["config", name, value]);
    }
    let config = std::fs::read_to_string(stage.path().join(".git/config")).unwrap();
    assert!(git(r#"["add","a.txt"]"#).is_success);
    assert!(git(r#"["commit","-m","one"]"#).is_success, "{:?}", git(r#"["status"]"#));
    std::fs::write(stage.path().join("a.txt"), "b\n").unwrap();
    for words in [r#"["diff"]"#, r#"["diff","--stat"]"#, r#"["stash","push"]"#, r#"["stash","show","-p"]"#] {
        let finished = git(words);
        assert!(finished.is_success, "{words}: {finished:?}");
    }
    assert!(git(r#"["stash","show","-p"]"#).text.contains("+b"));
    assert!(git(r#"["log","--format=%an <%ae>"]"#).text.contains("Aether <aether@localhost>"));
    let made: Vec<_> = std::fs::read_dir(stage.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(!git(r#"["config","core.hooksPath","x"]"#).is_success);
    assert_eq!(std::fs::read_to_string(stage.path().join(".git/config")).unwrap(), config);
}

fn a_spawner_that_dies_is_replaced() {
    let stage = Stage::new();
    assert!(stage.shell("true").is_success);
    kill_children();
    let lost = stage.try_run(&shell("true"));
    assert!(matches!(&lost, Err(ExecutorError::Jail(_))), "{lost:?}");
    assert!(stage.shell("true").is_success);
    // One that dies under a program costs that call alone, and a session no more than itself.
    assert!(stage.in_session("true").is_success);
    let long = shell("sleep 54321");
    stage.runtime.block_on(async {
        let killer = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            kill_children();
        };
        let (lost, ()) = tokio::join!(stage.executor.run(&long, None), killer);
        assert!(matches!(&lost, Err(ExecutorError::Jail(_))), "{lost:?}");
    });
    assert!(soon(|| processes_with("54321") == 0));
    assert!(stage.shell("true").is_success);
    let lost = stage.try_run(&call("shell", r#"{"command":"true","session":"s"}"#));
    assert!(matches!(&lost, Err(ExecutorError::Jail(_))), "{lost:?}");
    assert!(stage.in_session("true").is_success);
}

/// Kills whatever this process has started.
fn kill_children() {
    let mine = std::process::id().to_string();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if parent == Some(mine.as_str()) {
            let pid = entry.file_name().to_string_lossy().into_owned();
            std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
        }
    }
}

fn many_calls_at_once() {
    let stage = Stage::new();
    let call = shell("sleep 0.1; echo done");
    let results = stage.runtime.block_on(async {
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let (executor, call) = (Arc::clone(&stage.executor), call.clone());
            all.spawn(async move { executor.run(&call, None).await });
        }
        all.join_all().await
    });
    assert!(results.iter().all(|ended| ended.as_ref().is_ok_and(|finished| finished.text == "done\n")), "{results:?}");
}

fn calls_that_change_nothing_find_a_jail_ready() {
    let stage = Stage::new();
    let code = |code: &str| call("python", &format!(r#"{{"code":{}}}"#, quoted(code)));
    for number in 0..4 {
        let finished = stage.try_run(&code(&format!("print({number})"))).unwrap();
        assert_eq!(finished.text, format!("{number}\n"));
        // Made while nobody waits.
        std::thread::sleep(Duration::from_millis(50));
    }
    let finished = stage.try_run(&code("open('x', 'w')")).unwrap();
    assert!(!finished.is_success && finished.text.contains("Read-only"), "{}", finished.text);
    assert_eq!(std::fs::read_dir(stage.path()).unwrap().count(), 0);
}

fn the_network_is_what_the_call_names() {
    let stage = Stage::new();
    let code = "import socket\ntry:\n  socket.create_connection(('127.0.0.1', 80), 1)\nexcept OSError as e:\n  print(type(e).__name__)";
    let finished = stage.try_run(&call("python", &format!(r#"{{"code":{}}}"#, quoted(code)))).unwrap();
    assert_eq!(finished.text, "PermissionError\n");
    let command = "getent hosts other.example; echo $?";
    let named = call("shell", &format!(r#"{{"command":{},"hosts":["example.com"]}}"#, quoted(command)));
    assert_eq!(stage.try_run(&named).unwrap().text, "2\n");
    let facts = stage.facts.lock().unwrap().join("\n");
    assert!(facts.contains("other.example") && facts.contains("NotGranted"), "{facts}");
}
