//! The one encoding of an authority: written, and read back strictly.

use std::fmt;

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::digest::Digest;
use aether_core::tool::Limits;

use crate::authority::{ANY_TOOL, Authority};
use crate::chain::IssueError;

/// Hosts, places and programs of one block, at most.
pub const PLACES_MAX: usize = 256;
/// Bytes of one host or place, at most: the longest path that Linux takes.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Bytes of a tool's name, at most: what every provider of models accepts.
pub const TOOL_BYTES_MAX: usize = 64;

/// Bytes that are no proof or seal, or not the one encoding of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// How many bytes before the place were read without a fault.
    pub at_bytes: usize,
    /// What is wrong there.
    pub why: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at_bytes, self.why)
    }
}

impl std::error::Error for Malformed {}

/// Bytes that are read from the front.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at_bytes: usize,
    /// Where the first of `bytes` stands in the whole.
    base_bytes: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader::within(bytes, 0)
    }

    /// A reader of a part that begins `base_bytes` into the whole.
    pub(crate) fn within(bytes: &'a [u8], base_bytes: usize) -> Reader<'a> {
        Reader { bytes, at_bytes: 0, base_bytes }
    }

    pub(crate) fn wrong(&self, why: &'static str) -> Malformed {
        Malformed { at_bytes: self.place_bytes(), why }
    }

    /// How far into the whole it has read.
    pub(crate) fn place_bytes(&self) -> usize {
        self.base_bytes + self.at_bytes
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at_bytes.checked_add(bytes).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(self.wrong("it ends in the middle"))?;
        let taken = &self.bytes[self.at_bytes..end];
        self.at_bytes = end;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    fn short(&mut self) -> Result<usize, Malformed> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    pub(crate) fn word(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn long(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// 32 bytes behind a 1, or nothing behind a 0.
    pub(crate) fn maybe(&mut self) -> Result<Option<[u8; 32]>, Malformed> {
        let wrong = self.wrong("0 or 1 says whether 32 bytes follow");
        match self.byte()? {
            0 => Ok(None),
            1 => self.array().map(Some),
            _ => Err(wrong),
        }
    }

    fn text(&mut self, bytes: usize) -> Result<&'a str, Malformed> {
        let wrong = self.wrong("a text is UTF-8");
        std::str::from_utf8(self.take(bytes)?).map_err(|_| wrong)
    }

    /// A list of texts; `left` is how many more the block may hold.
    fn list<T: fmt::Display>(
        &mut self,
        left: &mut usize,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Malformed> {
        let wrong = self.wrong("a block has at most 256 hosts and places");
        let count = self.short()?;
        *left = left.checked_sub(count).ok_or(wrong)?;
        let mut items = Vec::new();
        for _ in 0..count {
            let wrong = self.wrong("a host or place as the kernel writes it");
            let bytes = self.short()?;
            if bytes > TEXT_BYTES_MAX {
                return Err(self.wrong("a host or place has at most 4096 bytes"));
            }
            let text = self.text(bytes)?;
            let item = parse(text).filter(|item| reads_as(item, text));
            items.push(item.ok_or(wrong)?);
        }
        Ok(items)
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.at_bytes == self.bytes.len() { Ok(()) } else { Err(self.wrong("nothing follows here")) }
    }
}

/// Whether an item is written exactly so, without making a text of it.
fn reads_as(item: &impl fmt::Display, text: &str) -> bool {
    struct Rest<'a>(&'a str);
    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(piece).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(text);
    fmt::write(&mut rest, format_args!("{item}")).is_ok() && rest.0.is_empty()
}

/// Whether a tool may have this name, or it stands for every tool.
fn is_tool(name: &str) -> bool {
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(|first| first.is_ascii_lowercase());
    let follows = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    name == ANY_TOOL || (starts && follows && name.len() <= TOOL_BYTES_MAX)
}

pub(crate) fn read_authority(reader: &mut Reader<'_>) -> Result<Authority, Malformed> {
    let issuer = reader.array()?;
    let task = reader.long()?;
    let wrong = reader.wrong("a tool's name is a small letter, then small letters, digits and underscores, or `*`");
    let bytes = usize::from(reader.byte()?);
    let tool = Some(reader.text(bytes)?).filter(|name| is_tool(name)).ok_or(wrong)?;
    Ok(Authority {
        issuer,
        task,
        tool: tool.to_owned(),
        call: reader.maybe()?.map(Digest),
        audience: reader.array()?,
        expires_unix_ms: reader.long()?,
        limits: Limits {
            runtime_ms_max: reader.long()?,
            cpu_ms_max: reader.long()?,
            memory_bytes_max: reader.long()?,
            processes_max: reader.word()?,
            output_bytes_max: reader.long()?,
        },
        capability: read_capability(reader)?,
    })
}

fn read_capability(reader: &mut Reader<'_>) -> Result<Capability, Malformed> {
    let mut left = PLACES_MAX;
    let wrong = reader.wrong("a network is 0, 1 with hosts in the kernel's order, or 2");
    let network = match reader.byte()? {
        0 => Network::None,
        1 => Network::Hosts(reader.list(&mut left, |text| Host::parse(text).ok())?),
        2 => Network::Public,
        _ => return Err(wrong),
    };
    if let Network::Hosts(hosts) = &network
        && Network::hosts(hosts.clone()) != network
    {
        return Err(wrong);
    }
    let wrong = reader.wrong("places stand in the kernel's order, none beneath another");
    let mut lists = [Vec::new(), Vec::new(), Vec::new()];
    for list in &mut lists {
        *list = reader.list(&mut left, |text| Place::parse(text).ok())?;
    }
    let [read, write, programs] = lists.clone();
    let capability =
        Capability::default().with_network(network).with_read(read).with_write(write).with_programs(programs);
    let canonical = [capability.read(), capability.write(), capability.programs()];
    if canonical.into_iter().eq(lists.iter().map(Vec::as_slice)) { Ok(capability) } else { Err(wrong) }
}

pub(crate) fn write_maybe(out: &mut Vec<u8>, bytes: Option<&[u8; 32]>) {
    out.push(u8::from(bytes.is_some()));
    out.extend_from_slice(bytes.map_or(&[], |bytes| bytes));
}

pub(crate) fn write_authority(out: &mut Vec<u8>, authority: &Authority) -> Result<(), IssueError> {
    out.extend_from_slice(&authority.issuer);
    out.extend_from_slice(&authority.task.to_be_bytes());
    let tool = Some(&authority.tool).filter(|name| is_tool(name));
    let tool = tool.ok_or_else(|| IssueError::Tool { found: authority.tool.clone() })?;
    out.extend(u8::try_from(tool.len()));
    out.extend_from_slice(tool.as_bytes());
    write_maybe(out, authority.call.as_ref().map(|digest| &digest.0));
    out.extend_from_slice(&authority.audience);
    out.extend_from_slice(&authority.expires_unix_ms.to_be_bytes());
    let limits = &authority.limits;
    for amount in [limits.runtime_ms_max, limits.cpu_ms_max, limits.memory_bytes_max] {
        out.extend_from_slice(&amount.to_be_bytes());
    }
    out.extend_from_slice(&limits.processes_max.to_be_bytes());
    out.extend_from_slice(&limits.output_bytes_max.to_be_bytes());
    write_capability(out, &authority.capability)
}

fn write_capability(out: &mut Vec<u8>, capability: &Capability) -> Result<(), IssueError> {
    let mut left = PLACES_MAX;
    match &capability.network {
        Network::None => out.push(0),
        Network::Public => out.push(2),
        Network::Hosts(hosts) => match Network::hosts(hosts.clone()) {
            Network::Hosts(hosts) => {
                out.push(1);
                write_list(out, &mut left, &hosts)?;
            }
            Network::None | Network::Public => out.push(0),
        },
    }
    for places in [capability.read(), capability.write(), capability.programs()] {
        write_list(out, &mut left, places)?;
    }
    Ok(())
}

fn write_list<T: fmt::Display>(out: &mut Vec<u8>, left: &mut usize, items: &[T]) -> Result<(), IssueError> {
    *left = left.checked_sub(items.len()).ok_or(IssueError::Places)?;
    write_short(out, items.len())?;
    for item in items {
        let text = item.to_string();
        if text.len() > TEXT_BYTES_MAX {
            return Err(IssueError::Text { found_bytes: text.len() });
        }
        write_short(out, text.len())?;
        out.extend_from_slice(text.as_bytes());
    }
    Ok(())
}

fn write_short(out: &mut Vec<u8>, number: usize) -> Result<(), IssueError> {
    let short = u16::try_from(number).map_err(|_| IssueError::Text { found_bytes: number })?;
    out.extend_from_slice(&short.to_be_bytes());
    Ok(())
}
