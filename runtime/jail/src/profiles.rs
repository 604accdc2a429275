//! Which jails are to be made ahead.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::error::JailError;
use crate::jail::{Jail, Stage};
use crate::plan::Plan;

/// Most profiles that are made ahead for.
const PROFILES_MAX: usize = 8;
/// Most jails that one profile has ahead.
pub(crate) const AHEAD_MAX: u32 = 16;

/// Everything of a plan but its command.
struct Profile {
    id: u64,
    key: Vec<u8>,
    plan: Plan,
    protected: Vec<PathBuf>,
    count: u32,
    /// Those who wait until all are made.
    waiting: Vec<OwnedFd>,
}

/// The profiles, in the order in which they came.
#[derive(Default)]
pub(crate) struct Profiles {
    known: Vec<Profile>,
    next_id: u64,
}

impl Profiles {
    /// From now on, there are to be `count` jails of this profile ahead.
    pub(crate) fn add(
        &mut self,
        plan: Plan,
        protected: Vec<PathBuf>,
        count: u32,
        client: OwnedFd,
    ) -> Result<(), (OwnedFd, JailError)> {
        let refused = |why: &str| JailError::Refused { what: "making jails ahead".into(), why: why.into() };
        if count > AHEAD_MAX {
            return Err((client, refused("goes up to 16 for one profile")));
        }
        let key = plan.profile();
        if let Some(known) = self.known.iter_mut().find(|known| known.key == key && known.protected == protected) {
            known.count = count;
            known.waiting.push(client);
            return Ok(());
        }
        if self.known.len() == PROFILES_MAX {
            return Err((client, refused("goes up to 8 profiles")));
        }
        self.next_id += 1;
        self.known.push(Profile { id: self.next_id, key, plan, protected, count, waiting: vec![client] });
        Ok(())
    }

    /// The profile of a plan, if there is one.
    pub(crate) fn find(&self, plan: &Plan, protected: &[PathBuf]) -> Option<u64> {
        if self.known.is_empty() {
            return None;
        }
        let key = plan.profile();
        self.known.iter().find(|known| known.key == key && known.protected == protected).map(|known| known.id)
    }

    /// What a jail of this profile is made from.
    pub(crate) fn pattern(&self, id: u64) -> Option<(Plan, Vec<PathBuf>)> {
        let known = self.known.iter().find(|known| known.id == id)?;
        Some((known.plan.clone(), known.protected.clone()))
    }

    /// Whether somebody waits until jails are made.
    pub(crate) fn is_awaited(&self) -> bool {
        self.known.iter().any(|profile| !profile.waiting.is_empty())
    }

    /// The first profile that has fewer jails than it is to have.
    pub(crate) fn wanting(&self, jails: &[Option<Jail>]) -> Option<u64> {
        let has = |profile: &Profile| {
            let ahead =
                |jail: &&Jail| jail.profile == Some(profile.id) && matches!(jail.stage, Stage::Making | Stage::Parked);
            jails.iter().flatten().filter(ahead).count()
        };
        self.known.iter().find(|profile| has(profile) < profile.count as usize).map(|profile| profile.id)
    }

    /// Takes those who waited for profiles whose jails are all made.
    pub(crate) fn complete(&mut self, jails: &[Option<Jail>]) -> Vec<OwnedFd> {
        let mut told = Vec::new();
        for profile in self.known.iter_mut().filter(|profile| !profile.waiting.is_empty()) {
            let parked = |jail: &&Jail| jail.profile == Some(profile.id) && jail.stage == Stage::Parked;
            if jails.iter().flatten().filter(parked).count() >= profile.count as usize {
                told.append(&mut profile.waiting);
            }
        }
        told
    }

    /// Takes a profile away, and those who waited for it.
    pub(crate) fn remove(&mut self, id: u64) -> Vec<OwnedFd> {
        let at = self.known.iter().position(|known| known.id == id);
        at.map(|at| self.known.remove(at).waiting).unwrap_or_default()
    }
}
