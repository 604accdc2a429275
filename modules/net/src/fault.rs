//! What befell a connection, before it is known for which host and how far the answer had come.

use std::io::{self, ErrorKind};

use crate::error::{NetError, TlsFault, from_rustls};

/// What ended an exchange.
pub(crate) enum Fault {
    /// The other side closed the connection or the stream.
    Cut,
    /// TLS broke.
    Tls(TlsFault),
    /// What came breaks the rules of HTTP.
    Protocol(Box<str>),
}

/// Why there is no answer.
pub(crate) struct Failure {
    /// What happened.
    pub(crate) fault: Fault,
    /// Whether the server certainly did not begin to work on the request.
    pub(crate) unprocessed: bool,
}

impl Fault {
    /// The error of a request to `host`; `bytes` is how much of the body had come, once there was one.
    pub(crate) fn at(self, host: Box<str>, bytes: Option<u64>) -> NetError {
        match self {
            Self::Cut => NetError::Cut { host, bytes },
            Self::Tls(fault) => NetError::Tls { host, fault },
            Self::Protocol(found) => NetError::Protocol { host, found },
        }
    }

    /// What a failed read or write means.
    pub(crate) fn from_io(error: &io::Error) -> Self {
        if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::Tls(from_rustls(fault));
        }
        match error.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::WriteZero => Self::Cut,
            _ => Self::Protocol(error.to_string().into()),
        }
    }

    /// What a failure of the HTTP/2 layer means.
    #[cfg(feature = "http2")]
    pub(crate) fn from_hyper(error: &hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return Self::Cut;
        }
        let mut found = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                return Self::from_io(io);
            }
            // Ended by the server, as opposed to breaking the protocol.
            if inner.downcast_ref::<h2::Error>().is_some_and(|h2| h2.is_remote() || h2.is_io()) {
                return Self::Cut;
            }
            found.push_str(", ");
            found.push_str(&inner.to_string());
            source = inner.source();
        }
        Self::Protocol(found.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_read_means() {
        let at = |error: io::Error| Fault::from_io(&error).at("a:1".into(), Some(3));
        assert_eq!(at(ErrorKind::ConnectionReset.into()), NetError::Cut { host: "a:1".into(), bytes: Some(3) });
        let alert = rustls::Error::InvalidCertificate(rustls::CertificateError::Revoked);
        let fault = TlsFault::Revoked;
        assert_eq!(at(io::Error::other(alert)), NetError::Tls { host: "a:1".into(), fault });
        assert!(matches!(at(io::Error::other("odd")), NetError::Protocol { .. }));
    }
}
