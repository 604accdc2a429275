//! Timelines and HTML files: as they look, and that nothing breaks them.

use aether_core::event::{Event, Scope};
use aether_core::gate::Reason;
use aether_core::tool::Act;
use aether_core::words::{TaskId, WishId};
use aether_observe::{Colour, LINES_MAX, Names, html, line, timeline};

use crate::check;
use crate::story::{self, Random};

#[test]
fn a_timeline_looks_like_this() {
    let lines = story::lines();
    check("tests/golden/timeline.txt", &timeline(&lines, 140, Colour::Off));
    check("tests/golden/timeline-colour.txt", &timeline(&lines, 100, Colour::On));
    check("tests/golden/timeline-ascii.txt", &timeline(&lines, 60, Colour::Ascii));
}

#[test]
fn a_page_looks_like_this() {
    check("tests/golden/page.html", &html(&story::lines(), "aether trace <4bf9>"));
}

#[test]
fn rows_are_as_wide_as_the_terminal_at_most() {
    for width in [0, 60, 61, 100, 240, usize::MAX] {
        for colour in [Colour::Off, Colour::Ascii] {
            let text = timeline(&story::lines(), width, colour);
            let rows = text.lines().skip(3).take_while(|row| !row.is_empty());
            let widest = rows.map(|row| row.chars().count()).max().unwrap();
            assert!(widest <= width.clamp(60, 240), "{widest} columns of {width}\n{text}");
        }
    }
    assert!(timeline(&story::lines(), 100, Colour::Ascii).is_ascii());
}

/// O3: a file that ends anywhere is shown as far as it goes; O4: and always the same way.
#[test]
fn a_trace_that_is_cut_anywhere_is_shown() {
    let lines = story::lines();
    // Around every end of a line, and a few places within each.
    let near =
        |end: &usize| end.is_multiple_of(41) || lines[end.saturating_sub(2)..(end + 2).min(lines.len())].contains('\n');
    for end in (0..lines.len()).filter(near) {
        let part = &lines[..end];
        let text = timeline(part, 80, Colour::Off);
        let torn = !part.is_empty() && !part.ends_with('\n') && !part.ends_with('}');
        assert_eq!(text.contains("set aside  1 line torn"), torn, "{end}: {text}");
        if end % 5 == 0 {
            assert_eq!(text, timeline(part, 80, Colour::Off));
            assert_eq!(html(part, "t"), html(part, "t"));
        }
    }
}

/// O3.
#[test]
fn what_is_no_event_is_counted() {
    let first = story::lines().lines().next().unwrap().to_owned();
    let at = |text: &str| first.replace("2026-11-20T09:00:00.000Z", text);
    let other = first.replace("4bf92f35", "00000001");
    let unknown = first.replace("\"spawned\"", "\"teleported\"");
    let newer = first.replace("\"v\":1", "\"v\":2");
    let said = r#"{"event":"said","task":"t0.0","text":"hello"}"#;
    let cut = r#"{"v":1,"kind":"trace_cut","file_bytes_max":4000000}"#;
    let late = at("not a moment");
    let lines = [&first, "{\"v\":", "\u{0}", said, "[]", "", &newer, &late, &unknown, &other, cut].join("\n");
    let text = timeline(&lines, 80, Colour::Off);
    let wanted = "set aside  2 lines torn, 4 lines of another kind, 1 line with an event that is not known, \
                  1 line of another trace, everything after the limit of 4.0 MB\n";
    assert!(text.ends_with(wanted), "{text}");
    let many = format!("{first}\n").repeat(LINES_MAX + 2);
    let text = timeline(&many, 80, Colour::Off);
    assert!(text.ends_with("set aside  2 lines above the limit of 100000\n"), "{text}");
}

#[test]
fn no_event_at_all_is_said() {
    for lines in ["", "\n\n", "nonsense"] {
        assert!(timeline(lines, 80, Colour::Off).starts_with("no events\n"));
        assert!(html(lines, "t").contains("<p>no events</p>"));
    }
}

/// O2: a name in a file that somebody else wrote reaches neither the terminal nor the page.
#[test]
fn names_stay_names() {
    let evil = "\u{1b}]0;owned\u{7}\u{202e}</td><script>alert(1)</script>'\"&";
    let quoted = serde_json::to_string(evil).unwrap();
    let lines: String = story::lines()
        .replace("\"anthropic\"", &quoted)
        .replace("\"read_file\"", &quoted)
        .replace("\"declined\"", &quoted)
        .replace("\"t1.3\"", &quoted);
    for colour in [Colour::Off, Colour::Ascii] {
        let text = timeline(&lines, 200, colour);
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'));
    }
    let page = html(&lines, evil);
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
    assert!(page.chars().all(|letter| letter == '\n' || !letter.is_control() && letter != '\u{202e}'));
    assert_well_formed(&page);
}

#[test]
fn a_page_is_whole_and_needs_nothing_else() {
    let page = html(&story::lines(), &"t".repeat(500));
    assert_well_formed(&page);
    assert!(page.contains(&format!("<title>{}</title>", "t".repeat(200))));
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link", "<img", "//"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for wanted in ["lang=\"en\"", "charset=\"utf-8\"", "prefers-color-scheme:dark", "default-src 'none'", "<caption"] {
        assert!(page.contains(wanted), "{wanted}");
    }
}

/// Every element that is opened is closed, in order.
fn assert_well_formed(page: &str) {
    let mut open = Vec::new();
    let body = page.strip_prefix("<!doctype html>").unwrap();
    for part in body.split('<').skip(1) {
        let tag = part.split_once('>').unwrap().0;
        let name = tag.split(' ').next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if name == "meta" => {}
            None => open.push(name),
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
}

/// O3, O4: tasks that name each other as parents, events in any order, answers to nothing.
#[test]
fn lines_in_any_order_are_shown() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("SEED={seed}");
    let mut random = Random(seed);
    let models = story::models();
    for _ in 0..300 {
        let mut lines = String::new();
        for _ in 0..random.below(60) {
            let mut stamp = story::stamp();
            stamp.task.slot = random.below(20) as u32;
            stamp.parent = Some(TaskId { slot: random.below(20) as u32, ..stamp.task });
            stamp.unix_ms = match random.below(9) {
                0 => i64::MIN,
                1 => i64::MAX,
                _ => stamp.unix_ms + random.below(100_000) as i64,
            };
            lines += &line(&stamp, &Names { models: &models }, &random.event());
            lines.push('\n');
        }
        let width = random.below(200);
        assert_eq!(timeline(&lines, width, Colour::On), timeline(&lines, width, Colour::On));
        assert_well_formed(&html(&lines, "t"));
        #[cfg(feature = "otlp")]
        crate::spans::read(&aether_observe::otlp_traces(&lines, "1"));
    }
}

/// What became of each question to the person, in order, as the rows say.
fn decisions(events: &[Event]) -> Vec<String> {
    let (stamp, names) = (story::stamp(), Names { models: &[] });
    let lines: String = events.iter().map(|event| line(&stamp, &names, event) + "\n").collect();
    let text = timeline(&lines, 240, Colour::Off);
    let rows = text.lines().filter(|row| row.contains("approval of"));
    rows.map(|row| row.rsplit_once("; ").unwrap().1.to_owned()).collect()
}

fn want(approval: u32) -> Event {
    story::wanted(approval, "write_file", Reason::Policy(Act::Write))
}

fn run(run: u32) -> Event {
    story::allowed(run, "write_file", &[Act::Write])
}

fn yes(approval: u32, scope: Scope) -> Event {
    Event::Approved { approval: WishId(approval), scope }
}

#[test]
fn every_question_to_the_person_has_its_answer() {
    let [once, task] = [Scope::Once, Scope::Task];
    let each = decisions(&[want(1), want(2), yes(1, once), run(3), yes(2, task), run(4)]);
    assert_eq!(each, ["approved once", "approved for the task"]);
    let together = decisions(&[want(1), want(2), yes(2, task), run(3), run(4)]);
    assert_eq!(together, ["approved with another", "approved for the task"]);
    let no = decisions(&[want(1), want(2), story::refused("write_file", "declined")]);
    assert_eq!(no, ["declined", "no answer"]);
    let other = [want(1), story::refused("read_file", "declined"), story::refused("write_file", "policy")];
    assert_eq!(decisions(&other), ["no answer"]);
}

#[test]
fn what_has_no_end_is_open() {
    let lines = story::lines();
    let part: String = lines.lines().take(8).map(|line| format!("{line}\n")).collect();
    let text = timeline(&part, 120, Colour::Off);
    let row = |word: &str| text.lines().find(|row| row.contains(word)).unwrap();
    assert!(row("task t0.0").contains("open  task t0.0  no end in the trace"), "{text}");
    assert!(row("read_file").contains("no result") && row("read_file").contains('▒'), "{text}");
    assert!(row("child task").contains("never began"), "{text}");
    assert!(row("cost").contains("not known"), "{text}");
    assert!(html(&part, "t").contains("class=\"span open\""));
}

/// A chain of a thousand tasks is drawn without going a thousand levels deep.
#[test]
fn deep_chains_are_drawn_flat() {
    let first = story::lines().lines().next().unwrap().to_owned();
    let lines: String = (1..1000)
        .map(|n| first.replace("\"task\":\"t0.0\"", &format!("\"task\":\"t{n}.0\",\"parent\":\"t{}.0\"", n - 1)) + "\n")
        .collect();
    let text = timeline(&lines, 200, Colour::Off);
    assert_eq!(text.matches("task t").count(), 999);
    assert!(!text.contains(&"   ".repeat(40)));
}
