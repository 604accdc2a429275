//! One request: read, let pass or refused, carried out, answered (`docs/ipc-security.md`, section 7.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aether_proto::{CloseReply, CloseRequest, Code, RunEvent, RunRequest, StatusReply, run_event};
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request};
use prost::Message;
use prost::bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep_until, timeout};

use crate::call::{Finished, Outcome, Piece, Proven, Refusal, call_digest};
use crate::guard::{Denial, Guard, Method, Passed};
use crate::transmit::{End, Incoming, Outgoing, Reset, answer_head};
use crate::worker::{Boxed, PIECES_MAX, Pieces, Worker};

/// Milliseconds in which a request must have come whole.
const REQUEST_MS_MAX: u64 = 10_000;

/// Bytes of all requests that are being received or carried out.
const REQUESTS_BYTES_MAX: usize = 64 << 20;

/// What all requests of a connection share.
pub(crate) struct Service {
    worker: Arc<dyn Worker>,
    guard: Guard,
    message_bytes_max: usize,
    in_flight_max: u32,
    in_flight: Arc<Semaphore>,
    request_bytes: Arc<Semaphore>,
    calls_total: AtomicU64,
    refused_total: AtomicU64,
    since: Instant,
}

impl Service {
    pub(crate) fn new(worker: Arc<dyn Worker>, guard: Guard, message_bytes_max: u32, in_flight_max: u32) -> Service {
        Service {
            worker,
            guard,
            message_bytes_max: message_bytes_max as usize,
            in_flight_max,
            in_flight: Arc::new(Semaphore::new(in_flight_max as usize)),
            request_bytes: Arc::new(Semaphore::new(REQUESTS_BYTES_MAX)),
            calls_total: AtomicU64::new(0),
            refused_total: AtomicU64::new(0),
            since: Instant::now(),
        }
    }

    /// Answers one request, in whichever way.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let (head, body) = request.into_parts();
        let mut incoming = Incoming::new(body, self.message_bytes_max);
        let mut held = None;
        let outcome = match self.read(&head, &mut incoming, &mut held).await {
            Ok((Method::Run, passed, message)) => self.run(&passed, message, &mut respond).await,
            Ok((Method::Close, passed, message)) => self.close(&passed, message, &mut respond).await,
            Ok((Method::Status, _, _)) => self.reply(&self.health(), &mut respond).await,
            Err(denial) => Err(denial),
        };
        if let Err(denial) = outcome {
            self.note(&denial);
            // A stream that is gone needs no answer.
            let _ = respond.send_response(answer_head(Some(&denial)), true);
        }
    }

    /// Counts a refusal and has it recorded.
    fn note(&self, denial: &Denial) {
        self.refused_total.fetch_add(1, Ordering::Relaxed);
        self.worker.refused(denial.reason, &denial.text);
    }

    /// Reads a request and lets it pass. `held` keeps its share of [`REQUESTS_BYTES_MAX`].
    async fn read(
        &self,
        head: &http::request::Parts,
        incoming: &mut Incoming,
        held: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<(Method, Passed, Bytes), Denial> {
        let unknown = || Denial::new(Code::Unimplemented, "", "there is no such method");
        let method = Method::of(head.uri.path()).ok_or_else(unknown)?;
        check_form(&head.method, &head.headers)?;
        let reserve = |count: usize| {
            let share = u32::try_from(count).unwrap_or(u32::MAX);
            let share = self.request_bytes.clone().try_acquire_many_owned(share).map_err(|_| {
                Denial::new(Code::ResourceExhausted, "too-many", "too many bytes of requests are under way")
            })?;
            match held {
                Some(held) => held.merge(share),
                None => *held = Some(share),
            }
            Ok(())
        };
        let message = timeout(Duration::from_millis(REQUEST_MS_MAX), incoming.only_message(reserve)).await;
        let late = |_| Denial::new(Code::DeadlineExceeded, "deadline", "the request did not come whole in time");
        let message = message.map_err(late)??;
        let passed = self.guard.pass(method, &head.headers, &message)?;
        Ok((method, passed, message))
    }

    /// Hands a call to the worker, if it is the one that was proven (S1).
    async fn run(&self, passed: &Passed, message: Bytes, respond: &mut SendResponse<Bytes>) -> Result<(), Denial> {
        let request = RunRequest::decode(message).map_err(|_| Denial::malformed("the message is no RunRequest"))?;
        let missing = || Denial::new(Code::Unauthenticated, "proof-missing", "a call needs a proof");
        let authority = passed.authority.clone().ok_or_else(missing)?;
        let call = call_digest(&request.tool, &request.input);
        authority.permits(&request.tool, &call).map_err(|error| Denial::of_proof(&error))?;
        let _slot = self.in_flight.try_acquire().map_err(|_| {
            let text = format!("{} calls are running, as many as may; wait for one to end", self.in_flight_max);
            Denial::new(Code::ResourceExhausted, "too-many", text)
        })?;
        self.calls_total.fetch_add(1, Ordering::Relaxed);
        let deadline = self.guard.clock.instant(passed.deadline_unix_ms);
        let proven =
            Proven { tool: request.tool, input: request.input, session: request.session, authority, call, deadline };
        let (pieces, queue) = Pieces::bounded();
        let run = self.worker.run(proven, pieces);
        let Ok(stream) = respond.send_response(answer_head(None), false) else { return Ok(()) };
        let outgoing = Outgoing::new(stream, End::Open);
        let stage = Stage { run, queue, outgoing, bytes_max: self.message_bytes_max };
        stage.play(deadline.into(), self).await;
        Ok(())
    }

    async fn close(&self, passed: &Passed, message: Bytes, respond: &mut SendResponse<Bytes>) -> Result<(), Denial> {
        let request = CloseRequest::decode(message).map_err(|_| Denial::malformed("the message is no CloseRequest"))?;
        let deadline = self.guard.clock.instant(passed.deadline_unix_ms);
        let closed = tokio::time::timeout_at(deadline.into(), self.worker.close(request.session)).await;
        closed.map_err(|_| late())?;
        self.reply(&CloseReply {}, respond).await
    }

    /// Answers with one message.
    async fn reply<M: Message>(&self, message: &M, respond: &mut SendResponse<Bytes>) -> Result<(), Denial> {
        let Ok(stream) = respond.send_response(answer_head(None), false) else { return Ok(()) };
        let mut outgoing = Outgoing::new(stream, End::Open);
        let put = aether_proto::put(message, self.message_bytes_max, &mut outgoing.pending).map_err(too_large);
        let patience = Duration::from_millis(REQUEST_MS_MAX);
        if matches!(timeout(patience, outgoing.flush()).await, Ok(Ok(()))) {
            outgoing.end(put.err().as_ref());
        }
        Ok(())
    }

    fn health(&self) -> StatusReply {
        let free = u32::try_from(self.in_flight.available_permits()).unwrap_or(u32::MAX);
        StatusReply {
            text: self.worker.status(),
            in_flight: self.in_flight_max.saturating_sub(free),
            calls_total: self.calls_total.load(Ordering::Relaxed),
            refused_total: self.refused_total.load(Ordering::Relaxed),
            serving_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A call that is being carried out.
struct Stage {
    run: Boxed<Result<Finished, Refusal>>,
    queue: mpsc::Receiver<Piece>,
    outgoing: Outgoing,
    bytes_max: usize,
}

impl Stage {
    /// Sends pieces as they come, then the end. Dropping the run ends it: when the caller goes away (S5), and when the
    /// deadline passes (S4).
    async fn play(mut self, deadline: tokio::time::Instant, service: &Service) {
        let played = tokio::select! {
            biased;
            played = self.pieces_and_end() => played,
            () = sleep_until(deadline) => Ok(Err(late())),
        };
        let Ok(played) = played else { return };
        drop(self.run);
        if let Err(denial) = &played {
            service.note(denial);
        }
        self.outgoing.end(played.as_ref().err());
    }

    async fn pieces_and_end(&mut self) -> Result<Result<(), Denial>, Reset> {
        let mut batch = Vec::new();
        let (mut end, mut is_drained) = (None, false);
        while !(end.is_some() && is_drained && self.outgoing.is_idle()) {
            tokio::select! {
                biased;
                advanced = self.outgoing.advance() => advanced?,
                ended = &mut self.run, if end.is_none() => {
                    end = Some(ended);
                    // What is queued is still sent; what a job left behind would add is not.
                    self.queue.close();
                }
                count = self.queue.recv_many(&mut batch, PIECES_MAX), if self.outgoing.is_idle() && !is_drained => {
                    is_drained = count == 0;
                    for piece in batch.drain(..) {
                        if let Err(denial) = self.put(event_of(piece)) {
                            return Ok(Err(denial));
                        }
                    }
                }
            }
        }
        let finished = match end {
            Some(Ok(finished)) => finished,
            Some(Err(refusal)) => return Ok(Err(denial_of(refusal))),
            None => return Ok(Err(Denial::new(Code::Internal, "", "the call ended without an end"))),
        };
        if let Err(denial) = self.put(run_event::Event::Finished(message_of(finished))) {
            return Ok(Err(denial));
        }
        self.outgoing.flush().await?;
        Ok(Ok(()))
    }

    fn put(&mut self, event: run_event::Event) -> Result<(), Denial> {
        let event = RunEvent { event: Some(event) };
        aether_proto::put(&event, self.bytes_max, &mut self.outgoing.pending).map_err(too_large)
    }
}

/// What every request of gRPC has in common.
fn check_form(method: &http::Method, headers: &HeaderMap) -> Result<(), Denial> {
    if method != http::Method::POST {
        return Err(Denial::malformed("a request is a POST"));
    }
    let media = headers.get(http::header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let is_grpc = media.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest, b"" | b"+proto"));
    if !is_grpc {
        return Err(Denial::malformed("a request has the content-type application/grpc"));
    }
    let encoding = headers.get("grpc-encoding").map_or(&b"identity"[..], |value| value.as_bytes());
    if encoding != b"identity" {
        return Err(Denial::new(Code::Unimplemented, "", "compression is not spoken here; send messages uncompressed"));
    }
    Ok(())
}

fn late() -> Denial {
    Denial::new(Code::DeadlineExceeded, "deadline", "the deadline passed before the call ended; it was killed")
}

fn too_large(error: aether_proto::FrameError) -> Denial {
    Denial::new(Code::ResourceExhausted, "too-large", error.to_string())
}

fn denial_of(refusal: Refusal) -> Denial {
    match refusal {
        Refusal::Refused(text) => Denial::new(Code::PermissionDenied, "refused", text),
        Refusal::Busy(text) => Denial::new(Code::ResourceExhausted, "too-many", text),
        Refusal::Unavailable(text) => {
            let text = if text.starts_with(UNAVAILABLE) { text } else { [UNAVAILABLE, ": ", &text].concat() };
            Denial::new(Code::FailedPrecondition, "sandbox-unavailable", text)
        }
    }
}

/// What the sentence of an unavailable sandbox begins with.
const UNAVAILABLE: &str = "SANDBOX_UNAVAILABLE";

fn event_of(piece: Piece) -> run_event::Event {
    match piece {
        Piece::Stdout(bytes) => run_event::Event::Stdout(bytes),
        Piece::Stderr(bytes) => run_event::Event::Stderr(bytes),
        Piece::Note(text) => run_event::Event::Note(text),
    }
}

fn message_of(finished: Finished) -> aether_proto::Finished {
    let outcome = match finished.outcome {
        Outcome::Done => aether_proto::Outcome::Done,
        Outcome::Failed => aether_proto::Outcome::Failed,
        Outcome::Breach => aether_proto::Outcome::Breach,
    };
    aether_proto::Finished {
        outcome: outcome.into(),
        text: finished.text,
        exit_code: finished.exit_code,
        signal: finished.signal,
        breach: finished.breach,
        wall_ms: finished.usage.wall_ms,
        cpu_ms: finished.usage.cpu_ms,
        memory_bytes_peak: finished.usage.memory_bytes_peak,
        enforcement: finished.enforcement,
    }
}
