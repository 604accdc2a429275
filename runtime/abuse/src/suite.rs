//! The whole suite: which attack runs where, and whether what came of it is what the table says.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::run::{Outcome, Where, run};
use crate::stage::House;
use crate::table::{self, Attack, Shown, Who};
use crate::theatre::is_root;
use crate::without;

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Attacks whose names contain this; all where empty.
    pub only: String,
    /// Where nothing holds them.
    pub outside: bool,
    /// In bubblewrap.
    pub bubblewrap: bool,
    /// In the jail of this program.
    pub inside: Option<PathBuf>,
    /// In the jail of this program without the controls.
    pub unplugged: Option<PathBuf>,
    /// In the jail of this program where there are no namespaces, once policy has allowed what that takes.
    pub without: Option<PathBuf>,
    /// Nothing is to run at all: each must be refused for want of mechanisms.
    pub refused: bool,
    /// How many at once.
    pub hands: usize,
}

/// One line of the result.
#[derive(Clone, Debug)]
pub struct Line {
    attack: &'static Attack,
    place: &'static str,
    outcome: Outcome,
    wanted: String,
    is_right: bool,
}

/// The numbers of a suite.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Runs that went as the table says.
    pub right: usize,
    /// Runs that did not.
    pub wrong: usize,
    /// Runs that were not made, for the reason that the table gives.
    pub skipped: usize,
}

/// Runs what was chosen, writes a line of JSON for each run to `out` and a sentence for each failure to stderr.
///
/// # Errors
/// `out` cannot be written.
pub fn play(house: &House, choice: &Choice, out: &mut (dyn Write + Send)) -> io::Result<Sum> {
    let attacks: Vec<&'static Attack> =
        table::work().chain(table::all()).filter(|attack| attack.name.contains(&choice.only)).collect();
    let next = AtomicUsize::new(0);
    let state = Mutex::new((out, Sum::default(), Ok(())));
    std::thread::scope(|scope| {
        for _ in 0..choice.hands.clamp(1, 16) {
            scope.spawn(|| {
                while let Some(attack) = attacks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = attacks.iter().position(|other| other.name == attack.name).unwrap_or_default();
                    let (lines, skipped) = acts(house, attack, choice, number);
                    let Ok(mut state) = state.lock() else { return };
                    state.1.skipped += skipped;
                    for line in lines {
                        let sum = &mut state.1;
                        if line.is_right {
                            sum.right += 1
                        } else {
                            sum.wrong += 1
                        }
                        let written = tell(&line, state.0);
                        state.2 = std::mem::replace(&mut state.2, Ok(())).and(written);
                    }
                }
            });
        }
    });
    let (_, sum, written) = state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    written.map(|()| sum)
}

fn tell(line: &Line, out: &mut (dyn Write + Send)) -> io::Result<()> {
    let (word, text) = match &line.outcome {
        Outcome::Through(text) => ("through", text),
        Outcome::Stopped(text) => ("stopped", text),
        Outcome::Unclear(text) => ("unclear", text),
    };
    if !line.is_right {
        let Line { attack, place, wanted, .. } = line;
        writeln!(io::stderr(), "{} {place}: wanted {wanted}, found {word}: {text}", attack.name)?;
    }
    writeln!(
        out,
        "{{\"attack\":{},\"group\":{},\"where\":{},\"outcome\":{},\"detail\":{},\"right\":{}}}",
        quoted(line.attack.name),
        quoted(line.attack.group.name()),
        quoted(line.place),
        quoted(word),
        quoted(text),
        line.is_right
    )
}

/// A JSON string (RFC 8259, section 7).
fn quoted(text: &str) -> String {
    let mut all = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => all.extend(['\\', letter]),
            letter if letter < ' ' => all.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => all.push(letter),
        }
    }
    all.push('"');
    all
}

/// The runs of one attack; how many were left out.
fn acts(house: &House, attack: &'static Attack, choice: &Choice, number: usize) -> (Vec<Line>, usize) {
    let mut lines = Vec::new();
    let mut skipped = 0;
    let mut is_shown = match attack.who {
        Who::Anyone => true,
        Who::Root => is_root(),
        Who::User => !is_root(),
    };
    let is_work = attack.expect == ["works"];
    let act = |act: Act<'_>| {
        let outcome = run(house, attack, &act.there, number * 4 + act.turn);
        let is_right = is_wanted(&outcome, act.wanted);
        Line { attack, place: act.place, outcome, wanted: act.wanted.join(" or "), is_right }
    };
    let outside = Act { place: "outside", there: Where::Outside, wanted: &["works"], turn: 0 };
    match attack.outside {
        Shown::Yes if choice.outside && is_shown => lines.push(act(outside)),
        Shown::IfHad(missing) if is_shown && (choice.outside || choice.unplugged.is_some()) => {
            let line = act(outside);
            let is_missing = |how: &str| missing.iter().any(|missing| how.starts_with(missing));
            match &line.outcome {
                Outcome::Stopped(how) if is_missing(how) => (is_shown, skipped) = (false, 1),
                _ => lines.push(line),
            }
        }
        _ => skipped += usize::from(choice.outside),
    }
    if choice.bubblewrap {
        let wanted: &[&str] = if is_work { &["works"] } else { &["E", "NOTHING", "breach", "SIGNAL"] };
        lines.push(act(Act { place: "bubblewrap", there: Where::Bubblewrap, wanted, turn: 1 }));
    }
    if let Some(program) = &choice.inside {
        let wanted = if choice.refused { &["refused: "] } else { attack.expect };
        lines.push(act(Act { place: "inside", there: Where::Inside(program.clone()), wanted, turn: 2 }));
    }
    if let Some(program) = &choice.without {
        let there = Where::WithoutNamespaces(program.clone());
        match without::expected(attack) {
            Some(wanted) => lines.push(act(Act { place: "without namespaces", there, wanted: &wanted, turn: 2 })),
            None => skipped += 1,
        }
    }
    match (&choice.unplugged, attack.twin) {
        (Some(program), Shown::Yes | Shown::Then(_)) if is_shown => {
            let there = Where::Unplugged(program.clone());
            let mut wanted = vec!["works"];
            if let Shown::Then(answers) = attack.twin {
                wanted.extend(answers);
            }
            lines.push(act(Act { place: "unplugged", there, wanted: &wanted, turn: 3 }));
        }
        (Some(_), _) if !is_work => skipped += 1,
        _ => {}
    }
    (lines, skipped)
}

/// One run to make.
struct Act<'a> {
    place: &'static str,
    there: Where,
    wanted: &'a [&'a str],
    turn: usize,
}

/// Whether that is what was wanted. What cannot be told never is (X1).
fn is_wanted(outcome: &Outcome, wanted: &[&str]) -> bool {
    match outcome {
        Outcome::Through(_) => wanted.contains(&"works"),
        Outcome::Stopped(how) => wanted.iter().any(|wanted| how.starts_with(wanted)),
        Outcome::Unclear(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, is_wanted, quoted};

    #[test]
    fn x1_what_cannot_be_told_is_never_a_success() {
        for wanted in [&["works"][..], &["EPERM", "cannot tell"], &[""]] {
            assert!(!is_wanted(&Outcome::Unclear("cannot tell".to_owned()), wanted));
        }
        assert!(is_wanted(&Outcome::Through("read 13 bytes".to_owned()), &["works", "EPERM"]));
        assert!(!is_wanted(&Outcome::Through("EPERM".to_owned()), &["EPERM"]));
        assert!(is_wanted(&Outcome::Stopped("EPERM Operation not permitted".to_owned()), &["EACCES", "EPERM"]));
        assert!(!is_wanted(&Outcome::Stopped("works".to_owned()), &["EPERM"]));
    }

    #[test]
    fn a_result_is_one_line_of_json() {
        assert_eq!(quoted("a \"b\" \\ \n"), "\"a \\\"b\\\" \\\\ \\u000a\"");
    }
}
