//! Connections to a host that has a secret: they end here, and each request goes on over TLS with the secret in it.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use zeroize::Zeroizing;

use crate::connection::Call;
use crate::decision::{Verdict, What, Why};
use crate::dial::Refusal;
use crate::head::{AnswerHead, Body, HeadFault, RequestHead, Version, is_hop};
use crate::line::{Inlet, Line, Outlet, Prefixed, Progress};
use crate::names::{Name, Peer};
use crate::relay::cut;
use crate::scrub::{Needles, Scrubber, scrub};
use crate::unplug::{Control, holds};

/// Answers that announce another (status 1xx), before the one that counts.
const ANNOUNCEMENTS_MAX: usize = 8;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Where one connection ends.
pub(crate) struct Desk<'a> {
    call: &'a Call,
    /// The port of the host.
    port: u16,
    needles: Arc<Needles>,
}

/// What comes after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Another,
    Close,
}

/// Why a request has no whole answer.
enum Failed {
    /// The client has heard nothing yet.
    Unanswered(Refusal),
    /// The client has heard the beginning.
    Midway(Why),
}

impl<T: Into<Refusal>> From<T> for Failed {
    fn from(refusal: T) -> Failed {
        Failed::Unanswered(refusal.into())
    }
}

impl<'a> Desk<'a> {
    pub(crate) fn new(call: &'a Call, port: u16) -> Desk<'a> {
        let needles = if holds(Control::Scrub) {
            Arc::clone(&call.jail.grant.needles)
        } else {
            Arc::new(Needles::new([].into_iter()))
        };
        Desk { call, port, needles }
    }

    /// Serves a client that speaks TLS and trusts the authority of this broker.
    pub(crate) async fn tls(&self, stream: TcpStream, first: Vec<u8>) -> Result<(), Refusal> {
        let unable = |error: crate::error::EgressError| Why::Tls(error.to_string().into());
        let shared = &self.call.jail.shared;
        let provider = Arc::clone(shared.trust().map_err(unable)?.crypto_provider());
        let config =
            shared.authority().and_then(|authority| authority.server(self.name()?, &provider)).map_err(unable)?;
        let ms = self.call.jail.grant.quotas().connect_ms_max;
        let accepting = TlsAcceptor::from(config).accept(Prefixed::new(first, stream));
        let stream = timeout(Duration::from_millis(ms), accepting).await.map_err(|_| Why::Slow { ms })?.map_err(cut)?;
        self.serve(Line::new(Box::new(stream), Vec::new(), self.idle_ms_max())).await
    }

    /// Serves a client that speaks plain HTTP.
    pub(crate) async fn plain(&self, stream: TcpStream, first: Vec<u8>) -> Result<(), Refusal> {
        self.serve(Line::new(Box::new(stream), first, self.idle_ms_max())).await
    }

    fn idle_ms_max(&self) -> u64 {
        self.call.jail.grant.quotas().idle_ms_max
    }

    /// The host. Rules let nothing but a name have a secret.
    fn name(&self) -> Result<&'a Name, crate::error::EgressError> {
        match &self.call.peer {
            Peer::Name(name) => Ok(name),
            Peer::Address(_) => Err(crate::error::EgressError::Certificate("an address has no name".into())),
        }
    }

    async fn serve(&self, mut client: Line) -> Result<(), Refusal> {
        let mut host = None;
        loop {
            let _sending = self.call.jail.meter.sending();
            let request = match client.inlet.head(Why::Http).await {
                Ok(None) => return Ok(()),
                Ok(Some(head)) => {
                    self.call.jail.meter.take_out(head.len())?;
                    RequestHead::read(&head, &self.call.peer, self.call.port).map_err(Why::Http)
                }
                Err(why) => Err(why),
            };
            let exchanged = match request {
                Ok(request) => self.exchange(&mut client, &mut host, &request).await,
                Err(why) => Err(why.into()),
            };
            match exchanged {
                Ok(Next::Another) => {}
                Ok(Next::Close) => return Ok(client.outlet.close().await?),
                Err(Failed::Midway(why)) => return Err(why.into()),
                Err(Failed::Unanswered(refusal)) => {
                    self.call.refuse(&refusal);
                    if !matches!(refusal.why, Why::Cut(_) | Why::Idle { .. }) {
                        // The refusal stands, heard or not.
                        let said = client.outlet.write(farewell(&refusal.why).as_bytes()).await;
                        let _heard = said.is_ok() && client.outlet.close().await.is_ok();
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Carries one request to the host and its answer back.
    async fn exchange(
        &self,
        client: &mut Line,
        host: &mut Option<Line>,
        request: &RequestHead,
    ) -> Result<Next, Failed> {
        let mut kept = host.take();
        let is_kept = match &mut kept {
            Some(line) => line.inlet.is_quiet().await,
            None => false,
        };
        let mut line = match kept.filter(|_| is_kept) {
            Some(line) => line,
            None => self.connect().await?,
        };
        let head = self.request(request);
        line.outlet.write(&head).await?;
        if request.is_waiting() && request.body != Body::Length(0) {
            client.outlet.write(CONTINUE).await?;
        }
        let (answer, is_sent) = {
            let sending = self.forward(&mut client.inlet, request.body, &mut line.outlet);
            let answering = answer_head(&mut line.inlet, &request.method);
            tokio::pin!(sending, answering);
            tokio::select! {
                biased;
                answer = &mut answering => (answer?, false),
                sent = &mut sending => match sent {
                    Ok(()) => (answering.await?, true),
                    // A host that closes its end has often said why.
                    Err(Stopped::Host) => (answering.await?, false),
                    Err(Stopped::Client(why)) => return Err(why.into()),
                },
            }
        };
        let is_last = !request.is_persistent || !(is_sent || request.body == Body::Length(0));
        let coded = self.answer(client, request, &answer, is_last).await?;
        self.back(&mut line.inlet, answer.body, &mut client.outlet, coded).await.map_err(Failed::Midway)?;
        if answer.is_persistent && !is_last {
            *host = Some(line);
        }
        Ok(if is_last || coded == Coded::UntilClose { Next::Close } else { Next::Another })
    }

    /// A connection to the host, with its certificate checked.
    async fn connect(&self) -> Result<Line, Refusal> {
        let unable = |error: crate::error::EgressError| Why::Tls(error.to_string().into());
        let stream = self.call.dial(self.port).await?;
        let config = self.call.jail.shared.trust().map_err(unable)?;
        let name = self.name().map_err(unable)?;
        let server =
            ServerName::try_from(name.as_str().to_owned()).map_err(|error| Why::Tls(error.to_string().into()))?;
        let ms = self.call.jail.grant.quotas().connect_ms_max;
        let connecting = TlsConnector::from(config).connect(server, stream);
        let stream = timeout(Duration::from_millis(ms), connecting).await.map_err(|_| Why::Slow { ms })?;
        let stream = stream.map_err(|error| Why::Tls(error.to_string().into()))?;
        Ok(Line::new(Box::new(stream), Vec::new(), self.idle_ms_max()))
    }

    /// The head that goes to the host: the client's, with the secrets, asking for a whole answer that can be read.
    fn request(&self, request: &RequestHead) -> Zeroizing<Vec<u8>> {
        const LEFT_OUT: [&str; 3] = ["accept-encoding", "range", "if-range"];
        let mut head = Zeroizing::new(Vec::with_capacity(1024));
        let host =
            if self.port == 443 { self.call.peer.to_string() } else { format!("{}:{}", self.call.peer, self.port) };
        for part in
            [&*request.method, " ", &request.target, " HTTP/1.1\r\nhost: ", &host, "\r\naccept-encoding: identity\r\n"]
        {
            head.extend_from_slice(part.as_bytes());
        }
        let secrets: Vec<_> = match &self.call.peer {
            Peer::Name(name) => self.call.jail.grant.secrets(name, self.port).collect(),
            Peer::Address(_) => Vec::new(),
        };
        for field in &request.fields {
            let is_secret = secrets.iter().any(|secret| is_same_header(&secret.header, &field.name));
            if !is_secret && !LEFT_OUT.contains(&&*field.name) && !is_hop(&request.fields, &field.name) {
                push_field(&mut head, field.name.as_bytes(), &field.value);
            }
        }
        for secret in secrets {
            let (before, after) = secret.template.split_once("{}").unwrap_or((&secret.template, ""));
            let value = Zeroizing::new([before, &secret.value, after].concat());
            push_field(&mut head, secret.header.as_bytes(), value.as_bytes());
            self.call.tell(What::Secret(secret.name.as_str().into()), None, Verdict::Allowed);
        }
        match request.body {
            Body::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Body::Length(length) if request.fields.iter().any(|field| field.name == "content-length") => {
                push_field(&mut head, b"content-length", length.to_string().as_bytes());
            }
            Body::Length(_) | Body::UntilClose => {}
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// Carries the body of a request to the host.
    async fn forward(&self, from: &mut Inlet, body: Body, to: &mut Outlet) -> Result<(), Stopped> {
        let meter = &self.call.jail.meter;
        let mut progress = Progress::new(body);
        loop {
            let piece = from.piece(&mut progress, Why::Http).await.map_err(Stopped::Client)?;
            meter.take_out(piece.len()).map_err(Stopped::Client)?;
            let framed = if body == Body::Chunked { chunk(&piece) } else { piece };
            if framed.is_empty() {
                return Ok(());
            }
            to.write(&framed).await.map_err(|_| Stopped::Host)?;
            if framed == LAST_CHUNK {
                return Ok(());
            }
        }
    }

    /// Writes the head of an answer to the client, scrubbed, and says how the body has to be written.
    async fn answer(
        &self,
        client: &mut Line,
        request: &RequestHead,
        answer: &AnswerHead,
        is_last: bool,
    ) -> Result<Coded, Failed> {
        let is_plain = |value: &[u8]| value.eq_ignore_ascii_case(b"identity") || value.is_empty();
        let is_encoded = answer.fields.iter().any(|field| field.name == "content-encoding" && !is_plain(&field.value));
        if is_encoded && answer.body != Body::Length(0) && holds(Control::Scrub) {
            return Err(Why::Encoded.into());
        }
        let coded = match answer.body {
            Body::Length(_) => Coded::AsIs,
            Body::Chunked | Body::UntilClose if request.version == Version::Eleven => Coded::Chunked,
            Body::Chunked | Body::UntilClose => Coded::UntilClose,
        };
        let mut head = format!("HTTP/1.1 {} \r\n", answer.status).into_bytes();
        // Without a body the length, where there is one, is that of another answer: it says something all the same.
        let is_bodiless = request.method == "HEAD" || answer.status == 304;
        for field in &answer.fields {
            let is_length =
                field.name == "content-length" && (is_bodiless || coded == Coded::AsIs) && answer.status != 204;
            if is_length || !(is_hop(&answer.fields, &field.name) || field.name == "alt-svc") {
                push_field(
                    &mut head,
                    &scrub(&self.needles, field.name.as_bytes()),
                    &scrub(&self.needles, &field.value),
                );
            }
        }
        if coded == Coded::Chunked {
            head.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        if is_last || coded == Coded::UntilClose {
            head.extend_from_slice(b"connection: close\r\n");
        }
        head.extend_from_slice(b"\r\n");
        self.call.jail.meter.take_in(head.len())?;
        client.outlet.write(&head).await.map_err(Failed::Midway)?;
        Ok(coded)
    }

    /// Carries the body of an answer to the client, scrubbed.
    async fn back(&self, from: &mut Inlet, body: Body, to: &mut Outlet, coded: Coded) -> Result<(), Why> {
        let mut progress = Progress::new(body);
        let mut scrubber = Scrubber::new(Arc::clone(&self.needles));
        loop {
            let piece = from.piece(&mut progress, Why::Answer).await?;
            let mut clean = Vec::with_capacity(piece.len());
            if piece.is_empty() {
                scrubber.finish(&mut clean);
            } else {
                scrubber.feed(&piece, &mut clean);
            }
            self.call.jail.meter.take_in(clean.len())?;
            if !clean.is_empty() {
                to.write(&if coded == Coded::Chunked { chunk(&clean) } else { clean }).await?;
            }
            if piece.is_empty() {
                return if coded == Coded::Chunked { to.write(LAST_CHUNK).await } else { Ok(()) };
            }
        }
    }
}

/// Who ended a body early.
enum Stopped {
    Client(Why),
    Host,
}

/// How a body is written to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coded {
    AsIs,
    Chunked,
    UntilClose,
}

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One chunk (RFC 9112 section 7.1); the last one for no bytes.
fn chunk(data: &[u8]) -> Vec<u8> {
    if data.is_empty() {
        return LAST_CHUNK.to_vec();
    }
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

fn push_field(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

/// Whether two header names are one to a server that takes `_` for `-`.
fn is_same_header(one: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.bytes().map(plain).eq(other.bytes().map(plain))
}

/// The head of the answer that counts.
async fn answer_head(from: &mut Inlet, method: &str) -> Result<AnswerHead, Why> {
    for _ in 0..ANNOUNCEMENTS_MAX {
        let Some(head) = from.head(Why::Answer).await? else {
            return Err(Why::Unreachable("it closed the connection without an answer".into()));
        };
        let answer = AnswerHead::read(&head, method).map_err(Why::Answer)?;
        match answer.status {
            101 => return Err(Why::Answer(HeadFault::Upgrade)),
            100..=199 => {}
            _ => return Ok(answer),
        }
    }
    Err(Why::Answer(HeadFault::TooLong))
}

/// An answer of the broker itself: why there is none of the host's.
pub(crate) fn farewell(why: &Why) -> String {
    let status = if why.is_rule() { "403 Forbidden" } else { "502 Bad Gateway" };
    let text = format!("aether: {why}\n");
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_headers() {
        assert_eq!(chunk(b""), LAST_CHUNK);
        assert_eq!(chunk(&[b'x'; 17]), [&b"11\r\n"[..], &[b'x'; 17], b"\r\n"].concat());
        assert!(is_same_header("X-Api-Key", "x_api_key") && !is_same_header("x-api-key", "x-api-keys"));
    }

    #[test]
    fn farewells_say_why() {
        let refused = farewell(&Why::NotGranted);
        assert!(refused.starts_with("HTTP/1.1 403 ") && refused.ends_with("granted\n"), "{refused}");
        assert!(farewell(&Why::Unresolved("x".into())).starts_with("HTTP/1.1 502 "));
    }
}
