//! Messages in a stream: the same ones are found wherever it is cut, little is kept, and what is written is read back (W2, W3).
#![no_main]

use aether_fuzz::Draw;
use aether_proto::{
    CloseReply, CloseRequest, FRAME_HEAD_BYTES, FrameError, Frames, RunEvent, RunRequest, StatusReply, StatusRequest,
    put,
};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use prost::bytes::{Bytes, BytesMut};

const BYTES_MAX: usize = 4_096;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let bytes_max = draw.within(0..BYTES_MAX);
    let (whole, pieces) = draw.pieces();
    let at_once = read(bytes_max, &[whole]);
    assert_eq!(read(bytes_max, &pieces), at_once, "W3: a cut changes what is read");
    for message in &at_once.0 {
        assert!(message.len() <= bytes_max, "W2");
        known::<RunRequest>(message);
        known::<RunEvent>(message);
        known::<CloseRequest>(message);
        known::<CloseReply>(message);
        known::<StatusRequest>(message);
        known::<StatusReply>(message);
    }
});

/// Every message up to the end or to a fault, and the fault.
fn read(bytes_max: usize, pieces: &[&[u8]]) -> (Vec<Bytes>, Option<FrameError>) {
    let mut frames = Frames::new(bytes_max);
    let mut found = Vec::new();
    for piece in pieces {
        frames.push(piece);
        loop {
            match frames.next_message() {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    return (found, Some(error));
                }
            }
        }
        assert!(frames.held_bytes() < FRAME_HEAD_BYTES + bytes_max, "W2: a whole message is kept");
    }
    (found, None)
}

/// What can be read as this message can be written, and is then read as the same.
fn known<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &Bytes) {
    let Ok(message) = M::decode(bytes.clone()) else { return };
    let mut out = BytesMut::new();
    put(&message, usize::MAX, &mut out).expect("it fits");
    let (written, fault) = read(out.len(), &[&out]);
    assert!(fault.is_none() && written.len() == 1, "{fault:?}");
    assert_eq!(M::decode(written[0].clone()).as_ref(), Ok(&message), "W3");
}
