//! `aether-testkit serve`: the scripted provider server as a program, for benchmarks and shell tests.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use aether_testkit::script::Script;
use aether_testkit::server::{Server, Setup};

const USAGE: &str = "\
usage: aether-testkit serve --script FILE [--port N] [--port-file FILE] [--log FILE] [--until stdin|signal]

Answers like OpenAI, Anthropic, Ollama and Gemini from a script, on 127.0.0.1. Prints its address on standard
output and runs until standard input is closed, or with --until signal until it is killed. --log writes one
line of JSON per request, without keys. The script's format is described at Script::from_json.
";

/// When the program ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    StdinCloses,
    Signal,
}

struct Options {
    script: String,
    port: u16,
    port_file: Option<String>,
    log: Option<String>,
    until: Until,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match options(&arguments) {
        Ok(options) => serve(&options),
        Err(message) => Err(format!("{message}\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(io::stderr(), "aether-testkit: {message}");
            ExitCode::from(2)
        }
    }
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let Some((command, mut rest)) = arguments.split_first().filter(|(command, _)| *command == "serve") else {
        return Err("the first argument must be serve".to_owned());
    };
    let mut options = Options { script: String::new(), port: 0, port_file: None, log: None, until: Until::StdinCloses };
    while let Some((flag, after)) = rest.split_first() {
        let Some((value, after)) = after.split_first() else {
            return Err(format!("{command}: {flag} needs a value"));
        };
        match flag.as_str() {
            "--script" => options.script.clone_from(value),
            "--port" => options.port = value.parse().map_err(|_| format!("{value} is no port from 0 to 65535"))?,
            "--port-file" => options.port_file = Some(value.clone()),
            "--log" => options.log = Some(value.clone()),
            "--until" if value == "stdin" => options.until = Until::StdinCloses,
            "--until" if value == "signal" => options.until = Until::Signal,
            _ => return Err(format!("{command}: {flag} {value} is not understood")),
        }
        rest = after;
    }
    if options.script.is_empty() {
        return Err("--script is missing".to_owned());
    }
    Ok(options)
}

fn serve(options: &Options) -> Result<(), String> {
    let text = fs::read_to_string(&options.script).map_err(|error| format!("{}: {error}", options.script))?;
    let script = Script::from_json(&text).map_err(|error| format!("{}: {error}", options.script))?;
    let open = |path: &String| File::create(path).map_err(|error| format!("{path}: {error}"));
    let log = options.log.as_ref().map(open).transpose()?;
    let server = Server::start_at(script, Setup { port: options.port, log })
        .map_err(|error| format!("port {}: {error}", options.port))?;
    if let Some(path) = &options.port_file {
        // Written beside and moved, so that a reader never sees half of it.
        let beside = format!("{path}.new");
        let written =
            fs::write(&beside, format!("{}\n", server.address().port())).and_then(|()| fs::rename(&beside, path));
        written.map_err(|error| format!("{path}: {error}"))?;
    }
    let told = writeln!(io::stdout(), "{}", server.base_url()).and_then(|()| io::stdout().flush());
    told.map_err(|error| format!("standard output: {error}"))?;
    if options.until == Until::Signal {
        loop {
            std::thread::park();
        }
    }
    let mut ignored = [0; 1024];
    loop {
        match io::stdin().read(&mut ignored) {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => {}
        }
    }
}
