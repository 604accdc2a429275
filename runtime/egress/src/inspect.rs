//! Every request on a plain HTTP connection, watched as its bytes go by: all of them are for the one host.

use aether_net::Chunks;

use crate::head::{Body, Finder, HeadFault, RequestHead};
use crate::names::Peer;

/// Watches what a client sends. Bytes go on only when the head they belong to was read and found right.
pub struct Inspector {
    peer: Peer,
    port: u16,
    place: Place,
    /// What a chunk decodes to, which nobody needs.
    scratch: Vec<u8>,
}

enum Place {
    Head(Finder),
    Length(u64),
    Chunked(Chunks),
}

impl Inspector {
    /// For requests to this peer at this port.
    #[must_use]
    pub fn new(peer: Peer, port: u16) -> Inspector {
        Inspector { peer, port, place: Place::Head(Finder::default()), scratch: Vec::new() }
    }

    /// How many of `bytes`, which come next on the connection, may go on. The others come again with the next call.
    ///
    /// # Errors
    /// A [`HeadFault`]: nothing more may go on.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<usize, HeadFault> {
        let mut passed = 0;
        loop {
            let rest = &bytes[passed..];
            if rest.is_empty() {
                return Ok(passed);
            }
            match &mut self.place {
                Place::Head(finder) => {
                    let Some(end) = finder.find(rest)? else { return Ok(passed) };
                    let head = RequestHead::read(&rest[..end], &self.peer, self.port)?;
                    self.place = match head.body {
                        Body::Chunked => Place::Chunked(Chunks::new()),
                        Body::Length(0) | Body::UntilClose => Place::Head(Finder::default()),
                        Body::Length(length) => Place::Length(length),
                    };
                    passed += end;
                }
                Place::Length(left) => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    passed += take;
                    *left -= take as u64;
                    if *left == 0 {
                        self.place = Place::Head(Finder::default());
                    }
                }
                Place::Chunked(chunks) => {
                    self.scratch.clear();
                    let broken = HeadFault::Ambiguous("chunks");
                    passed += chunks.decode(rest, &mut self.scratch).map_err(|_| broken)?;
                    if chunks.is_over() {
                        self.place = Place::Head(Finder::default());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Name;

    fn inspector() -> Inspector {
        Inspector::new(Peer::Name(Name::parse("a.com").expect("name")), 80)
    }

    /// What goes on of `bytes` that come in pieces of this size, up to a fault.
    fn passed(bytes: &[u8], piece: usize) -> (usize, Option<HeadFault>) {
        let (mut inspector, mut held, mut gone) = (inspector(), Vec::new(), 0);
        for piece in bytes.chunks(piece) {
            held.extend_from_slice(piece);
            match inspector.pass(&held) {
                Ok(count) => {
                    held.drain(..count);
                    gone += count;
                }
                Err(fault) => return (gone, Some(fault)),
            }
        }
        (gone, None)
    }

    const FIRST: &str = "POST /1 HTTP/1.1\r\nhost: a.com\r\ncontent-length: 5\r\n\r\nhello";
    const SECOND: &str = "PUT /2 HTTP/1.1\r\nhost: a.com\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

    #[test]
    fn requests_one_after_another() {
        let all = [FIRST, SECOND, "GET /3 HTTP/1.1\r\nhost: a.com\r\n\r\n", FIRST].concat();
        for piece in 1..all.len() {
            assert_eq!(passed(all.as_bytes(), piece), (all.len(), None), "pieces of {piece}");
        }
    }

    /// E5: a later request is looked at like the first, and no byte of a wrong one goes on.
    #[test]
    fn the_second_request_to_another_host() {
        for second in [
            "GET / HTTP/1.1\r\nhost: b.com\r\n\r\n",
            "GET / HTTP/1.1\nhost: a.com\r\n\r\n",
            "GET http://b.com/ HTTP/1.1\r\nhost: a.com\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a.com\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\x16\x03\x01\r\n\r\n",
        ] {
            for first in [FIRST, SECOND] {
                let all = [first, second].concat();
                for piece in 1..all.len() {
                    let (gone, fault) = passed(all.as_bytes(), piece);
                    assert!(fault.is_some() && gone <= first.len(), "{second:?} in pieces of {piece}");
                }
            }
        }
        let broken = SECOND.replace("3\r\nabc", "3\r\nabcd");
        assert!(matches!(passed(broken.as_bytes(), 7).1, Some(HeadFault::Ambiguous(_))));
    }
}
