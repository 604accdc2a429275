//! How many columns of a terminal a text takes.

/// Columns of one character: 0 for marks that sit on the one before, 2 for East Asian wide ones and emoji.
///
/// The ranges are those of Unicode's EastAsianWidth (W, F) and of combining marks, at the precision that placing a
/// cursor needs: blocks, not single characters. A character that a terminal draws otherwise misplaces the cursor
/// until the next line.
pub(crate) fn of_char(c: char) -> usize {
    match c {
        ' '..='~' => 1,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}' => 0,
        '\u{64b}'..='\u{65f}' | '\u{6d6}'..='\u{6dc}' | '\u{93c}' | '\u{941}'..='\u{948}' | '\u{94d}' => 0,
        '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{1ab0}'..='\u{1aff}' => 0,
        '\u{1dc0}'..='\u{1dff}' | '\u{200b}'..='\u{200f}' | '\u{20d0}'..='\u{20ff}' => 0,
        '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{1f3fb}'..='\u{1f3ff}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{231a}' | '\u{231b}' | '\u{23e9}'..='\u{23ec}' | '\u{2705}' | '\u{274c}' => 2,
        '\u{2e80}'..='\u{303e}' | '\u{3041}'..='\u{a4cf}' | '\u{a960}'..='\u{a97c}' | '\u{ac00}'..='\u{d7a3}' => 2,
        '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' => 2,
        '\u{1f300}'..='\u{1f64f}' | '\u{1f680}'..='\u{1f6ff}' | '\u{1f900}'..='\u{1f9ff}' => 2,
        '\u{1fa70}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}' => 2,
        c if c.is_control() => 0,
        _ => 1,
    }
}

/// Columns of a text on one line; colours (ECMA-48, control sequences) take none.
pub(crate) fn of_text(text: &str) -> usize {
    let mut total = 0;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            skip_sequence(&mut rest);
        } else {
            total += of_char(c);
        }
    }
    total
}

/// Steps over what follows an escape character: a control sequence up to its final byte, or one character.
pub(crate) fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    if rest.next() == Some('[') {
        rest.find(|c| ('@'..='~').contains(c));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted() {
        for (text, wanted) in
            [("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 1), ("漢字", 4), ("🙂", 2), ("\u{1b}[1;36m> \u{1b}[0m", 2)]
        {
            assert_eq!(of_text(text), wanted, "{text}");
        }
    }
}
