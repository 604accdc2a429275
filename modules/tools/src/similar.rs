//! How alike two lines are, to point at what was probably meant.

/// The most lines that are compared.
const LINES_MAX: usize = 20_000;
/// The most characters of a line that are compared.
const CHARS_MAX: usize = 200;
/// The least likeness, in percent, that is worth a word.
const LIKENESS_MIN: u32 = 50;

/// Up to `count` lines most like `wanted`, best first, as (line number from 1, line). Lines less than half alike are left out.
pub(crate) fn lines<'a>(text: &'a str, wanted: &str, count: usize) -> Vec<(usize, &'a str)> {
    let pairs = pairs(wanted);
    let numbered = text.lines().enumerate().take(LINES_MAX).filter(|(_, line)| !line.trim().is_empty());
    let mut ranked: Vec<(u32, usize, &str)> = numbered
        .map(|(n, line)| (likeness(&pairs, line), n + 1, line))
        .filter(|(likeness, ..)| *likeness >= LIKENESS_MIN)
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.into_iter().take(count).map(|(_, n, line)| (n, line)).collect()
}

/// The share of neighbouring pairs of characters in common, in percent (Dice's coefficient), blanks aside.
fn likeness(wanted: &[[char; 2]], line: &str) -> u32 {
    let mut mine = pairs(line);
    let all = wanted.len() + mine.len();
    let possible = wanted.len().min(mine.len()) * 200;
    if possible < all * LIKENESS_MIN as usize {
        return 0;
    }
    let mut common = 0_usize;
    for pair in wanted {
        if let Some(at) = mine.iter().position(|other| other == pair) {
            mine.swap_remove(at);
            common += 1;
        }
    }
    (200 * common).checked_div(all).and_then(|percent| u32::try_from(percent).ok()).unwrap_or(0)
}

fn pairs(line: &str) -> Vec<[char; 2]> {
    let letters: Vec<char> = line.chars().filter(|c| !c.is_whitespace()).take(CHARS_MAX).collect();
    letters.windows(2).map(|pair| [pair[0], pair[1]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_lines_come_first() {
        let text = "fn main() {\n    let total = sum(a, b);\n    println!(\"{total}\");\n\n}\nlet total = sum(a, c);\n";
        let found = lines(text, "let totals = sum(a, b);", 2);
        assert_eq!(found, [(2, "    let total = sum(a, b);"), (6, "let total = sum(a, c);")]);
        assert_eq!(lines(text, "nothing of the kind", 3), []);
        assert_eq!(lines(text, "", 3), []);
    }
}
