//! How values are spread: percentiles from a bounded number of counters.

use std::collections::BTreeMap;

use crate::carry::carry;

/// Counts values exactly while there are few distinct ones, and to better than 1 % after that.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    counts: BTreeMap<u64, u64>,
    total: u64,
    is_rounded: bool,
}
carry!(Spread { counts, total, is_rounded });

/// Distinct values counted exactly.
const DISTINCT_MAX: usize = 1024;
/// Leading bits kept of a rounded value: 2^-7 is 0.8 %.
const ROUNDED_BITS: u32 = 7;

impl Spread {
    pub(crate) fn add(&mut self, value: u64) {
        let key = if self.is_rounded { round(value) } else { value };
        *self.counts.entry(key).or_default() += 1;
        self.total += 1;
        if self.counts.len() > DISTINCT_MAX && !self.is_rounded {
            self.is_rounded = true;
            for (value, count) in std::mem::take(&mut self.counts) {
                *self.counts.entry(round(value)).or_default() += count;
            }
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Whether percentiles are rounded.
    pub(crate) fn is_rounded(&self) -> bool {
        self.is_rounded
    }

    /// The smallest value that `percent` of all values do not exceed (nearest rank); 0 without values.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (value, count) in &self.counts {
            seen += count;
            if seen >= rank {
                return *value;
            }
        }
        0
    }

    /// How many values are above `limit`.
    pub(crate) fn above(&self, limit: u64) -> u64 {
        self.counts.range(limit.saturating_add(1)..).map(|(_, count)| count).sum()
    }
}

fn round(value: u64) -> u64 {
    let drop = (64 - value.leading_zeros()).saturating_sub(ROUNDED_BITS);
    value >> drop << drop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_exact() {
        let mut spread = Spread::default();
        assert_eq!(spread.percentile(50), 0);
        (1..=100).rev().for_each(|value| spread.add(value));
        assert_eq!([0, 50, 95, 100].map(|p| spread.percentile(p)), [1, 50, 95, 100]);
        assert_eq!((spread.above(90), spread.above(100), spread.total(), spread.is_rounded()), (10, 0, 100, false));
    }

    #[test]
    fn many_values_stay_within_a_percent_and_within_bounds() {
        let mut spread = Spread::default();
        (0..200_000).for_each(|value| spread.add(value * 37));
        assert!(spread.is_rounded() && spread.counts.len() <= 2 * DISTINCT_MAX, "{}", spread.counts.len());
        for percent in [10, 50, 95, 99] {
            let exact = percent as f64 / 100.0 * 200_000.0 * 37.0;
            let found = spread.percentile(percent) as f64;
            assert!((found - exact).abs() / exact < 0.01, "p{percent}: {found} for {exact}");
        }
    }
}
