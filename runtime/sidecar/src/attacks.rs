//! What a peer may try on a connection, and what comes of it: everything but a proven call ends in its own refusal.
#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aether_core::capability::{Capability, Place};
use aether_core::tool::Limits;
use aether_proof::{Authority, Issuer, NO_PROOF, Opener, Presentation, Seal, Sealer, Seed, Verifier};
use aether_proto::{RunEvent, RunRequest, StatusReply, StatusRequest, metadata};
use h2::client::SendRequest;
use http::{HeaderValue, Request};
use prost::Message;
use prost::bytes::Bytes;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use crate::answer::Service;
use crate::call::{Call, Event, Finished, Outcome, Piece, Proven, Refusal, call_digest};
use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::error::SidecarError;
use crate::guard::{Guard, Method};
use crate::launch::{Task, handshake, open};
use crate::link::{Answering, Link, Running, request_head, transmit};
use crate::pinned;
use crate::serve::{accept, requests};
use crate::worker::{Boxed, PIECES_MAX, Pieces, Worker};

const MESSAGE_BYTES_MAX: u32 = 100_000;
const IN_FLIGHT_MAX: u32 = 8;
const AUDIENCE: [u8; 32] = [7; 32];

/// Does what its tools' names say, and counts.
#[derive(Default)]
struct Echo {
    ran: AtomicU32,
    hanging: Arc<AtomicU32>,
    sent: Arc<AtomicU32>,
    refused: Mutex<Vec<String>>,
}

/// Counts down when a run is dropped.
struct Hanging(Arc<AtomicU32>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Worker for Echo {
    fn run(&self, call: Proven, out: Pieces) -> Boxed<Result<Finished, Refusal>> {
        self.ran.fetch_add(1, Ordering::SeqCst);
        let (hanging, sent) = (self.hanging.clone(), self.sent.clone());
        Box::pin(async move {
            match &*call.tool {
                "echo" => {
                    let _ = out.send(Piece::Stdout(call.input.clone().into_bytes())).await;
                    Ok(Finished::new(Outcome::Done, call.input))
                }
                "hang" => {
                    hanging.fetch_add(1, Ordering::SeqCst);
                    let _hanging = Hanging(hanging);
                    let _ = out.send(Piece::Note("hanging".into())).await;
                    std::future::pending().await
                }
                "flood" => {
                    let bytes: usize = call.input.parse().unwrap();
                    while out.send(Piece::Stderr(vec![b'x'; bytes])).await.is_ok() {
                        if sent.fetch_add(1, Ordering::SeqCst) == 60_000 {
                            break;
                        }
                    }
                    Ok(Finished::new(Outcome::Failed, "flooded".into()))
                }
                "quiet" => {
                    drop(out);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok(Finished::new(Outcome::Done, "quiet".into()))
                }
                "leak" => {
                    std::mem::forget(out.clone());
                    Ok(Finished::new(Outcome::Done, "left a way out open".into()))
                }
                "large" => Ok(Finished::new(Outcome::Done, "x".repeat(MESSAGE_BYTES_MAX as usize))),
                "panic" => panic!("as asked"),
                "lacking" => Err(Refusal::Unavailable("no user namespaces; install the profile".into())),
                "busy" => Err(Refusal::Busy("come back later".into())),
                other => Err(Refusal::Refused(format!("there is no tool `{other}`"))),
            }
        })
    }

    fn close(&self, session: String) -> Boxed<()> {
        self.refused.lock().unwrap().push(format!("closed {session}"));
        Box::pin(async {})
    }

    fn status(&self) -> String {
        "well".into()
    }

    fn refused(&self, reason: &str, _: &str) {
        self.refused.lock().unwrap().push(reason.to_owned());
    }
}

/// Both ends of one connection, and the keys of the kernel's.
struct Rig {
    worker: Arc<Echo>,
    link: Link,
    key: Zeroizing<[u8; 32]>,
    sequence: u64,
    _client: Task,
    _server: JoinHandle<()>,
}

/// The other ways in which a request may come: what is changed between sealing and sending.
type Change<'a> = &'a dyn Fn(&mut Request<()>, &mut Vec<u8>);

/// A connection with the service at its other end, and nothing but TLS on this one.
pub(crate) struct Bare {
    pub(crate) stream: TlsStream<UnixStream>,
    pub(crate) key: Zeroizing<[u8; 32]>,
    pub(crate) issuer: Issuer,
    pub(crate) clock: Clock,
    worker: Arc<Echo>,
    server: JoinHandle<()>,
}

impl Bare {
    pub(crate) async fn new() -> Bare {
        let (theirs, ours) = UnixStream::pair().unwrap();
        let (server, client) = (Certificate::generate().unwrap(), Certificate::generate().unwrap());
        let (server_pin, client_pin) = (server.pin(), client.pin());
        let issuer = Issuer::generate().unwrap();
        let (worker, root) = (Arc::new(Echo::default()), issuer.public());
        let clock = Clock::starting_now();
        let server = tokio::spawn({
            let worker = worker.clone();
            async move {
                let stream = accept(theirs, pinned::server(server, client_pin).unwrap()).await.unwrap();
                let mut key = Zeroizing::new([0; 32]);
                stream.get_ref().1.export_keying_material(&mut *key, b"seal", Some(&AUDIENCE)).unwrap();
                let guard = Guard::new(clock, Opener::new(&key), Verifier::new(root, AUDIENCE));
                let service = Arc::new(Service::new(worker, guard, MESSAGE_BYTES_MAX, IN_FLIGHT_MAX));
                requests(stream, &service).await.unwrap();
            }
        });
        let stream = handshake(ours, pinned::client(client, server_pin).unwrap()).await.unwrap();
        let mut key = Zeroizing::new([0; 32]);
        stream.get_ref().1.export_keying_material(&mut *key, b"seal", Some(&AUDIENCE)).unwrap();
        Bare { stream, key, issuer, clock, worker, server }
    }

    /// An authority for exactly this call.
    pub(crate) fn authority(&self, tool: &str, input: &str) -> Authority {
        authority(self.clock, tool, input)
    }
}

fn authority(clock: Clock, tool: &str, input: &str) -> Authority {
    Authority {
        issuer: [1; 16],
        task: 1,
        tool: tool.into(),
        call: Some(call_digest(tool, input)),
        capability: Capability::default(),
        limits: Limits::BUILTIN,
        audience: AUDIENCE,
        expires_unix_ms: clock.now_unix_ms() + 60_000,
    }
}

/// The kernel's end of a connection.
pub(crate) async fn link(
    stream: TlsStream<UnixStream>,
    key: &Zeroizing<[u8; 32]>,
    issuer: Issuer,
    clock: Clock,
) -> (Link, Task) {
    let (sender, task) = open(stream).await.unwrap();
    let link = Link {
        sender,
        sealer: Sealer::new(key).into(),
        issuer,
        issuer_name: [1; 16],
        audience: AUDIENCE,
        clock,
        message_bytes_max: MESSAGE_BYTES_MAX as usize,
    };
    (link, task)
}

impl Rig {
    async fn new() -> Rig {
        let Bare { stream, key, issuer, clock, worker, server } = Bare::new().await;
        let (link, task) = link(stream, &key, issuer, clock).await;
        // Numbers far from those that the link takes itself.
        Rig { worker, link, key, sequence: 500, _client: task, _server: server }
    }

    fn sender(&self) -> SendRequest<Bytes> {
        self.link.sender.clone()
    }

    /// An authority for exactly this call.
    fn authority(&self, tool: &str, input: &str) -> Authority {
        authority(self.link.clock, tool, input)
    }

    fn present(&self, authority: &Authority) -> Presentation {
        self.link.issuer.present(authority).unwrap()
    }

    /// A seal with a number of our choice, of this connection's key.
    fn seal(
        &self,
        method: Method,
        body: &[u8],
        proof: &aether_core::digest::Digest,
        [number, until]: [u64; 2],
    ) -> Seal {
        let mut sealer = Sealer::new(&self.key);
        (1..number).for_each(|_| _ = sealer.seal("", b"", &NO_PROOF, 0));
        sealer.seal(method.path(), body, proof, until)
    }

    fn in_a_minute(&self) -> u64 {
        self.link.clock.now_unix_ms() + 60_000
    }

    /// Sends a call of `echo` with this proof, changed on its way, and says how it ended.
    async fn try_with(&mut self, proof: &[u8], change: Change<'_>) -> Result<Option<RunEvent>, SidecarError> {
        let mut body = request("echo", "in");
        self.sequence += 1;
        let numbers = [self.sequence, self.in_a_minute()];
        let seal = self.seal(Method::Run, &body, &aether_proof::presentation_digest(proof), numbers);
        let mut head = request_head(Method::Run, &seal.encode(), Some(proof)).unwrap();
        change(&mut head, &mut body);
        self.send(head, &body).await?.message().await
    }

    async fn send(&self, head: Request<()>, body: &[u8]) -> Result<Answering, SidecarError> {
        transmit(&mut self.sender().ready().await.unwrap(), head, body, usize::MAX >> 1).await
    }

    fn ran(&self) -> u32 {
        self.worker.ran.load(Ordering::SeqCst)
    }
}

pub(crate) fn request(tool: &str, input: &str) -> Vec<u8> {
    RunRequest { tool: tool.into(), input: input.into(), session: None }.encode_to_vec()
}

pub(crate) fn call(tool: &str, input: &str) -> Call {
    Call {
        tool: tool.into(),
        input: input.into(),
        task: 1,
        capability: Capability::default(),
        limits: Limits::BUILTIN,
        session: None,
    }
}

async fn finish(rig: &Rig, tool: &str, input: &str) -> Result<Finished, SidecarError> {
    rig.link.run(call(tool, input)).await?.finish(|_| ()).await
}

fn reason<T: std::fmt::Debug>(outcome: Result<T, SidecarError>) -> String {
    match outcome {
        Err(SidecarError::Refused { reason, text }) => {
            assert!(!text.is_empty() && !text.ends_with('.'), "{text}");
            reason
        }
        other => format!("{other:?}"),
    }
}

fn set(head: &mut Request<()>, name: &'static str, bytes: &[u8]) {
    head.headers_mut().insert(name, HeaderValue::try_from(metadata::binary(bytes)).unwrap());
}

/// Waits until it is so, and fails if it does not become so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not so within two seconds: {what}");
}

#[tokio::test]
async fn a_proven_call_is_carried_out() {
    let rig = Rig::new().await;
    let mut running = rig.link.run(call("echo", "\u{e9}")).await.unwrap();
    assert_eq!(running.next().await.unwrap(), Event::Piece(Piece::Stdout("\u{e9}".into())));
    assert_eq!(running.next().await.unwrap(), Event::Finished(Finished::new(Outcome::Done, "\u{e9}".into())));
    assert!(running.next().await.is_err());
    rig.link.close("s").await.unwrap();
    let health = rig.link.status().await.unwrap();
    assert_eq!((&*health.text, health.in_flight, health.calls_total, health.refused_total), ("well", 0, 1, 0));
    assert_eq!(*rig.worker.refused.lock().unwrap(), ["closed s"]);
}

#[tokio::test]
async fn ends_of_every_kind_come_through() {
    // S3
    let rig = Rig::new().await;
    assert_eq!(finish(&rig, "quiet", "").await.unwrap().text, "quiet");
    assert_eq!(finish(&rig, "leak", "").await.unwrap().text, "left a way out open");
    assert_eq!(reason(finish(&rig, "nothing", "").await), "refused");
    let lacking = SidecarError::Unavailable("SANDBOX_UNAVAILABLE: no user namespaces; install the profile".into());
    assert_eq!(finish(&rig, "lacking", "").await, Err(lacking));
    assert_eq!(finish(&rig, "busy", "").await, Err(SidecarError::Limit("come back later".into())));
    assert!(matches!(finish(&rig, "large", "").await, Err(SidecarError::Limit(_))));
    assert!(matches!(finish(&rig, "panic", "").await, Err(SidecarError::Garbled(_))));
    assert_eq!(*rig.worker.refused.lock().unwrap(), ["refused", "sandbox-unavailable", "too-many", "too-large"]);
    assert_eq!(finish(&rig, "echo", "still here").await.unwrap().text, "still here");
}

#[tokio::test]
async fn a_seal_is_for_one_request_unchanged() {
    // S1
    let mut rig = Rig::new().await;
    let proof = rig.present(&rig.authority("echo", "in"));
    let proof = proof.bytes();
    assert!(rig.try_with(proof, &|_, _| ()).await.unwrap().is_some());
    let without = |head: &mut Request<()>, _: &mut Vec<u8>| drop(head.headers_mut().remove(metadata::SEAL));
    assert_eq!(reason(rig.try_with(proof, &without).await), "seal-missing");
    let twice = |head: &mut Request<()>, _: &mut Vec<u8>| {
        let seal = head.headers()[metadata::SEAL].clone();
        head.headers_mut().append(metadata::SEAL, seal);
    };
    assert_eq!(reason(rig.try_with(proof, &twice).await), "seal-missing");
    for malformed in [&b""[..], &[0; 49], &[1; 48], &[1; 50]] {
        assert_eq!(
            reason(rig.try_with(proof, &|head, _| set(head, metadata::SEAL, malformed)).await),
            "seal-malformed"
        );
    }
    let no_base64 = |head: &mut Request<()>, _: &mut Vec<u8>| {
        head.headers_mut().insert(metadata::SEAL, HeaderValue::from_static("!"));
    };
    assert_eq!(reason(rig.try_with(proof, &no_base64).await), "seal-malformed");
    let tampered = |_: &mut Request<()>, body: &mut Vec<u8>| *body = request("echo", "on");
    assert_eq!(reason(rig.try_with(proof, &tampered).await), "seal-forged");
    let longer = |_: &mut Request<()>, body: &mut Vec<u8>| body.push(0);
    assert_eq!(reason(rig.try_with(proof, &longer).await), "seal-forged");
    let another = rig.present(&Authority { task: 2, ..rig.authority("echo", "in") });
    let swapped = |head: &mut Request<()>, _: &mut Vec<u8>| set(head, metadata::PROOF, another.bytes());
    assert_eq!(reason(rig.try_with(proof, &swapped).await), "seal-forged");
    assert_eq!(rig.ran(), 1);
}

#[tokio::test]
async fn a_seal_is_for_one_method() {
    // S1
    let rig = Rig::new().await;
    let body = StatusRequest {}.encode_to_vec();
    let seal = rig.seal(Method::Status, &body, &NO_PROOF, [500, rig.in_a_minute()]).encode();
    let head = request_head(Method::Close, &seal, None).unwrap();
    let outcome = rig.send(head, &body).await.unwrap().message::<StatusReply>().await;
    assert_eq!(reason(outcome), "seal-forged");
    let head = request_head(Method::Status, &seal, Some(b"proof")).unwrap();
    let outcome = rig.send(head, &body).await.unwrap().message::<StatusReply>().await;
    assert_eq!(reason(outcome), "message-malformed");
    let head = request_head(Method::Status, &seal, None).unwrap();
    assert!(rig.send(head, &body).await.unwrap().message::<StatusReply>().await.unwrap().is_some());
}

#[tokio::test]
async fn a_seal_opens_once_in_time_on_its_own_connection() {
    // S1
    let (rig, other) = (Rig::new().await, Rig::new().await);
    let body = StatusRequest {}.encode_to_vec();
    let send = async |rig: &Rig, seal: Seal| {
        let head = request_head(Method::Status, &seal.encode(), None).unwrap();
        rig.send(head, &body).await.unwrap().message::<StatusReply>().await
    };
    let good = rig.seal(Method::Status, &body, &NO_PROOF, [2_000, rig.in_a_minute()]);
    assert_eq!(reason(send(&other, good).await), "seal-forged");
    assert!(send(&rig, good).await.is_ok());
    assert_eq!(reason(send(&rig, good).await), "seal-replayed");
    let stale = rig.seal(Method::Status, &body, &NO_PROOF, [900, rig.in_a_minute()]);
    assert_eq!(reason(send(&rig, stale).await), "seal-stale");
    let overtaken = rig.seal(Method::Status, &body, &NO_PROOF, [1_000, rig.in_a_minute()]);
    assert!(send(&rig, overtaken).await.is_ok());
    let now = rig.link.clock.now_unix_ms();
    let late = rig.seal(Method::Status, &body, &NO_PROOF, [2_001, now - 1]);
    assert_eq!(send(&rig, late).await.unwrap_err(), SidecarError::Deadline);
    let far = rig.seal(Method::Status, &body, &NO_PROOF, [2_001, now + 2 * aether_proof::AHEAD_MS_MAX]);
    assert_eq!(reason(send(&rig, far).await), "seal-too-long");
    let reasons = rig.worker.refused.lock().unwrap().clone();
    assert_eq!(reasons, ["seal-replayed", "seal-stale", "seal-expired", "seal-too-long"]);
}

#[tokio::test]
async fn a_proof_is_from_the_root_for_this_sidecar_now_and_for_this_call() {
    // S1
    let mut rig = Rig::new().await;
    let good = rig.authority("echo", "in");
    let missing = |head: &mut Request<()>, _: &mut Vec<u8>| drop(head.headers_mut().remove(metadata::PROOF));
    let proof = rig.present(&good);
    assert_eq!(reason(rig.try_with(proof.bytes(), &missing).await), "proof-missing");
    let foreign = Issuer::generate().unwrap().present(&good).unwrap();
    assert_eq!(reason(rig.try_with(foreign.bytes(), &|_, _| ()).await), "proof-forged");
    let held = rig.link.issuer.issue(&good, Seed::generate().unwrap()).unwrap();
    assert_eq!(reason(rig.try_with(&held.encode(), &|_, _| ()).await), "proof-held");
    let mut flipped = proof.bytes().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(reason(rig.try_with(&flipped, &|_, _| ()).await), "proof-forged");
    assert_eq!(reason(rig.try_with(b"AEPF", &|_, _| ()).await), "proof-malformed");
    let elsewhere = rig.present(&Authority { audience: [8; 32], ..good.clone() });
    assert_eq!(reason(rig.try_with(elsewhere.bytes(), &|_, _| ()).await), "proof-audience");
    let expired = rig.present(&Authority { expires_unix_ms: 1, ..good.clone() });
    assert_eq!(reason(rig.try_with(expired.bytes(), &|_, _| ()).await), "proof-expired");
    for (tool, digest) in [
        ("shell", Some(call_digest("shell", "in"))),
        ("echo", Some(call_digest("echo", "on"))),
        ("echo", None),
        ("*", Some(call_digest("echo", "in"))),
    ] {
        let other = rig.present(&Authority { tool: tool.into(), call: digest, ..good.clone() });
        assert_eq!(reason(rig.try_with(other.bytes(), &|_, _| ()).await), "proof-other-call");
    }
    assert_eq!(rig.ran(), 0);
    let narrower = Authority { limits: Limits { cpu_ms_max: 1, ..good.limits }, ..good.clone() };
    let delegated = held.present(&narrower).unwrap();
    assert!(rig.try_with(delegated.bytes(), &|_, _| ()).await.unwrap().is_some());
    assert_eq!(rig.ran(), 1);
}

#[tokio::test]
async fn what_the_worker_gets_is_what_was_proven() {
    // S1
    struct Witness(Mutex<Option<Proven>>);
    impl Worker for Witness {
        fn run(&self, call: Proven, _: Pieces) -> Boxed<Result<Finished, Refusal>> {
            *self.0.lock().unwrap() = Some(call);
            Box::pin(async { Ok(Finished::new(Outcome::Done, String::new())) })
        }
        fn close(&self, _: String) -> Boxed<()> {
            Box::pin(async {})
        }
        fn status(&self) -> String {
            String::new()
        }
        fn refused(&self, reason: &str, _: &str) {
            panic!("{reason}");
        }
    }
    let rig = Rig::new().await;
    let witness = Arc::new(Witness(Mutex::new(None)));
    let guard = Guard::new(rig.link.clock, Opener::new(&rig.key), Verifier::new(rig.link.issuer.public(), AUDIENCE));
    let passed = {
        let capability = Capability::default().with_read(vec![Place::parse("$workspace/a").unwrap()]);
        let authority = Authority { task: 9, capability, ..rig.authority("echo", "in") };
        let (proof, body) = (rig.present(&authority), request("echo", "in"));
        let seal = rig.seal(Method::Run, &body, &proof.digest(), [1, rig.in_a_minute() * 2]);
        let head = request_head(Method::Run, &seal.encode(), Some(proof.bytes())).unwrap();
        // The deadline is the earlier of the seal's and the proof's.
        assert_eq!(guard.pass(Method::Run, head.headers(), &body).unwrap_err().reason, "seal-too-long");
        let seal = rig.seal(Method::Run, &body, &proof.digest(), [1, rig.in_a_minute() + 99_000]);
        let head = request_head(Method::Run, &seal.encode(), Some(proof.bytes())).unwrap();
        let passed = guard.pass(Method::Run, head.headers(), &body).unwrap();
        assert_eq!(passed.authority.as_deref(), Some(&authority));
        assert_eq!(passed.deadline_unix_ms, authority.expires_unix_ms);
        passed
    };
    let authority = passed.authority.unwrap();
    drop(witness.run(
        Proven {
            tool: "echo".into(),
            input: "in".into(),
            session: None,
            call: call_digest("echo", "in"),
            deadline: rig.link.clock.instant(passed.deadline_unix_ms),
            authority,
        },
        Pieces::bounded().0,
    ));
    let seen = witness.0.lock().unwrap().take().unwrap();
    assert_eq!((seen.authority.task, seen.authority.call), (9, Some(seen.call)));
}

#[tokio::test]
async fn a_request_is_one_whole_message_of_a_known_method() {
    let rig = Rig::new().await;
    let raw = async |path: &'static str, change: &dyn Fn(&mut Request<()>), body: &[u8]| {
        let mut head = request_head(Method::Status, &[0; 49], None).unwrap();
        *head.uri_mut() = format!("http://sidecar{path}").parse().unwrap();
        change(&mut head);
        let (response, mut stream) = rig.sender().ready().await.unwrap().send_request(head, false).unwrap();
        stream.reserve_capacity(body.len());
        let _ = stream.send_data(Bytes::copy_from_slice(body), true);
        let head = response.await.unwrap();
        let (code, reason, _) = crate::transmit::read_status(head.headers()).unwrap();
        (code.number(), reason)
    };
    let (fine, status) = (|_: &mut Request<()>| (), Method::Status.path());
    let malformed = (3, "message-malformed".to_owned());
    assert_eq!(raw("/aether.runtime.v1.Runtime/Open", &fine, b"").await.0, 12);
    assert_eq!(raw("/", &fine, b"").await.0, 12);
    assert_eq!(raw(status, &fine, b"").await, malformed);
    assert_eq!(raw(status, &fine, b"\0\0\0\0").await, malformed);
    assert_eq!(raw(status, &fine, b"\0\0\0\0\x02x").await, malformed);
    assert_eq!(raw(status, &fine, b"\0\0\0\0\0\0\0\0\0\0").await, malformed);
    assert_eq!(raw(status, &fine, b"\x01\0\0\0\0").await.0, 12);
    assert_eq!(raw(status, &fine, b"\0\xff\xff\xff\xff").await, (8, "too-large".to_owned()));
    assert_eq!(raw(status, &|head| *head.method_mut() = http::Method::PUT, b"").await, malformed);
    let json = |head: &mut Request<()>| {
        head.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    };
    assert_eq!(raw(status, &json, b"").await, malformed);
    let packed = |head: &mut Request<()>| {
        head.headers_mut().insert("grpc-encoding", HeaderValue::from_static("gzip"));
    };
    assert_eq!(raw(status, &packed, b"").await.0, 12);
    assert_eq!(raw(status, &fine, b"\0\0\0\0\0").await, (16, "seal-malformed".to_owned()).clone());
    assert_eq!(finish(&rig, "echo", "after all that").await.unwrap().text, "after all that");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_on_either_side() {
    // S4
    let mut rig = Rig::new().await;
    let large = "x".repeat(MESSAGE_BYTES_MAX as usize);
    assert!(matches!(rig.link.run(call("echo", &large)).await, Err(SidecarError::Limit(_))));
    rig.link.message_bytes_max = usize::MAX >> 1;
    assert!(matches!(finish(&rig, "echo", &large).await, Err(SidecarError::Limit(_))));
    assert_eq!(rig.ran(), 0);
    assert_eq!(*rig.worker.refused.lock().unwrap(), ["too-large"]);
    let most = "x".repeat(MESSAGE_BYTES_MAX as usize - 20);
    assert_eq!(finish(&rig, "echo", &most).await.unwrap().text, most);
}

#[tokio::test]
async fn a_call_too_many_is_told_so() {
    // S4
    let rig = Rig::new().await;
    let mut hanging = Vec::new();
    for _ in 0..IN_FLIGHT_MAX {
        let mut running = rig.link.run(call("hang", "")).await.unwrap();
        assert_eq!(running.next().await.unwrap(), Event::Piece(Piece::Note("hanging".into())));
        hanging.push(running);
    }
    assert!(matches!(finish(&rig, "echo", "").await, Err(SidecarError::Limit(_))));
    assert_eq!(rig.link.status().await.unwrap().in_flight, IN_FLIGHT_MAX);
    drop(hanging);
    until("all given up", || rig.worker.hanging.load(Ordering::SeqCst) == 0).await;
    assert_eq!(finish(&rig, "echo", "").await.unwrap().outcome, Outcome::Done);
    assert_eq!(*rig.worker.refused.lock().unwrap(), ["too-many"]);
}

#[tokio::test]
async fn giving_up_reaches_the_worker_at_once() {
    // S5
    let rig = Rig::new().await;
    for _ in 0..3 {
        let mut running = rig.link.run(call("hang", "")).await.unwrap();
        running.next().await.unwrap();
        assert_eq!(rig.worker.hanging.load(Ordering::SeqCst), 1);
        drop(running);
        until("given up", || rig.worker.hanging.load(Ordering::SeqCst) == 0).await;
    }
    // A hundred at once, most of them before they were looked at, do not harm the connection.
    let many: Vec<Running> = {
        let mut many = Vec::new();
        for _ in 0..100 {
            many.push(rig.link.run(call("hang", "")).await.unwrap());
        }
        many
    };
    drop(many);
    assert_eq!(finish(&rig, "echo", "on").await.unwrap().text, "on");
    until("given up", || rig.worker.hanging.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_deadline_ends_the_call() {
    // S4
    let rig = Rig::new().await;
    let body = request("hang", "");
    let proof = rig.present(&rig.authority("hang", ""));
    let now = rig.link.clock.now_unix_ms();
    let seal = rig.seal(Method::Run, &body, &proof.digest(), [1, now + 60]);
    let head = request_head(Method::Run, &seal.encode(), Some(proof.bytes())).unwrap();
    let mut answer = rig.send(head, &body).await.unwrap();
    assert!(answer.message::<RunEvent>().await.unwrap().is_some());
    assert_eq!(rig.worker.hanging.load(Ordering::SeqCst), 1);
    assert_eq!(answer.message::<RunEvent>().await, Err(SidecarError::Deadline));
    assert!(rig.link.clock.now_unix_ms() >= now + 60);
    until("dropped", || rig.worker.hanging.load(Ordering::SeqCst) == 0).await;
    assert_eq!(*rig.worker.refused.lock().unwrap(), ["deadline"]);
}

#[tokio::test]
async fn a_caller_that_does_not_read_holds_up_its_own_call_alone() {
    // S4
    for bytes in ["1", "1000", "32768"] {
        let rig = Rig::new().await;
        let mut slow = rig.link.run(call("flood", bytes)).await.unwrap();
        slow.next().await.unwrap();
        let mut last = u32::MAX;
        while last != rig.worker.sent.load(Ordering::SeqCst) {
            last = rig.worker.sent.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // A window of 64 KiB, the queue, and one batch under way.
        let message = bytes.parse::<u32>().unwrap() + 5;
        assert!(last < 70_000 / message + 4 * PIECES_MAX as u32, "{last}");
        assert_eq!(finish(&rig, "echo", "fast").await.unwrap().text, "fast");
        for _ in 0..2 * last.min(1_000) {
            assert!(matches!(slow.next().await.unwrap(), Event::Piece(Piece::Stderr(_))));
        }
    }
}

#[tokio::test]
async fn waiting_may_be_broken_off_and_taken_up_again() {
    // S3
    let rig = Rig::new().await;
    let mut running = rig.link.run(call("flood", "1000")).await.unwrap();
    let mut pieces = 0;
    let end = loop {
        // Most of these give up before anything has come.
        match tokio::time::timeout(Duration::from_micros(pieces % 50), running.next()).await {
            Ok(Ok(Event::Piece(_))) => pieces += 1,
            Ok(Ok(Event::Finished(finished))) => break finished,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => {}
        }
    };
    assert_eq!((pieces, &*end.text), (60_001, "flooded"));
}

#[tokio::test]
async fn only_the_pinned_certificates_meet() {
    // S2
    let meet = async |server_wants: Option<[u8; 32]>,
                      client_wants: Option<[u8; 32]>,
                      change: fn(&mut rustls::ClientConfig)| {
        let (theirs, ours) = UnixStream::pair().unwrap();
        let (server, client) = (Certificate::generate().unwrap(), Certificate::generate().unwrap());
        let (server_pin, client_pin) = (server.pin(), client.pin());
        let server = pinned::server(server, server_wants.unwrap_or(client_pin)).unwrap();
        let mut client = pinned::client(client, client_wants.unwrap_or(server_pin)).unwrap();
        change(&mut client);
        let (accepted, connected) = tokio::join!(accept(theirs, server), async {
            // In TLS 1.3 a client learns of its own refusal only when it reads.
            let stream = handshake(ours, client).await?;
            Ok::<_, String>(stream)
        });
        (accepted.is_ok(), connected.is_ok())
    };
    assert_eq!(meet(None, None, |_| ()).await, (true, true));
    assert!(!meet(Some([0; 32]), None, |_| ()).await.0);
    assert_eq!(meet(None, Some([0; 32]), |_| ()).await, (false, false));
    assert!(!meet(None, None, |client| client.alpn_protocols.clear()).await.0);
    assert!(!meet(None, None, |client| client.alpn_protocols = vec![b"http/1.1".to_vec()]).await.0);
    let nameless = |client: &mut rustls::ClientConfig| {
        client.client_auth_cert_resolver = Arc::new(Nobody);
    };
    assert!(!meet(None, None, nameless).await.0);
}

/// A client without a certificate.
#[derive(Debug)]
struct Nobody;

impl rustls::client::ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_stolen_certificate_without_its_key_is_worth_nothing() {
    // S2
    let (theirs, ours) = UnixStream::pair().unwrap();
    let (server, client, thief) =
        (Certificate::generate().unwrap(), Certificate::generate().unwrap(), Certificate::generate().unwrap());
    let (server_pin, client_pin) = (server.pin(), client.pin());
    let key = rustls::crypto::ring::sign::any_supported_type(&thief.key).unwrap();
    let stolen = rustls::sign::CertifiedKey::new(vec![client.der.clone()], key);
    let mut config = pinned::client(thief, server_pin).unwrap();
    config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(stolen));
    let server = pinned::server(server, client_pin).unwrap();
    let (accepted, _) = tokio::join!(accept(theirs, server), handshake(ours, config));
    assert!(accepted.unwrap_err().starts_with("handshake: "));
}

#[tokio::test]
async fn when_the_other_end_goes_away_calls_end_without_a_claim() {
    // S3, S5
    let Rig { worker, link, _client: client, _server: server, .. } = Rig::new().await;
    let mut running = link.run(call("hang", "")).await.unwrap();
    running.next().await.unwrap();
    server.abort();
    assert_eq!(running.next().await, Err(SidecarError::Stopped));
    assert_eq!(link.run(call("echo", "")).await.err(), Some(SidecarError::Stopped));
    until("dropped", || worker.hanging.load(Ordering::SeqCst) == 0).await;
    drop(client);
}
