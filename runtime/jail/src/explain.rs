//! A plan in words, one thing a line.

use std::fmt;

use crate::error::{Bytes, Time};
use crate::plan::{Access, Execute, Network, Plan, RESOLVER_PORT, Strength};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.command.args.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" ");
        writeln!(f, "program    {} as {words}", self.command.program.display())?;
        writeln!(f, "directory  {}", self.command.cwd.display())?;
        let names: Vec<String> = self.command.env.iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
        writeln!(f, "variables  {}", if names.is_empty() { "none".into() } else { names.join(" ") })?;
        for bind in &self.binds {
            let access = if bind.access == Access::Write { "read, write" } else { "read" };
            let execute = if bind.execute == Execute::Allowed { ", execute" } else { "" };
            write!(f, "mount      {}", bind.target.display())?;
            if bind.source != bind.target {
                write!(f, " from {}", bind.source.display())?;
            }
            writeln!(f, ": {access}{execute}; no devices, no set-user-id")?;
        }
        #[cfg(target_os = "linux")]
        if self.binds.iter().any(|bind| bind.access == Access::Write) {
            let guarded: Vec<&str> = crate::guards::GUARDED.iter().map(|guarded| guarded.path).collect();
            writeln!(f, "guarded    in every writable directory: {}", guarded.join(" "))?;
        }
        writeln!(f, "mount      /tmp (also /dev/shm): read, write, {} at most", Bytes(self.limits.scratch_bytes_max))?;
        writeln!(f, "mount      /dev: null zero full random urandom")?;
        let view = match self.guarantees.process_view {
            Strength::Exact => "its own processes alone",
            Strength::Approximate => "its own processes alone, or nothing",
        };
        writeln!(f, "mount      /proc: {view}")?;
        writeln!(f, "mount      /etc: names, libraries, certificates and time zone; / is read only")?;
        match &self.network {
            Network::None => writeln!(f, "network    none")?,
            Network::Brokered { ports } => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                writeln!(f, "network    through the broker: port {}; names at port {RESOLVER_PORT}", ports.join(", "))?;
            }
        }
        let limits = &self.limits;
        let strength =
            if self.guarantees.memory == Strength::Exact { "" } else { " (watched where it cannot be held)" };
        writeln!(f, "limit      memory {}{strength}", Bytes(limits.memory_bytes_max))?;
        writeln!(f, "limit      processor time {}", Time(limits.cpu_ms_max))?;
        writeln!(f, "limit      runtime {}", Time(limits.runtime_ms_max))?;
        writeln!(f, "limit      processes {}", limits.processes_max)?;
        writeln!(f, "limit      open files {}", limits.open_files_max)?;
        writeln!(f, "limit      file size {}", Bytes(limits.file_bytes_max))?;
        writeln!(f, "user       1000 inside, an ordinary one outside; no capabilities, no new privileges")?;
        writeln!(f, "namespaces user, mount, process, network, ipc, uts, control group")?;
        writeln!(f, "filter     forbidden system calls end everything; local sockets cannot be connected")
    }
}
