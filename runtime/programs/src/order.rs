//! What is to be executed for a call.

/// What a call amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// One program, from its start to its end.
    Once(Line),
    /// Something in a shell that lives on between calls.
    Session {
        /// The session's name; one that is not there yet is started.
        name: String,
        /// What to do in it.
        action: Action,
        /// How long it may take, in seconds.
        seconds_max: u64,
    },
}

/// One program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// A name to look for among the system's programs, or a path within the workspace that has a `/`.
    pub program: String,
    /// Its arguments, without its own name.
    pub args: Vec<String>,
    /// Variables beyond those that every program gets.
    pub env: Vec<(&'static str, String)>,
    /// The directory it starts in, relative to the workspace; empty for the workspace itself.
    pub folder: String,
    /// What it can read from its standard input.
    pub input: String,
    /// How long it may take, in seconds.
    pub seconds_max: u64,
}

/// What to do in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run a command line and wait for it.
    Run(String),
    /// Start a command line in the background, as a job.
    Start(String),
    /// List the jobs.
    Jobs,
    /// Kill a job, with all its children.
    Kill(u64),
}
