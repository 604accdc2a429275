//! The last words of a process: what it wrote to its standard error, bounded and without anything a terminal obeys.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// Bytes that are kept.
const KEPT_BYTES_MAX: usize = 4096;

/// What is kept of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Journal {
    /// Reads `pipe` to its end and keeps the last of it.
    pub(crate) async fn follow(self, pipe: OwnedFd) {
        let Ok(mut pipe) = Receiver::from_owned_fd(pipe) else { return };
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
            self.keep(&buffer[..count]);
        }
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        let excess = kept.len().saturating_sub(KEPT_BYTES_MAX);
        kept.drain(..excess);
    }

    /// The lines that are kept.
    pub(crate) fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        neutral(&kept)
    }
}

/// Text without control characters but line feeds, and without characters that reorder a line (Unicode Standard Annex
/// #9, section 2).
fn neutral(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let neutral = text.chars().map(|character| match character {
        '\n' => '\n',
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        other if other.is_control() => '\u{fffd}',
        other => other,
    });
    neutral.collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept_and_nothing_commands_a_terminal() {
        let journal = Journal::default();
        journal.keep(b"first line that is forgotten\n");
        for _ in 0..100 {
            journal.keep(&[b'x'; 100]);
        }
        assert_eq!(journal.text(), "x".repeat(KEPT_BYTES_MAX));
        journal.keep(b"\x1b[31mred\r\x07\xff \xe2\x80\xae end\n\n");
        assert!(journal.text().ends_with("x\u{fffd}[31mred\u{fffd}\u{fffd}\u{fffd} \u{fffd} end"));
    }
}
