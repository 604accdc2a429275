//! Pipes between the executor and what runs in a jail.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};

/// The most bytes taken from a pipe at once.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// A pipe that is read here: our end, and theirs.
pub(crate) fn from_jail() -> io::Result<(Receiver, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((Receiver::from_owned_fd(read)?, write))
}

/// A pipe that is written here: our end, and theirs.
pub(crate) fn to_jail() -> io::Result<(Sender, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((Sender::from_owned_fd(write)?, read))
}

/// An input that is at its end from the start.
pub(crate) fn nothing() -> io::Result<OwnedFd> {
    Ok(std::fs::File::open("/dev/null")?.into())
}

/// Writes everything and closes the pipe. A program that does not read its input is no failure.
pub(crate) async fn feed(mut pipe: Sender, bytes: Vec<u8>) {
    let _unread = pipe.write_all(&bytes).await;
}

/// What was written next; empty at the end.
pub(crate) async fn next(pipe: &mut Receiver) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; PIECE_BYTES_MAX];
    let read = pipe.read(&mut piece).await?;
    piece.truncate(read);
    Ok(piece)
}
