//! The same doors on systems without jails: each says so, and nothing runs.

use std::convert::Infallible;
use std::path::PathBuf;

use crate::error::{Ended, Enforcement, JailError, Missing, Tier};
use crate::mechanism::{Mechanism, State, Survey};
use crate::plan::Plan;

/// A descriptor of this system.
#[cfg(unix)]
type Descriptor = std::os::fd::OwnedFd;
/// A descriptor of this system.
#[cfg(windows)]
type Descriptor = std::os::windows::io::OwnedHandle;

/// The first argument that makes a program a spawner, where there is one.
pub const SPAWNER_WORD: &str = "--aether-spawner";
/// Most descriptors of a program beside the first three.
pub const EXTRA_MAX: usize = 16;
/// Sandboxes of one spawner at once.
pub const SANDBOXES_MAX: u32 = 256;

/// Where programs can run in jails.
const REMEDY: &str = "run on Linux, in a virtual machine for example";

fn unavailable() -> JailError {
    let missing = Missing {
        mechanism: "jails".into(),
        found: format!("{} has no namespaces", std::env::consts::OS),
        remedy: REMEDY.into(),
    };
    JailError::Unavailable { missing: vec![missing] }
}

/// The descriptors of a program.
pub struct Streams {
    /// Descriptor 0.
    pub stdin: Descriptor,
    /// Descriptor 1.
    pub stdout: Descriptor,
    /// Descriptor 2.
    pub stderr: Descriptor,
    /// 3, 4 and so on.
    pub extra: Vec<Descriptor>,
}

/// A spawner, of which there is none.
#[derive(Debug)]
pub struct Spawner(Infallible);

impl Spawner {
    /// Starts none.
    ///
    /// # Errors
    /// Always [`JailError::Unavailable`].
    pub fn exec() -> Result<Spawner, JailError> {
        Err(unavailable())
    }

    /// Starts none.
    ///
    /// # Errors
    /// Always [`JailError::Unavailable`].
    pub fn fork() -> Result<Spawner, JailError> {
        Err(unavailable())
    }

    /// The same.
    #[must_use]
    pub fn protecting(self, _: Vec<PathBuf>) -> Spawner {
        self
    }

    /// There is no spawner to call this on.
    ///
    /// # Errors
    /// None.
    pub fn spawn(&self, _: &Plan, _: Streams) -> Result<Sandbox, JailError> {
        match self.0 {}
    }

    /// There is no spawner to call this on.
    ///
    /// # Errors
    /// None.
    pub fn park(&self, _: &Plan, _: u32) -> Result<(), JailError> {
        match self.0 {}
    }
}

/// Ends the process: there is nothing to serve.
pub fn serve() -> ! {
    std::process::exit(2)
}

/// A sandbox, of which there is none.
#[derive(Debug)]
pub struct Sandbox(Infallible);

/// Sockets inside a jail, of which there are none.
#[derive(Debug)]
pub struct Gateway {
    /// One for each declared port.
    pub listeners: Vec<(u16, Descriptor)>,
    /// The resolver's, for UDP.
    pub dns_udp: Descriptor,
    /// The resolver's, for TCP.
    pub dns_tcp: Descriptor,
}

impl Sandbox {
    /// There is no sandbox to call this on.
    pub fn kill(&self) {
        match self.0 {}
    }

    /// There is no sandbox to call this on.
    #[cfg(unix)]
    #[must_use]
    pub fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self.0 {}
    }

    /// There is no sandbox to call this on.
    ///
    /// # Errors
    /// None.
    pub fn ended(&mut self) -> Result<Option<Ended>, JailError> {
        match self.0 {}
    }

    /// There is no sandbox to call this on.
    ///
    /// # Errors
    /// None.
    pub fn wait(&mut self) -> Result<Ended, JailError> {
        match self.0 {}
    }

    /// There is no sandbox to call this on.
    pub fn take_gateway(&mut self) -> Option<Gateway> {
        match self.0 {}
    }

    /// There is no sandbox to call this on.
    #[must_use]
    pub fn enforcement(&self) -> &Enforcement {
        match self.0 {}
    }

    /// There is no sandbox to call this on.
    #[must_use]
    pub fn id(&self) -> u64 {
        match self.0 {}
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Sandbox {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self.0 {}
    }
}

/// Finds out that there is nothing.
#[must_use]
pub fn survey() -> Survey {
    let found = format!("{} has no namespaces", std::env::consts::OS);
    let mechanism = Mechanism { name: "jails", state: State::Missing(found), remedy: Some(REMEDY.into()) };
    Survey { tier: Tier::None, mechanisms: vec![mechanism] }
}
