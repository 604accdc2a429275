//! `calculate`: arithmetic, exact where it can be.

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::config::nearest;
use aether_core::label::{Label, Origin};
use aether_core::tool::{Acts, Authorized, Hands, Limits, Manifest, Needs, Output, Runtime, Tool};

use crate::input::{Kind, Shape, required};
use crate::number::{Number, Ratio};
use crate::page;

const SHAPE: Shape = Shape(&[required("expression", Kind::Text, "")]);

/// The longest expression.
const EXPRESSION_BYTES_MAX: usize = 4 << 10;
/// The most parentheses, signs and powers inside one another.
const DEPTH_MAX: usize = 64;

const FUNCTIONS: [&str; 17] = [
    "sqrt",
    "abs",
    "round",
    "floor",
    "ceil",
    "min",
    "max",
    "sum",
    "ln",
    "log10",
    "log2",
    "exp",
    "sin",
    "cos",
    "tan",
    "atan",
    "factorial",
];

/// The tool.
pub(crate) struct Calculate {
    manifest: Arc<Manifest>,
}

impl Calculate {
    pub(crate) fn new() -> Calculate {
        let manifest = Arc::new(Manifest {
            name: "calculate".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Exact arithmetic: + - * / % ^ ( ), sqrt, round(x,digits), min, max, ln, sin, pi…".into(),
            input: SHAPE.schema().into(),
            runtime: Runtime::Builtin,
            acts: Acts::NONE,
            capability: Capability::default(),
            limits: Limits::BUILTIN,
        });
        Calculate { manifest }
    }
}

impl Tool for Calculate {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn needs(&self, input: &str) -> Result<Needs, String> {
        SHAPE.read(input)?;
        Ok(Needs { acts: Acts::NONE, capability: Capability::default(), label: Label::from(Origin::Tool) })
    }

    fn run(&self, call: &Authorized, _: &mut dyn Hands) -> Result<Output, String> {
        let input = SHAPE.read(&call.call().input)?;
        let value = value(input.required("expression"))?;
        Ok(page::done(call, value.to_string(), Label::from(Origin::Tool)))
    }
}

/// The value of an expression.
///
/// Grammar, loosest first: sum = product (("+" | "-") product)*; product = power (("*" | "/" | "%") power)*;
/// power = "-" power | postfix ("^" power)?; postfix = atom "%"?; atom = number | name | name "(" sum ("," sum)* ")" |
/// "(" sum ")". A `%` before a number, a name or a parenthesis is a remainder, anywhere else it divides by 100.
///
/// # Errors
/// A sentence that says where and what was wanted.
pub(crate) fn value(expression: &str) -> Result<Number, String> {
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(format!("the expression has {} bytes; at most {EXPRESSION_BYTES_MAX} are taken", expression.len()));
    }
    let mut reader = Reader { text: expression, at: 0, depth: 0 };
    let value = reader.sum()?;
    match reader.next() {
        None => Ok(value),
        Some(',') => {
            Err(reader.wrong("a comma stands only between the arguments of a function; write 1234567.5 without commas"))
        }
        Some(_) => Err(reader.wrong("wanted an operator or the end")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    /// The next character that is no blank.
    fn next(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, wanted: &[char]) -> Option<char> {
        let found = self.next().filter(|c| wanted.contains(c))?;
        self.at += found.len_utf8();
        Some(found)
    }

    fn wrong(&self, why: &str) -> String {
        let rest: String = self.text[self.at..].chars().take(12).collect();
        if rest.is_empty() { format!("at the end: {why}") } else { format!("at `{rest}`: {why}") }
    }

    /// One level deeper; recursion is bounded by [`DEPTH_MAX`].
    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result<Number, String>) -> Result<Number, String> {
        if self.depth == DEPTH_MAX {
            return Err(self.wrong("more than 64 levels inside one another"));
        }
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn sum(&mut self) -> Result<Number, String> {
        let mut value = self.product()?;
        while let Some(sign) = self.take(&['+', '-', '−', '–']) {
            let other = self.product()?;
            value = if sign == '+' { value.add(other)? } else { value.subtract(other)? };
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Number, String> {
        let mut value = self.power()?;
        while let Some(sign) = self.take(&['*', '/', '%', '×', '·', '÷']) {
            if sign == '*' && self.text[self.at..].starts_with('*') {
                return Err(self.wrong("write ^ for a power"));
            }
            let other = self.power()?;
            value = match sign {
                '/' | '÷' => value.divide(other)?,
                '%' => value.remainder(other)?,
                _ => value.multiply(other)?,
            };
        }
        Ok(value)
    }

    fn power(&mut self) -> Result<Number, String> {
        if let Some(sign) = self.take(&['-', '+', '−', '–']) {
            let value = self.deeper(Self::power)?;
            return Ok(if sign == '+' { value } else { value.negated() });
        }
        let base = self.postfix()?;
        if self.take(&['^']).is_none() {
            return Ok(base);
        }
        base.power(self.deeper(Self::power)?)
    }

    fn postfix(&mut self) -> Result<Number, String> {
        let value = self.atom()?;
        let before = self.at;
        if self.take(&['%']).is_some() {
            let is_remainder = self.next().is_some_and(|c| c.is_alphanumeric() || c == '(' || c == '.');
            if !is_remainder {
                return value.divide(Number::from_whole(100));
            }
            self.at = before;
        }
        Ok(value)
    }

    fn atom(&mut self) -> Result<Number, String> {
        match self.next() {
            Some('(') => {
                self.at += 1;
                let value = self.deeper(Self::sum)?;
                self.close()?;
                Ok(value)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_alphabetic() => self.name(),
            _ => Err(self.wrong("wanted a number, a name or `(`")),
        }
    }

    fn close(&mut self) -> Result<(), String> {
        self.take(&[')']).map(|_| ()).ok_or_else(|| self.wrong("wanted `)`"))
    }

    fn number(&mut self) -> Result<Number, String> {
        let rest = &self.text[self.at..];
        let digits = |text: &str| text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'_').count();
        let mut end = digits(rest);
        if rest[end..].starts_with('.') {
            end += 1 + digits(&rest[end + 1..]);
        }
        // An `e` is an exponent only before digits.
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            let exponent = digits(&rest[end + 1 + sign..]);
            end += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
        let text: String = rest[..end].chars().filter(|c| *c != '_').collect();
        let float = || {
            text.parse::<f64>().map_err(|_| self.wrong("wanted a number such as 12.5")).and_then(Number::approximate)
        };
        let value = Ratio::decimal(&text).map_or_else(float, |ratio| Ok(Number::Exact(ratio)))?;
        self.at += end;
        Ok(value)
    }

    fn name(&mut self) -> Result<Number, String> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let name = rest[..end].to_lowercase();
        match name.as_str() {
            "pi" | "π" => self.at += end,
            "e" | "tau" => self.at += end,
            name if FUNCTIONS.contains(&name) => {}
            name => {
                let near = nearest(name, FUNCTIONS).unwrap_or("sqrt");
                return Err(
                    self.wrong(&format!("unknown name; did you mean `{near}`? known: {}, pi, e", FUNCTIONS.join(", ")))
                );
            }
        }
        match name.as_str() {
            "pi" | "π" => return Ok(Number::Approximate(std::f64::consts::PI)),
            "e" => return Ok(Number::Approximate(std::f64::consts::E)),
            "tau" => return Ok(Number::Approximate(std::f64::consts::TAU)),
            _ => self.at += end,
        }
        if self.take(&['(']).is_none() {
            return Err(self.wrong(&format!("wanted `(` after {name}")));
        }
        let mut arguments = vec![self.deeper(Self::sum)?];
        while self.take(&[',', ';']).is_some() {
            arguments.push(self.deeper(Self::sum)?);
        }
        self.close()?;
        apply(&name, &arguments)
    }
}

fn apply(name: &str, arguments: &[Number]) -> Result<Number, String> {
    let first = arguments[0];
    let is_list = matches!(name, "min" | "max" | "sum");
    let arguments_max = if name == "round" { 2 } else { 1 };
    if !is_list && arguments.len() > arguments_max {
        return Err(format!(
            "{name} takes {}, found {}",
            page::counted(arguments_max, "argument", "arguments"),
            arguments.len()
        ));
    }
    let float = |function: fn(f64) -> f64| Number::approximate(function(first.float()));
    let logarithm = |function: fn(f64) -> f64| {
        if first.float() <= 0.0 {
            return Err(format!("{name} takes a number greater than 0"));
        }
        Number::approximate(function(first.float()))
    };
    match name {
        "sqrt" => first.root(),
        "abs" => Ok(if first.is_less(Number::from_whole(0))? { first.negated() } else { first }),
        "floor" => first.floor(),
        "ceil" => Ok(first.negated().floor()?.negated()),
        "round" => first.rounded(digits(arguments.get(1))?),
        "min" | "max" => arguments[1..].iter().try_fold(first, |best, next| {
            let is_better = if name == "min" { next.is_less(best)? } else { best.is_less(*next)? };
            Ok(if is_better { *next } else { best })
        }),
        "sum" => arguments[1..].iter().try_fold(first, |sum, next| sum.add(*next)),
        "factorial" => factorial(first),
        "ln" => logarithm(f64::ln),
        "log10" => logarithm(f64::log10),
        "log2" => logarithm(f64::log2),
        "exp" => float(f64::exp),
        "sin" => float(f64::sin),
        "cos" => float(f64::cos),
        "tan" => float(f64::tan),
        _ => float(f64::atan),
    }
}

fn digits(argument: Option<&Number>) -> Result<u32, String> {
    match argument {
        None => Ok(0),
        Some(Number::Exact(ratio)) if ratio.whole().is_some_and(|n| (0..=20).contains(&n)) => {
            Ok(ratio.whole().and_then(|n| u32::try_from(n).ok()).unwrap_or(0))
        }
        Some(other) => Err(format!("round takes 0 to 20 digits, found {other}")),
    }
}

fn factorial(number: Number) -> Result<Number, String> {
    let whole = match number {
        Number::Exact(ratio) => ratio.whole().filter(|n| (0..=170).contains(n)),
        Number::Approximate(_) => None,
    };
    let whole = whole.ok_or_else(|| format!("factorial takes a whole number from 0 to 170, found {number}"))?;
    (2..=whole).try_fold(Number::from_whole(1), |product, n| product.multiply(Number::from_whole(n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_right_and_exact_where_they_can_be() {
        let cases = [
            ("1 + 2 * 3", "7"),
            ("(1 + 2) * 3", "9"),
            ("0.1 + 0.2", "0.3"),
            ("19.99 * 3 + 4.5%", "60.015"),
            ("17% * 2340", "397.8"),
            ("1234567.89 - 0.01", "1234567.88"),
            ("7 % 3", "1"),
            ("-7 % 3", "2"),
            ("10 / 4", "2.5"),
            ("1/3", "≈ 0.333333333333333333333333333333 (exactly 1/3)"),
            ("1/3*3", "1"),
            ("-1/8", "-0.125"),
            ("2^100", "1267650600228229401496703205376"),
            ("2^-2", "0.25"),
            ("-2^2", "-4"),
            ("(-2)^2", "4"),
            ("2^3^2", "512"),
            ("2^0.5", "≈ 1.4142135623730951 (floating point)"),
            ("sqrt(2.25)", "1.5"),
            ("sqrt(2)", "≈ 1.4142135623730951 (floating point)"),
            ("round(2.675, 2)", "2.68"),
            ("round(-2.5)", "-3"),
            ("round(pi, 2)", "≈ 3.14 (floating point)"),
            ("floor(-1.5) + ceil(1.2)", "0"),
            ("min(3, 1/3, 0.5) * 3", "1"),
            ("max(1, 2.5; 2)", "2.5"),
            ("abs(-3) + sum(1, 2, 3)", "9"),
            ("factorial(20)", "2432902008176640000"),
            ("2^200", "≈ 1.6069380442589903e60 (floating point)"),
            ("1e3 + 1_000", "2000"),
            ("2e-3", "0.002"),
            ("1e300 * 1e8", "≈ 1e308 (floating point)"),
            ("6 × 7 − 1 ÷ 2", "41.5"),
            (".5 + 5.", "5.5"),
            ("ln(e)", "≈ 1 (floating point)"),
            ("50%", "0.5"),
            ("--3", "3"),
            ("170141183460469231731687303715884105727 + 1", "≈ 1.7014118346046923e38 (floating point)"),
        ];
        for (expression, wanted) in cases {
            assert_eq!(value(expression).map(|v| v.to_string()).as_deref(), Ok(wanted), "{expression}");
        }
    }

    #[test]
    fn t4_wrong_expressions_are_explained() {
        let cases = [
            ("1/0", "division by zero"),
            ("1 % 0", "division by zero"),
            ("0^-1", "division by zero: 0 to a negative power"),
            ("", "at the end: wanted a number, a name or `(`"),
            ("1 +", "at the end: wanted a number, a name or `(`"),
            ("2 3", "at `3`: wanted an operator or the end"),
            ("(1", "at the end: wanted `)`"),
            ("2**3", "at `*3`: write ^ for a power"),
            ("sqrt 2", "at `2`: wanted `(` after sqrt"),
            ("sqrt(1, 2)", "sqrt takes 1 argument, found 2"),
            ("sqrt(-1)", "the square root of a negative number is no real number"),
            ("ln(0)", "ln takes a number greater than 0"),
            ("1e308*10", "the result is too large: more than 1.8e308"),
            ("(-8)^(1/3)", "the result is no real number"),
            ("factorial(-1)", "factorial takes a whole number from 0 to 170, found -1"),
            ("round(1, 99)", "round takes 0 to 20 digits, found 99"),
        ];
        for (expression, wanted) in cases {
            assert_eq!(value(expression).unwrap_err(), wanted, "{expression}");
        }
        assert!(value("1,234.5").unwrap_err().contains("without commas"));
        assert!(value("sqr(2)").unwrap_err().contains("did you mean `sqrt`?"));
        assert!(value(&"(".repeat(4_000)).unwrap_err().contains("more than 64 levels"));
        assert!(value(&"-".repeat(4_000)).unwrap_err().contains("more than 64 levels"));
        assert!(value(&"1".repeat(5_000)).unwrap_err().contains("at most 4096"));
        assert_eq!(value(&format!("1{}", "+1".repeat(2_000))).map(|v| v.to_string()), Ok("2001".into()));
    }

    /// Random sums, products and quotients of fractions agree with floating point, and undo themselves exactly.
    #[test]
    fn exact_arithmetic_agrees_with_floating_point() {
        let mut seed = 5u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as i64 % 2_000 - 1_000
        };
        for round in 0..20_000 {
            let (a, b, c) = (random(), random().max(1), random().max(1));
            let text = format!("({a} / {b} + {c}.25) * {b} / {c} - {a}");
            let wanted = (a as f64 / b as f64 + c as f64 + 0.25) * b as f64 / c as f64 - a as f64;
            let found = value(&text).unwrap();
            assert!(
                (found.float() - wanted).abs() <= 1e-6 * wanted.abs().max(1.0),
                "round {round}: {text} = {found}, not {wanted}"
            );
            let back = value(&format!("(({text}) + {a}) * {c} / {b} - {c}.25")).unwrap();
            assert_eq!(back, value(&format!("{a}/{b}")).unwrap(), "round {round}: {text}");
        }
    }

    /// Any text gives a value or a sentence.
    #[test]
    fn t4_nothing_breaks_it() {
        let pieces = [
            "1",
            "9e9",
            ".",
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "(",
            ")",
            ",",
            "sqrt",
            "min(",
            "e",
            "pi",
            " ",
            "ä",
            "0",
            "999999999999999999999",
        ];
        let mut seed = 9u64;
        for _ in 0..50_000 {
            let mut text = String::new();
            for _ in 0..8 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            if let Ok(value) = value(&text) {
                assert!(value.float().is_finite() && !value.to_string().is_empty(), "{text}");
            }
        }
    }
}
