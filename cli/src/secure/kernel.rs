//! Kernel mode: calls go to the sidecar, each with a proof of its authority.

use std::sync::Arc;

use aether_core::tool::{Authorized, Output};
use aether_core::transcript::ToolOutcome;
use aether_core::words::TaskId;
use aether_sidecar::{Call, Notice, Options, Outcome, Piece, Sidecar, SidecarError};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::audit::Audit;
use crate::secure::settings::Settings;
use crate::secure::{Tap, Wrote, record};
use crate::trouble::Trouble;

/// The sidecar, and what it is started with.
pub(crate) struct Kernel {
    options: Options,
    audit: Audit,
    sidecar: Mutex<Option<Arc<Sidecar>>>,
}

impl Kernel {
    pub(crate) fn new(settings: &Settings, audit: Audit) -> Kernel {
        let told = audit.clone();
        let options = Options {
            settings: Zeroizing::new(settings.encode().into_bytes()),
            issuer: crate::show::random_bytes(),
            notice: Some(Arc::new(move |notice: Notice| record::notice(&told, &notice))),
            ..Options::default()
        };
        Kernel { options, audit, sidecar: Mutex::default() }
    }

    pub(crate) async fn run(
        self: Arc<Kernel>,
        task: Option<TaskId>,
        authorized: Authorized,
        tap: Option<Tap>,
    ) -> Output {
        let label = authorized.needs().label;
        let (outcome, text) = match self.ask(task, &authorized, tap).await {
            Ok(finished) => finished,
            Err(error) => {
                if let SidecarError::Refused { reason, .. } = &error {
                    record::refused(&self.audit, &authorized.call().name, reason);
                }
                (ToolOutcome::Failed, error.to_string())
            }
        };
        Output { outcome, text: text.into(), label }
    }

    async fn ask(
        &self,
        task: Option<TaskId>,
        authorized: &Authorized,
        tap: Option<Tap>,
    ) -> Result<(ToolOutcome, String), SidecarError> {
        let sidecar = self.sidecar().await?;
        let call = Call {
            tool: authorized.call().name.to_string(),
            input: authorized.call().input.to_string(),
            task: task.map_or(0, |task| u64::from(task.slot) << 32 | u64::from(task.generation)),
            capability: authorized.needs().capability.clone(),
            limits: authorized.limits(),
            session: None,
        };
        let tool = &*authorized.call().name;
        let tell = |stream, bytes: &[u8]| {
            if let Some(tap) = &tap {
                tap(&Wrote { task, tool, stream, bytes });
            }
        };
        let hear = |piece| match piece {
            Piece::Note(line) => record::heard(&self.audit, &line),
            Piece::Stdout(bytes) => tell("stdout", &bytes),
            Piece::Stderr(bytes) => tell("stderr", &bytes),
        };
        let finished = sidecar.run(call).await?.finish(hear).await?;
        let outcome = if finished.outcome == Outcome::Done { ToolOutcome::Done } else { ToolOutcome::Failed };
        Ok((outcome, finished.text))
    }

    /// Starts the sidecar.
    ///
    /// # Errors
    /// It did not come to serving.
    pub(crate) async fn start(&self) -> Result<(), Trouble> {
        self.sidecar().await.map(drop).map_err(Trouble::failed)
    }

    async fn sidecar(&self) -> Result<Arc<Sidecar>, SidecarError> {
        let mut kept = self.sidecar.lock().await;
        if let Some(sidecar) = &*kept {
            return Ok(Arc::clone(sidecar));
        }
        let sidecar = Arc::new(Sidecar::start(self.options.clone()).await?);
        Ok(Arc::clone(kept.insert(sidecar)))
    }

    /// Ends the sidecar. Whoever still uses it ends it by letting go.
    pub(crate) async fn stop(&self) {
        if let Some(sidecar) = self.sidecar.lock().await.take().and_then(Arc::into_inner) {
            sidecar.stop().await;
        }
    }
}
