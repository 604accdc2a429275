//! Tests of the built program, from outside: what a person, a script or a bad day can do to it.
#![cfg(test)]
#![cfg(unix)]

mod approval;
mod audit;
mod bad_days;
mod bad_providers;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod bench;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod code_worker;
mod completions;
mod config;
mod conversations;
mod doctor;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod far;
mod ground;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod kernel_mode;
mod manifest;
mod model;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod network;
mod onboard;
mod person;
mod policy;
mod policy_hidden;
mod providers;
mod run;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod sandbox;
mod secrets;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod secure_bad_days;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod shell;
mod signals;
mod telemetry;
mod tools;
mod trace;
mod web;
mod wizard;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod yard;
