//! Attacks on the confinement itself: what is left of privilege, of the environment, of the host's own objects.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::attempt::{Attempt, Stopped, Verb, Words, call, first, terminated};

/// The verbs of this file.
pub(crate) const VERBS: &[Verb] = &[
    ("capabilities", capabilities),
    ("new-privileges", new_privileges),
    ("set-user-program", set_user_program),
    ("who", who),
    ("become-root", become_root),
    ("groups", groups),
    ("environment", environment),
    ("arguments", arguments),
    ("hostname", hostname),
    ("shared-memory", shared_memory),
    ("semaphores", semaphores),
    ("messages", messages),
    ("message-queue", message_queue),
    ("terminal", terminal),
    ("namespace-same", namespace_same),
    ("keyring", keyring),
    ("dumpable", dumpable),
    ("wait-forever", wait_forever),
];

/// The five capability sets must be empty.
fn capabilities(_: &Words) -> Attempt {
    let status = first("its own status", fs::read_to_string("/proc/self/status"))?;
    let sets = status.lines().filter(|line| line.starts_with("Cap"));
    let left: Vec<&str> =
        sets.filter(|line| line.split_whitespace().nth(1).is_some_and(|v| v.bytes().any(|b| b != b'0'))).collect();
    if left.is_empty() {
        Err(Stopped::Nothing("no capability in any set".to_owned()))
    } else {
        Ok(left.join(", ").replace('\t', " "))
    }
}

fn new_privileges(_: &Words) -> Attempt {
    let set = call(libc::SYS_prctl, &[libc::PR_GET_NO_NEW_PRIVS as usize, 0, 0, 0, 0])?;
    if set == 1 {
        Err(Stopped::Nothing("no new privileges".to_owned()))
    } else {
        Ok("a program may gain privileges".to_owned())
    }
}

/// `set-user-program PATH`: runs a set-user-id program and asks it who it is.
fn set_user_program(words: &Words) -> Attempt {
    let ended = Command::new(words.path(0)?).arg("who").output()?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    if said.contains("effective differs") {
        Ok(said.trim().to_owned())
    } else {
        Err(Stopped::Nothing(said.trim().to_owned()))
    }
}

/// Says whether real and effective user differ.
fn who(_: &Words) -> Attempt {
    let (real, effective) = (call(libc::SYS_getuid, &[])?, call(libc::SYS_geteuid, &[])?);
    let word = if real == effective { "same" } else { "effective differs" };
    Err(Stopped::Nothing(format!("{real} {effective} {word}")))
}

/// Asks for user 0.
fn become_root(_: &Words) -> Attempt {
    call(libc::SYS_setresuid, &[0, 0, 0])?;
    Ok("is user 0".to_owned())
}

/// Asks for a supplementary group.
fn groups(_: &Words) -> Attempt {
    let group = 0u32;
    call(libc::SYS_setgroups, &[1, &raw const group as usize])?;
    Ok("is in group 0".to_owned())
}

/// `environment NAME`: whether a variable of the launcher came along.
fn environment(words: &Words) -> Attempt {
    let name = words.text(0)?;
    let own = fs::read("/proc/self/environ").unwrap_or_default();
    let begins = format!("{name}=");
    let is_there = own.split(|b| *b == 0).any(|entry| entry.starts_with(begins.as_bytes()));
    if is_there || std::env::var_os(name).is_some() {
        Ok(format!("{name} came along"))
    } else {
        Err(Stopped::Nothing(format!("{name} is not set")))
    }
}

/// `arguments CANARY`: looks for a word in the command lines of all processes that `/proc` shows.
fn arguments(words: &Words) -> Attempt {
    let canary = words.text(0)?;
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if name != own && name != "self" && name != "thread-self" && String::from_utf8_lossy(&line).contains(canary) {
            return Ok(format!("found in the arguments of process {name}"));
        }
    }
    Err(Stopped::Nothing("in nobody's arguments".to_owned()))
}

/// `hostname NAME`: whether the host's name shows.
fn hostname(words: &Words) -> Attempt {
    let mut buffer = [0u8; 65 * 6];
    call(libc::SYS_uname, &[buffer.as_mut_ptr() as usize])?;
    let name = String::from_utf8_lossy(&buffer[65..130]).trim_end_matches('\0').to_owned();
    if name == words.text(0)? {
        Ok(format!("the host is called {name}"))
    } else {
        Err(Stopped::Nothing(format!("called {name}")))
    }
}

fn shared_memory(words: &Words) -> Attempt {
    let segment = call(libc::SYS_shmget, &[words.number(0)?, 0, 0])?;
    call(libc::SYS_shmat, &[segment, 0, libc::SHM_RDONLY as usize])?;
    Ok("attached the host's shared memory".to_owned())
}

fn semaphores(words: &Words) -> Attempt {
    call(libc::SYS_semget, &[words.number(0)?, 0, 0])?;
    Ok("found the host's semaphores".to_owned())
}

fn messages(words: &Words) -> Attempt {
    call(libc::SYS_msgget, &[words.number(0)?, 0])?;
    Ok("found the host's message queue".to_owned())
}

/// `message-queue NAME`: opens a POSIX message queue of the host.
fn message_queue(words: &Words) -> Attempt {
    let name = terminated(words.path(0)?)?;
    call(libc::SYS_mq_open, &[name.as_ptr() as usize, libc::O_RDONLY as usize, 0, 0])?;
    Ok("opened the host's message queue".to_owned())
}

/// The terminal that the launcher sits at.
fn terminal(_: &Words) -> Attempt {
    fs::OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    Ok("has a terminal".to_owned())
}

/// `namespace-same KIND ID`: whether it still is in the host's namespace of that kind.
fn namespace_same(words: &Words) -> Attempt {
    let here = fs::read_link(format!("/proc/self/ns/{}", words.text(0)?))?;
    if here.as_os_str() == words.text(1)? {
        Ok(format!("in the host's {here:?}"))
    } else {
        Err(Stopped::Nothing(format!("in {here:?}")))
    }
}

/// Reads the session keyring, which a user's processes share.
fn keyring(_: &Words) -> Attempt {
    let serial = call(libc::SYS_keyctl, &[0, (-4isize).cast_unsigned(), 0])?;
    Ok(format!("has the user's keyring {serial}"))
}

/// Whether others of the same user could read its memory: a jailed process holds nothing worth it, but the
/// program that set it up did.
fn dumpable(_: &Words) -> Attempt {
    let now = call(libc::SYS_prctl, &[libc::PR_GET_DUMPABLE as usize, 0, 0, 0, 0])?;
    let limits = first("its limits", fs::read_to_string("/proc/self/limits"))?;
    let core = limits.lines().find(|line| line.starts_with("Max core")).unwrap_or_default();
    let hard = core.split_whitespace().nth(5);
    if hard == Some("0") {
        Err(Stopped::Nothing(format!("dumpable {now}, but cores are 0 bytes")))
    } else {
        Ok(format!("may leave a core: {core}"))
    }
}

/// `wait-forever MARK`: sleeps a minute under a name that can be found from outside.
fn wait_forever(words: &Words) -> Attempt {
    let seconds = 60;
    let error = Command::new("/bin/sleep").arg0(format!("sleeper-{}", words.text(0)?)).arg(seconds.to_string()).exec();
    Err(error.into())
}
