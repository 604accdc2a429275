//! Which hosts a manifest may name: public ones, by a name that reads in one way only (M3).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aether_core::capability::Host;

use crate::address::is_public;
use crate::mistake::{MistakeKind, shown};

/// What is wrong with a value: the sort of mistake, and what follows the value in the sentence.
pub(crate) type Wrong = (MistakeKind, String);

/// The longest name, and the longest part of one between dots, in bytes (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Ends of names that no public name server answers for (RFC 6761, RFC 6762, RFC 8375, and what clouds and home
/// routers use).
const PRIVATE_ENDS: &[&str] =
    &["localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa"];

/// Labels under which countries let others register, so that `*.co.uk` is as broad as `*.com`.
const REGISTRY_LABELS: &[&str] = &["ac", "co", "com", "edu", "gob", "gov", "ne", "net", "or", "org"];

/// Reads a host that a tool asks for.
pub(crate) fn declared(text: &str) -> Result<Host, Wrong> {
    if text == "*" || text.starts_with("*:") {
        let why = "is every host: write `network = true` for any public host, or name the hosts it needs";
        return Err((MistakeKind::TooBroad, why.to_owned()));
    }
    if text.contains('/') || text.contains('@') {
        let why = "has more than a host in it: write the host alone, such as `api.example.com`, with `:port` if it is not 443";
        return Err((MistakeKind::Malformed, why.to_owned()));
    }
    let host = Host::parse(text).map_err(|malformed| {
        let broad = text.strip_prefix("*.").is_some_and(|rest| !rest.is_empty() && !rest.contains('.'));
        let kind = if broad { MistakeKind::TooBroad } else { MistakeKind::Malformed };
        (kind, format!("cannot be taken: {}", malformed.why))
    })?;
    let spelled = host.to_string();
    let name = spelled.rsplit_once(':').map_or(spelled.as_str(), |(name, _)| name);
    match name.strip_prefix("*.") {
        Some(rest) => named(rest).and_then(|()| not_too_wide(rest))?,
        None => named(name)?,
    }
    Ok(host)
}

/// Refuses names that are addresses in disguise, that nobody can have, and that lead into private networks.
fn named(name: &str) -> Result<(), Wrong> {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let parsed: Ipv6Addr = address
            .parse()
            .map_err(|_| (MistakeKind::Malformed, "holds no IPv6 address in its brackets".to_owned()))?;
        public(IpAddr::V6(parsed))?;
        if parsed.to_string() != address {
            return Err((MistakeKind::Malformed, format!("has another usual form: write `[{parsed}]`")));
        }
        return Ok(());
    }
    if name.len() > NAME_BYTES_MAX || name.split('.').any(|label| label.len() > LABEL_BYTES_MAX) {
        let why = format!("is too long: a name has at most {NAME_BYTES_MAX} bytes, and {LABEL_BYTES_MAX} between dots");
        return Err((MistakeKind::Malformed, why));
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = last.strip_prefix("0x");
    if last.bytes().all(|byte| byte.is_ascii_digit()) || hex.is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit())) {
        // What ends in a number is an address to some programs (WHATWG URL, section 3.5).
        let parsed: Ipv4Addr = name.parse().map_err(|_| {
            (MistakeKind::Malformed, "ends in a number and is no IPv4 address of four numbers from 0 to 255".to_owned())
        })?;
        return public(IpAddr::V4(parsed));
    }
    let is_private =
        PRIVATE_ENDS.iter().any(|end| name.strip_suffix(end).is_some_and(|h| h.is_empty() || h.ends_with('.')));
    if is_private || !name.contains('.') {
        let why = "is a name within private networks, which no manifest can open: the operator can except an address in policy.toml";
        return Err((MistakeKind::Protected, why.to_owned()));
    }
    Ok(())
}

fn public(address: IpAddr) -> Result<(), Wrong> {
    if is_public(address) {
        return Ok(());
    }
    let why = "is no public address, and no manifest can open another: the operator can except it in policy.toml";
    Err((MistakeKind::Protected, why.to_owned()))
}

fn not_too_wide(rest: &str) -> Result<(), Wrong> {
    let labels: Vec<&str> = rest.split('.').collect();
    if let [second, country] = labels[..]
        && country.len() == 2
        && REGISTRY_LABELS.contains(&second)
    {
        let why = format!("is everybody's who registers under `{}`: name one more part", shown(rest));
        return Err((MistakeKind::TooBroad, why));
    }
    Ok(())
}
