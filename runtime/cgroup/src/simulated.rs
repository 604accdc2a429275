//! SIMULATED: a directory that looks like the unified hierarchy with all controllers, for machines that have it without.
//!
//! Only the handling of files is tried here: which are written, with what, and what is made of the kernel's answers. A
//! directory of the test is told by a file [`MARK`] in it; what the kernel puts into a new group is then put there.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::delegation::SELF;
use crate::hierarchies::Hierarchies;
use crate::limits::{Breach, Controller, Limits, Sign, Usage, Version};
use crate::membership::Lists;
use crate::{Group, sweep};

const MARK: &str = "simulated";
/// What a new group has, with the values that the kernel starts with.
const FILES: &[(&str, &str)] = &[
    ("cgroup.procs", ""),
    ("memory.max", "max\n"),
    ("memory.swap.max", "max\n"),
    ("memory.oom.group", "0\n"),
    ("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"),
    ("memory.peak", "4096\n"),
    ("pids.max", "max\n"),
    ("pids.events", "max 0\n"),
    ("cpu.max", "max 100000\n"),
    ("cpu.stat", "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n"),
];

/// What the kernel does when a group is made.
pub(crate) fn fill(base: &Path, name: &str) {
    if base.join(MARK).exists() {
        FILES.iter().for_each(|(file, text)| fs::write(base.join(name).join(file), text).unwrap());
    }
}

/// What the kernel does when a group is removed.
pub(crate) fn clear(base: &Path, name: &str) {
    if base.join(MARK).exists() && name != SELF {
        FILES.iter().for_each(|(file, _)| fs::remove_file(base.join(name).join(file)).unwrap_or_default());
    }
}

struct Tree {
    root: TempDir,
}

impl Tree {
    /// A group `app` beneath the mount, with these controllers and members.
    fn new(available: &str, enabled: &str, members: &str) -> Tree {
        let root = TempDir::new().unwrap();
        let app = root.path().join("app");
        fs::create_dir(&app).unwrap();
        let files = [
            (MARK, ""),
            ("cgroup.controllers", available),
            ("cgroup.subtree_control", enabled),
            ("cgroup.procs", members),
            ("cgroup.type", "domain\n"),
        ];
        files.iter().for_each(|(file, text)| fs::write(app.join(file), text).unwrap());
        Tree { root }
    }

    fn app(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("app")
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.app().join(file)).unwrap()
    }

    fn hierarchies(&self, group: &str) -> Hierarchies {
        let mount = self.root.path().canonicalize().unwrap();
        let mounts = format!("36 25 0:31 / {} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n", mount.display());
        Hierarchies::of(Lists { mounts: &mounts, groups: &format!("0::{group}\n") })
    }

    /// As [`Tree::hierarchies`], where the mount itself is the group: for root that is the top of a namespace.
    fn top(&self) -> Hierarchies {
        let mounts = format!("36 25 0:31 / {} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n", self.app().display());
        Hierarchies::of(Lists { mounts: &mounts, groups: "0::/\n" })
    }

    fn groups(&self) -> Vec<String> {
        let entries = fs::read_dir(self.app()).unwrap().map(|entry| entry.unwrap());
        let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }
}

const ALL: Limits = Limits {
    memory_bytes_max: Some(20 << 20),
    processes_max: Some(9),
    cpu_percent_max: Some(50),
    usage: Usage::Counted,
};

/// G1, G5.
#[test]
fn simulated_a_group_has_the_values_of_its_limits() {
    let tree = Tree::new("cpu memory pids\n", "cpu memory pids\n", "");
    let hierarchies = tree.hierarchies("/app");
    for controller in Controller::ALL {
        let seat = hierarchies.seat(controller).unwrap();
        assert_eq!((seat.version(), seat.path()), (Version::Two, tree.app().as_path()));
    }
    assert_eq!(tree.groups(), Vec::<String>::new(), "the trial leaves nothing");
    let group = Group::create(&hierarchies, "aether", &ALL).unwrap();
    let enforced = group.enforced();
    assert!(enforced.memory && enforced.processes && enforced.cpu);
    assert_eq!(tree.groups(), [group.name()]);
    let text = |file: &str| tree.text(&format!("{}/{file}", group.name()));
    assert!(text("memory.max").starts_with("20971520"));
    assert!(text("memory.swap.max").starts_with('0'));
    assert!(text("memory.oom.group").starts_with('1'));
    assert!(text("pids.max").starts_with('9'));
    assert!(text("cpu.max").starts_with("50000 100000"));
    assert_eq!((group.memory_peak(), group.cpu_us()), (Some(4096), Some(1234)));
    assert!(group.unified().is_some());
    assert!(group.doors().unwrap().is_empty());
    assert_eq!(group.alarm().unwrap().unwrap().sign(), Sign::Urgent);
    assert_eq!(group.breach().unwrap(), None);
    let events = tree.app().join(group.name());
    fs::write(events.join("pids.events"), "max 2\n").unwrap();
    assert_eq!(group.breach().unwrap(), Some(Breach::Processes));
    fs::write(events.join("memory.events"), "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n").unwrap();
    assert_eq!(group.breach().unwrap(), Some(Breach::Memory));
    group.close().unwrap();
    assert_eq!(tree.groups(), Vec::<String>::new());
}

/// G4.
#[test]
fn simulated_this_program_moves_down_in_a_group_of_its_own() {
    let own = std::process::id();
    let tree = Tree::new("cpu memory pids\n", "", &format!("{own}\n"));
    let hierarchies = tree.top();
    assert!(hierarchies.seat(Controller::Memory).is_ok(), "{:?}", hierarchies.seat(Controller::Memory));
    assert_eq!(tree.groups(), [SELF]);
    assert_eq!(tree.text(&format!("{SELF}/cgroup.procs")), own.to_string());
    assert!(tree.text("cgroup.subtree_control").starts_with('+'));
}

/// G4.
#[test]
fn simulated_nobody_is_moved_beside_another_program() {
    let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let tree = Tree::new("cpu memory pids\n", "pids\n", &format!("{}\n{}\n", std::process::id(), other.id()));
    let hierarchies = tree.top();
    other.kill().unwrap();
    other.wait().unwrap();
    let missing = hierarchies.seat(Controller::Memory).unwrap_err();
    assert!(missing.reason.contains("while other programs are in this group"), "{missing}");
    assert!(missing.remedy.contains("systemd-run --user --scope -p Delegate=yes"));
    assert!(hierarchies.seat(Controller::Processes).is_ok(), "handed on before");
    assert_eq!(tree.groups(), Vec::<String>::new());
    let group = Group::create(&hierarchies, "aether", &ALL).unwrap();
    assert!(!group.enforced().memory && group.enforced().processes && !group.enforced().cpu);
}

#[test]
fn simulated_after_the_move_groups_are_made_beside() {
    let tree = Tree::new("cpu memory pids\n", "cpu memory pids\n", "");
    fs::create_dir(tree.app().join(SELF)).unwrap();
    let hierarchies = tree.hierarchies("/app/aether-self");
    assert_eq!(hierarchies.seat(Controller::Memory).unwrap().path(), tree.app());
}

/// G1.
#[test]
fn simulated_a_controller_that_is_not_handed_down() {
    let tree = Tree::new("cpu pids\n", "cpu pids\n", "");
    let hierarchies = tree.hierarchies("/app");
    let missing = hierarchies.seat(Controller::Memory).unwrap_err();
    assert!(missing.to_string().contains("cgroup_enable=memory"), "{missing}");
    let group = Group::create(&hierarchies, "aether", &ALL).unwrap();
    assert!(!group.enforced().memory && group.enforced().processes);
    assert!(group.alarm().unwrap().is_none());
    assert_eq!(group.memory_peak(), None);
}

/// G2.
#[test]
fn simulated_a_link_in_the_way_is_not_followed() {
    let tree = Tree::new("memory pids cpu\n", "memory pids cpu\n", "");
    std::os::unix::fs::symlink(tree.app(), tree.root.path().join("link")).unwrap();
    let hierarchies = tree.hierarchies("/link");
    let missing = hierarchies.seat(Controller::Memory).unwrap_err();
    assert!(missing.reason.contains("cannot be opened"), "{missing}");
}

/// G3.
#[test]
fn simulated_a_sweep_takes_what_the_dead_left() {
    let tree = Tree::new("cpu memory pids\n", "cpu memory pids\n", "");
    let hierarchies = tree.hierarchies("/app");
    let group = Group::create(&hierarchies, "aether", &ALL).unwrap();
    let parts: Vec<&str> = group.name().split('-').collect();
    let [_, namespace, pid, start, _] = parts[..] else { panic!("{}", group.name()) };
    // The same number at another time, a number that is too great, another namespace, another prefix, no name of ours.
    let dead = [format!("aether-{namespace}-{pid}-1{start}-0"), format!("aether-{namespace}-4194305-7-0")];
    let others =
        [format!("aether-1{namespace}-4194305-7-0"), format!("other-{namespace}-4194305-7-0"), "aether-x".to_owned()];
    dead.iter().chain(&others).for_each(|name| fs::create_dir(tree.app().join(name)).unwrap());
    assert_eq!(sweep(&hierarchies, "aether").unwrap(), 2);
    let mut left = tree.groups();
    left.sort();
    let mut wanted = others.to_vec();
    wanted.push(group.name().to_owned());
    wanted.sort();
    assert_eq!(left, wanted);
}
