//! Another implementation of gRPC talks with this one, each way.
#![cfg(target_os = "linux")]

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aether_proof::{Issuer, NO_PROOF, SEAL_BYTES, Seal, Sealer};
use aether_proto::{
    CloseReply, CloseRequest, Outcome, RUN, RunEvent, RunRequest, STATUS, StatusReply, StatusRequest, metadata,
    run_event,
};
use hyper::body::Incoming;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::tokio_stream;
use tonic::metadata::MetadataValue;
use tonic::server::ServerStreamingService;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use zeroize::Zeroizing;

use crate::attacks::{Bare, call, link, request};
use crate::call::{Event, Piece};
use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::error::SidecarError;
use crate::guard::Method;
use crate::launch::handshake;
use crate::pinned;
use crate::serve::accept;

/// A stream as hyper wants it.
struct Wire<S>(S);

impl<S: AsyncRead + Unpin> hyper::rt::Read for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut space = [0; 4096];
        let wanted = cursor.remaining().min(space.len());
        let mut buffer = ReadBuf::new(&mut space[..wanted]);
        std::task::ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        cursor.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> hyper::rt::Write for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[derive(Clone)]
struct Here;

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, work: F) {
        tokio::spawn(work);
    }
}

/// What tonic's client sends through.
struct Sender(hyper::client::conn::http2::SendRequest<Body>);

impl GrpcService<Body> for Sender {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

fn sealed<T>(message: T, seal: &Seal, proof: Option<&[u8]>) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert_bin(metadata::SEAL, MetadataValue::from_bytes(&seal.encode()));
    if let Some(proof) = proof {
        request.metadata_mut().insert_bin(metadata::PROOF, MetadataValue::from_bytes(proof));
    }
    request
}

#[tokio::test]
async fn another_client_is_understood() {
    let bare = Bare::new().await;
    let until = bare.clock.now_unix_ms() + 60_000;
    let (echo, unknown) = (bare.authority("echo", "in"), bare.authority("no_tool", ""));
    let [echo, unknown] = [&echo, &unknown].map(|authority| bare.issuer.present(authority).unwrap());
    let mut sealer = Sealer::new(&bare.key);
    let (sender, connection) = hyper::client::conn::http2::handshake(Here, Wire(bare.stream)).await.unwrap();
    tokio::spawn(connection);
    let origin = http::Uri::from_static("http://sidecar");
    let mut client = tonic::client::Grpc::with_origin(Sender(sender), origin);

    client.ready().await.unwrap();
    let seal = sealer.seal(STATUS, &StatusRequest {}.encode_to_vec(), &NO_PROOF, until);
    let codec = ProstCodec::<StatusRequest, StatusReply>::default();
    let path = http::uri::PathAndQuery::from_static(STATUS);
    let reply = client.unary(sealed(StatusRequest {}, &seal, None), path.clone(), codec).await.unwrap();
    assert_eq!(reply.into_inner().text, "well");

    client.ready().await.unwrap();
    let codec = ProstCodec::<StatusRequest, StatusReply>::default();
    let status = client.unary(sealed(StatusRequest {}, &seal, None), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.metadata().get(metadata::REASON).unwrap(), "seal-replayed");

    let run = http::uri::PathAndQuery::from_static(RUN);
    client.ready().await.unwrap();
    let seal = sealer.seal(RUN, &request("echo", "in"), &echo.digest(), until);
    let message = RunRequest { tool: "echo".into(), input: "in".into(), session: None };
    let codec = ProstCodec::<RunRequest, RunEvent>::default();
    let events = client.server_streaming(sealed(message, &seal, Some(echo.bytes())), run.clone(), codec).await;
    let mut events = events.unwrap().into_inner();
    let event = events.message().await.unwrap().unwrap().event.unwrap();
    assert_eq!(event, run_event::Event::Stdout(b"in".to_vec()));
    let event = events.message().await.unwrap().unwrap().event.unwrap();
    assert!(matches!(event, run_event::Event::Finished(finished) if finished.outcome() == Outcome::Done));
    assert!(events.message().await.unwrap().is_none());

    client.ready().await.unwrap();
    let seal = sealer.seal(RUN, &request("no_tool", ""), &unknown.digest(), until);
    let message = RunRequest { tool: "no_tool".into(), ..RunRequest::default() };
    let codec = ProstCodec::<RunRequest, RunEvent>::default();
    let events = client.server_streaming(sealed(message, &seal, Some(unknown.bytes())), run, codec).await;
    let status = events.unwrap().into_inner().message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "there is no tool `no_tool`"));
}

/// A service of tonic's that plays a sidecar.
struct Played;

impl ServerStreamingService<RunRequest> for Played {
    type Response = RunEvent;
    type ResponseStream = tokio_stream::Iter<std::vec::IntoIter<Result<RunEvent, Status>>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<RunRequest>) -> Self::Future {
        let seal = request.metadata().get_bin(metadata::SEAL).unwrap().to_bytes().unwrap();
        assert_eq!((seal.len(), Seal::decode(&seal).unwrap().sequence), (SEAL_BYTES, 1));
        assert!(request.metadata().get_bin(metadata::PROOF).unwrap().to_bytes().unwrap().starts_with(b"AEPF"));
        let note = run_event::Event::Note(request.into_inner().input);
        let events = [Ok(RunEvent { event: Some(note) }), Err(Status::resource_exhausted("full \u{e9} %"))];
        std::future::ready(Ok(Response::new(tokio_stream::iter(events.into_iter().collect::<Vec<_>>()))))
    }
}

/// One of tonic's that refuses everything.
struct Refusing;

impl tonic::server::UnaryService<CloseRequest> for Refusing {
    type Response = CloseReply;
    type Future = std::future::Ready<Result<Response<CloseReply>, Status>>;

    fn call(&mut self, _: Request<CloseRequest>) -> Self::Future {
        std::future::ready(Err(Status::failed_precondition("SANDBOX_UNAVAILABLE: nothing here")))
    }
}

#[tokio::test]
async fn another_server_is_understood() {
    let (theirs, ours) = UnixStream::pair().unwrap();
    let (server, client) = (Certificate::generate().unwrap(), Certificate::generate().unwrap());
    let (server_pin, client_pin) = (server.pin(), client.pin());
    tokio::spawn(async move {
        let stream = accept(theirs, pinned::server(server, client_pin).unwrap()).await.unwrap();
        let service = hyper::service::service_fn(async |request: http::Request<Incoming>| {
            let answer = if request.uri().path() == Method::Run.path() {
                let codec = ProstCodec::<RunEvent, RunRequest>::default();
                tonic::server::Grpc::new(codec).server_streaming(Played, request).await
            } else {
                let codec = ProstCodec::<CloseReply, CloseRequest>::default();
                tonic::server::Grpc::new(codec).unary(Refusing, request).await
            };
            Ok::<_, std::convert::Infallible>(answer)
        });
        let server = hyper::server::conn::http2::Builder::new(Here);
        server.serve_connection(Wire(stream), service).await.unwrap();
    });
    let stream = handshake(ours, pinned::client(client, server_pin).unwrap()).await.unwrap();
    let key = Zeroizing::new([5; 32]);
    let (link, _task) = link(stream, &key, Issuer::generate().unwrap(), Clock::starting_now()).await;
    let link = Arc::new(link);
    let mut running = link.run(call("echo", "heard")).await.unwrap();
    assert_eq!(running.next().await.unwrap(), Event::Piece(Piece::Note("heard".into())));
    assert_eq!(running.next().await, Err(SidecarError::Limit("full \u{e9} %".into())));
    let refused = link.close("s").await.unwrap_err();
    assert_eq!(refused, SidecarError::Unavailable("SANDBOX_UNAVAILABLE: nothing here".into()));
}
