//! Plans as bytes, between a process and its spawner: strict, bounded, one way to write a thing.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::plan::{
    Access, BINDS_MAX, Bind, Command, Execute, Guarantees, Limits, Looseness, Network, PORTS_MAX, Plan, Strength,
};
use crate::plan::{WORD_BYTES_MAX, WORDS_MAX};

/// Largest plan, in bytes.
pub const PLAN_BYTES_MAX: usize = 4 << 20;

/// Why bytes are no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// They end too early.
    Short,
    /// Something follows the end.
    Long,
    /// A number stands for nothing, or a length is beyond its limit.
    Value,
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            WireError::Short => "the bytes end too early",
            WireError::Long => "something follows the end",
            WireError::Value => "a number stands for nothing, or a length is beyond its limit",
        })
    }
}

impl std::error::Error for WireError {}

/// Writes one thing after the other.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn count(&mut self, value: usize) {
        // A length beyond 32 bits is beyond every limit, so that whoever reads it refuses.
        self.0.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.0.extend_from_slice(value);
    }

    fn word(&mut self, value: &std::ffi::OsStr) {
        self.bytes(value.as_encoded_bytes());
    }
}

/// Reads what a [`Writer`] wrote.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn number(&mut self) -> Result<u64, WireError> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, WireError> {
        T::try_from(self.number()?).map_err(|_| WireError::Value)
    }

    pub(crate) fn count(&mut self, most: usize) -> Result<usize, WireError> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        let count = u32::from_le_bytes(bytes) as usize;
        if count > most { Err(WireError::Value) } else { Ok(count) }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.count(WORD_BYTES_MAX)?;
        self.take(length)
    }

    #[cfg(any(target_os = "linux", not(unix)))]
    pub(crate) fn text(&mut self) -> Result<String, WireError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| WireError::Value)
    }

    #[cfg(unix)]
    fn word(&mut self) -> Result<OsString, WireError> {
        use std::os::unix::ffi::OsStringExt;
        Ok(OsString::from_vec(self.bytes()?.to_vec()))
    }

    #[cfg(not(unix))]
    fn word(&mut self) -> Result<OsString, WireError> {
        self.text().map(OsString::from)
    }

    fn path(&mut self) -> Result<PathBuf, WireError> {
        self.word().map(PathBuf::from)
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn paths(&mut self) -> Result<Vec<PathBuf>, WireError> {
        self.list(WORDS_MAX, Reader::path)
    }

    pub(crate) fn list<T>(
        &mut self,
        most: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.count(most)?;
        // What is announced is not believed: room is made for what arrives.
        let mut found = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            found.push(item(self)?);
        }
        Ok(found)
    }

    /// One of two: 0 or 1.
    pub(crate) fn choice<T>(&mut self, first: T, second: T) -> Result<T, WireError> {
        match self.byte()? {
            0 => Ok(first),
            1 => Ok(second),
            _ => Err(WireError::Value),
        }
    }

    pub(crate) fn end(&self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Long) }
    }
}

impl Plan {
    /// The plan as bytes, for [`Plan::decode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        write_profile(&mut out, self);
        write_command(&mut out, &self.command);
        out.0
    }

    /// Reads what [`Plan::encode`] wrote. Whether the plan makes sense is for [`Plan::check`] to say.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Plan, WireError> {
        if bytes.len() > PLAN_BYTES_MAX {
            return Err(WireError::Value);
        }
        let mut from = Reader(bytes);
        let mut plan = read_profile(&mut from)?;
        plan.command = read_command(&mut from)?;
        from.end()?;
        Ok(plan)
    }

    /// Everything but the command, as bytes: what jails made ahead are told apart by.
    #[cfg(target_os = "linux")]
    pub(crate) fn profile(&self) -> Vec<u8> {
        let mut out = Writer::default();
        write_profile(&mut out, self);
        out.0
    }
}

fn write_profile(out: &mut Writer, plan: &Plan) {
    out.count(plan.binds.len());
    for bind in &plan.binds {
        out.word(bind.source.as_os_str());
        out.word(bind.target.as_os_str());
        out.byte((bind.access == Access::Write).into());
        out.byte((bind.execute == Execute::Denied).into());
    }
    match &plan.network {
        Network::None => out.byte(0),
        Network::Brokered { ports } => {
            out.byte(1);
            out.count(ports.len());
            ports.iter().for_each(|port| out.number((*port).into()));
        }
    }
    let limits = &plan.limits;
    let numbers = [
        limits.runtime_ms_max,
        limits.cpu_ms_max,
        limits.memory_bytes_max,
        limits.processes_max.into(),
        limits.open_files_max.into(),
        limits.file_bytes_max,
        limits.scratch_bytes_max,
    ];
    numbers.iter().for_each(|number| out.number(*number));
    let guarantees = &plan.guarantees;
    for strength in [guarantees.memory, guarantees.process_view, guarantees.sockets_absent] {
        out.byte((strength == Strength::Approximate).into());
    }
    write_looseness(out, guarantees.without_namespaces);
}

pub(crate) fn write_looseness(out: &mut Writer, loose: Looseness) {
    for strength in [loose.processes, loose.names, loose.execution, loose.scratch, loose.signals] {
        out.byte((strength == Strength::Approximate).into());
    }
}

pub(crate) fn read_looseness(from: &mut Reader<'_>) -> Result<Looseness, WireError> {
    let mut strength = || from.choice(Strength::Exact, Strength::Approximate);
    Ok(Looseness {
        processes: strength()?,
        names: strength()?,
        execution: strength()?,
        scratch: strength()?,
        signals: strength()?,
    })
}

fn read_profile(from: &mut Reader<'_>) -> Result<Plan, WireError> {
    let binds = from.list(BINDS_MAX, |from| {
        Ok(Bind {
            source: from.path()?,
            target: from.path()?,
            access: from.choice(Access::Read, Access::Write)?,
            execute: from.choice(Execute::Allowed, Execute::Denied)?,
        })
    })?;
    let network = match from.byte()? {
        0 => Network::None,
        1 => Network::Brokered { ports: from.list(PORTS_MAX, Reader::small)? },
        _ => return Err(WireError::Value),
    };
    let limits = Limits {
        runtime_ms_max: from.number()?,
        cpu_ms_max: from.number()?,
        memory_bytes_max: from.number()?,
        processes_max: from.small()?,
        open_files_max: from.small()?,
        file_bytes_max: from.number()?,
        scratch_bytes_max: from.number()?,
    };
    let mut strength = || from.choice(Strength::Exact, Strength::Approximate);
    let [memory, process_view, sockets_absent] = [strength()?, strength()?, strength()?];
    let without_namespaces = read_looseness(from)?;
    let guarantees = Guarantees { memory, process_view, sockets_absent, without_namespaces };
    let command = Command { program: PathBuf::new(), args: Vec::new(), env: Vec::new(), cwd: PathBuf::new() };
    Ok(Plan { binds, network, limits, command, guarantees })
}

pub(crate) fn write_command(out: &mut Writer, command: &Command) {
    out.word(command.program.as_os_str());
    out.word(command.cwd.as_os_str());
    out.count(command.args.len());
    command.args.iter().for_each(|word| out.word(word));
    out.count(command.env.len());
    for (name, value) in &command.env {
        out.word(name);
        out.word(value);
    }
}

pub(crate) fn read_command(from: &mut Reader<'_>) -> Result<Command, WireError> {
    Ok(Command {
        program: from.path()?,
        cwd: from.path()?,
        args: from.list(WORDS_MAX, Reader::word)?,
        env: from.list(WORDS_MAX, |from| Ok((from.word()?, from.word()?)))?,
    })
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
