//! `aether completions`: what the shells themselves make of the scripts.

use std::process::Command;

use crate::ground::Nest;

const SHELLS: [&str; 4] = ["bash", "zsh", "fish", "powershell"];

fn script(shell: &str) -> String {
    Nest::new().run(&["completions", shell]).exits(0).stdout
}

/// A shell on this machine; `None` where it is not installed.
fn shell(program: &str, arguments: &[&str]) -> Option<String> {
    let ran = Command::new(program).args(arguments).output().ok()?;
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "", "{program}");
    Some(String::from_utf8(ran.stdout).unwrap())
}

#[test]
fn every_command_is_in_every_script() {
    let help = Nest::new().run(&["help"]).exits(0).stdout;
    let words = help
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .flat_map(|line| line.split("  ").next().unwrap_or_default().split(' ').map(str::to_owned).collect::<Vec<_>>());
    let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    assert!(words.len() > 20, "{words:?}");
    for shell in SHELLS {
        let script = script(shell);
        for word in &words {
            assert!(script.contains(word.as_str()), "{shell} lacks {word}");
        }
        for word in ["key-stdin", "assistant", "limits.wall_ms", "groq", "read_file"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
    let nest = Nest::new();
    nest.run(&["completions", "zhs"]).exits(2).says("did you mean `zsh`?");
    nest.run(&["completions"]).exits(2).says("bash, zsh, fish or powershell");
}

/// What bash offers at the end of a line.
fn offered(script: &str, line: &str) -> Vec<String> {
    let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
    let typed = format!(
        "{script}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_aether\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1
    );
    let out = shell("bash", &["--norc", "-c", &typed]).expect("bash is on every machine that builds this");
    out.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_offers_what_fits() {
    let script = script("bash");
    assert_eq!(offered(&script, "aether conf"), ["config"]);
    let below = offered(&script, "aether config ");
    assert_eq!(below, ["get", "set", "unset", "explain", "path", "edit", "check"]);
    assert_eq!(offered(&script, "aether config ex"), ["explain"]);
    assert_eq!(offered(&script, "aether config get limits.wal"), ["limits.wall_ms"]);
    assert_eq!(offered(&script, "aether onboard --key-"), ["--key-env", "--key-file", "--key-stdin"]);
    assert_eq!(offered(&script, "aether onboard --profile e"), ["edge"]);
    assert_eq!(offered(&script, "aether run --effort m"), ["minimal", "medium"]);
    assert_eq!(offered(&script, "aether run --json --ef"), ["--effort"]);
    assert_eq!(offered(&script, "aether model list gro"), ["groq"]);
    assert_eq!(offered(&script, "aether tool show calc"), ["calculate"]);
    assert_eq!(offered(&script, "aether completions z"), ["zsh"]);
    assert_eq!(offered(&script, "aether version --f"), ["--features"]);
}

#[test]
fn the_other_shells_take_their_scripts() {
    let nest = Nest::new();
    let zsh = nest.write("_aether", &script("zsh"), 0o600);
    let loaded = format!(
        "autoload -Uz compinit; compinit -u -d {}/dump; source {}; whence -w _aether",
        nest.workspace().display(),
        zsh.display()
    );
    if let Some(out) = shell("zsh", &["-f", "-c", &loaded]) {
        assert_eq!(out, "_aether: function\n");
    }
    let fish = nest.write("aether.fish", &script("fish"), 0o600);
    for (line, wanted) in [
        ("aether conf", "config\t"),
        ("aether config ex", "explain\t"),
        ("aether config get limits.wal", "limits.wall_ms"),
        ("aether onboard --key-s", "--key-stdin\t"),
        ("aether onboard --profile e", "edge"),
    ] {
        let typed = format!("source {}; complete -C '{line}'", fish.display());
        if let Some(out) = shell("fish", &["--no-config", "-c", &typed]) {
            assert!(out.starts_with(wanted), "{line}: {out}");
        }
    }
}
