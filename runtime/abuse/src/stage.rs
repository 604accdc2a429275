//! What stands on the host before an attack begins: files, sockets, victims, secrets.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::table::{Attack, Prop};
use crate::theatre;

/// What every secret on the stage holds.
pub const CANARY: &str = "canary-7f3a9c";
/// The key of what the host shares by System V's calls.
const KEY: i32 = 0x4145_5448;

/// What stands there for the whole suite.
#[derive(Debug)]
pub struct House {
    /// Everything of the suite is beneath it.
    pub base: PathBuf,
    /// The attacker, where every user may run it.
    pub attacker: PathBuf,
    mark: String,
    victim: Child,
    _abstract: UnixListener,
}

impl House {
    /// Sets it up beneath `base`, with that attacker.
    ///
    /// # Errors
    /// What could not be made, by name.
    pub fn open(base: &Path, attacker: &Path) -> Result<House, String> {
        let said = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        let programs = base.join("programs");
        fs::create_dir_all(&programs).map_err(said("a directory for the attacker"))?;
        let copy = programs.join("aether-attack");
        fs::copy(attacker, &copy).map_err(said("the attacker"))?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).map_err(said("the attacker's mode"))?;
        let mark = format!("abuse{}", std::process::id() + theatre_number());
        let victim = Command::new(&copy)
            .args(["sleep", "900000", CANARY])
            .env_clear()
            .env("AETHER_ABUSE_SECRET", CANARY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(said("a victim"))?;
        share(&mark).map_err(said("shared objects"))?;
        fs::write(format!("/dev/shm/{mark}-host"), CANARY).map_err(said("a shared file"))?;
        let address = SocketAddr::from_abstract_name(format!("{mark}-host")).map_err(said("an abstract name"))?;
        let listener = UnixListener::bind_addr(&address).map_err(said("an abstract socket"))?;
        Ok(House { base: base.to_owned(), attacker: copy, mark, victim, _abstract: listener })
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Whoever is gone already needs no end.
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

/// A number that tells this suite's marks from another's: inside a process namespace all are process 1.
fn theatre_number() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.subsec_micros())
}

/// Objects that live in the host's ipc namespace.
fn share(mark: &str) -> io::Result<()> {
    let flags = libc::IPC_CREAT | 0o666;
    let name = CString::new(mark)?;
    // SAFETY: numbers, and a string that outlives the call.
    let made = unsafe {
        [
            libc::shmget(KEY, 4096, flags).into(),
            libc::semget(KEY, 1, flags).into(),
            libc::msgget(KEY, flags).into(),
            libc::syscall(libc::SYS_mq_open, name.as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o666, 0),
        ]
    };
    if made.iter().any(|made: &libc::c_long| *made < 0) { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What stands there for one run.
#[derive(Debug)]
pub struct Stage {
    /// Its directory, which goes with it.
    pub place: PathBuf,
    words: BTreeMap<&'static str, String>,
    sockets: Vec<UnixListener>,
    datagrams: Option<UnixDatagram>,
    is_over: Arc<AtomicBool>,
    hands: Vec<JoinHandle<io::Result<()>>>,
}

impl Stage {
    /// Sets the stage for that attack.
    ///
    /// # Errors
    /// What could not be made.
    pub fn set(house: &House, attack: &Attack, number: usize) -> io::Result<Stage> {
        let place = house.base.join(number.to_string());
        let mut stage = Stage {
            words: words(house, &place),
            place,
            sockets: Vec::new(),
            datagrams: None,
            is_over: Arc::new(AtomicBool::new(false)),
            hands: Vec::new(),
        };
        stage.furnish()?;
        stage.props(attack.prop, house)?;
        Ok(stage)
    }

    /// The text with the stage's words filled in.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (name, word)| text.replace(&format!("{{{name}}}"), word))
    }

    /// One of its directories or words.
    #[must_use]
    pub fn word(&self, name: &str) -> &str {
        self.words.get(name).map_or("", String::as_str)
    }

    fn furnish(&mut self) -> io::Result<()> {
        let place = &self.place;
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777));
        for dir in [
            "workspace/out",
            "workspaceX",
            "outside",
            "sockets",
            "granted",
            "home/.ssh",
            "home/.aws",
            "config/aether",
            "data/other",
        ] {
            fs::create_dir_all(place.join(dir))?;
            open(&place.join(dir))?;
        }
        open(&place.join("workspace"))?;
        let secrets = [
            "outside/secret",
            "home/.ssh/id_ed25519",
            "home/.aws/credentials",
            "workspaceX/secret",
            "data/other/record",
        ];
        for secret in secrets {
            fs::write(place.join(secret), CANARY)?;
        }
        for plain in ["workspace/file", "outside/writable", "granted/writable", "granted/own"] {
            fs::write(place.join(plain), "as it was\n")?;
            fs::set_permissions(place.join(plain), fs::Permissions::from_mode(0o666))?;
        }
        self.sockets.push(UnixListener::bind(place.join("sockets/docker.sock"))?);
        self.datagrams = Some(UnixDatagram::bind(place.join("sockets/datagram"))?);
        Ok(())
    }

    fn props(&mut self, prop: Option<Prop>, house: &House) -> io::Result<()> {
        let place = self.place.clone();
        match prop {
            Some(Prop::SocketBefore) => self.sockets.push(UnixListener::bind(place.join("granted/socket"))?),
            Some(Prop::SocketDuring) => {
                let path = place.join("granted/late");
                self.hand(move |is_over| {
                    pause(250);
                    let listener = UnixListener::bind(&path)?;
                    while !is_over.load(Ordering::Relaxed) {
                        pause(10);
                    }
                    drop(listener);
                    Ok(())
                });
            }
            Some(Prop::LinkedGrant) => {
                fs::remove_dir(place.join("workspace/out"))?;
                symlink("../outside", place.join("workspace/out"))?;
            }
            Some(Prop::Swapping) => {
                let workspace = place.join("workspace");
                fs::create_dir(workspace.join("swap"))?;
                symlink("../outside", workspace.join("link"))?;
                self.hand(move |is_over| swap(&workspace, is_over));
            }
            Some(Prop::Home) => {
                let profile = place.join("workspace/.profile");
                fs::write(&profile, "# as it was\n")?;
                fs::set_permissions(&profile, fs::Permissions::from_mode(0o666))?;
            }
            Some(Prop::Repository) => repository(&place.join("workspace/.git"))?,
            Some(Prop::SetUser) => {
                let copy = place.join("granted/set-user");
                fs::copy(&house.attacker, &copy)?;
                fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755))?;
            }
            Some(Prop::Credential) => {
                let (config, trust) = (place.join("config/aether"), house.base.join(theatre::CERTIFICATE));
                fs::set_permissions(&config, fs::Permissions::from_mode(0o700))?;
                fs::write(config.join("config.toml"), format!("[network]\nca_file = \"{}\"\n", trust.display()))?;
                fs::write(config.join("policy.toml"), "[secrets]\ntoken = \"env:AETHER_ABUSE_SECRET\"\n")?;
                fs::set_permissions(config.join("policy.toml"), fs::Permissions::from_mode(0o600))?;
            }
            Some(Prop::Descriptor | Prop::Environment | Prop::Neighbour(_)) | None => {}
        }
        Ok(())
    }

    fn hand(&mut self, work: impl FnOnce(&AtomicBool) -> io::Result<()> + Send + 'static) {
        let is_over = Arc::clone(&self.is_over);
        self.hands.push(std::thread::spawn(move || work(&is_over)));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for hand in self.hands.drain(..) {
            // What a hand could not do shows in the attack's outcome.
            let _ = hand.join();
        }
        // What an attack left unremovable goes with the base.
        let _ = fs::remove_dir_all(&self.place);
        for left in ["/{mark}", "/dev/shm/{mark}", "/tmp/{mark}", "/tmp/{mark}-left"] {
            let left = self.fill(left);
            let _ = fs::remove_file(&left).or_else(|_| fs::remove_dir_all(&left));
        }
    }
}

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Lets `swap` be a directory and a link out of the workspace by turns, each change atomic.
fn swap(workspace: &Path, is_over: &AtomicBool) -> io::Result<()> {
    let name = |name: &str| CString::new(workspace.join(name).into_os_string().into_encoded_bytes());
    let (swap, link) = (name("swap")?, name("link")?);
    while !is_over.load(Ordering::Relaxed) {
        let here = libc::AT_FDCWD;
        // SAFETY: two strings that outlive the call, and numbers.
        let done = unsafe {
            libc::syscall(libc::SYS_renameat2, here, swap.as_ptr(), here, link.as_ptr(), libc::RENAME_EXCHANGE)
        };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        std::thread::sleep(Duration::from_micros(150));
    }
    Ok(())
}

fn repository(git: &Path) -> io::Result<()> {
    fs::create_dir_all(git.join("hooks"))?;
    fs::create_dir_all(git.join("refs/heads"))?;
    fs::create_dir_all(git.join("objects"))?;
    fs::create_dir_all(git.join("modules/part/hooks"))?;
    fs::write(git.join("HEAD"), "ref: refs/heads/main\n")?;
    fs::write(git.join("config"), "[core]\n\tbare = false\n")?;
    fs::set_permissions(git.join("config"), fs::Permissions::from_mode(0o666))?;
    for dir in ["", "hooks", "modules/part/hooks"] {
        fs::set_permissions(git.join(dir), fs::Permissions::from_mode(0o777))?;
    }
    Ok(())
}

fn words(house: &House, place: &Path) -> BTreeMap<&'static str, String> {
    let dir = |name: &str| place.join(name).to_string_lossy().into_owned();
    let space = |kind: &str| {
        fs::read_link(format!("/proc/self/ns/{kind}"))
            .map_or_else(|_| String::new(), |to| to.to_string_lossy().into_owned())
    };
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let number = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    BTreeMap::from([
        ("workspace", dir("workspace")),
        ("outside", dir("outside")),
        ("granted", dir("granted")),
        ("sockets", dir("sockets")),
        ("home", dir("home")),
        ("config", dir("config")),
        ("data", dir("data")),
        ("programs", house.base.join("programs").to_string_lossy().into_owned()),
        ("attack", house.attacker.to_string_lossy().into_owned()),
        ("canary", CANARY.to_owned()),
        ("mark", format!("{}n{number}", house.mark)),
        ("house", house.mark.clone()),
        ("victim", house.victim.id().to_string()),
        ("port", theatre::HOST_PORT.to_string()),
        ("key", KEY.to_string()),
        ("disk", disk()),
        ("hostname", hostname.trim().to_owned()),
        ("ns:pid", space("pid")),
        ("ns:net", space("net")),
        ("ns:ipc", space("ipc")),
        ("ns:uts", space("uts")),
    ])
}

/// The device that the root directory is on.
fn disk() -> String {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
    let device = root.and_then(|line| line.split(" - ").nth(1)).and_then(|rest| rest.split(' ').nth(1));
    device.unwrap_or("/dev/vda").to_owned()
}
