//! `aether sandbox`: the jail alone. What goes in, what comes out, what a manifest turns into, and what is said of it.

use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ground::{KEY, Nest};
use crate::person::Person;
use crate::yard::{Who, audits, gone, manifest, mark, offspring, until_marked, words};

const SMALL: &str = "max_runtime = \"20s\"\nmemory_limit = \"100mb\"\nprocesses_max = 20";

/// The exit code is the program's own; of one that a signal or a limit ended it is 128 and the signal.
#[test]
fn exit_codes_get_through() {
    for who in Who::all() {
        let nest = Nest::new();
        let run = |line: &str| who.aether(&nest, &["sandbox", "run", "--", "sh", "-c", line]).run();
        run("echo out; echo err >&2").exits(0).answers("out\n").says("err\n");
        run("exit 7").exits(7);
        run("kill -TERM $$").exits(128 + 15);
        let path = manifest(&nest, "max_runtime = \"1s\"\nmemory_limit = \"60mb\"");
        let words = ["sandbox", "run", "--manifest", &path, "--", "sleep", "60"];
        who.aether(&nest, &words).run().exits(128 + 9).says("killed: runtime limit 1 s exceeded");
        audits(*who, &nest, &["\"kind\":\"breach\"", "\"tool\":\"probe\"", "runtime limit 1 s exceeded"]);
        audits(*who, &nest, &["\"kind\":\"allow\"", "\"tool\":\"sandbox\""]);
    }
}

/// Ten million bytes of every kind come out as they went in.
#[test]
fn bytes_get_through_unchanged() {
    let mut state = 88_172_645_463_325_252_u64;
    let random = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let bytes: Vec<u8> = random.take(10_000_000 / 8).flatten().collect();
    for who in Who::all() {
        let nest = Nest::new();
        let path = nest.outside("out");
        let out = fs::File::create(&path).expect("a file");
        who.aether(&nest, &["sandbox", "run", "--", "cat"]).input(&bytes).output_to(out).run().exits(0);
        assert!(fs::read(&path).expect("the output") == bytes, "{who:?}: other bytes came out");
        who.aether(&nest, &["sandbox", "run", "--", "tr", "a-z", "A-Z"])
            .input("quiet\n")
            .run()
            .exits(0)
            .answers("QUIET\n");
        who.aether(&nest, &["sandbox", "run", "--", "cat"]).run().exits(0);
    }
}

/// What a program writes is shown while it runs.
#[test]
fn output_streams() {
    let nest = Nest::new();
    let mut live = nest.aether(&["sandbox", "run", "--", "sh", "-c", "echo first; sleep 30"]).start();
    let begun = Instant::now();
    assert_eq!(live.first_line(), "first");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let family = offspring(live.pid());
    live.signal("INT");
    assert_ne!(live.wait().status.code(), Some(0));
    crate::ground::until("nothing is left", || !family.iter().any(|process| process.is_alive()));
}

/// A reader that goes away does not stop the program, and costs no memory.
#[test]
fn a_reader_may_go_away() {
    let nest = Nest::new();
    let mut live = nest.aether(&["sandbox", "run", "--", "sh", "-c", "seq 1 500000; touch through"]).start();
    assert_eq!(live.first_line(), "1");
    live.wait().exits(0);
    assert_eq!(nest.names(), ["through"]);
}

/// A program sees the workspace, the machine's programs, and nothing of who runs it.
#[test]
fn a_program_sees_no_more_than_it_is_given() {
    for who in Who::all() {
        let nest = Nest::new().env("AWS_SECRET_ACCESS_KEY", KEY);
        nest.file("mine.txt", "mine\n");
        nest.configure("[tools]\n");
        nest.configure("");
        let secret = nest.write(".ssh/id_test", "the private key\n", 0o644);
        let look = format!(
            "cat mine.txt; id -u; env; ls -a ~ /home /root /work /mnt 2>&1; cat {} {} 2>&1; ls /proc | grep -c '^[0-9]'; echo x > /usr/x; echo x > /x; echo made > made",
            secret.display(),
            nest.config_file().display()
        );
        let ended = who.aether(&nest, &["sandbox", "run", "--", "sh", "-c", &look]).run().exits(0).hides(KEY);
        let ended = ended.hides("the private key").hides("AWS_SECRET").answers("mine\n1000\n");
        assert!(ended.stderr.matches("Read-only file system").count() == 2, "{ended:#?}");
        assert_eq!(nest.names(), ["made", "mine.txt"]);
        assert_eq!(fs::metadata(nest.workspace().join("made")).expect("a file").len(), 5);
    }
}

#[test]
fn nothing_is_run_where_nothing_can_be() {
    let nest = Nest::new();
    nest.run(&["sandbox", "run"]).exits(2).says("there is no program");
    nest.run(&["sandbox", "run", "--", "no-such-program"]).exits(2).says("no program `no-such-program`");
    nest.run(&["sandbox", "run", "--", "./no-such-program"]).exits(2).says("no-such-program");
    nest.run(&["sandbox", "run", "--manifest", "none.toml", "--", "true"]).exits(2).says("none.toml");
    nest.decide("terminal.execute", "deny");
    nest.run(&["sandbox", "run", "--", "touch", "ran"]).exits(3).says("policy denies execute");
    assert!(nest.names().is_empty());
}

/// Every mistake of a manifest is named with its place, and nothing runs.
#[test]
fn a_wrong_manifest_is_named_line_by_line() {
    let nest = Nest::new();
    let path = manifest(&nest, "max_runtime = \"3\"\nmemory_limit = \"60mb\"\nspeed = 9");
    for words in [
        &["sandbox", "run", "--manifest", &path, "--", "touch", "ran"][..],
        &["sandbox", "explain", "--manifest", &path],
        &["tool", "check", &path],
    ] {
        let ended = nest.run(words).exits(2);
        let place = |line: u32| ended.stderr.contains(&format!("{path}:{line}:"));
        assert!(place(7) && place(9) && ended.stderr.contains("speed"), "{words:?}: {ended:#?}");
    }
    assert!(nest.names().is_empty());
}

/// A secret that a manifest declares has to be in policy, and has to be there.
#[test]
fn a_missing_secret_is_named() {
    let nest = Nest::new();
    let secret = "[[secrets]]\nname = \"token\"\nhost = \"api.example.com\"\nheader = \"authorization: Bearer {}\"";
    let path = manifest(&nest, &format!("network = [\"api.example.com:443\"]\n{SMALL}\n{secret}"));
    let words = ["sandbox", "run", "--manifest", &path, "--", "touch", "ran"];
    nest.run(&words).exits(2).says_all(&["secret `token`", "policy", "[secrets]"]);
    nest.write(".config/aether/policy.toml", "[secrets]\ntoken = \"env:NO_SUCH_TOKEN\"\n", 0o600);
    nest.run(&["policy", "sign", "--yes"]).exits(0);
    nest.run(&words).exits(2).says_all(&["`token`", "NO_SUCH_TOKEN is not set"]);
    assert!(nest.names().is_empty());
    // With it, the program runs, and has it neither in its variables nor in its arguments.
    let look = [
        "sandbox",
        "run",
        "--manifest",
        &path,
        "--",
        "sh",
        "-c",
        "env; cat /proc/*/environ /proc/*/cmdline; echo through",
    ];
    nest.aether(&look).env("NO_SUCH_TOKEN", KEY).run().exits(0).answers("through").hides(KEY);
}

/// What a manifest turns into is told line by line, and nothing runs.
#[test]
fn a_jail_is_explained() {
    let nest = Nest::new();
    let path = manifest(&nest, &format!("network = [\"api.example.com:443\"]\n{SMALL}"));
    let ended = nest.run(&["sandbox", "explain", "--manifest", &path, "--", "touch", "ran"]).exits(0);
    let workspace = nest.workspace().canonicalize().expect("a workspace").display().to_string();
    for line in [
        "program    /usr/bin/touch as \"touch\" \"ran\"".to_owned(),
        format!("directory  {workspace}"),
        format!("mount      {workspace}: read, write; no devices, no set-user-id"),
        "limit      runtime 20 s".to_owned(),
        "limit      processes 20".to_owned(),
    ] {
        assert!(ended.stdout.lines().any(|found| found == line), "{line}: {ended:#?}");
    }
    for part in ["guarded    ", "filter     ", "namespaces ", "limit      memory ", "443"] {
        assert!(ended.stdout.contains(part), "{part}: {ended:#?}");
    }
    nest.run(&["sandbox", "explain"]).exits(0).answers("network    none");
    assert!(nest.names().is_empty());
}

/// A manifest's word on network, files and programs is the jail's.
#[test]
fn a_manifest_holds() {
    for who in Who::all() {
        let nest = Nest::new();
        nest.file("mine.txt", "mine\n");
        let path = nest.outside("reader.toml");
        let text = "name = \"reader\"\nversion = \"1.0.0\"\ndescription = \"Reads\"\nruntime = \"native\"\nfilesystem = { read = [\"$workspace\"] }\nprograms = [\"$system\"]\nnetwork = [\"api.example.com:443\"]\nmax_runtime = \"20s\"\nmemory_limit = \"100mb\"\n";
        fs::write(&path, text).expect("a manifest");
        let path = path.to_string_lossy().into_owned();
        let code = "import os, socket\nprint(open('mine.txt').read())\n\
                    for act in (lambda: open('new', 'w'), lambda: os.fork(),\n  lambda: socket.getaddrinfo('other.example', 443),\n  \
                    lambda: socket.create_connection(('127.0.0.1', 22), 1)):\n  try:\n    act()\n    print('DONE')\n  except OSError as e:\n    print(type(e).__name__)";
        let words = ["sandbox", "run", "--manifest", &path, "--", "python3", "-c", code];
        let ended = who.aether(&nest, &words).run().exits(0).answers("mine\n").hides("DONE");
        assert_eq!(
            ended.stdout.lines().filter(|line| line.ends_with("Error") || line.ends_with("gaierror")).count(),
            4,
            "{ended:#?}"
        );
        audits(*who, &nest, &["\"kind\":\"egress\"", "other.example", "refused"]);
        assert_eq!(nest.names(), ["mine.txt"]);
    }
}

/// What a program writes cannot steer the terminal of the person who runs it.
#[test]
fn a_terminal_is_not_steered() {
    let nest = Nest::new();
    let line = "printf '\\033[2Jhidden \\033]0;title\\007 shown\\n'; printf '\\033[31mred' >&2";
    let mut person = Person::at(&nest, &["sandbox", "run", "--", "sh", "-c", line]);
    person.sees("shown");
    assert_eq!(person.waits(), Some(0));
    assert!(!person.all.contains('\u{1b}') && !person.all.contains('\u{7}'), "{:?}", person.all);
    assert!(person.all.contains("\\u{1b}[2Jhidden"), "{:?}", person.all);
}

/// Killed as abruptly as can be, the program takes its jail along.
#[test]
fn a_kill_leaves_nothing() {
    for who in Who::all() {
        let mark = mark();
        let nest = Nest::new();
        let line = format!("(setsid sleep {mark} &) ; sleep {mark}");
        let live = who.aether(&nest, &["sandbox", "run", "--", "sh", "-c", &line]).start();
        until_marked(&format!("sleep\0{mark}"));
        let family = offspring(live.pid());
        live.kill();
        gone(&format!("sleep\0{mark}"), 3_000);
        crate::ground::until("nothing is left", || !family.iter().any(|process| process.is_alive()));
        crate::ground::until("no placeholder is left", || nest.names().is_empty());
    }
}

#[test]
fn the_machine_is_examined() {
    for who in Who::all() {
        let nest = Nest::new();
        let ended = who.aether(&nest, &["doctor"]).run().exits(0).answers("nothing is broken");
        for part in ["sandbox", "tier A", "user namespace", "network namespace", "landlock", "memory control group"] {
            assert!(ended.stdout.contains(part), "{who:?} {part}: {ended:#?}");
        }
        let report = who.aether(&nest, &["doctor", "--json"]).run().exits(0).json();
        let checks = report["checks"].as_array().expect("checks");
        assert!(checks.iter().any(|check| check["name"] == "sandbox" && check["status"] == "ok"), "{report:#}");
    }
}

#[test]
fn tools_of_the_jail_are_listed_and_shown() {
    let nest = Nest::new();
    let listed = nest.run(&["tool", "list"]).exits(0);
    for name in ["shell", "run_program", "git", "python", "node"] {
        let line = listed.stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
        assert!(line.is_some_and(|line| line.contains(" ask ")), "{name}: {listed:#?}");
        let shown = nest.run(&["tool", "show", name]).exits(0);
        for part in ["declared", "granted", "effective", "asked before", "execute", "10 min"] {
            assert!(shown.stdout.contains(part), "{name} {part}: {shown:#?}");
        }
        let report: Value = nest.run(&["tool", "show", name, "--json"]).exits(0).json();
        assert_eq!(report["runtime"], "native", "{report:#}");
    }
    nest.run(&["version", "--features"]).exits(0).answers("sandbox");
    let all = words(&[&["tool", "list", "--json"]]);
    assert!(nest.run(&all).exits(0).stdout.contains("\"run_program\""));
}

/// Many jails at once: each its own, all of them answered.
#[test]
fn many_at_once() {
    let nest = Nest::new();
    let live: Vec<_> = (0..24)
        .map(|n: u32| {
            nest.aether(&["sandbox", "run", "--", "sh", "-c", &format!("echo {n} > out-{n}; cat out-{n}")]).start()
        })
        .collect();
    for (n, live) in live.into_iter().enumerate() {
        assert_eq!(live.wait().exits(0).stdout, format!("{n}\n"));
    }
    assert_eq!(nest.names().len(), 24);
}

/// A file that is not text, as standard input and as a program's own.
#[test]
fn a_program_of_the_workspace_runs() {
    let nest = Nest::new();
    let path = nest.file("tool", "#!/bin/sh\nwc -c\n");
    std::process::Command::new("chmod").arg("755").arg(&path).status().expect("chmod");
    nest.aether(&["sandbox", "run", "--", "./tool"]).input([0_u8, 255, 10]).run().exits(0).answers("3");
    let mut zeros = Vec::new();
    std::io::repeat(0).take(100_000).read_to_end(&mut zeros).expect("zeros");
    nest.aether(&["sandbox", "run", "--", "wc", "-c"]).input(zeros).run().exits(0).answers("100000");
}
