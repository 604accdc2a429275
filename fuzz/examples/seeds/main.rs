//! Writes the seeds that are made from recordings and from tables: `cargo run --example seeds`.
//!
//! A seed has the name of what it holds. Those that the fuzzer found are not written here and not kept.

mod secure;

use std::path::{Path, PathBuf};

use aether_provider::presets;
use aether_testkit::dialect::Dialect;
use aether_testkit::streams::recordings;

/// The longest recording that becomes a seed, in bytes.
const RECORDING_BYTES_MAX: usize = 1_200;
/// How many recordings of one dialect do.
const RECORDINGS_MAX: usize = 6;

const END: &[u8] = &[0xFF];

fn main() {
    readers();
    framings();
    lists();
    requests();
    texts();
    tools();
    offline();
    kernel();
    secure::write_all();
}

fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

fn write(target: &str, name: &str, parts: &[&[u8]]) {
    let directory = directory(target);
    std::fs::create_dir_all(&directory).expect("a directory");
    std::fs::write(directory.join(name), parts.concat()).expect("a seed");
}

/// Texts that end at `0xFF`.
fn write_texts(target: &str, name: &str, head: &[u8], texts: &[&str]) {
    let mut parts: Vec<&[u8]> = vec![head];
    for text in texts {
        parts.extend([text.as_bytes(), END]);
    }
    write(target, name, &parts);
}

/// Bytes behind their length.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short text");
    [&length.to_le_bytes(), bytes].concat()
}

fn readers() {
    let dialects = [Dialect::Chat, Dialect::Responses, Dialect::Anthropic, Dialect::Ollama, Dialect::Gemini];
    for (codec, dialect) in (0u8..).zip(dialects) {
        let of_dialect = recordings().filter(|recording| recording.dialect == dialect);
        let small = of_dialect.filter(|recording| recording.body.len() <= RECORDING_BYTES_MAX);
        for recording in small.take(RECORDINGS_MAX) {
            let status = match recording.status {
                200 => 0,
                400 => 5,
                401 => 6,
                404 => 9,
                429 => 11,
                503 => 13,
                529 => 14,
                _ => 12,
            };
            let media = match recording.content_type {
                "text/event-stream" => 0,
                "application/json" => 1,
                "application/x-ndjson" => 2,
                "text/html" => 4,
                _ => 3,
            };
            // Format, status, type, no wait, one cut after 40 bytes.
            let head = [codec, status, media, 0, 1, 0, 40, 0];
            let name = format!("{dialect:?}-{}", recording.name.replace(['/', ' '], "-")).to_lowercase();
            write("provider_reader", &name, &[&head, recording.body]);
        }
    }
}

fn framings() {
    let streams: [(&str, &str); 4] = [
        ("events", "event: a\ndata: 1\ndata: 2\r\n\r\n: comment\rdata\n\nid: 3\ndata:x"),
        ("mark", "\u{feff}data: 1\n\n"),
        ("values", "{\"a\":[1,{\"b\":\"}\\\"\"}]}\n[true] \"x\" 12\nnull,"),
        ("array", "[{\"a\":1}\n,\r\n{\"a\":2}]"),
    ];
    for (name, stream) in streams {
        write("provider_framing", name, &[&[0, 2, 0, 3, 0, 9, 0], stream.as_bytes()]);
    }
}

fn lists() {
    let answers = [
        ("openai", r#"{"object":"list","data":[{"id":"gpt-4.1","object":"model"},{"id":"x","context_length":4096}]}"#),
        ("anthropic", r#"{"data":[{"type":"model","id":"claude","max_input_tokens":200000}],"has_more":false}"#),
        (
            "gemini",
            r#"{"models":[{"name":"models/gemini","inputTokenLimit":1048576,"supportedGenerationMethods":["generateContent"]}]}"#,
        ),
        ("ollama", r#"{"models":[{"name":"llama3.2:latest","details":{"family":"llama"}}]}"#),
        ("error", r#"{"error":{"type":"invalid_request_error","message":"no"}}"#),
    ];
    for (name, answer) in answers {
        for (n, preset) in (0u8..).zip(presets()) {
            if ["openai", "anthropic", "gemini", "ollama"].contains(&preset.name) {
                write("provider_list", &format!("{name}-to-{}", preset.name), &[&[n, 0, 0, 0], answer.as_bytes()]);
            }
        }
    }
}

fn requests() {
    let schema = r#"{"type":"object","properties":{"zone":{"type":"string","enum":["a","b"]},"n":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"required":["zone"],"additionalProperties":false}"#;
    for (n, preset) in (0u8..).zip(presets()) {
        let carried: &[u8] = match preset.format.name() {
            "anthropic" => br#"{"type":"thinking","thinking":"hm","signature":"c2ln"}"#,
            "openai_responses" => br#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"}"#,
            _ => br#"{"reasoning_content":"hm"}"#,
        };
        if !["openai", "anthropic", "gemini", "ollama", "openrouter", "mistral"].contains(&preset.name) {
            continue;
        }
        let codec = match preset.format.name() {
            "openai_chat" => 0,
            "openai_responses" => 1,
            "anthropic" => 2,
            "ollama" => 3,
            _ => 4,
        };
        let number = [16, 0, 0, 0, 0, 0, 0, 0];
        let head = [n, 0, 1];
        let mark = [codec];
        let parts: Vec<&[u8]> = vec![
            &head,
            &number,
            &[0, 2, 1],
            schema.as_bytes(),
            END,
            &[0],
            b"gpt-5",
            END,
            b"Be brief.",
            END,
            &[1, 0],
            b"clock",
            END,
            b"The time.",
            END,
            schema.as_bytes(),
            END,
            &[0, 1, 0],
            b"image/png",
            END,
            b"\x89PNG",
            END,
            b"What time is it? \xC3\xA4",
            END,
            &[1, 2, 0, 1],
            carried,
            END,
            &[2],
            b"call_1",
            END,
            b"clock",
            END,
            br#"{"zone":"a"}"#,
            END,
            &[0],
            b"Let me see.",
            END,
            &mark,
            &[2],
            b"call_1",
            END,
            b"clock",
            END,
            &[0],
            b"09:05",
            END,
            &[0],
            &[3],
            b"[No more tool calls]",
            END,
        ];
        write("provider_request", preset.name, &parts);
    }
}

fn texts() {
    let urls = [
        ("https://user.example.org:8443/a/../b?q=%20#f", "../c?d"),
        ("http://[2001:db8::1]:80/", "//host/x"),
        ("http://127.1/", "?x"),
        ("https://xn--bcher-kva.example/%e4", "http:relative"),
    ];
    for (n, (base, reference)) in urls.iter().enumerate() {
        write_texts("net_url", &format!("url-{n}"), &[], &[base, reference]);
        write_texts("hands_fetch", &format!("url-{n}"), &[], &["*.example.org:8443", base]);
    }
    let proxies =
        ["localhost, .example.org,10.0.0.0/8,[::1]:80,*", "a.example.org", "http://u:p@proxy:3128", "proxy:1", ""];
    write_texts("net_proxy", "all", &[80, 0], &proxies);
    let responses = [
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n"),
        ("close", "HTTP/1.0 404 Not Found\r\n\r\nuntil the end"),
        ("interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
        ("both", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ];
    for (name, response) in responses {
        write("net_response", name, &[&[0, 1, 0, 30, 0], response.as_bytes()]);
    }
    let config = "# mine\nmodel = \"openai/gpt-4.1\" # the usual\nfallback = [\"a/b\"]\n\n[providers.openai]\nkey = \"env:OPENAI_API_KEY\"\n\n\
        [limits]\nwall_ms = 1_000\n[policy.guest]\nwrite = \"deny\"\n[prices.\"a/b-1.5\"]\ninput_micro_usd_per_mtok = 3\n";
    let inline = "providers = { openai = { base_url = 'https://x' } }\r\nlimits.wall_ms = 5000\r\nlimits.depth = 1\r\n";
    for (name, text) in [("tables", config), ("inline", inline), ("broken", "[a\nb = = 1")] {
        write("settings_read", name, &[text.as_bytes()]);
        for key in [0u8, 4, 7, 8, 20, 30] {
            write("settings_edit", &format!("{name}-{key}"), &[&[key], b"openai", END, b"7", END, text.as_bytes()]);
        }
    }
    write_texts(
        "settings_environment",
        "some",
        &[],
        &["LIMITS__WALL_MS", "5", "PROVIDERS__GROQ__KEY", "x", "HOME", "/", "LIMITS__WAL_MS", "1"],
    );
    write_texts("terminal_neutral", "some", &[], &["a\u{1b}[31mb\r", "\nc\u{202e}\u{9b}", "\r\r\n\t\u{200b}"]);
    let session = "{\"v\":1,\"kind\":\"session\",\"at\":1,\"id\":\"a\",\"workspace\":\"/w\"}\n\
        {\"v\":1,\"kind\":\"person\",\"at\":2,\"text\":\"hi\",\"origin\":[\"person\"]}\n\
        {\"v\":1,\"kind\":\"model\",\"at\":3,\"codec\":\"anthropic\",\"parts\":[{\"text\":\"x\"}]}\n{\"v\":1,\"kind\":\"to";
    write("session_read", "torn", &[session.as_bytes()]);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let events = [
        ("task.spawned", r#""depth":0,"label":"person""#),
        ("model.asked", r#""ask":1,"model":"gpt","attempt":0,"entries":1,"bytes":10,"tool_use":"allowed""#),
        ("model.answered", r#""ask":1,"input_tokens":5,"output_tokens":2,"stop":"calls","calls":1"#),
        ("task.ended", r#""verdict":"done""#),
    ];
    let lines: Vec<String> = (0..).zip(events).map(|(n, (event, rest))| {
        format!("{{\"v\":1,\"ts\":\"2026-11-20T10:00:0{n}.000Z\",\"level\":\"info\",\"event\":\"{event}\",\"trace\":\"{trace}\",\"task\":\"t0.0\",{rest}}}\n")
    }).collect();
    write("observe_views", "story", &[&[100, 0, 0], b"<b>t", END, lines.concat().as_bytes()]);
}

fn tools() {
    let calls = [
        (0u8, r#"{"path":"a.txt","from_line":2,"lines":1}"#),
        (1, r#"{"path":"b","text":"x"}"#),
        (2, r#"{"path":"a.txt","old":"two","new":"2"}"#),
        (3, r#"{"path":"."}"#),
        (4, r#"{"pattern":"**/*.{rs,md}"}"#),
        (5, r#"{"pattern":"t.o","context":1}"#),
        (6, r#"{"url":"https://example.org/"}"#),
        (7, r#"{"zone":"+02:00"}"#),
        (8, r#"{"expression":"2^10 + sqrt(2)"}"#),
        (9, r#"{"goal":"x","tools":["time"]}"#),
        (10, r#"{"call":"c1"}"#),
    ];
    for (n, input) in calls {
        write(
            "tools_calls",
            &format!("tool-{n:02}"),
            &[&[n, 0], input.as_bytes(), END, &counted(b"one\ntwo\nthree\n"), &[0, 2, 0, b'a', 0xFF, 0]],
        );
    }
    for (n, expression) in
        ["1/3 + 0.1", "round(2.5, 0) % 7", "-2^-3^2", "max(1, 2e5, pi)", "factorial(20)", "17% of 2,340"]
            .iter()
            .enumerate()
    {
        write("tools_calculate", &format!("expression-{n}"), &[expression.as_bytes()]);
    }
    write("tools_edit", "replace", &[&[0], b"two\n", END, b"2\n", END, &[0], &counted(b"one\r\ntwo\r\n")]);
    write("tools_edit", "missing", &[&[0], b"tow", END, b"2", END, &[1], &counted(b"one\ntwo\n")]);
    let page = "<!doctype html><title>A &amp; B</title><meta charset=latin1><body><h1>x</h1><ul><li><a href='/y?z'>y</a><li><pre> a\n b</pre></ul><table><tr><td>1<td>2</table><script>no</script>&#x41;&copy";
    for (n, media) in (0u8..4).zip(["plain", "utf8", "latin1", "utf16"]) {
        write("tools_fetch", media, &[&[0, n, 0], page.as_bytes()]);
    }
    write(
        "tools_search",
        "search",
        &[
            &[0, 1],
            b"(a|b)+[^c]{1,3}$",
            END,
            b"**/*.txt",
            END,
            &[0, 1, 1, 0],
            &counted(b"aab\nabd\n"),
            &[0, 2, 0, b'a', b'.', b't', b'x', b't', 0xFF, 0],
        ],
    );
    write(
        "tools_search",
        "find",
        &[&[0, 0], b"{a,b}/**/[!x]?*", END, END, &[0, 0, 0, 0], &counted(b""), &[0, 1, 0, b'a', 0xFF, 1, 0, 0]],
    );
    let header = |version: u8, times: u8| {
        [b"TZif".as_slice(), &[version], &[0; 15], &[0; 15], &[times, 0, 0, 0, 1, 0, 0, 0, 4]].concat()
    };
    let body = [
        &[0, 0, 0, 0, 0x5E, 0, 0, 0][..],
        &[0],
        &[0, 0, 0x0E, 0x10, 0, 0],
        b"CET\0",
        b"\nCET-1CEST,M3.5.0,M10.5.0/3\n",
    ]
    .concat();
    let first = [header(b'2', 0), [&[0, 0, 0x0E, 0x10, 0, 0][..], b"CET\0"].concat()].concat();
    let zone = [first, header(b'2', 1), body].concat();
    write(
        "tools_time",
        "zone",
        &[b"Europe/Oslo", END, b"2026-07-01T12:00:00", END, b"Europe/Oslo", END, &[0; 8], b"UTC", END, &zone],
    );
}

fn offline() {
    let log = "2026-11-20T10:00:00Z INFO start\n2026-11-20T10:00:01Z ERROR db: connection refused id=7\n2026-11-20 10:00:02,5 WARN slow\n";
    let access = "127.0.0.1 - - [20/Nov/2026:10:00:00 +0000] \"GET /x HTTP/1.1\" 500 12 \"-\" \"curl\"\n";
    let csv = "name,amount,day\nAda,1.5,2026-01-01\n\"B, C\",-2,2026-01-02\n";
    let json = "{\"a\":[1,2,{\"b\":null}],\"c\":\"x\"}";
    let files = [
        log,
        csv,
        json,
        "One sentence. Two words!\n\n# Title\n",
        "# Head\n\n- item\n",
        "fn main() {\n    // TO\u{44}O\n}\n",
        access,
        "{\"a\":1}\n{\"a\":2}\n",
    ];
    for (n, file) in (0u8..).zip(files) {
        write("offline_file", &format!("file-{n}"), &[&[n, 0], file.as_bytes()]);
    }
    let slice = "a.log: lines 1-2 of 9; continue with from_line=3\nINFO a\nERROR b\n";
    write(
        "offline_answer",
        "slices",
        &[b"summarise a.log", END, &[0, 0, 0], slice.as_bytes(), END, &[0, 0, 0], slice.as_bytes(), END],
    );
    write(
        "offline_answer",
        "carried",
        &[b"summarise a.csv", END, &[1], b"[\"offline/1\",\"summarise a.csv\",0,0]", END, &[0], b"x", END],
    );
    for (n, goal) in [
        "what is in this folder?",
        "search for \"x y\" in logs",
        "what is 17% of 2,340?",
        "what time is it in Oslo and Lima?",
        "find *.csv",
    ]
    .iter()
    .enumerate()
    {
        write(
            "offline_answer",
            &format!("goal-{n}"),
            &[goal.as_bytes(), END, &[0, 0, 0], b"a.csv 12 bytes\nb/ directory\n", END],
        );
    }
}

fn kernel() {
    let set: &[u8] = &[1, 2, 0];
    let hosts: [&[u8]; 6] = [b"*.example.org:443", END, b"a.example.org", END, &[1, 0], b"$workspace/a"];
    write("core_capability", "hosts", &[&[set, &hosts.concat(), END, &[0, 0, 0, 0]].concat().repeat(3)]);
    write(
        "core_config",
        "some",
        &[&[2, 1], b"12", END, &[3, 5], b"a", END, b"env:X", END, &[1, 0xFE], b"a.nmber", END, b"1", END],
    );
    write("core_digest", "block", &[&[1, 0, 55, 0], &[b'a'; 130]]);
    // A task with every tool and plenty of everything: it is asked, calls two tools, and is done.
    let spec: &[&[u8]] = &[
        &[0, 0, 0, 0, 0],
        &[0, 0],
        &[0, 0, 0, 0],
        b"goal",
        END,
        &[0, 0, 0],
        &[0, 0, 0, 0],
        &[0, 0],
        &[0, 0, 20, 20, 0, 0, 0, 0, 2, 5],
        &[0],
        &[7; 8],
    ];
    let call = |tool: u8, input: &[u8]| [&[1, 0, 0, 3, tool, 9][..], input, END].concat();
    let stop: &[u8] = &[1, 0, 0, 6, 1];
    let result: &[u8] = &[1, 5, 0, 0, 1, 0, 0, b'x', 0xFF];
    let steps = [
        call(0, b"a"),
        call(0, b"b"),
        stop.to_vec(),
        result.to_vec(),
        result.to_vec(),
        vec![1, 0, 0, 0, b'y', 0xFF],
        stop.to_vec(),
    ];
    write("core_task", "reads", &[&spec.concat(), &steps.concat()]);
    let steps =
        [call(2, b"example.org"), call(5, b"child"), stop.to_vec(), vec![1, 7, 0, 0], vec![1, 8, 0, 0, b'z', 0xFF]];
    write("core_task", "asks", &[&spec.concat(), &steps.concat()]);
}
