//! The name service of a jail: one question in, one answer out, nothing asked of anybody (RFC 1035, RFC 6891).

use std::net::Ipv4Addr;

use crate::names::Name;

/// Longest question that is read, in bytes: what resolvers put into one datagram (RFC 6891 section 6.2.5).
pub const QUESTION_BYTES_MAX: usize = 1232;

/// How long an answer may be kept, in seconds. The address stays with the name for the life of the jail.
const ANSWER_SECONDS: u32 = 60;

const HEADER_BYTES: usize = 12;
const KIND_A: u16 = 1;
const KIND_OPT: u16 = 41;
const CLASS_INTERNET: u16 = 1;

/// What a well-formed question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address.
    Address,
    /// Anything else: IPv6 addresses, HTTPS and SVCB records, texts.
    Other,
}

/// A question as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    header: [u8; 4],
    /// Name, type and class, as they came.
    wire: &'a [u8],
    name: Option<Name>,
    kind: Kind,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This address.
    Address(Ipv4Addr),
    /// The name exists and has nothing of that kind.
    Nothing,
    /// No answer for such a question.
    Refused,
}

/// Why a datagram is no question that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not even a header, or an answer: nothing is said.
    Silent,
    /// Broken; the answer says so.
    Format([u8; 4]),
    /// Another operation than a query; the answer says so.
    Operation([u8; 4]),
}

impl Fault {
    /// The answer to it, if there is one.
    #[must_use]
    pub fn reply(&self) -> Option<Vec<u8>> {
        match self {
            Fault::Silent => None,
            Fault::Format(header) => Some(head(*header, 1, [0, 0])),
            Fault::Operation(header) => Some(head(*header, 4, [0, 0])),
        }
    }
}

impl<'a> Question<'a> {
    /// Reads one query with one question, of class IN, without compression, and with nothing behind it but at most one OPT
    /// record (RFC 6891 section 6.1.1).
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn read(packet: &'a [u8]) -> Result<Question<'a>, Fault> {
        let (Some(header), true) = (packet.first_chunk::<4>(), packet.len() >= HEADER_BYTES) else {
            return Err(Fault::Silent);
        };
        let header = *header;
        if header[2] & 0x80 != 0 {
            return Err(Fault::Silent);
        }
        if header[2] & 0x78 != 0 {
            return Err(Fault::Operation(header));
        }
        let wrong = Fault::Format(header);
        let count = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        // A truncated query (TC) is none; one question, no answers, no authorities, at most one record more.
        if packet.len() > QUESTION_BYTES_MAX
            || header[2] & 0x02 != 0
            || (count(4), count(6), count(8)) != (1, 0, 0)
            || count(10) > 1
        {
            return Err(wrong);
        }
        let (name, name_end) = read_name(packet).ok_or(wrong)?;
        let end = name_end + 4;
        let Some(&[kind_high, kind_low, class_high, class_low]) = packet.get(name_end..end) else { return Err(wrong) };
        if !is_tail(&packet[end..], count(10)) {
            return Err(wrong);
        }
        let is_internet = u16::from_be_bytes([class_high, class_low]) == CLASS_INTERNET;
        let kind = if u16::from_be_bytes([kind_high, kind_low]) == KIND_A { Kind::Address } else { Kind::Other };
        Ok(Question { header, wire: &packet[HEADER_BYTES..end], name: name.filter(|_| is_internet), kind })
    }

    /// The name; `None` where it, or its class, is none that could be allowed.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// What is asked for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The answer, at most 300 bytes.
    #[must_use]
    pub fn reply(&self, answer: Answer) -> Vec<u8> {
        let (code, answers) = match answer {
            Answer::Address(_) => (0, 1),
            Answer::Nothing => (0, 0),
            Answer::Refused => (5, 0),
        };
        let mut packet = head(self.header, code, [1, answers]);
        packet.extend_from_slice(self.wire);
        if let Answer::Address(address) = answer {
            // A pointer to the name at byte 12, type A, class IN.
            packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
            packet.extend_from_slice(&ANSWER_SECONDS.to_be_bytes());
            packet.extend_from_slice(&[0, 4]);
            packet.extend_from_slice(&address.octets());
        }
        packet
    }
}

/// A header (RFC 1035 section 4.1.1): the query's id and RD, a response with recursion, a code, questions and answers.
fn head(query: [u8; 4], code: u8, [questions, answers]: [u8; 2]) -> Vec<u8> {
    let [id_high, id_low, flags, _] = query;
    let operation_and_recursion = flags & 0x79;
    vec![id_high, id_low, 0x80 | operation_and_recursion, 0x80 | code, 0, questions, 0, answers, 0, 0, 0, 0]
}

/// The name of the question and where it ends; `None` inside where its labels are none of a host.
fn read_name(packet: &[u8]) -> Option<(Option<Name>, usize)> {
    let mut text = String::new();
    let mut is_host = true;
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        // 0xc0 would be a pointer; a question that comes first has nothing to point to.
        let label = packet.get(at..at + length).filter(|_| length <= crate::names::LABEL_BYTES_MAX)?;
        at += length;
        // 255 bytes on the wire: a length before each label, and the end.
        if at - HEADER_BYTES > crate::names::NAME_BYTES_MAX + 1 {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        let is_plain = label.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.');
        is_host &= is_plain;
        text.extend(label.iter().filter(|_| is_plain).map(|byte| char::from(*byte)));
    }
    Some((Some(text).filter(|_| is_host).and_then(|text| Name::parse(&text)), at))
}

/// Whether what follows the question is nothing, or exactly one OPT record.
fn is_tail(rest: &[u8], records: u16) -> bool {
    if records == 0 {
        return rest.is_empty();
    }
    let Some((&[root, kind_high, kind_low, ..], [length_high, length_low], options)) =
        rest.split_at_checked(9).and_then(|(fixed, more)| {
            let (length, options) = more.split_first_chunk::<2>()?;
            Some((fixed, *length, options))
        })
    else {
        return false;
    };
    root == 0
        && u16::from_be_bytes([kind_high, kind_low]) == KIND_OPT
        && options.len() == usize::from(u16::from_be_bytes([length_high, length_low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query for `name`, whose labels stand between dots.
    fn query(name: &[u8], kind: u16) -> Vec<u8> {
        let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split(|byte| *byte == b'.') {
            packet.push(u8::try_from(label.len()).expect("short"));
            packet.extend_from_slice(label);
        }
        packet.push(0);
        packet.extend_from_slice(&kind.to_be_bytes());
        packet.extend_from_slice(&[0, 1]);
        packet
    }

    #[test]
    fn a_question_and_its_answers() {
        let packet = query(b"Api.Example.COM", 1);
        let question = Question::read(&packet).expect("a question");
        assert_eq!(question.name().map(Name::as_str), Some("api.example.com"));
        assert_eq!(question.kind(), Kind::Address);
        let address = question.reply(Answer::Address(Ipv4Addr::new(198, 18, 0, 7)));
        assert_eq!(address[..12], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(address[12..packet.len()], packet[12..], "the question comes back letter by letter");
        assert_eq!(address[packet.len()..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 18, 0, 7]);
        let nothing = question.reply(Answer::Nothing);
        assert_eq!((nothing[3], nothing[7], nothing.len()), (0x80, 0, packet.len()));
        let refused = question.reply(Answer::Refused);
        assert_eq!((refused[3], refused[7], refused.len()), (0x85, 0, packet.len()));
        for kind in [28, 65, 64, 16, 255, 10, 5] {
            let packet = query(b"example.com", kind);
            assert_eq!(Question::read(&packet).expect("a question").kind(), Kind::Other, "{kind}");
        }
    }

    #[test]
    fn an_opt_record_may_follow() {
        let mut packet = query(b"example.com", 1);
        packet[11] = 1;
        let plain = packet.len();
        packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0]);
        assert!(Question::read(&packet).is_ok());
        for cut in plain..packet.len() {
            assert!(matches!(Question::read(&packet[..cut]), Err(Fault::Format(_))), "{cut}");
        }
        packet[plain + 2] = 1;
        assert!(matches!(Question::read(&packet), Err(Fault::Format(_))), "another record than OPT");
    }

    /// E6: what is not exactly one question is refused, and what is no query is not answered.
    #[test]
    fn what_is_not_one_question() {
        let good = query(b"example.com", 1);
        let with = |at: usize, byte: u8| {
            let mut packet = good.clone();
            packet[at] = byte;
            packet
        };
        for cut in 0..good.len() {
            let fault = Question::read(&good[..cut]).expect_err("cut");
            assert_eq!(fault == Fault::Silent, cut < 12, "{cut}");
        }
        assert_eq!(Question::read(&with(2, 0x81)), Err(Fault::Silent), "a response");
        assert_eq!(Question::read(&with(2, 0x29)).expect_err("notify").reply().map(|r| r[3]), Some(0x84));
        for (at, byte) in
            [(2, 3), (5, 0), (5, 2), (4, 1), (7, 1), (9, 1), (11, 1), (11, 2), (12, 0xc0), (12, 64), (12, 8)]
        {
            let fault = Question::read(&with(at, byte)).expect_err("broken");
            assert_eq!(fault.reply().map(|reply| reply[3]), Some(0x81), "{at} {byte}");
        }
        let mut more = good.clone();
        more.push(0);
        assert!(Question::read(&more).is_err(), "something behind the question");
        let chaos = with(good.len() - 1, 3);
        assert_eq!(Question::read(&chaos).expect("a question").name(), None, "another class");
    }

    #[test]
    fn names_that_no_host_has() {
        for name in [
            &b"127.0.0.1"[..],
            b"2130706433",
            b"a\0b.com",
            b"a b.com",
            b"-a.com",
            b"\xc3\xbc.com",
            b"a@b.com",
            b"0x7f.1",
        ] {
            let packet = query(name, 1);
            assert_eq!(Question::read(&packet).expect("well-formed").name(), None, "{name:?}");
        }
        let mut dotted = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5];
        dotted.extend_from_slice(b"a.com\0\0\x01\0\x01");
        assert_eq!(Question::read(&dotted).expect("well-formed").name(), None, "a dot inside a label");
        let root = query(b"", 1);
        assert!(Question::read(&root[..root.len() - 1]).is_err() || Question::read(&root).is_err());
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert!(Question::read(&query(longest.as_bytes(), 1)).expect("well-formed").name().is_some());
        let longer = format!("{longest}b");
        assert!(Question::read(&query(longer.as_bytes(), 1)).is_err());
    }
}
