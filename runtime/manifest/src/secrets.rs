//! `[[secrets]]`: handles of secrets that the network broker adds outside the sandbox; values never come here.

use aether_core::capability::{Host, Network};

use crate::fields::{Fields, wrong_type};
use crate::hosts;
use crate::mistake::{MistakeKind, Report, shown};
use crate::tool::is_name;
use crate::tree::{Content, Node};

/// A secret that a tool wants to be added to its requests to one host. The tool never sees the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretDeclaration {
    /// The handle, `[a-z][a-z0-9_]*`, at most 64 bytes; policy.toml says where its value is found.
    pub name: Box<str>,
    /// The one host it is meant for, which the tool's network covers; never a wildcard.
    pub host: Host,
    /// The header's name, in lower case.
    pub header: Box<str>,
    /// The header's value, with `{}` once where the secret goes.
    pub template: Box<str>,
}

const KEYS: &[&str] = &["name", "host", "header"];

/// The most secrets of one tool.
const SECRETS_MAX: usize = 16;

/// The longest header, in bytes.
const HEADER_BYTES_MAX: usize = 256;

/// Headers that say where a request goes or where it ends: not for secrets.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Reads the list; each host has to be covered by `network`, unless that could not be read.
pub(crate) fn read(node: &Node, network: Option<&Network>, report: &mut Report<'_>) -> Vec<SecretDeclaration> {
    let Content::List(items) = &node.content else {
        wrong_type(node, "secrets", "a list of tables, each under `[[secrets]]`", report);
        return Vec::new();
    };
    if items.len() > SECRETS_MAX {
        let sentence = format!("`secrets`: found {}, wanted at most {SECRETS_MAX}", items.len());
        report.add(node.at, MistakeKind::TooLarge, sentence);
    }
    let mut read: Vec<SecretDeclaration> = Vec::new();
    for (n, item) in items.iter().take(SECRETS_MAX).enumerate() {
        let Some(one) = secret(item, n + 1, network, report) else { continue };
        if read.iter().any(|other| other.name == one.name) {
            report.add(item.at, MistakeKind::Duplicate, format!("the secret `{}` is declared twice", one.name));
        }
        if read.iter().any(|other| other.host == one.host && other.header == one.header) {
            let sentence = format!("two secrets for the header `{}` of {}: keep one of them", one.header, one.host);
            report.add(item.at, MistakeKind::Duplicate, sentence);
        }
        read.push(one);
    }
    read
}

fn secret(node: &Node, number: usize, network: Option<&Network>, report: &mut Report<'_>) -> Option<SecretDeclaration> {
    let label = format!("secrets[{number}]");
    let fields = Fields::of(node, &label, KEYS, report)?;
    for (key, why) in [
        ("name", "a handle such as `github_token`"),
        ("host", "the one host it is meant for, such as `api.github.com`"),
        ("header", "where it goes, such as `authorization: Bearer {}`"),
    ] {
        fields.demand(key, why, report);
    }
    let name = fields.text("name", "a text", report).filter(|(at, name)| {
        if !is_name(name) {
            let sentence = format!(
                "`{label}.name`: found `{}`, wanted small letters, digits and `_`, a letter first, at most 64 of them",
                shown(name)
            );
            report.add(*at, MistakeKind::Malformed, sentence);
        }
        is_name(name)
    });
    let host = fields.text("host", "a text", report).and_then(|(at, text)| audience(at, text, network, &label, report));
    let header = fields.text("header", "a text", report).and_then(|(at, text)| {
        let read = header(text);
        if let Err(why) = &read {
            report.add(at, MistakeKind::Malformed, format!("`{label}.header` {why}"));
        }
        read.ok()
    });
    let (header, template) = header?;
    Some(SecretDeclaration { name: name?.1.into(), host: host?, header, template })
}

fn audience(at: usize, text: &str, network: Option<&Network>, label: &str, report: &mut Report<'_>) -> Option<Host> {
    let mut wrong = |kind, why: &str| report.add(at, kind, format!("`{label}.host`: `{}` {why}", shown(text)));
    if text.starts_with('*') {
        wrong(MistakeKind::TooBroad, "has a wildcard, and a secret goes to one host: write its whole name");
        return None;
    }
    match hosts::declared(text) {
        Err((kind, why)) => {
            wrong(kind, &why);
            None
        }
        Ok(host) => {
            if network.is_some_and(|network| !network.covers(&Network::hosts(vec![host.clone()]))) {
                wrong(MistakeKind::Conflict, "is not among the hosts of `network`: add it there, or drop the secret");
            }
            Some(host)
        }
    }
}

/// Splits `name: template` (RFC 9110, sections 5.1 and 5.5).
fn header(text: &str) -> Result<(Box<str>, Box<str>), String> {
    let wanted = "wanted a header and its value with `{}` for the secret, such as `authorization: Bearer {}`";
    let (name, template) = text.split_once(':').ok_or_else(|| format!("has no `:`; {wanted}"))?;
    let template = template.trim_matches(' ');
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("has no header name before its `:`; {wanted}"));
    }
    if text.len() > HEADER_BYTES_MAX || !template.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(format!("has other characters than plain ones, or more than {HEADER_BYTES_MAX}; {wanted}"));
    }
    if template.matches("{}").count() != 1 {
        return Err(format!("does not have `{{}}` exactly once; {wanted}"));
    }
    let name = name.to_ascii_lowercase();
    if FRAMING.contains(&name.as_str()) || name.starts_with("proxy-") {
        return Err(format!("names `{name}`, which says where a request goes or ends; {wanted}"));
    }
    Ok((name.into(), template.into()))
}
