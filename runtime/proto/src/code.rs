//! Status codes of gRPC, those that are used here (gRPC, "Status codes and their use in gRPC").

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Well.
    Ok,
    /// The caller gave up.
    Cancelled,
    /// Any code that is not listed here.
    Unknown,
    /// The request is not what the method takes.
    InvalidArgument,
    /// Its time is over.
    DeadlineExceeded,
    /// There is no such tool.
    NotFound,
    /// The proof does not cover the call.
    PermissionDenied,
    /// A limit: too large, too many.
    ResourceExhausted,
    /// This machine lacks what the call needs.
    FailedPrecondition,
    /// There is no such method, or it is asked in a way that is not spoken here.
    Unimplemented,
    /// The server is broken.
    Internal,
    /// The server is going away.
    Unavailable,
    /// No valid proof, or no valid seal.
    Unauthenticated,
}

/// Every code with its number.
const NUMBERS: [(Code, u8); 13] = [
    (Code::Ok, 0),
    (Code::Cancelled, 1),
    (Code::Unknown, 2),
    (Code::InvalidArgument, 3),
    (Code::DeadlineExceeded, 4),
    (Code::NotFound, 5),
    (Code::PermissionDenied, 7),
    (Code::ResourceExhausted, 8),
    (Code::FailedPrecondition, 9),
    (Code::Unimplemented, 12),
    (Code::Internal, 13),
    (Code::Unavailable, 14),
    (Code::Unauthenticated, 16),
];

impl Code {
    /// Its number, as `grpc-status` carries it.
    #[must_use]
    pub fn number(self) -> u8 {
        NUMBERS.iter().find(|(code, _)| *code == self).map_or(2, |(_, number)| *number)
    }

    /// The code of a `grpc-status`; [`Code::Unknown`] for anything that is no code of ours.
    #[must_use]
    pub fn read(text: &[u8]) -> Code {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u8>().ok());
        NUMBERS.iter().find(|(_, known)| Some(*known) == number).map_or(Code::Unknown, |(code, _)| *code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_as_it_is_written() {
        for (code, number) in NUMBERS {
            assert_eq!(code.number(), number);
            assert_eq!(Code::read(number.to_string().as_bytes()), code);
        }
        for odd in [&b""[..], b"17", b"6", b"-1", b"x", b"256", b"\xff", b"1 "] {
            assert_eq!(Code::read(odd), Code::Unknown);
        }
    }
}
