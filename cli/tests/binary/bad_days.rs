//! Bad days: broken configuration, full disks, vanished directories, closed pipes, strange files. Never a panic, never a
//! hang past its limit, never a half-written file.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use aether_testkit::script::{Item, Script, Speaker, Transport, Turn, When};
use aether_testkit::server::Server;
use serde_json::json;

use crate::ground::{BINARY, Call, Nest, asking, asking_with, names_in, results, until};

fn mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Whether this system lets a test have namespaces of its own, for small disks and for a user without privileges.
fn has_namespaces() -> bool {
    let tried = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).output();
    let has = tried.is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("no user namespaces on this system: this test shows nothing here");
    }
    has
}

/// The program with a disk of this size at `place`, prepared by `before` and looked at by `after`. Both are shell.
fn on_a_small_disk(nest: &Nest, place: &std::path::Path, size: &str, steps: [&str; 2], words: &[&str]) -> Call {
    let script = format!(
        "mount -t tmpfs -o size={size} none '{}' && {}\n\"$@\"; code=$?\n{}\nexit $code",
        place.display(),
        steps[0],
        steps[1]
    );
    let words: Vec<&str> = ["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh", BINARY]
        .into_iter()
        .chain(words.iter().copied())
        .collect();
    nest.through("unshare", &words)
}

/// The program as a user who owns the files and has no privileges, whoever runs the test.
fn without_privileges(nest: &Nest, words: &[&str]) -> Call {
    let words: Vec<&str> = ["--user", "--map-user=1000", BINARY].into_iter().chain(words.iter().copied()).collect();
    nest.through("unshare", &words)
}

#[test]
fn without_configuration_it_says_how_to_go_on() {
    let nest = Nest::new();
    let ended = nest.aether(&[]).run().exits(0);
    for way in ["aether onboard", "aether run", "aether chat"] {
        assert!(ended.stdout.contains(way), "{ended:#?}");
    }
    nest.aether(&["run", "hello"]).run().exits(0).answers("builtin/offline");
    nest.aether(&["run", "hello"]).without("HOME").run().exits(1).says("set HOME");
    let here = nest.aether(&["run", "hello"]).env("XDG_CONFIG_HOME", nest.home()).env("XDG_DATA_HOME", nest.home());
    here.without("HOME").run().exits(0);
}

/// Every mistake in the configuration is named with file, line and column, or with the key and what was wanted.
#[test]
fn a_broken_configuration_is_named_to_the_column() {
    for (text, wanted) in [
        ("model = \"a\"\nlimits = {\n", &["config.toml:2:", "config.toml:3:"][..]),
        ("model = 'a\n", &["config.toml:1:"]),
        ("[limits\nwall_ms = 1\n", &["config.toml:1:8"]),
        ("model = \"a\"\nmodel = \"b\"\n", &["config.toml:2:1"]),
        ("[limits]\nwall = 3\n", &["unknown key `limits.wall`; did you mean `limits.wall_ms`?"]),
        ("modle = \"a\"\n", &["did you mean `model`?"]),
        ("[limits]\nwall_ms = \"soon\"\n", &["`limits.wall_ms`: found"]),
        ("[limits]\nwall_ms = 0\n", &["`limits.wall_ms`: found"]),
        ("[limits]\ndepth = 99999999999999999999\n", &["config.toml:2:", "limits.depth"]),
        (
            "[policy.terminal]\nwrite = \"deny\"\n",
            &["config.toml:2: `policy.terminal.write`", "aether policy set terminal.write deny"],
        ),
        ("[providers.test]\nkind = \"soap\"\n", &["openai_chat"]),
        ("fallback = 3\n", &["`fallback`: found"]),
        ("\u{feff}model = \"builtin/offline\"\nx", &["config.toml:2:"]),
    ] {
        let nest = Nest::with(text);
        let ended = nest.aether(&["run", "hello"]).run().exits(2);
        assert!(wanted.iter().any(|words| ended.stderr.contains(words)), "{wanted:?} is not in {}", ended.stderr);
        assert!(ended.stdout.is_empty());
        assert_eq!(names_in(&nest.home().join(".local")).len(), 0, "nothing was begun");
    }
    let both = Nest::with("[limits]\nwall = 3\nmodel_cals = 3\n").aether(&["run", "hello"]).run().exits(2);
    assert!(
        both.stderr.contains("limits.wall_ms") && both.stderr.contains("limits.model_calls"),
        "all at once: {both:#?}"
    );
}

#[test]
fn a_configuration_that_is_no_text_file_is_refused() {
    let nest = Nest::new();
    nest.aether(&["run", "hello", "--config", "none.toml"]).run().exits(2).says("none.toml");
    fs::create_dir_all(nest.config_file()).expect("a directory");
    nest.aether(&["run", "hello"]).run().exits(2).says("config.toml");
    nest.file("bytes.toml", b"model = \"\xff\"\n");
    nest.aether(&["run", "hello", "--config", "bytes.toml"]).run().exits(2).says("bytes.toml");
    nest.file("large.toml", "# padding\n".repeat(500_000));
    nest.aether(&["run", "hello", "--config", "large.toml"]).run().exits(2).says("large.toml");
    let made = Command::new("mkfifo").arg(nest.workspace().join("pipe.toml")).status().expect("mkfifo");
    assert!(made.success());
    nest.aether(&["run", "hello", "--config", "pipe.toml"]).run().exits(2).says("pipe.toml").within(5_000);
    nest.aether(&["run", "hello", "--config", "/dev/zero"]).run().exits(2).says("/dev/zero");
}

/// A variable of ours that means nothing is a note; one with a wrong value is a mistake.
#[test]
fn variables_are_looked_at_too() {
    let nest = Nest::new();
    nest.aether(&["run", "hello"])
        .env("AETHER_MODLE", "x")
        .run()
        .exits(0)
        .says("AETHER_MODLE is ignored")
        .says("AETHER_MODEL");
    nest.aether(&["run", "hello"]).env("AETHER_LIMITS__WALL_MS", "soon").run().exits(2).says("AETHER_LIMITS__WALL_MS");
    nest.aether(&["run", "hello"]).env("HTTPS_PROXY", "not a proxy").run().exits(2).says("not a proxy");
}

#[test]
fn what_may_not_be_read_is_said_and_survived() {
    if !has_namespaces() {
        return;
    }
    let script = Script::new()
        .turn(Turn::reply(vec![
            Item::call("read_file", r#"{"path":"closed.txt"}"#),
            Item::call("list_dir", r#"{"path":"closed"}"#),
            Item::call("search_text", r#"{"pattern":"word"}"#),
            Item::call("write_file", r#"{"path":"fixed/new.txt","content":"x"}"#),
            Item::call("write_file", r#"{"path":"fixed/old.txt","content":"x","replace":true}"#),
        ]))
        .turn(Turn::text("done"));
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    mode(&nest.file("closed.txt", "word\n"), 0o000);
    nest.file("open.txt", "word\n");
    nest.file("closed/inside.txt", "word\n");
    nest.file("fixed/old.txt", "old\n");
    mode(&nest.workspace().join("closed"), 0o000);
    mode(&nest.workspace().join("fixed"), 0o555);
    without_privileges(&nest, &["run", "go", "--yes"]).run().exits(0);
    let told = results(&server.requests()[1]);
    for (at, words) in [(0, "permission"), (1, "permission"), (2, "open.txt"), (3, "permission"), (4, "permission")] {
        assert!(told[at].contains(words), "{at}: {told:#?}");
    }
    mode(&nest.workspace().join("fixed"), 0o755);
    mode(&nest.workspace().join("closed"), 0o755);
    assert_eq!(names_in(&nest.workspace().join("fixed")), ["old.txt"]);
    assert_eq!(nest.text_of("fixed/old.txt"), "old\n");
    // Nor may a configuration, a home and a workspace.
    mode(&nest.config_file(), 0o000);
    without_privileges(&nest, &["run", "hello"]).run().exits(2).says("config.toml");
    fs::remove_file(nest.config_file()).expect("a file");
    let bare = Nest::new();
    mode(&bare.home(), 0o555);
    without_privileges(&bare, &["run", "hello"]).run().exits(0).answers("builtin/offline");
    mode(&bare.home(), 0o755);
    assert!(names_in(&bare.home()).is_empty());
    mode(&bare.workspace(), 0o000);
    let ended = without_privileges(&bare, &["run", "hello", "-w", bare.workspace().to_str().expect("a path")])
        .current_dir(&bare.home())
        .run();
    mode(&bare.workspace(), 0o755);
    ended.exits(2).says("workspace");
}

/// A data directory that cannot be written costs the trace, not the answer.
#[test]
fn without_a_place_for_traces_the_task_still_runs() {
    let nest = Nest::new();
    fs::write(nest.home().join(".local"), "a file where a directory should be").expect("a file");
    nest.aether(&["run", "hello"]).run().exits(0).answers("builtin/offline");
    if !has_namespaces() {
        return;
    }
    let server = Server::start(
        Script::new().turn(Turn::call("calculate", r#"{"expression":"1"}"#).uses(30)).turn(Turn::text("an answer")),
    )
    .expect("a server");
    let nest = asking_with(&server, "[limits]\nrepeats = 100\n");
    let share = nest.home().join(".local/share");
    fs::create_dir_all(&share).expect("a directory");
    let ended =
        on_a_small_disk(&nest, &share, "8k", ["true", "true"], &["run", "go"]).run().exits(0).answers("an answer");
    assert!(ended.stderr.contains("the trace ends here") || ended.stderr.is_empty(), "{ended:#?}");
}

/// A disk that fills up while a file is written: the old file is whole, no draft is left, and the model is told.
#[test]
fn a_full_disk_leaves_the_old_file_whole() {
    if !has_namespaces() {
        return;
    }
    let content = "new ".repeat(25_000);
    let input = json!({ "path": "file.txt", "content": content, "replace": true }).to_string();
    let look = "echo \"left: $(ls -A | tr '\\n' ' ')\"; cat file.txt";
    let nest = Nest::new();
    let steps = ["cd . && cd \"$PWD\" && echo old > file.txt", look];
    let ended = on_a_small_disk(&nest, &nest.workspace(), "64k", steps, &["tool", "run", "write_file", &input]).run();
    ended.exits(1).says("no space is left").answers("left: file.txt \nold\n");
    let edit = json!({ "path": "file.txt", "old": "old", "new": content }).to_string();
    let ended = on_a_small_disk(&nest, &nest.workspace(), "64k", steps, &["tool", "run", "edit_file", &edit]).run();
    ended.exits(1).says("no space is left").answers("left: file.txt \nold\n");
    let fixed = ["cd \"$PWD\" && echo old > file.txt && mount -o remount,ro .", look];
    let ended = on_a_small_disk(&nest, &nest.workspace(), "1m", fixed, &["tool", "run", "write_file", &input]).run();
    ended.exits(1).says("read-only").answers("left: file.txt \nold\n");
}

#[test]
fn a_workspace_deleted_in_mid_run_is_told_to_the_model() {
    let slow = Transport { head_delay_ms: 400, ..Transport::default() };
    let calls = vec![
        Item::call("read_file", r#"{"path":"notes.txt"}"#),
        Item::call("list_dir", "{}"),
        Item::call("write_file", r#"{"path":"new.txt","content":"x"}"#),
        Item::call("search_text", r#"{"pattern":"x"}"#),
    ];
    let script = Script::new()
        .turn(Turn::call("read_file", r#"{"path":"notes.txt"}"#))
        .turn(Turn::reply(calls).transport(slow))
        .turn(Turn::text("It is gone."));
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    nest.file("notes.txt", "here\n");
    let place = nest.workspace();
    let live =
        nest.aether(&["run", "go", "--yes", "-w", place.to_str().expect("a path")]).current_dir(&nest.home()).start();
    until("the second question", || server.requests().len() == 2);
    fs::remove_dir_all(nest.workspace()).expect("the workspace is removed");
    live.wait().exits(0).answers("It is gone.");
    let told = results(&server.requests()[2]);
    assert!(told[0].contains("here"), "{told:#?}");
    for result in &told[1..] {
        assert!(result.contains("deleted"), "{told:#?}");
    }
    assert!(!nest.workspace().exists(), "nothing was made again");
    nest.aether(&["run", "hello", "-w", nest.workspace().to_str().expect("a path")])
        .current_dir(&nest.home())
        .run()
        .exits(2)
        .says("workspace");
}

/// Several processes share one home: each has its trace, none disturbs another.
#[test]
fn several_processes_at_once() {
    let slow = Transport { head_delay_ms: 150, ..Transport::default() };
    let script = Script::new()
        .turn(
            Turn::call("write_file", r#"{"path":"shared.txt","content":"whole\n","replace":true}"#)
                .when(When { last: Some(Speaker::User), ..When::default() })
                .transport(slow)
                .always(),
        )
        .turn(Turn::text("done").always());
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    let runs: Vec<_> = (0..8).map(|_| nest.aether(&["run", "go", "--yes"]).start()).collect();
    for run in runs {
        run.wait().exits(0);
    }
    assert_eq!(names_in(&nest.traces()).len(), 8);
    assert_eq!(nest.text_of("shared.txt"), "whole\n");
    assert_eq!(nest.names(), ["shared.txt"]);
}

#[test]
fn closed_standard_streams_are_survived() {
    let nest = Nest::new();
    let shell = |line: &str| nest.through("sh", &["-c", line, "sh", BINARY]).run();
    shell("exec \"$1\" run hello <&-").exits(0).answers("builtin/offline");
    shell("exec \"$1\" run <&-").exits(2).says("there is no goal");
    shell("exec \"$1\" run hello >&-");
    shell("exec \"$1\" run hello 2>&-").exits(0).answers("builtin/offline");
    shell("exec \"$1\" run hello <&- >&- 2>&-");
    shell("\"$1\" run hello | head -1").exits(0).answers("builtin/offline");
    shell("\"$1\" tool list | head -1").exits(0).answers("read_file");
    shell("\"$1\" run --json hello | head -1").exits(0).answers("spawned");
}

/// An answer that cannot be written is a failure, not a silence.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_told() {
    let nest = Nest::new();
    for words in [&["run", "hello"][..], &["run", "--json", "hello"], &["tool", "list"], &["version"], &["help"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        nest.aether(words).output_to(full).run().exits(1).says("No space left");
    }
}

/// When nobody reads any more, the task stops instead of going on unheard.
#[test]
fn a_reader_that_goes_away_ends_the_task() {
    let script = (0..200).fold(Script::new(), |script, n| {
        let slow = Transport { head_delay_ms: 50, ..Transport::default() };
        script.turn(Turn::call("calculate", &format!(r#"{{"expression":"{n}"}}"#)).transport(slow))
    });
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    let mut live = nest.aether(&["run", "--json", "go"]).start();
    assert!(live.first_line().contains("spawned"));
    live.wait().within(5_000);
    assert!(server.requests().len() < 10, "{}", server.requests().len());
}

#[test]
fn files_that_are_no_text_do_not_stop_anything() {
    let nest = Nest::new();
    nest.file("latin.txt", b"caf\xe9\nline two\n");
    nest.file("binary.dat", [0_u8, 1, 2, 255, 0, 9].repeat(1_000));
    nest.file("utf16.txt", [0xff, 0xfe, b'h', 0, b'i', 0]);
    nest.file("long-line.txt", "z".repeat(600_000));
    nest.file("empty.txt", "");
    let sparse = fs::File::create(nest.workspace().join("sparse.bin")).expect("a file");
    sparse.set_len(8 << 30).expect("a length");
    assert!(Command::new("mkfifo").arg(nest.workspace().join("pipe")).status().expect("mkfifo").success());
    std::os::unix::fs::symlink(".", nest.workspace().join("loop")).expect("a link");
    std::os::unix::fs::symlink("round", nest.workspace().join("round")).expect("a link");
    // Where a file system takes such a name.
    let strange = nest.workspace().join(OsString::from_vec(b"caf\xe9.txt".to_vec()));
    let _written = fs::write(&strange, "strange\n");
    for (name, code) in [
        ("latin.txt", 0),
        ("binary.dat", 0),
        ("utf16.txt", 0),
        ("long-line.txt", 0),
        ("empty.txt", 0),
        ("sparse.bin", 0),
        ("pipe", 1),
        ("loop", 1),
        ("round", 1),
    ] {
        let input = json!({ "path": name }).to_string();
        let ended = nest.aether(&["tool", "run", "read_file", &input]).run().within(20_000);
        assert!(matches!(ended.status.code(), Some(0 | 1)), "{name} {code}: {ended:#?}");
        assert!(ended.stdout.len() < 200_000, "{name}: {}", ended.stdout.len());
        nest.aether(&["run", &format!("Summarise {name}")]).run().within(20_000);
    }
    for (tool, input) in
        [("list_dir", "{}"), ("find_files", r#"{"pattern":"**"}"#), ("search_text", r#"{"pattern":"line|strange"}"#)]
    {
        nest.aether(&["tool", "run", tool, input]).run().exits(0).within(25_000);
    }
    nest.aether(&["run", "What is in this folder?"]).run().exits(0).within(25_000);
}

/// A directory with more files and levels than anyone wants to see.
#[test]
fn a_crowded_workspace_is_shown_in_part() {
    let nest = Nest::new();
    for n in 0..3_000 {
        nest.file(&format!("many/{n}.txt"), "a word\n");
    }
    let deep = "d/".repeat(120);
    nest.file(&format!("{deep}bottom.txt"), "a word\n");
    for (tool, input) in [
        ("list_dir", r#"{"path":"many"}"#),
        ("find_files", r#"{"pattern":"**/*.txt"}"#),
        ("search_text", r#"{"pattern":"word"}"#),
    ] {
        let ended = nest.aether(&["tool", "run", tool, input]).run().exits(0).within(25_000);
        assert!(ended.stdout.len() < 200_000, "{tool}: {}", ended.stdout.len());
    }
}

/// The wall clock runs backwards and forwards by days while the task works. Limits and waits do not notice, for they are
/// kept by the monotonic clock.
#[cfg(target_os = "linux")]
#[test]
fn a_jumping_clock_changes_nothing() {
    let nest = Nest::new();
    let source = nest.outside("jump.c");
    fs::write(&source, JUMP).expect("a source");
    let library = nest.outside("jump.so");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    assert!(built.is_ok_and(|status| status.success()), "a C compiler is needed to build this at all");
    let slow = Transport { head_delay_ms: 120, ..Transport::default() };
    let script = Script::new()
        .turn(Turn::failure(503, "busy").retry_after("1"))
        .turn(Turn::call("time", "{}").transport(slow.clone()))
        .turn(Turn::call("calculate", r#"{"expression":"1"}"#).transport(slow))
        .turn(Turn::text("done"));
    let server = Server::start(script).expect("a server");
    let jumping = asking_with(&server, "[limits]\nwall_ms = 20000\n");
    let ended = jumping.aether(&["run", "--json", "go"]).env("LD_PRELOAD", &library).run().exits(0);
    assert!((1_100..6_000).contains(&ended.took.as_millis()), "{:?}", ended.took);
    let days: std::collections::BTreeSet<String> =
        ended.lines().iter().filter_map(|line| line["at"].as_str()?.get(..10).map(str::to_owned)).collect();
    assert!(days.len() > 1, "the clock did jump: {days:?}");
}

/// `CLOCK_REALTIME` that is a year later or earlier at every other look; all other clocks as they are.
#[cfg(target_os = "linux")]
const JUMP: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    static int looks;
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += (__sync_fetch_and_add(&looks, 1) % 2 ? -1 : 1) * 31536000L;
    return code;
}
"#;
