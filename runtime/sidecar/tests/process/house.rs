//! What the sidecar of these tests does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aether_sidecar::{Boxed, Finished, Outcome, Piece, Pieces, Proven, Refusal, Setup, Usage, Worker};
use zeroize::Zeroizing;

/// Starts as its settings say: `fail worker`, `fail confine`, `exit`, `talk`.
#[derive(Default)]
pub(crate) struct House {
    inherited: String,
    settings: String,
}

impl Setup for House {
    fn first(&mut self) -> Result<(), String> {
        self.inherited = format!("descriptors {}; {} threads", descriptors(), entries("/proc/self/task"));
        Ok(())
    }

    fn worker(&mut self, settings: Zeroizing<Vec<u8>>) -> Result<Arc<dyn Worker>, String> {
        self.settings = String::from_utf8_lossy(&settings).into_owned();
        match &*self.settings {
            "exit" => std::process::exit(3),
            "fail worker" => return Err("the worker cannot be made: as asked".into()),
            "talk" => {
                eprintln!("something odd \u{1b}[31m");
                std::process::abort();
            }
            "sleep" => std::thread::sleep(Duration::from_secs(60)),
            _ => {}
        }
        Ok(Arc::new(TestWorker { inherited: self.inherited.clone(), hanging: Arc::default(), ran: AtomicU32::new(0) }))
    }

    fn confine(&mut self) -> Result<(), String> {
        if self.settings == "fail confine" { Err("cannot be confined: as asked".into()) } else { Ok(()) }
    }
}

struct TestWorker {
    inherited: String,
    hanging: Arc<AtomicU32>,
    ran: AtomicU32,
}

struct Hanging(Arc<AtomicU32>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Worker for TestWorker {
    fn run(&self, call: Proven, out: Pieces) -> Boxed<Result<Finished, Refusal>> {
        self.ran.fetch_add(1, Ordering::SeqCst);
        let (hanging, inherited) = (self.hanging.clone(), self.inherited.clone());
        Box::pin(async move {
            let done = |text: String| Ok(Finished::new(Outcome::Done, text));
            match &*call.tool {
                "echo" => done(call.input),
                "hang" => {
                    hanging.fetch_add(1, Ordering::SeqCst);
                    let _hanging = Hanging(hanging);
                    let _ = out.send(Piece::Stdout(b"hanging".to_vec())).await;
                    std::future::pending().await
                }
                "nap" => {
                    let _ = out.send(Piece::Stdout(b"asleep".to_vec())).await;
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    done("rested".into())
                }
                "block" => {
                    let _ = out.send(Piece::Stdout(b"blocked".to_vec())).await;
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    std::thread::sleep(Duration::from_secs(60));
                    done("never seen".into())
                }
                "stream" => {
                    for number in 0..1_000u32 {
                        let _ = out.send(Piece::Stdout(number.to_be_bytes().repeat(1_000))).await;
                    }
                    done(String::new())
                }
                "die" => std::process::exit(7),
                "breach" => Ok(Finished {
                    exit_code: None,
                    signal: Some(9),
                    breach: "memory limit 20 MB exceeded".into(),
                    usage: Usage { wall_ms: 1, cpu_ms: 2, memory_bytes_peak: 3 },
                    enforcement: "memory: approximate".into(),
                    ..Finished::new(Outcome::Breach, "killed".into())
                }),
                "inherited" => done(inherited),
                "self" => done(itself()),
                other => Err(Refusal::Refused(format!("there is no tool `{other}`"))),
            }
        })
    }

    fn close(&self, _: String) -> Boxed<()> {
        Box::pin(async {})
    }

    fn status(&self) -> String {
        format!(
            "hanging {}, ran {}, descriptors {}",
            self.hanging.load(Ordering::SeqCst),
            self.ran.load(Ordering::SeqCst),
            descriptors().split(',').count()
        )
    }

    fn refused(&self, reason: &str, sentence: &str) {
        eprintln!("refused: {reason}: {sentence}");
    }
}

/// What the process is: environment, directory, session, memory closed to others, core files.
fn itself() -> String {
    let id = rustix::process::getpid();
    format!(
        "{} variables; in {}; {} session; dumpable {:?}; umask {:?}; core {:?}; arguments {:?}",
        std::env::vars_os().count(),
        std::env::current_dir().unwrap().display(),
        if rustix::process::getsid(None).unwrap() == id { "own" } else { "foreign" },
        rustix::process::dumpable_behavior().unwrap(),
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077)).bits(),
        rustix::process::getrlimit(rustix::process::Resource::Core).maximum,
        std::env::args().collect::<Vec<_>>(),
    )
}

/// The open descriptors but the one that lists them, with what they are.
pub(crate) fn descriptors() -> String {
    let mut found: Vec<(u32, String)> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let target = std::fs::read_link(entry.path()).ok()?.display().to_string();
            let number = entry.file_name().to_str()?.parse().ok()?;
            (!target.contains("/proc/")).then(|| (number, target.split(':').next().unwrap().to_owned()))
        })
        .collect();
    found.sort();
    found.iter().map(|(number, target)| format!("{number} {target}")).collect::<Vec<_>>().join(",")
}

pub(crate) fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
