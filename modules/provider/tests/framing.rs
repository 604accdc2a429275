//! The splitters: every way the specification allows a stream to be written, and limits.

use aether_provider::framing::{EventStream, Overflow, Values};

const EVENT_BYTES_MAX: usize = 64;

/// Events of a stream in these pieces, as (name, data), and whether the last came only with the end.
fn events(pieces: &[&[u8]]) -> Vec<(String, String)> {
    let mut stream = EventStream::new(EVENT_BYTES_MAX);
    let mut found = Vec::new();
    let text = |data: &[u8]| String::from_utf8_lossy(data).into_owned();
    for piece in pieces {
        let mut rest = *piece;
        while let Ok(Some(event)) = stream.next(&mut rest) {
            found.push((event.name.to_owned(), text(event.data)));
        }
        assert!(rest.is_empty());
    }
    if let Some(event) = stream.end() {
        found.push((event.name.to_owned(), text(event.data)));
    }
    assert_eq!(stream.end(), None);
    found
}

fn check(stream: &str, expected: &[(&str, &str)]) {
    let bytes = stream.as_bytes();
    let expected: Vec<_> = expected.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect();
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(events(&[left, right]), expected, "cut at {cut} of {stream:?}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(events(&single), expected, "byte by byte: {stream:?}");
}

#[test]
fn p1_streams_read_the_same_however_written_and_cut() {
    let rows: &[(&str, &[(&str, &str)])] = &[
        ("", &[]),
        ("\n\n\n", &[]),
        ("data: a\n\n", &[("", "a")]),
        ("data:a\n\ndata:  b\n\n", &[("", "a"), ("", " b")]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
        ("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
        ("data: a\n\r\ndata: b\r\n\n", &[("", "a"), ("", "b")]),
        (": hello\ndata: a\n: again\ndata: b\n\n:\n\n", &[("", "a\nb")]),
        ("event: x\ndata: 1\n\ndata: 2\n\n", &[("x", "1"), ("", "2")]),
        ("event: x\n\ndata: 2\n\n", &[("", "2")]),
        ("event: x\nevent: y\ndata\n\n", &[("y", "")]),
        ("id: 7\nretry: 10\nother: z\ndatax: no\ndata: yes\n\n", &[("", "yes")]),
        ("data: a", &[("", "a")]),
        ("data: a\n", &[("", "a")]),
        ("data: a\r", &[("", "a")]),
        ("data: a\n\nda", &[("", "a")]),
        ("\u{feff}data: a\n\n", &[("", "a")]),
        ("\u{feff}\ndata: a\n\n", &[("", "a")]),
        ("data: a\n\n\u{feff}data: b\n\n", &[("", "a")]),
        ("data: gr\u{fc}\u{df}e \u{1f980}\n\n", &[("", "gr\u{fc}\u{df}e \u{1f980}")]),
        ("data:\ndata:\n\n", &[("", "\n")]),
        (" data: a\n\n", &[]),
    ];
    for (stream, expected) in rows {
        check(stream, expected);
    }
}

#[test]
fn p3_an_event_longer_than_the_limit_is_refused_wherever_it_is_cut() {
    let line = format!("data: {}\n\n", "x".repeat(EVENT_BYTES_MAX));
    let many = "data: 1234567\n".repeat(10);
    for stream in [line.as_str(), many.as_str()] {
        for size in [1, 7, stream.len()] {
            let mut splitter = EventStream::new(EVENT_BYTES_MAX);
            let refused = stream.as_bytes().chunks(size).find_map(|mut piece| {
                loop {
                    match splitter.next(&mut piece) {
                        Ok(Some(_)) => {}
                        Ok(None) => break None,
                        Err(overflow) => break Some(overflow),
                    }
                }
            });
            assert_eq!(refused, Some(Overflow { event_bytes_max: EVENT_BYTES_MAX }), "size {size}");
        }
    }
}

fn values(pieces: &[&[u8]]) -> Vec<String> {
    let mut splitter = Values::new(EVENT_BYTES_MAX);
    let mut found = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while let Ok(Some(event)) = splitter.next(&mut rest) {
            found.push(String::from_utf8_lossy(event.data).into_owned());
        }
        assert!(rest.is_empty());
    }
    if splitter.is_broken_off() {
        found.push("cut".to_owned());
    } else if let Some(event) = splitter.end() {
        found.push(String::from_utf8_lossy(event.data).into_owned());
    }
    found
}

#[test]
fn p1_values_end_where_they_end_and_not_at_lines() {
    let rows: &[(&str, &[&str])] = &[
        ("", &[]),
        (" \r\n\t", &[]),
        ("{}\n{}\n", &["{}", "{}"]),
        ("{\"a\":1}{\"b\":2}", &["{\"a\":1}", "{\"b\":2}"]),
        ("{\n \"a\": [\n1, {}\n]\n}\n", &["{\n \"a\": [\n1, {}\n]\n}"]),
        (r#"{"a":"}\"]{\\"}{}"#, &[r#"{"a":"}\"]{\\"}"#, "{}"]),
        ("[{\"a\":1}]", &["[{\"a\":1}]"]),
        ("\"a\" \"b\\\"\"", &["\"a\"", "\"b\\\"\""]),
        ("null\n12", &["null\n", "12"]),
        ("upstream failed", &["upstream failed"]),
        ("{\"a\":", &["cut"]),
        ("{}\n{\"a\":\"b", &["{}", "cut"]),
        ("} {}", &["} {}"]),
    ];
    for (text, expected) in rows {
        let bytes = text.as_bytes();
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(&values(&[left, right]), expected, "cut at {cut} of {text:?}");
        }
    }
}

#[test]
fn p3_a_value_longer_than_the_limit_is_refused() {
    let text = format!("[{}", "1,".repeat(EVENT_BYTES_MAX));
    for size in [1, 7, text.len()] {
        let mut splitter = Values::new(EVENT_BYTES_MAX);
        let refused = text.as_bytes().chunks(size).any(|mut piece| splitter.next(&mut piece).is_err());
        assert!(refused, "size {size}");
    }
}
