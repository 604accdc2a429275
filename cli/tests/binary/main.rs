//! Tests of the built program, from outside: what a person, a script or a bad day can do to it.
#![cfg(unix)]

#[cfg(test)]
mod bad_days;
#[cfg(test)]
mod bad_providers;
#[cfg(test)]
mod ground;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod run;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod web;
