//! What the house puts into the sidecar: hooks for its start, and the worker that carries calls out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::call::{Finished, Piece, Proven, Refusal};

/// Pieces that wait to be sent, per call; a worker that is ahead of its caller by so many waits.
pub const PIECES_MAX: usize = 16;

/// Bytes of one piece; [`Pieces::send`] cuts longer ones up.
pub const PIECE_BYTES_MAX: usize = 32 * 1024;

/// A future in a box.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What carries out calls that were proven.
pub trait Worker: Send + Sync + 'static {
    /// Carries out one call. Dropping the future ends the call and everything it started, at once: the caller went
    /// away, or the deadline passed.
    fn run(&self, call: Proven, out: Pieces) -> Boxed<Result<Finished, Refusal>>;

    /// Ends a session and every background job in it; one that does not exist is ended already.
    fn close(&self, session: String) -> Boxed<()>;

    /// How it is, in lines, for `aether doctor`.
    fn status(&self) -> String;

    /// A request was refused, by the sidecar or by this worker, or its deadline passed: the word of
    /// `docs/ipc-security.md`, section 8, and a sentence. For the audit log.
    fn refused(&self, reason: &str, sentence: &str);
}

/// How the sidecar's process is made ready. Each hook is called once, in this order; an error is a sentence, is told to
/// the kernel's process, and ends the start.
pub trait Setup {
    /// In a process with a single thread: close every descriptor above 2 that was inherited, then fork whatever has to
    /// be forked. What is forked must close everything it does not need itself.
    ///
    /// # Errors
    /// A sentence.
    fn first(&mut self) -> Result<(), String>;

    /// Makes the worker, inside the runtime that will drive it. `settings` are those of [`crate::Options::settings`].
    ///
    /// # Errors
    /// A sentence.
    fn worker(&mut self, settings: Zeroizing<Vec<u8>>) -> Result<Arc<dyn Worker>, String>;

    /// Gives up every right that serving does not need.
    ///
    /// # Errors
    /// A sentence.
    fn confine(&mut self) -> Result<(), String>;
}

/// The way of a call's pieces to its caller. Bounded: who sends waits until the caller has read.
#[derive(Clone, Debug)]
pub struct Pieces {
    queue: mpsc::Sender<Piece>,
}

impl Pieces {
    /// A way, and its other end.
    #[must_use]
    pub fn bounded() -> (Pieces, mpsc::Receiver<Piece>) {
        let (queue, end) = mpsc::channel(PIECES_MAX);
        (Pieces { queue }, end)
    }

    /// Sends a piece, cut up if it is longer than [`PIECE_BYTES_MAX`]; an empty one is not sent.
    ///
    /// # Errors
    /// [`Gone`] if the caller no longer listens.
    pub async fn send(&self, piece: Piece) -> Result<(), Gone> {
        match piece {
            Piece::Stdout(bytes) => self.send_cut(bytes, Piece::Stdout).await,
            Piece::Stderr(bytes) => self.send_cut(bytes, Piece::Stderr).await,
            Piece::Note(mut text) => {
                text.truncate(text.floor_char_boundary(PIECE_BYTES_MAX));
                self.queue.send(Piece::Note(text)).await.map_err(|_| Gone)
            }
        }
    }

    async fn send_cut(&self, bytes: Vec<u8>, kind: fn(Vec<u8>) -> Piece) -> Result<(), Gone> {
        if (1..=PIECE_BYTES_MAX).contains(&bytes.len()) {
            return self.queue.send(kind(bytes)).await.map_err(|_| Gone);
        }
        for chunk in bytes.chunks(PIECE_BYTES_MAX) {
            self.queue.send(kind(chunk.to_vec())).await.map_err(|_| Gone)?;
        }
        Ok(())
    }
}

/// The caller no longer listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller no longer listens")
    }
}

impl std::error::Error for Gone {}
