//! The capability algebra: what may be reached, as a meet-semilattice.
//!
//! [`Capability::covers`] is the order, [`Capability::meet`] the greatest lower bound, and
//! [`Capability::attenuate`] the only way to hand a capability on: it can shrink, never grow. Values are
//! kept in canonical form (sorted, nothing that another element already covers), so that two capabilities
//! that reach the same things are equal.

use alloc::{boxed::Box, vec::Vec};

use crate::words::reads;

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
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (text, "443"),
        };
        let digits = Some(port).filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
        let port = digits.and_then(|port| port.parse().ok()).filter(|port| *port != 0);
        let port = port.ok_or(wrong("a port is a number from 1 to 65535"))?;
        let (below, rest) = name.strip_prefix("*.").map_or((false, name), |rest| (true, rest));
        let is_legal = match rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => {
                !below && address.contains(':') && address.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b))
            }
            None => rest.split('.').all(|label| {
                !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            }),
        };
        if !is_legal {
            return Err(wrong(
                "a host is labels of letters, digits and hyphens with dots between, or an IPv6 address in brackets",
            ));
        }
        if below && !rest.contains('.') {
            return Err(wrong("a wildcard needs at least two labels to its right"));
        }
        Ok(Host { name: rest.to_ascii_lowercase().into(), below, port })
    }

    /// Whether every host and port that `other` stands for is also one of this.
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

reads! { Host: |self, f| write!(f, "{}{}:{}", if self.below { "*." } else { "" }, self.name, self.port) }

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
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return Err(wrong("`..` is not allowed in a path"));
        }
        let start = if text.starts_with('/') { "/" } else { "" };
        Ok(Place([start, &parts.join("/")].concat().into()))
    }

    /// The path, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this place or beneath it.
    pub fn covers(&self, other: &Place) -> bool {
        match other.0.strip_prefix(&*self.0) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || &*self.0 == "/",
            None => false,
        }
    }
}

reads! { Place: |self, f| f.write_str(&self.0) }

/// A text that is no host or no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What was found.
    pub text: Box<str>,
    /// Why it cannot be taken.
    pub why: &'static str,
}

reads! { Malformed: |self, f| write!(f, "`{}`: {}", self.text, self.why) }

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
    pub fn hosts(hosts: Vec<Host>) -> Network {
        let hosts = canonical(hosts, Host::covers);
        if hosts.is_empty() { Network::None } else { Network::Hosts(hosts) }
    }

    /// Whether everything that `other` reaches is reached by this.
    pub fn covers(&self, other: &Network) -> bool {
        self.excess(other).is_none()
    }

    fn meet(&self, other: &Network) -> Network {
        match (self, other) {
            (Network::Public, known) | (known, Network::Public) => known.clone(),
            _ => Network::hosts(meets(self.named(), other.named(), Host::covers)),
        }
    }

    fn excess(&self, other: &Network) -> Option<Excess> {
        match (self, other) {
            (Network::Public, _) => None,
            (_, Network::Public) => Some(Excess::Network(None)),
            _ => outside(self.named(), other.named(), Host::covers).map(|host| Excess::Network(Some(host.clone()))),
        }
    }

    fn named(&self) -> &[Host] {
        if let Network::Hosts(hosts) = self { hosts } else { &[] }
    }
}

/// What may be reached: hosts, files to read, files to write, programs to execute.
///
/// The bottom, which reaches nothing, is [`Capability::default`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capability {
    /// Hosts.
    pub network: Network,
    /// To read, to write, to execute; each in canonical form.
    places: [Vec<Place>; 3],
}

/// What an [`Excess`] is called in each of [`Capability::places`].
const EXCESSES: [fn(Place) -> Excess; 3] = [Excess::Read, Excess::Write, Excess::Program];

impl Capability {
    /// The same and these hosts instead of those before.
    pub fn with_network(self, network: Network) -> Capability {
        Capability { network, ..self }
    }

    /// The same and these places to read instead of those before.
    pub fn with_read(self, places: Vec<Place>) -> Capability {
        self.with(0, places)
    }

    /// The same and these places to write instead of those before.
    pub fn with_write(self, places: Vec<Place>) -> Capability {
        self.with(1, places)
    }

    /// The same and these programs to execute instead of those before.
    pub fn with_programs(self, places: Vec<Place>) -> Capability {
        self.with(2, places)
    }

    fn with(mut self, kind: usize, places: Vec<Place>) -> Capability {
        self.places[kind] = canonical(places, Place::covers);
        self
    }

    /// The places that may be read.
    pub fn read(&self) -> &[Place] {
        &self.places[0]
    }

    /// The places that may be written.
    pub fn write(&self) -> &[Place] {
        &self.places[1]
    }

    /// The programs that may be executed.
    pub fn programs(&self) -> &[Place] {
        &self.places[2]
    }

    /// Whether everything `other` reaches is reached by this.
    pub fn covers(&self, other: &Capability) -> bool {
        self.excess(other).is_none()
    }

    /// What both reach: the greatest capability that either covers.
    pub fn meet(&self, other: &Capability) -> Capability {
        let both = |kind: usize| meets(&self.places[kind], &other.places[kind], Place::covers);
        let places = core::array::from_fn(|kind| canonical(both(kind), Place::covers));
        Capability { network: self.network.meet(&other.network), places }
    }

    /// Hands on `narrower`, if it is one.
    ///
    /// # Errors
    /// The first thing that `narrower` reaches and this does not.
    pub fn attenuate(&self, narrower: Capability) -> Result<Capability, Excess> {
        self.excess(&narrower).map_or(Ok(narrower), Err)
    }

    /// The first thing that `other` reaches and this does not.
    pub fn excess(&self, other: &Capability) -> Option<Excess> {
        let kinds = self.places.iter().zip(&other.places).zip(EXCESSES);
        let mut places = kinds
            .filter_map(|((mine, theirs), excess)| outside(mine, theirs, Place::covers).map(|p| excess(p.clone())));
        self.network.excess(&other.network).or_else(|| places.next())
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

reads! { Excess: |self, f| match self {
    Excess::Network(Some(host)) => write!(f, "network to {host}"),
    Excess::Network(None) => write!(f, "network to any public host"),
    Excess::Read(place) => write!(f, "reading {place}"),
    Excess::Write(place) => write!(f, "writing {place}"),
    Excess::Program(place) => write!(f, "executing {place}"),
} }

/// Sorted, each once, and nothing that another element covers.
fn canonical<T: Ord + Clone>(mut items: Vec<T>, covers: fn(&T, &T) -> bool) -> Vec<T> {
    items.sort();
    items.dedup();
    let all = items.clone();
    items.retain(|item| !all.iter().any(|other| other != item && covers(other, item)));
    items
}

/// The first of `theirs` that none of `mine` covers.
fn outside<'a, T>(mine: &[T], theirs: &'a [T], covers: fn(&T, &T) -> bool) -> Option<&'a T> {
    theirs.iter().find(|t| !mine.iter().any(|m| covers(m, t)))
}

/// The pairwise meets. Elements are either nested or disjoint, so a meet is the smaller one or nothing.
fn meets<T: Clone>(a: &[T], b: &[T], covers: fn(&T, &T) -> bool) -> Vec<T> {
    let inside = |some: &[T], other: &[T]| -> Vec<T> {
        some.iter().filter(|x| other.iter().any(|y| covers(y, x))).cloned().collect()
    };
    let mut both = inside(a, b);
    both.extend(inside(b, a));
    both
}
