//! The same jails where the machine gives no namespaces: what holds there, what is refused, and what is said of it.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use aether_jail::{
    Access, Breach, Guarantees, JailError, Looseness, Network, Plan, State, Status, Strength, Tier, survey,
};

use crate::harness::{
    Test, folder, granted, marker, output, own, processes, run, run_these, says, shell, soon, spawner, start,
    start_into, text,
};

/// What is run where there are namespaces.
pub(crate) const TESTS: &[Test] =
    &[("tier_b_where_user_namespaces_are_forbidden", forbidden), ("tier_b_under_the_filter_of_a_container", contained)];

/// What is run where there are none.
const WITHOUT: &[Test] = &[
    ("tier_b_j1_nothing_is_read_but_what_is_granted", reading),
    ("tier_b_j1_read_only_stays_read_only", read_only),
    ("tier_b_j1_what_is_writable_can_be_changed_below_its_top", writing),
    ("tier_b_j1_a_grant_of_less_in_a_grant_of_more", nested),
    ("tier_b_j7_guarded_places_stay_as_they_are", guarded),
    ("tier_b_j1_no_program_runs_from_a_writable_grant", no_execution),
    ("tier_b_j7_temporary_files_have_a_place_and_go", scratch),
    ("tier_b_j4_no_socket_leads_out", sockets),
    ("tier_b_j4_no_signal_leads_out", signals),
    ("tier_b_j4_there_is_no_right_left", rights),
    ("tier_b_j6_processes", many),
    ("tier_b_j3_a_killed_first_process_leaves_nothing", first_killed),
    ("tier_b_a_jail_made_ahead_is_the_same", parked),
    ("tier_b_j2_nothing_runs_before_it_is_allowed", not_allowed),
    ("tier_b_j2_what_cannot_be_had_is_refused", refused),
    ("tier_b_the_survey_says_so", surveyed),
];

static IS_WITHOUT: AtomicBool = AtomicBool::new(false);

/// Whether this process is where there are no namespaces.
pub(crate) fn is_without() -> bool {
    IS_WITHOUT.load(Ordering::Relaxed)
}

/// What a plan has to allow there.
pub(crate) fn allowed() -> Guarantees {
    let without_namespaces = Looseness::ALL;
    Guarantees { process_view: Strength::Approximate, without_namespaces, ..Guarantees::default() }
}

/// From here on this process is where there are none.
pub(crate) fn go_without() {
    IS_WITHOUT.store(true, Ordering::Relaxed);
}

/// Runs everything that makes sense there.
pub(crate) fn be_without(filter: Option<&str>) {
    go_without();
    // Under a container's filter the call fails before ours hears of it.
    let is_contained = std::env::args().any(|word| word == "contained");
    let forbidden = if is_contained { "codes_and" } else { "j4_forbidden" };
    let same = ["codes_and", forbidden, "fifty", "larger_than", "j4_descriptors"];
    let held: Vec<Test> =
        crate::held::TESTS.iter().filter(|(name, _)| same.iter().any(|same| name.contains(same))).copied().collect();
    let limits: Vec<Test> = crate::limits::TESTS.iter().filter(|(name, _)| *name != "j6_processes").copied().collect();
    run_these(&[WITHOUT, &held, &limits, crate::ends::TESTS], filter);
}

/// Runs this binary again as an ordinary user, behind these words.
fn again(lead: &[&str], words: &[&str]) {
    let folder = folder();
    let copy = folder.path().join("own");
    std::fs::copy("/proc/self/exe", &copy).unwrap();
    for path in [folder.path(), &copy] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let user: &[&str] = &["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let copy = copy.to_str().unwrap();
    let all: Vec<&str> = if crate::harness::is_root() { user } else { &[] }
        .iter()
        .chain(lead)
        .copied()
        .chain([copy])
        .chain(words.iter().copied())
        .collect();
    let mut command = Command::new(all[0]);
    command.args(&all[1..]).env("TMPDIR", "/tmp").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    let ended = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    print!("{}", said.lines().map(|line| format!("    {line}\n")).collect::<String>());
    assert!(ended.status.success() && said.contains(" 0 failed"), "{:?}", ended.status);
}

fn forbidden() {
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    again(&["unshare", "-U", "-r", "sh", "-c", script, "sh"], &["without"]);
}

fn contained() {
    again(&[], &["contained"]);
}

/// Puts this process under the rules that container engines have by default, as far as they matter to a jail.
pub(crate) fn contain() {
    use aether_seccomp::{Action, Arch, Check, Filter, Rule, syscall_number};
    let arch = Arch::native().unwrap();
    let mut filter = Filter::new(arch, Action::Allow);
    let refused = [
        "unshare",
        "setns",
        "mount",
        "umount2",
        "pivot_root",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "open_tree",
        "move_mount",
        "mount_setattr",
        "bpf",
        "perf_event_open",
        "keyctl",
        "add_key",
        "request_key",
        "userfaultfd",
        "open_by_handle_at",
        "quotactl",
        "io_uring_setup",
    ];
    for name in refused {
        filter.set(syscall_number(arch, name).unwrap(), Rule::always(Action::Errno(1))).unwrap();
    }
    filter.set(syscall_number(arch, "clone3").unwrap(), Rule::always(Action::Errno(38))).unwrap();
    let spaces = vec![Check::half(0, aether_seccomp::Test::AnyOf(0x7E02_0000))];
    let clone = Rule::always(Action::Allow).when(spaces, Action::Errno(1));
    filter.set(syscall_number(arch, "clone").unwrap(), clone).unwrap();
    let program = filter.program().unwrap();
    rustix::thread::set_no_new_privs(true).unwrap();
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: an instruction is laid out as the kernel's, the length is right, and the kernel copies the program.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program) };
    assert_eq!(done, 0);
}

fn at_home(source: &std::path::Path, access: Access) -> aether_jail::Bind {
    granted(source, source.to_str().unwrap(), access)
}

fn with(script: &str, source: &std::path::Path, access: Access) -> Plan {
    let mut plan = shell(script);
    plan.command.cwd = source.into();
    plan.binds.push(at_home(source, access));
    plan
}

fn reading() {
    let spawner = spawner();
    let (secret, given) = (folder(), folder());
    std::fs::write(secret.path().join("file"), "secret").unwrap();
    std::fs::write(given.path().join("file"), "given").unwrap();
    std::os::unix::fs::symlink(secret.path().join("file"), given.path().join("link")).unwrap();
    let place = secret.path().display();
    let script = format!(
        "cat file; cat link {place}/file /proc/1/environ /proc/self/status /etc/shadow; ls {place} / /proc /tmp /home; \
         cat < {place}/file; cd {place} && cat file; truncate -s 0 file; ln file {}/own; true",
        given.path().display()
    );
    let sandbox = start(&spawner, &shell("true")).unwrap();
    assert_eq!(sandbox.enforcement().tier, Tier::B);
    assert_eq!(sandbox.enforcement().process_view, Strength::Approximate);
    drop(sandbox);
    let seen = says(&spawner, &with(&script, given.path(), Access::Read));
    assert!(seen.starts_with("given"), "{seen}");
    assert!(!seen.contains("secret\n") && !seen.contains("root:") && !seen.contains("PATH="), "{seen}");
    assert!(seen.matches("Permission denied").count() >= 11, "{seen}");
    assert_eq!(std::fs::read_to_string(secret.path().join("file")).unwrap(), "secret");
}

fn read_only() {
    let spawner = spawner();
    let folder = folder();
    std::fs::write(folder.path().join("file"), "text").unwrap();
    let script = "cat file; echo x > file; echo y > new; rm file; mv file b; mkdir d; ln file l; ln -s file s; \
                  chmod 777 file; touch -d 2001-01-01 file; truncate -s 0 file; python3 -c 'import os; \
                  os.chmod(os.open(\"file\", 0), 0o777)'; true";
    let before = std::fs::metadata(folder.path().join("file")).unwrap();
    let seen = says(&spawner, &with(script, folder.path(), Access::Read));
    assert!(seen.starts_with("text"), "{seen}");
    let after = std::fs::metadata(folder.path().join("file")).unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "text");
    assert_eq!((before.permissions(), before.modified().unwrap()), (after.permissions(), after.modified().unwrap()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{seen}");
}

fn writing() {
    let spawner = spawner();
    let folder = folder();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("file"), "old").unwrap();
    let script = "echo new > file; mkdir -p sub/a/b; echo made > sub/a/b/c; mv sub/a/b/c sub/d; cat sub/d; \
                  (echo top > top) 2>&1; (mkdir made) 2>&1; true";
    let seen = says(&spawner, &with(script, folder.path(), Access::Write));
    assert!(seen.starts_with("made"), "{seen}");
    assert_eq!(seen.matches("Permission denied").count(), 2, "{seen}");
    assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "new\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("sub/d")).unwrap(), "made\n");
    assert!(!folder.path().join("top").exists());
}

fn nested() {
    let spawner = spawner();
    let folder = folder();
    std::fs::create_dir_all(folder.path().join("a/closed/below")).unwrap();
    std::fs::create_dir_all(folder.path().join("a/open")).unwrap();
    let script = "(echo x > a/closed/x) 2>&1; (echo x > a/closed/below/x) 2>&1; (mv a/closed a/other) 2>&1; \
                  echo fine > a/open/x && cat a/open/x";
    let mut plan = with(script, folder.path(), Access::Write);
    plan.binds.push(at_home(&folder.path().join("a/closed"), Access::Read));
    let seen = says(&spawner, &plan);
    assert!(seen.ends_with("fine") && seen.matches("denied").count() == 3, "{seen}");
    assert!(!folder.path().join("a/closed/x").exists() && !folder.path().join("a/closed/below/x").exists());
}

fn guarded() {
    let spawner = spawner();
    let folder = folder();
    let place = |name: &str| folder.path().join(name);
    for name in [".git/hooks", ".git/modules/one/hooks", ".git/objects", ".vscode", "src"] {
        std::fs::create_dir_all(place(name)).unwrap();
    }
    for name in [".git/config", ".git/HEAD", ".git/hooks/pre-push", ".vscode/tasks.json", "src/file"] {
        std::fs::write(place(name), "good").unwrap();
    }
    let script = "for f in .git/config .git/hooks/pre-push .git/hooks/new .git/modules/one/config \
                  .git/modules/one/hooks/x .git/commondir .git/config.worktree .vscode/tasks.json .vscode/x .envrc \
                  .mcp.json .aether/x .bashrc; do mkdir -p $(dirname $f); echo evil > $f; cp src/file $f; \
                  mv src/file $f; ln src/file $f; ln -s src/file $f; done; rm -rf .git/hooks .vscode; mv .git g; \
                  mv src/file .git/hooks/moved; mv .vscode src/v; echo fine > .git/HEAD; echo fine > .git/objects/x; \
                  echo fine > src/file; chmod 777 .git/hooks/pre-push; true";
    let seen = says(&spawner, &with(script, folder.path(), Access::Write));
    for name in [".git/config", ".git/hooks/pre-push", ".vscode/tasks.json"] {
        assert_eq!(std::fs::read_to_string(place(name)).unwrap(), "good", "{name}: {seen}");
    }
    for name in [".git/HEAD", ".git/objects/x", "src/file"] {
        assert_eq!(std::fs::read_to_string(place(name)).unwrap(), "fine\n", "{name}: {seen}");
    }
    for name in [".git/hooks/new", ".git/hooks/moved", ".git/modules/one/config", ".git/commondir", ".envrc", "g"] {
        assert!(!place(name).exists(), "{name}: {seen}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "{seen}");
    std::os::unix::fs::symlink("src", place(".idea")).unwrap();
    let error = start(&spawner, &with("true", folder.path(), Access::Write)).err().unwrap().to_string();
    assert!(error.contains(".idea is neither a file nor a directory"), "{error}");
}

fn no_execution() {
    let spawner = spawner();
    let folder = folder();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let script = "umask 0; cp /bin/true sub/t; sub/t; echo $?; cp /bin/true $TMPDIR/t; $TMPDIR/t; echo $?";
    let mut plan = with(script, folder.path(), Access::Write);
    let seen = says(&spawner, &plan);
    assert_eq!(seen.matches("Permission denied").count(), 2, "{seen}");
    plan.binds.last_mut().unwrap().execute = aether_jail::Execute::Allowed;
    assert!(says(&spawner, &plan).lines().any(|line| line == "0"));
}

fn scratch() {
    let spawner = spawner();
    let mut plan =
        shell("echo $HOME $TMPDIR; pwd; echo x > $TMPDIR/x; mkdir -p d/e; mkfifo f; mkdir -m 0 c; ls; sleep 9");
    plan.command.env.push(("HOME".into(), "/tmp".into()));
    plan.command.cwd = "/tmp".into();
    plan.limits.runtime_ms_max = 500;
    let (ended, seen) = run(&spawner, &plan);
    assert!(matches!(ended.breach, Some(Breach::Runtime { .. })), "{ended:?}");
    let path = seen.split(' ').next().unwrap().to_owned();
    assert!(path.starts_with("/tmp/aether-jail-") && seen.contains("\nc\nd\nf\nx\n"), "{seen}");
    soon("it is gone", || !std::path::Path::new(&path).exists());
    let mut sandbox = start(&spawner, &shell("sleep 30")).unwrap();
    let mine = |spawner: &i32| {
        let entries = std::fs::read_dir("/tmp").unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_str().unwrap().contains(&format!("-{spawner}-"))).count()
    };
    let id = crate::ends::own_spawners()[0];
    assert_eq!(mine(&id), 1);
    let pid = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(sandbox.wait().is_err());
    soon("nothing is left of a killed spawner", || mine(&id) == 0);
}

fn sockets() {
    let spawner = spawner();
    let (_kept, plan) = own(&["sockets", "/run/socket"]);
    assert_eq!(says(&spawner, &plan), "Some(1) Some(1) None");
}

fn signals() {
    let spawner = spawner();
    let mut outside = Outside(Command::new("sleep").arg(marker("outside")).stdout(Stdio::null()).spawn().unwrap());
    let (own, parent) = (std::process::id(), outside.0.id());
    let script = format!(
        "kill -9 {parent}; kill -TERM {own}; kill -9 $PPID; kill -9 1; sleep 9 & kill -9 $! && echo own; \
         python3 -c 'import os,signal; signal.pidfd_send_signal(os.pidfd_open({parent}), 9)'; echo end"
    );
    let seen = says(&spawner, &shell(&script));
    assert!(seen.contains("own\n") && seen.ends_with("end"), "{seen}");
    assert!(seen.matches("not permitted").count() >= 4, "{seen}");
    assert_eq!(outside.0.try_wait().unwrap(), None);
    let word = marker("all");
    let mut sandbox = start(&spawner, &shell(&format!("sleep {word} & kill -9 -1"))).unwrap();
    sandbox.wait().unwrap();
    soon("it reached its own", || processes(&word).is_empty());
    assert_eq!(outside.0.try_wait().unwrap(), None);
}

/// A process of the host, which goes with the test.
struct Outside(Child);

impl Drop for Outside {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).unwrap();
    }
}

fn rights() {
    let spawner = spawner();
    let word = marker("rights");
    let sandbox = start(&spawner, &shell(&format!("sleep {word} & wait"))).unwrap();
    soon("it sleeps", || processes(&word).len() >= 2);
    let sleeping = processes(&word);
    assert!(!sleeping.is_empty());
    for process in sleeping {
        let status = std::fs::read_to_string(process.join("status")).unwrap();
        for line in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert!(status.contains(&format!("{line}\t0000000000000000")), "{line} {status}");
        }
        assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
        assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
    }
    drop(sandbox);
}

fn many() {
    let spawner = spawner();
    let mut plan = shell("i=0; while [ $i -lt 400 ]; do sleep 3 & i=$((i+1)); done; wait");
    plan.limits.processes_max = 20;
    let (ended, seen) = run(&spawner, &plan);
    assert_ne!(ended.status, Status::Exited(0));
    assert!(seen.contains("Cannot fork") || seen.contains("Resource temporarily unavailable"), "{seen}");
}

fn first_killed() {
    let spawner = spawner();
    let word = marker("first");
    let script = format!("setsid sleep {word} & (setsid sh -c 'trap \"\" TERM; sleep {word}' &) ; sleep {word}");
    let mut sandbox = start(&spawner, &shell(&script)).unwrap();
    soon("they sleep", || processes(&word).len() >= 4);
    let id = crate::ends::own_spawners()[0];
    let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let first: i32 = text.split_whitespace().next().unwrap().parse().unwrap();
    let first = rustix::process::Pid::from_raw(first).unwrap();
    rustix::process::kill_process(first, rustix::process::Signal::KILL).unwrap();
    assert_eq!(sandbox.wait().unwrap().status, Status::Signaled(9));
    soon("gone", || processes(&word).is_empty());
    assert_eq!(says(&spawner, &shell("echo still")), "still");
}

fn parked() {
    let spawner = spawner();
    let pattern = shell("true");
    spawner.park(&pattern, 2).unwrap();
    for round in 0..6 {
        let mut plan = pattern.clone();
        plan.command = shell(&format!("echo {round}; echo x > $TMPDIR/x; ls $TMPDIR")).command;
        assert_eq!(says(&spawner, &plan), format!("{round}\nx"));
    }
    let mut plan = pattern.clone();
    plan.command.program = "/nothing".into();
    let error = start_into(&spawner, &plan, &output()).err().unwrap().to_string();
    assert!(error.contains("execute /nothing"), "{error}");
    spawner.park(&pattern, 0).unwrap();
}

fn not_allowed() {
    let spawner = spawner();
    let out = output();
    let exact = |change: fn(&mut Looseness)| {
        let mut plan = shell("echo it ran");
        change(&mut plan.guarantees.without_namespaces);
        start_into(&spawner, &plan, &out).err().unwrap()
    };
    for (name, change) in [
        ("names", (|loose| loose.names = Strength::Exact) as fn(&mut Looseness)),
        ("scratch", |loose| loose.scratch = Strength::Exact),
    ] {
        let JailError::Unavailable { missing } = exact(change) else { panic!("{name}") };
        // First why there are no namespaces, then what would have to be allowed.
        assert_eq!(missing.len(), 2, "{missing:?}");
        assert_eq!(missing[1].mechanism, name);
        assert!(missing[1].remedy.contains("approximate"), "{missing:?}");
    }
    let mut plan = shell("echo it ran");
    plan.guarantees = Guarantees::default();
    let error = start_into(&spawner, &plan, &out).err().unwrap();
    assert!(matches!(&error, JailError::Unavailable { missing } if missing.len() >= 3), "{error}");
    assert!(spawner.park(&plan, 1).is_err());
    assert_eq!(text(&out), "");
}

fn refused() {
    let folder = folder();
    std::fs::create_dir_all(folder.path().join("home/.ssh")).unwrap();
    std::fs::create_dir_all(folder.path().join("work")).unwrap();
    let home = folder.path().join("home");
    let spawner = spawner().protecting(vec![home.join(".ssh")]);
    let out = output();
    let refusal = |plan: &Plan| start_into(&spawner, plan, &out).err().unwrap().to_string();
    let mut plan = shell("echo it ran");
    plan.network = Network::Brokered { ports: vec![443] };
    assert!(refusal(&plan).contains("a network of its own"));
    let mut plan = shell("echo it ran");
    plan.binds.push(granted(&folder.path().join("work"), "/elsewhere", Access::Read));
    assert!(refusal(&plan).contains("cannot be seen as /elsewhere"));
    for source in [home.clone(), home.join(".ssh"), folder.path().into()] {
        let plan = with("echo it ran", &source, Access::Read);
        assert!(refusal(&plan).contains("protected"), "{}", source.display());
    }
    assert!(refusal(&with("echo it ran", "/nowhere".as_ref(), Access::Read)).contains("open what is granted"));
    assert_eq!(text(&out), "");
}

fn surveyed() {
    let survey = survey();
    assert_eq!(survey.tier, Tier::B, "{survey:?}");
    let found = survey.mechanisms.iter().find(|found| found.name == "jail without namespaces").unwrap();
    assert!(matches!(&found.state, State::Present(what) if what.contains("names")), "{found:?}");
    assert!(found.remedy.as_ref().unwrap().contains("approximate"), "{found:?}");
}
