//! How long a jailed `true` takes, beside bubblewrap's and none at all: `cargo run --release --example truth -- 500`, with
//! a part of a row's name behind it for that row alone.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement, which prints and has no way on without its parts"
)]

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::OpenOptions;
    use std::os::fd::OwnedFd;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use aether_jail::{Guarantees, Limits, Network, Plan, SPAWNER_WORD, Spawner, Streams, serve, system};

    pub(crate) fn main() {
        let mut args = std::env::args().skip(1);
        let first = args.next();
        if first.as_deref() == Some(SPAWNER_WORD) {
            serve();
        }
        let runs: u32 = first.and_then(|text| text.parse().ok()).unwrap_or(200);
        let only = args.next();
        let row = |name: &str, measure: &dyn Fn() -> String| {
            if only.as_deref().is_none_or(|only| name.contains(only)) {
                println!("{name:17} {}", measure());
            }
        };
        let spawner = Spawner::exec().expect("a spawner");
        row("posix_spawn", &|| measure(runs, || plain(Command::new("/bin/true"))));
        row("bubblewrap", &|| measure(runs, || plain(bubblewrap())));
        row("jail, cold", &|| measure(runs, || jailed(&spawner, &plan())));
        let folder =
            std::env::temp_dir().canonicalize().expect("a place").join(format!("truth-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a workspace");
        row("jail, workspace", &|| measure(runs, || jailed(&spawner, &with_workspace(&folder))));
        std::fs::remove_dir(&folder).expect("a workspace that is empty again");
        spawner.park(&plan(), 4).expect("parked jails");
        row("jail, parked", &|| measure_slowly(runs, || jailed(&spawner, &plan())));
        row("posix_spawn slow", &|| measure_slowly(runs, || plain(Command::new("/bin/true"))));
        row("bubblewrap slow", &|| measure_slowly(runs, || plain(bubblewrap())));
        let mut sandbox = spawner.spawn(&plan(), streams()).expect("a sandbox");
        println!("{:?}", sandbox.enforcement());
        println!("{:?}", sandbox.wait().expect("an end"));
    }

    fn plan() -> Plan {
        Plan {
            binds: system(),
            network: Network::None,
            limits: Limits {
                runtime_ms_max: 5000,
                cpu_ms_max: 5000,
                memory_bytes_max: 64 << 20,
                processes_max: 8,
                open_files_max: 256,
                file_bytes_max: 1 << 20,
                scratch_bytes_max: 1 << 20,
            },
            command: aether_jail::Command {
                program: "/bin/true".into(),
                args: vec!["true".into()],
                env: Vec::new(),
                cwd: "/".into(),
            },
            guarantees: Guarantees::default(),
        }
    }

    fn with_workspace(folder: &std::path::Path) -> Plan {
        let mut plan = plan();
        plan.binds.push(aether_jail::Bind {
            source: folder.into(),
            target: folder.into(),
            access: aether_jail::Access::Write,
            execute: aether_jail::Execute::Denied,
        });
        plan
    }

    fn streams() -> Streams {
        let null = || -> OwnedFd { OpenOptions::new().read(true).write(true).open("/dev/null").expect("null").into() };
        Streams { stdin: null(), stdout: null(), stderr: null(), extra: Vec::new() }
    }

    fn jailed(spawner: &Spawner, plan: &Plan) {
        let mut sandbox = spawner.spawn(plan, streams()).expect("a sandbox");
        let ended = sandbox.wait().expect("an end");
        assert_eq!(ended.status, aether_jail::Status::Exited(0), "{ended:?}");
    }

    fn plain(mut command: Command) {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().expect("a program").success());
    }

    fn bubblewrap() -> Command {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink"]);
        command.args(["usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev"]);
        command.args(["--tmpfs", "/tmp", "--new-session", "--die-with-parent", "/bin/true"]);
        command
    }

    fn measure(runs: u32, mut act: impl FnMut()) -> String {
        sampled(runs, &mut act, 0)
    }

    /// With a pause between, in which the next jail is made ahead.
    fn measure_slowly(runs: u32, mut act: impl FnMut()) -> String {
        sampled(runs, &mut act, 15)
    }

    fn sampled(runs: u32, act: &mut dyn FnMut(), pause_ms: u64) -> String {
        for _ in 0..5 {
            act();
        }
        let mut samples: Vec<u128> = (0..runs)
            .map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(pause_ms));
                let start = Instant::now();
                act();
                start.elapsed().as_micros()
            })
            .collect();
        samples.sort_unstable();
        let at = |part: usize| samples[(samples.len() * part / 100).min(samples.len() - 1)];
        format!("min {:5} us, p50 {:5} us, p90 {:5} us, p99 {:5} us", samples[0], at(50), at(90), at(99))
    }
}
