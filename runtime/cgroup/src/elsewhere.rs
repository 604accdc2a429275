//! The same doors on systems without control groups: each says so.

use std::convert::Infallible;
use std::path::Path;

use crate::limits::{Breach, CgroupError, Controller, Enforced, Limits, Missing, Sign, Version};

/// No place at all.
#[derive(Clone, Debug)]
pub struct Seat(Infallible);

impl Seat {
    /// Which interface it has.
    #[must_use]
    pub fn version(&self) -> Version {
        match self.0 {}
    }

    /// The directory beneath which groups are made.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self.0 {}
    }
}

/// Where groups can be made: nowhere.
#[derive(Debug)]
pub struct Hierarchies {
    missing: Missing,
}

impl Hierarchies {
    /// Finds out that there are none.
    #[must_use]
    pub fn detect() -> Hierarchies {
        let reason = CgroupError::Unavailable.to_string();
        Hierarchies { missing: Missing { reason, remedy: "run on Linux" } }
    }

    /// As if there were none, for this reason.
    #[must_use]
    pub fn without(missing: &Missing) -> Hierarchies {
        Hierarchies { missing: missing.clone() }
    }

    /// Where groups with this controller are made.
    ///
    /// # Errors
    ///
    /// Always [`Missing`].
    pub fn seat(&self, _: Controller) -> Result<&Seat, &Missing> {
        Err(&self.missing)
    }

    /// Where groups whose processor time is counted are made.
    ///
    /// # Errors
    ///
    /// Always [`Missing`].
    pub fn usage(&self) -> Result<&Seat, &Missing> {
        Err(&self.missing)
    }
}

/// A group, of which there is none.
#[derive(Debug)]
pub struct Group(Infallible);

impl Group {
    /// Makes none.
    ///
    /// # Errors
    ///
    /// Always [`CgroupError::Unavailable`].
    pub fn create(_: &Hierarchies, _: &str, _: &Limits) -> Result<Group, CgroupError> {
        Err(CgroupError::Unavailable)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.0 {}
    }

    /// Which limits are held.
    #[must_use]
    pub fn enforced(&self) -> Enforced {
        match self.0 {}
    }

    /// Puts a process into the group.
    ///
    /// # Errors
    ///
    /// There is no group to call this on.
    pub fn add(&self, _: u32) -> Result<(), CgroupError> {
        match self.0 {}
    }

    /// The most memory that was used at once, in bytes.
    #[must_use]
    pub fn memory_peak(&self) -> Option<u64> {
        match self.0 {}
    }

    /// The processor time that was used, in microseconds.
    #[must_use]
    pub fn cpu_us(&self) -> Option<u64> {
        match self.0 {}
    }

    /// The limit that was run into.
    ///
    /// # Errors
    ///
    /// There is no group to call this on.
    pub fn breach(&self) -> Result<Option<Breach>, CgroupError> {
        match self.0 {}
    }

    /// Something to wait on until memory is used up.
    ///
    /// # Errors
    ///
    /// There is no group to call this on.
    pub fn alarm(&self) -> Result<Option<Alarm>, CgroupError> {
        match self.0 {}
    }

    /// Kills every process of the group.
    ///
    /// # Errors
    ///
    /// There is no group to call this on.
    pub fn kill(&self) -> Result<(), CgroupError> {
        match self.0 {}
    }

    /// Removes the group.
    ///
    /// # Errors
    ///
    /// There is no group to call this on.
    pub fn close(self) -> Result<(), CgroupError> {
        match self.0 {}
    }
}

/// An alarm, of which there is none.
#[derive(Debug)]
pub struct Alarm(Infallible);

impl Alarm {
    /// What to wait for on the descriptor.
    #[must_use]
    pub fn sign(&self) -> Sign {
        match self.0 {}
    }

    /// Takes note of what was said.
    pub fn settle(&self) {
        match self.0 {}
    }
}

/// Removes nothing, because there is nothing.
///
/// # Errors
///
/// Always [`CgroupError::Unavailable`].
pub fn sweep(_: &Hierarchies, _: &str) -> Result<usize, CgroupError> {
    Err(CgroupError::Unavailable)
}
