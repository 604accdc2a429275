//! Measures the client on this machine: memory per waiting request and CPU time per request.
//!
//! `loopback waiting 2000` holds that many requests open against a silent server in another process; `loopback rate 20000`
//! sends that many one after the other over one connection; `loopback stream 20000` reads one answer of that many pieces.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use aether_net::{Client, ClientOptions, Limits, Method, Request, Url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mode = arguments.first().map_or("rate", String::as_str);
    let count: usize = arguments.get(1).map_or(Ok(20_000), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match mode {
        "serve" => runtime.block_on(serve()),
        "waiting" => runtime.block_on(waiting(count)),
        "rate" => runtime.block_on(rate(count)),
        "stream" => runtime.block_on(stream(count)),
        other => Err(format!("unknown mode {other}: use waiting, rate or stream").into()),
    }
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Answers `/` at once, `/stream/N` with N chunks, and nothing else ever.
async fn serve() -> Result<(), Box<dyn Error>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    let listener: TcpListener = socket.listen(16_384)?;
    say(&listener.local_addr()?.to_string())?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // However a connection ends, the next one is served.
            let _end = connection(stream).await;
        });
    }
}

async fn connection(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    loop {
        let bytes = stream.read(&mut buffer).await?;
        let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
        let target = text.split(' ').nth(1).unwrap_or_default();
        if bytes == 0 {
            return Ok(());
        } else if target == "/" {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await?;
        } else if let Some(count) = target.strip_prefix("/stream/") {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            for _ in 0..count.parse().unwrap_or(0) {
                stream.write_all(b"1e\r\ndata: {\"delta\":\"some words\"}\n\n\r\n").await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        }
    }
}

struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        // It has nothing to lose, and it may be gone already.
        let _end = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Starts this program as a server and reads where it listens.
fn start() -> Result<(Background, String), Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let output = child.stdout.take().ok_or("no output of the server")?;
    let server = Background(child);
    BufReader::new(output).read_line(&mut line)?;
    Ok((server, line.trim().to_owned()))
}

fn request(address: &str, target: &str) -> Result<Request, Box<dyn Error>> {
    let limits = Limits { headers_ms_max: 600_000, ..Limits::default() };
    Ok(Request::new(Method::POST, Url::parse(&format!("http://{address}{target}"))?)
        .header("authorization", "Bearer 0123456789abcdef0123456789abcdef")?
        .header("content-type", "application/json")?
        .header("accept", "text/event-stream")?
        .body(vec![b'x'; 1_500])
        .limits(limits))
}

/// A number out of `/proc/self/status`, in KiB.
fn status_kib(name: &str) -> Result<i64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).ok_or("no such line")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}

/// CPU time of this process so far, in microseconds.
fn cpu_us() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(text.split(' ').next().ok_or("no number")?.parse::<u64>()? / 1_000)
}

async fn waiting(count: usize) -> Result<(), Box<dyn Error>> {
    let (_server, address) = start()?;
    let client = Client::new(ClientOptions::default());
    let mut response = client.send(request(&address, "/")?).await?;
    response.read_to_end().await?;
    drop(response);
    let before = status_kib("VmRSS")?;
    let mut tasks = tokio::task::JoinSet::new();
    let mut future_bytes = 0;
    for _ in 0..count {
        let (client, request) = (client.clone(), request(&address, "/never")?);
        let work = async move { client.send(request).await.map(|response| response.status()) };
        future_bytes = std::mem::size_of_val(&work);
        tasks.spawn(work);
        if tasks.len() % 64 == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    if let Some(ended) = tasks.try_join_next() {
        return Err(format!("a request ended early: {ended:?}").into());
    }
    let after = status_kib("VmRSS")?;
    let each = (after - before) as f64 / count as f64;
    say(&format!("{count} requests waiting: {before} KiB before, {after} KiB after, {each:.2} KiB each"))?;
    say(&format!("future of one request, with its task's own state: {future_bytes} bytes"))?;
    Ok(())
}

async fn rate(count: usize) -> Result<(), Box<dyn Error>> {
    let (_server, address) = start()?;
    let client = Client::new(ClientOptions::default());
    let prepared = request(&address, "/")?;
    for round in 0..3 {
        let (begun, cpu) = (Instant::now(), cpu_us()?);
        for _ in 0..count {
            let mut response = client.send(prepared.clone()).await?;
            while response.chunk().await?.is_some() {}
        }
        let each = (cpu_us()? - cpu) as f64 / count as f64;
        let wall = begun.elapsed().as_micros() as f64 / count as f64;
        say(&format!("round {round}: {count} requests, {each:.1} us of CPU and {wall:.1} us of wall time each"))?;
    }
    Ok(())
}

async fn stream(count: usize) -> Result<(), Box<dyn Error>> {
    let (_server, address) = start()?;
    let client = Client::new(ClientOptions::default());
    let (begun, cpu) = (Instant::now(), cpu_us()?);
    let mut response = client.send(request(&address, &format!("/stream/{count}"))?).await?;
    let mut pieces = 0_usize;
    while response.chunk().await?.is_some() {
        pieces += 1;
    }
    let each = (cpu_us()? - cpu) as f64 / pieces.max(1) as f64;
    say(&format!("{pieces} pieces in {:?}, {each:.1} us of CPU each", begun.elapsed()))?;
    Ok(())
}
