//! The server: its own thread with its own runtime, a door for requests and a memory of what came.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::check::{self, Ask};
use crate::dialect::Dialect;
use crate::endpoint::{Delivery, Endpoint, InPath, endpoint};
use crate::http::{self, Extent, Request};
use crate::marks::Shown;
use crate::refusal::Refusal;
use crate::render::{self, Extras, Saying, Wishes};
use crate::script::{Checks, Item, Outcome, Reply, Script, Speaker, Transport, Turn};
use answer::{Answer, header, refused, said_by, scripted, whole};

mod answer;
mod wire;

/// The most requests that are remembered; older ones are dropped.
const RECORDED_MAX: usize = 10_000;
/// The most ids of tool calls that are remembered as issued with reasoning.
const ISSUED_MAX: usize = 65_536;

/// A running server. Dropping it stops it.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Where a server listens and what it writes.
#[derive(Debug, Default)]
pub struct Setup {
    /// The port on 127.0.0.1; 0: a free one.
    pub port: u16,
    /// A file that gets a line of JSON for each request; keys are left out.
    pub log: Option<File>,
}

/// A request as it came, and what became of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its format; `None` where no format has such a path.
    pub dialect: Option<Dialect>,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header names in lower case, and their values, keys included.
    pub headers: Vec<(String, String)>,
    /// The body; null if it is empty or not JSON.
    pub body: Value,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was answered by the script's turn of this number, from 0.
    Answered(usize),
    /// It was a list or a version, and was answered.
    Listed,
    /// It passed, but no turn of the script is for it.
    Unscripted,
    /// A real provider would refuse it.
    Refused {
        /// The status it got.
        status: u16,
        /// The sentence it got.
        message: String,
    },
}

impl Recorded {
    /// The value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the system gives no port, no runtime or no thread.
    pub fn start(script: Script) -> io::Result<Server> {
        Server::start_at(script, Setup::default())
    }

    /// Starts a server.
    ///
    /// # Errors
    /// When the port is taken, or the system gives no runtime or no thread.
    pub fn start_at(script: Script, setup: Setup) -> io::Result<Server> {
        let shared = Arc::new(Shared::new(script, setup.log));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let for_thread = Arc::clone(&shared);
        let work = move || wire::run(&for_thread, setup.port, &tell, stopped);
        let thread = std::thread::Builder::new().name("testkit".to_owned()).spawn(work)?;
        let address = told.recv().map_err(|_| io::Error::other("the server's thread ended before it listened"))??;
        Ok(Server { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The address to put before a provider's paths, such as `http://127.0.0.1:4711`, without a slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far, oldest first, at most the last 10,000.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        locked(&self.shared.recorded).iter().cloned().collect()
    }

    /// Those that a real provider would have refused.
    #[must_use]
    pub fn refused(&self) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| matches!(request.verdict, Verdict::Refused { .. }));
        requests
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all connections share.
struct Shared {
    script: Script,
    /// How often each turn may still be used.
    uses: Mutex<Vec<Option<u32>>>,
    recorded: Mutex<VecDeque<Recorded>>,
    issued: Mutex<Issued>,
    /// Whole responses of turns that always look the same.
    ready: Mutex<HashMap<Ready, Arc<[u8]>>>,
    asked: AtomicU64,
    connections: AtomicU64,
    log: Option<Mutex<File>>,
}

/// What a kept response depends on: the turn, the format, and what the request wants to see.
type Ready = (usize, Dialect, Wishes);

/// Ids of tool calls that were issued together with reasoning; the oldest are forgotten.
#[derive(Default)]
struct Issued {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

/// What a connection sends.
enum Out {
    /// A response to be written as its transport says.
    Shaped(Answer),
    /// A response that is ready, and after how many milliseconds it is sent.
    Ready(Arc<[u8]>, u64),
}

impl Shared {
    fn new(script: Script, log: Option<File>) -> Shared {
        Shared {
            uses: Mutex::new(script.turns.iter().map(|turn| turn.uses).collect()),
            script,
            recorded: Mutex::default(),
            issued: Mutex::default(),
            ready: Mutex::default(),
            asked: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            log: log.map(Mutex::new),
        }
    }

    /// Answers one request.
    fn answer(&self, request: &Request) -> Out {
        let endpoint = endpoint(request);
        if let (Checks::Skipped, Some(Endpoint::Ask { dialect, in_path })) = (self.script.checks, &endpoint) {
            return self.answer_unchecked(request, *dialect, in_path.as_ref());
        }
        let (dialect, body, made) = match &endpoint {
            Some(Endpoint::Ask { dialect, in_path }) => {
                let (body, made) = self.ask(request, *dialect, in_path.as_ref());
                (Some(*dialect), body, made)
            }
            Some(Endpoint::Models(dialect)) => {
                let verdict = check::authorize(*dialect, request, &self.script);
                let list = || render::models(*dialect, &self.script.models);
                (Some(*dialect), Value::Null, verdict.map(|()| (Verdict::Listed, whole(&list()))))
            }
            Some(Endpoint::Version) => {
                (Some(Dialect::Ollama), Value::Null, Ok((Verdict::Listed, whole(&json!({"version": "0.40.12"})))))
            }
            None => {
                let message = format!("Invalid URL ({} {})", request.method, request.target);
                (None, Value::Null, Err(Refusal::new(404, message)))
            }
        };
        let (verdict, answer) = match made {
            Ok(made) => made,
            Err(refusal) => {
                let verdict = Verdict::Refused { status: refusal.status, message: refusal.message.clone() };
                (verdict, refused(dialect.unwrap_or(Dialect::Chat), &refusal))
            }
        };
        self.record(request, dialect, body, verdict);
        Out::Shaped(answer)
    }

    fn ask(
        &self,
        request: &Request,
        dialect: Dialect,
        in_path: Option<&InPath>,
    ) -> (Value, Result<(Verdict, Answer), Refusal>) {
        // The key is looked at before the body.
        if let Err(refusal) = check::authorize(dialect, request, &self.script) {
            return (Value::Null, Err(refusal));
        }
        let body: Value = match serde_json::from_slice(&request.body) {
            Ok(body) => body,
            Err(error) => return (Value::Null, Err(Refusal::bad(format!("the body is not JSON: {error}")))),
        };
        let reasoned = |id: &str| locked(&self.issued).ids.contains(id);
        let camel = (dialect == Dialect::Gemini).then(|| check::camel(&body));
        let seen = camel.as_ref().unwrap_or(&body);
        let ask = Ask { dialect, request, body: seen, in_path, script: &self.script, reasoned: &reasoned };
        if let Err(refusal) = check::check(&ask) {
            return (body, Err(refusal));
        }
        let made = self.turn(&ask);
        (body, Ok(made))
    }

    /// The turn that answers a question which passed.
    fn turn(&self, ask: &Ask<'_>) -> (Verdict, Answer) {
        let (last, said) = check::last_said(ask.dialect, ask.body);
        let matches = |turn: &Turn| {
            let when = &turn.when;
            when.model.as_deref().is_none_or(|model| model == ask.model())
                && when.dialect.is_none_or(|dialect| dialect == ask.dialect)
                && when.last.is_none_or(|speaker| speaker == last)
                && when.contains.as_deref().is_none_or(|text| said.contains(text))
        };
        let Some(number) = self.take(matches) else {
            let who = if last == Speaker::Tool { "tool" } else { "user" };
            let message = format!("the script has no turn left for this request, in which the {who} spoke last");
            return (Verdict::Unscripted, refused(ask.dialect, &Refusal::new(500, message)));
        };
        let turn = &self.script.turns[number];
        let wishes = render::wishes(ask.dialect, ask.body, ask.delivery());
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = match &turn.outcome {
            Outcome::Reply(reply) => {
                let usage = reply.usage.unwrap_or_else(|| render::usual_usage(reply, ask.request.body.len()));
                let answer =
                    said_by(ask.dialect, turn, &Saying { reply, model: ask.model(), number: asked, usage, wishes });
                self.remember(ask.dialect, reply, asked, wishes);
                answer
            }
            outcome => scripted(ask.dialect, turn, outcome),
        };
        (Verdict::Answered(number), answer)
    }

    /// Takes one use of the first turn that matches.
    fn take(&self, matches: impl Fn(&Turn) -> bool) -> Option<usize> {
        let mut uses = locked(&self.uses);
        let turns = self.script.turns.iter().enumerate();
        let (number, _) = turns.into_iter().find(|(number, turn)| uses[*number] != Some(0) && matches(turn))?;
        if let Some(left) = &mut uses[number] {
            *left -= 1;
        }
        Some(number)
    }

    /// Keeps the ids of calls that Anthropic's format issued after a thinking block.
    fn remember(&self, dialect: Dialect, reply: &Reply, asked: u64, wishes: Wishes) {
        let reasons = reply.items.iter().any(|item| matches!(item, Item::Reasoning(_)));
        if dialect != Dialect::Anthropic || !reasons || wishes.reasoning.is_none() {
            return;
        }
        let mut issued = locked(&self.issued);
        for (at, item) in reply.items.iter().enumerate() {
            let Item::Call { id, .. } = item else { continue };
            let id = id.clone().unwrap_or_else(|| format!("toolu_{asked:08}_{at}"));
            issued.ids.insert(id.clone());
            issued.order.push_back(id);
            if issued.order.len() > ISSUED_MAX
                && let Some(oldest) = issued.order.pop_front()
            {
                issued.ids.remove(&oldest);
            }
        }
    }

    fn record(&self, request: &Request, dialect: Option<Dialect>, body: Value, verdict: Verdict) {
        let recorded = Recorded {
            dialect,
            method: request.method.clone(),
            path: request.target.clone(),
            headers: request.headers.clone(),
            body,
            verdict,
        };
        if let Some(log) = &self.log {
            let line = log_line(&recorded);
            // A log that cannot be written must not change what a client sees.
            let _ = writeln!(locked(log), "{line}");
        }
        let mut all = locked(&self.recorded);
        if all.len() == RECORDED_MAX {
            all.pop_front();
        }
        all.push_back(recorded);
    }

    /// Answers without looking at more than a few words of the body (see [`Checks::Skipped`]).
    fn answer_unchecked(&self, request: &Request, dialect: Dialect, in_path: Option<&InPath>) -> Out {
        let body = std::str::from_utf8(&request.body).unwrap_or_default();
        let matches = |turn: &Turn| {
            turn.when.dialect.is_none_or(|wanted| wanted == dialect)
                && turn.when.contains.as_deref().is_none_or(|text| body.contains(text))
        };
        let Some(number) = self.take(matches) else {
            return Out::Shaped(refused(dialect, &Refusal::new(500, "the script has no turn left for this request")));
        };
        let streams = body.contains("\"stream\":true") || body.contains("\"stream\": true");
        let whole = body.contains("\"stream\":false") || body.contains("\"stream\": false");
        let delivery = match in_path {
            Some(in_path) => in_path.delivery,
            None if streams || (dialect == Dialect::Ollama && !whole) => Delivery::Streamed,
            None => Delivery::Whole,
        };
        let extras = if body.contains("include_usage") { Extras::Wanted } else { Extras::Unwanted };
        let wishes = Wishes { delivery, reasoning: Some(Shown::Whole), extras };
        let key = (number, dialect, wishes);
        let turn = &self.script.turns[number];
        let delay_ms = turn.transport.head_delay_ms;
        if let Some(ready) = locked(&self.ready).get(&key) {
            return Out::Ready(Arc::clone(ready), delay_ms);
        }
        let answer = match &turn.outcome {
            Outcome::Reply(reply) => {
                let usage = reply.usage.unwrap_or_else(|| render::usual_usage(reply, 400));
                said_by(dialect, turn, &Saying { reply, model: "scripted", number: number as u64, usage, wishes })
            }
            outcome => scripted(dialect, turn, outcome),
        };
        if turn.transport != (Transport { head_delay_ms: delay_ms, ..Transport::default() })
            || answer.frames.iter().any(|(_, times)| *times != 1)
        {
            return Out::Shaped(answer);
        }
        let ready: Arc<[u8]> = wire::flat(&answer).into();
        locked(&self.ready).insert(key, Arc::clone(&ready));
        Out::Ready(ready, delay_ms)
    }
}

fn log_line(recorded: &Recorded) -> Value {
    let secret = ["authorization", "x-api-key", "x-goog-api-key", "cookie"];
    let shown = recorded.headers.iter().map(|(name, value)| {
        let value = if secret.contains(&name.as_str()) { "(left out)" } else { value };
        (name.clone(), json!(value))
    });
    let (path, _) = recorded.path.split_once("key=").unwrap_or((&recorded.path, ""));
    json!({
        "dialect": recorded.dialect.map(Dialect::name),
        "method": recorded.method,
        "path": path,
        "headers": shown.collect::<serde_json::Map<_, _>>(),
        "verdict": match &recorded.verdict {
            Verdict::Answered(turn) => json!({"answered": turn}),
            Verdict::Listed => json!("listed"),
            Verdict::Unscripted => json!("unscripted"),
            Verdict::Refused { status, message } => json!({"refused": status, "message": message}),
        },
        "body": recorded.body
    })
}

/// The response to bytes that are no request.
fn not_http(message: &str) -> Vec<u8> {
    let mut bytes = http::head(400, &[header("connection", "close")], Extent::Bytes(message.len() as u64));
    bytes.extend_from_slice(message.as_bytes());
    bytes
}
