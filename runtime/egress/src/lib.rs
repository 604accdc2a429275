//! Wet: the one way from a jail to the network.
//!
//! # What it is
//!
//! A [`Broker`] is handed sockets that listen inside a jail's own network namespace, where no other way out exists, and
//! [`Rules`]. A name that is asked for there gets a made-up address if it is granted. A connection to such an address says
//! in its first bytes whom it is for: in the name of a TLS hello, or in the `Host` of each HTTP request. If that is the
//! name that was granted, the broker looks the name up, judges every address, connects to one of them and carries bytes
//! both ways, within quotas. For hosts that have a [`Secret`] the connection ends in the broker, which adds the secret and
//! takes its echoes out of the answer. Every decision is told to a [`Sink`].
//!
//! What decides is dry and stands in files of its own: [`names`], [`dns`], [`leases`], [`hello`], [`head`], [`inspect`],
//! [`address`], [`scrub`].
//!
//! # What is not here
//!
//! No UDP but for names, no protocol but TLS and HTTP/1, no IPv6 towards the jail (towards hosts there is), no redirects
//! followed, no cache, no proxy variables, no look into TLS that is not the broker's own: a host that serves many names can
//! be asked for another one inside. No retry in a less strict way.
//!
//! # Invariants
//!
//! - **E1** Only what the rules grant is reached: a name they cover, at a port they cover it at.
//! - **E2** No spelling of an address is a name, and an address is granted only by its own four numbers.
//! - **E3** Every address of a name is judged, and the connection goes to one that was. Addresses that are not public, of
//!   metadata services and of this machine are reached only where the operator named them.
//! - **E4** A TLS connection goes on only when its hello, complete, names its host, once and in the clear.
//! - **E5** A plain HTTP connection goes on only as long as every request on it, read without leniency, is for its host.
//! - **E6** A question for a name is answered here and leaves no trace outside; a question that is not granted is refused.
//! - **E7** No byte of an answer to a request with a secret reaches the jail before it was looked at for the secret.
//! - **E8** A secret goes to its own host, over TLS with a checked certificate, and nowhere else.
//! - **E9** Every wait, size and count has a limit with a name; whatever is left of a jail ends with its [`Serving`].
//! - **E10** Every refusal is told of, up to a limit, and counted.
//! - **E11** What the operator denies, or does not allow, is reached by nobody: no name of it has an address, no connection
//!   goes to it by name or number, and none to an address that is denied by whatever name it was found ([`Bounds`]).

#![forbid(unsafe_code)]

pub mod address;
mod bounds;
mod broker;
mod connection;
mod decision;
mod dial;
pub mod dns;
mod error;
pub mod head;
pub mod hello;
pub mod inspect;
mod issuer;
pub mod leases;
mod line;
mod lookup;
mod meter;
pub mod names;
mod relay;
mod rules;
pub mod scrub;
mod terminate;
mod unplug;

pub use address::{Barred, Range};
pub use bounds::{Bounds, DeniedHost};
pub use broker::{Broker, Descriptor, Destination, Gateway, Options, Serving, Sink};
pub use decision::{Decision, Spent, Verdict, What, Why};
pub use dial::{Resolve, SystemResolver};
pub use error::EgressError;
pub use meter::Traffic;
pub use rules::{PLAIN_PORT, PUBLIC_PORTS, Quotas, Rules, Secret, ports};
