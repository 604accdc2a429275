//! What this machine is like: whose the files are, whether they can be written, whether the kernel helps.

use std::fs;
use std::path::Path;

use aether_session::private;

use super::Check;
use crate::boot::Boot;
use crate::setup::workspace;

/// Free space below which nothing can be relied upon, in bytes.
#[cfg(unix)]
const FREE_BYTES_MIN: u64 = 16 << 20;
/// Free space below which it is time to make room, in bytes.
#[cfg(unix)]
const FREE_BYTES_LOW: u64 = 256 << 20;
/// The most keys that are looked at.
const KEYS_MAX: usize = 256;

/// All of them.
pub(crate) fn checks(boot: &Boot) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(ownership("configuration file", &boot.config_file));
    checks.extend(ownership("data directory", &boot.directories.data));
    checks.extend(keys(boot));
    checks.push(writable(boot));
    checks.extend(free_space(boot));
    checks.push(match workspace(boot) {
        Ok(path) => match fs::read_dir(&path) {
            Ok(_) => Check::fine("workspace", format!("{} can be read", path.display())),
            Err(error) => Check::broken(
                "workspace",
                format!("{}: {error}", path.display()),
                "name a directory that can be read with --workspace DIR",
            ),
        },
        Err(trouble) => Check::broken("workspace", trouble.to_string(), ""),
    });
    checks.extend(beneath());
    checks
}

/// Who may read and write what is ours.
#[cfg(unix)]
fn ownership(name: &str, path: &Path) -> Option<Check> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).ok()?;
    let mode = metadata.permissions().mode() & 0o777;
    let (own, wanted) = if metadata.is_dir() { ("directory", 0o700) } else { ("file", 0o600) };
    let found = format!("{} has mode {mode:o}", path.display());
    let remedy = format!("chmod {wanted:o} {}", path.display());
    Some(match mode {
        _ if mode & 0o022 != 0 => Check::broken(name, format!("{found}: others can change this {own}"), &remedy),
        _ if mode & 0o044 != 0 => Check::note(name, format!("{found}: others can read this {own}"), &remedy),
        _ => Check::fine(name, found),
    })
}

/// Elsewhere access lists are inherited from the person's directory.
#[cfg(not(unix))]
fn ownership(_: &str, _: &Path) -> Option<Check> {
    None
}

/// Keys in our own directory, each readable, and by its owner alone.
fn keys(boot: &Boot) -> Vec<Check> {
    let directory = boot.directories.data.join("keys");
    let Ok(entries) = fs::read_dir(&directory) else { return Vec::new() };
    let mut checks = Vec::new();
    for entry in entries.take(KEYS_MAX).filter_map(Result::ok) {
        let name = format!("key {}", entry.file_name().to_string_lossy());
        checks.push(match private::read_secret(&entry.path()) {
            Ok(_) => Check::fine(&name, format!("{} can be read by its owner alone", entry.path().display())),
            Err(error) => Check::broken(&name, error.to_string(), "or store it again with `aether onboard`"),
        });
    }
    checks
}

/// Whether something can be written where sessions, traces and keys go.
fn writable(boot: &Boot) -> Check {
    const NAME: &str = "data";
    let directory = &boot.directories.data;
    let remedy = "free space or permissions; or point XDG_DATA_HOME to another place";
    if !directory.exists() {
        let there = directory.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(directory);
        return match may_write(there) {
            Ok(()) => Check::fine(NAME, format!("{} will be made when it is needed", directory.display())),
            Err(error) => Check::broken(NAME, format!("{}: {error}", there.display()), remedy),
        };
    }
    let trial = directory.join(".doctor");
    let written = private::write(&trial, b"aether doctor\n");
    let removed = fs::remove_file(&trial);
    match (written, removed) {
        (Ok(()), Ok(())) => Check::fine(NAME, format!("{} can be written", directory.display())),
        (Err(error), _) => Check::broken(NAME, error.to_string(), remedy),
        (Ok(()), Err(error)) => Check::broken(NAME, format!("{}: {error}", trial.display()), remedy),
    }
}

#[cfg(unix)]
fn may_write(path: &Path) -> Result<(), String> {
    use rustix::fs::{Access, access};
    access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| error.to_string())
}

#[cfg(not(unix))]
fn may_write(path: &Path) -> Result<(), String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.permissions().readonly() { Err("it is read-only".to_owned()) } else { Ok(()) }
}

#[cfg(unix)]
fn free_space(boot: &Boot) -> Option<Check> {
    const NAME: &str = "free space";
    let directory = boot.directories.data.ancestors().find(|ancestor| ancestor.exists())?;
    let system = match rustix::fs::statvfs(directory) {
        Ok(system) => system,
        Err(error) => return Some(Check::note(NAME, format!("{}: {error}", directory.display()), "")),
    };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let found = format!("{} MiB for {}", free >> 20, directory.display());
    let remedy = "free some, or point XDG_DATA_HOME to another disk";
    Some(match free {
        _ if free < FREE_BYTES_MIN => Check::broken(NAME, found, remedy),
        _ if free < FREE_BYTES_LOW => Check::note(NAME, found, remedy),
        _ => Check::fine(NAME, found),
    })
}

/// Elsewhere only writing shows whether there is room.
#[cfg(not(unix))]
fn free_space(_: &Boot) -> Option<Check> {
    None
}

/// Whether the kernel itself holds paths beneath the workspace.
#[cfg(target_os = "linux")]
fn beneath() -> Option<Check> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    const NAME: &str = "file tools";
    let opened = openat2(CWD, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH);
    Some(match opened {
        Ok(_) => Check::fine(NAME, "openat2 holds every path beneath the workspace"),
        Err(error) => Check::note(
            NAME,
            format!("openat2 is not available ({error}); paths are followed step by step and symbolic links refused"),
            "a Linux kernel from 5.6 on, without a filter on openat2, follows links that stay inside",
        ),
    })
}

/// Elsewhere there is no such call, and every step is checked.
#[cfg(not(target_os = "linux"))]
fn beneath() -> Option<Check> {
    Some(Check::fine("file tools", "every step of a path is held beneath the workspace"))
}
