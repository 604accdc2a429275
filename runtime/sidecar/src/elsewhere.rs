//! The same doors where there is no secure runtime: they say so.

use std::process::ExitCode;

use crate::call::{Call, Event, Finished, Health, Piece};
use crate::error::SidecarError;
use crate::options::Options;
use crate::worker::Setup;

/// A sidecar that cannot be.
#[derive(Debug)]
pub struct Sidecar(std::convert::Infallible);

impl Sidecar {
    /// Says that there is none on this system.
    ///
    /// # Errors
    /// [`SidecarError::Absent`], always.
    pub async fn start(_options: Options) -> Result<Sidecar, SidecarError> {
        Err(SidecarError::Absent)
    }

    /// Never called: there is no value of this type.
    ///
    /// # Errors
    /// None.
    pub async fn run(&self, _call: Call) -> Result<Running, SidecarError> {
        match self.0 {}
    }

    /// Never called: there is no value of this type.
    ///
    /// # Errors
    /// None.
    pub async fn close(&self, _session: &str) -> Result<(), SidecarError> {
        match self.0 {}
    }

    /// Never called: there is no value of this type.
    ///
    /// # Errors
    /// None.
    pub async fn status(&self) -> Result<Health, SidecarError> {
        match self.0 {}
    }

    /// Never called: there is no value of this type.
    pub fn log(&self) -> String {
        match self.0 {}
    }

    /// Never called: there is no value of this type.
    pub fn process(&self) -> Option<u32> {
        match self.0 {}
    }

    /// Never called: there is no value of this type.
    pub async fn stop(self) {
        match self.0 {}
    }
}

/// A call that cannot be.
#[derive(Debug)]
pub struct Running(std::convert::Infallible);

impl Running {
    /// Never called: there is no value of this type.
    ///
    /// # Errors
    /// None.
    pub async fn next(&mut self) -> Result<Event, SidecarError> {
        match self.0 {}
    }

    /// Never called: there is no value of this type.
    ///
    /// # Errors
    /// None.
    pub async fn finish(self, _sink: impl FnMut(Piece)) -> Result<Finished, SidecarError> {
        match self.0 {}
    }
}

/// Says by its exit code that there is no secure runtime on this system.
pub fn serve(_setup: &mut dyn Setup) -> ExitCode {
    ExitCode::FAILURE
}
