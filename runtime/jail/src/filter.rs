//! The filters of system calls, made once and handed to every jail.

use std::cell::OnceCell;
use std::os::fd::OwnedFd;

use aether_seccomp::{
    Action, Arch, Breach, Filter, Instruction, Internet, Namespaces, Policy, Rule, Tool, Unix, syscall_number,
};
use rustix::io::Errno;

use crate::error::{JailError, Step};
use crate::plan::Network;
use crate::sys::{self, Listening};

type Program = Vec<Instruction>;

/// The programs, each made when it is first needed.
#[derive(Default)]
pub(crate) struct Filters {
    isolated: OnceCell<Program>,
    brokered: OnceCell<Program>,
    first: OnceCell<Program>,
    without_namespaces: OnceCell<Program>,
    unseen: OnceCell<Program>,
}

/// What makes memory that is no process's: a watch over processes does not see it. Libraries do without.
const UNSEEN: &[&str] = &["memfd_create", "shmget"];

/// Takes the calls of [`UNSEEN`] away, and no others.
fn seen_alone() -> Result<Program, JailError> {
    let unavailable =
        |error: String| crate::identity::unavailable("a filter of system calls", &error, "run on x86_64 or aarch64");
    let Some(arch) = Arch::native() else { return Err(unavailable("not for this processor".into())) };
    let mut filter = Filter::new(arch, Action::Allow);
    for number in UNSEEN.iter().filter_map(|name| syscall_number(arch, name)) {
        let absent = Rule::always(Action::Errno(libc::ENOSYS as u16));
        filter.set(number, absent).map_err(|error| unavailable(error.to_string()))?;
    }
    filter.program().map_err(|error| unavailable(error.to_string()))
}

fn tool(network: &Network, breach: Breach) -> Policy {
    let internet = match network {
        Network::None => Internet::Denied,
        Network::Brokered { .. } => Internet::StreamAndDatagram,
    };
    Policy::Tool(Tool { unix: Unix::Denied, internet, breach, ..Tool::default() })
}

/// For a program that shares the host's processes and files.
fn stranger(breach: Breach) -> Policy {
    let namespaces = Namespaces::Host;
    Policy::Tool(Tool { unix: Unix::Denied, internet: Internet::Denied, breach, namespaces, ..Tool::default() })
}

fn make(policy: &Policy) -> Result<Program, JailError> {
    policy.native_program().map_err(|error| {
        crate::identity::unavailable("a filter of system calls", &error.to_string(), "run on x86_64 or aarch64")
    })
}

fn kept<'a>(cell: &'a OnceCell<Program>, policy: &Policy) -> Result<&'a Program, JailError> {
    if let Some(program) = cell.get() {
        return Ok(program);
    }
    let program = make(policy)?;
    Ok(cell.get_or_init(|| program))
}

impl Filters {
    /// Makes what a jail with this network needs, so that its processes find it made.
    pub(crate) fn ready(&self, network: &Network) -> Result<(), JailError> {
        self.of_tool(network)?;
        if self.unseen.get().is_none() {
            let program = seen_alone()?;
            self.unseen.get_or_init(|| program);
        }
        kept(&self.first, &Policy::Init).map(|_| ())
    }

    fn of_tool(&self, network: &Network) -> Result<&Program, JailError> {
        let cell = if *network == Network::None { &self.isolated } else { &self.brokered };
        kept(cell, &tool(network, Breach::Notify))
    }

    /// Puts this process, soon to be the tool, under its filter. Where nobody can be told of a forbidden call, because
    /// a filter around this one has a listener, the kernel kills at once.
    pub(crate) fn install_tool(&self, network: &Network) -> Result<Option<OwnedFd>, JailError> {
        match sys::install(self.of_tool(network)?, Listening::Yes) {
            Err(Errno::BUSY) => {
                let deaf = make(&tool(network, Breach::Kill))?;
                sys::install(&deaf, Listening::No).map_err(JailError::at(Step::Filter, ""))
            }
            installed => installed.map_err(JailError::at(Step::Filter, "")),
        }
    }

    /// Puts this process, whose memory is watched rather than held, where it cannot have memory that is not seen.
    pub(crate) fn install_seen_alone(&self) -> Result<(), JailError> {
        let program = match self.unseen.get() {
            Some(program) => program,
            None => &seen_alone()?,
        };
        sys::install(program, Listening::No).map(|_| ()).map_err(JailError::at(Step::Filter, "of unseen memory"))
    }

    /// As [`Filters::ready`], for a jail without namespaces.
    pub(crate) fn ready_without_namespaces(&self) -> Result<(), JailError> {
        kept(&self.without_namespaces, &stranger(Breach::Notify)).map(|_| ())
    }

    /// As [`Filters::install_tool`], for a jail without namespaces.
    pub(crate) fn install_tool_without_namespaces(&self) -> Result<Option<OwnedFd>, JailError> {
        match sys::install(kept(&self.without_namespaces, &stranger(Breach::Notify))?, Listening::Yes) {
            Err(Errno::BUSY) => sys::install(&make(&stranger(Breach::Kill))?, Listening::No),
            installed => installed,
        }
        .map_err(JailError::at(Step::Filter, ""))
    }

    /// Puts this process, the first of its jail, under its filter.
    pub(crate) fn install_first(&self) -> Result<(), JailError> {
        let program = kept(&self.first, &Policy::Init)?;
        sys::install(program, Listening::No).map(|_| ()).map_err(JailError::at(Step::Filter, "of the first process"))
    }
}
