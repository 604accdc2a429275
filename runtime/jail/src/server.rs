//! The spawner's loop: one thread that makes sandboxes, watches over them, and ends them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::child::{self, Birth, COMMAND, FAILED, GATEWAY, GO, READY, RECORD_BYTES};
use crate::controls::{Control, is_on};
use crate::error::{Ended, Enforcement, JailError, Step, Tier};
use crate::filter::Filters;
use crate::group::{Group, Groups};
use crate::guards::{self, Placeholder};
use crate::identity::{Identity, Owners, unavailable};
use crate::jail::{Clock, Jail, Lines, Stage};
use crate::plan::{Network, Plan, Strength};
use crate::profiles::Profiles;
use crate::socket::{self, Packet};
use crate::survey;
use crate::sys::{self, Side, Wait};
use crate::wire::{Reader, Writer, read_error, write_command, write_ended, write_enforcement, write_error};

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
enum Kind {
    Request = 0,
    Setup = 1,
    Status = 2,
    Listener = 3,
    Client = 4,
    Process = 5,
    Memory = 6,
}

/// A sandbox that is to be made.
struct Order {
    plan: Plan,
    protected: Vec<PathBuf>,
    /// The program's descriptors; none if it is made ahead.
    streams: Option<Vec<OwnedFd>>,
    /// Who is told.
    client: Option<OwnedFd>,
    /// The profile that it is made ahead for.
    profile: Option<u64>,
}

/// The network namespace that the spawner is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surroundings {
    /// One of its own, with nothing in it, which jails without a network can share: their filter lets them make no
    /// socket but connected pairs.
    Empty,
    /// The host's.
    Host,
}

/// What is left of sandboxes that have ended, to be taken away when there is time.
#[derive(Default)]
struct Remains {
    /// Those that could not be taken away yet, because a copy of a descriptor was still somewhere.
    placeholders: Vec<Placeholder>,
    /// Empty groups.
    groups: Vec<Group>,
}

/// Most groups that wait to be taken away.
const GROUPS_LEFT_MAX: usize = 32;

/// Everything that the loop knows.
pub(crate) struct Server {
    line: OwnedFd,
    epoll: OwnedFd,
    /// By slot; a slot decides who the sandbox is to the host.
    jails: Vec<Option<Jail>>,
    next_id: u64,
    profiles: Profiles,
    owners: Owners,
    filters: Filters,
    groups: Groups,
    landlock_abi: u32,
    /// The process that made this one.
    parent: Option<rustix::process::Pid>,
    remains: Remains,
    surroundings: Surroundings,
}

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
        let left = if has_work { Some(zero) } else { left };
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
            2 => self.recorded(slot),
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

    fn request(&mut self, mut packet: Packet) {
        let Ok(body) = socket::body(&mut packet) else { return };
        if packet.fds.is_empty() {
            return;
        }
        let client = packet.fds.remove(0);
        if body == [SURVEY] {
            return tell(&client, &[&[SURVEYED], survey::try_namespaces().as_slice()].concat(), &[]);
        }
        let (kind, count, plan, protected) = match read_request(&body) {
            Ok(request) => request,
            Err(error) => return tell_error(&client, &error),
        };
        let order = Order { plan, protected, streams: Some(packet.fds), client: Some(client), profile: None };
        if kind == PARK { self.park(order, count) } else { self.spawn(order) }
    }

    fn park(&mut self, mut order: Order, count: u32) {
        order.streams = None;
        let Some(client) = order.client.take() else { return };
        if let Err(error) = order.plan.check() {
            return tell_error(&client, &error);
        }
        if count == 0 {
            if let Some(profile) = self.profiles.find(&order.plan, &order.protected) {
                let ended = JailError::Refused { what: "making jails ahead".into(), why: "was ended".into() };
                self.give_up(profile, &ended);
            }
            return tell(&client, &[PARKED], &[]);
        }
        if let Err((client, error)) = self.profiles.add(order.plan, order.protected, count, client) {
            tell_error(&client, &error);
        }
        self.announce_parked();
    }

    fn spawn(&mut self, mut order: Order) {
        let profile = self.profiles.find(&order.plan, &order.protected);
        let is_ready = |jail: &Jail| jail.stage == Stage::Parked && jail.profile == profile;
        let parked = profile.and_then(|_| self.jails.iter().position(|jail| jail.as_ref().is_some_and(is_ready)));
        let made = match parked {
            Some(slot) => order.plan.check().and_then(|()| self.unpark(slot, &mut order)),
            None => self.make(&mut order),
        };
        if let (Err(error), Some(client)) = (made, order.client) {
            tell_error(&client, &error);
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

    fn give_up(&mut self, profile: u64, error: &JailError) {
        for client in self.profiles.remove(profile) {
            tell_error(&client, error);
        }
        let is_ahead = |stage| matches!(stage, Stage::Making | Stage::Parked);
        let of_profile = |jail: &&mut Jail| jail.profile == Some(profile) && is_ahead(jail.stage);
        self.jails.iter_mut().flatten().filter(of_profile).for_each(Jail::kill);
    }

    /// Begins to make a sandbox.
    fn make(&mut self, order: &mut Order) -> Result<(), JailError> {
        if order.profile.is_none() {
            order.plan.check()?;
        }
        self.filters.ready(&order.plan.network)?;
        let slot = self.free_slot()?;
        let identity = Identity::choose(slot as u32)?;
        let mut group = self.groups.make(&order.plan.limits)?;
        let memory = Group::holds_memory(group.as_ref());
        if memory == Strength::Approximate && order.plan.guarantees.memory == Strength::Exact {
            return Err(self.groups.no_memory());
        }
        let mut placeholders = guards::prepare(&order.plan)?;
        let trees = match identity {
            Identity::Own { .. } => Ok(None),
            Identity::Dedicated { .. } if !is_on(Control::Mounts) => Ok(None),
            Identity::Dedicated { .. } => {
                crate::binds::open_all(&order.plan, &order.protected, identity, &mut self.owners).map(Some)
            }
        };
        let born = trees.and_then(|trees| self.bear(order, identity, (trees, group.as_mut()), memory));
        match born {
            Ok((pid, lines)) => {
                let enforcement = Enforcement {
                    tier: Tier::A,
                    memory,
                    cpu: Group::holds_cpu(group.as_ref()),
                    process_view: Strength::Exact,
                    landlock_abi: self.landlock_abi,
                };
                let id = self.next_id;
                self.next_id += 1;
                let jail = Jail {
                    id,
                    stage: Stage::Making,
                    pid,
                    limits: order.plan.limits,
                    enforcement,
                    lines,
                    profile: order.profile,
                    placeholders,
                    group,
                    clock: Clock::new(),
                    breach: None,
                    failure: None,
                };
                self.jails[slot] = Some(jail);
                self.release(slot, identity, order)
            }
            Err(error) => {
                guards::clear(&mut placeholders);
                self.remains.placeholders.append(&mut placeholders);
                Err(error)
            }
        }
    }

    fn free_slot(&mut self) -> Result<usize, JailError> {
        if let Some(slot) = self.jails.iter().position(Option::is_none) {
            return Ok(slot);
        }
        if self.jails.len() >= SANDBOXES_MAX as usize {
            return Err(JailError::Busy { sandboxes_max: SANDBOXES_MAX });
        }
        self.jails.push(None);
        Ok(self.jails.len() - 1)
    }

    /// Makes the first process of a jail.
    fn bear(
        &self,
        order: &mut Order,
        identity: Identity,
        (trees, group): (Option<Vec<crate::binds::Tree>>, Option<&mut Group>),
        memory: Strength,
    ) -> Result<(i32, Lines), JailError> {
        let failed = || JailError::at(Step::Clone, "");
        let (setup, line) = socket::pair().map_err(failed())?;
        let (doors, group) = match group {
            Some(group) => (group.take_doors(), Some(group)),
            None => (Vec::new(), None),
        };
        let birthplace = group.as_deref().and_then(Group::birthplace);
        let flags = rustix::pipe::PipeFlags::CLOEXEC;
        let (status, record) = rustix::pipe::pipe_with(flags).map_err(failed())?;
        match sys::clone(namespaces(&order.plan.network, self.surroundings), birthplace).map_err(no_namespaces)? {
            Side::Child => child::live(Birth {
                plan: &order.plan,
                protected: &order.protected,
                identity,
                trees,
                line,
                status: record,
                streams: order.streams.take(),
                doors,
                filters: &self.filters,
                memory,
                landlock_abi: self.landlock_abi,
            }),
            Side::Parent(pid, Some(pidfd)) => {
                let lines = Lines {
                    pidfd,
                    setup: Some(setup),
                    status: Some(status),
                    listener: None,
                    client: None,
                    gateway: Vec::new(),
                };
                Ok((pid, lines))
            }
            Side::Parent(_, None) => Err(failed()(Errno::BADF)),
        }
    }

    /// Lets a new jail go on, once it is who it is to be and counted where it is to be counted.
    fn release(&mut self, slot: usize, identity: Identity, order: &mut Order) -> Result<(), JailError> {
        let Some(jail) = self.jails[slot].as_mut() else { return Ok(()) };
        let mut released = identity.write_maps(jail.pid as u32);
        let setup = jail.lines.setup.as_ref();
        released = released.and_then(|()| {
            let Some(setup) = setup else { return Ok(()) };
            socket::send(setup, &[GO], &[]).map_err(JailError::at(Step::Report, ""))
        });
        jail.lines.client = order.client.take();
        let watched = self.watch_over(slot);
        let Some(jail) = self.jails[slot].as_mut() else { return Ok(()) };
        if let Err(error) = released.and(watched) {
            // Whoever waits is told when everything is gone.
            jail.failure.get_or_insert(error);
            jail.kill();
        }
        Ok(())
    }

    fn watch_over(&self, slot: usize) -> Result<(), JailError> {
        let Some(jail) = &self.jails[slot] else { return Ok(()) };
        let lines = &jail.lines;
        if let Some((fd, flags)) = jail.group.as_ref().and_then(Group::memory_event) {
            let data = EventData::new_u64(jail.id << 3 | Kind::Memory as u64);
            epoll::add(&self.epoll, fd, data, flags).map_err(JailError::at(Step::Start, ""))?;
        }
        for (kind, fd) in [
            (Kind::Setup, lines.setup.as_ref().map(AsFd::as_fd)),
            (Kind::Status, lines.status.as_ref().map(AsFd::as_fd)),
            (Kind::Process, Some(lines.pidfd.as_fd())),
            (Kind::Client, lines.client.as_ref().map(AsFd::as_fd)),
        ] {
            if let Some(fd) = fd {
                self.watch(jail.id, kind, fd)?;
            }
        }
        Ok(())
    }

    fn watch(&self, id: u64, kind: Kind, fd: BorrowedFd<'_>) -> Result<(), JailError> {
        let data = EventData::new_u64(id << 3 | kind as u64);
        epoll::add(&self.epoll, fd, data, EventFlags::IN).map_err(JailError::at(Step::Start, ""))
    }

    /// Gives a parked jail its command.
    fn unpark(&mut self, slot: usize, order: &mut Order) -> Result<(), JailError> {
        let Some(jail) = self.jails[slot].as_mut() else { return Ok(()) };
        let mut out = Writer::default();
        out.byte(COMMAND);
        write_command(&mut out, &order.plan.command);
        let streams = order.streams.take().unwrap_or_default();
        let fds: Vec<BorrowedFd<'_>> = streams.iter().map(AsFd::as_fd).collect();
        jail.begin();
        jail.lines.client = order.client.take();
        let sent = match &jail.lines.setup {
            Some(setup) => socket::send_body(setup, &out.0, &fds),
            None => Err(Errno::PIPE),
        };
        let id = jail.id;
        if let Err(errno) = sent {
            jail.failure.get_or_insert(JailError::at(Step::Report, "the command")(errno));
            jail.kill();
        }
        let Some(client) = self.jails[slot].as_ref().and_then(|jail| jail.lines.client.as_ref()) else { return Ok(()) };
        self.watch(id, Kind::Client, client.as_fd())
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

    fn announce_parked(&mut self) {
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
        guards::clear(&mut jail.placeholders);
        self.remains.placeholders.append(&mut jail.placeholders);
        guards::clear(&mut self.remains.placeholders);
        self.remains.groups.extend(jail.group.take());
        if self.remains.groups.len() > GROUPS_LEFT_MAX {
            self.remains.groups.clear();
        }
        let Lines { pidfd, setup, status, listener, client, .. } = jail.lines;
        for fd in [Some(pidfd), setup, status, listener, client] {
            self.forget(fd);
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
        self.remains.groups.clear();
        guards::clear(&mut self.remains.placeholders);
    }
}

/// The namespaces of a jail. One without a network shares the spawner's where that is empty: a new one costs more than
/// all the others.
fn namespaces(network: &Network, surroundings: Surroundings) -> u64 {
    let is_shared = *network == Network::None && surroundings == Surroundings::Empty;
    let wanted = [
        (libc::CLONE_NEWUSER, None),
        (libc::CLONE_NEWNS, None),
        (libc::CLONE_NEWCGROUP, None),
        (libc::CLONE_NEWPID, Some(Control::Pidns)),
        (libc::CLONE_NEWIPC, Some(Control::Ipcns)),
        (libc::CLONE_NEWUTS, Some(Control::Utsns)),
        (libc::CLONE_NEWNET, Some(Control::Netns)),
    ];
    let on = wanted.into_iter().filter(|(_, control)| control.is_none_or(is_on));
    let on = on.filter(|(flag, _)| *flag != libc::CLONE_NEWNET || !is_shared);
    on.fold(0, |flags, (flag, _)| flags | flag as u64)
}

/// What it means that no namespaces can be made.
pub(crate) fn no_namespaces(errno: Errno) -> JailError {
    let (found, remedy) = match errno {
        Errno::NOSPC | Errno::USERS => (
            "the limit of namespaces is reached or 0",
            "raise sysctl user.max_user_namespaces and its like for pid, mnt, net, ipc, uts and cgroup",
        ),
        Errno::PERM | Errno::ACCESS => (
            "the kernel forbids them",
            "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1), or start the container with a seccomp profile that allows clone, unshare and mount",
        ),
        Errno::NOSYS => (
            "the kernel has no clone3, or a filter hides it",
            "use Linux 5.14 or newer, or a container profile that allows clone3",
        ),
        Errno::INVAL => ("the kernel was built without some of them", "use a kernel with all namespaces"),
        other => return JailError::at(Step::Clone, "")(other),
    };
    unavailable("namespaces", found, remedy)
}

/// Its kind, how many, of what, and what is protected.
fn read_request(body: &[u8]) -> Result<(u8, u32, Plan, Vec<PathBuf>), JailError> {
    let unread = |_| JailError::Refused { what: "the request".into(), why: "cannot be read".into() };
    let mut from = Reader(body);
    let kind = from.byte().map_err(unread)?;
    let count = from.number().map_err(unread)?;
    let protected = from.paths().map_err(unread)?;
    let plan = Plan::decode(from.0).map_err(unread)?;
    match (kind, u32::try_from(count)) {
        (SPAWN | PARK, Ok(count)) => Ok((kind, count, plan, protected)),
        _ => Err(JailError::Refused { what: "the request".into(), why: "is of no known kind".into() }),
    }
}

/// Tells somebody something. If nobody listens any more, that shows as a closed end; and if its queue is full, it has
/// not read what it was told before, and does not matter.
fn tell(client: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let _told = socket::send_now(client, bytes, fds);
}

fn tell_error(client: &OwnedFd, error: &JailError) {
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
