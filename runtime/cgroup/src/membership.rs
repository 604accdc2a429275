//! Which control groups this process is in and where they are mounted, from the kernel's own lists.

use std::path::{Path, PathBuf};

use crate::limits::{Missing, Version};

/// One hierarchy that this process is a member of: where its own group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) version: Version,
    /// The directory of the group.
    pub(crate) path: PathBuf,
    /// Where the hierarchy is mounted: nothing above it is ours.
    pub(crate) mount: PathBuf,
    pub(crate) access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

/// The two texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lists<'a> {
    /// `/proc/self/mountinfo`, see proc_pid_mountinfo(5).
    pub(crate) mounts: &'a str,
    /// `/proc/self/cgroup`, see cgroups(7).
    pub(crate) groups: &'a str,
}

/// One line of `mountinfo` that mounts control groups.
struct Mount<'a> {
    root: PathBuf,
    point: PathBuf,
    access: Access,
    version: Version,
    /// Options of the hierarchy; version 1 names its controllers there.
    options: &'a str,
}

impl Lists<'_> {
    /// The home for a controller of the old hierarchies; `Ok(None)` where none of them has it.
    pub(crate) fn old(&self, controller: &str) -> Result<Option<Home>, Missing> {
        let group = self.groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers.split(',').any(|one| one == controller).then_some(path)
        });
        let Some(group) = group else { return Ok(None) };
        let is_meant =
            |mount: &Mount<'_>| mount.version == Version::One && mount.options.split(',').any(|one| one == controller);
        self.home(group, is_meant).map(Some).map_err(|reason| Missing {
            reason: format!("the {controller} controller belongs to an old hierarchy {reason}"),
            remedy: MOUNT_IT,
        })
    }

    /// The home in the unified hierarchy; `Ok(None)` where there is none.
    pub(crate) fn unified(&self) -> Result<Option<Home>, Missing> {
        let Some(group) = self.groups.lines().find_map(|line| line.strip_prefix("0::")) else { return Ok(None) };
        if !self.mounts().any(|mount| mount.version == Version::Two) {
            return Ok(None);
        }
        self.home(group, |mount| mount.version == Version::Two)
            .map(Some)
            .map_err(|reason| Missing { reason: format!("there is a unified hierarchy {reason}"), remedy: MOUNT_IT })
    }

    /// Where a group of a hierarchy is reached; of several mounts one that can be written.
    fn home(&self, group: &str, is_meant: impl Fn(&Mount<'_>) -> bool) -> Result<Home, String> {
        if group.ends_with(" (deleted)") {
            return Err(format!("in which this process's group {group} no longer exists"));
        }
        let mut found: Option<Home> = None;
        let mut was_seen = false;
        for mount in self.mounts().filter(is_meant) {
            was_seen = true;
            let Ok(below) = Path::new(group).strip_prefix(&mount.root) else { continue };
            if below.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
                continue;
            }
            let path = if below.as_os_str().is_empty() { mount.point.clone() } else { mount.point.join(below) };
            let home = Home { version: mount.version, path, mount: mount.point, access: mount.access };
            if found.is_none() || home.access == Access::ReadWrite {
                let is_writable = home.access == Access::ReadWrite;
                found = Some(home);
                if is_writable {
                    break;
                }
            }
        }
        match (found, was_seen) {
            (Some(home), _) => Ok(home),
            (None, true) => Err(format!("whose mount does not show this process's group {group}")),
            (None, false) => Err("that is not mounted here".to_owned()),
        }
    }

    fn mounts(&self) -> impl Iterator<Item = Mount<'_>> {
        self.mounts.lines().filter_map(mount)
    }
}

const MOUNT_IT: &str = "mount the control group file system where this process sees its own group";

/// A line such as `35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory`.
fn mount(line: &str) -> Option<Mount<'_>> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point, flags) = (left.next()?, left.next()?, left.next()?);
    let mut right = right.split(' ');
    let version = match right.next()? {
        "cgroup" => Version::One,
        "cgroup2" => Version::Two,
        _ => return None,
    };
    let options = right.nth(1)?;
    let is_read_only = |flags: &str| flags.split(',').any(|flag| flag == "ro");
    let access = if is_read_only(flags) || is_read_only(options) { Access::ReadOnly } else { Access::ReadWrite };
    Some(Mount { root: PathBuf::from(plain(root)), point: PathBuf::from(plain(point)), access, version, options })
}

/// Undoes `\040` and its like: three octal digits for a blank, a tab, a line feed and a backslash.
fn plain(text: &str) -> String {
    const WRITTEN: [(&str, &str); 4] = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let known = WRITTEN.iter().find(|(written, _)| rest.starts_with(written));
        let (meant, length) = known.map_or((&rest[..first.len_utf8()], first.len_utf8()), |(_, meant)| (*meant, 4));
        plain.push_str(meant);
        rest = &rest[length..];
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Old, unified, old, …: `path access`, or the reason why not.
    fn check(mounts: &str, groups: &str, wanted: &[(&str, &str)]) {
        let lists = Lists { mounts, groups };
        for (controller, wanted) in wanted {
            let home = if *controller == "unified" { lists.unified() } else { lists.old(controller) };
            let found = match home {
                Ok(Some(home)) => format!("{} {:?}", home.path.display(), home.access),
                Ok(None) => "none".to_owned(),
                Err(missing) => missing.reason,
            };
            assert_eq!(found, *wanted, "{controller}");
        }
    }

    #[test]
    fn a_desktop_with_the_unified_hierarchy_alone() {
        check(
            "24 30 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw\n\
             30 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n\
             36 25 0:31 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n",
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope\n",
            &[
                ("memory", "none"),
                (
                    "unified",
                    "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope ReadWrite",
                ),
            ],
        );
    }

    #[test]
    fn a_machine_with_one_hierarchy_for_each() {
        check(
            "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
             32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
             35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
             39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
             40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
            "9:name=systemd:/\n8:pids:/\n4:memory:/process_api/869453b2\n2:cpuacct:/\n1:cpu:/\n0::/\n",
            &[
                ("memory", "/sys/fs/cgroup/memory/process_api/869453b2 ReadWrite"),
                ("pids", "/sys/fs/cgroup/pids ReadWrite"),
                ("cpu", "/sys/fs/cgroup/cpu ReadWrite"),
                ("cpuacct", "the cpuacct controller belongs to an old hierarchy that is not mounted here"),
                ("blkio", "none"),
                ("unified", "/sys/fs/cgroup/unified ReadWrite"),
            ],
        );
    }

    #[test]
    fn a_hybrid_with_two_controllers_in_one_mount() {
        check(
            "35 32 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:10 - cgroup cgroup rw,cpu,cpuacct\n\
             33 32 0:28 / /sys/fs/cgroup/unified rw,nosuid shared:6 - cgroup2 cgroup2 rw,nsdelegate\n",
            "5:cpu,cpuacct:/user.slice\n1:name=systemd:/user.slice/user-0.slice\n0::/user.slice/user-0.slice/session-1.scope\n",
            &[
                ("cpu", "/sys/fs/cgroup/cpu,cpuacct/user.slice ReadWrite"),
                ("cpuacct", "/sys/fs/cgroup/cpu,cpuacct/user.slice ReadWrite"),
                ("memory", "none"),
                ("unified", "/sys/fs/cgroup/unified/user.slice/user-0.slice/session-1.scope ReadWrite"),
            ],
        );
    }

    #[test]
    fn a_container_whose_groups_cannot_be_written() {
        check(
            "630 620 0:32 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n",
            "0::/\n",
            &[("unified", "/sys/fs/cgroup ReadOnly")],
        );
        // Without a namespace for groups the mount shows a part of the hierarchy.
        check(
            "700 690 0:33 /docker/4f1c /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n",
            "12:memory:/docker/4f1c\n",
            &[("memory", "/sys/fs/cgroup/memory ReadOnly")],
        );
        check(
            "700 690 0:33 /docker/4f1c /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n",
            "12:memory:/docker/other\n0::/../..\n",
            &[
                (
                    "memory",
                    "the memory controller belongs to an old hierarchy whose mount does not show this process's group /docker/other",
                ),
                ("unified", "none"),
            ],
        );
    }

    #[test]
    fn what_leads_out_of_a_mount_is_not_followed() {
        check(
            "36 25 0:31 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "0::/../../else\n",
            &[("unified", "there is a unified hierarchy whose mount does not show this process's group /../../else")],
        );
        check(
            "36 25 0:31 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "0::/gone.scope (deleted)\n",
            &[(
                "unified",
                "there is a unified hierarchy in which this process's group /gone.scope (deleted) no longer exists",
            )],
        );
    }

    #[test]
    fn nothing_at_all_and_nonsense() {
        check("", "", &[("memory", "none"), ("unified", "none")]);
        check(
            "x\n - \n1 2 3 - cgroup\n1 2 3 4 5 6 - cgroup2\n",
            "0::\n:::\nmemory\n",
            &[("unified", "none"), ("memory", "none")],
        );
    }

    #[test]
    fn blanks_are_written_in_octal() {
        check(
            "36 25 0:31 / /mnt/my\\040groups\\134x rw - cgroup2 cgroup2 rw\n\
             37 25 0:31 / /later rw - cgroup2 cgroup2 rw\n",
            "0::/a\n",
            &[("unified", "/mnt/my groups\\x/a ReadWrite")],
        );
        assert_eq!(plain("\\04\u{e9}\\"), "\\04\u{e9}\\");
    }

    #[test]
    fn of_two_mounts_the_one_that_can_be_written() {
        check(
            "36 25 0:31 / /first ro - cgroup2 cgroup2 rw\n37 25 0:31 / /second rw - cgroup2 cgroup2 rw\n",
            "0::/a\n",
            &[("unified", "/second/a ReadWrite")],
        );
    }
}
