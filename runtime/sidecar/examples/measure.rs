//! Prints how long a start and a call that does nothing take, at the median and at the 99th of a hundred.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use aether_core::capability::Capability;
    use aether_core::tool::Limits;
    use aether_sidecar::{
        Boxed, Call, Finished, Options, Outcome, Pieces, Proven, Refusal, Setup, Sidecar, SidecarError, Worker,
    };
    use zeroize::Zeroizing;

    /// Starts without anything to start, and does nothing well.
    pub(crate) struct Nothing;

    impl Setup for Nothing {
        fn first(&mut self) -> Result<(), String> {
            Ok(())
        }

        fn worker(&mut self, _: Zeroizing<Vec<u8>>) -> Result<Arc<dyn Worker>, String> {
            Ok(Arc::new(Nothing))
        }

        fn confine(&mut self) -> Result<(), String> {
            Ok(())
        }
    }

    impl Worker for Nothing {
        fn run(&self, call: Proven, _: Pieces) -> Boxed<Result<Finished, Refusal>> {
            Box::pin(async move { Ok(Finished::new(Outcome::Done, call.input)) })
        }

        fn close(&self, _: String) -> Boxed<()> {
            Box::pin(async {})
        }

        fn status(&self) -> String {
            std::fs::read_to_string("/proc/self/status").unwrap_or_default()
        }

        fn refused(&self, _: &str, _: &str) {}
    }

    pub(crate) async fn measure() -> Result<(), SidecarError> {
        let mut starts = Vec::new();
        for _ in 0..200 {
            let began = Instant::now();
            let sidecar = Sidecar::start(Options::default()).await?;
            starts.push(began.elapsed());
            sidecar.stop().await;
        }
        print("start to serving", starts);
        let sidecar = Sidecar::start(Options::default()).await?;
        let (mut asks, mut calls) = (Vec::new(), Vec::new());
        for number in 0..10_500 {
            let began = Instant::now();
            sidecar.status().await?;
            asks.push(began.elapsed());
            let began = Instant::now();
            let call = Call {
                tool: "nothing".into(),
                input: format!("{{\"number\":{number}}}"),
                task: number,
                capability: Capability::default(),
                limits: Limits::BUILTIN,
                session: None,
            };
            sidecar.run(call).await?.finish(|_| ()).await?;
            calls.push(began.elapsed());
        }
        print("status, sealed", asks.split_off(500));
        print("call, proven anew and sealed", calls.split_off(500));
        let status = sidecar.status().await?.text;
        for line in status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("RssAnon")) {
            println!("sidecar at rest: {line}");
        }
        sidecar.stop().await;
        Ok(())
    }

    fn print(what: &str, mut times: Vec<Duration>) {
        times.sort();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!("{what}: p50 {:?}, p99 {:?} of {}", at(50), at(99), times.len());
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some(aether_sidecar::SIDECAR_WORD) {
        return aether_sidecar::serve(&mut linux::Nothing);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(linux::measure()).map_err(|error| error.to_string()));
    match measured {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("there is no secure runtime on this system");
}
