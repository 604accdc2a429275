//! Ending everything below a process that its orphans come to.
//!
//! Nobody is waited for before everybody is dead: the dead count against the limit of processes, so that whoever makes
//! new ones faster than they are ended runs into it.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::sys::{self, Reaped, Wait};

/// How long is waited between two rounds.
const PAUSE: Duration = Duration::from_micros(500);
/// How many rounds a spawner takes that ends what a first process left.
const STRAY_ROUNDS_MAX: u32 = 2000;
/// Most processes that one round looks at.
const PROCESSES_MAX: usize = 65_536;

/// Whether the kernel tells which processes a process has.
pub(crate) fn can_see_children() -> bool {
    fs::read("/proc/thread-self/children").is_ok()
}

/// The processes that this process (of one thread) is the parent of.
fn children_of(pid: i32) -> Vec<i32> {
    let mut found = Vec::new();
    // One that has ended in the meantime has none.
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return found };
    for thread in threads.flatten() {
        let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
    }
    found
}

/// Whether it has ended and only has to be waited for, or is gone.
fn is_dead(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(") ") else { return true };
    rest.starts_with(['Z', 'X'])
}

/// Kills what is alive below these processes, and them; how many were.
pub(crate) fn kill_below(mut left: Vec<i32>) -> usize {
    let (mut alive, mut seen) = (0, 0);
    while let Some(pid) = left.pop() {
        seen += 1;
        if seen > PROCESSES_MAX {
            break;
        }
        left.extend(children_of(pid));
        let (false, Some(process)) = (is_dead(pid), Pid::from_raw(pid)) else { continue };
        alive += 1;
        // A number that was just read below our own; whoever ended in between is a child of somebody who has not
        // waited for it, or was ended with all its own.
        let _killed = rustix::process::kill_process(process, Signal::KILL);
    }
    alive
}

/// Ends everything below a sandbox's first process, which is another one.
pub(crate) fn kill_inside(first: i32) {
    kill_below(children_of(first));
}

/// Ends everything below this process, and waits for it. `dead` hears of each.
pub(crate) fn sweep(mut dead: impl FnMut(&Reaped)) {
    let own = std::process::id() as i32;
    loop {
        while kill_below(children_of(own)) > 0 {
            std::thread::sleep(PAUSE);
        }
        loop {
            match sys::reap(-1, Wait::Now) {
                Ok(Some(reaped)) => dead(&reaped),
                Ok(None) => break,
                // There is nobody left.
                Err(_) => return,
            }
        }
    }
}

/// In a spawner: ends what came to it because a first process was killed. `firsts` are those that live.
pub(crate) fn end_strays(firsts: &[i32]) {
    let own = std::process::id() as i32;
    for _ in 0..STRAY_ROUNDS_MAX {
        let strays: Vec<i32> = children_of(own).into_iter().filter(|child| !firsts.contains(child)).collect();
        if strays.is_empty() {
            return;
        }
        if kill_below(strays.clone()) == 0 {
            for stray in strays {
                // Dead, and of no use to anybody.
                let _reaped = sys::reap(stray, Wait::Now);
            }
        } else {
            std::thread::sleep(PAUSE);
        }
    }
}
