//! Every tool through the real gate and real hands: what it does, and what it refuses.
#![cfg(test)]
#![cfg(unix)]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aether_core::capability::{Capability, Network, Place};
use aether_core::gate::{Gate, Judgement};
use aether_core::label::{Label, Origin};
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::tool::{
    Act, Acts, DirEntry, Fetch, Fetched, Grant, Hands, HandsError, Limits, Output, Plan, ToolCall, Toolbox, WallClock,
    WriteMode,
};
use aether_core::transcript::ToolOutcome;
use aether_hands::{Fetcher, Grip, Reach, Roots};
use aether_tools::{Scope, Tools};
use serde_json::{Value, json};

/// A workspace, the tools on it, and what a call may give.
struct House {
    directory: tempfile::TempDir,
    roots: Roots,
    tools: Tools,
    limits: Limits,
    fetcher: Option<Web>,
    stop: AtomicBool,
}

impl House {
    fn new(files: &[(&str, &str)]) -> House {
        let directory = tempfile::tempdir().unwrap();
        let house = House {
            roots: Roots::open(&[("$workspace", directory.path())]).unwrap(),
            tools: Tools::builtin(&Scope::workspace(directory.path().to_str().unwrap())),
            limits: Limits::BUILTIN,
            fetcher: None,
            stop: AtomicBool::new(false),
            directory,
        };
        for (path, text) in files {
            house.put(path, text.as_bytes());
        }
        house
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    fn run(&self, name: &str, input: Value) -> Result<Output, String> {
        let call = ToolCall { id: "c1".into(), name: name.into(), input: input.to_string().into() };
        let Plan::Run(needs) = self.tools.plan(&call)? else { panic!("{name} is served by the kernel") };
        let places = vec![Place::parse("$workspace").unwrap()];
        let capability =
            Capability::default().with_read(places.clone()).with_write(places).with_network(Network::Public);
        let grant = Grant { acts: Acts::ALL, capability, tools: None, limits: self.limits };
        let mut policy = Policy::default();
        for act in Acts::ALL.iter() {
            policy.set(act, Asker::Terminal, Decision::Allow);
        }
        let askers = [Asker::Terminal; 2];
        let gate = Gate { grant: &grant, policy: &policy, askers, label: Label::default(), standing: &[] };
        let tool = self.tools.tool(name).unwrap();
        let Judgement::Allow(authorized) = gate.judge(tool.manifest(), call, needs) else {
            panic!("the gate did not allow it")
        };
        let mut grip = Grip::new(Reach {
            roots: &self.roots,
            capability: &authorized.needs().capability,
            limits: authorized.limits(),
            stop: &self.stop,
            deadline: Instant::now() + Duration::from_secs(60),
            fetcher: self.fetcher.as_ref().map(|web| web as &dyn Fetcher),
        });
        let output = tool.run(&authorized, &mut grip)?;
        assert!(output.text.len() as u64 <= self.limits.output_bytes_max, "T1: {} bytes", output.text.len());
        assert!(
            output.label.within(authorized.needs().label),
            "the label was planned: {} {}",
            output.label,
            authorized.needs().label
        );
        Ok(output)
    }

    #[track_caller]
    fn check(&self, name: &str, input: Value, wanted: &str) {
        assert_eq!(self.run(name, input).map(|output| output.text.to_string()), Ok(wanted.to_owned()));
    }

    #[track_caller]
    fn refuses(&self, name: &str, input: Value, wanted: &str) {
        assert_eq!(self.run(name, input).map(|output| output.text.to_string()), Err(wanted.to_owned()));
    }

    fn says(&self, name: &str, input: Value) -> String {
        self.run(name, input).unwrap().text.into()
    }
}

#[test]
fn read_file_shows_parts_and_says_how_to_go_on() {
    let house =
        House::new(&[("notes.txt", "one\ntwo\nthree\nfour\n"), ("open", "a\nb"), ("empty", ""), ("dos", "a\r\nb\r\n")]);
    house.check("read_file", json!({"path": "notes.txt"}), "notes.txt: lines 1-4 of 4\none\ntwo\nthree\nfour\n");
    let part = "notes.txt: lines 2-3 of 4; continue with from_line=4\ntwo\nthree\n";
    house.check("read_file", json!({"path": "notes.txt", "from_line": 2, "lines": 2}), part);
    house.check("read_file", json!({"path": "notes.txt", "from_line": 4}), "notes.txt: lines 4-4 of 4\nfour\n");
    house.check(
        "read_file",
        json!({"path": "notes.txt", "from_byte": 5}),
        "notes.txt: lines 2-4 of 4, from byte 5\nwo\nthree\nfour\n",
    );
    house.check("read_file", json!({"path": "open"}), "open: lines 1-2 of 2; no line end at the end\na\nb");
    house.check("read_file", json!({"path": "empty"}), "empty: empty file (0 bytes)");
    house.check("read_file", json!({"path": "dos"}), "dos: lines 1-2 of 2; line ends are CRLF\na\nb\n");
    let absolute = house.path("open");
    house.check("read_file", json!({"path": absolute}), "open: lines 1-2 of 2; no line end at the end\na\nb");
    house.refuses(
        "read_file",
        json!({"path": "notes.txt", "from_line": 9}),
        "`notes.txt` has 4 lines; from_line=9 is beyond its end",
    );
    house.refuses(
        "read_file",
        json!({"path": "notes.txt", "from_byte": 99}),
        "`notes.txt` has 19 bytes; from_byte=99 is beyond its end",
    );
    house.refuses(
        "read_file",
        json!({"path": "nots.txt"}),
        "`nots.txt`: no such file or directory; find_files finds files by name",
    );
    house.refuses("read_file", json!({"path": "."}), "`.`: it is a directory; list_dir shows what is in it");
    house.refuses("read_file", json!({"path": "../x"}), "`../x` leads out of the workspace; paths stay inside it");
    house.refuses("read_file", json!({"pth": "x"}), "unknown parameter `pth`; did you mean `path`?");
}

#[test]
fn read_file_takes_any_bytes() {
    let house = House::new(&[]);
    house.put("image", b"\x89PNG\r\n\x1a\n\0\0\0");
    house.check("read_file", json!({"path": "image"}), "image: a PNG image, 11 bytes; not text, so it is not shown");
    house.put("latin", b"caf\xe9\n");
    house.check(
        "read_file",
        json!({"path": "latin"}),
        "latin: lines 1-1 of 1; invalid UTF-8 shown as \u{fffd}\ncaf\u{fffd}\n",
    );
    house.put("noise", &[0xff; 100_000]);
    assert!(house.says("read_file", json!({"path": "noise"})).contains("continue with from_byte="));
}

/// Following the hints shows every byte of a file once, whatever its lines and the limit are like.
#[test]
fn t1_read_file_can_be_continued_to_the_end() {
    let mut house = House::new(&[]);
    let mut seed = 21u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for round in 0..40 {
        let mut text = String::new();
        for n in 0..1 + random(60) {
            let length = if random(6) == 0 { random(4_000) } else { random(60) };
            text.push_str(&"ä€x".repeat(length as usize / 3));
            text.push_str(&format!("{n}\n"));
        }
        house.put("file", text.as_bytes());
        house.limits.output_bytes_max = 600 + random(2_000);
        let (mut input, mut seen, mut calls) = (json!({"path": "file"}), String::new(), 0);
        loop {
            calls += 1;
            assert!(calls < 2_000, "round {round} does not end");
            let shown = house.says("read_file", input);
            let (head, body) = shown.split_once('\n').unwrap();
            seen.push_str(body);
            let Some((_, hint)) = head.split_once("continue with ") else { break };
            let (key, value) = hint.split(';').next().unwrap().split_once('=').unwrap();
            input = json!({"path": "file"});
            input[key] = json!(value.parse::<u64>().unwrap());
        }
        assert_eq!(seen, text, "round {round}");
    }
}

#[test]
fn write_file_creates_and_replaces_only_when_told() {
    let house = House::new(&[("old", "old")]);
    house.check(
        "write_file",
        json!({"path": "a/b/new.txt", "content": "x\ny\n"}),
        "wrote a/b/new.txt: 2 lines, 4 bytes",
    );
    assert_eq!(house.text("a/b/new.txt"), "x\ny\n");
    let why =
        "`old` exists already and was left as it is; read it, then use edit_file, or write_file with replace=true";
    house.refuses("write_file", json!({"path": "old", "content": "new"}), why);
    assert_eq!(house.text("old"), "old");
    house.check("write_file", json!({"path": "old", "content": "new", "replace": true}), "wrote old: 1 line, 3 bytes");
    assert_eq!(house.text("old"), "new");
    let hook = house.run("write_file", json!({"path": ".git/hooks/pre-commit", "content": "x"})).unwrap_err();
    assert!(hook.contains("`.git` is protected"), "{hook}");
    house.refuses(
        "write_file",
        json!({"path": "/etc/x", "content": ""}),
        "`/etc/x` is outside the workspace; give a path relative to the workspace",
    );
    house.refuses("write_file", json!({"path": "x"}), "`content` is missing; wanted {path, content, replace?}");
    house.refuses(
        "write_file",
        json!({"path": "a", "content": "", "replace": true}),
        "`a`: it is a directory; list_dir shows what is in it",
    );
}

#[test]
fn edit_file_changes_exactly_what_was_meant() {
    let house = House::new(&[("f.rs", "fn a() {}\nfn b() {}\nfn a() {}\n"), ("dos", "one\r\ntwo\r\n")]);
    house.check("edit_file", json!({"path": "f.rs", "old": "b()", "new": "c()"}), "edited f.rs: 1 replacement, line 2");
    house.check(
        "edit_file",
        json!({"path": "f.rs", "old": "a()", "new": "d()", "all": true}),
        "edited f.rs: 2 replacements, lines 1, 3",
    );
    assert_eq!(house.text("f.rs"), "fn d() {}\nfn c() {}\nfn d() {}\n");
    house.check(
        "edit_file",
        json!({"path": "dos", "old": "one\ntwo", "new": "1\n2"}),
        "edited dos: 1 replacement, line 1",
    );
    assert_eq!(house.text("dos"), "1\r\n2\r\n");
    let twice =
        "`old` occurs 2 times in `f.rs`, lines 1, 3; give more of the text around the one you mean, or all=true";
    house.refuses("edit_file", json!({"path": "f.rs", "old": "fn d", "new": ""}), twice);
    let near = "`old` does not occur in `f.rs`; the lines most like it:\n2: fn c() {}\n1: fn d() {}\n3: fn d() {}";
    house.refuses("edit_file", json!({"path": "f.rs", "old": "fn c() { }!", "new": ""}), near);
    house.refuses(
        "edit_file",
        json!({"path": "gone", "old": "x", "new": ""}),
        "`gone`: no such file or directory; find_files finds files by name",
    );
    assert_eq!(house.text("f.rs"), "fn d() {}\nfn c() {}\nfn d() {}\n");
}

#[test]
fn list_dir_and_find_files_show_what_is_there() {
    let house = House::new(&[
        ("src/main.rs", "x"),
        ("src/lib/mod.rs", "yy"),
        ("Cargo.toml", "z"),
        (".git/config", "g"),
        ("b.md", ""),
    ]);
    std::os::unix::fs::symlink("Cargo.toml", house.path("link")).unwrap();
    house.check("list_dir", json!({}), ".: 5 entries\n.git/\nCargo.toml 1\nb.md 0\nlink (symbolic link)\nsrc/");
    house.check("list_dir", json!({"path": "src", "depth": 2}), "src: 3 entries\nlib/\nlib/mod.rs 2\nmain.rs 1");
    house.check("list_dir", json!({"path": "src/main.rs"}), "src/main.rs: 1 entry\nmain.rs 1");
    house.check("find_files", json!({"pattern": "*.rs"}), "2 files of 8 entries match\nsrc/lib/mod.rs\nsrc/main.rs");
    house.check("find_files", json!({"pattern": "**/config"}), "0 files of 8 entries match");
    house.check(
        "find_files",
        json!({"pattern": "*.{md,toml}", "path": "."}),
        "2 files of 8 entries match\nCargo.toml\nb.md",
    );
    house.check("find_files", json!({"pattern": "lib/*", "path": "src"}), "1 file of 3 entries match\nsrc/lib/mod.rs");
    house.refuses(
        "list_dir",
        json!({"path": "nowhere"}),
        "`nowhere`: no such file or directory; find_files finds files by name",
    );
    house.refuses("find_files", json!({"pattern": "{a"}), "`{a` has a `{` that is never closed");
    // A directory that holds only a file of its own name is still a directory.
    let odd = House::new(&[("same/same", "x")]);
    odd.check("list_dir", json!({"path": "same"}), "same: 1 entry\nsame 1");
    odd.check("find_files", json!({"pattern": "same", "path": "same"}), "1 file of 1 entries match\nsame/same");
}

#[test]
fn t1_long_listings_are_cut_with_a_word() {
    let mut house = House::new(&[]);
    for n in 0..1_200 {
        house.put(&format!("many/file-{n:04}.txt"), b"needle\n");
    }
    house.limits.output_bytes_max = 4_000;
    let listed = house.says("list_dir", json!({"path": "many"}));
    assert!(
        listed.starts_with("many: 1200 entries\nfile-0000.txt 7\n")
            && listed.contains(" more not shown; list a directory deeper")
    );
    let found = house.says("find_files", json!({"pattern": "*.txt"}));
    assert!(
        found.starts_with("more than 1000 files of 1002 entries match") && found.ends_with("to see the rest]"),
        "{found}"
    );
    let hits = house.says("search_text", json!({"pattern": "needle"}));
    assert!(
        hits.contains("so far, not all files searched;") && hits.contains("narrow pattern, path or glob"),
        "{hits}"
    );
}

#[test]
fn search_text_finds_lines() {
    let house = House::new(&[("a.txt", "one\nTwo\nthree (x)\n"), ("src/b.rs", "two\ntwo\n"), ("c.bin", "two\0")]);
    house.check(
        "search_text",
        json!({"pattern": "two"}),
        "2 matches in 1 file of 2 searched; 1 binary\nsrc/b.rs:1: two\nsrc/b.rs:2: two\n",
    );
    house.check(
        "search_text",
        json!({"pattern": "TWO", "ignore_case": true, "glob": "*.txt"}),
        "1 match in 1 file of 1 searched\na.txt:2: Two\n",
    );
    house.check(
        "search_text",
        json!({"pattern": "^t.o$", "path": "src/b.rs", "ignore_case": true}),
        "2 matches in 1 file of 1 searched\nsrc/b.rs:1: two\nsrc/b.rs:2: two\n",
    );
    house.check(
        "search_text",
        json!({"pattern": "(x)", "literal": true}),
        "1 match in 1 file of 2 searched; 1 binary\na.txt:3: three (x)\n",
    );
    house.check(
        "search_text",
        json!({"pattern": "Two", "context": 1}),
        "1 match in 1 file of 2 searched; 1 binary\na.txt-1- one\na.txt:2: Two\na.txt-3- three (x)\n",
    );
    house.check("search_text", json!({"pattern": "absent"}), "0 matches in 0 files of 2 searched; 1 binary\n");
    let wrong = house.run("search_text", json!({"pattern": "(x"})).unwrap_err();
    assert!(
        wrong.starts_with("`pattern` is no regular expression: ")
            && wrong.ends_with("literal=true searches for it as it is"),
        "{wrong}"
    );
    house.refuses("search_text", json!({"pattern": ""}), "`pattern` is empty; give the text to search for");
}

#[test]
fn search_text_shows_context_once_and_long_lines_in_part() {
    let house = House::new(&[("f", "1\n2 x\n3\n4 x\n5\n6\n7\n8\n9 x\n")]);
    house.check(
        "search_text",
        json!({"pattern": "x", "context": 1}),
        "3 matches in 1 file of 1 searched\nf-1- 1\nf:2: 2 x\nf-3- 3\nf:4: 4 x\nf-5- 5\n--\nf-8- 8\nf:9: 9 x\n",
    );
    house.put("f", "ä".repeat(500).as_bytes());
    assert!(house.says("search_text", json!({"pattern": "ä"})).ends_with("ä…\n"));
}

/// An address, and what is there: status, media type, location, body.
type Page = (&'static str, u16, &'static str, Option<&'static str>, Vec<u8>);

/// Pages, and what was asked for.
struct Web(Vec<Page>, Mutex<Vec<String>>);

impl Fetcher for Web {
    fn fetch(&self, fetch: &Fetch<'_>) -> Result<Fetched, HandsError> {
        self.1.lock().unwrap().push(fetch.url.to_owned());
        let page = self.0.iter().find(|page| page.0 == fetch.url);
        let (_, status, media, location, body) = page.ok_or_else(|| HandsError::Failed("connection refused".into()))?;
        let is_cut = body.len() > fetch.bytes_max;
        let body = body[..body.len().min(fetch.bytes_max)].to_vec();
        Ok(Fetched {
            status: *status,
            content_type: (*media).into(),
            location: location.map(str::to_owned),
            body,
            is_cut,
        })
    }
}

fn online(pages: Vec<Page>) -> House {
    House { fetcher: Some(Web(pages, Mutex::default())), ..House::new(&[]) }
}

#[test]
fn http_fetch_shows_pages_as_text() {
    let html = b"<title>Caf\xe9</title><nav>menu</nav><h1>Hi</h1><p>See <a href='/b'>b</a>.".to_vec();
    let house = online(vec![
        ("https://x.example/", 200, "text/html; charset=iso-8859-1", None, html),
        ("https://x.example/j", 200, "application/json", None, b"{\"a\": 1}".to_vec()),
        ("https://x.example/p.png", 200, "image/png", None, b"\x89PNG\r\n\x1a\n".to_vec()),
        ("https://x.example/404", 404, "text/plain", None, b"nothing here".to_vec()),
        ("http://x.example/plain", 200, "", None, b"<html>t".to_vec()),
    ]);
    house.check(
        "http_fetch",
        json!({"url": "x.example"}),
        "https://x.example/ 200 text/html; title: Café\n\n# Hi\n\nSee [b](https://x.example/b).",
    );
    house.check(
        "http_fetch",
        json!({"url": "https://x.example/j#frag"}),
        "https://x.example/j 200 application/json\n\n{\"a\": 1}",
    );
    let image = "https://x.example/p.png 200 image/png; a PNG image, 8 bytes, not shown";
    house.check("http_fetch", json!({"url": "https://x.example/p.png"}), image);
    house.check("http_fetch", json!({"url": "http://x.example/plain"}), "http://x.example/plain 200 \n\nt");
    let missing = house.run("http_fetch", json!({"url": "https://x.example/404"})).unwrap();
    assert_eq!(
        (missing.outcome, &*missing.text),
        (ToolOutcome::Failed, "https://x.example/404 404 text/plain\n\nnothing here")
    );
    assert!(missing.label.untrusted && missing.label.has(Origin::Web) && !missing.label.private);
    house.refuses("http_fetch", json!({"url": "https://y.example/"}), "`https://y.example/`: connection refused");
    let why = "`file:///etc/passwd` is not an address that can be fetched: only https:// and http:// are known";
    house.refuses("http_fetch", json!({"url": "file:///etc/passwd"}), why);
}

#[test]
fn http_fetch_follows_redirects_on_the_authorised_host_alone() {
    let house = online(vec![
        ("https://x.example/a", 301, "", Some("b?c"), vec![]),
        ("https://x.example/b?c", 302, "", Some("https://X.example/d"), vec![]),
        ("https://x.example/d", 200, "text/plain", None, b"here".to_vec()),
        ("https://x.example/away", 302, "", Some("https://evil.example/steal?x"), vec![]),
        ("https://x.example/down", 302, "", Some("http://x.example/d"), vec![]),
        ("https://x.example/port", 302, "", Some("//x.example:8443/d"), vec![]),
        ("https://x.example/script", 302, "", Some("javascript:alert(1)"), vec![]),
        ("https://x.example/loop", 302, "", Some("/loop"), vec![]),
    ]);
    house.check("http_fetch", json!({"url": "https://x.example/a"}), "https://x.example/d 200 text/plain\n\nhere");
    for (path, next) in
        [("away", "https://evil.example/steal?x"), ("down", "http://x.example/d"), ("port", "https://x.example:8443/d")]
    {
        let told = format!(
            "https://x.example/{path} redirects to another host: {next}\nCall http_fetch with that address to go on."
        );
        house.check("http_fetch", json!({"url": format!("https://x.example/{path}")}), &told);
    }
    let script = house.run("http_fetch", json!({"url": "https://x.example/script"})).unwrap();
    assert_eq!(script.outcome, ToolOutcome::Failed);
    let why = "`https://x.example/loop` redirects more than 5 times; last to https://x.example/loop";
    house.refuses("http_fetch", json!({"url": "https://x.example/loop"}), why);
    let asked = house.fetcher.as_ref().unwrap().1.lock().unwrap().clone();
    assert!(asked.iter().all(|url| url.starts_with("https://x.example/")), "T2: {asked:?}");
}

#[test]
fn t1_long_pages_can_be_continued() {
    let text: String = (0..3_000).map(|n| format!("line {n} äöü\n")).collect();
    let mut house =
        online(vec![("https://x.example/", 200, "text/plain; charset=utf-8", None, text.clone().into_bytes())]);
    house.limits.output_bytes_max = 5_000;
    let (mut from, mut seen) = (0u64, String::new());
    loop {
        let shown = house.says("http_fetch", json!({"url": "https://x.example/", "from_byte": from}));
        let (head, body) = shown.split_once("\n\n").unwrap();
        seen.push_str(body);
        let Some((_, hint)) = head.split_once("continue with from_byte=") else { break };
        from = hint.parse().unwrap();
    }
    assert_eq!(seen, text);
    let huge = online(vec![("https://x.example/", 200, "text/plain", None, vec![b'x'; 5 << 20])]);
    let last = json!({"url": "https://x.example/", "from_byte": (4 << 20) - 10});
    assert!(huge.says("http_fetch", last).contains("the body is longer than the 4194304 bytes that are taken"));
}

/// Hands that know one moment, and the time zone database through real ones.
struct Clock<'a>(Grip<'a>, &'static str);

impl Hands for Clock<'_> {
    fn read(&mut self, path: &Place, offset: u64, bytes_max: usize) -> Result<Vec<u8>, HandsError> {
        self.0.read(path, offset, bytes_max)
    }
    fn write(&mut self, _: &Place, _: &[u8], _: WriteMode) -> Result<(), HandsError> {
        Err(HandsError::Denied)
    }
    fn list(&mut self, _: &Place) -> Result<Vec<DirEntry>, HandsError> {
        Err(HandsError::Denied)
    }
    fn fetch(&mut self, _: &Fetch<'_>) -> Result<Fetched, HandsError> {
        Err(HandsError::Denied)
    }
    fn clock(&mut self) -> Result<WallClock, HandsError> {
        Ok(WallClock { unix_ms: 1_795_167_384_999, zone: self.1.into() })
    }
}

fn time(zone: &'static str, input: Value) -> Result<String, String> {
    let house = House::new(&[]);
    let call = ToolCall { id: "c1".into(), name: "time".into(), input: input.to_string().into() };
    let Plan::Run(needs) = house.tools.plan(&call)? else { panic!("not run") };
    let capability = Capability::default();
    assert_eq!((needs.acts, &needs.capability), (Acts::NONE, &capability));
    let grant = Grant { acts: Acts::NONE, capability: capability.clone(), tools: None, limits: Limits::BUILTIN };
    let (policy, askers) = (Policy::default(), [Asker::Terminal; 2]);
    let gate = Gate { grant: &grant, policy: &policy, askers, label: Label::default(), standing: &[] };
    let tool = house.tools.tool("time").unwrap();
    let Judgement::Allow(authorized) = gate.judge(tool.manifest(), call, needs) else { panic!("not allowed") };
    let deadline = Instant::now() + Duration::from_secs(9);
    let grip = Grip::new(Reach {
        roots: &house.roots,
        capability: &capability,
        limits: Limits::BUILTIN,
        stop: &house.stop,
        deadline,
        fetcher: None,
    });
    tool.run(&authorized, &mut Clock(grip, zone)).map(|output| output.text.into())
}

#[test]
fn time_tells_and_converts() {
    let cases = [
        (
            json!({}),
            "2026-11-20T10:36:24+01:00 Europe/Oslo (CET), Friday, ISO week 47, day 324 of the year; unix 1795167384",
        ),
        (
            json!({"zone": "america/new_york"}),
            "2026-11-20T04:36:24-05:00 america/new_york (EST), Friday, ISO week 47, day 324 of the year; unix 1795167384",
        ),
        (
            json!({"zone": "+05:30"}),
            "2026-11-20T15:06:24+05:30 +05:30, Friday, ISO week 47, day 324 of the year; unix 1795167384",
        ),
        (
            json!({"zone": "UTC", "at": "2026-07-01T12:00"}),
            "2026-07-01T10:00:00+00:00 UTC, Wednesday, ISO week 27, day 182 of the year; unix 1782900000",
        ),
        (
            json!({"at": "2026-07-01T12:00", "at_zone": "Asia/Tokyo"}),
            "2026-07-01T05:00:00+02:00 Europe/Oslo (CEST), Wednesday, ISO week 27, day 182 of the year; unix 1782874800",
        ),
        (
            json!({"at": "0", "zone": "Z"}),
            "1970-01-01T00:00:00+00:00 Z, Thursday, ISO week 1, day 1 of the year; unix 0",
        ),
        (
            json!({"at": "2026-03-29T02:30", "zone": "UTC"}),
            "2026-03-29T01:30:00+00:00 UTC, Sunday, ISO week 13, day 88 of the year; unix 1774747800; that local time is skipped, the clock was set forward",
        ),
    ];
    for (input, wanted) in cases {
        assert_eq!(time("Europe/Oslo", input.clone()).as_deref(), Ok(wanted), "{input}");
    }
    assert!(time("Nowhere/At_All", json!({})).unwrap().ends_with("; the local time zone is not known here"));
    let unknown =
        "no time zone `Mars/Base` is known here; wanted a name such as Europe/Oslo, or an offset such as +02:00";
    assert_eq!(time("UTC", json!({"zone": "Mars/Base"})).unwrap_err(), unknown);
    for zone in ["../../etc/passwd", "/etc/passwd", "", "Europe/../../../etc/passwd", "Europe"] {
        assert!(time("UTC", json!({"zone": zone})).is_err(), "{zone}");
    }
    for at in ["yesterday", "99999999999999999999", "9223372036854775807", "2026-02-30", "2026-01-01T00:00+99:99"] {
        assert!(time("UTC", json!({"at": at})).is_err(), "{at}");
    }
}

#[test]
fn calculate_needs_nothing() {
    let house = House::new(&[]);
    house.check("calculate", json!({"expression": "17% * 2340"}), "397.8");
    house.refuses("calculate", json!({"expression": "1/0"}), "division by zero");
}

#[test]
fn t2_a_call_needs_what_its_input_names() {
    let tools = Tools::builtin(&Scope::workspace("/w").with_root("$notes"));
    let needs = |name: &str, input: Value| {
        let call = ToolCall { id: "1".into(), name: name.into(), input: input.to_string().into() };
        match tools.plan(&call) {
            Ok(Plan::Run(needs)) => needs,
            other => panic!("{other:?}"),
        }
    };
    let place = |path| vec![Place::parse(path).unwrap()];
    let read = needs("read_file", json!({"path": "a/b"}));
    assert_eq!(read.acts, Acts::of(&[Act::ReadWorkspace]));
    assert_eq!(read.capability, Capability::default().with_read(place("$workspace/a/b")));
    assert!(read.label.private && !read.label.untrusted);
    assert_eq!(needs("read_file", json!({"path": "$notes/x"})).acts, Acts::of(&[Act::ReadPrivate]));
    let write = needs("write_file", json!({"path": "/w/x", "content": ""}));
    assert_eq!(
        (write.acts, write.capability),
        (Acts::of(&[Act::Write]), Capability::default().with_write(place("$workspace/x")))
    );
    let edit = needs("edit_file", json!({"path": "x", "old": "a", "new": "b"}));
    assert_eq!(edit.acts, Acts::of(&[Act::ReadWorkspace, Act::Write]));
    let fetch = needs("http_fetch", json!({"url": "https://x.example:8443/a"}));
    let host = aether_core::capability::Host::parse("x.example:8443").unwrap();
    assert_eq!(fetch.capability, Capability::default().with_network(Network::hosts(vec![host])));
    assert!(fetch.label.untrusted && fetch.acts == Acts::of(&[Act::NetworkRead]));
    for manifest in tools.manifests() {
        assert!(manifest.limits.output_bytes_max > 0 && manifest.limits.runtime_ms_max > 0);
    }
}

/// However little a call may give, no tool panics and none gives more.
#[test]
fn t1_every_limit_is_kept() {
    let page = b"<title>t</title><p>some text".repeat(40);
    let mut house = online(vec![("https://x.example/", 200, "text/html", None, page)]);
    house.put("f", "x\n".repeat(1_000).as_bytes());
    house.put("d/long name of a file", "x".repeat(1_000).as_bytes());
    for limit in (0..700).step_by(23) {
        house.limits.output_bytes_max = limit;
        let calls = [
            ("read_file", json!({"path": "f"})),
            ("read_file", json!({"path": "d/long name of a file"})),
            ("write_file", json!({"path": "f2", "content": "", "replace": true})),
            ("list_dir", json!({"depth": 3})),
            ("find_files", json!({"pattern": "*"})),
            ("search_text", json!({"pattern": "x", "context": 2})),
            ("http_fetch", json!({"url": "https://x.example/"})),
            ("time", json!({})),
            ("calculate", json!({"expression": "1/3"})),
        ];
        for (name, input) in calls {
            assert_eq!(house.run(name, input).map(|output| output.outcome), Ok(ToolOutcome::Done), "{name} {limit}");
        }
    }
}

#[test]
fn t6_a_slow_search_ends_when_its_time_is_over() {
    let house = House::new(&[]);
    house.put("large", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(900_000).as_bytes());
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            house.stop.store(true, Ordering::Relaxed);
        });
        let found = house.run("search_text", json!({"pattern": "(a|aa)+(b|c){1,40}d"}));
        assert_eq!(found.map(|output| output.text.to_string()), Err("stopped: cancelled or out of time".into()));
    });
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn t6_a_stopped_call_ends_every_tool() {
    let house = House::new(&[("f", "x\n")]);
    house.stop.store(true, Ordering::Relaxed);
    let calls = [
        ("read_file", json!({"path": "f"})),
        ("write_file", json!({"path": "g", "content": ""})),
        ("edit_file", json!({"path": "f", "old": "x", "new": "y"})),
        ("list_dir", json!({})),
        ("find_files", json!({"pattern": "*"})),
        ("search_text", json!({"pattern": "x"})),
        ("http_fetch", json!({"url": "https://x.example/"})),
        ("time", json!({})),
    ];
    for (name, input) in calls {
        let why = house.run(name, input).unwrap_err();
        assert!(why.ends_with("stopped: cancelled or out of time"), "{name}: {why}");
    }
    assert!(!Path::new(&house.path("g")).exists() && house.text("f") == "x\n");
}
