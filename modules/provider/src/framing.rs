//! Bytes to payloads: server-sent events, and JSON values one after the other.
//!
//! Both splitters take bytes cut anywhere and give one payload at a time:
//!
//! ```
//! use aether_provider::framing::EventStream;
//! let mut stream = EventStream::new(1 << 20);
//! let mut rest: &[u8] = b"data: 1\r\n\r\nda";
//! while let Some(event) = stream.next(&mut rest).unwrap() {
//!     assert_eq!(event.data, b"1");
//! }
//! ```

/// One payload of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The name of a server-sent event; empty if it has none, and for JSON values.
    pub name: &'a str,
    /// Its data.
    pub data: &'a [u8],
}

/// A single payload is larger than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// The limit that was passed.
    pub event_bytes_max: usize,
}

/// Splits a stream of server-sent events (WHATWG HTML, "Parsing an event stream" and "Interpreting an event
/// stream"). Lines end in CRLF, LF or CR; comments, `id`, `retry` and unknown fields are passed over.
///
/// It departs from the specification in one point: an event that the stream's end leaves without its blank line
/// is not thrown away but given by [`EventStream::end`], because several servers end that way.
#[derive(Debug)]
pub struct EventStream {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
    event_bytes_max: usize,
    at: Position,
    has_data: bool,
    was_given: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    FirstLine,
    AfterCarriageReturn,
    Elsewhere,
}

impl EventStream {
    /// A splitter for a new stream whose events have at most `event_bytes_max` bytes each.
    #[must_use]
    pub fn new(event_bytes_max: usize) -> EventStream {
        EventStream {
            line: Vec::new(),
            name: String::new(),
            data: Vec::new(),
            event_bytes_max,
            at: Position::FirstLine,
            has_data: false,
            was_given: false,
        }
    }

    /// The next event that `bytes` completes. Takes what it has used off their front; `None` when all are used.
    ///
    /// # Errors
    /// [`Overflow`]; the stream is then of no more use.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Event<'_>>, Overflow> {
        self.forget_given();
        while let Some(first) = bytes.first() {
            if self.at == Position::AfterCarriageReturn {
                self.at = Position::Elsewhere;
                if *first == b'\n' {
                    *bytes = &bytes[1..];
                    continue;
                }
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let used = end.unwrap_or(bytes.len());
            if self.line.len() + self.data.len() + used > self.event_bytes_max {
                return Err(Overflow { event_bytes_max: self.event_bytes_max });
            }
            let (piece, rest) = bytes.split_at(used);
            if end.is_none() {
                self.line.extend_from_slice(piece);
                *bytes = rest;
                return Ok(None);
            }
            *bytes = &rest[1..];
            let is_complete = self.line_end(piece);
            if rest[0] == b'\r' {
                self.at = Position::AfterCarriageReturn;
            }
            if is_complete {
                return Ok(Some(self.give()));
            }
        }
        Ok(None)
    }

    /// The stream is over: the event it broke off in, if that has data.
    pub fn end(&mut self) -> Option<Event<'_>> {
        self.forget_given();
        if !self.line.is_empty() {
            self.line_end(&[]);
        }
        if self.has_data { Some(self.give()) } else { None }
    }

    /// Ends the line whose last piece is `piece`. Says whether it completes an event.
    fn line_end(&mut self, piece: &[u8]) -> bool {
        let mut held = std::mem::take(&mut self.line);
        let line = if held.is_empty() {
            piece
        } else {
            held.extend_from_slice(piece);
            &held
        };
        let line = match self.at {
            Position::FirstLine => line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line),
            _ => line,
        };
        self.at = Position::Elsewhere;
        let is_complete = line.is_empty() && self.has_data;
        if line.is_empty() {
            if !is_complete {
                self.name.clear();
            }
        } else {
            self.field(line);
        }
        held.clear();
        self.line = held;
        is_complete
    }

    fn field(&mut self, line: &[u8]) {
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => {
                self.name.clear();
                self.name.push_str(&String::from_utf8_lossy(value));
            }
            _ => {}
        }
    }

    fn give(&mut self) -> Event<'_> {
        self.was_given = true;
        Event { name: &self.name, data: &self.data }
    }

    fn forget_given(&mut self) {
        if self.was_given {
            self.was_given = false;
            self.has_data = false;
            self.name.clear();
            self.data.clear();
        }
    }
}

/// Splits JSON values that follow one another: one body, lines of NDJSON, or values over several lines.
///
/// It only finds where a value ends; whether it is JSON is for the parser to say. Commas and white space
/// between values are passed over.
#[derive(Debug)]
pub struct Values {
    value: Vec<u8>,
    event_bytes_max: usize,
    depth: usize,
    at: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Between,
    Inside,
    InString,
    AfterBackslash,
    /// In something that is neither object, array nor string.
    Bare,
    Given,
}

impl Values {
    /// A splitter for values of at most `event_bytes_max` bytes each.
    #[must_use]
    pub fn new(event_bytes_max: usize) -> Values {
        Values { value: Vec::new(), event_bytes_max, depth: 0, at: Place::Between }
    }

    /// The next value that `bytes` completes. Takes what it has used off their front; `None` when all are used.
    ///
    /// # Errors
    /// [`Overflow`]; the splitter is then of no more use.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Event<'_>>, Overflow> {
        self.forget_given();
        let mut start = 0;
        let mut used = 0;
        while used < bytes.len() && self.at != Place::Given {
            if self.at == Place::Between {
                start = used;
            }
            self.step(bytes[used]);
            used += 1;
        }
        let is_between = self.at == Place::Between;
        let piece = if is_between { &[] } else { &bytes[start..used] };
        if self.value.len() + piece.len() > self.event_bytes_max {
            return Err(Overflow { event_bytes_max: self.event_bytes_max });
        }
        self.value.extend_from_slice(piece);
        *bytes = &bytes[used..];
        let is_given = self.at == Place::Given;
        Ok(is_given.then_some(Event { name: "", data: &self.value }))
    }

    /// The bytes are over: the value they broke off in, if there is one.
    pub fn end(&mut self) -> Option<Event<'_>> {
        self.forget_given();
        let is_open = self.at != Place::Between;
        self.at = Place::Given;
        is_open.then_some(Event { name: "", data: &self.value })
    }

    /// Whether the bytes so far end within an object, an array or a string.
    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        matches!(self.at, Place::Inside | Place::InString | Place::AfterBackslash)
    }

    fn step(&mut self, byte: u8) {
        self.at = match (self.at, byte) {
            (Place::Between, b' ' | b'\t' | b'\r' | b'\n' | b',') => Place::Between,
            (Place::Between | Place::Inside, b'{' | b'[') => {
                self.depth += 1;
                Place::Inside
            }
            (Place::Between | Place::Inside, b'"') => Place::InString,
            (Place::Inside, b'}' | b']') => {
                self.depth -= 1;
                if self.depth == 0 { Place::Given } else { Place::Inside }
            }
            (Place::InString, b'\\') => Place::AfterBackslash,
            (Place::InString, b'"') if self.depth == 0 => Place::Given,
            (Place::InString, b'"') => Place::Inside,
            (Place::AfterBackslash, _) => Place::InString,
            (Place::Bare, b'\n' | b'\r') => Place::Given,
            (Place::Between, _) => Place::Bare,
            (place, _) => place,
        };
    }

    fn forget_given(&mut self) {
        if self.at == Place::Given {
            self.at = Place::Between;
            self.depth = 0;
            self.value.clear();
        }
    }
}
