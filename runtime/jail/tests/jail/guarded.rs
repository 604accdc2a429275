//! What programs of the host would run or believe stays as it is (J7); what is protected is not seen (J1).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use aether_jail::{Access, Plan, Spawner, Status};

use crate::harness::{
    Test, folder, granted, is_root, output, run, says, shell, soon, spawner, start, start_into, text,
};

pub(crate) const TESTS: &[Test] = &[
    ("j7_guarded_places_cannot_be_made_and_leave_nothing", absent),
    ("j7_guarded_places_that_exist_stay_as_they_are", existing),
    ("j1_a_narrower_grant_below_a_wider_one_holds", narrower),
    ("j7_git_works_on_a_repository_that_is_there", commits),
    ("j7_a_repository_can_be_made_and_is_tame_afterwards", init),
    ("j7_the_directory_itself_becomes_no_repository", bare),
    ("j7_submodules_are_guarded_and_new_ones_tamed", submodules),
    ("j7_what_a_killed_spawner_left_is_no_repository", killed),
    ("j7_fifty_at_once_in_one_directory", fifty),
    ("j1_protected_places_in_a_grant_are_not_seen", hidden),
    ("j1_a_protected_place_that_is_a_link_is_held", linked),
    ("j1_no_link_is_followed_to_what_is_granted", links),
    ("j1_a_grant_that_is_exchanged_meanwhile_is_the_one_or_none", swapped),
];

fn on(folder: &Path, script: &str) -> Plan {
    let mut plan = shell(&format!("cd /w; {script}"));
    plan.binds.push(granted(folder, "/w", Access::Write));
    let more = [("HOME", "/tmp"), ("GIT_CONFIG_NOSYSTEM", "1"), ("EMAIL", "a@example.org"), ("GIT_AUTHOR_NAME", "a")];
    plan.command.env.extend(more.map(|(name, value)| (name.into(), value.into())));
    plan.command.env.push(("GIT_COMMITTER_NAME".into(), "a".into()));
    plan
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn read(path: std::path::PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Git on the host, as its owner would call it.
fn git(folder: &Path, words: &[&str]) -> String {
    let mut command = std::process::Command::new("git");
    command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("HOME", "/nowhere").args([
        "--no-optional-locks",
        "-c",
        "safe.directory=*",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
    ]);
    let ended = command.args(words).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr))
}

fn absent() {
    let spawner = spawner();
    let folder = folder();
    let script = "for f in .mcp.json .vscode/x .idea/x .aether/x .envrc .cursor/mcp.json .claude/settings.json \
                  .husky/pre-commit .devcontainer/x .devcontainer.json .zed/tasks.json .windsurf/x; do \
                  mkdir -p $(dirname $f); echo evil > $f && echo made $f; cat $f 2>/dev/null; done; \
                  rm -rf .vscode .mcp.json; mv .mcp.json x; mv .vscode y; ln -s /tmp .idea; chmod 777 .vscode .envrc; \
                  ls -A; echo evil > ok";
    let (_, seen) = run(&spawner, &on(folder.path(), script));
    assert!(seen.contains("\n.vscode\n") && seen.contains("\n.mcp.json\n") && !seen.contains("made"), "{seen}");
    soon("placeholders gone", || count(folder.path()) == 1);
    assert_eq!(read(folder.path().join("ok")), "evil\n");
}

fn existing() {
    let spawner = spawner();
    let folder = folder();
    let place = |name: &str| folder.path().join(name);
    fs::create_dir_all(place(".git/hooks")).unwrap();
    fs::create_dir_all(place(".husky")).unwrap();
    for name in [".git/config", ".git/config.worktree", ".bashrc"] {
        fs::write(place(name), "good").unwrap();
    }
    let script = "echo evil > .git/config; echo evil > .git/hooks/post-commit; echo evil > .bashrc; \
                  echo evil > .git/config.worktree; echo evil > .husky/pre-commit; rm -rf .husky; \
                  mv .git g; mkdir .git; mv .git/config .git/c; echo ../evil > .git/commondir; \
                  echo evil >> .profile; echo fine > .git/HEAD";
    let (_, seen) = run(&spawner, &on(folder.path(), script));
    for name in [".git/config", ".git/config.worktree", ".bashrc"] {
        assert_eq!(read(place(name)), "good", "{name}: {seen}");
    }
    assert_eq!(read(place(".git/HEAD")), "fine\n");
    for name in [".git/hooks/post-commit", ".git/commondir", ".profile", "g", ".vscode", ".husky/pre-commit"] {
        soon(name, || !place(name).exists());
    }
    assert!(place(".git/commondir.untrusted").exists(), "nothing is lost");
}

/// A narrower grant below a wider one holds, whichever comes first.
fn narrower() {
    let spawner = spawner();
    let folder = folder();
    for name in [".git/refs", ".config/gh"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    give_away(folder.path());
    let spawner = spawner.protecting(aether_jail::protected_in(folder.path()));
    let mut plan = on(folder.path(), "touch .git/x .config/x .git/refs/x; mkdir .config/gh/x; touch y");
    let at = plan.binds.len();
    for (index, name) in [".git", ".config"].into_iter().enumerate() {
        let bind = granted(&folder.path().join(name), &format!("/w/{name}"), Access::Read);
        plan.binds.insert(if index == 0 { at } else { at - 1 }, bind);
    }
    let (_, seen) = run(&spawner, &plan);
    for name in [".git/x", ".config/x", ".git/refs/x", ".config/gh/x"] {
        assert!(!folder.path().join(name).exists(), "{name}: {seen}");
    }
    assert!(folder.path().join("y").exists(), "{seen}");
}

fn commits() {
    let spawner = spawner();
    let folder = folder();
    fs::write(folder.path().join("file"), "one").unwrap();
    git(folder.path(), &["init", "-q"]);
    give_away(folder.path());
    let script = "git add -A && git commit -qm first && git status --porcelain && git log --format=%s";
    let said = says(&spawner, &on(folder.path(), script));
    assert_eq!(said, "first", "no placeholder is taken for a file of the work");
    assert_eq!(git(folder.path(), &["show", "--name-only", "--format="]).trim(), "file");
}

/// To the owner that the tests take where they are the first user.
fn give_away(folder: &Path) {
    if is_root() {
        let done = std::process::Command::new("chown").args(["-R", "4321:4322"]).arg(folder).status().unwrap();
        assert!(done.success());
    }
}

fn init() {
    let spawner = spawner();
    let folder = folder();
    give_away(folder.path());
    fs::write(folder.path().join("file"), "one").unwrap();
    let script = "git status 2>&1 | head -1; git init -q -b main . && git add -A && git commit -qm first && \
                  git config core.fsmonitor 'touch /tmp/evil; false' && git config filter.x.smudge evil && \
                  git config remote.origin.url https://example.org/x && \
                  echo 'echo evil' > .git/hooks/pre-commit && git log --format=%s && ls -d .git/HEAD";
    let mut sandbox = start(&spawner, &on(folder.path(), "sleep 0.3; ls -d .git/HEAD")).unwrap();
    let said = says(&spawner, &on(folder.path(), script));
    assert!(said.contains("not a git repository") && said.ends_with("first\n.git/HEAD"), "{said}");
    assert!(git(folder.path(), &["status"]).contains("not a git repository"), "another jail may still change it");
    assert_eq!(sandbox.wait().unwrap().status, Status::Exited(0), "all see the same");
    let config = read(folder.path().join(".git/config"));
    assert!(!config.contains("evil") && config.contains("https://example.org/x"), "{config}");
    assert!(read(folder.path().join(".git/config.untrusted")).contains("evil"));
    assert!(!folder.path().join(".git/hooks").exists(), "they lie beside it");
    assert!(folder.path().join(".git/hooks.untrusted/pre-commit").exists());
    assert_eq!(git(folder.path(), &["log", "--format=%s"]).trim(), "first");
    assert_eq!(git(folder.path(), &["status", "--porcelain"]), "");
    let owners = [".git", ".git/config", ".git/HEAD"].map(|name| folder.path().join(name).metadata().unwrap().uid());
    assert_eq!(owners, [folder.path().metadata().unwrap().uid(); 3]);
    // From then on it is one that was there.
    let (_, said) = run(&spawner, &on(folder.path(), "git config core.pager evil; git commit -q --allow-empty -m two"));
    assert!(said.contains("could not") || said.contains("error:"), "{said}");
    assert_eq!(git(folder.path(), &["log", "--format=%s"]).trim(), "two\nfirst", "{said}");
    assert_eq!(count(folder.path()), 2);
    // And a clone has its repository in a directory of its own.
    let said = says(&spawner, &on(folder.path(), "git clone -q . copy 2>&1; ls copy"));
    assert_eq!(said, "file");
}

fn submodules() {
    let spawner = spawner();
    let folder = folder();
    let place = |name: &str| folder.path().join(name);
    for part in [".git", ".git/modules/libs/part"] {
        fs::create_dir_all(place(part).join("hooks")).unwrap();
        fs::write(place(part).join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(place(part).join("config"), "[core]\n\tfsmonitor = good\n").unwrap();
    }
    give_away(folder.path());
    let script = "p=.git/modules/libs/part; echo evil > $p/config; echo evil > $p/hooks/post-checkout; \
                  echo fine > $p/index; echo evil > $p/commondir; mv .git/modules/libs .git/modules/moved; \
                  n=.git/modules/libs/part; mkdir -p $n/hooks; cp .git/HEAD $n; echo evil > $n/hooks/post-checkout; \
                  printf '[core]\\n\\tfsmonitor = evil\\n\\tbare = false\\n' > $n/config";
    let (_, seen) = run(&spawner, &on(folder.path(), script));
    let (old, new) = (place(".git/modules/moved/part"), place(".git/modules/libs/part"));
    assert_eq!(read(old.join("config")), "[core]\n\tfsmonitor = good\n", "{seen}");
    assert_eq!(read(old.join("index")), "fine\n");
    assert!(!old.join("hooks/post-checkout").exists() && !old.join("commondir").exists());
    assert_eq!(read(new.join("config")), "[core]\n\tbare = false\n");
    assert!(!new.join("hooks").exists(), "{seen}");
}

fn killed() {
    let folder = folder();
    give_away(folder.path());
    let script = "git init -q . && echo 'echo evil' > .git/hooks/pre-commit && echo ready > ready && sleep 60";
    let plan = on(folder.path(), script);
    {
        let spawner = spawner();
        let mut sandbox = start(&spawner, &plan).unwrap();
        soon("it is made", || folder.path().join("ready").exists());
        kill_own_spawner();
        assert!(sandbox.wait().is_err());
    }
    assert!(git(folder.path(), &["status"]).contains("not a git repository"));
    let spawner = spawner();
    assert_eq!(says(&spawner, &on(folder.path(), "ls -d .git/HEAD")), ".git/HEAD", "it goes on");
    assert!(folder.path().join(".git/HEAD").exists());
    assert!(!folder.path().join(".git/hooks/pre-commit").exists());
}

fn bare() {
    let spawner = spawner();
    let folder = folder();
    give_away(folder.path());
    let script = "mkdir objects refs; echo 'ref: refs/heads/main' > HEAD; \
                  printf '[core]\\n\\tbare = false\\n\\tworktree = .\\n\\tfsmonitor = touch evil; false\\n' > config; \
                  git init -q sub && echo fine > sub/HEAD";
    let (ended, seen) = run(&spawner, &on(folder.path(), script));
    assert_eq!(ended.status, Status::Exited(0), "{seen}");
    assert!(git(folder.path(), &["status"]).contains("not a git repository"));
    assert!(!folder.path().join("evil").exists() && folder.path().join("HEAD.untrusted").exists());
    // One that was there stays, and what git believes of it is held.
    fs::rename(folder.path().join("HEAD.untrusted"), folder.path().join("HEAD")).unwrap();
    fs::write(folder.path().join("config"), "[core]\n\tbare = true\n").unwrap();
    give_away(folder.path());
    run(&spawner, &on(folder.path(), "echo evil > config; mkdir hooks; echo evil > hooks/x; echo fine > description"));
    assert_eq!(read(folder.path().join("config")), "[core]\n\tbare = true\n");
    assert!(folder.path().join("HEAD").exists() && !folder.path().join("hooks").exists());
    assert_eq!(read(folder.path().join("description")), "fine\n");
}

fn kill_own_spawner() {
    let [pid] = crate::ends::own_spawners()[..] else { panic!("one spawner") };
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
}

fn fifty() {
    let folder = folder();
    give_away(folder.path());
    let spawners: Vec<Spawner> = (0..5).map(|_| spawner()).collect();
    let place = folder.path();
    std::thread::scope(|scope| {
        for (number, spawner) in spawners.iter().enumerate() {
            scope.spawn(move || ten(spawner, number, place));
        }
    });
    drop(spawners);
    assert_eq!(count(folder.path()), 100);
}

fn ten(spawner: &Spawner, number: usize, folder: &Path) {
    for round in 0..2 {
        let mut all: Vec<_> = (0..10)
            .map(|index| {
                let out = output();
                let script =
                    format!("echo evil > .envrc; sleep 0.0{index}; echo > {number}-{round}-{index}; echo done");
                let sandbox = start_into(spawner, &on(folder, &script), &out);
                (sandbox.unwrap_or_else(|error| panic!("{number} {round} {index}: {error}")), out)
            })
            .collect();
        for (sandbox, out) in &mut all {
            sandbox.wait().unwrap();
            assert!(text(out).ends_with("done\n") && text(out).contains(".envrc"), "{}", text(out));
        }
    }
}

fn hidden() {
    let folder = folder();
    let home = folder.path();
    for name in [".ssh", ".config/gh", ".config/other", "work"] {
        fs::create_dir_all(home.join(name)).unwrap();
    }
    for name in [".ssh/id", ".config/gh/hosts", ".netrc"] {
        fs::write(home.join(name), "secret").unwrap();
    }
    let _listener = std::os::unix::net::UnixListener::bind(home.join(".ssh/agent")).unwrap();
    give_away(home);
    let spawner = spawner().protecting(aether_jail::protected_in(home));
    let script = "cat .ssh/id .netrc .config/gh/hosts 2>/dev/null; ls .ssh; echo x > .ssh/authorized_keys; \
                  mkdir .aws && echo made; mkdir .config/aether && echo made; mkdir .local && echo made; \
                  mv .config c && mkdir .config; mv .ssh s; rm -rf .ssh; mkdir .docker && echo made; \
                  echo fine > .config/other/file; echo fine > work/file";
    let (_, seen) = run(&spawner, &on(home, script));
    assert!(!seen.contains("secret") && !seen.contains("made") && !seen.contains("agent"), "{seen}");
    for name in [".ssh/id", ".config/gh/hosts", ".netrc"] {
        assert_eq!(read(home.join(name)), "secret");
    }
    assert_eq!(read(home.join(".config/other/file")), "fine\n", "{seen}");
    assert_eq!(read(home.join("work/file")), "fine\n");
    for name in [".ssh/authorized_keys", ".aws", ".config/aether", ".local", ".docker", "c", "s"] {
        soon(name, || !home.join(name).exists());
    }
    let mut plan = shell("cat /w/.ssh/id /w/.netrc /w/.config/gh/hosts 2>&1; ls /w/.config");
    plan.binds.push(granted(home, "/w", Access::Read));
    let seen = says(&spawner, &plan);
    assert!(!seen.contains("secret") && seen.contains("other"), "{seen}");
    for inside in [".ssh", ".ssh/id", ".config/gh"] {
        let mut plan = shell("true");
        plan.binds.push(granted(&home.join(inside), "/w", Access::Read));
        let error = start(&spawner, &plan).err().unwrap().to_string();
        assert!(error.contains("is or lies in the protected place"), "{error}");
    }
}

fn linked() {
    let folder = folder();
    let home = folder.path();
    fs::create_dir_all(home.join("dots/ssh")).unwrap();
    fs::write(home.join("dots/ssh/id"), "secret").unwrap();
    std::os::unix::fs::symlink("dots/ssh", home.join(".ssh")).unwrap();
    give_away(home);
    let spawner = spawner().protecting(aether_jail::protected_in(home));
    let mut plan = shell("cat /w/.ssh/id /w/dots/ssh/id 2>&1; true");
    plan.binds.push(granted(home, "/w", Access::Read));
    let seen = says(&spawner, &plan);
    assert!(!seen.contains("secret"), "{seen}");
    let error = start(&spawner, &on(home, "true")).err().unwrap().to_string();
    assert!(error.contains("/.ssh is neither a file nor a directory"), "the link could be exchanged: {error}");
    plan = shell("cat /w/id");
    plan.binds.push(granted(&home.join("dots/ssh"), "/w", Access::Read));
    let error = start(&spawner, &plan).err().unwrap().to_string();
    assert!(error.contains("is or lies in the protected place"), "{error}");
    soon("nothing is left", || count(home) == 2);
}

fn links() {
    let spawner = spawner();
    let folder = folder();
    fs::create_dir_all(folder.path().join("outside/deep")).unwrap();
    fs::create_dir(folder.path().join("work")).unwrap();
    std::os::unix::fs::symlink("../outside", folder.path().join("work/out")).unwrap();
    for (source, access) in [("work/out", Access::Read), ("work/out/deep", Access::Write), ("work/out", Access::Write)]
    {
        let mut plan = shell("true");
        plan.binds.push(granted(&folder.path().join(source), "/w", access));
        let error = start(&spawner, &plan).err().unwrap().to_string();
        assert!(error.contains("leads through a symbolic link"), "{error}");
    }
}

fn swapped() {
    let folder = folder();
    let place = |name: &str| folder.path().join(name);
    for name in ["swap", "outside", "other"] {
        fs::create_dir(place(name)).unwrap();
        fs::write(place(name).join("name"), name).unwrap();
    }
    std::os::unix::fs::symlink("outside", place("link")).unwrap();
    give_away(folder.path());
    let spawner = spawner();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let exchange = |one: &str, other: &str| {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(rustix::fs::CWD, place(one), rustix::fs::CWD, place(other), flags).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(200));
            };
            while !is_over.load(Ordering::Relaxed) {
                for other in ["link", "link", "other", "other"] {
                    exchange("swap", other);
                }
            }
        });
        for round in 0..60 {
            let mut plan = shell("cat /w/name; echo evil > /w/.envrc; true");
            let access = if round % 2 == 0 { Access::Write } else { Access::Read };
            plan.binds.push(granted(&place("swap"), "/w", access));
            let out = output();
            match start_into(&spawner, &plan, &out) {
                Ok(mut sandbox) => {
                    sandbox.wait().unwrap();
                    assert!(!text(&out).contains("outside"), "{}", text(&out));
                }
                Err(error) => assert!(error.to_string().contains("refuses the plan"), "{error}"),
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for name in ["swap", "other", "outside"] {
        soon("no file was made", || !place(name).join(".envrc").exists());
    }
}
