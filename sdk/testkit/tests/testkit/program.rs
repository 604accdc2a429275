//! The program: it says where it listens, answers, logs without keys, and ends with its standard input.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::client::{receive, send};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("aether-testkit-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_aether-testkit"))
}

#[test]
fn it_serves_until_its_input_ends() {
    let folder = Folder::new("serve");
    let (script, port, log) = (folder.file("script.json"), folder.file("port"), folder.file("log"));
    fs::write(&script, r#"{"turns": [{"reply": ["It works"], "uses": "any"}]}"#).unwrap();
    let mut child = program()
        .arg("serve")
        .args([
            "--script",
            script.to_str().unwrap(),
            "--port-file",
            port.to_str().unwrap(),
            "--log",
            log.to_str().unwrap(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let address = url.trim().strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    let body = br#"{"model": "m", "messages": [{"role": "user", "content": "hi"}]}"#;
    send(&mut stream, "POST", "/v1/chat/completions", &[("authorization", "Bearer sk-secret")], body);
    assert!(receive(&mut stream).text().contains("It works"));
    assert!(address.ends_with(&format!(":{}", fs::read_to_string(&port).unwrap().trim())));
    child.stdin.take().unwrap().flush().unwrap();
    assert!(child.wait().unwrap().success(), "it ends when its input does");
    let logged = fs::read_to_string(&log).unwrap();
    let line: Value = serde_json::from_str(logged.lines().next().unwrap()).unwrap();
    assert_eq!((&line["dialect"], &line["verdict"]["answered"]), (&"chat".into(), &0.into()));
    assert!(!logged.contains("sk-secret"));
}

#[test]
fn mistakes_are_told() {
    let folder = Folder::new("mistakes");
    let bad = folder.file("bad.json");
    fs::write(&bad, r#"{"turns": [{"replies": []}]}"#).unwrap();
    let bad = bad.to_str().unwrap();
    for (arguments, wanted) in [
        (vec![], "the first argument must be serve"),
        (vec!["serve"], "--script is missing"),
        (vec!["serve", "--script"], "needs a value"),
        (vec!["serve", "--port", "x"], "no port"),
        (vec!["serve", "--until", "later"], "not understood"),
        (vec!["serve", "--script", "/nonexistent"], "/nonexistent: "),
        (vec!["serve", "--script", bad], "unknown key \"replies\""),
    ] {
        let output = program().args(&arguments).stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(told.contains(wanted), "{arguments:?}: {told}");
    }
}
