//! Attacks on what everybody shares: memory, processors, processes, descriptors, disk, time.
//!
//! Every one is bounded by its arguments, so that it can also be run where nothing holds it.

use std::fs;
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::time::Duration;

use crate::attempt::{Attempt, Stopped, Verb, Words, call, first, fork, wait};

/// The verbs of this file.
pub(crate) const VERBS: &[Verb] = &[
    ("fork-many", fork_many),
    ("threads-many", threads_many),
    ("memory", memory),
    ("memory-shared", memory_shared),
    ("memory-file", memory_file),
    ("memory-anonymous-file", memory_anonymous_file),
    ("memory-split", memory_split),
    ("memory-stack", memory_stack),
    ("spin", spin),
    ("spin-deaf", spin_deaf),
    ("spin-split", spin_split),
    ("sleep", sleep),
    ("sleep-deaf", sleep_deaf),
    ("stop", stop),
    ("daemon", daemon),
    ("descriptors-many", descriptors_many),
    ("watches-many", watches_many),
    ("pipes-many", pipes_many),
    ("sparse", sparse),
    ("files-many", files_many),
    ("flood", flood),
    ("raise", raise),
    ("priority", priority),
    ("realtime", realtime),
    ("memory-lock", memory_lock),
    ("spare-me", spare_me),
];

fn sleep_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn end_all(children: &[i32]) {
    for child in children {
        // A child that is gone already needs no signal; waiting tells.
        let _ = call(libc::SYS_kill, &[child.cast_unsigned() as usize, libc::SIGKILL as usize]);
        let _ = wait(*child);
    }
}

/// `fork-many COUNT`: that many children at once.
fn fork_many(words: &Words) -> Attempt {
    let most: usize = words.number(0)?;
    let mut children = Vec::new();
    let mut refused = None;
    while children.len() < most && refused.is_none() {
        match fork() {
            Ok(0) => loop {
                sleep_ms(1000);
            },
            Ok(child) => children.push(child),
            Err(error) => refused = Some(error),
        }
    }
    end_all(&children);
    refused.map_or_else(|| Ok(format!("{most} children at once")), |error| Err(error.into()))
}

/// `threads-many COUNT`: that many threads at once.
fn threads_many(words: &Words) -> Attempt {
    let most: usize = words.number(0)?;
    for _ in 0..most {
        std::thread::Builder::new().stack_size(64 << 10).spawn(|| sleep_ms(3000))?;
    }
    Ok(format!("{most} threads at once"))
}

/// Maps and touches that many bytes.
fn touch(bytes: usize, sharing: i32, fd: RawFd) -> io::Result<*mut u8> {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let at = call(libc::SYS_mmap, &[0, bytes, protection, sharing as usize, fd as usize, 0])? as *mut u8;
    for page in (0..bytes).step_by(4096) {
        // SAFETY: `at` is the start of a fresh writable mapping of `bytes` bytes.
        unsafe { at.add(page).write_volatile(1) };
    }
    Ok(at)
}

/// `memory BYTES`: touches that much in steps of one MiB, and holds it.
fn memory(words: &Words) -> Attempt {
    let total: usize = words.number(0)?;
    for _ in 0..total >> 20 {
        touch(1 << 20, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
    }
    sleep_ms(300);
    Ok(format!("holds {total} bytes"))
}

fn memory_shared(words: &Words) -> Attempt {
    let total: usize = words.number(0)?;
    touch(total, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)?;
    sleep_ms(300);
    Ok(format!("holds {total} shared bytes"))
}

fn fill(mut file: fs::File, total: usize) -> Attempt {
    let block = vec![1u8; 1 << 20];
    for _ in 0..total >> 20 {
        file.write_all(&block)?;
    }
    sleep_ms(300);
    Ok(format!("holds {total} bytes in a file of memory"))
}

/// `memory-file PATH BYTES`: fills a file of a file system that lives in memory.
fn memory_file(words: &Words) -> Attempt {
    let file = first("a file", fs::File::create(words.path(0)?))?;
    let filled = fill(file, words.number(1)?);
    // What was filled is given back even where nothing held it.
    let _ = fs::remove_file(words.path(0)?);
    filled
}

fn memory_anonymous_file(words: &Words) -> Attempt {
    use std::os::fd::FromRawFd;
    let fd = call(libc::SYS_memfd_create, &[c"attack".as_ptr() as usize, 8])?;
    // SAFETY: the kernel just gave us this descriptor and nobody else has it.
    fill(unsafe { fs::File::from_raw_fd(fd as RawFd) }, words.number(0)?)
}

/// `memory-split CHILDREN BYTES`: each child stays below the limit, all together do not.
fn memory_split(words: &Words) -> Attempt {
    let (count, each): (usize, usize) = (words.number(0)?, words.number(1)?);
    let mut children = Vec::new();
    for _ in 0..count {
        let child = first("a child", fork())?;
        if child == 0 {
            let touched = touch(each, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1);
            sleep_ms(800);
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(touched.is_err())) };
        }
        children.push(child);
    }
    let ends: Vec<i32> = children.iter().filter_map(|child| wait(*child).ok()).collect();
    let through = ends.iter().filter(|status| **status == 0).count();
    if through == count {
        Ok(format!("{count} children hold {} bytes", count * each))
    } else {
        Err(Stopped::Nothing(format!("{through} of {count} came through")))
    }
}

/// `memory-stack BYTES`: grows the stack.
fn memory_stack(words: &Words) -> Attempt {
    fn deeper(left: usize) -> usize {
        let mut frame = [0u8; 64 << 10];
        frame[left % frame.len()] = 1;
        std::hint::black_box(&mut frame);
        if left <= frame.len() { usize::from(frame[0]) } else { deeper(left - frame.len()) + usize::from(frame[1]) }
    }
    let total: usize = words.number(0)?;
    let grown = std::thread::Builder::new().stack_size(total + (8 << 20)).spawn(move || deeper(total))?;
    grown.join().map_err(|_| Stopped::Nothing("the stack ended".to_owned()))?;
    Ok(format!("a stack of {total} bytes"))
}

/// Burns that much processor time of this process, however long it takes.
fn burn(ms: u64) {
    let mut spent = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    while (spent.tv_sec as u64) * 1000 + (spent.tv_nsec as u64) / 1_000_000 < ms {
        for round in 0..10_000 {
            std::hint::black_box(round);
        }
        // SAFETY: `spent` is a live structure. The clock of a process is always there.
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut spent) };
    }
}

/// `spin MS`: burns a processor that long.
fn spin(words: &Words) -> Attempt {
    burn(words.number(0)?);
    Ok(format!("burnt {} ms", words.text(0)?))
}

fn ignore(signals: &[i32]) {
    for signal in signals {
        // SAFETY: sets the disposition of a signal to "ignore": no handler runs.
        unsafe { libc::signal(*signal, libc::SIG_IGN) };
    }
}

/// The same, deaf to the warning.
fn spin_deaf(words: &Words) -> Attempt {
    ignore(&[libc::SIGXCPU, libc::SIGTERM]);
    spin(words)
}

/// `spin-split CHILDREN MS`: each child stays below the limit, all together do not.
fn spin_split(words: &Words) -> Attempt {
    let (count, ms): (usize, u64) = (words.number(0)?, words.number(1)?);
    for _ in 0..count {
        let child = first("a child", fork())?;
        if child == 0 {
            burn(ms);
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(0) };
        }
        first("the child's end", wait(child))?;
    }
    Ok(format!("{count} children burnt {ms} ms each"))
}

fn sleep(words: &Words) -> Attempt {
    sleep_ms(words.number(0)?);
    Ok(format!("slept {} ms", words.text(0)?))
}

fn sleep_deaf(words: &Words) -> Attempt {
    ignore(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGALRM, libc::SIGQUIT]);
    sleep(words)
}

/// `stop MS`: stops itself; a child wakes it after that time.
fn stop(words: &Words) -> Attempt {
    let ms: u64 = words.number(0)?;
    let own = std::process::id() as usize;
    let child = first("a child", fork())?;
    if child == 0 {
        sleep_ms(ms);
        let woken = call(libc::SYS_kill, &[own, libc::SIGCONT as usize]);
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(woken.is_err())) };
    }
    first("stopping", call(libc::SYS_kill, &[own, libc::SIGSTOP as usize]))?;
    Ok(format!("stood still for {ms} ms"))
}

/// `daemon MS PATH`: a grandchild in a session of its own makes the file after that time.
fn daemon(words: &Words) -> Attempt {
    let ms: u64 = words.number(0)?;
    let path = words.path(1)?;
    let child = first("a child", fork())?;
    if child == 0 {
        let left = call(libc::SYS_setsid, &[]).and_then(|_| fork());
        if let Ok(0) = left {
            // Its streams are the launcher's: a daemon lets go of them.
            for fd in 0..3 {
                let _ = call(libc::SYS_close, &[fd]);
            }
            sleep_ms(ms);
            let _ = fs::write(path, "alive\n");
        }
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(left.is_err())) };
    }
    first("the child's end", wait(child))?;
    Err(Stopped::Nothing("a grandchild stays behind".to_owned()))
}

/// `descriptors-many COUNT`: that many open descriptors.
fn descriptors_many(words: &Words) -> Attempt {
    let most: usize = words.number(0)?;
    let mut limits = [0u64; 2];
    let own = limits.as_mut_ptr() as usize;
    first("the limit", call(libc::SYS_prlimit64, &[0, libc::RLIMIT_NOFILE as usize, 0, own]))?;
    limits = std::hint::black_box([limits[1], limits[1]]);
    let own = limits.as_ptr() as usize;
    first("the limit", call(libc::SYS_prlimit64, &[0, libc::RLIMIT_NOFILE as usize, own, 0]))?;
    for _ in 0..most {
        call(libc::SYS_dup, &[0])?;
    }
    Ok(format!("{most} descriptors"))
}

/// `watches-many COUNT`: that many inotify instances, of which a person has 128 in all.
fn watches_many(words: &Words) -> Attempt {
    let most: usize = words.number(0)?;
    for _ in 0..most {
        call(libc::SYS_inotify_init1, &[0])?;
    }
    Ok(format!("{most} watchers"))
}

/// `pipes-many COUNT`: that many pipes filled to the brim: memory that is no process's.
fn pipes_many(words: &Words) -> Attempt {
    let most: usize = words.number(0)?;
    let block = vec![1u8; 64 << 10];
    for _ in 0..most {
        let mut ends = [0i32; 2];
        call(libc::SYS_pipe2, &[ends.as_mut_ptr() as usize, libc::O_NONBLOCK as usize])?;
        call(libc::SYS_write, &[ends[1].cast_unsigned() as usize, block.as_ptr() as usize, block.len()])?;
    }
    Ok(format!("{most} full pipes"))
}

/// `sparse PATH BYTES`: a file of that length without content.
fn sparse(words: &Words) -> Attempt {
    ignore(&[libc::SIGXFSZ]);
    let file = first("a file", fs::File::create(words.path(0)?))?;
    let grown = file.set_len(words.number(1)?);
    // The file goes whatever came of it.
    let _ = fs::remove_file(words.path(0)?);
    grown?;
    Ok(format!("a file of {} bytes", words.text(1)?))
}

/// `files-many DIR COUNT`: that many files.
fn files_many(words: &Words) -> Attempt {
    let (dir, most): (_, usize) = (words.path(0)?.join("many"), words.number(1)?);
    first("a directory", fs::create_dir(&dir))?;
    let made = (0..most).try_for_each(|n| fs::File::create(dir.join(n.to_string())).map(|_| ()));
    // The files go whatever came of it.
    let _ = fs::remove_dir_all(&dir);
    made?;
    Ok(format!("{most} files"))
}

/// `flood BYTES`: that much output.
fn flood(words: &Words) -> Attempt {
    let block = vec![b'x'; 64 << 10];
    let mut left: usize = words.number(0)?;
    let mut out = io::stdout().lock();
    while left > 0 {
        out.write_all(&block)?;
        left = left.saturating_sub(block.len());
    }
    writeln!(out)?;
    Ok(format!("{} bytes of output", words.text(0)?))
}

/// `raise LIMIT`: lifts a limit of its own.
fn raise(words: &Words) -> Attempt {
    let limit = match words.text(0)? {
        "descriptors" => libc::RLIMIT_NOFILE,
        "processes" => libc::RLIMIT_NPROC,
        "cpu" => libc::RLIMIT_CPU,
        "file" => libc::RLIMIT_FSIZE,
        "core" => libc::RLIMIT_CORE,
        other => return Err(Stopped::Unclear(format!("no limit `{other}`"))),
    } as usize;
    let mut now = [0u64; 2];
    first("the limit", call(libc::SYS_prlimit64, &[0, limit, 0, now.as_mut_ptr() as usize]))?;
    if now[1] == u64::MAX {
        return Ok("there is no limit".to_owned());
    }
    now = [now[1] + 1, now[1] + 1];
    call(libc::SYS_prlimit64, &[0, limit, now.as_ptr() as usize, 0])?;
    Ok("lifted a limit".to_owned())
}

fn priority(_: &Words) -> Attempt {
    call(libc::SYS_setpriority, &[libc::PRIO_PROCESS as usize, 0, (-10isize).cast_unsigned()])?;
    Ok("goes before others".to_owned())
}

fn realtime(_: &Words) -> Attempt {
    let parameter = 1i32;
    call(libc::SYS_sched_setscheduler, &[0, libc::SCHED_FIFO as usize, &raw const parameter as usize])?;
    Ok("runs in real time".to_owned())
}

/// `memory-lock BYTES`: memory that can never be swapped out.
fn memory_lock(words: &Words) -> Attempt {
    let total: usize = words.number(0)?;
    let at = touch(total, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
    call(libc::SYS_mlock, &[at as usize, total])?;
    Ok(format!("locked {total} bytes"))
}

/// Asks the kernel to kill anybody else first when memory runs out.
fn spare_me(_: &Words) -> Attempt {
    fs::write("/proc/self/oom_score_adj", "-500")?;
    Ok("others die first".to_owned())
}
