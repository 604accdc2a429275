//! Seeds of the secure runtime's targets: manifests, policies, proofs, messages, packets, plans, calls.

use std::path::Path;
use std::sync::Arc;

use aether_fuzz::audit_log;
use aether_jail::{Access, Bind, Command, Execute, Guarantees, Limits, Network, Plan};
use aether_proto::{Answer, CloseRequest, Finished, Hello, RunEvent, RunRequest, metadata, run_event};
use prost::bytes::BytesMut;
use serde_json::Value;

use super::{END, counted, directory, write, write_texts};

/// Writes them.
pub(super) fn write_all() {
    authority();
    seals();
    edits();
    audit();
    messages();
    headers();
    names();
    hellos();
    heads();
    secrets();
    filters();
    plans();
    outputs();
    scripts();
    calls();
}

/// The test vectors of the proof's own document.
fn vectors() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/proof/vectors/v1.json");
    serde_json::from_slice(&std::fs::read(path).expect("the vectors")).expect("JSON")
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn authority() {
    let vectors = vectors();
    for one in vectors["authorities"].as_array().expect("a list") {
        let name = one["name"].as_str().expect("a name").replace(' ', "-");
        write("proof_authority", &name, &[&from_hex(one["encoding"].as_str().expect("bytes"))]);
    }
    let mut written = Vec::new();
    for (n, one) in vectors["proofs"].as_array().expect("a list").iter().enumerate() {
        let Some(encoding) = one["authority"].as_str() else { continue };
        if !written.contains(&encoding) {
            written.push(encoding);
            write("proof_authority", &format!("proof-{n:02}"), &[&from_hex(encoding)]);
        }
    }
}

/// One request that is sealed, and one that is shown: the newest, or an earlier one.
fn event(method: u8, body: &[u8], shown: u8, flip: u8) -> Vec<u8> {
    let deadline = 60_000_u64.to_le_bytes();
    [&[method], body, END, &[1, 0], &deadline, &[1], &[shown, 0], &[10, 0], &[flip, flip], &[1]].concat()
}

fn seals() {
    let in_order: Vec<Vec<u8>> = (0..4).map(|n| event(0, b"body", n, 0)).collect();
    write("proof_seal", "in-order", &[&in_order.concat()]);
    write("proof_seal", "replayed", &[&event(0, b"a", 0, 0), &event(1, b"b", 0, 0), &event(1, b"b", 0, 0)]);
    write(
        "proof_seal",
        "backwards",
        &[&event(0, b"a", 0, 0), &event(0, b"b", 1, 0), &event(0, b"c", 2, 0), &event(0, b"d", 1, 0)],
    );
    write("proof_seal", "flipped", &[&event(0, b"a", 0, 1), &event(2, b"", 1, 0x80)]);
    let far =
        [&[0][..], b"a", END, &[1, 0xEE, 0xCF, 0x07], &60_000_u64.to_le_bytes(), &[1, 0, 0, 0, 0, 0, 0, 1]].concat();
    write("proof_seal", "far-ahead", &[&event(0, b"a", 0, 0), &far, &event(0, b"c", 0, 0)]);
}

fn edits() {
    let soon = 500_u64.to_le_bytes();
    for n in 0..4u8 {
        write("proof_verify", &format!("whole-{n}"), &[&[n, 0, 0, 0], &soon]);
    }
    write("proof_verify", "late", &[&[1, 0, 0, 0], &1_500_u64.to_le_bytes()]);
    write("proof_verify", "cut", &[&[2, 0, 1, 0], &[200, 0, 0, 0, 3], &soon]);
    write("proof_verify", "spliced", &[&[3, 0, 1, 0], &[100, 0, 50, 0, 2, 1, 0, 100, 0], &soon]);
    write("proof_verify", "flipped", &[&[1, 0, 1, 0], &[60, 0, 0, 0, 4, 1], &soon]);
    write("proof_verify", "longer", &[&[0, 0, 1, 0], &[20, 0, 0, 0, 1], &counted(b"more"), &soon]);
}

fn audit() {
    let log = audit_log();
    write("audit_verify", "whole", &[&log]);
    let half = log.len() / 2;
    let start = log[half..].iter().position(|byte| *byte == b'\n').map_or(half, |at| half + at + 1);
    write("audit_verify", "first-half", &[&log[..start]]);
    write("audit_verify", "second-half", &[&log[start..]]);
    let swapped = [&log[start..], &log[..start]].concat();
    write("audit_verify", "swapped", &[&swapped]);
}

fn messages() {
    let mut all = BytesMut::new();
    let mut put = |name: &str, message: &dyn Fn(&mut BytesMut)| {
        let mut one = BytesMut::new();
        message(&mut one);
        message(&mut all);
        write("proto_frames", name, &[&[0, 8, 0, 0], &one]);
    };
    let add = |message: &RunEvent, out: &mut BytesMut| aether_proto::put(message, 4_096, out).expect("it fits");
    let request = RunRequest { tool: "shell".into(), input: r#"{"command":"ls"}"#.into(), session: Some("s".into()) };
    put("request", &|out| aether_proto::put(&request, 4_096, out).expect("it fits"));
    let close = CloseRequest { session: "s".into() };
    put("close", &|out| aether_proto::put(&close, 4_096, out).expect("it fits"));
    let stdout = RunEvent { event: Some(run_event::Event::Stdout(b"one\ntwo\n".to_vec())) };
    put("stdout", &|out| add(&stdout, out));
    let finished = Finished {
        outcome: 3,
        text: "[killed: memory limit 20 MB exceeded]".into(),
        exit_code: None,
        signal: Some(9),
        breach: "memory limit 20 MB exceeded".into(),
        wall_ms: 12,
        cpu_ms: 7,
        memory_bytes_peak: 20 << 20,
        enforcement: "memory".into(),
    };
    let finished = RunEvent { event: Some(run_event::Event::Finished(finished)) };
    put("finished", &|out| add(&finished, out));
    write("proto_frames", "all-cut", &[&[0, 8, 3, 0, 1, 0, 7, 0, 40, 0], &all]);
    write("proto_frames", "compressed", &[&[0, 8, 0, 0], &[1, 0, 0, 0, 0]]);
    write("proto_frames", "too-long", &[&[4, 0, 0, 0], &[0, 0, 0, 0, 5, 1, 2, 3, 4, 5]]);

    let hello = Hello {
        pin: [1; 32],
        root: [2; 32],
        audience: [3; 32],
        clock_offset_ms: -5,
        in_flight_max: 256,
        message_bytes_max: 1 << 24,
        settings: b"{\"workspace\":\"/w\"}".to_vec(),
    };
    let hello = hello.encode().expect("it fits");
    write("proto_bootstrap", "hello", &[&hello]);
    write("proto_bootstrap", "hello-half", &[&hello[..hello.len() / 2]]);
    write("proto_bootstrap", "hello-more", &[&hello, &[0]]);
    write("proto_bootstrap", "ready", &[&Answer::Ready { pin: [9; 32] }.encode()]);
    write("proto_bootstrap", "failed", &[&Answer::Failed("no \u{e9}".into()).encode()]);
}

fn headers() {
    let proof = vectors()["proofs"][0]["proof"].as_str().map(from_hex).expect("a proof");
    let texts = ["Zm9vYmE=", "Zm9vYmE", "Zh", "100 %25 %c3%a4", "%4 %zz %", "\u{1f512}\r\n", "5", "16", "-1"];
    write("proto_metadata", "proof", &[metadata::binary(&proof).as_bytes()]);
    for (n, text) in texts.iter().enumerate() {
        write("proto_metadata", &format!("text-{n}"), &[text.as_bytes()]);
    }
}

/// A question as resolvers ask it: one name, one type, and sometimes EDNS (RFC 1035 section 4, RFC 6891).
fn question(name: &str, kind: u16, is_extended: bool) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, u8::from(is_extended)];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(u8::try_from(label.len()).expect("a short label"));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    if is_extended {
        // The size of a datagram, and a cookie (RFC 7873).
        packet.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
    packet
}

fn names() {
    for (name, kind) in [("a", 1), ("aaaa", 28), ("https", 65), ("srv", 33), ("any", 255)] {
        write("egress_dns", name, &[&question("api.github.com", kind, false)]);
        write("egress_dns", &format!("{name}-extended"), &[&question("Example.ORG", kind, true)]);
    }
    write("egress_dns", "root", &[&question("", 2, false)]);
    write("egress_dns", "number", &[&question("127.0.0.1", 1, false)]);
    let mut pointed = question("a", 1, false);
    pointed.splice(12..15, [0xC0, 0x0C]);
    write("egress_dns", "pointed", &[&pointed]);
}

/// What a client of TLS says first.
fn hello_of(name: &str, versions: &[&'static rustls::SupportedProtocolVersion]) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let config = config.expect("it is spoken").with_root_certificates(rustls::RootCertStore::empty());
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = name.to_owned().try_into().expect("a name");
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut said = Vec::new();
    client.write_tls(&mut said).expect("room");
    said
}

fn hellos() {
    if directory("egress_hello").is_dir() {
        // Each is another one, by its random parts.
        return;
    }
    let both = rustls::ALL_VERSIONS;
    let whole = hello_of("api.github.com", both);
    write("egress_hello", "both", &[&whole]);
    write("egress_hello", "tls13", &[&hello_of("example.org", &[&rustls::version::TLS13])]);
    write("egress_hello", "tls12", &[&hello_of("example.org", &[&rustls::version::TLS12])]);
    write("egress_hello", "address", &[&hello_of("192.0.2.1", both)]);
    write("egress_hello", "half", &[&whole[..whole.len() / 2]]);
    // The same in records of 16 bytes (RFC 8446 section 5.1).
    let pieces = whole[5..].chunks(16);
    let records = pieces.map(|piece| [&whole[..3], &[0, piece.len() as u8], piece].concat());
    write("egress_hello", "in-records", &[&records.collect::<Vec<_>>().concat()]);
    write("egress_hello", "plain", &[b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n"]);
}

fn heads() {
    let streams = [
        ("curl", "GET /x HTTP/1.1\r\nHost: a.com\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"),
        (
            "twice",
            "GET /1 HTTP/1.1\r\nHost: a.com\r\n\r\nPOST /2 HTTP/1.1\r\nhost: A.com:80\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: b.com\r\n\r\n",
        ),
        (
            "git",
            "GET /r/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: a.com\r\nUser-Agent: git/2.39.5\r\nAccept: */*\r\nAccept-Encoding: deflate, gzip\r\nPragma: no-cache\r\nGit-Protocol: version=2\r\n\r\n",
        ),
        (
            "python",
            "GET / HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: a.com\r\nUser-Agent: Python-urllib/3.11\r\nConnection: close\r\n\r\n",
        ),
        (
            "node",
            "POST /p HTTP/1.1\r\nhost: a.com\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        ("whole-target", "GET http://a.com/x HTTP/1.1\r\nHost: b.com\r\n\r\n"),
        (
            "smuggled",
            "POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: b.com\r\n\r\n",
        ),
        ("two-hosts", "GET / HTTP/1.1\r\nHost: a.com\r\nHost: b.com\r\n\r\n"),
        ("folded", "GET / HTTP/1.1\r\nHost: a.com\r\nX: 1\r\n 2\r\n\r\n"),
        ("tunnel", "CONNECT b.com:443 HTTP/1.1\r\nHost: b.com:443\r\n\r\n"),
        ("upgrade", "GET / HTTP/1.1\r\nHost: a.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
        ("answer", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ];
    for (name, stream) in streams {
        write("egress_http", name, &[&[16, 0], stream.as_bytes()]);
    }
}

fn secrets() {
    for (name, form, escapes) in
        [("plain", 0u8, 5u8), ("percent", 0, 0), ("escaped", 0, 1), ("hexadecimal", 1, 5), ("mixed", 1, 2)]
    {
        let secret: Vec<u8> = (0..12u8).map(|n| n * 7).collect();
        let forms = vec![escapes; if form == 0 { 12 } else { 24 }];
        write("egress_scrub", name, &[&[4, 0], &secret, b"before ", END, &[form], &forms, &[9, 0], b" and after"]);
    }
}

/// A value that a check compares with: a small one.
const fn small(value: u8) -> [u8; 2] {
    [3, value]
}

fn filters() {
    let empty: &[u8] = &[0, 3, 0, 0];
    write("seccomp_program", "empty", &[empty, &[0; 64]]);
    let always = |number: u16, action: u8| [&number.to_le_bytes()[..], &[action], &[0, 0]].concat();
    let rules: Vec<Vec<u8>> = (0..12).map(|n| always(n * 20, (n % 4) as u8)).collect();
    write("seccomp_program", "spread", &[&[0, 1, 12, 0], &rules.concat(), &[0; 64]]);
    // One clause of two checks: an equal one and a masked one, on both halves.
    let checks = [&[1, 0][..], &small(2), &[1], &[0, 1], &small(7), &small(1), &[2]].concat();
    let checked = [&9u16.to_le_bytes()[..], &[1], &[1, 0], &[2, 0], &checks, &[0]].concat();
    write("seccomp_program", "checked", &[&[1, 3, 1, 0], &checked, &[4, 0, 3, 2, 3, 1, 3, 7, 3, 1, 3, 0, 3, 0]]);
    // A list of what an argument may not be.
    let list = [&[0, 3][..], &small(1), &[40, 0], &[0]].concat();
    let listed = [&16u16.to_le_bytes()[..], &[0], &[1, 0], &[1, 0], &list, &[1]].concat();
    write("seccomp_program", "listed", &[&[0, 0, 1, 0], &listed, &[5, 0, 3, 1, 3, 2]]);
}

fn plans() {
    let bind = |path: &str, access: Access, execute: Execute| Bind {
        source: path.into(),
        target: path.into(),
        access,
        execute,
    };
    let plan = Plan {
        binds: vec![bind("/usr", Access::Read, Execute::Allowed), bind("/srv/work", Access::Write, Execute::Denied)],
        network: Network::Brokered { ports: vec![443, 80] },
        limits: Limits {
            runtime_ms_max: 3_000,
            cpu_ms_max: 3_000,
            memory_bytes_max: 20 << 20,
            processes_max: 8,
            open_files_max: 64,
            file_bytes_max: 1 << 20,
            scratch_bytes_max: 1 << 20,
        },
        command: Command {
            program: "/usr/bin/env".into(),
            args: vec!["env".into(), "-0".into()],
            env: vec![("PATH".into(), "/usr/bin".into())],
            cwd: "/srv/work".into(),
        },
        guarantees: Guarantees::default(),
    };
    write("jail_plan", "brokered", &[&plan.encode()]);
    write("jail_plan", "cut", &[&plan.encode()[..60]]);
    let isolated = Plan { network: Network::None, binds: Vec::new(), ..plan.clone() };
    write("jail_plan", "isolated", &[&isolated.encode()]);
    for (name, source) in
        [("protected", "/proc/self"), ("system", "/etc/ssl"), ("upwards", "/srv/../etc"), ("relative", "srv")]
    {
        let binds = vec![bind(source, Access::Write, Execute::Denied)];
        write("jail_plan", name, &[&Plan { binds, ..isolated.clone() }.encode()]);
    }
}

fn outputs() {
    let texts: [(&str, &[u8]); 5] = [
        ("colours", b"\x1b[31mred\x1b[0m \x1b[1;38;5;200mx\x1b[K\n"),
        ("strings", b"\x1b]0;title\x07x\x1b]8;;u\x1b\\y\x1bPq\x9c\x1b(Bz"),
        ("returns", b"10%\r20%\r\n\r\r\n\x08\x7f\tdone"),
        ("foreign", b"\xff\xc3\xa4\xc2\x9b31m \xe2\x80\xae"),
        ("half", b"\x1b[12;3"),
    ];
    for (name, text) in texts {
        write("executor_plain", name, &[text]);
    }
}

fn scripts() {
    let look = r#"{"say": "Look.", "calls": [{"tool": "shell", "input": {"command": "ls"}}, {"tool": "time"}]}"#;
    let two = format!("# Two turns.\n\n{look}\n{{\"expect\": [\"notes.md\"], \"say\": \"There are notes.\"}}\n");
    for (name, result, mode, text) in [
        ("two-turns", "notes.md", 0u8, two.as_str()),
        ("other-result", "nothing", 0, &two),
        ("forbidden", "notes.md", 1, &two),
        ("wrong", "", 0, "{\"sya\": 1}\n[1]"),
        ("broken", "", 0, "{\"calls\": [{\"tool\""),
    ] {
        write("offline_script", name, &[result.as_bytes(), END, &[mode], text.as_bytes()]);
    }
}

fn calls() {
    let calls = [
        ("shell", 0u8, r#"{"command":"ls -l","folder":"src","seconds":5}"#),
        ("shell-hosts", 0, r#"{"command":"curl https://a.example","hosts":["a.example","*.b.example:8443"]}"#),
        ("shell-session", 0, r#"{"command":"make","session":"build","background":true}"#),
        ("shell-jobs", 0, r#"{"session":"build"}"#),
        ("shell-kill", 0, r#"{"session":"build","kill":2}"#),
        ("program", 1, r#"{"program":"cargo","args":["test","--","x y"],"stdin":"in"}"#),
        ("program-own", 1, r#"{"program":"./bin/x","folder":"a/../b"}"#),
        ("program-system", 1, r#"{"program":"/usr/bin/env","args":[]}"#),
        ("git", 2, r#"{"args":["log","--oneline"],"folder":"r"}"#),
        ("git-clone", 2, r#"{"args":["clone","--depth","1","https://github.com/a/b","--"],"hosts":["x.example"]}"#),
        ("git-executing", 2, r#"{"args":["clone","--upload-pa=x","-u","y","ext::sh"]}"#),
        ("git-stash", 2, r#"{"args":["stash","show","-p"]}"#),
        ("python", 3, r#"{"code":"print(1)"}"#),
        ("node", 4, r#"{"code":"console.log(1)\u0000"}"#),
    ];
    for (name, tool, input) in calls {
        write("programs_order", name, &[&[tool], END, input.as_bytes()]);
    }
    write_texts("programs_order", "unknown", &[5], &["no_such_tool", "{}"]);
}
