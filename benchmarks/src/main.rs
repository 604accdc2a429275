//! `aether-benchmarks gate|soak|sandbox`: one JSON object of names and numbers on standard output.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use aether_benchmarks::gate::{self, Numbers};
use aether_benchmarks::{Unmeasured, kernel, sandbox};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const USAGE: &str = "\
usage: aether-benchmarks gate --binary PATH --lite PATH
       aether-benchmarks soak --binary PATH [--minutes N]
       aether-benchmarks sandbox --binary PATH
       aether-benchmarks kernel

gate, soak and sandbox measure the shipped binary, gate also the one without the secure runtime, kernel the kernel alone; each prints one JSON object. Linux only.
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let measured = raise_descriptors().and_then(|()| match words.as_slice() {
        ["gate", "--binary", binary, "--lite", lite] => gate::gate(Path::new(binary), Path::new(lite)),
        ["soak", "--binary", binary] => gate::soak(Path::new(binary), "2"),
        ["soak", "--binary", binary, "--minutes", minutes] => gate::soak(Path::new(binary), minutes),
        ["sandbox", "--binary", binary] => sandbox::sandbox(Path::new(binary)),
        ["kernel"] => alone(),
        _ => Err(Unmeasured::new(USAGE)),
    });
    let written = match &measured {
        Ok(numbers) => writeln!(io::stdout(), "{}", serde_json::Value::Object(numbers.clone())),
        Err(why) => writeln!(io::stderr(), "aether-benchmarks: {why}"),
    };
    match (measured, written) {
        (Ok(_), Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn alone() -> Result<Numbers, Unmeasured> {
    let (weight, allocations) = (kernel::weight()?, kernel::allocations()?);
    let numbers = [
        ("dispatcher_task_bytes_asked", weight.asked),
        ("dispatcher_task_bytes_resident", weight.resident),
        ("dispatch_allocations", allocations.per_event),
        ("run_allocations", allocations.per_run),
    ];
    Ok(numbers.into_iter().map(|(name, number)| (name.to_owned(), number.into())).collect())
}

/// Ten thousand connections need as many descriptors, here and in the binary, which inherits the limit.
fn raise_descriptors() -> Result<(), Unmeasured> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).map_err(|error| Unmeasured::new(format!("the limit on descriptors: {error}")))
}
