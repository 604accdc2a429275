//! Attacks on what everybody shares.

use super::{Attack, Evidence, Group, Under};

const fn attack(name: &'static str, tries: &'static str, line: &'static str) -> Attack {
    Attack::new(Group::Resources, name, tries, line)
}

const SMALL: Under = Under { memory_limit: "32mb", ..Under::PLAIN };
const FEW: Under = Under { processes_max: 8, ..Under::PLAIN };
const SHORT: Under = Under { max_runtime: "1s", ..Under::PLAIN };
const BUSY: Under = Under { cpu_limit: "1s", max_runtime: "25s", ..Under::PLAIN };
const MEMORY: &[&str] = &["limits_memory"];

pub(super) const ATTACKS: &[Attack] = &[
    attack("fork-bomb", "has more children at once than it may", "fork-many 64")
        .under(FEW)
        .held(&["EAGAIN"], &["limits_processes"]),
    attack("thread-bomb", "has more threads at once than it may", "threads-many 64")
        .under(FEW)
        .held(&["EAGAIN"], &["limits_processes"]),
    attack(
        "shell-bomb",
        "has the shell start more than it may",
        "sh i=0; while [ $i -lt 64 ]; do sleep 1 & i=$((i+1)); done; echo breached: 64 children",
    )
    .under(FEW)
    .held(&["EXIT", "breach: "], &["limits_processes"]),
    attack("memory-bomb", "holds more memory than it may", "memory 268435456")
        .under(SMALL)
        .held(&["breach: memory limit 32 MiB exceeded"], MEMORY),
    attack("memory-bomb-shared", "holds more shared memory than it may", "memory-shared 268435456")
        .under(SMALL)
        .held(&["breach: memory limit 32 MiB exceeded"], MEMORY),
    attack(
        "memory-bomb-in-tmp",
        "fills the temporary directory, which lives in memory",
        "memory-file /tmp/{mark} 268435456",
    )
    .under(SMALL)
    .held(&["breach: memory limit 32 MiB exceeded", "ENOSPC"], &["limits_memory", "mounts", "landlock"]),
    attack("memory-bomb-in-shm", "fills the shared memory's directory", "memory-file /dev/shm/{mark} 268435456")
        .under(SMALL)
        .held(&["breach: memory limit 32 MiB exceeded", "ENOSPC"], &["limits_memory", "mounts", "landlock"]),
    attack("memory-bomb-in-file", "fills a file that exists in memory alone", "memory-anonymous-file 268435456")
        .under(SMALL)
        .held(&["breach: memory limit 32 MiB exceeded", "ENOSYS", "EACCES"], MEMORY),
    attack(
        "memory-bomb-split",
        "divides the memory among children that each stay below the limit",
        "memory-split 10 16777216",
    )
    .under(SMALL)
    .held(&["breach: memory limit 32 MiB exceeded"], MEMORY),
    attack("memory-bomb-stack", "grows a stack beyond the limit", "memory-stack 134217728")
        .under(SMALL)
        .held(&["breach: memory limit 32 MiB exceeded", "EAGAIN"], MEMORY),
    attack(
        "memory-bomb-python",
        "has an interpreter hold more memory than it may",
        "python b=bytearray(268435456);print('breached:',len(b))",
    )
    .under(SMALL)
    .held(&["breach: memory limit 32 MiB exceeded", "EXIT"], MEMORY),
    attack("memory-locked", "locks memory so that it can never be swapped out", "memory-lock 67108864")
        .as_root()
        .held(&["ENOMEM"], &["capabilities", "userns_uid", "limits_memory"])
        .no_twin("no jail is built without this limit"),
    attack("memory-spared", "asks that others die first when memory runs out", "spare-me")
        .as_root()
        .held(&["EACCES"], &["capabilities", "userns_uid", "landlock"])
        .no_twin("the user namespace alone holds it too, and no jail is built without one")
        .if_had(&["EACCES"]),
    attack("pipe-bomb", "fills pipes, which is memory that is no process's", "pipes-many 2048")
        .under(SMALL)
        .held(&["breach: memory limit 32 MiB exceeded", "EMFILE"], &["limits_files", "limits_memory"])
        .as_root(),
    attack("processor", "burns more processor time than it may", "spin 1800")
        .under(BUSY)
        .held(&["breach: cpu limit 1 s exceeded"], &["limits_cpu"]),
    attack("processor-deaf", "the same, deaf to the warning", "spin-deaf 1800")
        .under(BUSY)
        .held(&["breach: cpu limit 1 s exceeded"], &["limits_cpu"]),
    attack("processor-split", "divides the work among children that each stay below the limit", "spin-split 3 700")
        .under(BUSY)
        .held(&["breach: cpu limit 1 s exceeded"], &["limits_cpu"]),
    attack("deadline", "sleeps past its deadline", "sleep 3000")
        .under(SHORT)
        .held(&["breach: runtime limit 1 s exceeded"], &["limits_time"]),
    attack("deadline-deaf", "sleeps past its deadline and ignores every polite signal", "sleep-deaf 3000")
        .under(SHORT)
        .held(&["breach: runtime limit 1 s exceeded"], &["limits_time"]),
    attack("deadline-stopped", "stops itself past its deadline", "stop 3000")
        .under(SHORT)
        .held(&["breach: runtime limit 1 s exceeded"], &["limits_time"]),
    attack(
        "deadline-child",
        "leaves the sleeping to a grandchild in its own session",
        "sh setsid sleep 3 & sleep 3; echo breached: slept",
    )
    .under(SHORT)
    .held(&["breach: runtime limit 1 s exceeded"], &["limits_time"]),
    attack("descriptor-bomb", "opens more descriptors than it may", "descriptors-many 4096")
        .as_root()
        .held(&["EMFILE"], &["limits_files"]),
    attack("watch-bomb", "takes all watchers of files that the user has", "watches-many 1024")
        .as_root()
        .held(&["EMFILE"], &["limits_files", "userns_uid"])
        .not_outside("it would take the watchers of whoever runs the suite")
        .no_twin("the kernel counts watchers by user namespace in any case"),
    attack("file-bomb", "makes a file without content of an absurd length", "sparse {workspace}/sparse 1099511627776")
        .held(&["EFBIG"], &["limits_files"]),
    attack("name-bomb", "makes more files in memory than it may", "files-many /tmp 100000")
        .held(&["ENOSPC"], &["limits_memory", "mounts", "landlock"])
        .not_outside("a hundred thousand files in a directory that others use")
        .no_twin("without its own temporary directory the files would land in the host's"),
    attack("output-flood", "writes output without end", "flood 134217728")
        .held(&["NOTHING", "EPIPE", "EXIT", "breach: "], &[])
        .no_twin("the cap is the launcher's own")
        .shown_by(Evidence::Output(100 << 20)),
    attack("limit-descriptors", "lifts the limit of its descriptors", "raise descriptors")
        .held(&["EPERM"], &["limits_files", "capabilities", "userns_uid"])
        .as_root()
        .if_had(&["EPERM"]),
    attack("limit-processes", "lifts the limit of its processes", "raise processes")
        .held(&["EPERM"], &["limits_processes", "capabilities", "userns_uid"])
        .as_root()
        .if_had(&["EPERM"]),
    attack("limit-cpu", "lifts the limit of its processor time", "raise cpu").held(&["EPERM"], &["limits_cpu"]),
    attack("limit-file", "lifts the limit of its files", "raise file").held(&["EPERM"], &["limits_files"]),
    attack("first-in-line", "goes before every other process", "priority")
        .as_root()
        .held(&["EACCES"], &["capabilities", "userns_uid"])
        .no_twin("the user namespace alone holds it too, and no jail is built without one"),
    attack("real-time", "takes a processor for itself alone", "realtime")
        .as_root()
        .held(&["EPERM"], &["capabilities", "userns_uid"])
        .no_twin("the user namespace alone holds it too, and no jail is built without one"),
];
