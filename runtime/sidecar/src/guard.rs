//! Who may pass: seals are opened and proofs verified here, and nowhere else (S1).

use std::sync::{Arc, Mutex, PoisonError};

use aether_proof::{Authority, NO_PROOF, Opener, ProofError, Request, Seal, Verifier, presentation_digest};
use aether_proto::{CLOSE, Code, RUN, STATUS, metadata};
use http::HeaderMap;

use crate::clock::Clock;

/// A method of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Run,
    Close,
    Status,
}

impl Method {
    /// The method of a path, if there is one.
    pub(crate) fn of(path: &str) -> Option<Method> {
        [Method::Run, Method::Close, Method::Status].into_iter().find(|method| method.path() == path)
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Method::Run => RUN,
            Method::Close => CLOSE,
            Method::Status => STATUS,
        }
    }
}

/// Why a request is refused (`docs/ipc-security.md`, section 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) code: Code,
    /// The word; empty where there is none.
    pub(crate) reason: &'static str,
    pub(crate) text: String,
}

impl Denial {
    pub(crate) fn new(code: Code, reason: &'static str, text: impl Into<String>) -> Denial {
        Denial { code, reason, text: text.into() }
    }

    pub(crate) fn malformed(text: impl Into<String>) -> Denial {
        Denial::new(Code::InvalidArgument, "message-malformed", text)
    }

    pub(crate) fn of_proof(error: &ProofError) -> Denial {
        let reason = error.reason();
        let code = match reason {
            "proof-widened" | "proof-other-call" => Code::PermissionDenied,
            _ => Code::Unauthenticated,
        };
        Denial::new(code, reason, error.to_string())
    }
}

/// A request that passed: until when it is to be answered and, where the method needs a proof, what it may.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) authority: Option<Arc<Authority>>,
    pub(crate) deadline_unix_ms: u64,
}

/// Holds the keys of one connection.
pub(crate) struct Guard {
    pub(crate) clock: Clock,
    opener: Mutex<Opener>,
    verifier: Mutex<Verifier>,
}

impl Guard {
    pub(crate) fn new(clock: Clock, opener: Opener, verifier: Verifier) -> Guard {
        Guard { clock, opener: Mutex::new(opener), verifier: Mutex::new(verifier) }
    }

    /// Lets a request pass whose seal opens and, for [`Method::Run`], whose proof verifies. What the proof is for is
    /// still to be compared with what is asked.
    pub(crate) fn pass(&self, method: Method, headers: &HeaderMap, body: &[u8]) -> Result<Passed, Denial> {
        let missing = || Denial::new(Code::Unauthenticated, "seal-missing", "the request has no seal, or several");
        let seal = only(headers, metadata::SEAL).ok_or_else(missing)?;
        let wrong = |text| Denial::new(Code::Unauthenticated, "seal-malformed", text);
        let seal = metadata::read_binary(seal).ok_or_else(|| wrong("the seal is not base64".to_owned()))?;
        let seal = Seal::decode(&seal).map_err(|error| wrong(error.to_string()))?;
        let proof = self.proof(method, headers)?;
        let digest = proof.as_deref().map_or(NO_PROOF, presentation_digest);
        let now_unix_ms = self.clock.now_unix_ms();
        let request = Request { method: method.path(), body, proof: digest };
        let opened = self.opener.lock().unwrap_or_else(PoisonError::into_inner).open(&request, &seal, now_unix_ms);
        opened.map_err(|error| {
            let reason = error.reason();
            let is_late = reason == "seal-expired";
            let code = if is_late { Code::DeadlineExceeded } else { Code::Unauthenticated };
            Denial::new(code, reason, error.to_string())
        })?;
        let mut deadline_unix_ms = seal.deadline_unix_ms;
        let Some(proof) = proof else { return Ok(Passed { authority: None, deadline_unix_ms }) };
        let verified = self.verifier.lock().unwrap_or_else(PoisonError::into_inner).verify(&proof, now_unix_ms);
        let authority = verified.map_err(|error| Denial::of_proof(&error))?;
        deadline_unix_ms = deadline_unix_ms.min(authority.expires_unix_ms);
        Ok(Passed { authority: Some(authority), deadline_unix_ms })
    }

    /// The proof of a request: one for [`Method::Run`], none for every other.
    fn proof(&self, method: Method, headers: &HeaderMap) -> Result<Option<Vec<u8>>, Denial> {
        if method != Method::Run {
            let has_proof = headers.contains_key(metadata::PROOF);
            return if has_proof { Err(Denial::malformed("this method takes no proof")) } else { Ok(None) };
        }
        let missing = || Denial::new(Code::Unauthenticated, "proof-missing", "the request has no proof, or several");
        let text = only(headers, metadata::PROOF).ok_or_else(missing)?;
        let wrong = || Denial::new(Code::Unauthenticated, "proof-malformed", "the proof is not base64");
        metadata::read_binary(text).ok_or_else(wrong).map(Some)
    }
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value.as_bytes())
}
