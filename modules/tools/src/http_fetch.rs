//! `http_fetch`: one page from the network, as text.

use std::sync::Arc;

use aether_core::capability::{Capability, Network};
use aether_core::label::{Label, Origin};
use aether_core::tool::{
    Act, Acts, Authorized, Fetch, Fetched, Hands, HandsError, Limits, Manifest, Needs, Output, Runtime, Tool,
};
use aether_core::transcript::ToolOutcome;

use crate::address::Address;
use crate::charset;
use crate::html;
use crate::input::{Kind, Shape, optional, required};
use crate::page::{self, HEADER_BYTES_MAX};

const SHAPE: Shape = Shape(&[
    required("url", Kind::Text, ""),
    optional("from_byte", Kind::Whole { min: 0, max: 1 << 32 }, "continue a long text"),
]);

/// The most redirects that are followed, all on one host.
const REDIRECTS_MAX: usize = 5;
/// The most bytes of a body.
const BODY_BYTES_MAX: usize = 4 << 20;

/// The tool.
pub(crate) struct HttpFetch {
    manifest: Arc<Manifest>,
}

impl HttpFetch {
    pub(crate) fn new() -> HttpFetch {
        let manifest = Arc::new(Manifest {
            name: "http_fetch".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "GET a URL; HTML becomes text. A redirect to another host is reported, not followed.".into(),
            input: SHAPE.schema().into(),
            runtime: Runtime::Builtin,
            acts: Acts::of(&[Act::NetworkRead]),
            capability: Capability::default().with_network(Network::Public),
            limits: Limits::BUILTIN,
        });
        HttpFetch { manifest }
    }
}

impl Tool for HttpFetch {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn needs(&self, input: &str) -> Result<Needs, String> {
        let input = SHAPE.read(input)?;
        let address = Address::parse(input.required("url"))?;
        let capability = Capability::default().with_network(Network::hosts(vec![address.host().clone()]));
        Ok(Needs { acts: Acts::of(&[Act::NetworkRead]), capability, label: web() })
    }

    fn run(&self, call: &Authorized, hands: &mut dyn Hands) -> Result<Output, String> {
        let input = SHAPE.read(&call.call().input)?;
        let mut address = Address::parse(input.required("url"))?;
        for _ in 0..=REDIRECTS_MAX {
            let url = address.to_string();
            let fetch = Fetch { url: &url, bytes_max: BODY_BYTES_MAX, total_ms_max: call.limits().runtime_ms_max };
            let fetched = hands.fetch(&fetch).map_err(|error| match error {
                HandsError::Stopped => error.to_string(),
                error => format!("`{}`: {error}", page::clipped(&url, 200)),
            })?;
            let Some(location) = redirect(&fetched) else {
                let from = input.whole("from_byte").unwrap_or(0);
                return shown(call, &address, &fetched, from);
            };
            let Some(next) = address.join(location) else {
                let text = format!("{url} redirects to `{}`, which is no web page", page::clipped(location, 200));
                return Ok(page::output(call, ToolOutcome::Failed, text, web()));
            };
            if next.host() != address.host() {
                let text =
                    format!("{url} redirects to another host: {next}\nCall http_fetch with that address to go on.");
                return Ok(page::output(call, ToolOutcome::Done, text, web()));
            }
            address = next;
        }
        Err(format!("`{}` redirects more than {REDIRECTS_MAX} times; last to {address}", input.required("url")))
    }
}

fn web() -> Label {
    Label::from(Origin::Web)
}

/// Where a response sends the client (RFC 9110, section 15.4).
fn redirect(fetched: &Fetched) -> Option<&str> {
    let location = fetched.location.as_deref().filter(|location| !location.trim().is_empty())?;
    matches!(fetched.status, 301 | 302 | 303 | 307 | 308).then_some(location)
}

fn shown(call: &Authorized, address: &Address, fetched: &Fetched, from_byte: u64) -> Result<Output, String> {
    let media = fetched.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut head =
        format!("{} {} {}", page::clipped(&address.to_string(), 300), fetched.status, page::clipped(&media, 60));
    let outcome = if (200..300).contains(&fetched.status) { ToolOutcome::Done } else { ToolOutcome::Failed };
    let kind = charset::binary_kind(&fetched.body).filter(|kind| !kind.starts_with("UTF-16"));
    if let Some(kind) = kind.or(is_binary(&media).then_some("no text")) {
        head.push_str(&format!(
            "; {kind}, {}{} bytes, not shown",
            if fetched.is_cut { "more than " } else { "" },
            fetched.body.len()
        ));
        return Ok(page::output(call, outcome, head, web()));
    }
    let (text, note) = charset::decoded(&fetched.body, &charset::declared(&fetched.content_type, &fetched.body));
    let is_html =
        media == "text/html" || media == "application/xhtml+xml" || (media.is_empty() && looks_like_html(&text));
    let text = if is_html {
        let page = html::page(&text, Some(address));
        if !page.title.is_empty() {
            head.push_str(&format!("; title: {}", page::clipped(&page.title, 120)));
        }
        page.text
    } else {
        text
    };
    if let Some(note) = note {
        head.push_str(&format!("; {note}"));
    }
    let from = usize::try_from(from_byte).unwrap_or(usize::MAX);
    if from > 0 && from >= text.len() {
        return Err(format!("the text has {} bytes; from_byte={from_byte} is beyond its end", text.len()));
    }
    let rest = &text[page::floor(&text, from)..];
    let part = cut(rest, page::bytes_max(call).saturating_sub(HEADER_BYTES_MAX + head.len()));
    let until = text.len() - rest.len() + part.len();
    if part.len() < rest.len() {
        head.push_str(&format!("; bytes {from}-{until} of {}; continue with from_byte={until}", text.len()));
    } else if fetched.is_cut {
        head.push_str(&format!(
            "; the body is longer than the {BODY_BYTES_MAX} bytes that are taken; the rest cannot be shown"
        ));
    }
    Ok(page::output(call, outcome, format!("{head}\n\n{part}"), web()))
}

/// The start of a text, ended at a line where that costs less than a quarter of it.
fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let part = &text[..page::floor(text, bytes_max)];
    match part.rfind('\n') {
        Some(at) if at > part.len() / 4 * 3 => &part[..=at],
        _ => part,
    }
}

fn is_binary(media: &str) -> bool {
    let is_text = |media: &str| media.ends_with("+xml") || media.ends_with("+json");
    ["image/", "audio/", "video/", "font/"].iter().any(|kind| media.starts_with(kind)) && !is_text(media)
}

fn looks_like_html(text: &str) -> bool {
    let start = text.trim_start();
    let start = start[..page::floor(start, 15)].to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}
