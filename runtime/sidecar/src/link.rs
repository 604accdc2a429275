//! The kernel's end of one connection: makes proofs and seals, sends requests, reads answers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aether_proof::{AHEAD_MS_MAX, Authority, Issuer, NO_PROOF, Presentation, Sealer};
use aether_proto::{
    CloseReply, CloseRequest, Code, RunEvent, RunRequest, StatusReply, StatusRequest, metadata, run_event,
};
use h2::client::{ResponseFuture, SendRequest};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use prost::Message;
use prost::bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout_at};

use crate::call::{Call, Event, Finished, Health, Outcome, Piece, Usage, call_digest};
use crate::clock::Clock;
use crate::error::SidecarError;
use crate::guard::Method;
use crate::transmit::{End, Incoming, Outgoing, Unread, read_status};

/// Milliseconds beyond a call's own time in which its end must have been told.
const GRACE_MS: u64 = 2_000;

/// Milliseconds that the kernel's side waits longer than the sidecar's, so that who is right there says so.
const PATIENCE_MS: u64 = 1_000;

/// Milliseconds for everything that is no call.
const ASK_MS_MAX: u64 = 10_000;

/// One connection.
pub(crate) struct Link {
    pub(crate) sender: SendRequest<Bytes>,
    pub(crate) sealer: Mutex<Sealer>,
    pub(crate) issuer: Issuer,
    pub(crate) issuer_name: [u8; 16],
    pub(crate) audience: [u8; 32],
    pub(crate) clock: Clock,
    pub(crate) message_bytes_max: usize,
}

impl Link {
    /// Sends a call.
    pub(crate) async fn run(&self, call: Call) -> Result<Running, SidecarError> {
        let runtime_ms = call.limits.runtime_ms_max.min(AHEAD_MS_MAX - GRACE_MS - PATIENCE_MS);
        let deadline_unix_ms = self.clock.now_unix_ms() + runtime_ms + GRACE_MS;
        let authority = Authority {
            issuer: self.issuer_name,
            task: call.task,
            call: Some(call_digest(&call.tool, &call.input)),
            tool: call.tool.clone(),
            capability: call.capability,
            limits: call.limits,
            audience: self.audience,
            expires_unix_ms: deadline_unix_ms,
        };
        let proof = self.issuer.present(&authority);
        let proof = proof.map_err(|error| refused("proof-malformed", error.to_string()))?;
        let request = RunRequest { tool: call.tool, input: call.input, session: call.session };
        let patience = Duration::from_millis(runtime_ms + GRACE_MS + PATIENCE_MS);
        let until = Instant::now() + patience;
        let sending = self.send(Method::Run, &request, Some(&proof), deadline_unix_ms);
        let answer = timeout_at(until, sending).await.map_err(|_| SidecarError::Deadline)??;
        Ok(Running { answer, until, finished: None, is_over: false })
    }

    /// Ends a session.
    pub(crate) async fn close(&self, session: &str) -> Result<(), SidecarError> {
        let request = CloseRequest { session: session.to_owned() };
        self.ask::<_, CloseReply>(Method::Close, &request).await.map(|_| ())
    }

    /// Asks how it is.
    pub(crate) async fn status(&self) -> Result<Health, SidecarError> {
        let reply: StatusReply = self.ask(Method::Status, &StatusRequest {}).await?;
        let StatusReply { text, in_flight, calls_total, refused_total, serving_ms } = reply;
        Ok(Health { text, in_flight, calls_total, refused_total, serving_ms })
    }

    /// One message there, one back.
    async fn ask<Q: Message, A: Message + Default>(&self, method: Method, request: &Q) -> Result<A, SidecarError> {
        let deadline_unix_ms = self.clock.now_unix_ms() + ASK_MS_MAX;
        let exchange = async {
            let mut answer = self.send(method, request, None, deadline_unix_ms).await?;
            let reply = answer.message::<A>().await?.ok_or_else(|| garbled("an answer without a message"))?;
            match answer.message::<A>().await? {
                None => Ok(reply),
                Some(_) => Err(garbled("two messages where one was asked for")),
            }
        };
        let until = Instant::now() + Duration::from_millis(ASK_MS_MAX + PATIENCE_MS);
        timeout_at(until, exchange).await.unwrap_or(Err(SidecarError::Deadline))
    }

    /// Seals a request and sends it.
    async fn send<Q: Message>(
        &self,
        method: Method,
        request: &Q,
        proof: Option<&Presentation>,
        deadline_unix_ms: u64,
    ) -> Result<Answering, SidecarError> {
        let body = request.encode_to_vec();
        let digest = proof.map_or(NO_PROOF, Presentation::digest);
        let mut sender = self.sender.clone().ready().await.map_err(|error| broken(&error))?;
        // From here to the request's being queued nothing waits: numbers are taken in the order of sending.
        let seal = self.sealer.lock().unwrap_or_else(PoisonError::into_inner).seal(
            method.path(),
            &body,
            &digest,
            deadline_unix_ms,
        );
        let head = request_head(method, &seal.encode(), proof.map(Presentation::bytes))?;
        transmit(&mut sender, head, &body, self.message_bytes_max).await
    }
}

/// The head of a request.
pub(crate) fn request_head(method: Method, seal: &[u8], proof: Option<&[u8]>) -> Result<Request<()>, SidecarError> {
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    let uri = ["http://sidecar", method.path()].concat();
    *request.uri_mut() = http::Uri::try_from(uri).map_err(|error| garbled(&error.to_string()))?;
    *request.version_mut() = http::Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(metadata::CONTENT_TYPE));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    secret_into(headers, HeaderName::from_static(metadata::SEAL), seal)?;
    if let Some(proof) = proof {
        secret_into(headers, HeaderName::from_static(metadata::PROOF), proof)?;
    }
    Ok(request)
}

/// A header that is different every time and belongs into no compression table (RFC 7541, section 7.1.3).
fn secret_into(headers: &mut HeaderMap, name: HeaderName, bytes: &[u8]) -> Result<(), SidecarError> {
    let mut value = HeaderValue::try_from(metadata::binary(bytes)).map_err(|error| garbled(&error.to_string()))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Sends head and body on a stream of their own.
pub(crate) async fn transmit(
    sender: &mut SendRequest<Bytes>,
    head: Request<()>,
    body: &[u8],
    bytes_max: usize,
) -> Result<Answering, SidecarError> {
    let too_large = || SidecarError::Limit(format!("a message of {} bytes, where {bytes_max} are allowed", body.len()));
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= bytes_max).ok_or_else(too_large)?;
    let (response, stream) = sender.send_request(head, false).map_err(|error| broken(&error))?;
    let mut outgoing = Outgoing::new(stream, End::Closed);
    outgoing.pending = BytesMut::with_capacity(aether_proto::FRAME_HEAD_BYTES + body.len());
    outgoing.pending.extend_from_slice(&[0]);
    outgoing.pending.extend_from_slice(&length.to_be_bytes());
    outgoing.pending.extend_from_slice(body);
    let mut answering = Answering { outgoing, state: State::Asked(response), bytes_max };
    // Refused before it was read whole, it has an answer all the same.
    let _ = answering.outgoing.flush().await;
    Ok(answering)
}

/// An answer that is being received. Dropping it gives the request up.
pub(crate) struct Answering {
    outgoing: Outgoing,
    state: State,
    bytes_max: usize,
}

enum State {
    Asked(ResponseFuture),
    Answered(Incoming),
    Over,
}

impl Answering {
    /// The next message, or `None` at a good end.
    pub(crate) async fn message<A: Message + Default>(&mut self) -> Result<Option<A>, SidecarError> {
        let bytes = self.bytes().await?;
        let message = bytes.map(A::decode).transpose();
        message.map_err(|_| garbled("a message that is not of the schema"))
    }

    async fn bytes(&mut self) -> Result<Option<Bytes>, SidecarError> {
        if let State::Asked(response) = &mut self.state {
            let (head, body) = response.await.map_err(|error| broken(&error))?.into_parts();
            if head.status != http::StatusCode::OK {
                return Err(garbled(&format!("HTTP status {}", head.status)));
            }
            self.state = State::Answered(Incoming::new(body, self.bytes_max));
            if let Some(status) = read_status(&head.headers) {
                self.state = State::Over;
                return end_of(status);
            }
        }
        let State::Answered(incoming) = &mut self.state else { return Ok(None) };
        let held_bytes = match incoming.next_message().await {
            Ok(message) => return Ok(Some(message)),
            Err(Unread::Frame(error)) => return Err(garbled(&error.to_string())),
            Err(Unread::Broken(error)) => return Err(broken(&error)),
            Err(Unread::End { held_bytes }) => held_bytes,
        };
        let trailers = incoming.trailers().await.map_err(|error| broken(&error))?;
        self.state = State::Over;
        let status = trailers.as_ref().and_then(read_status).ok_or_else(|| garbled("an answer without a status"))?;
        match end_of(status)? {
            None if held_bytes > 0 => Err(garbled("half a message")),
            end => Ok(end),
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !matches!(self.state, State::Over) {
            self.outgoing.cancel();
        }
    }
}

/// A call under way. Dropping it ends the call (S5).
pub struct Running {
    answer: Answering,
    until: Instant,
    /// The end, which counts once the status after it has come.
    finished: Option<Finished>,
    is_over: bool,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

impl Running {
    /// What comes next. Not to be called after [`Event::Finished`], or after an error.
    ///
    /// The sidecar sends more only as this is called: who does not read makes the call wait. Nothing is lost when the
    /// future is dropped before it is ready and this is called again.
    ///
    /// # Errors
    /// See [`SidecarError`]; [`SidecarError::Stopped`] if the sidecar stopped.
    pub async fn next(&mut self) -> Result<Event, SidecarError> {
        if self.is_over {
            return Err(garbled("the call has ended"));
        }
        let next = timeout_at(self.until, self.event()).await.unwrap_or(Err(SidecarError::Deadline));
        self.is_over = !matches!(next, Ok(Event::Piece(_)));
        next
    }

    /// Hands every piece to `sink` and waits for the end.
    ///
    /// # Errors
    /// As [`Running::next`].
    pub async fn finish(mut self, mut sink: impl FnMut(Piece)) -> Result<Finished, SidecarError> {
        loop {
            match self.next().await? {
                Event::Piece(piece) => sink(piece),
                Event::Finished(finished) => return Ok(finished),
            }
        }
    }

    async fn event(&mut self) -> Result<Event, SidecarError> {
        loop {
            let event = self.answer.message::<RunEvent>().await?;
            let event = match (event, self.finished.take()) {
                (Some(event), None) => event.event,
                (None, Some(finished)) => return Ok(Event::Finished(finished)),
                (None, None) => return Err(garbled("a call without an end")),
                (Some(_), Some(_)) => return Err(garbled("something after the end of a call")),
            };
            match event {
                Some(run_event::Event::Stdout(bytes)) => return Ok(Event::Piece(Piece::Stdout(bytes))),
                Some(run_event::Event::Stderr(bytes)) => return Ok(Event::Piece(Piece::Stderr(bytes))),
                Some(run_event::Event::Note(text)) => return Ok(Event::Piece(Piece::Note(text))),
                Some(run_event::Event::Finished(finished)) => self.finished = Some(finished_of(finished)?),
                // A kind of event that a later version has.
                None => {}
            }
        }
    }
}

fn finished_of(message: aether_proto::Finished) -> Result<Finished, SidecarError> {
    let outcome = match message.outcome() {
        aether_proto::Outcome::Done => Outcome::Done,
        aether_proto::Outcome::Failed => Outcome::Failed,
        aether_proto::Outcome::Breach => Outcome::Breach,
        aether_proto::Outcome::Unspecified => return Err(garbled("an end without an outcome")),
    };
    let usage =
        Usage { wall_ms: message.wall_ms, cpu_ms: message.cpu_ms, memory_bytes_peak: message.memory_bytes_peak };
    Ok(Finished {
        outcome,
        usage,
        text: message.text,
        exit_code: message.exit_code,
        signal: message.signal,
        breach: message.breach,
        enforcement: message.enforcement,
    })
}

/// What a status amounts to: a good end, or an error.
fn end_of((code, reason, text): (Code, String, String)) -> Result<Option<Bytes>, SidecarError> {
    match code {
        Code::Ok => Ok(None),
        Code::FailedPrecondition => Err(SidecarError::Unavailable(text)),
        Code::ResourceExhausted => Err(SidecarError::Limit(text)),
        Code::DeadlineExceeded => Err(SidecarError::Deadline),
        Code::Internal | Code::Unknown => Err(garbled(&text)),
        Code::Unavailable | Code::Cancelled => Err(SidecarError::Stopped),
        Code::InvalidArgument
        | Code::NotFound
        | Code::PermissionDenied
        | Code::Unimplemented
        | Code::Unauthenticated => Err(SidecarError::Refused { reason, text }),
    }
}

fn refused(reason: &str, text: String) -> SidecarError {
    SidecarError::Refused { reason: reason.to_owned(), text }
}

fn garbled(what: &str) -> SidecarError {
    SidecarError::Garbled(what.to_owned())
}

/// A stream that was reset is the call's own end; anything else is the connection's.
fn broken(error: &h2::Error) -> SidecarError {
    if error.is_reset() { garbled(&format!("it broke the answer off: {error}")) } else { SidecarError::Stopped }
}
