//! Tests of the provider server over real sockets, and of the recordings.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod client;
#[cfg(test)]
mod meaning;
#[cfg(test)]
mod program;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod transport;
