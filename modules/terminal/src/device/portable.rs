//! A terminal on systems without Unix terminals: the system edits the line, and reads cannot be called off.

use std::fs::File;
use std::io::{self, Read, Write};

use super::Ready;

/// Something to read from, and to write to where it is a terminal.
#[derive(Debug)]
pub(crate) struct Device {
    input: Input,
    output: Option<File>,
}

#[derive(Debug)]
enum Input {
    File(File),
    Standard,
}

/// Wakes nobody: a read here ends when there is something to read.
#[derive(Debug)]
pub(crate) struct Knock;

impl Device {
    /// The console.
    pub(crate) fn terminal() -> io::Result<Device> {
        let input = File::options().read(true).write(true).open("CONIN$")?;
        let output = File::options().read(true).write(true).open("CONOUT$")?;
        Ok(Device { input: Input::File(input), output: Some(output) })
    }

    /// Standard input.
    pub(crate) fn standard_input() -> io::Result<Device> {
        Ok(Device { input: Input::Standard, output: None })
    }

    /// A file that is open already.
    pub(crate) fn over(file: File) -> Device {
        Device { input: Input::File(file), output: None }
    }

    /// Says at once that there may be input: reading waits for it.
    pub(crate) fn wait(&self, _knock: Option<&Knock>, _ms: Option<u64>) -> io::Result<Ready> {
        Ok(Ready::Input)
    }

    /// Reads what there is; 0 at the end.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.input {
            Input::File(file) => {
                let mut file = file;
                file.read(buffer)
            }
            Input::Standard => io::stdin().lock().read(buffer),
        }
    }

    /// Writes all of it.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        match &self.output {
            Some(file) => {
                let mut file = file;
                file.write_all(text.as_bytes())
            }
            None => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes())?;
                out.flush()
            }
        }
    }
}

impl Knock {
    pub(crate) fn new() -> io::Result<Knock> {
        Ok(Knock)
    }

    /// Wakes nobody.
    pub(crate) fn knock(&self) {}
}

/// Nobody knows.
pub(crate) fn standard_columns() -> Option<usize> {
    None
}
