//! What the binary is given: an empty home, a configuration, a workspace, and a provider on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use aether_testkit::script::{Script, Transport, Turn};
use aether_testkit::server::Server;

use crate::Unmeasured;

/// A question, a tool call, an answer: what `aether bench step` walks through.
const STEP: &str = include_str!("../worlds/step.json");

/// The variable with the provider's key: every format wants one, and any will do.
const KEY: &str = "BENCHMARK_KEY";

/// A directory of its own, removed at the end.
pub struct House {
    place: PathBuf,
}

impl House {
    /// A house whose only provider is at `base_url` and speaks `format`.
    ///
    /// # Errors
    /// When the directory for temporary files cannot be written.
    pub fn new(base_url: &str, format: &str) -> Result<House, Unmeasured> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let place = std::env::temp_dir().join(format!("aether-benchmarks-{}-{number}", std::process::id()));
        let wrong = |error: std::io::Error| Unmeasured::new(format!("{}: {error}", place.display()));
        let house = House { place: place.clone() };
        fs::create_dir_all(house.workspace()).map_err(wrong)?;
        let config = format!(
            "model = \"bench/scripted\"\n\n[providers.bench]\nkind = \"{format}\"\nbase_url = \"{base_url}\"\nkey = \"env:{KEY}\"\n"
        );
        fs::write(house.config(), config).map_err(wrong)?;
        Ok(house)
    }

    /// The workspace, empty.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.place.join("workspace")
    }

    /// The binary in this house, with nothing in its environment but the house.
    #[must_use]
    pub fn command(&self, binary: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command.args(words).current_dir(self.workspace()).env_clear();
        command.env("HOME", &self.place).env("AETHER_CONFIG", self.config()).env(KEY, "none");
        command
    }

    fn config(&self) -> PathBuf {
        self.place.join("config.toml")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's directory for temporary files.
        let _removed = fs::remove_dir_all(&self.place);
    }
}

/// A provider that answers everything with "hello" and keeps what it was sent.
///
/// # Errors
/// When the machine gives no port.
pub fn polite() -> Result<Server, Unmeasured> {
    serve(Script::new().turn(Turn::text("hello").always()))
}

/// The same, without a look at what it is sent.
///
/// # Errors
/// When the machine gives no port.
pub fn quick() -> Result<Server, Unmeasured> {
    serve(Script::new().turn(Turn::text("hello").always()).unchecked())
}

/// A provider that asks for a calculation and then answers, without delay.
///
/// # Errors
/// When the machine gives no port, or the script cannot be read.
pub fn stepping() -> Result<Server, Unmeasured> {
    serve(Script::from_json(STEP).map_err(Unmeasured::new)?)
}

/// A provider that answers the first question at once and all others after `delay_ms`.
///
/// # Errors
/// When the machine gives no port.
pub fn slow(delay_ms: u64) -> Result<Server, Unmeasured> {
    let slow = Turn::text("hello").always().transport(Transport { head_delay_ms: delay_ms, ..Transport::default() });
    serve(Script::new().turn(Turn::text("hello")).turn(slow).unchecked())
}

fn serve(script: Script) -> Result<Server, Unmeasured> {
    Server::start(script).map_err(|error| Unmeasured::new(format!("the scripted provider: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_house_is_removed_with_all_that_is_in_it() {
        let house = House::new("http://127.0.0.1:1", "ollama").unwrap();
        let place = house.workspace();
        assert!(place.is_dir() && fs::read_to_string(house.config()).unwrap().contains("\"ollama\""));
        drop(house);
        assert!(!place.exists());
    }

    #[test]
    fn the_script_of_the_step_is_one() {
        assert!(stepping().is_ok());
    }
}
