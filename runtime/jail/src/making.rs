//! The spawner's other half: from a request to a jail in which a program starts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::binds::{Known, Protection};
use crate::child::{self, Birth, COMMAND, GO};
use crate::controls::{Control, is_on};
use crate::error::{Enforcement, JailError, Step, Tier};
use crate::group::Group;
use crate::guards;
use crate::identity::{Identity, unavailable};
use crate::jail::{Clock, Jail, Lines, Stage};
use crate::plan::{Looseness, Network, Plan, Strength};
use crate::server::{
    Kind, PARK, PARKED, SANDBOXES_MAX, SPAWN, SURVEY, SURVEYED, Server, Surroundings, tell, tell_error,
};
use crate::socket::{self, Packet};
use crate::survey;
use crate::sys::{self, Side};
use crate::wire::{Reader, Writer, write_command};

/// A sandbox that is to be made.
pub(crate) struct Order {
    pub(crate) plan: Plan,
    pub(crate) protected: Vec<PathBuf>,
    /// The program's descriptors; none if it is made ahead.
    pub(crate) streams: Option<Vec<OwnedFd>>,
    /// Who is told.
    pub(crate) client: Option<OwnedFd>,
    /// The profile that it is made ahead for.
    pub(crate) profile: Option<u64>,
}

impl Server {
    /// Takes in one request.
    pub(crate) fn request(&mut self, mut packet: Packet) {
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

    /// Begins to make a sandbox.
    pub(crate) fn make(&mut self, order: &mut Order) -> Result<(), JailError> {
        if order.profile.is_none() {
            order.plan.check()?;
        }
        if self.surroundings == Surroundings::Bare {
            return self.make_without_namespaces(order);
        }
        self.filters.ready(&order.plan.network)?;
        let slot = self.free_slot()?;
        let identity = Identity::choose(slot as u32)?;
        let mut group = self.groups.make(&order.plan.limits)?;
        let memory = Group::holds_memory(group.as_ref());
        if memory == Strength::Approximate && order.plan.guarantees.memory == Strength::Exact {
            return Err(self.groups.no_memory());
        }
        let protection = Protection::of(&order.plan, &order.protected);
        let mut prepared = guards::prepare(&order.plan, &protection)?;
        let known = Known { protection: &protection, ground: &prepared.ground };
        let trees = match identity {
            Identity::Own { .. } => Ok(None),
            Identity::Dedicated { .. } if !is_on(Control::Mounts) => Ok(None),
            Identity::Dedicated { .. } => {
                crate::binds::open_all(&order.plan, known, identity, &mut self.owners).map(Some)
            }
        };
        let born = trees.and_then(|trees| self.bear(order, (identity, known), (trees, group.as_mut()), memory));
        match born {
            Ok((pid, lines)) => {
                let enforcement = Enforcement {
                    tier: Tier::A,
                    memory,
                    cpu: Group::holds_cpu(group.as_ref()),
                    process_view: Strength::Exact,
                    without_namespaces: Looseness::NONE,
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
                    placeholders: prepared.held,
                    group,
                    clock: Clock::new(),
                    breach: None,
                    failure: None,
                };
                self.jails[slot] = Some(jail);
                self.release(slot, identity, order)
            }
            Err(error) => {
                guards::clear(&mut prepared.held);
                self.remains.placeholders.append(&mut prepared.held);
                Err(error)
            }
        }
    }

    pub(crate) fn free_slot(&mut self) -> Result<usize, JailError> {
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
        (identity, known): (Identity, Known<'_>),
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
                known,
                identity,
                trees,
                line,
                status: record,
                streams: order.streams.take(),
                doors,
                filters: &self.filters,
                memory,
                landlock_abi: self.landlock_abi,
                scratch: None,
            }),
            Side::Parent(pid, Some(pidfd)) => {
                let lines = Lines {
                    pidfd,
                    setup: Some(setup),
                    status: Some(status),
                    listener: None,
                    client: None,
                    gateway: Vec::new(),
                    scratch: None,
                };
                Ok((pid, lines))
            }
            Side::Parent(_, None) => Err(failed()(Errno::BADF)),
        }
    }

    /// Lets a new jail go on, once it is who it is to be and counted where it is to be counted.
    pub(crate) fn release(&mut self, slot: usize, identity: Identity, order: &mut Order) -> Result<(), JailError> {
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

    pub(crate) fn watch(&self, id: u64, kind: Kind, fd: BorrowedFd<'_>) -> Result<(), JailError> {
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
        Errno::PERM | Errno::ACCESS | Errno::NOSYS if is_filtered() => (
            "a filter of system calls around this process refuses them, as container engines install one",
            "start the container with a seccomp profile that allows clone3, unshare and mount (`--security-opt seccomp=FILE`)",
        ),
        Errno::PERM | Errno::ACCESS => (
            "the kernel forbids them to this user",
            "allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1",
        ),
        Errno::NOSYS => ("the kernel has no clone3", "use Linux 5.14 or newer"),
        Errno::INVAL => ("the kernel was built without some of them", "use a kernel with all namespaces"),
        other => return JailError::at(Step::Clone, "")(other),
    };
    unavailable("namespaces", found, remedy)
}

/// Whether this process is under a filter of system calls that somebody else installed (`proc_pid_status(5)`): the
/// spawner has none of its own.
fn is_filtered() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
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
