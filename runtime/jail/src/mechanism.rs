//! What a survey says.

use crate::error::Tier;

/// What this machine can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The strongest jail that can be had.
    pub tier: Tier,
    /// Each mechanism.
    pub mechanisms: Vec<Mechanism>,
}

/// One mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mechanism {
    /// What it is called.
    pub name: &'static str,
    /// Whether it is there.
    pub state: State,
    /// What can be done where it is missing.
    pub remedy: Option<String>,
}

/// Whether a mechanism is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is, and this is known of it.
    Present(String),
    /// It is not, for this reason.
    Missing(String),
}
