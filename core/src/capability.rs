//! The capability algebra: what may be reached, as a meet-semilattice.
//!
//! [`Capability::covers`] is the order, [`Capability::meet`] the greatest lower bound, and
//! [`Capability::attenuate`] the only way to hand a capability on: it can shrink, never grow. Values are
//! kept in canonical form (sorted, nothing that another element already covers), so that two capabilities
//! that reach the same things are equal.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A host on the network, exact or with `*.` at the left, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    /// Lower case, without the `*.`; an IPv6 address stands in brackets.
    name: Box<str>,
    /// `*.name`: any name below, not the name itself.
    below: bool,
    port: u16,
}

impl Host {
    /// Reads `host`, `host:port`, `*.host` or `*.host:port`; the port is 443 where none is given.
    ///
    /// # Errors
    /// Names what is wrong: an empty name or label, a character that no host name has, a `*` anywhere but
    /// as the whole leftmost label, a bare top-level wildcard, a port outside 1–65535.
    pub fn parse(text: &str) -> Result<Host, Malformed> {
        let wrong = |why| Malformed { text: text.into(), why };
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inner, after) = rest.split_once(']').ok_or(wrong("the bracket is never closed"))?;
                if inner.is_empty() || !inner.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.') {
                    return Err(wrong("not an IPv6 address"));
                }
                (&text[..inner.len() + 2], after.strip_prefix(':').or(after.is_empty().then_some("443")))
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, Some("443")),
            },
        };
        let digits = port.filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
        let port = digits.and_then(|p| p.parse::<u16>().ok()).filter(|p| *p != 0);
        let port = port.ok_or(wrong("a port is a number from 1 to 65535"))?;
        if name.starts_with('[') {
            return Ok(Host { name: name.to_ascii_lowercase().into(), below: false, port });
        }
        let (below, rest) = match name.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if rest.split('.').any(|label| label.is_empty() || !label.bytes().all(legal)) {
            return Err(wrong("a host name is labels of letters, digits and hyphens, joined by dots"));
        }
        if below && !rest.contains('.') {
            return Err(wrong("a wildcard needs at least two labels to its right"));
        }
        Ok(Host { name: rest.to_ascii_lowercase().into(), below, port })
    }

    /// Whether every host and port that `other` stands for is also one of this.
    #[must_use]
    pub fn covers(&self, other: &Host) -> bool {
        self.port == other.port
            && if self.below {
                let tail = other.name.strip_suffix(&*self.name);
                tail.is_some_and(|head| head.ends_with('.') || (head.is_empty() && other.below))
            } else {
                !other.below && self.name == other.name
            }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", if self.below { "*." } else { "" }, self.name, self.port)
    }
}

/// A place in the file system: a path and everything beneath it.
///
/// The first component is a root such as `$workspace`, or empty for an absolute path. A path here is a
/// name, not a promise: that it cannot be left through a symbolic link is the executor's work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(Box<str>);

impl Place {
    /// Reads a path that starts with `/` or `$root`; empty and `.` components are dropped.
    ///
    /// # Errors
    /// A `..` component, a NUL, or a relative path.
    pub fn parse(text: &str) -> Result<Place, Malformed> {
        let wrong = |why| Malformed { text: text.into(), why };
        if text.contains('\0') {
            return Err(wrong("a path has no NUL"));
        }
        if !text.starts_with('/') && (!text.starts_with('$') || text.starts_with("$/") || text == "$") {
            return Err(wrong("a path starts with `/` or with a root such as `$workspace`"));
        }
        let mut path = String::with_capacity(text.len());
        for (n, part) in text.split('/').enumerate() {
            match part {
                ".." => return Err(wrong("`..` is not allowed in a path")),
                "" | "." => {}
                _ => {
                    if n > 0 {
                        path.push('/');
                    }
                    path.push_str(part);
                }
            }
        }
        if path.is_empty() {
            path.push('/');
        }
        Ok(Place(path.into()))
    }

    /// The path, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this place or beneath it.
    #[must_use]
    pub fn covers(&self, other: &Place) -> bool {
        match other.0.strip_prefix(&*self.0) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || &*self.0 == "/",
            None => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no host or no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What was found.
    pub text: Box<str>,
    /// Why it cannot be taken.
    pub why: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.text, self.why)
    }
}

/// Which hosts may be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// None.
    #[default]
    None,
    /// These hosts, in canonical order; never empty.
    Hosts(Vec<Host>),
    /// Any public host. Private, link-local and metadata addresses stay out of reach.
    Public,
}

impl Network {
    /// These hosts and no other.
    #[must_use]
    pub fn hosts(hosts: Vec<Host>) -> Network {
        let hosts = canonical(hosts, Host::covers);
        if hosts.is_empty() { Network::None } else { Network::Hosts(hosts) }
    }

    /// Whether everything that `other` reaches is reached by this.
    #[must_use]
    pub fn covers(&self, other: &Network) -> bool {
        match (self, other) {
            (Network::Public, _) | (_, Network::None) => true,
            (Network::Hosts(mine), Network::Hosts(theirs)) => all_covered(mine, theirs, Host::covers),
            (Network::None | Network::Hosts(_), _) => false,
        }
    }

    fn meet(&self, other: &Network) -> Network {
        match (self, other) {
            (Network::None, _) | (_, Network::None) => Network::None,
            (Network::Public, known) | (known, Network::Public) => known.clone(),
            (Network::Hosts(a), Network::Hosts(b)) => Network::hosts(meets(a, b, Host::covers)),
        }
    }
}

/// What may be reached: hosts, files to read, files to write, programs to execute.
///
/// The bottom, which reaches nothing, is [`Capability::default`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capability {
    /// Hosts.
    pub network: Network,
    read: Vec<Place>,
    write: Vec<Place>,
    programs: Vec<Place>,
}

impl Capability {
    /// The same and these hosts instead of those before.
    #[must_use]
    pub fn with_network(mut self, network: Network) -> Capability {
        self.network = network;
        self
    }

    /// The same and these places to read instead of those before.
    #[must_use]
    pub fn with_read(mut self, places: Vec<Place>) -> Capability {
        self.read = canonical(places, Place::covers);
        self
    }

    /// The same and these places to write instead of those before.
    #[must_use]
    pub fn with_write(mut self, places: Vec<Place>) -> Capability {
        self.write = canonical(places, Place::covers);
        self
    }

    /// The same and these programs to execute instead of those before.
    #[must_use]
    pub fn with_programs(mut self, places: Vec<Place>) -> Capability {
        self.programs = canonical(places, Place::covers);
        self
    }

    /// The places that may be read.
    #[must_use]
    pub fn read(&self) -> &[Place] {
        &self.read
    }

    /// The places that may be written.
    #[must_use]
    pub fn write(&self) -> &[Place] {
        &self.write
    }

    /// The programs that may be executed.
    #[must_use]
    pub fn programs(&self) -> &[Place] {
        &self.programs
    }

    /// Whether everything `other` reaches is reached by this.
    #[must_use]
    pub fn covers(&self, other: &Capability) -> bool {
        self.excess(other).is_none()
    }

    /// What both reach: the greatest capability that either covers.
    #[must_use]
    pub fn meet(&self, other: &Capability) -> Capability {
        let both = |a: &[Place], b: &[Place]| canonical(meets(a, b, Place::covers), Place::covers);
        Capability {
            network: self.network.meet(&other.network),
            read: both(&self.read, &other.read),
            write: both(&self.write, &other.write),
            programs: both(&self.programs, &other.programs),
        }
    }

    /// Hands on `narrower`, if it is one.
    ///
    /// # Errors
    /// The first thing that `narrower` reaches and this does not.
    pub fn attenuate(&self, narrower: Capability) -> Result<Capability, Excess> {
        match self.excess(&narrower) {
            None => Ok(narrower),
            Some(excess) => Err(excess),
        }
    }

    /// The first thing that `other` reaches and this does not.
    #[must_use]
    pub fn excess(&self, other: &Capability) -> Option<Excess> {
        if !self.network.covers(&other.network) {
            return Some(Excess::Network(match &other.network {
                Network::Hosts(hosts) => hosts.iter().find(|h| !self.reaches(h)).cloned(),
                Network::Public | Network::None => None,
            }));
        }
        let first =
            |mine: &[Place], theirs: &[Place]| theirs.iter().find(|p| !mine.iter().any(|m| m.covers(p))).cloned();
        None.or_else(|| first(&self.read, &other.read).map(Excess::Read))
            .or_else(|| first(&self.write, &other.write).map(Excess::Write))
            .or_else(|| first(&self.programs, &other.programs).map(Excess::Program))
    }

    fn reaches(&self, host: &Host) -> bool {
        matches!(&self.network, Network::Hosts(mine) if mine.iter().any(|m| m.covers(host)))
    }
}

/// What one capability reaches and another does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excess {
    /// A host, or (`None`) any public host.
    Network(Option<Host>),
    /// A place to read.
    Read(Place),
    /// A place to write.
    Write(Place),
    /// A program to execute.
    Program(Place),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Excess::Network(Some(host)) => write!(f, "network to {host}"),
            Excess::Network(None) => write!(f, "network to any public host"),
            Excess::Read(place) => write!(f, "reading {place}"),
            Excess::Write(place) => write!(f, "writing {place}"),
            Excess::Program(place) => write!(f, "executing {place}"),
        }
    }
}

/// Sorted, each once, and nothing that another element covers.
fn canonical<T: Ord + Clone>(mut items: Vec<T>, covers: fn(&T, &T) -> bool) -> Vec<T> {
    items.sort();
    items.dedup();
    let all = items.clone();
    items.retain(|item| !all.iter().any(|other| other != item && covers(other, item)));
    items
}

fn all_covered<T>(mine: &[T], theirs: &[T], covers: fn(&T, &T) -> bool) -> bool {
    theirs.iter().all(|t| mine.iter().any(|m| covers(m, t)))
}

/// The pairwise meets. Elements are either nested or disjoint, so a meet is the smaller one or nothing.
fn meets<T: Clone>(a: &[T], b: &[T], covers: fn(&T, &T) -> bool) -> Vec<T> {
    let mut both = Vec::new();
    for x in a {
        for y in b {
            if covers(x, y) {
                both.push(y.clone());
            } else if covers(y, x) {
                both.push(x.clone());
            }
        }
    }
    both
}
