//! Wet: the one HTTP client.
//!
//! # What it is
//!
//! [`Client::send`] takes a [`Request`] and brings a [`Response`] whose body is read piece by piece. HTTP/1.1 and, where a
//! server offers it inside TLS and the feature `http2` is on, HTTP/2. Connections are kept and shared per origin; proxies,
//! extra certificates and every limit are values that the caller hands in.
//!
//! HTTP/1.1 is this crate's own, on `httparse`, and each connection is driven by the task that waits for it: a waiting
//! request costs about 2.5 KiB in all (`examples/loopback.rs` measures it), where a general-purpose connection object with
//! its two 8 KiB buffers costs 19 KiB. HTTP/2 is hyper's, one shared connection per origin (more when it is full).
//!
//! # What is not here
//!
//! No redirects, no cookies, no retries by status, no compression, no decoding of text, no logging, no environment
//! variables read behind the caller's back (but `SSL_CERT_FILE` and `SSL_CERT_DIR`, which name the system's certificates),
//! and no way to switch certificate checks off. What to ask, and what an answer means, others decide.
//!
//! # Invariants
//!
//! - **N1** One `send` is one answer: nothing is followed, and no status is an error.
//! - **N2** In the clear a request goes to loopback, or to an address that is not public and that the options name; judged
//!   by the resolved address.
//! - **N3** With [`Reach::PublicOnly`] every address of the host is public, and the connection goes to one that was checked.
//! - **N4** Every wait and every size has a limit with a name, and an error of its own.
//! - **N5** No request is sent twice, unless nothing of it had left or repeating it is harmless.
//! - **N6** No header, body, query or credential shows in an error or in `Debug`.
//! - **N7** Connections are bounded and closed in time; tasks and connections end with the client.
//! - **N8** A certificate is always checked, against the name that was asked for.
//! - **N9** Literal addresses and `localhost` cost no look-up and no thread; nothing is loaded before it is needed.

mod address;
mod chunks;
mod client;
mod dial;
mod error;
mod fault;
mod head;
mod lane;
mod line;
#[cfg(feature = "http2")]
mod mux;
mod pattern;
mod pool;
mod proxy;
mod request;
mod response;
mod tls;
mod trip;
mod url;
mod wire;

pub use address::{AddressClass, classify, is_local_name};
pub use chunks::{BrokenChunks, Chunks};
pub use client::{Client, ClientOptions};
pub use error::{NetError, Stage, TlsFault};
pub use hyper::Method;
pub use hyper::body::Bytes;
pub use pattern::{HostPatterns, PATTERNS_MAX};
pub use proxy::{Proxy, ProxyServer};
pub use request::{HEADER_BYTES_MAX, Limits, REQUEST_HEADERS_MAX, Reach, Repeat, Request};
pub use response::Response;
pub use tls::client_config;
pub use url::{Host, Scheme, URL_BYTES_MAX, Url, UrlFault};
