//! One sandbox as the spawner sees it: its processes, its clock, its breach, its end.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::child::RECORD_BYTES;
use crate::controls::{Control, is_on};
use crate::error::{Breach, Ended, Enforcement, JailError, Status, Step, Tier, Usage};
use crate::group::Group;
use crate::guards::Held;
use crate::limits::{self, Look, Temporary};
use crate::plan::{Limits, Strength};
use crate::sys::Reaped;
use crate::tier_b::{self, Scratch};

/// Longest time that a jail may take to be made, in milliseconds.
const PREPARE_MS_MAX: u64 = 10_000;
/// How often memory is looked at where no control group holds it.
const WATCH: Duration = Duration::from_millis(5);
/// Every so many looks, one is thorough.
const LOOKS: u32 = 8;

/// Where a sandbox is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is being made, for somebody or to be parked.
    Making,
    /// It waits for its command.
    Parked,
    /// Its command is on the way.
    Starting,
    /// Its program runs.
    Running,
    /// It has ended or was killed.
    Ending,
}

/// A sandbox.
pub(crate) struct Jail {
    /// Distinct among all sandboxes of this spawner.
    pub(crate) id: u64,
    pub(crate) stage: Stage,
    /// The jail's first process.
    pub(crate) pid: i32,
    pub(crate) limits: Limits,
    pub(crate) enforcement: Enforcement,
    pub(crate) lines: Lines,
    /// The profile that it was made ahead for.
    pub(crate) profile: Option<u64>,
    /// What is to be done in the end for what is guarded.
    pub(crate) placeholders: Vec<Held>,
    pub(crate) group: Option<Group>,
    pub(crate) clock: Clock,
    /// Why it was killed.
    pub(crate) breach: Option<Breach>,
    /// What went wrong before the program ran.
    pub(crate) failure: Option<JailError>,
}

/// The descriptors of a sandbox, and what stands for it on the host.
pub(crate) struct Lines {
    /// Stands for the first process.
    pub(crate) pidfd: OwnedFd,
    /// To the jail, until its program runs.
    pub(crate) setup: Option<OwnedFd>,
    /// Brings the record.
    pub(crate) status: Option<OwnedFd>,
    /// Brings forbidden system calls.
    pub(crate) listener: Option<OwnedFd>,
    /// To whoever asked for the sandbox.
    pub(crate) client: Option<OwnedFd>,
    /// The sockets of its network, until they are handed out.
    pub(crate) gateway: Vec<OwnedFd>,
    /// Its directory for temporary files on the host, where it has no mounts of its own.
    pub(crate) scratch: Option<Scratch>,
}

/// The time and what is used in it.
pub(crate) struct Clock {
    /// When it began: to be made, or to run.
    pub(crate) started: Instant,
    /// When something is to be looked at.
    pub(crate) deadline: Instant,
    /// Processor time that was used before the program began, in milliseconds.
    cpu_ms_before: u64,
    /// The most memory that the watch saw, in bytes.
    memory_bytes_seen: u64,
    /// The most processor time that was seen, in milliseconds: of those that are killed, nothing is told at the end.
    cpu_ms_seen: u64,
    /// How often it was looked.
    looks: u32,
    /// Whether the program was to run.
    pub(crate) has_begun: bool,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        let now = Instant::now();
        let deadline = now + Duration::from_millis(PREPARE_MS_MAX);
        Clock {
            started: now,
            deadline,
            cpu_ms_before: 0,
            memory_bytes_seen: 0,
            cpu_ms_seen: 0,
            looks: 1,
            has_begun: false,
        }
    }
}

impl Jail {
    /// The program begins now.
    pub(crate) fn begin(&mut self) {
        self.stage = Stage::Starting;
        self.clock.has_begun = true;
        self.clock.started = Instant::now();
        if self.profile.is_some() {
            self.clock.cpu_ms_before = self.usage_now().cpu_ms;
        }
        self.clock.deadline = self.next_look(self.clock.started, 0);
    }

    /// Ends everything in it.
    pub(crate) fn kill(&mut self) {
        let before = std::mem::replace(&mut self.stage, Stage::Ending);
        let mut signal = Signal::KILL;
        if self.enforcement.tier == Tier::B {
            tier_b::kill_inside(self.pid);
            if !matches!(before, Stage::Making | Stage::Parked) {
                // It ends what is left before it ends itself.
                signal = Signal::TERM;
            }
        }
        // The process is a child that was not waited for, so that it is still the one that is meant. If it has ended
        // by itself, so has everything.
        let _killed = rustix::process::pidfd_send_signal(&self.lines.pidfd, signal);
    }

    /// Something went wrong before the program ran.
    pub(crate) fn fail(&mut self, error: JailError) {
        self.failure.get_or_insert(error);
        self.kill();
    }

    /// Looks whether the control group has ended something for want of memory.
    pub(crate) fn look_at_group(&mut self) {
        if self.group.as_ref().is_some_and(Group::is_out_of_memory) {
            self.kill_for(Breach::Memory { bytes_max: self.limits.memory_bytes_max });
        }
    }

    /// Ends everything in it because a limit was exceeded.
    pub(crate) fn kill_for(&mut self, breach: Breach) {
        self.breach.get_or_insert(breach);
        self.kill();
    }

    /// Looks whether a limit is exceeded; called at the deadline.
    pub(crate) fn look(&mut self, now: Instant) {
        match self.stage {
            Stage::Making => {
                self.failure.get_or_insert(JailError::Step { step: Step::Report, what: "in time".into(), errno: 110 });
                self.kill();
            }
            Stage::Starting | Stage::Running => self.look_at_use(now),
            Stage::Parked | Stage::Ending => {}
        }
    }

    fn look_at_use(&mut self, now: Instant) {
        let limits = self.limits;
        if is_on(Control::LimitsTime) && now.duration_since(self.clock.started) >= ms(limits.runtime_ms_max) {
            return self.kill_for(Breach::Runtime { runtime_ms_max: limits.runtime_ms_max });
        }
        let used = self.usage_now();
        self.clock.looks = self.clock.looks.wrapping_add(1);
        let cpu_ms = used.cpu_ms.saturating_sub(self.clock.cpu_ms_before);
        self.clock.cpu_ms_seen = self.clock.cpu_ms_seen.max(cpu_ms);
        if is_on(Control::LimitsCpu) && cpu_ms >= limits.cpu_ms_max {
            return self.kill_for(Breach::Cpu { cpu_ms_max: limits.cpu_ms_max });
        }
        self.clock.memory_bytes_seen = self.clock.memory_bytes_seen.max(used.memory_bytes);
        let is_watched = self.enforcement.memory == Strength::Approximate && is_on(Control::LimitsMemory);
        if is_watched && used.memory_bytes > limits.memory_bytes_max {
            return self.kill_for(Breach::Memory { bytes_max: limits.memory_bytes_max });
        }
        self.clock.deadline = self.next_look(now, cpu_ms);
    }

    /// The program can use no more processor time than there are processors, so nothing can happen before.
    fn next_look(&self, now: Instant, cpu_ms: u64) -> Instant {
        let end = self.clock.started + ms(self.limits.runtime_ms_max);
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        let left_ms = self.limits.cpu_ms_max.saturating_sub(cpu_ms) / processors;
        let mut next = now + ms(left_ms).max(WATCH);
        if self.enforcement.memory == Strength::Approximate {
            next = next.min(now + WATCH);
        }
        next.min(end)
    }

    fn usage_now(&self) -> limits::Use {
        let exact = self.group.as_ref().and_then(Group::cpu_ms);
        match (exact, self.enforcement.memory) {
            (Some(cpu_ms), Strength::Exact) => limits::Use { memory_bytes: 0, cpu_ms },
            (cpu_ms, _) => {
                let look = if self.clock.looks.is_multiple_of(LOOKS) { Look::Thorough } else { Look::Quick };
                let is_own = self.enforcement.tier == Tier::A && is_on(Control::Mounts);
                let temporary = if is_own { Temporary::Own } else { Temporary::Host };
                let seen = limits::watch(self.pid as u32, look, temporary);
                limits::Use { cpu_ms: cpu_ms.unwrap_or(seen.cpu_ms), ..seen }
            }
        }
    }

    /// How it ended, from the record of the first process.
    pub(crate) fn ended(&mut self, record: &[u8; RECORD_BYTES]) -> Ended {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&record[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let reaped = Reaped { pid: 0, status: number(0) as i32, cpu_us: number(8), memory_bytes_peak: number(16) };
        self.ended_as(&reaped)
    }

    /// How it ended, from how a process did.
    pub(crate) fn ended_as(&mut self, reaped: &Reaped) -> Ended {
        let status = status(reaped.status);
        let group = self.group.as_ref();
        let before = if group.is_some() { self.clock.cpu_ms_before } else { 0 };
        let counted = group.and_then(Group::cpu_ms).unwrap_or(reaped.cpu_us / 1000);
        let cpu_ms = counted.saturating_sub(before).max(self.clock.cpu_ms_seen);
        let peak = group.and_then(Group::memory_bytes_peak);
        let memory_bytes_peak = peak.unwrap_or(self.clock.memory_bytes_seen.max(reaped.memory_bytes_peak));
        let usage = Usage { wall_ms: self.clock.started.elapsed().as_millis() as u64, cpu_ms, memory_bytes_peak };
        let breach = self.breach.take().or_else(|| self.breach_of(status, cpu_ms));
        Ended { status, breach, usage }
    }

    /// The limit for which the kernel itself ended the program.
    fn breach_of(&self, status: Status, cpu_ms: u64) -> Option<Breach> {
        let limits = &self.limits;
        if self.group.as_ref().is_some_and(Group::is_out_of_memory) {
            return Some(Breach::Memory { bytes_max: limits.memory_bytes_max });
        }
        match status {
            Status::Signaled(libc::SIGKILL | libc::SIGXCPU) if cpu_ms >= limits.cpu_ms_max => {
                Some(Breach::Cpu { cpu_ms_max: limits.cpu_ms_max })
            }
            Status::Signaled(libc::SIGXFSZ) => Some(Breach::FileSize { bytes_max: limits.file_bytes_max }),
            Status::Signaled(libc::SIGSYS) => Some(Breach::Syscall { name: "unknown".into() }),
            _ => None,
        }
    }

    /// A system call of this number is forbidden, and everything is over.
    pub(crate) fn forbid(&mut self, number: u32) {
        let name = aether_seccomp::Arch::native().and_then(|arch| aether_seccomp::syscall_name(arch, number));
        let name = name.map_or_else(|| format!("number {number}"), str::to_owned);
        self.kill_for(Breach::Syscall { name });
    }
}

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// A status of `wait(2)`.
fn status(raw: i32) -> Status {
    match raw & 0x7F {
        0 => Status::Exited((raw >> 8) & 0xFF),
        signal => Status::Signaled(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::{Status, status};

    #[test]
    fn a_status_is_read_as_wait_writes_it() {
        assert_eq!(status(7 << 8), Status::Exited(7));
        assert_eq!((status(9), status(0x80 | 11)), (Status::Signaled(9), Status::Signaled(11)));
    }
}
