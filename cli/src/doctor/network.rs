//! Providers: is there a key, is there a way, does the server take the key, and what time does it think it is.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aether_core::model::ModelErrorKind;
use aether_net::{Client, Limits, Url};
use aether_provider::preset;
use tokio::task::JoinSet;

use super::Check;
use crate::boot::Boot;
use crate::chain::{self, KeyPlace, Remote};
use crate::house;
use crate::onboard::servers;
use crate::probe::{self, elapsed_ms};
use crate::show::unix_ms;

/// The longest wait for one answer of a provider, in milliseconds.
const ANSWER_MS_MAX: u64 = 15_000;
/// How far this machine's clock may be from a server's, in seconds. Certificates and signatures tolerate about as much.
const CLOCK_S_MAX: u64 = 300;
/// 2026-01-01, before which nobody has this program.
const YOUNGEST_S: u64 = 1_767_225_600;
/// How a file with certificates begins, somewhere (RFC 7468, section 5.1).
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
/// The most bytes of a file with certificates.
const CERTIFICATES_BYTES_MAX: u64 = 16 << 20;

/// All of them.
pub(crate) async fn checks(boot: &Boot, wants_search: bool) -> Vec<Check> {
    let client = match house::client(boot) {
        Ok(client) => client,
        Err(trouble) => return vec![Check::broken("network", trouble.to_string(), "")],
    };
    let mut checks = Vec::new();
    checks.extend(certificates(boot));
    let providers = providers(boot);
    let mut dates = Vec::new();
    let mut running = JoinSet::new();
    for provider in &providers {
        match prepared(boot, provider) {
            Ok((remote, found)) => {
                checks.push(found);
                let (client, limits) = (client.clone(), limits(boot));
                let proxy = house::proxy(boot).ok().and_then(|proxy| server(&proxy, &remote.base_url));
                running.spawn(async move { reach(&client, remote, limits, proxy).await });
            }
            Err(check) => checks.push(check),
        }
    }
    let mut reached = running.join_all().await;
    reached.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    for (_, date, found) in reached {
        dates.extend(date);
        checks.extend(found);
    }
    if providers.is_empty() {
        checks.push(Check::skipped("providers", "no usable one is configured; `aether onboard` connects one"));
        if wants_search {
            checks.extend(search(boot, &client).await);
        }
    }
    checks.push(clock(dates.first().copied()));
    checks
}

/// Those that the models in use belong to, and those that the configuration speaks of.
fn providers(boot: &Boot) -> Vec<String> {
    let config = &boot.config;
    let first = chain::first_model(config);
    let titles = std::iter::once(first.as_str()).chain(config.list("fallback").iter().map(String::as_str));
    let used = titles.filter(|title| *title != chain::OFFLINE).map(|title| chain::split(title).0);
    let named = used.chain(config.names("providers."));
    // One without a way to it was reported with the configuration.
    let known = named.filter(|name| chain::route(config, name, preset(name)).is_ok());
    let mut names: Vec<String> = known.map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn limits(boot: &Boot) -> Limits {
    let limits = house::limits(boot);
    Limits {
        headers_ms_max: limits.headers_ms_max.min(ANSWER_MS_MAX),
        idle_ms_max: limits.idle_ms_max.min(ANSWER_MS_MAX),
        total_ms_max: limits.total_ms_max.min(2 * ANSWER_MS_MAX),
        ..limits
    }
}

/// A provider that can be asked, and what is known of its key.
fn prepared(boot: &Boot, provider: &str) -> Result<(Arc<Remote>, Check), Check> {
    let name = format!("{provider} key");
    let known = preset(provider);
    let remedy = format!("store one with `aether onboard --provider {provider}`");
    let remote = chain::remote(&boot.config, provider, known)
        .map_err(|trouble| Check::broken(&name, trouble.to_string(), &remedy))?;
    let found = match chain::key_place(&boot.config, provider, known) {
        KeyPlace::Reference(reference) => format!("found by {reference}"),
        KeyPlace::Variable(variable) => format!("found in the environment variable {variable}"),
        KeyPlace::Unneeded | KeyPlace::Missing => "none, and none may be needed".to_owned(),
    };
    Ok((Arc::new(remote), Check::fine(&name, found)))
}

/// The proxy in the way to an address.
fn server(proxy: &aether_net::Proxy, base_url: &str) -> Option<String> {
    let url = Url::parse(base_url).ok()?;
    proxy.server_for(&url).map(|server| server.url().host_and_port())
}

/// Walks the way to a provider as far as it leads.
async fn reach(
    client: &Client,
    remote: Arc<Remote>,
    limits: Limits,
    proxy: Option<String>,
) -> (String, Option<u64>, Vec<Check>) {
    let provider = remote.provider.clone();
    let name = format!("{provider} network");
    let mut checks = Vec::new();
    match &proxy {
        Some(proxy) => checks.push(Check::fine(&name, format!("through the proxy {proxy}"))),
        None => checks.push(direct(&name, &remote.base_url, limits).await),
    }
    let listed = probe::list(client, &remote, limits).await;
    let name = format!("{provider} answer");
    checks.push(
        match listed.models {
            Ok(models) => Check::fine(&name, format!("{} models", models.len())),
            Err(error) => {
                let sentence = probe::beginning_with(&provider, &error);
                let remedy = match error.kind {
                    ModelErrorKind::Unauthorized => {
                        format!("store another key with `aether onboard --provider {provider}`")
                    }
                    _ => String::new(),
                };
                Check::broken(&name, sentence, &remedy)
            }
        }
        .within(listed.ms),
    );
    (provider, listed.date_s, checks)
}

/// Name, address and port, without a proxy.
async fn direct(name: &str, base_url: &str, limits: Limits) -> Check {
    let Ok(url) = Url::parse(base_url) else {
        return Check::broken(name, format!("{base_url} is no address"), "correct base_url");
    };
    let place = url.host_and_port();
    let (host, port) = (url.host().to_string(), url.port());
    let limit = Duration::from_millis(limits.connect_ms_max);
    let began = Instant::now();
    let walked = tokio::task::spawn_blocking(move || connect(&host, port, limit));
    let walked = tokio::time::timeout(limit, walked).await;
    let check = match walked {
        Ok(Ok(Ok(found))) => Check::fine(name, format!("{place}: {found}")),
        Ok(Ok(Err((found, remedy)))) => Check::broken(name, format!("{place}: {found}"), remedy),
        Ok(Err(error)) => Check::broken(name, format!("{place}: {error}"), ""),
        Err(_) => Check::broken(
            name,
            format!("{place} was not reached within {} ms", limits.connect_ms_max),
            "check the network, the firewall and the proxy variables",
        ),
    };
    check.within(elapsed_ms(began))
}

fn connect(host: &str, port: u16, limit: Duration) -> Result<String, (String, &'static str)> {
    let began = Instant::now();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = (host, port).to_socket_addrs();
    let addresses: Vec<_> = found
        .map_err(|error| (format!("the name has no address ({error})"), "check the spelling, and the name server"))?
        .collect();
    let lookup_ms = elapsed_ms(began);
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        let began = Instant::now();
        match TcpStream::connect_timeout(&address, limit) {
            Ok(_) => {
                return Ok(format!("{} found in {lookup_ms} ms, connected in {} ms", address.ip(), elapsed_ms(began)));
            }
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err((last, "start the server, correct the port, or check the firewall"))
}

/// Model servers on this machine.
async fn search(boot: &Boot, client: &Client) -> Vec<Check> {
    let found = servers::search(boot, client).await;
    if found.is_empty() {
        return vec![Check::skipped("local servers", "none answers on the usual ports")];
    }
    let check = |server: &servers::Server| {
        let remedy = format!("use it with `aether onboard --provider {}`", server.provider);
        Check::note("local servers", format!("{} {}", server.provider, server.described()), &remedy)
    };
    found.iter().map(check).collect()
}

/// The file of further certificates, if one is configured.
fn certificates(boot: &Boot) -> Option<Check> {
    const NAME: &str = "certificates";
    let path = boot.config.text("network.ca_file").filter(|path| !path.is_empty())?;
    let remedy = "correct network.ca_file: a file of PEM certificates";
    let read = aether_session::private::read_text(path.as_ref(), CERTIFICATES_BYTES_MAX);
    Some(match read {
        Ok(text) => match text.matches(CERTIFICATE).count() {
            0 => Check::broken(NAME, format!("{path} holds no certificate"), remedy),
            n => Check::fine(NAME, format!("{path} holds {n}, trusted besides the system's")),
        },
        Err(error) => Check::broken(NAME, error.to_string(), remedy),
    })
}

/// This machine's clock against a server's `date` header (RFC 9110, section 6.6.1), or at least against the calendar.
fn clock(date_s: Option<u64>) -> Check {
    const NAME: &str = "clock";
    const REMEDY: &str = "set it; on Linux `timedatectl set-ntp true` keeps it right";
    let now_s = unix_ms() / 1000;
    if now_s < YOUNGEST_S {
        return Check::broken(NAME, "this machine's clock is years behind", REMEDY);
    }
    let Some(date_s) = date_s else {
        return Check::fine(NAME, "plausible; no server was asked for the time");
    };
    let apart = now_s.abs_diff(date_s);
    let side = if now_s > date_s { "ahead of" } else { "behind" };
    if apart > CLOCK_S_MAX {
        return Check::broken(NAME, format!("{apart} s {side} the provider's"), REMEDY);
    }
    Check::fine(NAME, format!("{apart} s from the provider's"))
}
