//! The network of a jail: what programs reach without knowing of it, what nobody reaches, and secrets that they never hold.

use std::process::Command;

use serde_json::json;

use crate::far::{Far, LIMITS, LOOPBACK, SECRET, VARIABLE, echo, secret};
use crate::ground::{Ended, results};
use crate::yard::{
    MODES, WORK, Who, audited, audits, calling_at_once, gone, input, manifest, mark, until_marked, words,
};

/// What policy says where the secret comes from.
const SECRETS: &str = "[secrets]\ntoken = \"env:FAR_TOKEN\"\n";

/// No file at all.
const NOBODY: &[std::path::PathBuf] = &[];

/// A repository that can be fetched by HTTP without a program at the far end.
fn repository(far: &Far) {
    let (work, bare) = (far.nest.outside("work"), far.nest.outside("repository"));
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", far.nest.home()).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
        let ended = command.args(words).output().expect("git");
        assert!(ended.status.success(), "{ended:?}");
    };
    let (work, bare) = (work.to_string_lossy(), bare.to_string_lossy());
    git(&["init", "-q", "-b", "main", &work]);
    std::fs::write(format!("{work}/note"), "from afar\n").expect("a file");
    git(&["-C", &work, "add", "note"]);
    git(&["-C", &work, "commit", "-q", "-m", "note"]);
    git(&["clone", "-q", "--bare", &work, &bare]);
    git(&["-C", &bare, "update-server-info"]);
}

/// Checks that a run printed exactly these lines.
#[track_caller]
fn prints(ended: Ended, lines: &[&str]) -> Ended {
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), lines, "{ended:#?}");
    ended
}

/// Programs that know nothing of proxies and brokers.
#[test]
fn programs_reach_the_hosts_that_are_declared() {
    for who in Who::all() {
        let far = Far::new(*who, LOOPBACK, "");
        repository(&far);
        let (server, plain) = (far.tls(&["api"]), far.plain());
        let (api, open) = (server.at("api"), plain.at("api"));
        let line = format!(
            "env | grep -i proxy; set -e; export GIT_SSL_CAINFO=$PWD/authority.pem\n\
             curl -sS --cacert authority.pem https://{api}/curl\n\
             curl -sS http://{open}/plain\n\
             python3 -c \"import ssl, urllib.request as u; \
                 print(u.urlopen('https://{api}/python', context=ssl.create_default_context(cafile='authority.pem'))\
                 .read().decode(), end='')\"\n\
             NODE_EXTRA_CA_CERTS=authority.pem node -e \"fetch('https://{api}/fetch').then(answer => answer.text())\
                 .then(text => {{ process.stdout.write(text); \
                 require('https').get('https://{api}/node', answer => answer.pipe(process.stdout)); }})\"\n\
             git ls-remote https://{api}/repository refs/heads/main | cut -f 2\n\
             git clone -q https://{api}/repository clone; cat clone/note"
        );
        let ended = far.sandbox(&[api.clone(), open.clone()], "", &line).exits(0);
        let pages = ["curl", "plain", "python", "fetch", "node"];
        let pages = pages.map(|page| format!("reached {} /{page}", if page == "plain" { &open } else { &api }));
        let pages = pages.iter().map(String::as_str);
        prints(ended, &pages.chain(["refs/heads/main", "from afar"]).collect::<Vec<_>>());
        let name = ["\"kind\":\"egress\"", "\"about\":\"name\"", "\"host\":\"api.example.com\"", "\"allowed\""];
        audits(*who, &far.nest, &name);
        let port = format!("\"port\":{}", server.port);
        audits(*who, &far.nest, &["\"about\":\"connection\"", &port, "\"address\":\"127.0.0.1\"", "\"allowed\""]);
    }
}

/// What is not declared has no name, no address and no port.
#[test]
fn nothing_else_is_reached() {
    for who in Who::all() {
        let far = Far::new(*who, LOOPBACK, "");
        let (server, second, plain) = (far.tls(&["api", "other"]), far.tls(&["api", "other"]), far.plain());
        let (port, open) = (server.port, plain.port);
        let line = format!(
            "curl() {{ command curl -s -m 8 --cacert authority.pem \"$@\" || echo \"curl $?\"; }}\n\
             curl https://other.example.com:{port}/\n\
             curl https://x.api.example.com:{port}/\n\
             curl https://api.example.com:{}/\n\
             curl -o /dev/null https://127.0.0.1:{port}/\n\
             curl -o /dev/null https://[::1]:{port}/\n\
             curl -o /dev/null https://other.example.com:{port}/ --connect-to ::api.example.com:{port}\n\
             curl http://api.example.com:{open}/ -H 'host: other.example.com:{open}'\n\
             curl -x http://api.example.com:{open} http://other.example.com:{open}/\n\
             curl -o /dev/null -p -x http://api.example.com:{open} https://other.example.com:{port}/\n\
             curl -L 'https://api.example.com:{port}/to?https://other.example.com:{port}/'\n\
             curl -L 'http://api.example.com:{open}/to?http://127.0.0.1:{open}/'\n\
             curl -m 4 -o /dev/null http://127.0.0.1:{}/",
            second.port,
            far.plain().port,
        );
        let ended = far.sandbox(&[server.at("api"), plain.at("api")], "", &line).exits(0);
        let answers: Vec<&str> = ended.stdout.lines().collect();
        assert_eq!(answers[..3], ["curl 6", "curl 6", "curl 7"], "{ended:#?}");
        for answer in [answers[3], answers[5]] {
            // A TLS alert: access denied (RFC 8446, section 6.2).
            assert!(["curl 35", "curl 52", "curl 56"].contains(&answer), "{answer}: {ended:#?}");
        }
        assert!(
            !answers[4].is_empty() && answers[6..8].iter().all(|answer| answer.starts_with("aether: ")),
            "{ended:#?}"
        );
        assert_eq!(answers[8], "curl 56", "{ended:#?}");
        assert_eq!(answers[9], "curl 6", "a redirect to another name: {ended:#?}");
        assert!(answers[10].contains("this address was not granted"), "a redirect to an address: {ended:#?}");
        assert_eq!(answers[11], "curl 7", "{ended:#?}");
        assert_eq!(server.seen().len() + plain.seen().len(), 2, "the redirects alone");
        assert!(second.seen().is_empty());
        for parts in [
            &["\"about\":\"name\"", "\"host\":\"other.example.com\"", "not among the hosts"][..],
            &["\"about\":\"connection\"", "\"host\":\"api.example.com\"", "TLS hello is for other.example.com"],
            &["\"about\":\"connection\"", "\"host\":\"127.0.0.1\"", "was not granted"],
        ] {
            audits(*who, &far.nest, &[parts, &["\"verdict\":\"refused\""]].concat());
        }
    }
}

/// A declared name is no leave to reach what it leads to.
#[test]
fn names_that_lead_inside_are_refused() {
    const NAMES: &str =
        "api six second ten twelve sixteen shared link metadata zero many local mapped translated mixed";
    let names: Vec<&str> = NAMES.split(' ').collect();
    let line = |names: &[&str], port: u16| {
        let each = |one: &&str| format!("echo {one} $(curl -s -m 8 http://{one}.example.com:{port}/)\n");
        names.iter().map(each).collect::<String>()
    };
    let far = Far::new(Who::Self_, "private_exceptions = []", "");
    let server = far.plain();
    let hosts: Vec<String> = names.iter().map(|one| server.at(one)).collect();
    let ended = far.sandbox(&hosts, "", &line(&names, server.port)).exits(0);
    for (one, said) in names.iter().zip(ended.stdout.lines()) {
        let is_refused = said.contains("only the operator can allow");
        assert!(said.starts_with(&format!("{one} ")) && is_refused, "{one}: {ended:#?}");
    }
    for name in ["localhost", "printer.local"] {
        far.sandbox(&[format!("{name}:80")], "", "true").exits(2).says("a name within private networks");
    }
    let line_to_clouds = "curl -s http://metadata.google.internal/";
    let ended = far.sandbox(&["metadata.google.internal:80".to_owned()], "", line_to_clouds);
    assert!(ended.stdout.is_empty() && ended.status.code() != Some(0), "{ended:#?}");
    // An exception is for what it names: not for its neighbours, and not for a name that leads elsewhere, too.
    let far = Far::new(Who::Self_, LOOPBACK, "");
    let ended = far.sandbox(&hosts, "", &line(&["api", "second", "mixed", "ten"], server.port)).exits(0);
    let said: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(said[0], format!("api reached {} /", server.at("api")), "{ended:#?}");
    assert!(said[1..].iter().all(|said| said.contains("only the operator can allow")), "{ended:#?}");
    assert_eq!(server.seen().len(), 1);
    audits(far.who, &far.nest, &["\"host\":\"ten.example.com\"", "\"address\":\"10.1.2.3\"", "\"refused\""]);
}

/// A wildcard is for what is below it, and policy stands above every manifest.
#[test]
fn wildcards_and_policy_have_edges() {
    let line = |port: u16, names: &[&str]| {
        let each = |one: &&str| format!("echo {one} $(curl -s -m 8 http://{one}:{port}/)\n");
        names.iter().map(each).collect::<String>()
    };
    let names = ["one.wild.example.com", "TWO.ONE.WILD.example.com.", "wild.example.com", "evilwild.example.com"];
    let far = Far::new(Who::Self_, LOOPBACK, "");
    let server = far.plain();
    let hosts = [format!("*.wild.example.com:{}", server.port)];
    let ended = far.sandbox(&hosts, "", &line(server.port, &names)).exits(0);
    let reached: Vec<bool> = ended.stdout.lines().map(|said| said.contains(" reached ")).collect();
    assert_eq!(reached, [true, true, false, false], "{ended:#?}");

    let denied = format!("{LOOPBACK}\ndenied_hosts = [\"two.one.wild.example.com\"]");
    let far = Far::new(Who::Self_, &denied, "");
    let ended = far.sandbox(&hosts, "", &line(server.port, &names[..2])).exits(0);
    let reached: Vec<bool> = ended.stdout.lines().map(|said| said.contains(" reached ")).collect();
    assert_eq!(reached, [true, false], "{ended:#?}");
    audits(far.who, &far.nest, &["two.one.wild.example.com", "policy denies this host"]);

    let allowed = format!("{LOOPBACK}\nallowed_hosts = [\"one.wild.example.com:{}\"]", server.port);
    let far = Far::new(Who::Self_, &allowed, "");
    far.sandbox(&[server.at("one.wild")], "", &line(server.port, &names[..1])).exits(0).answers(" reached ");
    far.sandbox(&[server.at("api")], "", "true").exits(3).says("policy");
    far.sandbox(&hosts, "", "true").exits(3).says("policy");
}

/// A secret is added outside, once, whatever the program sent in its place.
#[test]
fn a_secret_arrives_once() {
    for who in Who::all() {
        let far = Far::new(*who, LOOPBACK, SECRETS);
        repository(&far);
        let server = far.tls(&["api"]);
        let api = server.at("api");
        let line = format!(
            "set -e; curl -sS http://api.example.com/plain -H 'Authorization: Bearer mine' -H 'authorization: again'\n\
             curl -sS https://{api}/curl -u me:mine\n\
             python3 -c \"import urllib.request as u; print(u.urlopen('https://{api}/python').read().decode(), end='')\"\n\
             node -e \"fetch('https://{api}/node', {{ headers: {{ authorization: 'mine' }} }})\
                 .then(answer => answer.text()).then(text => process.stdout.write(text))\"\n\
             git ls-remote https://{api}/repository refs/heads/main | cut -f 2"
        );
        let ended = far.with_secret(&api, &[], &line).exits(0).hides(SECRET);
        let pages = ["plain", "curl", "python", "node"].map(|page| format!("reached {api} /{page}"));
        prints(ended, &pages.iter().map(String::as_str).chain(["refs/heads/main"]).collect::<Vec<_>>());
        let seen = server.seen();
        assert!(seen.len() > 4, "{seen:#?}");
        for head in &seen {
            let fields = head.to_ascii_lowercase();
            assert_eq!(fields.matches("authorization:").count(), 1, "{head}");
            assert!(head.contains(&format!("authorization: Bearer {SECRET}\r\n")) && !head.contains("mine"), "{head}");
        }
        let used = ["\"kind\":\"secret\"", "\"secret\":\"token\"", "\"host\":\"api.example.com\"", "\"allowed\""];
        audits(*who, &far.nest, &used);
        assert_eq!(far.holders(), NOBODY);
        assert!(!audited(*who, &far.nest).concat().contains(&SECRET[..7]));
    }
}

/// Looks through everything that a program can read, its own memory first, without holding what it looks for.
const SEARCH: &str = r#"
import os, sys, urllib.request
flip = bytes(byte ^ 0x55 for byte in range(256))
looked_for = {name: bytes.fromhex(value) for name, value in zip(("secret", "control"), sys.argv[1:])}
page = urllib.request.urlopen(os.environ["PAGE"]).read()
kept = bytes(reversed(b"lortnoc-fo-yromem"))
found = {name: set() for name in looked_for}
def look(where, data):
    flipped = data.translate(flip)
    for name, value in looked_for.items():
        if value in flipped:
            found[name].add(where)
for line in open("/proc/self/maps"):
    parts = line.split()
    begin, end = (int(part, 16) for part in parts[0].split("-"))
    if "r" in parts[1] and "[v" not in line:
        with open("/proc/self/mem", "rb", 0) as memory:
            at = begin
            while at < end:
                memory.seek(at)
                data = memory.read(min(end - at, 1 << 22) + 64 if end - at > 1 << 22 else end - at)
                look("memory", data)
                at += 1 << 22
for top in ("/proc", "/etc", "/tmp", "/run", "/var", "/home", "/root", os.getcwd()):
    for folder, folders, files in os.walk(top):
        for name in files:
            path = os.path.join(folder, name)
            if name in ("mem", "kmsg", "pagemap", "kpageflags", "kcore", "trace_pipe", "clear_refs"):
                continue
            try:
                if os.path.isfile(path) and not os.path.islink(path):
                    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                    look(path, os.read(handle, 1 << 20))
                    os.close(handle)
            except OSError:
                pass
print("page", page.startswith(b"begin|") and page.endswith(b"|end\n"), "memory" in found["control"], sorted(found["secret"]))
"#;

/// A program never has the value: not in its memory, variables, arguments or files, nor in what it leaves behind.
#[test]
fn a_program_never_holds_a_secret() {
    let flipped = |text: &str| text.bytes().map(|byte| format!("{:02x}", byte ^ 0x55)).collect::<String>();
    for who in Who::all() {
        let far = Far::new(*who, LOOPBACK, SECRETS);
        let server = far.tls(&["api"]);
        let api = server.at("api");
        let temporary = far.nest.path("temporary");
        std::fs::create_dir(&temporary).expect("a directory");
        let far = far.env("TMPDIR", &temporary.to_string_lossy());
        far.nest.file("search.py", SEARCH);
        let line = format!(
            "export PAGE=https://{api}/echo; env > variables\n\
             python3 search.py {} {} 2>&1; tr '\\0' '\\n' < /proc/self/environ >> variables\n\
             curl -s http://api.example.com/chunks -D heads > page\n\
             ulimit -c unlimited; sh -c 'kill -QUIT $$'; ls",
            flipped(SECRET),
            flipped("memory-of-control"),
        );
        let ended = far.with_secret(&api, &[], &line).exits(0).hides(SECRET);
        assert!(crate::ground::names_in(&temporary).is_empty(), "the jail's trust store is gone");
        let left = "authority.pem heads page search.py variables";
        let wanted: Vec<&str> = std::iter::once("page True True []").chain(left.split(' ')).collect();
        prints(ended, &wanted);
        assert!(server.seen().iter().all(|head| head.contains(SECRET)));
        assert!(!far.nest.text_of("variables").contains(VARIABLE));
        assert_eq!(far.holders(), NOBODY);
    }
}

/// While a program runs there is no file of the broker's certificate outside, so that a kill leaves none.
#[test]
fn a_kill_leaves_no_trust_store() {
    let far = Far::new(Who::Self_, LOOPBACK, SECRETS);
    let server = far.tls(&["api"]);
    let (mark, temporary) = (mark(), far.nest.path("temporary"));
    std::fs::create_dir(&temporary).expect("a directory");
    let far = far.env("TMPDIR", &temporary.to_string_lossy());
    let api = server.at("api");
    let path = manifest(&far.nest, &format!("{LIMITS}network = [\"{api}\"]\n{}", secret(&api)));
    let line = format!("curl -sS https://{api}/ > page; sleep {mark}");
    let live = far.aether(&["sandbox", "run", "--manifest", &path, "--", "sh", "-c", &line]).start();
    until_marked(&format!("sleep\0{mark}"));
    assert!(crate::ground::names_in(&temporary).is_empty() && far.nest.text_of("page").starts_with("reached"));
    live.kill();
    gone(&mark, 3_000);
    assert!(crate::ground::names_in(&temporary).is_empty());
}

/// What the host sends back of it is masked in every form, however it comes.
#[test]
fn echoes_are_masked() {
    let far = Far::new(Who::Self_, LOOPBACK, SECRETS);
    let server = far.tls(&["api"]);
    let api = server.at("api");
    let line = format!(
        "for path in echo chunks; do curl -sS -i http://api.example.com/$path; curl -sS -i https://{api}/$path; done\n\
         curl -s -i https://{api}/packed; curl -s --compressed https://{api}/packed"
    );
    let ended = far.with_secret(&api, &[], &line).exits(0).hides(SECRET);
    assert_eq!(ended.stdout.matches("begin|").count(), 4, "{ended:#?}");
    assert_eq!(ended.stdout.matches("|end\n").count(), 4, "{ended:#?}");
    let forms = echo(SECRET);
    for form in forms.split('|').skip(1).filter(|form| !form.starts_with("end")) {
        // Whatever stands before and behind the secret in base64 is no secret.
        let kernel = &form[4..form.len() - 5];
        assert!(!ended.stdout.contains(kernel), "{kernel}: {ended:#?}");
    }
    assert!(ended.stdout.contains("x-token: *****************\r\n"), "{ended:#?}");
    assert_eq!(ended.stdout.matches("it compressed its answer").count(), 2, "{ended:#?}");
    assert!(!ended.stdout.contains("\u{8}"), "{ended:#?}");
}

/// It goes to its host at its port, and not where that host sends the program.
#[test]
fn a_secret_is_for_one_host_alone() {
    let far = Far::new(Who::Self_, LOOPBACK, SECRETS);
    let (server, second, stranger) = (far.tls(&["api", "other"]), far.tls(&["api"]), far.tls(&["other"]));
    let (api, other, away) = (server.at("api"), server.at("other"), second.at("api"));
    let line = format!(
        "export CURL_CA_BUNDLE=$PWD/authority.pem; curl -sS https://{other}/host; curl -sS https://{away}/port\n\
         unset CURL_CA_BUNDLE; cat authority.pem $SSL_CERT_FILE > both.pem\n\
         curl -sS -L --cacert both.pem 'https://{api}/to?https://{other}/redirect'\n\
         curl -sS http://api.example.com/ -H 'host: other.example.com'\n\
         curl -s https://{api}/ --cacert authority.pem; echo $?"
    );
    let ended = far.with_secret(&api, &[other.clone(), away.clone()], &line).exits(0).hides(SECRET);
    let said: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(
        said[..3],
        [(&other, "host"), (&away, "port"), (&other, "redirect")].map(|(host, page)| format!("reached {host} /{page}"))
    );
    assert!(said[3].starts_with("aether: ") && said[4] == "60", "{ended:#?}");
    let (seen, elsewhere) = (server.seen(), second.seen());
    let with: Vec<&String> = seen.iter().chain(&elsewhere).filter(|head| head.contains(SECRET)).collect();
    assert_eq!(with.len(), 1, "{seen:#?} {elsewhere:#?}");
    assert!(with[0].starts_with("GET /to?"), "{with:#?}");
    // A host that cannot show its name's certificate gets nothing.
    let impostor = stranger.at("api");
    let ended = far.with_secret(&impostor, &[], "curl -sS http://api.example.com/").exits(0);
    assert!(ended.stdout.contains("no TLS with it") && stranger.seen().is_empty(), "{ended:#?}");
}

/// Secrets that are not there, or declared for what nobody may reach: nothing runs, and the sentence says why.
#[test]
fn a_secret_that_is_missing_is_said() {
    let host = "api.example.com:4433";
    let far = Far::new(Who::Self_, LOOPBACK, "");
    let missing = "the manifest wants the secret `token`, which policy does not have";
    far.with_secret(host, &[], "touch ran").exits(2).says_all(&[missing, "aether policy edit"]);
    let far = Far::new(Who::Self_, LOOPBACK, "[secrets]\ntoken = \"env:FAR_AWAY\"\n");
    far.with_secret(host, &[], "touch ran").exits(2).says("the variable FAR_AWAY is not set");
    let path = far.nest.home().join("token");
    let tables = format!("[secrets]\ntoken = \"file:{}\"\n", path.display());
    let far = Far::new(Who::Self_, LOOPBACK, &tables);
    far.with_secret(host, &[], "touch ran").exits(2).says("the secret `token`: ");
    // Certificates that cannot be read stop it before there is a program, too.
    let far = Far::new(Who::Self_, LOOPBACK, SECRETS);
    std::fs::remove_file(far.nest.outside("authority.pem")).expect("removed");
    let ended = far.with_secret(host, &[], "touch ran").exits(1).says("authority.pem").hides(SECRET);
    assert_eq!(far.nest.names(), ["authority.pem"], "{ended:#?}");
    for bad in ["short", "two\nlines of it"] {
        let far = Far::new(Who::Self_, LOOPBACK, SECRETS);
        let call = manifest(&far.nest, &format!("{LIMITS}network = [\"{host}\"]\n{}", secret(host)));
        let call = far.aether(&["sandbox", "run", "--manifest", &call, "--", "touch", "ran"]).env(VARIABLE, bad);
        let ended = call.run().exits(1).says("token").says("its value is not 8 to 4096 bytes");
        assert!(!ended.stderr.contains(bad) && far.nest.names() == ["authority.pem"], "{ended:#?}");
    }
}

/// A secret from a file that only its owner reads.
#[test]
fn a_secret_is_read_from_a_file() {
    let far = Far::new(Who::Self_, LOOPBACK, "[secrets]\ntoken = \"file:~/token\"\n");
    let kept = far.nest.write("token", &format!("{SECRET}\n"), 0o600);
    let server = far.tls(&["api"]);
    let line = "curl -sS http://api.example.com/file";
    far.with_secret(&server.at("api"), &[], line).exits(0).answers("reached").hides(SECRET);
    assert!(server.seen()[0].contains(&format!("authorization: Bearer {SECRET}\r\n")));
    assert_eq!(far.holders(), std::slice::from_ref(&kept));
    std::fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode");
    far.with_secret(&server.at("api"), &[], line).exits(2).says("the secret `token`: ").hides(SECRET);
}

/// What goes out and what is open at once has a limit, and its end is written down.
#[test]
fn quotas_end_in_a_refusal() {
    let far = Far::new(Who::Self_, LOOPBACK, "");
    let server = far.plain();
    let api = server.at("api");
    let many = format!(
        "import socket, time\n\
         all = [socket.create_connection(('api.example.com', {})) for n in range(70)]\n\
         time.sleep(0.3)\n\
         def reaches(one):\n    \
             try:\n        \
                 one.sendall(b'GET /many HTTP/1.1\\r\\nhost: {api}\\r\\n\\r\\n')\n        \
                 return b'reached' in one.recv(4096)\n    \
             except OSError:\n        \
                 return False\n\
         print(sum(reaches(one) for one in all))\n",
        server.port
    );
    far.nest.file("many.py", many);
    let line = format!("python3 many.py; truncate -s 300M large; curl -s -T large http://{api}/large; echo $?");
    let ended = far.sandbox(&[api], "", &line).exits(0);
    let said: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(said[0], "64", "{ended:#?}");
    assert_ne!(said.last(), Some(&"0"), "{ended:#?}");
    assert!(!ended.stdout.contains("reached"), "{ended:#?}");
    audits(
        far.who,
        &far.nest,
        &["\"about\":\"quota\"", "\"refused\"", "the quota of 64 connections at a time is spent"],
    );
    audits(far.who, &far.nest, &["\"refused\"", "the quota of 268435456 bytes to the network is spent"]);
}

/// The same through the tools of a model, with the broker in this process and in the sidecar.
#[test]
fn a_models_tools_reach_what_they_name() {
    for who in Who::all() {
        for mode in MODES {
            tools_reach(*who, mode);
        }
    }
}

#[track_caller]
fn tools_reach(who: Who, mode: &[&str]) {
    let far = Far::new(who, LOOPBACK, "");
    repository(&far);
    let server = far.tls(&["api", "other"]);
    let (api, other) = (server.at("api"), server.at("other"));
    let both = format!("curl -sS https://{api}/shell 2>&1; curl -sS https://{other}/shell 2>&1; true");
    // In one turn: what was read from the workspace, or from afar, is not sent on without a question.
    let model = calling_at_once(&[
        ("shell", &input(json!({ "command": both, "hosts": [api] }))),
        ("shell", &input(json!({ "command": both, "hosts": [api], "session": "far" }))),
        ("git", &input(json!({ "args": ["clone", "-q", format!("https://{api}/repository"), "clone"] }))),
        ("shell", &input(json!({ "command": both }))),
    ]);
    far.ask(&model);
    let allowed = ["--allow", "network_read", "--allow", "network_send"];
    far.aether(&words(&[&["run", "go"], mode, WORK, &allowed])).run().exits(0);
    let told = results(model.requests().last().expect("a request"));
    for told in &told[..2] {
        assert!(told.starts_with(&format!("reached {api} /shell\n")), "{who:?} {mode:?}: {told:#?}");
        assert!(told.contains("Could not resolve host: other.example.com"), "{who:?} {mode:?}: {told:#?}");
    }
    assert_eq!(far.nest.text_of("clone/note"), "from afar\n", "{who:?} {mode:?}: {told:#?}");
    assert!(!told[3].contains("reached"), "{who:?} {mode:?}: {told:#?}");
    for tool in ["shell", "git"] {
        let tool = format!("\"tool\":\"{tool}\"");
        audits(who, &far.nest, &[&tool, "\"about\":\"name\"", "\"host\":\"api.example.com\"", "\"allowed\""]);
        audits(who, &far.nest, &[&tool, "\"about\":\"connection\"", "\"address\":\"127.0.0.1\"", "\"allowed\""]);
    }
    let refused = ["\"tool\":\"shell\"", "\"about\":\"name\"", "\"host\":\"other.example.com\"", "\"refused\""];
    audits(who, &far.nest, &refused);
    let pages: Vec<String> = server.seen().into_iter().filter(|head| !head.contains("/repository/")).collect();
    assert_eq!(pages.len(), 2, "{pages:#?}");
}
