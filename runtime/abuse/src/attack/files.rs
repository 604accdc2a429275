//! Attacks on files: reading, changing and executing what was not granted.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::attempt::{Attempt, Stopped, Verb, Words, address, call, first, terminated};

/// The verbs of this file.
pub(crate) const VERBS: &[Verb] = &[
    ("read", read),
    ("open-read", open_read),
    ("open-write", open_write),
    ("write", write),
    ("create", create),
    ("truncate", truncate),
    ("mkdir", mkdir),
    ("unlink", unlink),
    ("chmod", chmod),
    ("attribute", attribute),
    ("times", times),
    ("see", see),
    ("link", link),
    ("rename", rename),
    ("exchange", exchange),
    ("move-and-write", move_and_write),
    ("replace-by-link", replace_by_link),
    ("link-read", link_read),
    ("link-write", link_write),
    ("link-chain", link_chain),
    ("climb", climb),
    ("descriptors", descriptors),
    ("device", device),
    ("execute", execute),
    ("execute-copy", execute_copy),
    ("execute-memory", execute_memory),
    ("load-copy", load_copy),
    ("map-executable", map_executable),
    ("connect", connect),
    ("handle", handle),
    ("proc-descriptor", proc_descriptor),
    ("born-with-mode", born_with_mode),
];

fn content(path: &Path) -> Result<String, Stopped> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(4096).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// `read PATH [CANARY]`: the file's content, which must hold the canary where one is given.
fn read(words: &Words) -> Attempt {
    let text = content(words.path(0)?)?;
    match words.text(1) {
        Ok(canary) if !text.contains(canary) => Err(Stopped::Nothing("the file here is another one".to_owned())),
        _ => Ok(format!("read {} bytes of {}", text.len(), words.text(0)?)),
    }
}

/// `open-read PATH`: opens and reads nothing, for what nobody should look into.
fn open_read(words: &Words) -> Attempt {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(words.path(0)?)?;
    Ok(format!("opened {} for reading", words.text(0)?))
}

/// `open-write PATH`: opens and writes nothing, for what must not be changed even outside.
fn open_write(words: &Words) -> Attempt {
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(words.path(0)?)?;
    Ok(format!("opened {} for writing", words.text(0)?))
}

/// `write PATH`: appends a line, making the file where it is missing.
fn write(words: &Words) -> Attempt {
    OpenOptions::new().append(true).create(true).open(words.path(0)?)?.write_all(b"# changed\n")?;
    Ok(format!("wrote {}", words.text(0)?))
}

fn create(words: &Words) -> Attempt {
    OpenOptions::new().write(true).create_new(true).open(words.path(0)?)?;
    Ok(format!("made {}", words.text(0)?))
}

fn truncate(words: &Words) -> Attempt {
    let path = terminated(words.path(0)?)?;
    call(libc::SYS_truncate, &[address(&path), 0])?;
    Ok(format!("emptied {}", words.text(0)?))
}

fn mkdir(words: &Words) -> Attempt {
    fs::create_dir(words.path(0)?)?;
    Ok(format!("made the directory {}", words.text(0)?))
}

fn unlink(words: &Words) -> Attempt {
    fs::remove_file(words.path(0)?)?;
    Ok(format!("removed {}", words.text(0)?))
}

/// `chmod MODE PATH`: the mode is octal.
fn chmod(words: &Words) -> Attempt {
    let mode = u32::from_str_radix(words.text(0)?, 8).map_err(|_| Stopped::Unclear("a mode is octal".to_owned()))?;
    let path = words.path(1)?;
    if mode & 0o6000 != 0 {
        first("a file to change", fs::write(path, "#!/bin/sh\n"))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    let now = fs::metadata(path)?.permissions().mode() & 0o7777;
    if now == mode {
        Ok(format!("mode {now:o} on {}", words.text(1)?))
    } else {
        Err(Stopped::Nothing(format!("{now:o}")))
    }
}

/// `attribute NAME PATH`: sets an extended attribute.
fn attribute(words: &Words) -> Attempt {
    let name = terminated(words.path(0)?)?;
    let path = terminated(words.path(1)?)?;
    // A version 2 file capability record: every permitted bit, effective.
    let mut value = [0u8; 20];
    value[0] = 1;
    value[3] = 2;
    value[4] = 0xff;
    call(libc::SYS_setxattr, &[address(&path), address(&name), value.as_ptr() as usize, value.len(), 0])?;
    Ok(format!("set {} on {}", words.text(0)?, words.text(1)?))
}

fn times(words: &Words) -> Attempt {
    let path = terminated(words.path(0)?)?;
    call(libc::SYS_utimensat, &[libc::AT_FDCWD as usize, address(&path), 0, 0])?;
    Ok(format!("touched {}", words.text(0)?))
}

/// `see PATH`: whether the path exists at all.
fn see(words: &Words) -> Attempt {
    let found = fs::symlink_metadata(words.path(0)?)?;
    Ok(format!("{} exists, {} bytes", words.text(0)?, found.len()))
}

fn link(words: &Words) -> Attempt {
    fs::hard_link(words.path(0)?, words.path(1)?)?;
    content(words.path(1)?)?;
    Ok(format!("{} is a second name of {}", words.text(1)?, words.text(0)?))
}

fn rename(words: &Words) -> Attempt {
    fs::rename(words.path(0)?, words.path(1)?)?;
    Ok(format!("moved {} to {}", words.text(0)?, words.text(1)?))
}

fn exchange(words: &Words) -> Attempt {
    let (a, b) = (terminated(words.path(0)?)?, terminated(words.path(1)?)?);
    let here = libc::AT_FDCWD as usize;
    call(libc::SYS_renameat2, &[here, address(&a), here, address(&b), libc::RENAME_EXCHANGE as usize])?;
    Ok(format!("exchanged {} and {}", words.text(0)?, words.text(1)?))
}

/// `move-and-write DIR NAME`: moves the directory away, writes into it, moves it back.
fn move_and_write(words: &Words) -> Attempt {
    let (dir, name) = (words.path(0)?, words.text(1)?);
    let away = dir.with_extension("away");
    fs::rename(dir, &away)?;
    let wrote = fs::write(away.join(name), "# changed\n");
    let back = fs::rename(&away, dir);
    wrote?;
    back?;
    Ok(format!("wrote {name} in {} while it stood elsewhere", words.text(0)?))
}

/// `replace-by-link PATH TARGET`: puts a symbolic link where something protected stands or would stand.
fn replace_by_link(words: &Words) -> Attempt {
    let path = words.path(0)?;
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path)?,
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    symlink(words.path(1)?, path)?;
    Ok(format!("{} is a link now", words.text(0)?))
}

/// `link-read TARGET LINK [CANARY]`: reads through a fresh symbolic link.
fn link_read(words: &Words) -> Attempt {
    first("a symbolic link", symlink(words.path(0)?, words.path(1)?))?;
    let text = content(words.path(1)?)?;
    Ok(format!("read {} bytes through a link", text.len()))
}

/// `link-write TARGET LINK`: writes through a fresh symbolic link.
fn link_write(words: &Words) -> Attempt {
    first("a symbolic link", symlink(words.path(0)?, words.path(1)?))?;
    OpenOptions::new().append(true).create(true).open(words.path(1)?)?.write_all(b"# changed\n")?;
    Ok("wrote through a link".to_owned())
}

/// `link-chain TARGET DIR`: reads through eight links, one to the next.
fn link_chain(words: &Words) -> Attempt {
    let dir = words.path(1)?;
    let mut before = words.path(0)?.to_owned();
    for n in 0..8 {
        let next = dir.join(format!("chain{n}"));
        first("a symbolic link", symlink(&before, &next))?;
        before = next;
    }
    let text = content(&before)?;
    Ok(format!("read {} bytes through eight links", text.len()))
}

/// `climb PATH`: the path from the root, reached by more `..` than there are directories.
fn climb(words: &Words) -> Attempt {
    let path = words.text(0)?.trim_start_matches('/').to_owned();
    let text = content(Path::new(&format!("{}{path}", "../".repeat(40))))?;
    Ok(format!("read {} bytes by climbing", text.len()))
}

/// Looks for descriptors that nobody meant to hand over.
fn descriptors(_: &Words) -> Attempt {
    let open: Vec<usize> =
        (3..1024).filter(|fd| call(libc::SYS_fcntl, &[*fd, libc::F_GETFD as usize]).is_ok()).collect();
    if open.is_empty() {
        Err(Stopped::Nothing("no descriptor above 2".to_owned()))
    } else {
        Ok(format!("descriptors {open:?}"))
    }
}

/// `device c|b MAJOR MINOR PATH`: makes a device node.
fn device(words: &Words) -> Attempt {
    let kind = if words.text(0)? == "c" { libc::S_IFCHR } else { libc::S_IFBLK };
    let device = libc::makedev(words.number(1)?, words.number(2)?);
    let path = terminated(words.path(3)?)?;
    call(libc::SYS_mknodat, &[libc::AT_FDCWD as usize, address(&path), (kind | 0o666) as usize, device as usize])?;
    // Whether the node can be used counts, too: `nodev` holds where making it is possible.
    OpenOptions::new().read(true).open(words.path(3)?)?;
    Ok(format!("made and opened {}", words.text(3)?))
}

/// `execute PATH [ARG]`: runs a program that is there.
fn execute(words: &Words) -> Attempt {
    let mut command = Command::new(words.path(0)?);
    let status = command.args(words.text(1)).stdout(std::process::Stdio::null()).status()?;
    Ok(format!("{} ran: {status}", words.text(0)?))
}

fn copied(words: &Words) -> Result<&Path, Stopped> {
    let path = words.path(0)?;
    first("a script", fs::write(path, "#!/bin/sh\nexit 0\n"))?;
    first("its mode", fs::set_permissions(path, fs::Permissions::from_mode(0o755)))?;
    Ok(path)
}

/// `execute-copy PATH`: writes a program and runs it.
fn execute_copy(words: &Words) -> Attempt {
    let path = copied(words)?;
    let status = Command::new(path).status()?;
    Ok(format!("what was written ran: {status}"))
}

/// A program that exists nowhere on disk, run from memory.
fn execute_memory(_: &Words) -> Attempt {
    let fd = call(libc::SYS_memfd_create, &[c"attack".as_ptr() as usize, 0])?;
    // SAFETY: the kernel just gave us this descriptor and nobody else has it.
    let mut file = fs::File::from(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    file.write_all(&first("a program to copy", fs::read("/usr/bin/true"))?)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut command = Command::new(&path);
    let number = file.as_raw_fd();
    // SAFETY: between fork and exec the child makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            let args = [c"true".as_ptr(), std::ptr::null()];
            let at = [number as usize, c"".as_ptr() as usize, args.as_ptr() as usize, 0, libc::AT_EMPTY_PATH as usize];
            Err(call(libc::SYS_execveat, &at).err().unwrap_or_else(io::Error::last_os_error))
        });
    }
    let status = command.status()?;
    Ok(format!("a program in memory ran: {status}"))
}

/// `load-copy PATH`: hands a written program to the dynamic loader, which maps it.
fn load_copy(words: &Words) -> Attempt {
    let path = words.path(0)?;
    let bytes = first("a program to copy", fs::read("/usr/bin/true"))?;
    first("a copy", fs::write(path, bytes))?;
    let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let Some(loader) = loaders.iter().find(|path| Path::new(path).exists()) else {
        return Err(Stopped::Unclear("no loader".to_owned()));
    };
    let ended = Command::new(loader).arg(path).output()?;
    if ended.status.success() {
        return Ok("the loader ran what was written".to_owned());
    }
    Err(Stopped::Nothing(String::from_utf8_lossy(&ended.stderr).into_owned()))
}

/// `map-executable PATH`: maps a written file as code.
fn map_executable(words: &Words) -> Attempt {
    first("a file", fs::write(words.path(0)?, [0xc3; 4096]))?;
    let file = first("the file", fs::File::open(words.path(0)?))?;
    let protection = (libc::PROT_READ | libc::PROT_EXEC) as usize;
    call(libc::SYS_mmap, &[0, 4096, protection, libc::MAP_PRIVATE as usize, file.as_raw_fd() as usize, 0])?;
    Ok("what was written is mapped as code".to_owned())
}

/// `connect PATH`: speaks to a Unix socket in the file system.
fn connect(words: &Words) -> Attempt {
    let mut stream = UnixStream::connect(words.path(0)?)?;
    stream.write_all(b"hello\n")?;
    Ok("a socket of the host took a message".to_owned())
}

/// `handle PATH`: opens a file by its handle, past every mount.
fn handle(words: &Words) -> Attempt {
    let path = terminated(words.path(0)?)?;
    let (mut handle, mut mount) = ([0u32; 40], 0i32);
    handle[0] = 128;
    let named = [libc::AT_FDCWD as usize, address(&path), handle.as_mut_ptr() as usize, &raw mut mount as usize, 0];
    call(libc::SYS_name_to_handle_at, &named)?;
    let parent = first("a directory", fs::File::open(words.path(0)?.parent().unwrap_or(Path::new("/"))))?;
    call(libc::SYS_open_by_handle_at, &[parent.as_raw_fd() as usize, handle.as_ptr() as usize, 0])?;
    Ok("opened a file by its handle".to_owned())
}

/// `proc-descriptor PATH`: opens a read-only file again for writing through `/proc/self/fd`.
fn proc_descriptor(words: &Words) -> Attempt {
    let file = first("the file, for reading", fs::File::open(words.path(0)?))?;
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().append(true).open(again)?.write_all(b"# changed\n")?;
    Ok("a read-only descriptor became a writable one".to_owned())
}

/// `born-with-mode CALL MODE PATH`: makes a file that has its mode from the start, by that call.
fn born_with_mode(words: &Words) -> Attempt {
    let mode = usize::from_str_radix(words.text(1)?, 8).map_err(|_| Stopped::Unclear("a mode is octal".to_owned()))?;
    let path = terminated(words.path(2)?)?;
    let here = libc::AT_FDCWD as usize;
    // SAFETY: sets a number of this process alone.
    unsafe { libc::umask(0) };
    match words.text(0)? {
        "openat" => {
            let flags = (libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY) as usize;
            call(libc::SYS_openat, &[here, address(&path), flags, mode])?;
        }
        "mknodat" => {
            call(libc::SYS_mknodat, &[here, address(&path), libc::S_IFREG as usize | mode, 0])?;
        }
        "fchmodat2" => {
            first("a file", fs::write(words.path(2)?, "#!/bin/sh\n"))?;
            const FCHMODAT2: libc::c_long = 452;
            call(FCHMODAT2, &[here, address(&path), mode, 0])?;
        }
        other => return Err(Stopped::Unclear(format!("no call `{other}`"))),
    }
    let now = fs::metadata(words.path(2)?)?.permissions().mode() as usize & 0o7777;
    if now == mode { Ok(format!("mode {now:o}")) } else { Err(Stopped::Nothing(format!("mode {now:o}"))) }
}
