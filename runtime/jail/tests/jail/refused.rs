//! What cannot be had is refused by name, and nothing runs (J2).

use std::process::Command;

use aether_jail::{Access, JailError, State, Step, Strength, Tier, survey};

use crate::harness::{Test, command, folder, granted, output, shell, soon, spawner, start, start_into, text};

pub(crate) const TESTS: &[Test] = &[
    ("j2_a_program_that_is_not_there_is_named", absent),
    ("j2_plans_that_lie_are_refused", lies),
    ("j2_a_mount_inside_a_grant_needs_its_place", nested),
    ("j2_without_namespaces_nothing_runs", starved),
    ("the_survey_says_what_is_there", surveyed),
];

fn refusal(error: Option<JailError>) -> String {
    error.expect("nothing ran").to_string()
}

fn absent() {
    let spawner = spawner();
    let error = start(&spawner, &command(&["/usr/bin/there-is-no-such"])).err().unwrap();
    assert_eq!(error, JailError::Step { step: Step::Execute, what: "/usr/bin/there-is-no-such".into(), errno: 2 });
    let mut plan = command(&["/bin/true"]);
    plan.command.cwd = "/nowhere".into();
    assert!(refusal(start(&spawner, &plan).err()).contains("enter the working directory /nowhere"));
    plan = command(&["/etc/passwd"]);
    assert!(refusal(start(&spawner, &plan).err()).contains("execute /etc/passwd"));
    plan = shell("true");
    plan.binds.push(granted("/there/is/no/such".as_ref(), "/x", Access::Read));
    assert!(refusal(start(&spawner, &plan).err()).contains("open what is granted /there/is/no/such"));
}

fn lies() {
    let folder = folder();
    std::fs::create_dir_all(folder.path().join("home/.ssh")).unwrap();
    std::fs::create_dir_all(folder.path().join("work")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("home"), folder.path().join("work/link")).unwrap();
    std::os::unix::fs::symlink("/proc", folder.path().join("work/proc")).unwrap();
    let home = folder.path().join("home");
    let spawner = spawner().protecting(vec![home.join(".ssh")]);
    let out = output();
    let try_it = |source: &std::path::Path| {
        let mut plan = shell("echo it ran");
        plan.binds.push(granted(source, "/x", Access::Read));
        refusal(start_into(&spawner, &plan, &out).err())
    };
    for source in ["home/.ssh", "work/link", "work/link/.ssh", "work/proc", "work/proc/self/root"] {
        let error = try_it(&folder.path().join(source));
        assert!(error.contains("protected") || error.contains("symbolic link"), "{source}: {error}");
    }
    assert!(try_it("/proc/self/root/etc".as_ref()).contains("protected"));
    assert!(try_it("/dev/null".as_ref()).contains("protected"));
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    assert!(try_it(&fifo).contains("neither a file nor a directory"));
    assert_eq!(text(&out), "");
    assert!(start(&spawner, &shell("true")).is_ok(), "and it still serves");
}

fn nested() {
    let spawner = spawner();
    let (outer, inner) = (folder(), folder());
    std::fs::write(inner.path().join("file"), "inner").unwrap();
    let mut plan = shell("cat /w/there/file");
    plan.binds.push(granted(inner.path(), "/w/there", Access::Read));
    plan.binds.push(granted(outer.path(), "/w", Access::Write));
    let error = refusal(start(&spawner, &plan).err());
    assert!(error.contains("/w/there is to be mounted inside another grant"), "{error}");
    std::fs::create_dir(outer.path().join("there")).unwrap();
    assert_eq!(crate::harness::says(&spawner, &plan), "inner");
    std::fs::remove_dir(outer.path().join("there")).unwrap();
    std::os::unix::fs::symlink("/tmp", outer.path().join("there")).unwrap();
    assert!(refusal(start(&spawner, &plan).err()).contains("through a link"));
    soon("no placeholder stays", || std::fs::read_dir(outer.path()).unwrap().count() == 1);
}

/// In a namespace without namespaces.
pub(crate) fn be_starved() {
    let out = output();
    let spawner = spawner();
    let error = start_into(&spawner, &shell("echo it ran"), &out).err().unwrap();
    assert!(matches!(&error, JailError::Unavailable { missing } if missing[0].mechanism == "namespaces"), "{error}");
    assert!(error.to_string().contains("max_user_namespaces"), "{error}");
    assert!(spawner.park(&shell("true"), 1).is_err());
    assert_eq!(text(&out), "");
    let survey = survey();
    assert_eq!(survey.tier, Tier::B, "{survey:?}");
    println!("starved");
}

fn starved() {
    let folder = folder();
    let copy = folder.path().join("own");
    std::fs::copy("/proc/self/exe", &copy).unwrap();
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    open(folder.path());
    open(&copy);
    let try_it = |lead: &[&str]| {
        let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" starved";
        let words = [lead, &["unshare", "-U", "-r", "sh", "-c", script]].concat();
        let ended = Command::new(words[0]).args(&words[1..]).arg(&copy).output().unwrap();
        format!("{} {}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr))
    };
    if crate::harness::is_root() {
        // The first user of the host in a namespace of its own has nobody else to be.
        let said = try_it(&[]);
        assert!(said.contains("users to set aside") && !said.contains("it ran"), "{said}");
        let said = try_it(&["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        assert!(said.contains("starved"), "{said}");
    } else {
        let said = try_it(&[]);
        assert!(said.contains("starved"), "{said}");
    }
}

fn surveyed() {
    let survey = survey();
    assert_eq!(survey.tier, Tier::A, "{survey:?}");
    for name in ["user namespace", "network namespace", "isolated jail", "brokered jail", "granted directory"] {
        let found = survey.mechanisms.iter().find(|found| found.name == name).unwrap();
        assert!(matches!(found.state, State::Present(_)), "{found:?}");
    }
    let memory = survey.mechanisms.iter().find(|found| found.name == "memory control group").unwrap();
    let spawner = spawner();
    let mut plan = shell("true");
    plan.guarantees.memory = Strength::Exact;
    match &memory.state {
        State::Present(_) => assert!(start(&spawner, &plan).is_ok()),
        State::Missing(_) => {
            let error = refusal(start(&spawner, &plan).err());
            assert!(memory.remedy.is_some() && error.contains("memory control group"), "{error}");
        }
    }
}
