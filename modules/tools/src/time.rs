//! `time`: now, or another moment, in any time zone.

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::label::{Label, Origin};
use aether_core::tool::{Acts, Authorized, Hands, HandsError, Limits, Manifest, Needs, Output, Place, Runtime, Tool};

use crate::calendar::{Moment, offset, offset_told};
use crate::input::{Kind, Shape, optional};
use crate::page;
use crate::tzif::{LocalTime, Resolved, Zone};

const SHAPE: Shape = Shape(&[
    optional("zone", Kind::Text, "IANA name or +HH:MM"),
    optional("at", Kind::Text, "RFC 3339 or unix seconds"),
    optional("at_zone", Kind::Text, "zone of `at`, if it has none"),
]);

/// Where hands keep the time zone database.
const ZONES: &str = "$zoneinfo";
/// The largest file of that database that is read; its largest has about 4 kB.
const ZONE_BYTES_MAX: usize = 64 << 10;

/// The tool.
pub(crate) struct Time {
    manifest: Arc<Manifest>,
}

impl Time {
    pub(crate) fn new() -> Time {
        let manifest = Arc::new(Manifest {
            name: "time".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "The current time, or `at`, in a time zone (default: the person's).".into(),
            input: SHAPE.schema().into(),
            runtime: Runtime::Builtin,
            acts: Acts::NONE,
            capability: Capability::default(),
            limits: Limits::BUILTIN,
        });
        Time { manifest }
    }
}

impl Tool for Time {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn needs(&self, input: &str) -> Result<Needs, String> {
        SHAPE.read(input)?;
        Ok(Needs { acts: Acts::NONE, capability: Capability::default(), label: Label::from(Origin::Tool) })
    }

    fn run(&self, call: &Authorized, hands: &mut dyn Hands) -> Result<Output, String> {
        let input = SHAPE.read(&call.call().input)?;
        let clock = hands.clock().map_err(|error| error.to_string())?;
        let (seconds, note) = match input.text("at") {
            None => (clock.unix_ms.div_euclid(1000), ""),
            Some(at) => moment(at, input.text("at_zone").unwrap_or(&clock.zone), hands)?,
        };
        let (name, zone, missing) = match input.text("zone") {
            Some(name) => (name, AnyZone::find(name, hands)?, ""),
            // The person's own zone may be unknown to the database; the time itself is not.
            None => match AnyZone::find(&clock.zone, hands) {
                Ok(zone) => (clock.zone.as_str(), zone, ""),
                Err(error) if error == HandsError::Stopped.to_string() => return Err(error),
                Err(_) => ("UTC", AnyZone::Offset(0), "; the local time zone is not known here"),
            },
        };
        let text = told(seconds, name.trim(), &zone).ok_or("only the years 1 to 9999 are known")?;
        Ok(page::done(call, format!("{text}{note}{missing}"), Label::from(Origin::Tool)))
    }
}

/// A zone by name or by offset.
enum AnyZone {
    Offset(i64),
    Named(Zone),
}

impl AnyZone {
    fn find(name: &str, hands: &mut dyn Hands) -> Result<AnyZone, String> {
        let name = name.trim();
        if let Some(offset) = offset(name) {
            return Ok(AnyZone::Offset(offset));
        }
        let unknown = || {
            format!(
                "no time zone `{}` is known here; wanted a name such as Europe/Oslo, or an offset such as +02:00",
                page::clipped(name, 60)
            )
        };
        let is_name = name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b))
            && !name.starts_with('/');
        if !is_name || name.is_empty() {
            return Err(unknown());
        }
        for name in [name.to_owned(), capitalised(name)] {
            let place = Place::parse(&format!("{ZONES}/{name}")).map_err(|malformed| malformed.to_string())?;
            match hands.read(&place, 0, ZONE_BYTES_MAX) {
                Ok(bytes) => return Zone::parse(&bytes).map(AnyZone::Named).ok_or_else(unknown),
                Err(HandsError::Stopped) => return Err(HandsError::Stopped.to_string()),
                Err(_) => {}
            }
        }
        Err(unknown())
    }

    fn at(&self, seconds: i64) -> LocalTime {
        match self {
            AnyZone::Offset(offset) => LocalTime { offset: *offset, abbreviation: String::new() },
            AnyZone::Named(zone) => zone.at(seconds).clone(),
        }
    }
}

/// `america/new_york` as the database spells it, so far as a rule can know.
fn capitalised(name: &str) -> String {
    let mut is_start = true;
    let spelled = name.chars().map(|c| {
        let c = if is_start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        is_start = matches!(c, '/' | '_' | '-');
        c
    });
    spelled.collect()
}

/// The moment that a text names: seconds since 1970-01-01 UTC, and a remark.
fn moment(at: &str, zone: &str, hands: &mut dyn Hands) -> Result<(i64, &'static str), String> {
    let at = at.trim();
    let shown = page::clipped(at, 60);
    let digits = at.strip_prefix('-').unwrap_or(at);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() != 8 {
        return at.parse().map(|seconds| (seconds, "")).map_err(|_| format!("`{shown}` is too many seconds"));
    }
    let (local, rest) = Moment::read(at).map_err(|why| format!("`{shown}`: {why}"))?;
    if !rest.is_empty() {
        let east = offset(rest)
            .ok_or_else(|| format!("`{shown}`: `{}` is no offset such as +01:00 or Z", page::clipped(rest, 30)))?;
        return Ok((local.seconds() - east, ""));
    }
    Ok(match AnyZone::find(zone, hands)? {
        AnyZone::Offset(east) => (local.seconds() - east, ""),
        AnyZone::Named(zone) => match zone.resolve(local) {
            (seconds, Resolved::Once) => (seconds, ""),
            (seconds, Resolved::First) => (seconds, "; that local time occurs twice, the first is taken"),
            (seconds, Resolved::Skipped) => (seconds, "; that local time is skipped, the clock was set forward"),
        },
    })
}

fn told(seconds: i64, name: &str, zone: &AnyZone) -> Option<String> {
    let local_time = zone.at(seconds);
    let local = Moment::from_seconds(seconds.checked_add(local_time.offset)?)?;
    let abbreviation = match local_time.abbreviation.as_str() {
        "" => String::new(),
        short if short == name || short.starts_with(['+', '-']) => String::new(),
        short => format!(" ({short})"),
    };
    Some(format!(
        "{local}{} {name}{abbreviation}, {}, ISO week {}, day {} of the year; unix {seconds}",
        offset_told(local_time.offset),
        local.weekday_name(),
        local.week(),
        local.day_of_year()
    ))
}
