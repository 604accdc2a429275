//! The composition root: the one file where all rooms meet.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aether_core::facts::{Answer, ApprovalRequest};
use aether_core::model::{ModelError, Question};
use aether_core::tool::{Acts, Authorized, Fetch, Fetched, HandsError, Output};
use aether_core::transcript::ToolOutcome;
use aether_core::words::TaskId;
use aether_driver::{Boxed, Job, Sink, Stop, World};
use aether_hands::{Fetcher, Grip, Reach, Roots};
use aether_net::{Client, ClientOptions, HostPatterns, Limits, NetError, Proxy, ProxyServer, Url};
use aether_tools::{Scope, Tools};
use tokio::runtime::Handle;

use crate::ask::{self, Another};
use crate::boot::Boot;
use crate::chain::{Lane, Local, Way};
use crate::trouble::Trouble;

/// Asks the person before a call runs.
pub(crate) trait Person: Send {
    /// The answer; the future is dropped when it is no longer wanted.
    fn approve(&mut self, task: TaskId, request: ApprovalRequest) -> Boxed<Answer>;
}

/// Everything that carries out wishes.
pub(crate) struct House {
    lanes: Vec<Lane>,
    client: Client,
    limits: Limits,
    tools: Arc<Tools>,
    roots: Arc<Roots>,
    person: Box<dyn Person>,
}

impl House {
    /// A house for one workspace. Nothing is connected and no thread is started yet.
    pub(crate) fn new(
        boot: &Boot,
        lanes: Vec<Lane>,
        workspace: &Path,
        person: Box<dyn Person>,
    ) -> Result<House, Trouble> {
        let roots = Roots::open(&[("$workspace", workspace)])
            .map_err(|error| Trouble::usage(format!("workspace {error}; name another with --workspace DIR")))?;
        Ok(House {
            lanes,
            client: client(boot)?,
            limits: limits(boot),
            tools: Arc::new(tools(workspace)),
            roots: Arc::new(roots),
            person,
        })
    }

    /// The tools, for the kernel.
    pub(crate) fn tools(&self) -> Arc<Tools> {
        self.tools.clone()
    }

    /// The models, in the order of the fallback chain.
    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// From now on every question is answered by this.
    pub(crate) fn answer_with(&mut self, local: Box<dyn Local>) {
        if let Some(lane) = self.lanes.first_mut() {
            lane.way = Way::Local(local);
        }
    }

    /// Does one authorised call, here and now.
    pub(crate) fn job(&self, authorized: Authorized, stop: Stop) -> impl FnOnce() -> Output + Send + 'static {
        let (tools, roots) = (self.tools.clone(), self.roots.clone());
        // Without a runtime there is no network; then the tools that need one say so.
        let fetcher = Handle::try_current().ok().map(|handle| PublicFetcher {
            client: self.client.clone(),
            handle,
            stop: stop.clone(),
        });
        move || {
            let limits = authorized.limits();
            let flag = stop.flag();
            let mut grip = Grip::new(Reach {
                roots: &roots,
                capability: &authorized.needs().capability,
                limits,
                stop: &flag,
                deadline: Instant::now() + Duration::from_millis(limits.runtime_ms_max),
                fetcher: fetcher.as_ref().map(|fetcher| fetcher as &dyn Fetcher),
            });
            let Some(tool) = tools.tool(&authorized.call().name) else {
                return failed(&authorized, format!("there is no tool `{}`", authorized.call().name));
            };
            tool.run(&authorized, &mut grip).unwrap_or_else(|why| failed(&authorized, why))
        }
    }
}

/// What a run gives that did not do what was asked.
fn failed(authorized: &Authorized, why: String) -> Output {
    Output { outcome: ToolOutcome::Failed, text: why.into(), label: authorized.needs().label }
}

/// The built-in tools, for one workspace.
pub(crate) fn tools(workspace: &Path) -> Tools {
    Tools::builtin(&Scope::workspace(&workspace.to_string_lossy()))
}

/// The proxies that the configuration, else the environment names.
pub(crate) fn proxy(boot: &Boot) -> Result<Proxy, Trouble> {
    let Some(text) = boot.config.text("network.proxy").filter(|text| !text.is_empty()) else {
        return Proxy::from_environment(|name| std::env::var(name).ok()).map_err(Trouble::usage);
    };
    ProxyServer::parse(text).map_err(|why| Trouble::usage(format!("network.proxy: {why}")))?;
    let named = text.to_owned();
    let lookup = move |name: &str| match name {
        "ALL_PROXY" => Some(named.clone()),
        "NO_PROXY" => std::env::var("NO_PROXY").ok(),
        _ => None,
    };
    Proxy::from_environment(lookup).map_err(Trouble::usage)
}

/// The HTTP client that the configuration describes.
pub(crate) fn client(boot: &Boot) -> Result<Client, Trouble> {
    let config = &boot.config;
    let (plaintext_hosts, wrong) = HostPatterns::parse(&config.list("network.plaintext_hosts").join(","));
    if let Some(wrong) = wrong.first() {
        return Err(Trouble::usage(format!(
            "network.plaintext_hosts: `{wrong}` is no host; wanted names, addresses or CIDR ranges"
        )));
    }
    Ok(Client::new(ClientOptions {
        ca_file: config.text("network.ca_file").filter(|path| !path.is_empty()).map(Into::into),
        proxy: proxy(boot)?,
        plaintext_hosts,
        user_agent: concat!("aether/", env!("CARGO_PKG_VERSION")).into(),
        ..ClientOptions::default()
    }))
}

/// The limits of one request to a provider.
pub(crate) fn limits(boot: &Boot) -> Limits {
    Limits {
        connect_ms_max: boot.number("network.connect_ms_max"),
        headers_ms_max: boot.number("network.headers_ms_max"),
        idle_ms_max: boot.number("network.idle_ms_max"),
        total_ms_max: boot.number("network.total_ms_max"),
        body_bytes_max: ANSWER_BYTES_MAX,
    }
}

/// The most bytes one answer of a provider may have on the wire.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

impl World for House {
    fn ask(&mut self, question: &Question<'_>, model: usize, sink: Sink) -> Boxed<Result<(), ModelError>> {
        let another = if model + 1 < self.lanes.len() { Another::StandsBy } else { Another::Missing };
        match &mut self.lanes[model].way {
            Way::Local(local) => local.ask(question, sink),
            Way::Offline => {
                let events = aether_offline::answer(question);
                Box::pin(async move {
                    for event in events {
                        sink.send(vec![event]).await;
                    }
                    Ok(())
                })
            }
            Way::Remote(remote) => match ask::admit(remote, another).and_then(|()| remote.codec.request(question)) {
                Ok(request) => Box::pin(ask::ask(self.client.clone(), remote.clone(), request, self.limits, sink)),
                Err(error) => Box::pin(std::future::ready(Err(error))),
            },
        }
    }

    fn run(&mut self, _task: TaskId, authorized: Authorized, stop: Stop) -> Job {
        let touches_nothing = authorized.needs().acts == Acts::NONE;
        let job = self.job(authorized, stop);
        if touches_nothing { Job::Done(job()) } else { Job::Blocking(Box::new(job)) }
    }

    fn approve(&mut self, task: TaskId, request: ApprovalRequest) -> Boxed<Answer> {
        self.person.approve(task, request)
    }
}

/// The network as tools see it: public addresses only, each resolved once and pinned.
struct PublicFetcher {
    client: Client,
    handle: Handle,
    stop: Stop,
}

/// How often a request under way looks whether it should stop, in milliseconds.
const STOP_LOOK_MS: u64 = 25;

impl Fetcher for PublicFetcher {
    fn fetch(&self, fetch: &Fetch<'_>) -> Result<Fetched, HandsError> {
        self.handle.block_on(async {
            tokio::select! {
                got = get(&self.client, fetch) => got,
                () = stopped(&self.stop) => return Err(HandsError::Stopped),
            }
            .map_err(explained)
        })
    }
}

async fn stopped(stop: &Stop) {
    while !stop.is_set() {
        tokio::time::sleep(Duration::from_millis(STOP_LOOK_MS)).await;
    }
}

fn explained(error: NetError) -> HandsError {
    match &error {
        NetError::Private { .. } | NetError::Plaintext { .. } => HandsError::Outside(error.to_string()),
        NetError::TotalTimeout { .. } => HandsError::Limit(error.to_string()),
        _ => HandsError::Failed(error.to_string()),
    }
}

async fn get(client: &Client, fetch: &Fetch<'_>) -> Result<Fetched, NetError> {
    let url = Url::parse(fetch.url).map_err(NetError::Url)?;
    let limits = Limits { total_ms_max: fetch.total_ms_max.max(1), body_bytes_max: u64::MAX, ..Limits::default() };
    let request = aether_net::Request::new(aether_net::Method::GET, url)
        .reach(aether_net::Reach::PublicOnly)
        .limits(limits)
        .header("accept", "text/html, text/plain, application/json;q=0.9, */*;q=0.5")?;
    let mut response = client.send(request).await?;
    let mut fetched = Fetched {
        status: response.status(),
        content_type: response.header("content-type").unwrap_or("").to_owned(),
        location: response.header("location").map(str::to_owned),
        body: Vec::new(),
        is_cut: false,
    };
    while let Some(chunk) = response.chunk().await? {
        let room = fetch.bytes_max.saturating_sub(fetched.body.len());
        fetched.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            fetched.is_cut = true;
            break;
        }
    }
    Ok(fetched)
}
