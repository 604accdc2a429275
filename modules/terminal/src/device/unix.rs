//! A terminal, or any other input, on Unix: reads that can be called off, and modes that are put back.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, isatty, tcflush, tcgetattr,
    tcgetwinsize, tcsetattr,
};

use super::Ready;

/// The size assumed where the terminal does not know its own.
const SIZE_USUAL: (usize, usize) = (80, 24);

/// Something to read from, and to write to where it is a terminal.
#[derive(Debug)]
pub(crate) struct Device {
    file: File,
}

/// Wakes a thread that waits for a device.
#[derive(Debug)]
pub(crate) struct Knock {
    door: PipeReader,
    hand: PipeWriter,
}

/// The terminal gives each key as it is pressed, and shows none. Its mode is put back at the end (Y1).
#[derive(Debug)]
pub(crate) struct Raw {
    device: Arc<Device>,
    before: Termios,
    during: Termios,
}

impl Device {
    /// The controlling terminal; where there is none, the terminal that a standard stream is.
    pub(crate) fn terminal() -> io::Result<Device> {
        // On macOS, `poll` does not work on `/dev/tty`, but on the device behind it.
        let named = if cfg!(target_os = "macos") { own_name() } else { None };
        let opened = File::options().read(true).write(true).open(named.as_deref().unwrap_or("/dev/tty"));
        match opened {
            Ok(file) => Ok(Device { file }),
            Err(error) => {
                let stdin = io::stdin();
                if !isatty(&stdin) {
                    return Err(error);
                }
                Ok(Device { file: stdin.as_fd().try_clone_to_owned()?.into() })
            }
        }
    }

    /// Standard input.
    pub(crate) fn standard_input() -> io::Result<Device> {
        Ok(Device { file: io::stdin().as_fd().try_clone_to_owned()?.into() })
    }

    /// A file that is open already.
    pub(crate) fn over(file: File) -> Device {
        Device { file }
    }

    /// Waits for input, for a knock, or for `ms` milliseconds.
    pub(crate) fn wait(&self, knock: Option<&Knock>, ms: Option<u64>) -> io::Result<Ready> {
        let limit = ms.map(|ms| Timespec {
            tv_sec: i64::try_from(ms / 1_000).unwrap_or(i64::MAX),
            tv_nsec: ((ms % 1_000) * 1_000_000) as _,
        });
        let door = knock.map_or_else(|| self.file.as_fd(), |knock| knock.door.as_fd());
        let mut fds = [PollFd::new(&self.file, PollFlags::IN), PollFd::from_borrowed_fd(door, PollFlags::IN)];
        match poll(&mut fds, limit.as_ref()) {
            // A signal came first; whoever waits looks at what it means and waits again.
            Err(rustix::io::Errno::INTR) | Ok(0) => Ok(Ready::Timeout),
            Err(error) => Err(error.into()),
            Ok(_) => match knock {
                Some(knock) if !fds[1].revents().is_empty() => {
                    knock.answer()?;
                    Ok(Ready::Knocked)
                }
                _ => Ok(Ready::Input),
            },
        }
    }

    /// Reads what there is; 0 once the other side is gone.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.file).read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What a terminal says that was hung up.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => return Ok(0),
                read => return read,
            }
        }
    }

    /// Writes all of it.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        (&self.file).write_all(text.as_bytes())
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(&self.file).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(SIZE_USUAL, |size| (size.ws_col.into(), size.ws_row.into()))
    }

    /// Forgets what was typed and not read.
    pub(crate) fn discard_input(&self) -> io::Result<()> {
        Ok(tcflush(&self.file, QueueSelector::IFlush)?)
    }
}

impl Knock {
    pub(crate) fn new() -> io::Result<Knock> {
        let (door, hand) = io::pipe()?;
        Ok(Knock { door, hand })
    }

    /// Wakes whoever waits, or who waits next.
    pub(crate) fn knock(&self) {
        // Both ends are ours, so a write can only fail while the pipe is full of knocks that wake as well.
        drop((&self.hand).write(&[1]));
    }

    fn answer(&self) -> io::Result<()> {
        (&self.door).read(&mut [0; 64]).map(|_| ())
    }
}

impl Raw {
    /// Takes the terminal's own editing, echo and signal keys away, until this is dropped.
    pub(crate) fn enter(device: &Arc<Device>) -> io::Result<Raw> {
        let before = tcgetattr(&device.file)?;
        let mut mode = before.clone();
        mode.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        mode.input_modes -= InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR | InputModes::IXON;
        mode.input_modes -= InputModes::ISTRIP;
        mode.special_codes[SpecialCodeIndex::VMIN] = 1;
        mode.special_codes[SpecialCodeIndex::VTIME] = 0;
        let raw = Raw { device: Arc::clone(device), before, during: mode };
        raw.again()?;
        Ok(raw)
    }

    /// Puts the mode back for a while.
    pub(crate) fn leave(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.device.file, OptionalActions::Now, &self.before)?)
    }

    /// Ends that while.
    pub(crate) fn again(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.device.file, OptionalActions::Now, &self.during)?)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone has no mode to put back.
        drop(self.leave());
    }
}

/// Sends the signal that the interrupt key would have sent.
pub(crate) fn interrupt_group() -> io::Result<()> {
    Ok(kill_current_process_group(Signal::INT)?)
}

/// Stops the processes of this terminal, as the suspend key would have; returns when they go on.
pub(crate) fn suspend_group() -> io::Result<()> {
    Ok(kill_current_process_group(Signal::TSTP)?)
}

/// Columns of the terminal that standard output or standard error is.
pub(crate) fn standard_columns() -> Option<usize> {
    let of = |size: rustix::io::Result<rustix::termios::Winsize>| size.ok().map(|size| usize::from(size.ws_col));
    of(tcgetwinsize(io::stdout())).or_else(|| of(tcgetwinsize(io::stderr())))
}

/// The device file of the terminal that a standard stream is.
fn own_name() -> Option<String> {
    let name = |of: rustix::io::Result<std::ffi::CString>| of.ok()?.into_string().ok();
    name(rustix::termios::ttyname(io::stdin(), Vec::new()))
        .or_else(|| name(rustix::termios::ttyname(io::stderr(), Vec::new())))
}
