//! One question over HTTP: the codec's request out, the response's bytes into the codec's reader.

use std::sync::Arc;
use std::time::SystemTime;

use aether_core::model::{Head, Method, ModelError, ModelErrorKind, ModelEvent, Request};
use aether_driver::Sink;
use aether_net::{Client, Limits, NetError, Response, TlsFault, Url};

use crate::chain::Remote;

/// Sends `request` and feeds the answer to `sink` until it is complete.
pub(crate) async fn ask(
    client: Client,
    remote: Arc<Remote>,
    request: Request,
    limits: Limits,
    sink: Sink,
) -> Result<(), ModelError> {
    let answered = exchange(&client, &remote, request, limits, &sink).await;
    let failed = answered.as_ref().err().map(|error| error.kind).or_else(|| answered.as_ref().ok().copied().flatten());
    if let Ok(mut breaker) = remote.breaker.lock() {
        match failed {
            Some(ModelErrorKind::Unavailable | ModelErrorKind::Unreachable | ModelErrorKind::Timeout) => {
                breaker.failed()
            }
            _ => breaker.succeeded(),
        }
    }
    answered.map(|_| ())
}

/// Whether this provider may be asked now.
///
/// # Errors
/// It failed several times in a row and is left alone; `another` says whether a model of another provider can be
/// asked instead. Then nobody has to wait.
pub(crate) fn admit(remote: &Remote, another: Another) -> Result<(), ModelError> {
    let admitted = remote.breaker.lock().map_or(Ok(()), |mut breaker| breaker.admit());
    admitted.map_err(|left_ms| {
        let seconds = left_ms.div_ceil(1000);
        let message = format!("{} failed several times in a row and is left alone for {seconds} s", remote.provider);
        let mut error = ModelError::new(ModelErrorKind::Unavailable, message);
        error.retry_after_ms = Some(match another {
            Another::StandsBy => u64::MAX,
            Another::Missing => left_ms,
        });
        error
    })
}

/// Whether the chain of models goes on behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Another {
    /// It does.
    StandsBy,
    /// This is the last one.
    Missing,
}

/// The kind of error that the answer itself ended with, if it did.
async fn exchange(
    client: &Client,
    remote: &Remote,
    request: Request,
    limits: Limits,
    sink: &Sink,
) -> Result<Option<ModelErrorKind>, ModelError> {
    let mut response = send(client, remote, request, limits).await?;
    let content_type = media_type(&response);
    let head =
        Head { status: response.status(), content_type: &content_type, retry_after_ms: retry_after_ms(&response) };
    let mut reader = remote.codec.reader(head);
    let mut failed = None;
    let mut events = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| model_error(&remote.provider, &error))?;
        let is_over = chunk.is_none();
        match chunk {
            Some(bytes) => reader.feed(&bytes, &mut events),
            None => reader.end(&mut events),
        }
        let last = events.iter().rev().find_map(|event| match event {
            ModelEvent::Error(error) => Some(Some(error.kind)),
            ModelEvent::Stop(_) => Some(None),
            _ => None,
        });
        failed = last.unwrap_or(failed);
        sink.send(std::mem::take(&mut events)).await;
        if is_over || last.is_some() {
            break;
        }
    }
    // What is left of a complete answer is read, so that its connection can be used again.
    while let Ok(Some(_)) = response.chunk().await {}
    Ok(failed)
}

/// Sends a request of this provider's and waits for the head of the answer.
pub(crate) async fn send(
    client: &Client,
    remote: &Remote,
    request: Request,
    limits: Limits,
) -> Result<Response, ModelError> {
    let wrong = |error: &NetError| model_error(&remote.provider, error);
    let address = format!("{}{}", remote.base_url, request.path);
    let url = Url::parse(&address).map_err(|fault| wrong(&NetError::Url(fault)))?;
    let method = match request.method {
        Method::Get => aether_net::Method::GET,
        Method::Post => aether_net::Method::POST,
    };
    let mut out = aether_net::Request::new(method, url).limits(limits);
    for (name, value) in &request.headers {
        out = out.header(name, value).map_err(|error| wrong(&error))?;
    }
    for (name, value) in &remote.headers {
        out = out.header(name, value).map_err(|error| wrong(&error))?;
    }
    if let Some(key) = &remote.key {
        let value = format!("{}{}", request.credential.prefix, key.reveal());
        out = out.header(request.credential.header, &value).map_err(|error| wrong(&error))?;
    }
    if !request.body.is_empty() {
        out = out.body(request.body);
    }
    client.send(out).await.map_err(|error| wrong(&error))
}

/// The media type, lower case, without parameters.
pub(crate) fn media_type(response: &Response) -> String {
    let whole = response.header("content-type").unwrap_or("");
    whole.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// `retry-after-ms`, else `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after_ms(response: &Response) -> Option<u64> {
    if let Some(ms) = response.header("retry-after-ms").and_then(|text| text.trim().parse().ok()) {
        return Some(ms);
    }
    let text = response.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds >= 0.0).then_some((seconds * 1000.0) as u64);
    }
    let at = http_date(text)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(at.saturating_sub(now).saturating_mul(1000))
}

/// Seconds since 1970 of an IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
pub(crate) fn http_date(text: &str) -> Option<u64> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = words.next()?;
    let month = months.iter().position(|known| *known == name)? as u64;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // Days from the civil date (H. Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = if month < 2 { year - 1 } else { year };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let of_year = (153 * ((month + 10) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let days = days.checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// What a failure of the network means for a question.
pub(crate) fn model_error(provider: &str, error: &NetError) -> ModelError {
    let kind = match error {
        NetError::ConnectTimeout { .. }
        | NetError::HeadersTimeout { .. }
        | NetError::IdleTimeout { .. }
        | NetError::TotalTimeout { .. } => ModelErrorKind::Timeout,
        NetError::Cut { .. } => ModelErrorKind::Cut,
        NetError::TooLarge { .. } => ModelErrorKind::TooLarge,
        NetError::Protocol { .. } => ModelErrorKind::Malformed,
        // These stay wrong however often they are tried.
        NetError::Url(_) | NetError::Request { .. } | NetError::Plaintext { .. } | NetError::Private { .. } => {
            ModelErrorKind::BadRequest
        }
        NetError::Tls { fault: TlsFault::UnknownIssuer | TlsFault::Expired | TlsFault::WrongName, .. } => {
            ModelErrorKind::Unsupported
        }
        _ => ModelErrorKind::Unreachable,
    };
    ModelError::new(kind, format!("{provider}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_are_read_as_the_standard_writes_them() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(http_date("soon"), None);
    }
}
