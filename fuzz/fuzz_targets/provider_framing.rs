//! Server-sent events and JSON values: the same payloads however the bytes are cut, and none larger than allowed.
#![no_main]

use aether_fuzz::Draw;
use aether_provider::framing::{EventStream, Values};
use libfuzzer_sys::fuzz_target;

type Payload = (String, Vec<u8>);

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let event_bytes_max = draw.one_of(&[1 << 20, 64, 8, 1, 0]);
    let (whole, pieces) = draw.pieces();
    let single: Vec<&[u8]> = whole.chunks(1).collect();
    let of_events = events(&[whole], event_bytes_max);
    let of_values = values(&[whole], event_bytes_max);
    for pieces in [pieces, single] {
        // Where a limit is passed depends on how much is looked at in one go; what came before does not.
        agree(&of_events, &events(&pieces, event_bytes_max));
        agree(&of_values, &values(&pieces, event_bytes_max));
    }
    for (_, data) in of_events.0.iter().chain(&of_values.0) {
        assert!(data.len() <= event_bytes_max, "{} bytes of {event_bytes_max}", data.len());
    }
});

fn agree(one: &(Vec<Payload>, bool), other: &(Vec<Payload>, bool)) {
    if one.1 || other.1 {
        let both = one.0.len().min(other.0.len());
        assert_eq!(one.0[..both], other.0[..both]);
    } else {
        assert_eq!(one, other);
    }
}

/// The payloads, and whether the limit was passed.
fn events(pieces: &[&[u8]], event_bytes_max: usize) -> (Vec<Payload>, bool) {
    let mut stream = EventStream::new(event_bytes_max);
    let mut all = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match stream.next(&mut rest) {
                Ok(Some(event)) => all.push((event.name.to_owned(), event.data.to_vec())),
                Ok(None) => break,
                Err(_) => return (all, true),
            }
        }
        assert!(rest.is_empty(), "bytes are left");
    }
    all.extend(stream.end().map(|event| (event.name.to_owned(), event.data.to_vec())));
    (all, false)
}

fn values(pieces: &[&[u8]], event_bytes_max: usize) -> (Vec<Payload>, bool) {
    let mut stream = Values::new(event_bytes_max);
    let mut all = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match stream.next(&mut rest) {
                Ok(Some(event)) => all.push((String::new(), event.data.to_vec())),
                Ok(None) => break,
                Err(_) => return (all, true),
            }
        }
        assert!(rest.is_empty(), "bytes are left");
    }
    all.extend(stream.end().map(|event| (String::new(), event.data.to_vec())));
    (all, false)
}
