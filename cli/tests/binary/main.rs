//! Tests of the built program, from outside: what a person, a script or a bad day can do to it.
#![cfg(test)]
#![cfg(unix)]

mod audit;
mod bad_days;
mod bad_providers;
mod completions;
mod config;
mod conversations;
mod doctor;
mod ground;
mod manifest;
mod model;
mod onboard;
mod person;
mod policy;
mod providers;
mod run;
mod secrets;
mod signals;
mod telemetry;
mod tools;
mod web;
mod wizard;
