//! A broker between real sockets: names, connections, secrets, and what must not get through.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod stage;
#[cfg(feature = "unplug")]
#[cfg(test)]
mod twins;
