//! A connection that one request is on: its own, or its place on a shared one.

use std::task::{Context, Poll};

use hyper::body::Bytes;

use crate::dial::Route;
use crate::error::NetError;
use crate::fault::{Failure, Fault};
use crate::head::{self, Head};
use crate::line::Line;
#[cfg(feature = "http2")]
use crate::mux::Exchange;
use crate::request::Request;

/// Whether a connection has carried a request before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    First,
    Again,
}

/// Where a request goes out and its answer comes in.
pub(crate) enum Lane {
    /// A connection of its own.
    Line(Box<Line>),
    /// A stream of a shared connection.
    #[cfg(feature = "http2")]
    Mux(Box<Exchange>),
}

impl Lane {
    /// Puts a request on the connection, in the form that the connection wants.
    pub(crate) fn put(&mut self, request: Request, route: Route<'_>) -> Result<(), NetError> {
        match self {
            Self::Line(line) => {
                let head = match route {
                    Route::Forward(server) => head::write(&request, &request.url.to_string(), server.authorization()),
                    Route::Direct | Route::Tunnel(_) => head::write(&request, request.url.target(), None),
                };
                line.put(request.method, head, request.body);
                Ok(())
            }
            #[cfg(feature = "http2")]
            Self::Mux(exchange) => exchange.put(request),
        }
    }

    /// Sends what was put and waits for the head of the answer.
    pub(crate) async fn answer(&mut self) -> Result<Head, Failure> {
        match self {
            Self::Line(line) => line.answer().await,
            #[cfg(feature = "http2")]
            Self::Mux(exchange) => exchange.answer().await,
        }
    }

    /// The next piece of the body, never empty; `None` at its end.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        match self {
            Self::Line(line) => line.poll_data(cx),
            #[cfg(feature = "http2")]
            Self::Mux(exchange) => exchange.poll_data(cx),
        }
    }

    /// Whether the body is at its end.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Line(line) => line.is_over(),
            #[cfg(feature = "http2")]
            Self::Mux(exchange) => exchange.is_over(),
        }
    }

    /// Lets no further request onto a shared connection: it went silent and may be dead. One of its own is simply dropped.
    pub(crate) fn mark_broken(&self) {
        match self {
            Self::Line(_) => {}
            #[cfg(feature = "http2")]
            Self::Mux(exchange) => exchange.mark_broken(),
        }
    }
}
