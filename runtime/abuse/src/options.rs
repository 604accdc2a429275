//! What the command line asks for, and the play it starts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aether_abuse::stage::House;
use aether_abuse::suite::{self, Choice};
use aether_abuse::theatre::{self, Condition};

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    choice: Choice,
    uid: Option<u32>,
    condition: Condition,
}

/// Reads the words of the command line.
pub(crate) fn read(words: &[String]) -> Result<Options, String> {
    let mut options =
        Options { choice: Choice { hands: 4, ..Choice::default() }, uid: None, condition: Condition::Plain };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().map(String::as_str).ok_or_else(|| format!("`{word}` wants a word after it"));
        let choice = &mut options.choice;
        match word.as_str() {
            "outside" => choice.outside = true,
            "bubblewrap" => choice.bubblewrap = true,
            "refused" => choice.refused = true,
            "inside" => choice.inside = Some(program(next()?)?),
            "without" => choice.without = Some(program(next()?)?),
            "unplugged" => choice.unplugged = Some(program(next()?)?),
            "only" => choice.only = next()?.to_owned(),
            "as" => options.uid = Some(number(next()?)?),
            "hands" => choice.hands = number(next()?)? as usize,
            "under" => options.condition = condition(next()?)?,
            other => return Err(format!("`{other}` is no word of this command")),
        }
    }
    Ok(options)
}

fn program(path: &str) -> Result<PathBuf, String> {
    fs::canonicalize(path).map_err(|error| format!("{path}: {error}"))
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn condition(name: &str) -> Result<Condition, String> {
    let all = [Condition::Plain, Condition::NoUserNamespaces, Condition::ContainerFilter, Condition::ReadOnlyGroups];
    let found = all.into_iter().find(|condition| condition.name() == name);
    found.ok_or_else(|| format!("no condition `{name}`"))
}

/// The directory of one suite, which goes with it.
struct Base(PathBuf);

impl Base {
    fn make(uid: Option<u32>) -> Result<Base, String> {
        let path = std::env::temp_dir().join(format!("aether-abuse-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let base = Base(path);
        let mode = fs::set_permissions(&base.0, fs::Permissions::from_mode(0o755));
        let owner = uid.map_or(Ok(()), |uid| std::os::unix::fs::chown(&base.0, Some(uid), Some(uid)));
        mode.and(owner).map_err(|error| format!("{}: {error}", base.0.display()))?;
        Ok(base)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        // What stays behind is named by the next suite's directory listing, and harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Copies a program to where every user may run it.
fn copied(base: &Base, program: Option<PathBuf>, name: &str) -> Result<Option<PathBuf>, String> {
    let Some(program) = program else { return Ok(None) };
    let copy = base.0.join(name);
    let said = |error: std::io::Error| format!("{}: {error}", program.display());
    fs::copy(&program, &copy).map_err(said)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).map_err(said)?;
    Ok(Some(copy))
}

/// Plays it; the exit code.
pub(crate) fn play(options: &Options, mut out: Box<dyn Write + Send>) -> Result<u8, String> {
    let base = Base::make(options.uid)?;
    let own = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let attacker = copied(&base, Some(own.with_file_name("aether-attack")), "attack")?.unwrap_or_default();
    let mut choice = options.choice.clone();
    choice.inside = copied(&base, choice.inside, "aether")?;
    choice.without = copied(&base, choice.without, "aether-without")?;
    choice.unplugged = copied(&base, choice.unplugged, "aether-unplugged")?;
    // One process becomes the user, so that what was made as root can be removed as root.
    // SAFETY: one thread.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err("a process for the suite cannot be had".to_owned());
    }
    if child == 0 {
        let ended = options.uid.map_or(Ok(()), theatre::become_user).and_then(|()| {
            let log = base.0.join("names.log");
            theatre::enter(options.condition, &log, || perform(&base.0, &attacker, &choice, out.as_mut()))
        });
        let code = ended.unwrap_or_else(|error| {
            let _ = writeln!(std::io::stderr(), "{error}");
            2
        });
        // SAFETY: ends the child, which owns nothing of the parent's.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is a live integer.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) as u8 } else { 2 })
}

fn perform(base: &Path, attacker: &Path, choice: &Choice, out: &mut (dyn Write + Send)) -> i32 {
    let played = House::open(base, attacker)
        .and_then(|house| suite::play(&house, choice, out).map_err(|error| format!("a result: {error}")));
    let (text, code) = match played {
        Ok(sum) => {
            let text = format!("{} as the table says, {} not, {} left out", sum.right, sum.wrong, sum.skipped);
            (text, i32::from(sum.wrong > 0))
        }
        Err(error) => (error, 2),
    };
    // Nobody may be listening; the exit code says the same.
    let _ = writeln!(std::io::stderr(), "{text}");
    code
}
