//! What the times of a log tell: its range, silences, jumps backwards and bursts.

use crate::carry::{Carry, carry};
use crate::shelf::{self, Shelf};
use crate::spread::Spread;
use crate::stamp::{Face, Stamp};

/// How many of the largest gaps and jumps are kept.
const KEPT_MAX: usize = 3;
/// A step backwards that is no more than several writers taking turns.
const DISORDER_MS_MAX: i64 = 1000;
/// Buckets in time; when there are more, they get wider.
const BUCKETS_MAX: usize = 1600;
/// The widths of buckets: a minute, 5 minutes, an hour, 6 hours, a day, 30 days, a year.
const WIDTHS_MS: [i64; 7] = [60_000, 300_000, 3_600_000, 21_600_000, 86_400_000, 2_592_000_000, 31_536_000_000];

/// A step in time between two neighbouring stamped lines.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) line_before: u64,
    pub(crate) line_after: u64,
    /// What the line before says.
    pub(crate) before: String,
}
carry!(Step { from_ms, to_ms, line_before, line_after, before });

/// Bytes that are kept of what a line says.
const BEFORE_BYTES_MAX: usize = 100;

impl Step {
    pub(crate) fn size_ms(&self) -> u64 {
        self.to_ms.abs_diff(self.from_ms)
    }
}

/// What happened within one bucket of time.
#[derive(Clone, Debug, PartialEq)]
struct Bucket {
    lines: u64,
    troubles: u64,
    first_line: u64,
    last_line: u64,
    first_trouble: u64,
    last_trouble: u64,
}
carry!(Bucket { lines, troubles, first_line, last_line, first_trouble, last_trouble });

/// A stretch of time with far more lines than usual.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Burst {
    pub(crate) from_ms: i64,
    /// The end of its last bucket.
    pub(crate) to_ms: i64,
    pub(crate) first_line: u64,
    pub(crate) last_line: u64,
    pub(crate) count: u64,
    /// The most in one bucket.
    pub(crate) peak: u64,
}

/// What is counted in a search for bursts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Lines,
    Troubles,
}

/// Whether a line is where its time wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Newest,
    /// An earlier line has a later time.
    Late,
}

/// All times of one log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Clock {
    pub(crate) face: Face,
    pub(crate) stamped: u64,
    pub(crate) first_ms: i64,
    pub(crate) first_line: u64,
    pub(crate) latest_ms: i64,
    pub(crate) latest_line: u64,
    previous: Option<Step>,
    pub(crate) gaps: Vec<Step>,
    pub(crate) jumps: Vec<Step>,
    pub(crate) jumps_total: u64,
    pub(crate) earliest_ms: i64,
    buckets: Buckets,
}
carry!(Clock {
    face,
    stamped,
    first_ms,
    first_line,
    latest_ms,
    latest_line,
    previous,
    gaps,
    jumps,
    jumps_total,
    earliest_ms,
    buckets
});

impl Clock {
    /// Takes in the stamp of a line; `counted` says what for, `message` what it says.
    pub(crate) fn add(&mut self, stamp: &Stamp, line: u64, counted: Counted, message: &str) {
        if self.stamped == 0 {
            self.face = Face { zone: stamp.zone, style: stamp.style };
            (self.first_ms, self.first_line) = (stamp.ms, line);
            (self.earliest_ms, self.latest_ms, self.latest_line) = (stamp.ms, stamp.ms, line);
        }
        self.stamped += 1;
        let message = crate::words::head(message, BEFORE_BYTES_MAX).to_owned();
        let now = Step { from_ms: 0, to_ms: stamp.ms, line_before: 0, line_after: line, before: message };
        if let Some(previous) = self.previous.replace(now) {
            let previous_ms = previous.to_ms;
            let step = Step {
                from_ms: previous_ms,
                to_ms: stamp.ms,
                line_before: previous.line_after,
                line_after: line,
                before: previous.before,
            };
            if stamp.ms < previous_ms - DISORDER_MS_MAX {
                self.jumps_total += 1;
                keep(&mut self.jumps, step);
            } else if stamp.ms > self.latest_ms && previous_ms >= self.latest_ms - DISORDER_MS_MAX {
                keep(&mut self.gaps, step);
            }
        }
        let order = if stamp.ms + DISORDER_MS_MAX >= self.latest_ms { Order::Newest } else { Order::Late };
        self.buckets.add(stamp.ms, line, counted, order);
        self.earliest_ms = self.earliest_ms.min(stamp.ms);
        if stamp.ms >= self.latest_ms {
            (self.latest_ms, self.latest_line) = (stamp.ms, line);
        }
    }

    /// Milliseconds from the earliest to the latest line.
    pub(crate) fn span_ms(&self) -> u64 {
        self.latest_ms.abs_diff(self.earliest_ms)
    }

    /// The gaps that stand out: at least a minute, and at least 10 times the mean distance of two lines.
    pub(crate) fn silences(&self) -> impl Iterator<Item = &Step> {
        let mean = self.span_ms() / self.stamped.max(2).saturating_sub(1);
        let limit = (mean * 10).max(60_000).max(self.gaps.first().map_or(0, |gap| gap.size_ms() / 2));
        self.gaps.iter().filter(move |gap| gap.size_ms() >= limit)
    }

    pub(crate) fn bucket_ms(&self) -> u64 {
        self.buckets.width_ms().unsigned_abs()
    }

    /// How many lines a bucket that has any usually has: the median.
    pub(crate) fn lines_usual(&self) -> u64 {
        let mut counts = Spread::default();
        self.buckets.iter().for_each(|(_, bucket)| counts.add(bucket.lines));
        counts.percentile(50)
    }

    /// How many lines of trouble a bucket has in the mean, empty ones included.
    pub(crate) fn troubles_usual(&self) -> f64 {
        let troubles: u64 = self.buckets.iter().map(|(_, bucket)| bucket.troubles).sum();
        let buckets = self.span_ms() / self.bucket_ms().max(1) + 1;
        troubles as f64 / buckets as f64
    }

    /// The stretches with far more than usual, the largest first, at most three: at least 10 lines and 4
    /// times the median, or at least 5 lines of trouble and 6 times the mean.
    pub(crate) fn bursts(&self, counted: Counted) -> Vec<Burst> {
        let limit = match counted {
            Counted::Lines => (self.lines_usual() * 4).max(10),
            Counted::Troubles => ((self.troubles_usual() * 6.0) as u64).max(5),
        };
        let width = self.buckets.width_ms();
        let mut bursts: Vec<Burst> = Vec::new();
        for (start, bucket) in self.buckets.iter() {
            let (count, first_line, last_line) = match counted {
                Counted::Lines => (bucket.lines, bucket.first_line, bucket.last_line),
                Counted::Troubles => (bucket.troubles, bucket.first_trouble, bucket.last_trouble),
            };
            match bursts.last_mut() {
                // What is still going at half the limit belongs to it.
                Some(burst) if start - burst.to_ms <= width && count * 2 >= limit => {
                    burst.to_ms = start + width;
                    burst.first_line = burst.first_line.min(first_line);
                    burst.last_line = burst.last_line.max(last_line);
                    burst.count += count;
                    burst.peak = burst.peak.max(count);
                }
                _ if count >= limit => {
                    bursts.push(Burst {
                        from_ms: start,
                        to_ms: start + width,
                        first_line,
                        last_line,
                        count,
                        peak: count,
                    });
                }
                _ => {}
            }
        }
        let ranked = shelf::ranked(bursts.iter(), |burst| (burst.count, 0));
        ranked.into_iter().take(KEPT_MAX).cloned().collect()
    }
}

/// Keeps a step if it is one of the largest.
fn keep(steps: &mut Vec<Step>, step: Step) {
    let at = steps.partition_point(|known| known.size_ms() >= step.size_ms());
    if at < KEPT_MAX {
        steps.insert(at, step);
        steps.truncate(KEPT_MAX);
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Buckets {
    width: u64,
    /// By start, as [`place`] counts.
    by_start: Shelf<u64, Bucket>,
}

impl Buckets {
    fn width_ms(&self) -> i64 {
        WIDTHS_MS[(self.width as usize).min(WIDTHS_MS.len() - 1)]
    }

    fn add(&mut self, ms: i64, line: u64, counted: Counted, order: Order) {
        let start = place(ms - ms.rem_euclid(self.width_ms()));
        let fresh = self.by_start.value(&start).is_none();
        if fresh {
            let (first_line, last_line) = (line, line);
            let bucket = Bucket { lines: 0, troubles: 0, first_line, last_line, first_trouble: 0, last_trouble: 0 };
            self.by_start.insert(start, bucket);
        }
        if let Some(bucket) = self.by_start.value(&start) {
            bucket.add(line, counted, order);
        }
        // The widest bucket is a year, and stamps lie in the years 1900 to 2199.
        while self.by_start.len() > BUCKETS_MAX && (self.width as usize) < WIDTHS_MS.len() - 1 {
            self.widen();
        }
    }

    /// The buckets and when they start, in milliseconds, in order.
    fn iter(&self) -> impl Iterator<Item = (i64, &Bucket)> {
        self.by_start.iter().map(|(start, bucket)| (moment(*start), bucket))
    }

    fn widen(&mut self) {
        self.width += 1;
        let width = self.width_ms();
        let narrow = std::mem::take(&mut self.by_start);
        for (start, bucket) in narrow.iter() {
            let start = moment(*start);
            let start = place(start - start.rem_euclid(width));
            match self.by_start.value(&start) {
                Some(wide) => wide.join(bucket),
                None => self.by_start.insert(start, bucket.clone()),
            }
        }
    }
}

/// A moment as a number without sign, in the same order.
fn place(ms: i64) -> u64 {
    ms.cast_unsigned() ^ 1 << 63
}

/// The moment of a [`place`].
fn moment(place: u64) -> i64 {
    (place ^ 1 << 63).cast_signed()
}

impl Bucket {
    fn add(&mut self, line: u64, counted: Counted, order: Order) {
        self.lines += 1;
        if counted == Counted::Troubles {
            self.troubles += 1;
            if self.troubles == 1 {
                (self.first_trouble, self.last_trouble) = (line, line);
            }
        }
        // A line that only jumped back in time does not stretch the range.
        if order == Order::Newest {
            self.last_line = line;
            if counted == Counted::Troubles {
                self.last_trouble = line;
            }
        }
    }

    fn join(&mut self, later: &Bucket) {
        if later.troubles > 0 {
            if self.troubles == 0 {
                self.first_trouble = later.first_trouble;
            }
            self.last_trouble = self.last_trouble.max(later.last_trouble);
        }
        self.lines += later.lines;
        self.troubles += later.troubles;
        self.first_line = self.first_line.min(later.first_line);
        self.last_line = self.last_line.max(later.last_line);
    }
}

// Starts are multiples of the width, so small steps stand for large numbers.
impl Carry for Buckets {
    fn save(&self, out: &mut String) {
        self.width.save(out);
        (self.by_start.len() as u64).save(out);
        let mut before = 0;
        for (start, bucket) in self.iter() {
            let index = start / self.width_ms();
            (index - before).save(out);
            before = index;
            bucket.save(out);
        }
    }
    fn load(items: &mut crate::carry::Items) -> Option<Buckets> {
        let mut buckets = Buckets { width: u64::load(items)?, by_start: Shelf::default() };
        let mut index = 0i64;
        for _ in 0..u64::load(items)? {
            index = index.checked_add(i64::load(items)?)?;
            let start = place(index.checked_mul(buckets.width_ms())?);
            buckets.by_start.insert(start, Bucket::load(items)?);
        }
        Some(buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::{Style, Zone};

    fn clock(lines: impl IntoIterator<Item = (i64, Counted)>) -> Clock {
        let mut clock = Clock::default();
        for (n, (second, counted)) in lines.into_iter().enumerate() {
            let stamp = Stamp { ms: second * 1000, zone: Zone::East(0), style: Style::Iso, end: 0 };
            clock.add(&stamp, n as u64 + 1, counted, "x");
        }
        clock
    }

    #[test]
    fn gaps_and_jumps_are_told_apart() {
        // One line jumps back for an hour; the way forward again is no silence.
        let lines = (0..100).map(|n| n * 10).chain([990 - 3600]).chain((100..200).map(|n| n * 10)).chain([4000, 4010]);
        let clock = clock(lines.map(|second| (second, Counted::Lines)));
        assert_eq!((clock.stamped, clock.jumps_total), (203, 1));
        assert_eq!(
            (clock.jumps[0].line_before, clock.jumps[0].line_after, clock.jumps[0].size_ms()),
            (100, 101, 3_600_000)
        );
        let silences: Vec<_> = clock.silences().map(|gap| (gap.line_before, gap.line_after, gap.size_ms())).collect();
        assert_eq!(silences, [(201, 202, 2_010_000)]);
        assert_eq!((clock.first_ms, clock.earliest_ms, clock.latest_ms), (0, -2_610_000, 4_010_000));
    }

    #[test]
    fn bursts_stand_out() {
        let calm = |from: i64| (from..from + 60).map(|minute| (minute * 60, Counted::Lines));
        let storm = (0..90).map(|n| (3600 + n * 2, Counted::Troubles));
        let clock = clock(calm(0).chain(storm).chain(calm(63)));
        let bursts = clock.bursts(Counted::Troubles);
        assert_eq!(bursts.len(), 1);
        assert_eq!((bursts[0].first_line, bursts[0].last_line, bursts[0].count, bursts[0].peak), (61, 150, 90, 30));
        assert_eq!((bursts[0].from_ms, bursts[0].to_ms), (3_600_000, 3_780_000));
        assert_eq!(clock.bursts(Counted::Lines).len(), 1);
        assert_eq!(clock.lines_usual(), 1);
    }

    #[test]
    fn buckets_are_bounded_and_carried() {
        let clock = clock((0..40_000).map(|n| (n * 600, if n % 7 == 0 { Counted::Troubles } else { Counted::Lines })));
        assert!(clock.buckets.by_start.len() <= BUCKETS_MAX);
        assert_eq!(clock.buckets.iter().map(|(_, bucket)| bucket.lines).sum::<u64>(), 40_000);
        assert_eq!(crate::carry::read::<Clock>(&crate::carry::write(&clock)), Some(clock));
    }
}
