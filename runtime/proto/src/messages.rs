//! The messages of `aether.proto`, one structure each.
//!
//! What each means stands in the schema; here are units and what absence means.

/// One call.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RunRequest {
    /// The tool's name.
    #[prost(string, tag = "1")]
    pub tool: String,
    /// The input, a JSON text.
    #[prost(string, tag = "2")]
    pub input: String,
    /// The session to run in; `None` for a call that keeps nothing.
    #[prost(string, optional, tag = "3")]
    pub session: Option<String>,
}

/// One thing that happened to a call.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RunEvent {
    /// What happened; `None` from a peer that knows more kinds than this one.
    #[prost(oneof = "run_event::Event", tags = "1, 2, 3, 4")]
    pub event: Option<run_event::Event>,
}

/// What can happen to a call.
pub mod run_event {
    /// One of four.
    #[derive(Clone, PartialEq, Eq, prost::Oneof)]
    pub enum Event {
        /// Bytes the program wrote to its standard output.
        #[prost(bytes, tag = "1")]
        Stdout(Vec<u8>),
        /// Bytes the program wrote to its standard error.
        #[prost(bytes, tag = "2")]
        Stderr(Vec<u8>),
        /// Something the runtime itself has to say, for the log.
        #[prost(string, tag = "3")]
        Note(String),
        /// The end.
        #[prost(message, tag = "4")]
        Finished(super::Finished),
    }
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Finished {
    /// An [`Outcome`].
    #[prost(enumeration = "Outcome", tag = "1")]
    pub outcome: i32,
    /// What the model is shown.
    #[prost(string, tag = "2")]
    pub text: String,
    /// The program's exit code, where it exited.
    #[prost(int32, optional, tag = "3")]
    pub exit_code: Option<i32>,
    /// The signal that ended it, where one did.
    #[prost(int32, optional, tag = "4")]
    pub signal: Option<i32>,
    /// Which limit or rule it broke; empty if none.
    #[prost(string, tag = "5")]
    pub breach: String,
    /// Milliseconds from start to end.
    #[prost(uint64, tag = "6")]
    pub wall_ms: u64,
    /// Processor milliseconds of all its processes.
    #[prost(uint64, tag = "7")]
    pub cpu_ms: u64,
    /// The most bytes of memory it held at once; 0 where that is not known.
    #[prost(uint64, tag = "8")]
    pub memory_bytes_peak: u64,
    /// How its limits were enforced; empty if all exactly.
    #[prost(string, tag = "9")]
    pub enforcement: String,
}

/// How a call ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Outcome {
    /// Never sent.
    Unspecified = 0,
    /// It did what was asked.
    Done = 1,
    /// It ran and did not succeed.
    Failed = 2,
    /// It was killed for breaking a limit or a rule.
    Breach = 3,
}

/// The wish to end a session.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CloseRequest {
    /// The session's name.
    #[prost(string, tag = "1")]
    pub session: String,
}

/// The session is ended.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct CloseReply {}

/// The question how the secure runtime is.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct StatusRequest {}

/// How the secure runtime is.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StatusReply {
    /// What the worker says of itself, in lines.
    #[prost(string, tag = "1")]
    pub text: String,
    /// Calls that are running.
    #[prost(uint32, tag = "2")]
    pub in_flight: u32,
    /// Calls that were let in since the start.
    #[prost(uint64, tag = "3")]
    pub calls_total: u64,
    /// Requests that were refused since the start.
    #[prost(uint64, tag = "4")]
    pub refused_total: u64,
    /// Milliseconds since it began to serve.
    #[prost(uint64, tag = "5")]
    pub serving_ms: u64,
}
