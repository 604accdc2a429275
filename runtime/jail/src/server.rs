//! The spawner's loop: one thread that makes sandboxes, watches over them, and ends them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::child::{FAILED, GATEWAY, READY, RECORD_BYTES};
use crate::error::{Ended, JailError, Step};
use crate::filter::Filters;
use crate::group::{Group, Groups};
use crate::guards::{self, Held};
use crate::identity::Owners;
use crate::jail::{Jail, Lines, Stage};
use crate::making::Order;
use crate::plan::Strength;
use crate::profiles::Profiles;
use crate::report::{read_error, write_ended, write_enforcement, write_error};
use crate::socket::{self, Packet};
use crate::sys::{self, Wait};
use crate::tier_b;
use crate::wire::{Reader, Writer};

/// Sandboxes of one spawner at once, parked ones among them.
pub const SANDBOXES_MAX: u32 = 256;
/// To the spawner: make a sandbox.
pub(crate) const SPAWN: u8 = 1;
/// To the spawner: make some ahead.
pub(crate) const PARK: u8 = 2;
/// To the spawner: make each kind of namespace, and say what came of it.
pub(crate) const SURVEY: u8 = 3;
/// From the spawner: the program runs.
pub(crate) const STARTED: u8 = 1;
/// From the spawner: nothing ran.
pub(crate) const ERROR: u8 = 2;
/// From the spawner: the run has ended.
pub(crate) const ENDED: u8 = 3;
/// From the spawner: they are made.
pub(crate) const PARKED: u8 = 4;
/// From the spawner: what came of it.
pub(crate) const SURVEYED: u8 = 5;

/// What an event is about; the rest of its number is the sandbox's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request = 0,
    Setup = 1,
    Status = 2,
    Listener = 3,
    Client = 4,
    Process = 5,
    Memory = 6,
}

/// The network namespace that the spawner is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surroundings {
    /// One of its own, with nothing in it, which jails without a network can share: their filter lets them make no
    /// socket but connected pairs.
    Empty,
    /// The host's.
    Host,
    /// The host's, and there are no namespaces to be had: jails are made without.
    Bare,
}

/// What is left of sandboxes that have ended, to be taken away when there is time.
#[derive(Default)]
pub(crate) struct Remains {
    /// Those that could not be taken away yet, because a copy of a descriptor was still somewhere.
    pub(crate) placeholders: Vec<Held>,
    /// Empty groups.
    pub(crate) groups: Vec<Group>,
}

/// Most groups that wait to be taken away.
const GROUPS_LEFT_MAX: usize = 32;

/// Everything that the loop knows.
pub(crate) struct Server {
    pub(crate) line: OwnedFd,
    pub(crate) epoll: OwnedFd,
    /// By slot; a slot decides who the sandbox is to the host.
    pub(crate) jails: Vec<Option<Jail>>,
    pub(crate) next_id: u64,
    pub(crate) profiles: Profiles,
    pub(crate) owners: Owners,
    pub(crate) filters: Filters,
    pub(crate) groups: Groups,
    pub(crate) landlock_abi: u32,
    /// The process that made this one.
    pub(crate) parent: Option<rustix::process::Pid>,
    pub(crate) remains: Remains,
    pub(crate) surroundings: Surroundings,
}

/// How long nothing has to have happened before what can wait is done.
const QUIET: Duration = Duration::from_millis(5);

impl Server {
    /// Serves whoever is at the other end of the line.
    pub(crate) fn new((line, surroundings): (OwnedFd, Surroundings)) -> Result<Server, JailError> {
        let failed = || JailError::at(Step::Start, "");
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed())?;
        let data = EventData::new_u64(Kind::Request as u64);
        epoll::add(&epoll, &line, data, EventFlags::IN).map_err(failed())?;
        Ok(Server {
            line,
            epoll,
            jails: Vec::new(),
            next_id: 1,
            profiles: Profiles::default(),
            owners: Owners::default(),
            filters: Filters::default(),
            groups: Groups::detect(),
            landlock_abi: sys::landlock_abi(),
            parent: rustix::process::getppid(),
            remains: Remains::default(),
            surroundings,
        })
    }

    /// Serves until the creator is gone, then ends every sandbox.
    pub(crate) fn serve(mut self) {
        let mut events = Vec::with_capacity(64);
        loop {
            if rustix::process::getppid() != self.parent {
                break;
            }
            events.clear();
            let timeout = self.timeout();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => break,
            }
            if events.is_empty() {
                self.idle();
            }
            let mut is_over = false;
            for event in events.drain(..) {
                is_over |= !self.happened(event.data.u64());
            }
            if is_over {
                break;
            }
            let now = Instant::now();
            for jail in self.jails.iter_mut().flatten().filter(|jail| jail.clock.deadline <= now) {
                jail.look(now);
            }
        }
        self.end();
    }

    /// Until the next thing that has to be looked at.
    fn timeout(&self) -> Option<rustix::event::Timespec> {
        let zero = Duration::ZERO;
        let waits = |jail: &&Jail| matches!(jail.stage, Stage::Making | Stage::Starting | Stage::Running);
        let next = self.jails.iter().flatten().filter(waits).map(|jail| jail.clock.deadline).min();
        let left = next.map(|at| at.saturating_duration_since(Instant::now()));
        let has_work = !self.remains.groups.is_empty() || self.profiles.wanting(&self.jails).is_some();
        // Making the next jail takes as long as starting this one: it waits until nothing has happened for a moment, unless
        // somebody waits for it.
        let quiet = if self.profiles.is_awaited() { zero } else { QUIET };
        let left = if has_work { Some(left.map_or(quiet, |left| left.min(quiet))) } else { left };
        left.map(|left| rustix::event::Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() })
    }

    /// Takes in one event; false when the creator is gone.
    fn happened(&mut self, data: u64) -> bool {
        let (id, kind) = (data >> 3, data & 7);
        if kind == Kind::Request as u64 {
            return self.requests();
        }
        let Some(slot) = self.jails.iter().position(|jail| jail.as_ref().is_some_and(|jail| jail.id == id)) else {
            return true;
        };
        match kind {
            1 => self.heard(slot),
            2 => self.ended(slot),
            3 => self.held(slot),
            4 => self.asked(slot),
            5 => self.bury(slot),
            _ => self.with(slot, Jail::look_at_group),
        }
        true
    }

    fn with(&mut self, slot: usize, act: impl FnOnce(&mut Jail)) {
        if let Some(jail) = self.jails[slot].as_mut() {
            act(jail);
        }
    }

    fn requests(&mut self) -> bool {
        loop {
            match socket::receive_now(&self.line) {
                Ok(packet) if packet.bytes.is_empty() && packet.fds.is_empty() => return false,
                Ok(packet) => self.request(packet),
                Err(Errno::AGAIN) => return true,
                // A packet that was too large for us is lost; whoever sent it sees its descriptors closed.
                Err(Errno::MSGSIZE) => {}
                Err(_) => return false,
            }
        }
    }

    /// Does what can wait: takes away what is left, and makes the next jail that is wanted ahead.
    fn idle(&mut self) {
        if self.remains.groups.pop().is_some() {
            return;
        }
        let Some(profile) = self.profiles.wanting(&self.jails) else { return };
        let Some((plan, protected)) = self.profiles.pattern(profile) else { return };
        let mut order = Order { plan, protected, streams: None, client: None, profile: Some(profile) };
        if let Err(error) = self.make(&mut order) {
            self.give_up(profile, &error);
        }
    }

    pub(crate) fn give_up(&mut self, profile: u64, error: &JailError) {
        for client in self.profiles.remove(profile) {
            tell_error(&client, error);
        }
        let is_ahead = |stage| matches!(stage, Stage::Making | Stage::Parked);
        let of_profile = |jail: &&mut Jail| jail.profile == Some(profile) && is_ahead(jail.stage);
        self.jails.iter_mut().flatten().filter(of_profile).for_each(Jail::kill);
    }

    /// Hears what a jail has to say while it is made.
    fn heard(&mut self, slot: usize) {
        loop {
            let Some(jail) = self.jails[slot].as_mut() else { return };
            let Some(setup) = &jail.lines.setup else { return };
            match socket::receive_now(setup) {
                Err(Errno::AGAIN) => return,
                Ok(packet) if !packet.bytes.is_empty() => self.hear(slot, packet),
                // The program runs, or nobody is left who could make it run.
                Ok(_) | Err(_) => {
                    let setup = jail.lines.setup.take();
                    let is_started = jail.stage == Stage::Starting && jail.failure.is_none();
                    if is_started {
                        jail.stage = Stage::Running;
                        tell_started(jail);
                    }
                    self.forget(setup);
                    return;
                }
            }
        }
    }

    fn hear(&mut self, slot: usize, packet: Packet) {
        let Some(jail) = self.jails[slot].as_mut() else { return };
        match packet.bytes[0] {
            GATEWAY => jail.lines.gateway = packet.fds,
            READY => {
                if packet.bytes.get(1) == Some(&(Strength::Approximate as u8)) {
                    jail.enforcement.process_view = Strength::Approximate;
                }
                let mut fds = packet.fds.into_iter();
                let (line, listener) = (fds.next(), fds.next());
                if jail.profile.is_some() && jail.stage == Stage::Making {
                    jail.stage = Stage::Parked;
                } else {
                    jail.begin();
                }
                let id = jail.id;
                let of = |kind, fd: &Option<OwnedFd>| fd.as_ref().map_or(Ok(()), |fd| self.watch(id, kind, fd.as_fd()));
                let watched = of(Kind::Listener, &listener).and(of(Kind::Setup, &line));
                let mut before = None;
                self.with(slot, |jail| {
                    jail.lines.listener = listener;
                    before = std::mem::replace(&mut jail.lines.setup, line);
                    watched.unwrap_or_else(|error| jail.fail(error));
                });
                self.forget(before);
                self.announce_parked();
            }
            FAILED => {
                let error = read_error(&mut Reader(&packet.bytes[1..]));
                let unread = JailError::Gone { why: "the jail told of a failure that cannot be read".into() };
                jail.fail(error.unwrap_or(unread));
            }
            _ => jail.fail(JailError::Gone { why: "the jail spoke out of turn".into() }),
        }
    }

    pub(crate) fn announce_parked(&mut self) {
        for client in self.profiles.complete(&self.jails) {
            tell(&client, &[PARKED], &[]);
        }
    }

    /// A forbidden system call is held, or nobody is left under the filter.
    fn held(&mut self, slot: usize) {
        let Some(jail) = self.jails[slot].as_mut() else { return };
        let Some(listener) = &jail.lines.listener else { return };
        // Once is enough: either everything is killed, or there is nothing more to come. But the descriptor stays:
        // without it the call would go on, with an error, until the kill has come through.
        let _watched = epoll::delete(&self.epoll, listener);
        if let Ok(number) = sys::held_call(listener.as_fd()) {
            jail.forbid(number);
        }
    }

    /// A program has ended, and nothing of it is left but the mounts.
    fn ended(&mut self, slot: usize) {
        let Some(jail) = self.jails[slot].as_mut() else { return };
        match &jail.lines.status {
            // To take away a placeholder that something is mounted over takes the kernel much longer than to end all
            // mounts at once, which happens with the first process.
            Some(status) if !jail.placeholders.is_empty() => {
                jail.stage = Stage::Ending;
                let _watched = epoll::delete(&self.epoll, status);
            }
            _ => self.recorded(slot),
        }
    }

    /// Reads how a program ended.
    fn recorded(&mut self, slot: usize) {
        // What was said before comes first.
        self.heard(slot);
        let Some(jail) = self.jails[slot].as_mut() else { return };
        let Some(status) = jail.lines.status.take() else { return };
        let mut record = [0; RECORD_BYTES];
        let read = rustix::io::read(&status, &mut record);
        if read == Ok(RECORD_BYTES) && jail.failure.is_none() {
            let ended = jail.ended(&record);
            self.conclude(slot, &ended);
        }
        self.forget(Some(status));
    }

    /// Nothing of the program is left: cleans up, and says how it ended.
    fn conclude(&mut self, slot: usize, ended: &Ended) {
        let Some(jail) = self.jails[slot].as_mut() else { return };
        jail.stage = Stage::Ending;
        guards::clear(&mut jail.placeholders);
        self.remains.placeholders.append(&mut jail.placeholders);
        let client = jail.lines.client.take();
        if let Some(client) = &client {
            let mut out = Writer::default();
            out.byte(ENDED);
            write_ended(&mut out, ended);
            tell(client, &out.0, &[]);
        }
        self.forget(client);
    }

    /// The client says something: that it is enough, in so many words or by closing its end.
    fn asked(&mut self, slot: usize) {
        let Some(jail) = self.jails[slot].as_mut() else { return };
        let Some(client) = &jail.lines.client else { return };
        match socket::receive_now(client) {
            Err(Errno::AGAIN) => {}
            Ok(packet) if !packet.bytes.is_empty() => jail.kill(),
            Ok(_) | Err(_) => {
                jail.kill();
                let client = jail.lines.client.take();
                self.forget(client);
            }
        }
    }

    /// The first process of a jail is dead, and with it everything inside.
    fn bury(&mut self, slot: usize) {
        self.recorded(slot);
        let Some(jail) = self.jails[slot].as_mut() else { return };
        let reaped = match sys::reap(jail.pid, Wait::Now) {
            // Not dead after all: a stale event.
            Ok(None) => return,
            Ok(Some(reaped)) => Some(reaped),
            Err(_) => None,
        };
        let early = || JailError::Step { step: Step::Wait, what: "(the jail's first process ended)".into(), errno: 10 };
        let is_started = jail.lines.setup.is_none() && jail.failure.is_none() && jail.clock.has_begun;
        if let (true, Some(reaped), true) = (is_started, reaped, jail.lines.client.is_some()) {
            let ended = jail.ended_as(&reaped);
            self.conclude(slot, &ended);
        } else if !is_started {
            let error = jail.failure.take().unwrap_or_else(early);
            let (client, profile) = (jail.lines.client.take(), jail.profile);
            match (client, profile) {
                (Some(client), _) => {
                    tell_error(&client, &error);
                    self.forget(Some(client));
                }
                (None, Some(profile)) => self.give_up(profile, &error),
                (None, None) => {}
            }
        }
        let Some(mut jail) = self.jails[slot].take() else { return };
        self.end_strays();
        guards::clear(&mut jail.placeholders);
        self.remains.placeholders.append(&mut jail.placeholders);
        guards::clear(&mut self.remains.placeholders);
        self.remains.groups.extend(jail.group.take());
        if self.remains.groups.len() > GROUPS_LEFT_MAX {
            self.remains.groups.clear();
        }
        let Lines { pidfd, setup, status, listener, client, scratch, .. } = jail.lines;
        drop(scratch);
        for fd in [Some(pidfd), setup, status, listener, client] {
            self.forget(fd);
        }
    }

    /// Without namespaces, what a first process was killed with comes to this one.
    fn end_strays(&self) {
        if self.surroundings == Surroundings::Bare {
            let firsts: Vec<i32> = self.jails.iter().flatten().map(|jail| jail.pid).collect();
            tier_b::end_strays(&firsts);
        }
    }

    /// Closes a descriptor, and makes sure that no copy of it in a new process wakes the loop.
    fn forget(&self, fd: Option<OwnedFd>) {
        if let Some(fd) = fd {
            // It may not have been watched at all.
            let _watched = epoll::delete(&self.epoll, &fd);
        }
    }

    /// Ends everything.
    fn end(mut self) {
        self.jails.iter_mut().flatten().for_each(Jail::kill);
        for jail in self.jails.iter_mut().flatten() {
            // Killed, so this takes no longer than the kernel needs.
            let _reaped = sys::reap(jail.pid, Wait::Until);
            guards::clear(&mut jail.placeholders);
        }
        self.jails.clear();
        self.end_strays();
        self.remains.groups.clear();
        guards::clear(&mut self.remains.placeholders);
    }
}

/// Tells somebody something. If nobody listens any more, that shows as a closed end; and if its queue is full, it has
/// not read what it was told before, and does not matter.
pub(crate) fn tell(client: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let _told = socket::send_now(client, bytes, fds);
}

pub(crate) fn tell_error(client: &OwnedFd, error: &JailError) {
    let mut out = Writer::default();
    out.byte(ERROR);
    write_error(&mut out, error);
    tell(client, &out.0, &[]);
}

fn tell_started(jail: &mut Jail) {
    let gateway = std::mem::take(&mut jail.lines.gateway);
    let Some(client) = &jail.lines.client else { return };
    let mut out = Writer::default();
    out.byte(STARTED);
    out.number(jail.id);
    write_enforcement(&mut out, &jail.enforcement);
    let fds: Vec<BorrowedFd<'_>> = gateway.iter().map(AsFd::as_fd).collect();
    tell(client, &out.0, &fds);
}
