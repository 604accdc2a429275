//! The suite on the command line: `aether-abuse [outside] [bubblewrap] [inside PROGRAM] [unplugged PROGRAM] …`.

#![deny(unsafe_op_in_unsafe_fn)]

use std::io::{self, Write};
use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod options;

const USAGE: &str =
    "usage: aether-abuse [page] [outside] [bubblewrap] [inside PROGRAM] [without PROGRAM] [unplugged PROGRAM]
       [only TEXT] [as UID] [under plain|no-user-namespaces|container-filter|read-only-groups] [refused] [hands N]
Writes a line of JSON for each run; exit 1 where one did not end as the table says.";

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["page"] {
        // Nobody may be listening.
        let _ = io::stdout().write_all(aether_abuse::page::page().as_bytes());
        return ExitCode::SUCCESS;
    }
    match options::read(&words).and_then(|options| options::play(&options, Box::new(io::stdout()))) {
        Ok(code) => ExitCode::from(code),
        Err(error) => complain(&error),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    complain("the suite runs on Linux")
}

fn complain(error: &str) -> ExitCode {
    // Nobody may be listening; the exit code says the same.
    let _ = writeln!(io::stderr(), "{error}\n{USAGE}");
    ExitCode::from(2)
}
