//! What is there: processes, descriptors, mounts, control groups, namespaces, files; and what was not there before.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, set_child_subreaper, waitpid,
};

use crate::trouble::Trouble;

/// The names of what can be left.
pub(super) const LEFT: [&str; 6] = ["processes", "descriptors", "mounts", "groups", "namespaces", "files"];

/// How the names of the jails' control groups begin; behind it are numbers: the process namespace of the one that made it,
/// in hexadecimal, and its own.
const GROUPS: &str = "aether-jail-";
/// How deep control groups are looked for.
const GROUP_DEPTH_MAX: usize = 6;
/// How a spawner is called, by itself and by its first argument.
const SPAWNER: &str = "aether-spawner";

/// A process that this one started, or that one of those did.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) id: u32,
    parent: u32,
    name: String,
    is_dead: bool,
    /// It has a number in a process namespace of its own: it is, or was, in a jail.
    is_jailed: bool,
    /// It leads a session: of what a spawner consists of, the spawner alone does.
    is_leader: bool,
}

/// What kind of process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Program,
    Spawner,
    Sidecar,
}

impl Kind {
    pub(super) const ALL: [Kind; 3] = [Kind::Program, Kind::Spawner, Kind::Sidecar];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Program => "program",
            Kind::Spawner => "spawner",
            Kind::Sidecar => "sidecar",
        }
    }
}

impl Process {
    pub(super) fn kind(&self, sidecars: &BTreeSet<u32>) -> Kind {
        match () {
            () if sidecars.contains(&self.id) => Kind::Sidecar,
            () if !self.is_jailed && self.is_leader && self.name == SPAWNER => Kind::Spawner,
            () => Kind::Program,
        }
    }
}

/// From now on, what loses its parent is ours, so that nothing gets out of sight.
pub(super) fn adopt() -> io::Result<()> {
    set_child_subreaper(Some(rustix::process::getpid())).map_err(io::Error::from)
}

/// All processes that this one started, directly or not; without itself.
pub(super) fn family_of() -> Result<Vec<Process>, Trouble> {
    let listed = fs::read_dir("/proc").map_err(wrong("/proc"))?;
    let number = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<u32>().ok();
    let mut rest: Vec<Process> = listed.filter_map(number).filter_map(process).collect();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![std::process::id()];
    while let Some(parent) = parents.pop() {
        let (children, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|process| process.parent == parent);
        rest = others;
        parents.extend(children.iter().map(|child| child.id));
        found.extend(children);
    }
    Ok(found)
}

/// One that has ended meanwhile is none.
fn process(id: u32) -> Option<Process> {
    // The name may hold brackets and blanks; state, parent, group and session follow it (proc_pid_stat(5)).
    let stat = fs::read(format!("/proc/{id}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (front, back) = stat.rsplit_once(')')?;
    let mut fields = back.split_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
    let is_leader = fields.nth(1)?.parse() == Ok(id);
    let name = front.split_once('(')?.1.to_owned();
    let status = fs::read(format!("/proc/{id}/status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let is_jailed = numbers.is_some_and(|numbers| numbers.split_whitespace().count() > 1);
    Some(Process { id, parent, name, is_dead: state == "Z" || state == "X", is_jailed, is_leader })
}

/// Kills a process; false if it has ended, or another has its number by now.
pub(super) fn kill(process: &Process) -> bool {
    let Some(pid) = i32::try_from(process.id).ok().and_then(Pid::from_raw) else { return false };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let is_same = self::process(process.id).is_some_and(|now| now.parent == process.parent && !now.is_dead);
    is_same && pidfd_send_signal(&handle, Signal::KILL).is_ok()
}

/// Buries what lost its parent and ended, as the machine's first process would: what was in a jail or made one, and the
/// spawner of a sidecar that was killed. A spawner and a sidecar have to be buried by whoever started them.
pub(super) fn bury(sidecars: &BTreeSet<u32>) -> Result<(), Trouble> {
    let own = std::process::id();
    for dead in family_of()?.iter().filter(|process| process.parent == own && process.is_dead) {
        let is_orphan = match dead.kind(sidecars) {
            Kind::Program => true,
            Kind::Spawner => !sidecars.is_empty(),
            Kind::Sidecar => false,
        };
        if let Some(pid) = i32::try_from(dead.id).ok().and_then(Pid::from_raw).filter(|_| is_orphan) {
            // Somebody else may have been faster.
            let _buried = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
    Ok(())
}

/// What was there at the beginning.
#[derive(Default)]
struct Before {
    descriptors: usize,
    mounts: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    groups: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

/// Where it is looked.
pub(super) struct Scene {
    workspace: PathBuf,
    before: Before,
    /// Every process of ours that was seen: what bears its number is ours.
    met: BTreeSet<u32>,
}

impl Scene {
    pub(super) fn new(workspace: &Path) -> Scene {
        Scene { workspace: workspace.to_owned(), before: Before::default(), met: BTreeSet::from([std::process::id()]) }
    }

    /// Takes what is there now as what may be there.
    pub(super) fn remember(&mut self) -> Result<(), Trouble> {
        self.before = Before {
            descriptors: descriptors()?.len(),
            mounts: mounts()?,
            namespaces: namespaces()?,
            groups: self.groups()?,
            files: self.files()?,
        };
        Ok(())
    }

    /// These are ours, and whatever bears their numbers.
    pub(super) fn meet(&mut self, family: &[Process]) {
        self.met.extend(family.iter().filter(|process| !process.is_jailed).map(|process| process.id));
    }

    /// What is there and was not: what kind of thing, and which.
    pub(super) fn left(&mut self, sidecars: &BTreeSet<u32>) -> Result<Vec<(&'static str, String)>, Trouble> {
        self.met.extend(sidecars);
        let mut left = Vec::new();
        for process in family_of()? {
            left.push(("processes", format!("{} ({})", process.id, process.name)));
        }
        let open = descriptors()?;
        for extra in open.iter().skip(self.before.descriptors) {
            left.push(("descriptors", extra.clone()));
        }
        left.extend(mounts()?.difference(&self.before.mounts).map(|mount| ("mounts", mount.clone())));
        left.extend(namespaces()?.difference(&self.before.namespaces).map(|one| ("namespaces", one.clone())));
        left.extend(self.groups()?.difference(&self.before.groups).map(|path| ("groups", path.display().to_string())));
        left.extend(self.files()?.difference(&self.before.files).map(|path| ("files", path.display().to_string())));
        Ok(left)
    }

    /// Control groups that a process of ours made.
    fn groups(&self) -> Result<BTreeSet<PathBuf>, Trouble> {
        let mut found = BTreeSet::new();
        let here = fs::read_link("/proc/self/ns/pid").map_err(wrong("/proc/self/ns/pid"))?.display().to_string();
        let here = here.trim_start_matches("pid:[").trim_end_matches(']').parse().unwrap_or(0);
        for mount in mounts()? {
            let Some((front, back)) = mount.split_once(" - ") else { continue };
            if back.starts_with("cgroup")
                && let Some(place) = front.split(' ').nth(4)
            {
                self.groups_below((Path::new(place), GROUP_DEPTH_MAX), here, &mut found);
            }
        }
        Ok(found)
    }

    fn groups_below(&self, (place, depth): (&Path, usize), here: u64, found: &mut BTreeSet<PathBuf>) {
        // A group may be removed while it is looked at.
        let Ok(entries) = fs::read_dir(place) else { return };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let name = entry.file_name();
            match name.to_str().and_then(|name| name.strip_prefix(GROUPS)) {
                Some(rest) => {
                    let mut numbers = rest.split('-');
                    let is_here = numbers.next().and_then(|number| u64::from_str_radix(number, 16).ok()) == Some(here);
                    let maker = numbers.next().and_then(|number| number.parse().ok());
                    if is_here && maker.is_some_and(|maker| self.met.contains(&maker)) {
                        found.insert(entry.path());
                    }
                }
                None if depth > 0 => self.groups_below((&entry.path(), depth - 1), here, found),
                None => {}
            }
        }
    }

    /// Files of the workspace, and those for temporary use that bear a number of ours.
    fn files(&self) -> Result<BTreeSet<PathBuf>, Trouble> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.workspace.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(wrong("the workspace"))?.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                }
                found.insert(entry.path());
            }
        }
        for folder in [std::env::temp_dir(), PathBuf::from("/dev/shm")] {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            let is_ours = |path: &PathBuf| {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let mut parts = name.split(['-', '.']).filter_map(|part| part.parse().ok());
                name.starts_with("aether") && parts.any(|part| self.met.contains(&part))
            };
            found.extend(entries.flatten().map(|entry| entry.path()).filter(is_ours));
        }
        Ok(found)
    }
}

/// What each open descriptor of this process leads to, those of the longest standing first.
fn descriptors() -> Result<Vec<String>, Trouble> {
    let listed = fs::read_dir("/proc/self/fd").map_err(wrong("/proc/self/fd"))?;
    let mut open: Vec<(u32, String)> = listed
        .flatten()
        .filter_map(|entry| {
            // The one that lists them is gone by now.
            let target = fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, target.display().to_string()))
        })
        .filter(|(_, target)| !target.ends_with("/fd"))
        .collect();
    open.sort();
    Ok(open.into_iter().map(|(number, target)| format!("{number} -> {target}")).collect())
}

fn mounts() -> Result<BTreeSet<String>, Trouble> {
    let listed = fs::read_to_string("/proc/self/mountinfo").map_err(wrong("/proc/self/mountinfo"))?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// The namespaces of this process, of its threads' children to be, and of all that it started.
fn namespaces() -> Result<BTreeSet<String>, Trouble> {
    let mut found = BTreeSet::new();
    let others = family_of()?.into_iter().map(|process| process.id.to_string());
    for process in others.chain(["self".to_owned()]) {
        // One that has ended has none.
        let Ok(listed) = fs::read_dir(format!("/proc/{process}/ns")) else { continue };
        let names = listed.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        found.extend(names.map(|name| name.display().to_string()));
    }
    Ok(found)
}

fn wrong(what: &'static str) -> impl Fn(io::Error) -> Trouble {
    move |error| Trouble::failed(format!("{what}: {error}; this needs Linux's /proc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_there_before_is_left_until_it_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let mut scene = Scene::new(place.path());
        scene.remember().unwrap();
        let count = |scene: &mut Scene, name: &str| {
            scene.left(&BTreeSet::new()).unwrap().iter().filter(|(left, _)| *left == name).count()
        };
        assert_eq!(count(&mut scene, "files") + count(&mut scene, "mounts") + count(&mut scene, "groups"), 0);
        fs::create_dir(place.path().join("sub")).unwrap();
        fs::write(place.path().join("sub/file"), "x").unwrap();
        assert_eq!(count(&mut scene, "files"), 2);
        let open: Vec<_> = (0..40).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(count(&mut scene, "descriptors") > 0);
        drop(open);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let find = |id| family_of().unwrap().into_iter().find(|process| process.id == id);
        let found = find(child.id()).unwrap();
        assert_eq!(
            (found.kind(&BTreeSet::new()), found.kind(&BTreeSet::from([child.id()]))),
            (Kind::Program, Kind::Sidecar)
        );
        assert!(kill(&found));
        child.wait().unwrap();
        assert!(find(child.id()).is_none() && !kill(&found));
    }
}
