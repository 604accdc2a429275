//! The test vectors: made anew by a second writer of the formats, compared with the file and the document, and tried.
//!
//! `UPDATE=1` writes `vectors/v1.json` and the tables of the document.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod shop;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aether_core::capability::{Capability, Network};
use aether_core::digest::{Digest, Sha256};
use aether_proof::{
    AHEAD_MS_MAX, Authority, BLOCKS_MAX, Issuer, KNOWN_BYTES_MAX, KNOWN_MAX, NO_PROOF, Opener, PLACES_MAX,
    PROOF_BYTES_MAX, Proof, ProofError, REVOCATIONS_MAX, Request, SEAL_BYTES, SEAL_EXPORTER_LABEL, SEAL_WINDOW, Seal,
    Sealer, TEXT_BYTES_MAX, TOOL_BYTES_MAX, Verifier, presentation_digest,
};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Map, Value, json};
use shop::{AUDIENCE, NOW, authority, host, key, place, seed};

/// A block that some key signs, whether or not it may.
struct Block {
    signer: u64,
    next: Option<u64>,
    authority: Vec<u8>,
}

struct Vector {
    name: &'static str,
    proof: Vec<u8>,
    now_unix_ms: u64,
    expect: &'static str,
}

fn pair(number: u64) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&*key(number)).unwrap()
}

fn public(number: u64) -> Vec<u8> {
    pair(number).public_key().as_ref().to_vec()
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn list(out: &mut Vec<u8>, texts: &[&str]) {
    out.extend((texts.len() as u16).to_be_bytes());
    texts.iter().for_each(|item| text(out, item));
}

/// Section 4.1, field by field; hosts and places as they are given, in order or not.
fn encoded(authority: &Authority, hosts: &[&str], places: [&[&str]; 3]) -> Vec<u8> {
    let mut out = authority.issuer.to_vec();
    out.extend(authority.task.to_be_bytes());
    out.push(authority.tool.len() as u8);
    out.extend(authority.tool.as_bytes());
    match authority.call {
        None => out.push(0),
        Some(call) => out.extend([&[1], &call.0[..]].concat()),
    }
    out.extend(authority.audience);
    out.extend(authority.expires_unix_ms.to_be_bytes());
    let limits = authority.limits;
    for number in [limits.runtime_ms_max, limits.cpu_ms_max, limits.memory_bytes_max] {
        out.extend(number.to_be_bytes());
    }
    out.extend(limits.processes_max.to_be_bytes());
    out.extend(limits.output_bytes_max.to_be_bytes());
    match hosts {
        [] => out.push(0),
        ["any"] => out.push(2),
        hosts => {
            out.push(1);
            list(&mut out, hosts);
        }
    }
    places.into_iter().for_each(|places| list(&mut out, places));
    out
}

/// Sections 4.2 and 4.3.
fn signed(root: u64, form: u8, blocks: &[Block], held: Option<u64>) -> Vec<u8> {
    let mut link = public(root);
    let mut out = [b"AEPF\x01", &[form, blocks.len() as u8][..]].concat();
    for (index, block) in blocks.iter().enumerate() {
        let mut bytes = match block.next {
            None => vec![0],
            Some(next) => [vec![1], public(next)].concat(),
        };
        bytes.extend(&block.authority);
        let length = (bytes.len() as u32).to_be_bytes();
        let message = [&b"aether proof v1 block\0"[..], &[index as u8], &link[..], &length, &bytes].concat();
        let signature = pair(block.signer).sign(&message);
        let whole = [&length[..], &bytes, signature.as_ref()].concat();
        link = Sha256::of(&[&b"aether proof v1 link\0"[..], &link[..], &whole].concat()).0.to_vec();
        out.extend(whole);
    }
    out.extend(held.map(|held| key(held).to_vec()).unwrap_or_default());
    out
}

const ROOT: u64 = 1;
const READ: &[&str] = &["$workspace", "/usr"];
const HOSTS: &[&str] = &["api.example.com:443", "*.example.org:8443"];

/// What the first block gives: any tool, until ten seconds from now.
fn first() -> Vec<u8> {
    encoded(&authority(), HOSTS, [READ, &["$workspace/out"], &["/usr/bin/git"]])
}

/// What the second gives: git, one host, no writing.
fn second() -> Vec<u8> {
    let second = Authority { tool: "git".to_owned(), ..authority() };
    encoded(&second, &["api.example.com:443"], [READ, &[], &["/usr/bin/git"]])
}

fn exact() -> Authority {
    let mut exact = Authority { tool: "git".to_owned(), call: Some(call()), ..authority() };
    exact.capability = Capability::default()
        .with_network(Network::hosts(vec![host("api.example.com")]))
        .with_read(vec![place("$workspace/src")])
        .with_programs(vec![place("/usr/bin/git")]);
    exact.limits.runtime_ms_max = 1_000;
    exact.expires_unix_ms = NOW + 2_000;
    exact
}

/// What the last gives: one call, for two seconds.
fn last() -> Vec<u8> {
    exactly(&exact())
}

fn exactly(authority: &Authority) -> Vec<u8> {
    encoded(authority, &["api.example.com:443"], [&["$workspace/src"], &[], &["/usr/bin/git"]])
}

/// Section 4.1: the digest of the call `git` with the input `{"args":["status"]}`.
fn call() -> Digest {
    let (name, input) = (&b"git"[..], &br#"{"args":["status"]}"#[..]);
    let length = |part: &[u8]| (part.len() as u64).to_be_bytes();
    Sha256::of(&[&length(name), name, &length(input), input].concat())
}

fn block(signer: u64, next: Option<u64>, authority: Vec<u8>) -> Block {
    Block { signer, next, authority }
}

fn presented(blocks: &[Block]) -> Vec<u8> {
    signed(ROOT, 1, blocks, None)
}

fn changed(mut bytes: Vec<u8>, at: usize, to: u8) -> Vec<u8> {
    bytes[at] = to;
    bytes
}

fn one() -> Vec<u8> {
    presented(&[block(ROOT, None, last())])
}

fn three() -> Vec<u8> {
    presented(&[block(ROOT, Some(2), first()), block(2, Some(3), second()), block(3, None, last())])
}

fn proofs() -> Vec<Vector> {
    let vector = |name, proof, expect| Vector { name, proof, now_unix_ms: NOW, expect };
    let at = |name, now_unix_ms, expect| Vector { name, proof: one(), now_unix_ms, expect };
    let mut all = vec![
        vector("one block", one(), "ok"),
        vector("two blocks", presented(&[block(ROOT, Some(2), first()), block(2, None, last())]), "ok"),
        vector("three blocks", three(), "ok"),
        at("the last millisecond", NOW + 2_000, "ok"),
        at("a millisecond late", NOW + 2_001, "proof-expired"),
        at("a day and a millisecond too early", NOW + 2_000 - 86_400_001, "proof-too-long"),
        vector("held", signed(ROOT, 2, &[block(ROOT, Some(2), first())], Some(2)), "proof-held"),
        vector("another root", signed(9, 1, &[block(9, None, last())], None), "proof-forged"),
        vector(
            "signed by a key that was not named",
            presented(&[block(ROOT, Some(2), first()), block(3, None, last())]),
            "proof-forged",
        ),
        vector("a bit of a signature", changed(one(), one().len() - 1, one()[one().len() - 1] ^ 1), "proof-forged"),
        vector("a bit of a block", changed(one(), 20, one()[20] ^ 1), "proof-forged"),
        vector(
            "another audience",
            presented(&[block(ROOT, None, exactly(&Authority { audience: [0xB0; 32], ..exact() }))]),
            "proof-audience",
        ),
    ];
    all.extend(broken_frames().map(|(name, proof)| vector(name, proof, "proof-malformed")));
    all.extend(
        broken_fields()
            .map(|(name, authority)| vector(name, presented(&[block(ROOT, None, authority)]), "proof-malformed")),
    );
    all.extend(widenings().map(|(name, authority)| {
        vector(name, presented(&[block(ROOT, Some(2), second()), block(2, None, authority)]), "proof-widened")
    }));
    all.push(vector("a block of another chain", spliced(), "proof-forged"));
    all
}

/// The second block of a chain that differs in its first only, behind the first block of `two blocks`.
fn spliced() -> Vec<u8> {
    let head = [block(ROOT, Some(2), first())];
    let other = [block(ROOT, Some(2), second()), block(2, None, last())];
    let (mut head, other_head) = (presented(&head), presented(&other[..1]));
    head.extend(&presented(&other)[other_head.len()..]);
    changed(head, 6, 2)
}

fn broken_frames() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let nine: Vec<Block> = (0..9).map(|_| block(ROOT, Some(ROOT), last())).collect();
    [
        ("nothing", Vec::new()),
        ("another word at the start", changed(one(), 0, b'a')),
        ("version 2", changed(one(), 4, 2)),
        ("form 3", changed(one(), 5, 3)),
        ("no block", b"AEPF\x01\x01\x00".to_vec()),
        ("nine blocks", presented(&nine)),
        ("a byte less", one()[..one().len() - 1].to_vec()),
        ("a byte more", [one(), vec![0]].concat()),
        ("more than 65536 bytes", vec![0; 65_537]),
        ("the last block dropped", { presented(&[block(ROOT, Some(2), first()), block(2, Some(3), second())]) }),
        ("a block after the last", presented(&[block(ROOT, None, first()), block(2, None, last())])),
    ]
    .into_iter()
}

fn broken_fields() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let with = |hosts: &[&str], read: &[&str]| encoded(&exact(), hosts, [read, &[], &[]]);
    let named = |tool: &str| exactly(&Authority { tool: tool.to_owned(), ..exact() });
    let many: Vec<String> = (100..357).map(|n| format!("/{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let empty = {
        let mut bytes = with(&[], &[]);
        let network = bytes.len() - 7;
        bytes.splice(network..=network, [1, 0, 0]);
        bytes
    };
    [
        ("a tool with a capital letter", named("Git")),
        ("a tool without a name", named("")),
        ("a tool's name of 65 bytes", named(&"g".repeat(65))),
        ("hosts out of order", with(&["b.example:443", "a.example:443"], &[])),
        ("a host twice", with(&["a.example:443", "a.example:443"], &[])),
        ("a host that another covers", with(&["*.example.org:443", "a.example.org:443"], &[])),
        ("a host without a port", with(&["a.example"], &[])),
        ("a host in capital letters", with(&["A.example:443"], &[])),
        ("an empty list of hosts", empty),
        ("a place beneath another", with(&[], &["/usr", "/usr/bin"])),
        ("a place with a slash at the end", with(&[], &["/usr/"])),
        ("a place with two dots", with(&[], &["/usr/../etc"])),
        ("a relative place", with(&[], &["usr"])),
        ("257 places", with(&[], &many)),
        ("a place of 4097 bytes", with(&[], &[&format!("/{}", "x".repeat(4_096))])),
        ("a place that is not UTF-8", {
            let mut bytes = with(&[], &["/ab"]);
            let letter = bytes.len() - 5;
            bytes[letter] = 0xFF;
            bytes
        }),
        ("a byte after the fields", [last(), vec![0]].concat()),
        ("a byte less in the fields", last()[..last().len() - 1].to_vec()),
    ]
    .into_iter()
}

/// What may not follow the second block.
fn widenings() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let with = |change: fn(&mut Authority)| {
        let mut changed = exact();
        change(&mut changed);
        exactly(&changed)
    };
    let reaching = |hosts: &[&str], places: [&[&str]; 3]| encoded(&exact(), hosts, places);
    [
        ("another issuer", with(|a| a.issuer[0] ^= 1)),
        ("another task", with(|a| a.task += 1)),
        ("another tool", with(|a| a.tool = "shell".to_owned())),
        ("any tool again", with(|a| a.tool = "*".to_owned())),
        ("a later expiry", with(|a| a.expires_unix_ms = NOW + 10_001)),
        ("more run time", with(|a| a.limits.runtime_ms_max = 3_001)),
        ("more processor time", with(|a| a.limits.cpu_ms_max = 1_001)),
        ("more memory", with(|a| a.limits.memory_bytes_max += 1)),
        ("more processes", with(|a| a.limits.processes_max = 5)),
        ("more output", with(|a| a.limits.output_bytes_max = 65_537)),
        ("any public host", reaching(&["any"], [&[], &[], &[]])),
        ("another port", reaching(&["api.example.com:80"], [&[], &[], &[]])),
        ("a host above", reaching(&["*.example.com:443"], [&[], &[], &[]])),
        ("a place above", reaching(&[], [&["/"], &[], &[]])),
        ("a place beside, with the same beginning", reaching(&[], [&["/usrlocal"], &[], &[]])),
        ("writing", reaching(&[], [&[], &["$workspace"], &[]])),
        ("another program", reaching(&[], [&[], &[], &["/usr/bin/gitk"]])),
    ]
    .into_iter()
}

const METHOD: &str = "/aether.runtime.v1.Runtime/Run";
const BODY: &[u8] = b"\x0a\x03git\x12\x13{\"args\":[\"status\"]}";

fn sealed(number: u64, proof: &Digest, [sequence, deadline_unix_ms]: [u64; 2]) -> Vec<u8> {
    let message = [
        &b"aether seal v1 request\0"[..],
        &proof.0[..],
        &sequence.to_be_bytes(),
        &deadline_unix_ms.to_be_bytes(),
        &(METHOD.len() as u64).to_be_bytes(),
        METHOD.as_bytes(),
        &Sha256::of(BODY).0,
    ];
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key(number)), &message.concat());
    [&[1], &sequence.to_be_bytes()[..], &deadline_unix_ms.to_be_bytes(), code.as_ref()].concat()
}

/// Shown to one opener one after the other, as the requests of one connection.
fn seals() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let proof = Sha256::of(&one());
    let good = |sequence| sealed(5, &proof, [sequence, NOW + 1_000]);
    vec![
        ("the first", good(1), "ok"),
        ("the first again", good(1), "seal-replayed"),
        ("one that was overtaken by the next", good(3), "ok"),
        ("the one that was overtaken", good(2), "ok"),
        ("far ahead", good(1_027), "ok"),
        ("the last outside the window", good(3), "seal-stale"),
        ("the first inside the window", good(4), "ok"),
        ("number 0", good(0), "seal-stale"),
        ("another connection's key", sealed(6, &proof, [1_028, NOW + 1_000]), "seal-forged"),
        ("another proof", sealed(5, &NO_PROOF, [1_028, NOW + 1_000]), "seal-forged"),
        ("a bit of the code", changed(good(1_028), 48, good(1_028)[48] ^ 1), "seal-forged"),
        ("another number", changed(good(1_028), 8, 5), "seal-forged"),
        ("another deadline", changed(good(1_028), 16, good(1_028)[16] ^ 1), "seal-forged"),
        ("the last millisecond", sealed(5, &proof, [1_028, NOW]), "ok"),
        ("a millisecond late", sealed(5, &proof, [1_029, NOW - 1]), "seal-expired"),
        ("a day and a millisecond ahead", sealed(5, &proof, [1_029, NOW + 86_400_001]), "seal-too-long"),
        ("version 2", changed(good(1_029), 0, 2), "seal-malformed"),
        ("a byte less", good(1_029)[..48].to_vec(), "seal-malformed"),
        ("a byte more", [good(1_029), vec![0]].concat(), "seal-malformed"),
        ("none of these used up its number", good(1_029), "ok"),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

/// A proof of zeros is written as how many there are.
fn body(bytes: &[u8]) -> Value {
    let is_zeros = bytes.len() > 60_000 && bytes.iter().all(|byte| *byte == 0);
    if is_zeros { json!({ "zeros": bytes.len() }) } else { json!(hex(bytes)) }
}

fn made() -> Value {
    let keys: Map<String, Value> = [("root", ROOT), ("second", 2), ("third", 3)]
        .into_iter()
        .map(|(name, number)| (name.to_owned(), json!({ "seed": hex(&*key(number)), "public": hex(&public(number)) })))
        .collect();
    let proofs: Vec<Value> = proofs()
        .iter()
        .map(|vector| {
            let mut made = json!({ "name": vector.name, "now_unix_ms": vector.now_unix_ms, "expect": vector.expect });
            if vector.expect == "ok" {
                made["digest"] = json!(Sha256::of(&vector.proof).to_string());
                made["authority"] = json!(hex(&last()));
            }
            made["proof"] = body(&vector.proof);
            made
        })
        .collect();
    let seals = seals();
    let seals = seals.iter().map(|(name, seal, expect)| json!({ "name": name, "expect": expect, "seal": hex(seal) }));
    json!({
        "keys": keys,
        "audience": hex(&AUDIENCE),
        "call": { "tool": "git", "input": r#"{"args":["status"]}"#, "digest": call().to_string() },
        "authorities": [
            { "name": "first", "encoding": hex(&first()) },
            { "name": "second", "encoding": hex(&second()) },
            { "name": "last", "encoding": hex(&last()) },
        ],
        "proofs": proofs,
        "seal": {
            "key": hex(&*key(5)), "method": METHOD, "body": hex(BODY), "proof": Sha256::of(&one()).to_string(),
            "now_unix_ms": NOW,
        },
        "seals": seals.collect::<Vec<_>>(),
    })
}

/// One vector a line.
fn printed(value: &Value) -> String {
    let mut out = String::from("{\n");
    for (n, (name, value)) in value.as_object().unwrap().iter().enumerate() {
        out += if n == 0 { "" } else { ",\n" };
        out += &match value {
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| format!("    {item}")).collect();
                format!("  \"{name}\": [\n{}\n  ]", items.join(",\n"))
            }
            other => format!("  \"{name}\": {other}"),
        };
    }
    out + "\n}\n"
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/v1.json")
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ipc-security.md")
}

fn is_update() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}

fn same(path: &Path, made: &str) {
    if is_update() {
        std::fs::write(path, made).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap();
    let place = found.lines().zip(made.lines()).position(|(found, made)| found != made);
    assert!(found == made, "{} differs from line {place:?} on; UPDATE=1 writes it", path.display());
}

#[test]
fn the_file_holds_what_the_second_writer_makes() {
    same(&file(), &printed(&made()));
}

/// The document names every vector with what is expected, and shows the shortest proof and the first seal in full.
#[test]
fn the_document_names_every_vector() {
    let marks = ["<!-- vectors begin: UPDATE=1 cargo test -p aether-proof -->\n", "<!-- vectors end -->\n"];
    let found = std::fs::read_to_string(document()).unwrap();
    let (head, rest) = found.split_once(marks[0]).unwrap();
    let (_, tail) = rest.split_once(marks[1]).unwrap();
    let mut tables = String::from("\n| proof | expected |\n|---|---|\n");
    for vector in proofs() {
        tables += &format!("| {} | {} |\n", vector.name, vector.expect);
    }
    tables += "\n| seal, one after the other on one connection | expected |\n|---|---|\n";
    for (name, _, expect) in seals() {
        tables += &format!("| {name} | {expect} |\n");
    }
    tables += "\nThe proof of one block, and its parts:\n\n```text\n";
    for (part, bytes) in parts() {
        let rows: Vec<String> = bytes.chunks(32).map(hex).collect();
        tables += &format!("{part:<22}{}\n", rows.join(&format!("\n{:22}", "")));
    }
    tables += &format!("```\n\nIts digest is `{}`, and the first seal\n\n```text\n", Sha256::of(&one()));
    for (part, bytes) in [("version", 0..1), ("sequence", 1..9), ("deadline", 9..17), ("code", 17..49)] {
        tables += &format!("{part:<22}{}\n", hex(&seals()[0].1[bytes]));
    }
    tables += "```\n\n";
    same(&document(), &[head, marks[0], &tables, marks[1], tail].concat());
}

/// Section 9 states the limits that hold, and section 8 the word of every error.
#[test]
fn the_document_states_limits_and_reasons() {
    let document = std::fs::read_to_string(document()).unwrap();
    for (what, limit) in [
        ("blocks of a proof", BLOCKS_MAX.to_string()),
        ("bytes of a proof", grouped(PROOF_BYTES_MAX)),
        ("hosts, places and programs of one block", grouped(PLACES_MAX)),
        ("bytes of one host or place", grouped(TEXT_BYTES_MAX)),
        ("bytes of a tool's name", grouped(TOOL_BYTES_MAX)),
        ("life of a proof, and a deadline, from now", format!("{} h", AHEAD_MS_MAX / 3_600_000)),
        (
            "verified proofs remembered",
            format!(
                "{}, with {} MiB of encoding in all; the oldest goes first",
                grouped(KNOWN_MAX),
                KNOWN_BYTES_MAX >> 20
            ),
        ),
        ("revocations kept", grouped(REVOCATIONS_MAX)),
        ("window of sequence numbers", grouped(SEAL_WINDOW as usize)),
    ] {
        assert!(document.contains(&format!("| {what} | {limit} |\n")), "{what}: {limit}");
    }
    assert!(document.contains(&format!("| `aether-seal-bin` | {SEAL_BYTES} |")));
    assert!(document.contains(&format!("\"{}\"", str::from_utf8(SEAL_EXPORTER_LABEL).unwrap())));
    let words: BTreeSet<&str> = proofs().iter().map(|vector| vector.expect).collect();
    let words = words.into_iter().chain(seals().into_iter().map(|(_, _, expect)| expect));
    for word in words.filter(|word| *word != "ok").chain(["proof-revoked", "proof-other-call"]) {
        assert!(document.contains(&format!("`{word}`")), "{word}");
    }
}

/// With a comma before every three digits.
fn grouped(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1_000), number % 1_000) }
}

/// The proof of one block, cut where section 4 says that its fields end.
fn parts() -> Vec<(&'static str, Vec<u8>)> {
    let lengths = [
        ("`AEPF`", 4),
        ("version", 1),
        ("form", 1),
        ("blocks", 1),
        ("length", 4),
        ("no next key", 1),
        ("issuer", 16),
        ("task", 8),
        ("tool", 4),
        ("call", 33),
        ("audience", 32),
        ("expires", 8),
        ("runtime", 8),
        ("cpu", 8),
        ("memory", 8),
        ("processes", 4),
        ("output", 8),
        ("network", 24),
        ("read", 18),
        ("write", 2),
        ("programs", 16),
        ("signature", 64),
    ];
    let whole = one();
    let mut rest = &whole[..];
    let parts = lengths.map(|(name, length)| {
        let (part, after) = rest.split_at(length);
        rest = after;
        (name, part.to_vec())
    });
    assert!(rest.is_empty(), "{} bytes are left", rest.len());
    parts.into()
}

/// What the crate makes of every vector in the file.
#[test]
fn every_vector_gets_what_it_expects() {
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    let array = |value: &Value| -> [u8; 32] { bytes(value).try_into().unwrap() };
    let root = array(&vectors["keys"]["root"]["public"]);
    for vector in vectors["proofs"].as_array().unwrap() {
        let proof = match vector["proof"]["zeros"].as_u64() {
            Some(zeros) => vec![0; zeros as usize],
            None => bytes(&vector["proof"]),
        };
        let mut verifier = Verifier::new(root, array(&vectors["audience"]));
        let found = verifier.verify(&proof, vector["now_unix_ms"].as_u64().unwrap());
        let word = found.as_ref().map_or_else(ProofError::reason, |_| "ok");
        assert_eq!(Some(word), vector["expect"].as_str(), "{}: {found:?}", vector["name"]);
        if let Ok(given) = found {
            assert_eq!(given.encode().unwrap(), bytes(&vector["authority"]));
            assert_eq!(presentation_digest(&proof).0, array(&vector["digest"]));
            assert_eq!(given.permits("git", &Digest(array(&vectors["call"]["digest"]))), Ok(()));
        }
    }
    let fixed = &vectors["seal"];
    let body = bytes(&fixed["body"]);
    let method = fixed["method"].as_str().unwrap();
    let request = Request { method, body: &body, proof: Digest(array(&fixed["proof"])) };
    let mut opener = Opener::new(&zeroize::Zeroizing::new(array(&fixed["key"])));
    for vector in vectors["seals"].as_array().unwrap() {
        let seal = Seal::decode(&bytes(&vector["seal"]));
        let found = seal.and_then(|seal| opener.open(&request, &seal, fixed["now_unix_ms"].as_u64().unwrap()));
        let word = found.map_or_else(|error| error.reason(), |()| "ok");
        assert_eq!(Some(word), vector["expect"].as_str(), "{}: {found:?}", vector["name"]);
    }
}

/// P3: the crate writes, bit for bit, what the second writer does.
#[test]
fn both_writers_write_the_same() {
    let issuer = Issuer::new(&seed(ROOT)).unwrap();
    assert_eq!(issuer.present(&exact()).unwrap().bytes(), one());
    let held = issuer.issue(&authority(), seed(2)).unwrap();
    assert_eq!(**held.encode(), signed(ROOT, 2, &[block(ROOT, Some(2), first())], Some(2)));
    let narrower = Authority::decode(&second()).unwrap();
    let presented = held.attenuate(&narrower, seed(3)).unwrap().present(&exact()).unwrap();
    assert_eq!(presented.bytes(), three());
    let back = Proof::decode(&held.encode(), &issuer.public()).unwrap();
    assert_eq!(back.attenuate(&narrower, seed(3)).unwrap().present(&exact()).unwrap(), presented);

    let mut sealer = Sealer::new(&key(5));
    let request = Request { method: METHOD, body: BODY, proof: Sha256::of(&one()) };
    assert_eq!(sealer.seal(request.method, request.body, &request.proof, NOW + 1_000).encode()[..], seals()[0].1);
    assert_eq!(sealer.seal(request.method, request.body, &request.proof, NOW + 1_000).encode()[..], seals()[3].1);
    let tool =
        aether_core::tool::ToolCall { id: "1".into(), name: "git".into(), input: r#"{"args":["status"]}"#.into() };
    assert_eq!(tool.digest(), call());
}
