//! Attacks on objects that processes share, beside files and sockets.

use super::{Attack, Group};

const fn attack(name: &'static str, tries: &'static str, line: &'static str) -> Attack {
    Attack::new(Group::Ipc, name, tries, line)
}

const SPACE: &[&str] = &["ipcns"];
const QUEUE: &[&str] = &["ipcns", "landlock"];

pub(super) const ATTACKS: &[Attack] = &[
    attack("shared-memory", "attaches a segment of the host's shared memory", "shared-memory {key}")
        .held(&["ENOENT", "ENOSYS"], &["ipcns", "limits_memory"]),
    attack("semaphores", "finds the host's semaphores", "semaphores {key}").held(&["ENOENT"], SPACE),
    attack("messages", "finds the host's queue of messages", "messages {key}").held(&["ENOENT"], SPACE),
    attack("message-queue", "opens a named queue of the host", "message-queue {house}").held(&["ENOENT"], QUEUE),
    attack("shared-file", "reads a file of the host's shared memory", "read /dev/shm/{house}-host")
        .held(&["ENOENT"], &["mounts", "landlock"]),
    attack("host-name", "learns the machine's name", "hostname {hostname}").held(&["NOTHING"], &["utsns"]),
    attack("same-processes", "is in the host's process namespace", "namespace-same pid {ns:pid}")
        .held(&["NOTHING"], &["pidns", "proc", "mounts"]),
    attack("same-network", "is in the host's network namespace", "namespace-same net {ns:net}")
        .held(&["NOTHING"], &["netns"]),
    attack("same-ipc", "is in the host's ipc namespace", "namespace-same ipc {ns:ipc}").held(&["NOTHING"], SPACE),
    attack("same-names", "is in the host's namespace of names", "namespace-same uts {ns:uts}")
        .held(&["NOTHING"], &["utsns"]),
    attack("terminal", "opens the launcher's terminal", "terminal")
        .held(&["ENOENT"], &[])
        .not_outside("the suite itself may have no terminal")
        .no_twin("the suite itself may have no terminal"),
];
