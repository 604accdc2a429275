//! Spans for an OpenTelemetry collector, if the configuration names one.

use crate::boot::Boot;
use crate::trouble::Trouble;

/// The most bytes of event lines that are kept to be sent at the end of a task.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// Event lines on their way to a collector.
pub(crate) struct Telemetry {
    endpoint: Option<String>,
    lines: String,
}

impl Telemetry {
    /// Nothing kept yet.
    ///
    /// # Errors
    /// The configuration names a collector and this build cannot reach one.
    pub(crate) fn new(boot: &Boot) -> Result<Telemetry, Trouble> {
        let endpoint = boot.config.text("telemetry.otlp_endpoint").filter(|text| !text.is_empty()).map(str::to_owned);
        if endpoint.is_some() && !cfg!(feature = "otlp") {
            return Err(Trouble::usage(
                "telemetry.otlp_endpoint is set, and this build has no OTLP export; unset it, or build with --features otlp",
            ));
        }
        Ok(Telemetry { endpoint, lines: String::new() })
    }

    /// Keeps one event line.
    pub(crate) fn keep(&mut self, line: &str) {
        if self.endpoint.is_some() && self.lines.len() + line.len() < KEPT_BYTES_MAX {
            self.lines.push_str(line);
            self.lines.push('\n');
        }
    }

    /// Sends what was kept as OTLP over HTTP with JSON (OpenTelemetry Protocol 1.9, section "OTLP/HTTP").
    #[cfg(feature = "otlp")]
    pub(crate) async fn send(&mut self, boot: &Boot) -> Result<(), Trouble> {
        use aether_net::{Limits, Method, Request, Url};
        let Some(endpoint) = self.endpoint.as_deref().filter(|_| !self.lines.is_empty()) else { return Ok(()) };
        let refused = |why: &dyn std::fmt::Display| Trouble::failed(format!("telemetry was not taken: {why}"));
        let url =
            Url::parse(&format!("{}/v1/traces", endpoint.trim_end_matches('/'))).map_err(|fault| refused(&fault))?;
        let body = aether_observe::otlp_traces(&self.lines, env!("CARGO_PKG_VERSION"));
        self.lines.clear();
        let limits = Limits { total_ms_max: 5_000, ..Limits::default() };
        let request = Request::new(Method::POST, url).limits(limits).body(body);
        let request = request.header("content-type", "application/json").map_err(|error| refused(&error))?;
        let response = crate::house::client(boot)?.send(request).await.map_err(|error| refused(&error))?;
        match response.status() {
            200..300 => Ok(()),
            status => Err(refused(&format!("{endpoint} answered with status {status}"))),
        }
    }

    /// A build without the export has nothing to send: [`Telemetry::new`] refused an endpoint.
    #[cfg(not(feature = "otlp"))]
    #[expect(clippy::unused_async, reason = "the same door as with the export")]
    pub(crate) async fn send(&mut self, _boot: &Boot) -> Result<(), Trouble> {
        Ok(())
    }
}
