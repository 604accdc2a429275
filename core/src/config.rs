//! The rules of configuration: typed keys, layers in a fixed order, and where each value came from.
//!
//! Each room states its keys as data; whoever reads files, the environment and flags hands their values
//! in as layers; the last layer that says something wins, and [`Config::explain`] shows them all.

use alloc::{borrow::ToOwned, boxed::Box, collections::BTreeMap, string::String, vec, vec::Vec};

use crate::words::reads;

/// One key that a room owns.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted path. A segment `*` stands for any name, as in `providers.*.base_url`.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The value where nobody says anything, in the notation of [`Kind::read`].
    pub default: Option<&'static str>,
    /// What it means, in one sentence.
    pub doc: &'static str,
}

/// The type of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number within these bounds, both included.
    Int {
        /// Least.
        min: i64,
        /// Greatest.
        max: i64,
    },
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts; on one line they are separated by commas.
    List,
    /// A reference to a secret: `env:NAME` or `file:PATH`. Never the secret itself.
    Secret,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

reads! { Value: |self, f| match self {
    Value::Bool(value) => write!(f, "{value}"),
    Value::Int(value) => write!(f, "{value}"),
    Value::Text(value) => f.write_str(value),
    Value::List(values) => f.write_str(&values.join(",")),
} }

/// Where a value came from. The order is the order of precedence: a later source wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The key's own default.
    Default,
    /// A configuration file.
    File {
        /// Its path.
        path: Box<str>,
        /// The line of the value, from 1.
        line: u32,
    },
    /// An environment variable.
    Environment(Box<str>),
    /// A flag of the command line.
    Flag(Box<str>),
}

reads! { Source: |self, f| match self {
    Source::Default => f.write_str("default"),
    Source::File { path, line } => write!(f, "{path}:{line}"),
    Source::Environment(name) => write!(f, "environment variable {name}"),
    Source::Flag(name) => write!(f, "flag {name}"),
} }

impl Kind {
    /// Reads a value from text, as a flag, an environment variable or a default gives it.
    ///
    /// # Errors
    /// What was wanted.
    pub fn read(self, text: &str) -> Result<Value, String> {
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned);
        self.check(match self {
            Kind::Bool if ["true", "1", "yes", "on"].contains(&text) => Value::Bool(true),
            Kind::Bool if ["false", "0", "no", "off"].contains(&text) => Value::Bool(false),
            Kind::Int { .. } => Value::Int(text.parse().map_err(|_| self.wanted())?),
            Kind::List => Value::List(items().collect()),
            _ => Value::Text(text.to_owned()),
        })
    }

    /// Takes a value of the right type and range, and no other.
    ///
    /// # Errors
    /// What was wanted.
    pub fn check(self, value: Value) -> Result<Value, String> {
        let fits = match (self, &value) {
            (Kind::Bool, Value::Bool(_)) | (Kind::Text, Value::Text(_)) | (Kind::List, Value::List(_)) => true,
            (Kind::Int { min, max }, Value::Int(n)) => (min..=max).contains(n),
            (Kind::Choice(words), Value::Text(text)) => words.contains(&text.as_str()),
            (Kind::Secret, Value::Text(text)) => {
                let named = text.strip_prefix("env:").or_else(|| text.strip_prefix("file:"));
                named.is_some_and(|name| !name.is_empty())
            }
            _ => false,
        };
        if fits { Ok(value) } else { Err(self.wanted()) }
    }

    /// What a value of this kind looks like.
    pub fn wanted(self) -> String {
        match self {
            Kind::Bool => "wanted true or false".to_owned(),
            Kind::Int { min, max } => alloc::format!("wanted a whole number from {min} to {max}"),
            Kind::Text => "wanted a text".to_owned(),
            Kind::List => "wanted a list of texts".to_owned(),
            Kind::Choice(words) => alloc::format!("wanted one of {}", words.join(", ")),
            Kind::Secret => "wanted a reference: env:NAME or file:PATH, never the secret itself".to_owned(),
        }
    }
}

/// Every known key, and what each layer said of it.
#[derive(Clone, Debug)]
pub struct Config {
    keys: Vec<Key>,
    /// For each full key name, what was said, weakest source first.
    said: BTreeMap<String, Vec<(Source, Value)>>,
}

/// A value that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No room owns such a key.
    UnknownKey {
        /// What was given.
        name: Box<str>,
        /// Where.
        source: Source,
        /// The known key that looks most like it.
        nearest: Option<Box<str>>,
    },
    /// The value is of the wrong type or out of range.
    WrongValue {
        /// The key.
        name: Box<str>,
        /// Where.
        source: Source,
        /// What was wanted.
        wanted: Box<str>,
    },
}

reads! { ConfigError: |self, f| match self {
    ConfigError::UnknownKey { name, source, nearest } => {
        let known = "; `aether config explain` lists the known ones".to_owned();
        let hint = nearest.as_ref().map_or(known, |nearest| alloc::format!("; did you mean `{nearest}`?"));
        write!(f, "{source}: unknown key `{name}`{hint}")
    }
    ConfigError::WrongValue { name, source, wanted } => write!(f, "{source}: `{name}`: {wanted}"),
} }

impl Config {
    /// The configuration in which nobody said anything.
    ///
    /// A default that its own kind refuses counts as none; a test over all keys holds that there is no such key.
    pub fn new(tables: &[&[Key]]) -> Config {
        let keys: Vec<Key> = tables.iter().flat_map(|table| table.iter().copied()).collect();
        let defaults = keys.iter().filter_map(|key| Some((key.name, key.kind.read(key.default?).ok()?)));
        let said = defaults.map(|(name, value)| (name.to_owned(), vec![(Source::Default, value)])).collect();
        Config { keys, said }
    }

    /// Every known key.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The key that `name` is an instance of.
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| matches_pattern(key.name, name))
    }

    /// Takes in what `source` says of `name`. Said twice from sources of the same rank, the later stands.
    ///
    /// # Errors
    /// [`ConfigError`]; nothing has changed then.
    pub fn say(&mut self, name: &str, value: Value, source: Source) -> Result<(), ConfigError> {
        let Some(key) = self.key(name) else {
            let nearest = nearest(name, self.keys.iter().map(|key| key.name)).map(Into::into);
            return Err(ConfigError::UnknownKey { name: name.into(), source, nearest });
        };
        let kind = key.kind;
        let Ok(value) = kind.check(value) else {
            return Err(ConfigError::WrongValue { name: name.into(), source, wanted: kind.wanted().into() });
        };
        let said = self.said.entry(name.to_owned()).or_default();
        let place = said.partition_point(|(earlier, _)| rank(earlier) <= rank(&source));
        said.insert(place, (source, value));
        Ok(())
    }

    /// [`Config::say`] with a value given as text.
    ///
    /// # Errors
    /// As [`Config::say`].
    pub fn say_text(&mut self, name: &str, text: &str, source: Source) -> Result<(), ConfigError> {
        // A text that cannot be read is no value of its kind either, and is refused as such.
        let value = self.key(name).and_then(|key| key.kind.read(text).ok());
        self.say(name, value.unwrap_or_else(|| Value::Text(text.to_owned())), source)
    }

    /// The value that won; `None` where nobody said anything and there is no default.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.explain(name).last().map(|(_, value)| value)
    }

    /// A text that won.
    pub fn text(&self, name: &str) -> Option<&str> {
        if let Value::Text(text) = self.value(name)? { Some(text) } else { None }
    }

    /// A number that won.
    pub fn int(&self, name: &str) -> Option<i64> {
        if let Value::Int(number) = self.value(name)? { Some(*number) } else { None }
    }

    /// Whether a switch is on; one that nobody set is off.
    pub fn is_on(&self, name: &str) -> bool {
        self.value(name) == Some(&Value::Bool(true))
    }

    /// A list that won; empty where there is none.
    pub fn list(&self, name: &str) -> &[String] {
        if let Some(Value::List(items)) = self.value(name) { items } else { &[] }
    }

    /// Everything that was said of `name`, the weakest source first and the one that won last.
    pub fn explain(&self, name: &str) -> &[(Source, Value)] {
        self.said.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names that `*` stands for where something was said of a key like `providers.*.base_url`, given
    /// the part before the star, such as `providers.`.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let heads = self.said.keys().filter_map(move |key| key.strip_prefix(prefix)?.split('.').next());
        let mut last = None;
        heads.filter(move |head| *head != "*" && last.replace(*head) != Some(*head))
    }
}

fn rank(source: &Source) -> u8 {
    match source {
        Source::Default => 0,
        Source::File { .. } => 1,
        Source::Environment(_) => 2,
        Source::Flag(_) => 3,
    }
}

fn matches_pattern(pattern: &str, name: &str) -> bool {
    let mut names = name.split('.');
    let fits = pattern.split('.').all(|p| names.next().is_some_and(|n| p == n || (p == "*" && !n.is_empty())));
    fits && names.next().is_none()
}

/// The candidate that looks most like `name`, if one is close enough to be a slip of the hand: at most a
/// third of its letters differ, or one of two (optimal string alignment distance).
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = name.chars().count();
    // What differs in length by more than may differ at all needs no closer look.
    let is_near = |candidate: &&str| candidate.chars().count().abs_diff(letters) * 3 <= letters.max(3);
    let ranked = candidates.into_iter().filter(is_near).map(|candidate| (distance(name, candidate), candidate));
    let best = ranked.min_by_key(|(distance, _)| *distance)?;
    (best.0 < letters && best.0 * 3 <= letters.max(3)).then_some(best.1)
}

/// Insertions, deletions, substitutions and swaps of neighbours from `a` to `b`, ignoring ASCII case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().map(|c| c.to_ascii_lowercase()).collect();
    let b: Vec<char> = b.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let changed = above[j] + usize::from(a[i] != b[j]);
            row[j + 1] = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = core::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    /// The definition, as it is written down.
    fn by_definition(a: &[u8], b: &[u8]) -> usize {
        let (Some((last_a, head_a)), Some((last_b, head_b))) = (a.split_last(), b.split_last()) else {
            return a.len() + b.len();
        };
        let changed = by_definition(head_a, head_b) + usize::from(last_a != last_b);
        let least = changed.min(by_definition(head_a, b) + 1).min(by_definition(a, head_b) + 1);
        match (a, b) {
            ([.., a2, a1], [.., b2, b1]) if a1 == b2 && a2 == b1 => {
                least.min(by_definition(&a[..a.len() - 2], &b[..b.len() - 2]) + 1)
            }
            _ => least,
        }
    }

    #[test]
    fn the_distance_is_that_of_optimal_string_alignment() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut word = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (0..random % 7)
                .map(|n| char::from(b'a' + (random >> (8 + 2 * n)) as u8 % 3))
                .collect::<alloc::string::String>()
        };
        for _ in 0..600 {
            let (a, b) = (word(), word());
            assert_eq!(distance(&a, &b), by_definition(a.as_bytes(), b.as_bytes()), "{a} {b}");
            assert_eq!(distance(&a.to_ascii_uppercase(), &b), distance(&a, &b));
        }
    }
}
