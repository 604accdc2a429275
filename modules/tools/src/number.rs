//! Numbers: exact fractions as long as 127 bits hold them, floating point after that, and it says which.

use std::fmt;

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Exact(Ratio),
    /// Rounded to 53 bits (IEEE 754, binary64). Always finite.
    Approximate(f64),
}

/// A fraction in lowest terms; the denominator is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ratio {
    numerator: i128,
    denominator: i128,
}

/// The largest power that is worked out exactly.
const EXPONENT_MAX: u32 = 1024;
/// Digits after the point that are shown of a fraction that does not end.
const DIGITS_MAX: usize = 30;

impl Ratio {
    /// `numerator / denominator`; `None` where the denominator is 0 or 127 bits do not hold it.
    pub(crate) fn new(numerator: i128, denominator: i128) -> Option<Ratio> {
        let divisor = i128::try_from(greatest_divisor(numerator.unsigned_abs(), denominator.unsigned_abs())).ok()?;
        if denominator == 0 {
            return None;
        }
        let sign = denominator.signum();
        let numerator = (numerator / divisor).checked_mul(sign)?;
        Some(Ratio { numerator, denominator: (denominator / divisor).checked_mul(sign)? })
    }

    /// A decimal number such as `12.50` or `1e-3`.
    pub(crate) fn decimal(text: &str) -> Option<Ratio> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let part = part.trim_end_matches('0');
        let numerator: i128 = format!("{whole}{part}").parse().ok()?;
        let scale = exponent.checked_sub(i32::try_from(part.len()).ok()?)?;
        let power = 10i128.checked_pow(scale.unsigned_abs())?;
        if scale < 0 { Ratio::new(numerator, power) } else { Ratio::new(numerator.checked_mul(power)?, 1) }
    }

    fn float(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    pub(crate) fn floor(self) -> i128 {
        self.numerator.div_euclid(self.denominator)
    }

    pub(crate) fn is_zero(self) -> bool {
        self.numerator == 0
    }

    pub(crate) fn is_negative(self) -> bool {
        self.numerator < 0
    }

    /// The whole number that it is, if it is one.
    pub(crate) fn whole(self) -> Option<i128> {
        (self.denominator == 1).then_some(self.numerator)
    }

    fn add(self, other: Ratio) -> Option<Ratio> {
        // Over the lowest common denominator, which overflows later than the product.
        let divisor =
            i128::try_from(greatest_divisor(self.denominator.unsigned_abs(), other.denominator.unsigned_abs())).ok()?;
        let left = self.numerator.checked_mul(other.denominator / divisor)?;
        let right = other.numerator.checked_mul(self.denominator / divisor)?;
        Ratio::new(left.checked_add(right)?, self.denominator.checked_mul(other.denominator / divisor)?)
    }

    fn multiply(self, other: Ratio) -> Option<Ratio> {
        // Crosswise in lowest terms first, so that only results that are too large are too large.
        let a = Ratio::new(self.numerator, other.denominator)?;
        let b = Ratio::new(other.numerator, self.denominator)?;
        Ratio::new(a.numerator.checked_mul(b.numerator)?, a.denominator.checked_mul(b.denominator)?)
    }

    fn inverse(self) -> Option<Ratio> {
        Ratio::new(self.denominator, self.numerator)
    }

    fn negated(self) -> Option<Ratio> {
        Some(Ratio { numerator: self.numerator.checked_neg()?, denominator: self.denominator })
    }

    fn power(self, exponent: i128) -> Option<Ratio> {
        let count = u32::try_from(exponent.unsigned_abs()).ok().filter(|count| *count <= EXPONENT_MAX)?;
        let base = if exponent < 0 { self.inverse()? } else { self };
        Ratio::new(base.numerator.checked_pow(count)?, base.denominator.checked_pow(count)?)
    }

    fn root(self) -> Option<Ratio> {
        let exact = |n: i128| {
            let root = n.checked_isqrt()?;
            (root * root == n).then_some(root)
        };
        Ratio::new(exact(self.numerator)?, exact(self.denominator)?)
    }
}

fn greatest_divisor(a: u128, b: u128) -> u128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

impl Number {
    pub(crate) fn from_whole(number: i128) -> Number {
        Number::Exact(Ratio { numerator: number, denominator: 1 })
    }

    pub(crate) fn float(self) -> f64 {
        match self {
            Number::Exact(ratio) => ratio.float(),
            Number::Approximate(float) => float,
        }
    }

    /// # Errors
    /// A sentence where the number has no meaning or is larger than any float.
    pub(crate) fn approximate(float: f64) -> Result<Number, String> {
        if float.is_nan() {
            return Err("the result is no real number".into());
        }
        if float.is_infinite() {
            return Err("the result is too large: more than 1.8e308".into());
        }
        Ok(Number::Approximate(float))
    }

    pub(crate) fn is_zero(self) -> bool {
        match self {
            Number::Exact(ratio) => ratio.is_zero(),
            Number::Approximate(float) => float == 0.0,
        }
    }

    pub(crate) fn add(self, other: Number) -> Result<Number, String> {
        both(self, other, Ratio::add, |a, b| a + b)
    }

    pub(crate) fn subtract(self, other: Number) -> Result<Number, String> {
        both(self, other, |a, b| a.add(b.negated()?), |a, b| a - b)
    }

    pub(crate) fn multiply(self, other: Number) -> Result<Number, String> {
        both(self, other, Ratio::multiply, |a, b| a * b)
    }

    pub(crate) fn divide(self, other: Number) -> Result<Number, String> {
        if other.is_zero() {
            return Err("division by zero".into());
        }
        both(self, other, |a, b| a.multiply(b.inverse()?), |a, b| a / b)
    }

    /// What is left after whole times `other`; it has the sign of `other`.
    pub(crate) fn remainder(self, other: Number) -> Result<Number, String> {
        if other.is_zero() {
            return Err("division by zero".into());
        }
        let exact = |a: Ratio, b: Ratio| {
            let times = a.multiply(b.inverse()?)?.floor();
            a.add(b.multiply(Ratio::new(times, 1)?)?.negated()?)
        };
        both(self, other, exact, |a, b| a - b * (a / b).floor())
    }

    pub(crate) fn power(self, exponent: Number) -> Result<Number, String> {
        if self.is_zero() && exponent.float() < 0.0 {
            return Err("division by zero: 0 to a negative power".into());
        }
        both(self, exponent, |a, b| a.power(b.whole()?), f64::powf)
    }

    pub(crate) fn root(self) -> Result<Number, String> {
        if self.float() < 0.0 {
            return Err("the square root of a negative number is no real number".into());
        }
        match self {
            Number::Exact(ratio) if ratio.root().is_some() => Ok(ratio.root().map_or(self, Number::Exact)),
            number => Number::approximate(number.float().sqrt()),
        }
    }

    pub(crate) fn negated(self) -> Number {
        match self {
            Number::Exact(ratio) => ratio.negated().map_or(Number::Approximate(-ratio.float()), Number::Exact),
            Number::Approximate(float) => Number::Approximate(-float),
        }
    }

    /// Rounded to so many digits after the point; a half goes away from zero, as on a bill.
    pub(crate) fn rounded(self, digits: u32) -> Result<Number, String> {
        let scale = Number::from_whole(10).power(Number::from_whole(i128::from(digits)))?;
        let half = Ratio { numerator: 1, denominator: 2 };
        match self.multiply(scale)? {
            Number::Exact(ratio) if ratio.is_negative() => {
                let up = Number::Exact(ratio).negated().rounded_up(half)?.negated();
                up.divide(scale)
            }
            Number::Exact(ratio) => Number::Exact(ratio).rounded_up(half)?.divide(scale),
            Number::Approximate(float) => Number::approximate(float.round() / scale.float()),
        }
    }

    fn rounded_up(self, half: Ratio) -> Result<Number, String> {
        self.add(Number::Exact(half))?.floor()
    }

    pub(crate) fn floor(self) -> Result<Number, String> {
        match self {
            Number::Exact(ratio) => Ok(Number::from_whole(ratio.floor())),
            Number::Approximate(float) => Number::approximate(float.floor()),
        }
    }

    /// Whether it is less than `other`: exactly where both are exact.
    pub(crate) fn is_less(self, other: Number) -> Result<bool, String> {
        Ok(match self.subtract(other)? {
            Number::Exact(ratio) => ratio.is_negative(),
            Number::Approximate(float) => float < 0.0,
        })
    }
}

fn both(
    a: Number,
    b: Number,
    exact: impl Fn(Ratio, Ratio) -> Option<Ratio>,
    float: impl Fn(f64, f64) -> f64,
) -> Result<Number, String> {
    if let (Number::Exact(a), Number::Exact(b)) = (a, b)
        && let Some(ratio) = exact(a, b)
    {
        return Ok(Number::Exact(ratio));
    }
    Number::approximate(float(a.float(), b.float()))
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Exact(ratio) => ratio.fmt(f),
            Number::Approximate(float) if *float != 0.0 && !(1e-6..1e21).contains(&float.abs()) => {
                write!(f, "≈ {float:e} (floating point)")
            }
            Number::Approximate(float) => write!(f, "≈ {float} (floating point)"),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == 1 {
            return write!(f, "{}", self.numerator);
        }
        let sign = if self.numerator < 0 { "-" } else { "" };
        let denominator = self.denominator.unsigned_abs();
        let whole = self.numerator.unsigned_abs() / denominator;
        let mut rest = self.numerator.unsigned_abs() % denominator;
        let mut digits = String::new();
        // The rest is less than 2^127; ten times that does not fit, so one digit takes two steps of five and two.
        while rest != 0 && digits.len() < DIGITS_MAX {
            let (mut digit, mut left) = (0u8, 0u128);
            for _ in 0..10 {
                left += rest;
                if left >= denominator {
                    left -= denominator;
                    digit += 1;
                }
            }
            digits.push(char::from(b'0' + digit));
            rest = left;
        }
        if rest == 0 {
            return write!(f, "{sign}{whole}.{digits}");
        }
        write!(f, "≈ {sign}{whole}.{digits} (exactly {}/{})", self.numerator, self.denominator)
    }
}
