//! Attacks on what decides, and on what the launcher knows.

use super::{Attack, Group, Prop, Under};

const fn attack(name: &'static str, tries: &'static str, line: &'static str) -> Attack {
    Attack::new(Group::Policy, name, tries, line)
}

const BEFORE: &str = "the refusal comes before there is a jail";
const REFUSED: &[&str] = &["refused: "];
const ENVIRONMENT: &[&str] = &["environment"];

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        "environment-secret",
        "finds a secret of the launcher in its environment",
        "environment AETHER_ABUSE_SECRET",
    )
    .with(Prop::Environment)
    .held(&["NOTHING"], ENVIRONMENT),
    attack(
        "environment-preload",
        "gets a library loaded that the launcher's environment names",
        "environment LD_PRELOAD",
    )
    .with(Prop::Environment)
    .held(&["NOTHING"], ENVIRONMENT),
    attack(
        "environment-shell",
        "gets a script run that the launcher's environment names",
        "bash test -n \"$BASH_ENV\" && echo breached: $BASH_ENV || echo held: NOTHING",
    )
    .with(Prop::Environment)
    .held(&["NOTHING"], ENVIRONMENT),
    attack("environment-git", "gets git to use what the launcher's environment names", "environment GIT_DIR")
        .with(Prop::Environment)
        .held(&["NOTHING"], ENVIRONMENT),
    attack(
        "environment-node",
        "gets an interpreter's options from the launcher's environment",
        "environment NODE_OPTIONS",
    )
    .with(Prop::Environment)
    .held(&["NOTHING"], ENVIRONMENT),
    attack("environment-key", "finds the key of a provider", "environment OPENAI_API_KEY")
        .with(Prop::Environment)
        .held(&["NOTHING"], ENVIRONMENT),
    attack("environment-agent", "finds the way to the person's key agent", "environment SSH_AUTH_SOCK")
        .with(Prop::Environment)
        .held(&["NOTHING"], ENVIRONMENT),
    attack("grant-of-root", "asks for the whole file system", "read {outside}/secret")
        .under(Under::PLAIN.filesystem("{ read = [\"/\"] }"))
        .held(&["refused: "], &[])
        .no_twin(BEFORE),
    attack("grant-of-processes", "asks for `/proc`", "read /proc/cmdline")
        .under(Under::PLAIN.filesystem("{ read = [\"/proc\"] }"))
        .held(&["refused: "], &[])
        .no_twin(BEFORE),
    attack("grant-of-devices", "asks for `/dev`", "see /dev/pts/ptmx")
        .under(Under::PLAIN.filesystem("{ write = [\"/dev\"] }"))
        .held(&["refused: "], &[])
        .no_twin(BEFORE),
    attack("grant-of-keys", "asks for the person's keys", "read {home}/.ssh/id_ed25519")
        .under(Under::PLAIN.filesystem("{ read = [\"{home}/.ssh\"] }"))
        .held(&["refused: "], &[])
        .no_twin(BEFORE),
    attack("grant-by-dots", "asks for a path with `..`", "read {outside}/secret")
        .under(Under::PLAIN.filesystem("{ read = [\"$workspace/../outside\"] }"))
        .held(&["refused: "], &[])
        .no_twin(BEFORE),
    attack("grant-of-everybody", "asks for every host there is", "tcp 93.184.216.34 80")
        .under(Under::PLAIN.network("[\"*\"]"))
        .held(REFUSED, &[])
        .no_twin(BEFORE),
    attack("grant-of-a-country", "asks for a whole top-level domain", "tcp 93.184.216.34 80")
        .under(Under::PLAIN.network("[\"*.com\"]"))
        .held(REFUSED, &[])
        .no_twin(BEFORE),
    attack("grant-of-metadata", "asks for the metadata service by its address", "tcp 169.254.169.254 80")
        .under(Under::PLAIN.network("[\"169.254.169.254:80\"]"))
        .held(&["refused: ", "ECONNREFUSED", "ECONNRESET", "NOTHING", "EPERM"], &[])
        .no_twin(BEFORE),
    attack("manifest-unknown-key", "slips in a key that nobody knows", "read {outside}/secret")
        .under(Under { more: "privileged = true\n", ..Under::PLAIN })
        .held(REFUSED, &[])
        .no_twin(BEFORE),
    attack("manifest-twice", "says the same thing twice, differently", "tcp 93.184.216.34 80")
        .under(Under { more: "network = true\n", ..Under::PLAIN })
        .held(REFUSED, &[])
        .no_twin(BEFORE),
    attack("manifest-unlimited", "asks for a run without end", "read {outside}/secret")
        .under(Under { max_runtime: "0s", ..Under::PLAIN })
        .held(&["refused: "], &[])
        .no_twin(BEFORE),
    attack("manifest-broken", "is no manifest at all", "read {outside}/secret")
        .under(Under { more: "[[[", ..Under::PLAIN })
        .held(REFUSED, &[])
        .no_twin(BEFORE),
    attack("secret-elsewhere", "wants a secret for a host that it may not reach", "environment AETHER_ABUSE_SECRET")
        .with(Prop::Environment)
        .under(Under {
            more: "[[secrets]]\nname = \"token\"\nhost = \"other.example\"\nheader = \"authorization: Bearer {}\"\n",
            ..Under::PLAIN
        })
        .held(REFUSED, &[])
        .no_twin(BEFORE),
    attack(
        "audit-log",
        "reaches for the record of what it did",
        "sh ls -d {data}/* >/dev/null 2>&1 && echo breached: found || echo held: NOTHING",
    )
    .held(&["NOTHING"], &["mounts", "landlock"]),
    attack(
        "own-settings",
        "reaches for this program's configuration",
        "sh echo >> {config}/aether/config.toml 2>/dev/null && echo breached: written || echo held: NOTHING",
    )
    .held(&["NOTHING"], &["mounts", "landlock", "readonly"]),
];
