//! Lines, schema, pictures and spans of the kernel's events.

#![cfg(test)]

mod lines;
#[cfg(feature = "otlp")]
mod spans;
mod story;
mod views;

use std::fs;
use std::path::Path;

/// `text` is what the file `path` below the crate holds; with `UPDATE=1` it becomes so.
fn check(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == text,
        "{} differs; accept the new text with `UPDATE=1 cargo test -p aether-observe --all-features`. It is now:\n{text}",
        path.display()
    );
}
