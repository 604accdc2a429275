//! Plans that are refused before anything is tried.

use super::*;

pub(crate) fn plan() -> Plan {
    Plan {
        binds: vec![Bind {
            source: "/usr".into(),
            target: "/usr".into(),
            access: Access::Read,
            execute: Execute::Allowed,
        }],
        network: Network::None,
        limits: Limits {
            runtime_ms_max: 1000,
            cpu_ms_max: 1000,
            memory_bytes_max: 64 << 20,
            processes_max: 8,
            open_files_max: 64,
            file_bytes_max: 1 << 20,
            scratch_bytes_max: 1 << 20,
        },
        command: Command {
            program: "/bin/true".into(),
            args: vec!["true".into()],
            env: vec![("A".into(), "b=c".into())],
            cwd: "/".into(),
        },
        guarantees: Guarantees::default(),
    }
}

fn why(change: impl FnOnce(&mut Plan)) -> String {
    let mut plan = plan();
    change(&mut plan);
    plan.check().expect_err("is refused").to_string()
}

fn writable(source: &str) -> Bind {
    Bind { source: source.into(), target: "/w".into(), access: Access::Write, execute: Execute::Denied }
}

#[test]
fn j2_a_plan_that_makes_sense_passes() {
    assert_eq!(plan().check(), Ok(()));
    let text = plan().to_string();
    assert!(text.contains("mount      /usr: read, execute; no devices") && text.contains("network    none"), "{text}");
}

#[test]
fn j2_paths_that_lie_are_refused() {
    for bad in ["usr", "", "/usr/../etc", "/us\0r", "/x/.."] {
        for change in [
            |plan: &mut Plan, bad: &str| plan.binds[0].source = bad.into(),
            |plan: &mut Plan, bad: &str| plan.binds[0].target = bad.into(),
            |plan: &mut Plan, bad: &str| plan.command.cwd = bad.into(),
            |plan: &mut Plan, bad: &str| plan.command.program = bad.into(),
        ] {
            assert!(why(|plan| change(plan, bad)).contains("the path"), "{bad}");
        }
    }
    assert!(why(|plan| plan.binds.push(plan.binds[0].clone())).contains("two binds"));
    for own in ["/", "/etc", "/tmp", "/proc/x", "/dev", "/sys"] {
        assert!(why(|plan| plan.binds[0].target = own.into()).contains("jail's own"), "{own}");
    }
}

#[test]
fn j1_protected_places_are_refused_with_what_lies_in_them() {
    for place in ["/", "/proc", "/proc/1/root", "/run", "/run/docker.sock", "/dev/shm", "/boot"] {
        assert!(why(|plan| plan.binds.push(writable(place))).contains("protected place"), "{place}");
    }
    assert!(why(|plan| plan.binds.push(writable("/usr/local"))).contains("belongs to the system"));
    let home = protected_in(Path::new("/home/a"));
    for place in ["/home/a/.ssh", "/home/a/.ssh/id", "/home/a/.config/gh/hosts"] {
        assert!(is_grantable(Path::new(place), Access::Read, &home).is_err(), "{place}");
    }
    // What contains some has them hidden.
    for place in ["/home", "/home/a", "/home/a/.config", "/home/a/project", "/home/a/.sshfoo", "/home/ab"] {
        assert_eq!(is_grantable(Path::new(place), Access::Write, &home), Ok(()), "{place}");
    }
}

#[test]
fn j2_limits_commands_and_ports_have_bounds() {
    assert!(why(|plan| plan.limits.runtime_ms_max = 0).contains("runtime_ms_max of 0"));
    assert!(why(|plan| plan.limits.memory_bytes_max = 5).contains("memory_bytes_max of 5"));
    assert!(why(|plan| plan.limits.open_files_max = 3).contains("open_files_max"));
    assert!(why(|plan| plan.limits.processes_max = 0).contains("processes_max"));
    assert!(why(|plan| plan.command.args.clear()).contains("no arguments"));
    assert!(why(|plan| plan.command.args[0] = "a\0".into()).contains("NUL"));
    assert!(why(|plan| plan.command.env[0].0 = "a=".into()).contains("no name"));
    for ports in [vec![53], vec![0], vec![80, 80], (1..=50).chain(60..=90).collect()] {
        assert!(
            why(|plan| plan.network = Network::Brokered { ports: ports.clone() }).contains("the ports"),
            "{ports:?}"
        );
    }
}
