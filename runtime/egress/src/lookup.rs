//! Answers a jail's questions for names. No question leaves the machine: a granted name gets a made-up address, others none.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::broker::Jail;
use crate::decision::{Decision, Spent, Verdict, What, Why};
use crate::dns::{Answer, Kind, QUESTION_BYTES_MAX, Question};
use crate::leases::{Lease, NAMES_MAX};
use crate::names::Name;

/// Questions that one jail may ask in a second, and how many of them at once. More are dropped, as a network would.
const QUESTIONS_PER_SECOND_MAX: u32 = 500;

/// Refused names that are told of; the others are only counted.
const REFUSALS_TOLD_MAX: u32 = 256;

/// Connections for questions at a time.
const CONNECTIONS_MAX: usize = 8;

/// How long such a connection may be silent. Milliseconds.
const IDLE_MS_MAX: u64 = 5_000;

/// How long to wait after a socket failed. Milliseconds.
const PAUSE_MS: u64 = 10;

/// How many questions may still be asked in this second.
struct Allowance {
    since: Instant,
    left: u32,
}

impl Allowance {
    fn new() -> Allowance {
        Allowance { since: Instant::now(), left: QUESTIONS_PER_SECOND_MAX }
    }

    fn take(&mut self) -> Option<()> {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Allowance::new();
        }
        self.left = self.left.checked_sub(1)?;
        Some(())
    }
}

/// Answers datagrams.
pub(crate) async fn datagrams(jail: Arc<Jail>, socket: UdpSocket) {
    let mut packet = [0; QUESTION_BYTES_MAX + 1];
    let mut allowance = Allowance::new();
    loop {
        let Ok((length, from)) = socket.recv_from(&mut packet).await else {
            sleep(Duration::from_millis(PAUSE_MS)).await;
            continue;
        };
        if let Some(reply) = allowance.take().and_then(|()| answer(&jail, &packet[..length])) {
            // A client that is gone, or whose queue is full, asks again.
            let _sent = socket.try_send_to(&reply, from).is_ok();
        }
    }
}

/// Answers connections (RFC 1035 section 4.2.2, RFC 7766).
pub(crate) async fn connections(jail: Arc<Jail>, listener: TcpListener) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if open.len() < CONNECTIONS_MAX => {
                    open.spawn(connection(Arc::clone(&jail), stream));
                }
                Ok(_) => {}
                Err(_) => sleep(Duration::from_millis(PAUSE_MS)).await,
            },
            Some(_) = open.join_next() => {}
        }
    }
}

/// Answers questions, each behind its length, until there are no more or one is broken.
async fn connection(jail: Arc<Jail>, mut stream: TcpStream) {
    let idle = Duration::from_millis(IDLE_MS_MAX);
    let mut allowance = Allowance::new();
    let mut packet = Vec::new();
    while let Ok(Ok(())) = timeout(idle, read_question(&mut stream, &mut packet)).await {
        let reply = allowance.take().and_then(|()| answer(&jail, &packet));
        let Some(length) = reply.as_ref().and_then(|reply| u16::try_from(reply.len()).ok()) else { return };
        let framed = [&length.to_be_bytes()[..], reply.as_deref().unwrap_or_default()].concat();
        if !matches!(timeout(idle, stream.write_all(&framed)).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn read_question(stream: &mut TcpStream, packet: &mut Vec<u8>) -> std::io::Result<()> {
    let length = usize::from(stream.read_u16().await?);
    if length > QUESTION_BYTES_MAX {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    packet.resize(length, 0);
    stream.read_exact(packet).await.map(|_| ())
}

fn answer(jail: &Jail, packet: &[u8]) -> Option<Vec<u8>> {
    jail.meter.questions.fetch_add(1, Ordering::Relaxed);
    let question = match Question::read(packet) {
        Ok(question) => question,
        Err(fault) => {
            jail.meter.questions_refused.fetch_add(1, Ordering::Relaxed);
            return fault.reply();
        }
    };
    Some(question.reply(decide(jail, &question)))
}

fn decide(jail: &Jail, question: &Question<'_>) -> Answer {
    let Some(name) = question.name() else {
        refuse(jail, "", Why::NotAName);
        return Answer::Refused;
    };
    if let Err(why) = jail.grant.knows(name) {
        refuse(jail, name.as_str(), why);
        return Answer::Refused;
    }
    match question.kind() {
        Kind::Other => Answer::Nothing,
        Kind::Address => lease(jail, name),
    }
}

fn lease(jail: &Jail, name: &Name) -> Answer {
    let lease = jail.leases.lock().unwrap_or_else(PoisonError::into_inner).lease(name);
    match lease {
        Lease::Known(address) => Answer::Address(address),
        Lease::Fresh(address) => {
            let host = name.as_str().into();
            jail.tell(&Decision { what: What::Dns, host, port: 0, address: None, verdict: Verdict::Allowed });
            Answer::Address(address)
        }
        Lease::Full => {
            refuse(jail, name.as_str(), Why::Quota(Spent::Names(NAMES_MAX)));
            Answer::Refused
        }
    }
}

fn refuse(jail: &Jail, host: &str, why: Why) {
    let refused = jail.meter.questions_refused.fetch_add(1, Ordering::Relaxed);
    if refused < REFUSALS_TOLD_MAX {
        let verdict = Verdict::Refused(why);
        jail.tell(&Decision { what: What::Dns, host: host.into(), port: 0, address: None, verdict });
    }
}
