//! What an honest tool does, and must go on doing: a jail that stops everything would hold every attack.

use super::{Attack, Group, Under};

const fn work(name: &'static str, tries: &'static str, line: &'static str) -> Attack {
    Attack::new(Group::Policy, name, tries, line).held(&["works"], &[]).no_twin("it is no attack")
}

const HOSTS: Under = Under::PLAIN.network("[\"allowed.example:80\", \"allowed.example:443\", \"*.wild.example:80\"]");

pub(super) const WORK: &[Attack] = &[
    work("reads-what-is-granted", "reads a file that was granted", "read {granted}/own"),
    work("writes-the-workspace", "writes a file of the workspace", "write {workspace}/file"),
    work("makes-files", "makes a file in the workspace", "create {workspace}/new"),
    work("makes-directories", "makes a directory in the workspace", "mkdir {workspace}/new"),
    work("renames", "renames a file of the workspace", "rename {workspace}/file {workspace}/other"),
    work("links", "links a file of the workspace", "link {workspace}/file {workspace}/other"),
    work("writes-its-own-tmp", "writes its own temporary directory", "create /tmp/{mark}"),
    work("runs-programs", "runs a program of the system", "execute /usr/bin/true"),
    work(
        "runs-a-shell",
        "runs a pipeline",
        "sh echo one two | tr ' ' '\\n' | sort -r | head -1 | grep -q two && echo breached: fine",
    ),
    work(
        "runs-an-interpreter",
        "runs an interpreter with threads and children",
        "python import threading,subprocess;t=threading.Thread(target=lambda:0);t.start();t.join();subprocess.check_call(['true']);print('breached: fine')",
    ),
    work("has-children", "has a few children at once", "fork-many 4"),
    work("has-threads", "has a few threads at once", "threads-many 4"),
    work("has-memory", "uses memory below its limit", "memory 33554432"),
    work("opens-descriptors", "opens a few descriptors", "descriptors-many 32"),
    work(
        "reaches-a-host",
        "reaches a host that is in the list",
        "say allowed.example 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\sallowed.example\\r\\n\\r\\n reached\\s93.184.216.34",
    )
    .under(HOSTS),
    work(
        "reaches-below-a-wildcard",
        "reaches a host below a wildcard",
        "say one.wild.example 80 GET\\s/\\sHTTP/1.1\\r\\nHost:\\sone.wild.example\\r\\n\\r\\n reached\\s93.184.216.34",
    )
    .under(HOSTS),
    work(
        "greets-a-host",
        "greets a host that is in the list by its TLS name",
        "hello allowed.example 443 allowed.example whole",
    )
    .under(HOSTS),
    work("greets-in-pieces", "the same in pieces", "hello allowed.example 443 allowed.example fragments").under(HOSTS),
    work(
        "fetches",
        "fetches a page by curl without any proxy",
        "sh curl -s -m 5 http://allowed.example/ | grep -q 'reached 93' && echo breached: fetched",
    )
    .under(HOSTS),
];
