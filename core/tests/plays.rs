//! Every play in `scenarios/` goes as it is written there. `UPDATE=1 cargo test -p aether-core` accepts how it goes now.

use std::path::{Path, PathBuf};

use aether_testkit::play::perform;

#[cfg(test)]
fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut plays: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "play")).collect();
    plays.sort();
    plays
}

#[test]
fn k1_every_play_goes_as_it_is_written() {
    let mut wrong = String::new();
    for path in scenarios() {
        let written = std::fs::read_to_string(&path).unwrap();
        match perform(&written) {
            Ok(performed) if performed == written => {}
            Ok(performed) if std::env::var_os("UPDATE").is_some() => std::fs::write(&path, performed).unwrap(),
            Ok(performed) => wrong += &format!("{}\n{}\n", path.display(), first_difference(&written, &performed)),
            Err(trouble) => wrong += &format!("{}: {trouble}\n", path.display()),
        }
    }
    assert!(wrong.is_empty(), "{wrong}UPDATE=1 cargo test -p aether-core accepts the new text");
}

fn first_difference(written: &str, performed: &str) -> String {
    let (mut old, mut new) = (written.lines(), performed.lines());
    for n in 1.. {
        match (old.next(), new.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => {
                return format!("line {n}\n  written   {}\n  performed {}", a.unwrap_or("(end)"), b.unwrap_or("(end)"));
            }
        }
    }
    "only the ends of lines differ".to_owned()
}

#[test]
fn there_are_plays_enough() {
    assert!(scenarios().len() >= 60, "{} plays", scenarios().len());
}
