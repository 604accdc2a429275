//! What somebody without the key tries (P2, P4, P6), what time and revocation do (P5), and what has an end (P7).
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod shop;

use std::mem::size_of_val;

use aether_core::capability::{Capability, Network};
use aether_core::digest::{Digest, Sha256};
use aether_proof::{
    AHEAD_MS_MAX, Authority, BLOCKS_MAX, Excess, IssueError, Issuer, KNOWN_BYTES_MAX, KNOWN_MAX, NO_PROOF, Opener,
    PLACES_MAX, PROOF_BYTES_MAX, Presentation, Proof, ProofError, REVOCATIONS_MAX, Request, Revocation,
    RevocationsFull, SEAL_WINDOW, Seal, SealError, Sealer, Seed, TEXT_BYTES_MAX, Verifier, presentation_digest,
};
use shop::{AUDIENCE, NOW, authority, key, place, seed};

fn issuer() -> Issuer {
    Issuer::new(&seed(1)).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(issuer().public(), AUDIENCE)
}

fn exact() -> Authority {
    Authority { tool: "git".to_owned(), call: Some(Sha256::of(b"call")), ..authority() }
}

/// Three blocks: the issuer's, a holder's, and the presented one.
fn three() -> Presentation {
    let held = issuer().issue(&authority(), seed(2)).unwrap();
    let narrower = Authority { tool: "git".to_owned(), ..authority() };
    held.attenuate(&narrower, seed(3)).unwrap().present(&exact()).unwrap()
}

fn reason(bytes: &[u8]) -> &'static str {
    verifier().verify(bytes, NOW).map_or_else(|error| error.reason(), |_| "ok")
}

/// The blocks of a proof, each with its length and signature.
fn blocks(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &bytes[7..];
    (0..bytes[6])
        .map(|_| {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize + 68;
            let (block, after) = rest.split_at(length);
            rest = after;
            block.to_vec()
        })
        .collect()
}

fn joined(form: u8, blocks: &[&[u8]], seed: &[u8]) -> Vec<u8> {
    [b"AEPF\x01", &[form, blocks.len() as u8][..], &blocks.concat(), seed].concat()
}

/// P2: not one bit may change.
#[test]
fn a_flipped_bit_is_refused() {
    let bytes = three().bytes().to_vec();
    assert_eq!(reason(&bytes), "ok");
    let mut verifier = verifier();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let error = verifier.verify(&changed, NOW).unwrap_err();
        assert!(matches!(error, ProofError::Forged { .. } | ProofError::Malformed(_)), "bit {bit}: {error}");
    }
}

/// P2, P3: no byte less and none more.
#[test]
fn a_cut_or_grown_proof_is_refused() {
    let bytes = three().bytes().to_vec();
    for end in 0..bytes.len() {
        assert_eq!(reason(&bytes[..end]), "proof-malformed", "cut to {end} bytes");
    }
    assert_eq!(reason(&[&bytes[..], &[0]].concat()), "proof-malformed");
    assert_eq!(reason(&vec![0; PROOF_BYTES_MAX + 1]), "proof-malformed");
}

/// P4: from what is presented nobody gets back to what was wider.
#[test]
fn blocks_cannot_be_dropped_swapped_or_added() {
    let presented = three();
    let all = blocks(presented.bytes());
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    assert_eq!(joined(1, &all, &[]), presented.bytes());
    for kept in 1..3 {
        assert_eq!(reason(&joined(1, &all[..kept], &[])), "proof-malformed", "{kept} blocks, presented");
        // With a key of one's own in place of the one that was named.
        assert_eq!(reason(&joined(2, &all[..kept], &*key(9))), "proof-held");
        assert!(Proof::decode(&joined(2, &all[..kept], &*key(9)), &issuer().public()).is_err());
    }
    assert_eq!(reason(&joined(1, &all[1..], &[])), "proof-forged");
    assert_eq!(reason(&joined(1, &[all[0], all[2]], &[])), "proof-forged");
    assert_eq!(reason(&joined(1, &[all[1], all[0], all[2]], &[])), "proof-forged");
    assert_eq!(reason(&joined(1, &[all[0], all[1], all[1], all[2]], &[])), "proof-forged");
    // A block after the last: whoever signs it, no key was named for it.
    let foreign = issuer().issue(&exact(), seed(9)).unwrap().present(&exact()).unwrap();
    let foreign = blocks(foreign.bytes());
    assert_eq!(reason(&joined(1, &[all[0], all[1], all[2], &foreign[1]], &[])), "proof-malformed");
    // The second block of one chain behind the first of another, both signed by the same keys.
    let held = issuer().issue(&Authority { task: 8, ..authority() }, seed(2)).unwrap();
    let other = blocks(held.present(&Authority { task: 8, ..exact() }).unwrap().bytes());
    assert_eq!(reason(&joined(1, &[all[0], &other[1]], &[])), "proof-forged");
}

/// P2: a proof of another root is worth nothing, and so is one for another audience.
#[test]
fn another_root_or_audience_is_refused() {
    let bytes = three().bytes().to_vec();
    let other = Issuer::new(&seed(4)).unwrap();
    let mut elsewhere = Verifier::new(other.public(), AUDIENCE);
    assert_eq!(elsewhere.verify(&bytes, NOW), Err(ProofError::Forged { block: 0 }));
    let mut elsewhere = Verifier::new(issuer().public(), [0xB0; 32]);
    assert_eq!(elsewhere.verify(&bytes, NOW), Err(ProofError::Audience));
    assert!(Proof::decode(&issuer().issue(&authority(), seed(2)).unwrap().encode(), &other.public()).is_err());
}

/// P1: each way of being wider has its name, and none is signed.
#[test]
fn nothing_wider_is_signed() {
    let held = issuer().issue(&exact(), seed(2)).unwrap();
    let wider: &[fn(&mut Authority)] = &[
        |a| a.issuer = [0; 16],
        |a| a.task += 1,
        |a| a.audience = [0; 32],
        |a| a.tool = "*".to_owned(),
        |a| a.tool = "shell".to_owned(),
        |a| a.call = None,
        |a| a.call = Some(Digest([0; 32])),
        |a| a.expires_unix_ms += 1,
        |a| a.limits.runtime_ms_max += 1,
        |a| a.limits.cpu_ms_max += 1,
        |a| a.limits.memory_bytes_max += 1,
        |a| a.limits.processes_max += 1,
        |a| a.limits.output_bytes_max += 1,
        |a| a.capability.network = Network::Public,
        |a| a.capability = a.capability.clone().with_read(vec![place("/")]),
        |a| a.capability = a.capability.clone().with_write(vec![place("$workspace")]),
        |a| a.capability = a.capability.clone().with_programs(vec![place("/usr/bin")]),
    ];
    let mut sentences = Vec::new();
    for widen in wider {
        let mut asked = exact();
        widen(&mut asked);
        let excess = exact().excess(&asked).unwrap();
        assert_eq!(held.attenuate(&asked, seed(3)).unwrap_err(), IssueError::Wider(excess.clone()));
        assert_eq!(held.present(&asked).unwrap_err(), IssueError::Wider(excess.clone()));
        sentences.push(excess.to_string());
    }
    let distinct: std::collections::BTreeSet<_> = sentences.iter().collect();
    assert_eq!(distinct.len(), sentences.len() - 1, "the call has one sentence for two ways: {sentences:?}");
    assert!(matches!(exact().excess(&Authority { task: 8, ..exact() }), Some(Excess::Task { found: 8, wanted: 7 })));
}

/// A proof is for one call, and says so only where it names it.
#[test]
fn a_proof_permits_one_call() {
    let call = Sha256::of(b"call");
    assert_eq!(exact().permits("git", &call), Ok(()));
    for (given, tool, asked) in [
        (exact(), "shell", call),
        (exact(), "git", Sha256::of(b"other")),
        (authority(), "git", call),
        (Authority { call: None, ..exact() }, "git", call),
        (Authority { tool: "*".to_owned(), ..exact() }, "git", call),
        (Authority { tool: "*".to_owned(), ..exact() }, "*", call),
    ] {
        assert_eq!(given.permits(tool, &asked).unwrap_err().reason(), "proof-other-call");
    }
}

/// P5: a proof that was verified before is still looked at again, and time does not run backwards.
#[test]
fn expiry_and_revocation_hold_for_known_proofs() {
    let presented = three();
    let bytes = presented.bytes();
    let mut verifier = verifier();
    let expires = exact().expires_unix_ms;
    let first = verifier.verify(bytes, NOW).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &verifier.verify(bytes, expires).unwrap()), "remembered");
    let late = Err(ProofError::Expired { expires_unix_ms: expires, now_unix_ms: expires + 1 });
    assert_eq!(verifier.verify(bytes, expires + 1), late);
    assert_eq!(verifier.verify(bytes, NOW), late, "the clock was turned back");
    for revocation in [
        Revocation::Task { issuer: exact().issuer, task: exact().task },
        Revocation::Block(presented.ids()[0]),
        Revocation::Block(presented.ids()[1]),
        Revocation::Block(presented.ids()[2]),
    ] {
        let mut verifier = self::verifier();
        verifier.verify(bytes, NOW).unwrap();
        verifier.revoke(revocation, expires).unwrap();
        assert_eq!(verifier.verify(bytes, NOW), Err(ProofError::Revoked), "{revocation:?}");
    }
    let mut verifier = self::verifier();
    verifier.revoke(Revocation::Task { issuer: exact().issuer, task: 8 }, expires).unwrap();
    verifier.revoke(Revocation::Task { issuer: [0; 16], task: 7 }, expires).unwrap();
    verifier.revoke(Revocation::Block(Digest([0; 32])), expires).unwrap();
    verifier.verify(bytes, NOW).unwrap();
}

/// P5: nothing holds for longer than a day ahead.
#[test]
fn a_proof_lives_for_a_day_at_most() {
    let day = Authority { expires_unix_ms: NOW + AHEAD_MS_MAX, ..exact() };
    let presented = issuer().present(&day).unwrap();
    verifier().verify(presented.bytes(), NOW).unwrap();
    assert_eq!(verifier().verify(presented.bytes(), NOW - 1).unwrap_err().reason(), "proof-too-long");
    let presented = issuer().present(&Authority { expires_unix_ms: u64::MAX, ..exact() }).unwrap();
    assert_eq!(verifier().verify(presented.bytes(), NOW).unwrap_err().reason(), "proof-too-long");
}

/// P7: a full list of revocations refuses, drops what is over, and never what is not.
#[test]
fn revocations_have_an_end() {
    let mut verifier = verifier();
    let task = |task| Revocation::Task { issuer: [1; 16], task };
    verifier.verify(three().bytes(), NOW).unwrap();
    for n in 0..REVOCATIONS_MAX as u64 {
        verifier.revoke(task(n), NOW + n).unwrap();
    }
    verifier.revoke(task(5), NOW + 9_000).unwrap();
    assert_eq!(verifier.revoke(task(u64::MAX), u64::MAX), Err(RevocationsFull));
    assert_eq!(verifier.revoke(task(4_000), 0), Ok(()), "one that is kept is revoked again");
    let later = issuer().present(&Authority { expires_unix_ms: NOW + 20_000, ..exact() }).unwrap();
    verifier.verify(later.bytes(), NOW + 11).unwrap();
    for n in 0..10 {
        assert_eq!(verifier.revoke(task(u64::MAX - n), u64::MAX), Ok(()), "0 to 10 are over, but for 5");
    }
    assert_eq!(verifier.revoke(task(1), u64::MAX), Err(RevocationsFull));
    let revoked = |task| issuer().present(&Authority { issuer: [1; 16], task, ..exact() }).unwrap();
    for task in [5, 11, 4_000, 4_095, u64::MAX] {
        assert_eq!(verifier.verify(revoked(task).bytes(), NOW + 11), Err(ProofError::Revoked), "{task}");
    }
    verifier.verify(revoked(1).bytes(), NOW + 11).unwrap();
}

/// P7: memory for proofs seen before is bounded by number and by bytes.
#[test]
fn remembered_proofs_have_an_end() {
    let mut verifier = verifier();
    let issuer = issuer();
    let one = |task| issuer.present(&Authority { task, ..exact() }).unwrap();
    let first = one(0);
    let before = verifier.verify(first.bytes(), NOW).unwrap();
    for task in 1..KNOWN_MAX as u64 {
        verifier.verify(one(task).bytes(), NOW).unwrap();
    }
    assert!(std::sync::Arc::ptr_eq(&before, &verifier.verify(first.bytes(), NOW).unwrap()));
    verifier.verify(one(KNOWN_MAX as u64).bytes(), NOW).unwrap();
    let again = verifier.verify(first.bytes(), NOW).unwrap();
    assert!(!std::sync::Arc::ptr_eq(&before, &again), "the oldest was forgotten");
    assert_eq!(before, again);

    let long: Vec<_> = (0..12).map(|n| place(&format!("/{n}/{}", "x".repeat(4_000)))).collect();
    let large = |task| {
        let capability = Capability::default().with_read(long.clone());
        issuer.present(&Authority { task, capability, ..exact() }).unwrap()
    };
    let before = verifier.verify(large(0).bytes(), NOW).unwrap();
    for task in 1..=(KNOWN_BYTES_MAX / large(0).bytes().len()) as u64 {
        verifier.verify(large(task).bytes(), NOW).unwrap();
    }
    assert!(!std::sync::Arc::ptr_eq(&before, &verifier.verify(large(0).bytes(), NOW).unwrap()));
}

/// P7: what cannot be written is not signed.
#[test]
fn chains_and_texts_have_an_end() {
    let many = |count: usize| (0..count).map(|n| place(&format!("/{n}"))).collect::<Vec<_>>();
    let with = |capability| Authority { capability, ..exact() };
    let issuer = issuer();
    let full = with(Capability::default().with_read(many(PLACES_MAX - 1)).with_write(many(1)));
    verifier().verify(issuer.present(&full).unwrap().bytes(), NOW).unwrap();
    let over = with(Capability::default().with_read(many(PLACES_MAX)).with_write(many(1)));
    assert_eq!(issuer.present(&over), Err(IssueError::Places));

    let long = |bytes: usize| Capability::default().with_read(vec![place(&format!("/{}", "x".repeat(bytes - 1)))]);
    verifier().verify(issuer.present(&with(long(TEXT_BYTES_MAX))).unwrap().bytes(), NOW).unwrap();
    let found_bytes = TEXT_BYTES_MAX + 1;
    assert_eq!(issuer.present(&with(long(found_bytes))), Err(IssueError::Text { found_bytes }));

    let wide: Vec<_> = (0..17).map(|n| place(&format!("/{n}/{}", "x".repeat(4_000)))).collect();
    let wide = issuer.present(&with(Capability::default().with_read(wide)));
    assert!(matches!(wide, Err(IssueError::Bytes { found_bytes }) if found_bytes > PROOF_BYTES_MAX));

    let mut proof = issuer.issue(&exact(), seed(2)).unwrap();
    for n in 1..BLOCKS_MAX as u64 {
        verifier().verify(proof.present(&exact()).unwrap().bytes(), NOW).unwrap();
        proof = proof.attenuate(&exact(), seed(n)).unwrap();
    }
    assert_eq!(proof.attenuate(&exact(), seed(2)).unwrap_err(), IssueError::Blocks);
    assert_eq!(proof.present(&exact()).unwrap_err(), IssueError::Blocks);

    for name in ["", "Shell", "1st", "a-b", "a b", "**", "å", "x\u{1b}[2J", &"x".repeat(65)] {
        let tool = name.to_owned();
        let error = issuer.present(&Authority { tool, ..exact() }).unwrap_err();
        assert_eq!(error, IssueError::Tool { found: name.to_owned() });
        assert!(!error.to_string().contains('\u{1b}'));
    }
}

/// P3: hosts that are out of order, or none, are written as the kernel orders them.
#[test]
fn hosts_are_written_in_order() {
    let [a, b] = ["a.example", "b.example"].map(shop::host);
    for (found, wanted) in [
        (Network::Hosts(vec![b.clone(), a.clone(), b.clone()]), Network::Hosts(vec![a, b])),
        (Network::Hosts(vec![]), Network::None),
    ] {
        let presented =
            issuer().present(&Authority { capability: Capability::default().with_network(found), ..exact() });
        let given = verifier().verify(presented.unwrap().bytes(), NOW).unwrap();
        assert_eq!(given.capability.network, wanted);
    }
}

/// Fresh keys differ, and no secret is in a debug text.
#[test]
fn secrets_stay_where_they_are() {
    let [one, two] = [(); 2].map(|()| Issuer::generate().unwrap());
    assert_ne!(one.public(), two.public());
    let bytes = zeroize::Zeroizing::new([0xEE; 32]);
    let proof = one.issue(&exact(), Seed::from_bytes(bytes)).unwrap();
    let text = format!("{proof:?} {one:?} {:?} {:?}", Sealer::new(&key(0xEE)), Opener::new(&key(0xEE)));
    assert!(!text.contains("238, 238"), "{text}");
    assert!(!text.to_lowercase().contains("eeee"), "{text}");
    let presented = proof.present(&exact()).unwrap();
    assert!(!presented.bytes().windows(8).any(|window| window == [0xEE; 8]), "P4");
    assert_eq!(presented.digest(), presentation_digest(presented.bytes()));
    assert_eq!(presented.digest(), Sha256::of(presented.bytes()), "the kernel's own digest says the same");
}

const REQUEST: Request<'_> = Request { method: "/m/Run", body: b"body", proof: NO_PROOF };

/// P6: a seal is for one connection and one request.
#[test]
fn a_seal_is_for_one_request_of_one_connection() {
    let seal = Sealer::new(&key(1)).seal(REQUEST.method, REQUEST.body, &REQUEST.proof, NOW);
    let opened = |request: &Request<'_>, seal: &Seal, number| Opener::new(&key(number)).open(request, seal, NOW);
    assert_eq!(opened(&REQUEST, &seal, 1), Ok(()));
    assert_eq!(opened(&REQUEST, &seal, 2), Err(SealError::Forged), "another connection");
    for other in [
        Request { method: "/m/Ru", ..REQUEST },
        Request { method: "/m/Runb", body: b"ody", ..REQUEST },
        Request { body: b"bodY", ..REQUEST },
        Request { body: b"", ..REQUEST },
        Request { proof: Digest([1; 32]), ..REQUEST },
    ] {
        assert_eq!(opened(&other, &seal, 1), Err(SealError::Forged), "{other:?}");
    }
    assert_eq!(opened(&REQUEST, &Seal { sequence: 2, ..seal }, 1), Err(SealError::Forged));
    assert_eq!(opened(&REQUEST, &Seal { deadline_unix_ms: NOW + 1, ..seal }, 1), Err(SealError::Forged));
    let bytes = seal.encode();
    assert_eq!(Seal::decode(&bytes), Ok(seal));
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        let result = Seal::decode(&changed).and_then(|seal| opened(&REQUEST, &seal, 1));
        assert!(matches!(result, Err(SealError::Forged | SealError::Malformed(_))), "bit {bit}");
    }
    for end in 0..bytes.len() {
        assert!(matches!(Seal::decode(&bytes[..end]), Err(SealError::Malformed(_))));
    }
    assert!(matches!(Seal::decode(&[&bytes[..], &[0]].concat()), Err(SealError::Malformed(_))));
}

/// P6: a seal opens once, within the window, in time; a refused one changes nothing.
#[test]
fn a_seal_opens_once_and_in_time() {
    let mut sealer = Sealer::new(&key(1));
    let seals: Vec<_> =
        (0..=SEAL_WINDOW * 2).map(|_| sealer.seal(REQUEST.method, REQUEST.body, &REQUEST.proof, NOW)).collect();
    let at = |sequence: u64| &seals[sequence as usize - 1];
    let mut opener = Opener::new(&key(1));
    let mut open = |sequence| opener.open(&REQUEST, at(sequence), NOW);
    assert_eq!(open(2), Ok(()));
    assert_eq!(open(1), Ok(()), "requests may overtake each other");
    assert_eq!(open(1), Err(SealError::Replayed { sequence: 1 }));
    assert_eq!(open(2), Err(SealError::Replayed { sequence: 2 }));
    let highest = SEAL_WINDOW + 3;
    assert_eq!(open(highest), Ok(()));
    assert_eq!(open(3), Err(SealError::Stale { sequence: 3, highest }));
    assert_eq!(open(4), Ok(()), "the last of the window");
    assert_eq!(open(4), Err(SealError::Replayed { sequence: 4 }));
    assert_eq!(open(2 * SEAL_WINDOW + 1), Ok(()), "its place in the ring is that of number 1");
    assert_eq!(open(highest), Err(SealError::Replayed { sequence: highest }), "what is still within stays taken");

    let mut opener = Opener::new(&key(1));
    let late = SealError::Expired { deadline_unix_ms: NOW, now_unix_ms: NOW + 1 };
    assert_eq!(opener.open(&REQUEST, at(1), NOW + 1), Err(late));
    assert_eq!(opener.open(&REQUEST, at(1), NOW), Err(late), "the clock was turned back");
    let mut opener = Opener::new(&key(1));
    let far = opener.open(&REQUEST, at(1), NOW - AHEAD_MS_MAX - 1).unwrap_err();
    assert_eq!(far.reason(), "seal-too-long");
    assert_eq!(opener.open(&REQUEST, at(1), NOW - AHEAD_MS_MAX), Ok(()), "a refused seal was not used up");
    assert!(size_of_val(&opener) < 1_024, "P7");
}
