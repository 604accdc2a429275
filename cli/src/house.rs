//! The composition root: the one file where all rooms meet.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aether_core::facts::{Answer, ApprovalRequest};
use aether_core::model::{ModelError, ModelEvent, Question};
use aether_core::tool::{Acts, Authorized, Fetch, Fetched, HandsError, Output};
use aether_core::transcript::ToolOutcome;
use aether_core::words::TaskId;
use aether_driver::{Boxed, Job, Sink, Stop, World};
use aether_hands::{Fetcher, Grip, Reach, Roots};
use aether_manifest::PolicyFile;
use aether_net::{Client, ClientOptions, HostPatterns, Limits, NetError, Proxy, ProxyServer, Url};
use aether_tools::{Scope, Tools};
use tokio::runtime::Handle;

use crate::ask::{self, Another};
use crate::audit::Audit;
use crate::boot::Boot;
use crate::chain::{Lane, Local, Way};
use crate::policy::Guard;
use crate::secure::{Mode, Secure};
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
    guard: Arc<Guard>,
    audit: Audit,
    secure: Arc<Secure>,
    person: Box<dyn Person>,
}

impl House {
    /// A house for one workspace. Nothing is connected and no thread is started yet.
    pub(crate) fn new(
        boot: &Boot,
        lanes: Vec<Lane>,
        workspace: &Path,
        policy: &PolicyFile,
        way: (Mode, Box<dyn Person>),
    ) -> Result<House, Trouble> {
        let (mode, person) = way;
        let secure = Arc::new(Secure::open(boot, workspace, policy, mode)?);
        let own = [boot.directories.config.clone(), boot.directories.data.clone()];
        let roots = Roots::open(&[("$workspace", workspace)])
            .and_then(|roots| roots.hiding(own.to_vec()))
            .map_err(|error| Trouble::usage(format!("workspace {error}; name another with --workspace DIR")))?;
        Ok(House {
            lanes,
            client: client(boot)?,
            limits: limits(boot),
            tools: Arc::new(tools(workspace, &secure)),
            roots: Arc::new(roots),
            guard: Arc::new(Guard::new(policy, &boot.directories, workspace)),
            audit: boot.audit(),
            secure,
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

    /// Whether the secure runtime runs this call: that of every tool which is not built in, known or not.
    pub(crate) fn is_elsewhere(&self, authorized: &Authorized) -> bool {
        self.tools.tool(&authorized.call().name).is_none()
    }

    /// Has the secure runtime do one authorised call, once it is in the audit log. Dropping the future kills it.
    pub(crate) fn secured(&self, task: Option<TaskId>, authorized: Authorized) -> Boxed<Output> {
        let (guard, audit, secure) = (self.guard.clone(), self.audit.clone(), self.secure.clone());
        Box::pin(async move {
            // The line is on the disk before the call runs; what waits for a disk waits on a worker thread.
            let admitted = tokio::task::spawn_blocking(move || match admission(&guard, &audit, task, &authorized) {
                Ok(()) => Ok(authorized),
                Err(why) => Err(failed(&authorized, why)),
            });
            match admitted.await {
                Ok(Ok(authorized)) => secure.run(task, authorized).await,
                Ok(Err(refused)) => refused,
                Err(error) => Output {
                    outcome: ToolOutcome::Failed,
                    text: format!("not run: {error}").into(),
                    label: aether_core::label::Label::default(),
                },
            }
        })
    }

    /// The secure runtime.
    pub(crate) fn secure(&self) -> Arc<Secure> {
        self.secure.clone()
    }

    /// Does one authorised call, here and now, once it is in the audit log. A call that the person typed has no task.
    pub(crate) fn job(
        &self,
        task: Option<TaskId>,
        authorized: Authorized,
        stop: Stop,
    ) -> impl FnOnce() -> Output + Send + 'static {
        let (tools, roots, guard) = (self.tools.clone(), self.roots.clone(), self.guard.clone());
        let audit = self.audit.clone();
        // Without a runtime there is no network; then the tools that need one say so.
        let fetcher = Handle::try_current().ok().map(|handle| PublicFetcher {
            client: self.client.clone(),
            handle,
            stop: stop.clone(),
        });
        move || {
            if let Err(why) = admission(&guard, &audit, task, &authorized) {
                return failed(&authorized, why);
            }
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

/// What holds for every call right before it runs: this program's own files stay its own, and the audit log has the call.
fn admission(guard: &Guard, audit: &Audit, task: Option<TaskId>, authorized: &Authorized) -> Result<(), String> {
    if let Some(why) = guard.refusal(authorized) {
        let written = audit.refuse(task, &authorized.call().name, &why);
        return Err(written.err().map_or(why.clone(), |lost| format!("{why} ({lost})")));
    }
    audit.admit(task, authorized)
}

/// What a run gives that did not do what was asked.
fn failed(authorized: &Authorized, why: String) -> Output {
    Output { outcome: ToolOutcome::Failed, text: why.into(), label: authorized.needs().label }
}

/// Every tool that a task of this workspace is offered.
pub(crate) fn offered(boot: &Boot, workspace: &Path, policy: &PolicyFile) -> Result<Tools, Trouble> {
    Ok(tools(workspace, &Secure::open(boot, workspace, policy, Mode::Pico)?))
}

/// The built-in tools for one workspace, and those that the secure runtime runs.
pub(crate) fn tools(workspace: &Path, secure: &Secure) -> Tools {
    let builtin = Tools::builtin(&Scope::workspace(&workspace.to_string_lossy()));
    secure.tools().into_iter().fold(builtin, Tools::with_elsewhere)
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
            Way::Offline => one_by_one(aether_offline::answer(question), sink),
            Way::Script(script) => one_by_one(script.answer(question), sink),
            Way::Remote(remote) => match ask::admit(remote, another).and_then(|()| remote.codec.request(question)) {
                Ok(request) => Box::pin(ask::ask(self.client.clone(), remote.clone(), request, self.limits, sink)),
                Err(error) => Box::pin(std::future::ready(Err(error))),
            },
        }
    }

    fn run(&mut self, task: TaskId, authorized: Authorized, stop: Stop) -> Job {
        if self.is_elsewhere(&authorized) {
            return Job::Future(self.secured(Some(task), authorized));
        }
        let touches_nothing = authorized.needs().acts == Acts::NONE;
        let job = self.job(Some(task), authorized, stop);
        if touches_nothing { Job::Done(job()) } else { Job::Blocking(Box::new(job)) }
    }

    fn approve(&mut self, task: TaskId, request: ApprovalRequest) -> Boxed<Answer> {
        self.person.approve(task, request)
    }
}

/// Hands on what a built-in model answers.
fn one_by_one(events: Vec<ModelEvent>, sink: Sink) -> Boxed<Result<(), ModelError>> {
    Box::pin(async move {
        for event in events {
            sink.send(vec![event]).await;
        }
        Ok(())
    })
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
