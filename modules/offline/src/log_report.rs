//! A log's facts in words, each with the lines that prove it.

use crate::clock::{Burst, Counted};
use crate::level::Level;
use crate::log::{LONG_BYTES, Log};
use crate::numbers::Durations;
use crate::report::Report;
use crate::template::Group;
use crate::words::{self, count, counted};

/// Groups of errors that are named.
const ERRORS_MAX: usize = 8;
/// Groups of warnings that are named.
const WARNINGS_MAX: usize = 5;
/// Characters of an example.
const EXAMPLE_CHARS_MAX: usize = 130;

/// Writes what is known of the log called `name`.
pub(crate) fn write(log: &Log, name: &str, report: &mut Report) {
    report.say(summary(log, name));
    errors(log, report);
    unusual(log, report);
    warnings(log, report);
    figures(log, report);
    if log.access.hits > 0 {
        log.access.write(report);
    }
    odd_lines(log, report);
}

fn error_count(log: &Log) -> u64 {
    [Level::Error, Level::Fatal, Level::Suspect].iter().map(|level| log.levels.count(*level)).sum::<u64>()
        + log.access.of_class(5)
}

fn summary(log: &Log, name: &str) -> String {
    let clock = &log.clock;
    let mut text = format!("{name} is a log of {}", counted(log.lines, "line", "lines"));
    if clock.stamped > 0 {
        text += &format!(
            " from {} to {} ({}, {})",
            clock.face.second(clock.earliest_ms),
            clock.face.second(clock.latest_ms),
            words::span(clock.span_ms()),
            clock.face.zone_name()
        );
    }
    let errors = error_count(log);
    let warnings = log.levels.count(Level::Warn) + log.access.of_class(4);
    text += &format!(
        ", with {} and {}.",
        if errors == 0 { "no errors".to_owned() } else { counted(errors, "error", "errors") },
        if warnings == 0 { "no warnings".to_owned() } else { counted(warnings, "warning", "warnings") }
    );
    if let Some(top) = error_groups(log).first().filter(|top| top.count > 1) {
        text += &format!(
            " The most frequent error, {}× and {} of them, is {}.",
            count(top.count),
            words::share(top.count, errors),
            words::brief(&top.example)
        );
    }
    text
}

fn error_groups(log: &Log) -> Vec<&Group> {
    let mut groups = log.groups.ranked(Level::Error as u64, Level::Fatal as u64);
    groups.extend(log.groups.ranked(Level::Suspect as u64, Level::Suspect as u64));
    groups
}

fn errors(log: &Log, report: &mut Report) {
    let groups = error_groups(log);
    report.section(match groups.len() {
        0 | 1 => "Errors",
        _ => "Errors, the most frequent first (numbers and names that differ are counted together)",
    });
    list_groups(log, &groups, ERRORS_MAX, report);
}

fn warnings(log: &Log, report: &mut Report) {
    report.section("Warnings");
    list_groups(log, &log.groups.ranked(Level::Warn as u64, Level::Warn as u64), WARNINGS_MAX, report);
    if log.groups.beyond > 0 {
        report.item(format!(
            "{} more were of too many kinds to be told apart",
            counted(log.groups.beyond, "message", "messages")
        ));
    }
}

fn list_groups(log: &Log, groups: &[&Group], groups_max: usize, report: &mut Report) {
    for group in groups.iter().take(groups_max) {
        let place = place(log, group);
        let fatal = if group.level == Level::Fatal as u64 { "FATAL " } else { "" };
        report.item(format!(
            "{}× {fatal}{} ({place})",
            count(group.count),
            words::code(&group.example, EXAMPLE_CHARS_MAX)
        ));
    }
    if groups.len() > groups_max {
        let rest = &groups[groups_max..];
        let lines: u64 = rest.iter().map(|group| group.count).sum();
        report.item(format!("{} more kinds, {} in all", rest.len(), counted(lines, "line", "lines")));
    }
}

/// Where and when the messages of a group were found.
fn place(log: &Log, group: &Group) -> String {
    let face = log.clock.face;
    let moment = |ms| format!("{} {}", face.day(ms).0, face.minute_of_day(ms));
    let (first, last) = (count(group.first_line), count(group.last_line));
    match (group.count, group.times_ms) {
        (1, Some((ms, _))) => format!("line {first}, {}", moment(ms)),
        (1, None) => format!("line {first}"),
        (_, Some((from, to))) if face.day(from).0 == face.day(to).0 => {
            format!("first line {first}, last line {last}, {} to {}", moment(from), face.minute_of_day(to))
        }
        (_, Some((from, to))) => format!("first line {first}, last line {last}, {} to {}", moment(from), moment(to)),
        (_, None) => format!("first line {first}, last line {last}"),
    }
}

fn unusual(log: &Log, report: &mut Report) {
    let clock = &log.clock;
    report.section("Unusual");
    let bursts = clock.bursts(Counted::Troubles);
    for burst in &bursts {
        report.item(burst_text(log, burst, Counted::Troubles));
    }
    let of_lines = clock.bursts(Counted::Lines);
    for burst in of_lines.iter().filter(|b| !bursts.iter().any(|t| t.from_ms < b.to_ms && b.from_ms < t.to_ms)) {
        report.item(burst_text(log, burst, Counted::Lines));
    }
    for gap in clock.silences() {
        report.item(format!(
            "silence: nothing for {}, from {} to {} (between lines {} and {}), after {}",
            words::span(gap.size_ms()),
            clock.face.second(gap.from_ms),
            clock.face.second(gap.to_ms),
            count(gap.line_before),
            count(gap.line_after),
            words::brief(&gap.before)
        ));
    }
    for jump in &clock.jumps {
        report.item(format!(
            "the clock jumps back by {}, from {} (line {}) to {} (line {})",
            words::span(jump.size_ms()),
            clock.face.second(jump.from_ms),
            count(jump.line_before),
            clock.face.second(jump.to_ms),
            count(jump.line_after)
        ));
    }
    if clock.jumps_total > clock.jumps.len() as u64 {
        report.item(format!("{} jumps back in all", count(clock.jumps_total)));
    }
    rising(log, report);
    traces(log, report);
    for (line, text) in &log.recoveries {
        report.item(format!("works again: {} (line {})", words::code(text, 100), count(*line)));
    }
}

fn burst_text(log: &Log, burst: &Burst, counted_as: Counted) -> String {
    let clock = &log.clock;
    let (day, _) = clock.face.day(burst.from_ms);
    let width = words::span(clock.bucket_ms());
    let width = if width == "1 min" { "minute" } else { width.as_str() };
    let mut text = format!(
        "burst of {} on {day} from {} to {}",
        match counted_as {
            Counted::Troubles => counted(burst.count, "error", "errors"),
            Counted::Lines => counted(burst.count, "line", "lines"),
        },
        clock.face.minute_of_day(burst.from_ms),
        clock.face.minute_of_day(burst.to_ms)
    );
    let usual = match counted_as {
        Counted::Troubles => format!("{} in the mean", words::number((clock.troubles_usual() * 100.0).round() / 100.0)),
        Counted::Lines => format!("usually {}", count(clock.lines_usual())),
    };
    text += &format!(
        ", up to {} per {width} ({usual}), {}",
        count(burst.peak),
        words::lines(burst.first_line, burst.last_line)
    );
    let groups = log.groups.ranked(Level::Suspect as u64, Level::Fatal as u64);
    let within = groups.iter().find(|g| {
        g.level != Level::Warn as u64
            && g.first_line >= burst.first_line
            && g.last_line <= burst.last_line
            && g.count * 3 >= burst.count
    });
    if let Some(group) = within {
        let many = if group.count == burst.count { "all".to_owned() } else { count(group.count) };
        text += &format!("; {many} of them {}, seen at no other time", words::brief(&group.example));
    }
    text
}

fn rising(log: &Log, report: &mut Report) {
    for reading in log.gauges.rising().into_iter().take(4) {
        let value = |number: f64| format!("{}{}", words::number(number), reading.suffix);
        let peak = if reading.max > reading.last { format!(", at most {}", value(reading.max)) } else { String::new() };
        let full = match reading.full_after_ms() {
            Some(ms) => format!("; at this rate 100 % {} after the last one", words::span(ms)),
            None => String::new(),
        };
        report.item(format!(
            "rising: {} {} (line {}) → {} (line {}), {}{peak}{full}",
            words::code(&reading.name, 60),
            value(reading.first),
            count(reading.first_line),
            value(reading.last),
            count(reading.last_line),
            counted(reading.count, "reading", "readings"),
        ));
    }
}

fn traces(log: &Log, report: &mut Report) {
    let traces = &log.traces;
    for trace in &traces.kept {
        report.item(format!(
            "stack trace: {} with {} ({})",
            words::code(&trace.title, 100),
            counted(trace.frames, "frame", "frames"),
            words::lines(trace.first_line, trace.last_line)
        ));
    }
    if traces.total > traces.kept.len() as u64 {
        report.item(format!("{} stack traces in all", count(traces.total)));
    }
}

fn figures(log: &Log, report: &mut Report) {
    report.section("Figures");
    let levels = log.levels.present().map(|(level, lines)| format!("{} {}", level.name(), count(lines)));
    let levels: Vec<String> = levels.collect();
    if !levels.is_empty() {
        report.item(format!("lines per level: {}", levels.join(" · ")));
    }
    for (key, durations) in log.timings.ranked().into_iter().take(3) {
        report.item(timing_text(key, durations));
    }
}

fn timing_text(key: &str, durations: &Durations) -> String {
    let spread = &durations.spread;
    let p50 = spread.percentile(50);
    let about = if spread.is_rounded() { "about " } else { "" };
    let mut text = format!(
        "{} in {} without error: p50 {about}{}, p95 {about}{}",
        if key.is_empty() { "durations".to_owned() } else { words::code(key, 40) },
        counted(spread.total(), "line", "lines"),
        words::micros(p50),
        words::micros(spread.percentile(95))
    );
    let outliers = spread.above(p50.saturating_mul(10));
    if outliers > 0 && p50 > 0 {
        text += &format!(", {} above 10 × p50", count(outliers));
    }
    if let Some(slowest) = durations.slowest.first() {
        text += &format!(
            "; slowest {} in line {}: {}",
            words::micros(slowest.us),
            count(slowest.line),
            words::code(&slowest.example, 80)
        );
    }
    let next =
        durations.slowest.iter().skip(1).map(|slow| format!("{} (line {})", words::micros(slow.us), count(slow.line)));
    let next: Vec<String> = next.collect();
    if next.is_empty() { text } else { text + ", then " + &next.join(", ") }
}

fn odd_lines(log: &Log, report: &mut Report) {
    let odd = &log.oddities;
    report.section("Format");
    let clock = &log.clock;
    if odd.json > 0 {
        report.item(format!("JSON objects, one per line: {}", counted(odd.json, "line", "lines")));
    }
    if clock.stamped > 0 {
        let without = log.lines - clock.stamped.min(log.lines);
        let rest =
            if without == 0 { String::new() } else { format!(", {} without a time of their own", count(without)) };
        report.item(format!(
            "times as in {}: {}{rest}",
            clock.face.style.name(),
            counted(clock.stamped, "line", "lines")
        ));
    }
    if odd.unmatched.total > 0 && clock.stamped > 0 {
        report.item(format!(
            "fits no pattern: {} ({})",
            counted(odd.unmatched.total, "line", "lines"),
            odd.unmatched.place()
        ));
    }
    if odd.invalid.total > 0 {
        report.item(format!(
            "bytes that are not UTF-8: {} ({})",
            counted(odd.invalid.total, "line", "lines"),
            odd.invalid.place()
        ));
    }
    if odd.long.total > 0 {
        report.item(format!(
            "longer than {} bytes: {} ({}), the longest with {} is line {}",
            count(LONG_BYTES),
            counted(odd.long.total, "line", "lines"),
            odd.long.place(),
            counted(odd.longest_bytes, "byte", "bytes"),
            count(odd.longest_line)
        ));
    }
}
