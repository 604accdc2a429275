//! Attacks on hidden directories (H7): by links, other spellings, moves, and roots that lie in them.

use std::path::PathBuf;

use super::*;

/// A workspace that is a home, with a key in a hidden directory; once for each way of resolving paths.
fn each_hiding(act: impl Fn(&str, &Path, &mut dyn Hands)) {
    for kind in STORES {
        let whole = tempfile::tempdir().unwrap();
        let home = whole.path().join("home");
        std::fs::create_dir_all(home.join(".data/own/keys")).unwrap();
        std::fs::write(home.join(".data/own/keys/key"), "hunter2").unwrap();
        std::fs::write(home.join(".data/other"), "other").unwrap();
        let root = hiding(store(kind, &home), &[&home.join(".data/own"), &home.join(".config/own")]);
        let roots = Roots::of("$workspace", root);
        with_hands(&roots, &everything(), |hands| act(kind, &home, hands));
        assert_eq!(std::fs::read_to_string(found_key(whole.path())).unwrap(), "hunter2", "{kind}");
    }
}

/// The key, wherever the test moved it.
fn found_key(whole: &Path) -> PathBuf {
    let (own, moved) = (whole.join("home/.data/own/keys/key"), whole.join("home/moved/keys/key"));
    if own.exists() { own } else { moved }
}

#[track_caller]
fn is_refused(kind: &str, hands: &mut dyn Hands, path: &str) {
    let found = [
        read(hands, path).map(drop),
        replace(hands, path, "x"),
        create(hands, path, "x"),
        hands.list(&place(path)).map(drop),
    ];
    for (n, found) in found.into_iter().enumerate() {
        assert!(matches!(found, Err(HandsError::Outside(_))), "{kind} {path} {n}: {found:?}");
    }
}

#[test]
fn h7_what_is_hidden_is_not_read_written_or_listed() {
    each_hiding(|kind, home, hands| {
        for path in [".data/own/keys/key", ".data/own/keys/new", ".data/own/keys", ".data/own", ".data/own/new/deep"] {
            is_refused(kind, hands, &format!("$workspace/{path}"));
        }
        let names = |hands: &mut dyn Hands, path: &str| -> Vec<String> {
            hands.list(&place(path)).unwrap().into_iter().map(|entry| entry.name.into()).collect()
        };
        assert_eq!(names(hands, "$workspace/.data"), ["other"], "{kind}");
        assert_eq!(names(hands, "$workspace"), [".data"], "{kind}");
        assert_eq!(read(hands, "$workspace/.data/other").as_deref(), Ok("other"), "{kind}");
        // One that comes into being is hidden from then on.
        create(hands, "$workspace/.config/theirs/x", "x").unwrap();
        std::fs::create_dir(home.join(".config/own")).unwrap();
        std::fs::write(home.join(".config/own/policy"), "hunter2").unwrap();
        is_refused(kind, hands, "$workspace/.config/own/policy");
        assert_eq!(names(hands, "$workspace/.config"), ["theirs"], "{kind}");
    });
}

#[test]
fn h7_no_link_leads_there_and_links_beside_it_work() {
    each_hiding(|kind, home, hands| {
        symlink(".data/own", home.join("directory")).unwrap();
        symlink(".data/own/keys/key", home.join("file")).unwrap();
        symlink("directory", home.join("chain")).unwrap();
        symlink("./.data/../.data//own/keys/../keys/", home.join("detour")).unwrap();
        symlink(".data/own/../other", home.join("through")).unwrap();
        symlink("../../home/.data/own", home.join(".data/around")).unwrap();
        symlink("../.data/other", home.join(".data/beside")).unwrap();
        symlink(home.join(".data/own"), home.join("absolute")).unwrap();
        for path in ["directory/keys/key", "chain/keys/key", "detour/key", ".data/around/keys/key", "absolute/keys/key"]
        {
            is_refused(kind, hands, &format!("$workspace/{path}"));
        }
        for path in ["file", "directory", "chain", "detour"] {
            let found = read(hands, &format!("$workspace/{path}"));
            assert!(matches!(found, Err(HandsError::Outside(_))), "{kind} {path}: {found:?}");
        }
        for path in ["directory", "chain", "detour"] {
            let found = hands.list(&place(&format!("$workspace/{path}")));
            assert!(matches!(found, Err(HandsError::Outside(_))), "{kind} {path}: {found:?}");
        }
        let beside = read(hands, "$workspace/.data/beside");
        match kind {
            "stepwise" => assert!(matches!(beside, Err(HandsError::Outside(_)))),
            _ => assert_eq!(beside.as_deref(), Ok("other"), "{kind}"),
        }
    });
}

#[test]
fn h7_on_linux_a_move_of_what_is_hidden_changes_nothing() {
    each_hiding(|kind, home, hands| {
        if kind == "cap-std" {
            return;
        }
        is_refused(kind, hands, "$workspace/.data/own/keys/key");
        std::fs::rename(home.join(".data/own"), home.join("moved")).unwrap();
        is_refused(kind, hands, "$workspace/moved/keys/key");
        let listed = hands.list(&place("$workspace")).unwrap();
        assert!(listed.iter().all(|entry| &*entry.name != "moved"), "{kind}");
        // What takes its place is hidden as well.
        std::fs::create_dir(home.join(".data/own")).unwrap();
        is_refused(kind, hands, "$workspace/.data/own/keys/key");
    });
}

#[test]
fn h7_other_spellings_of_one_directory_are_one_directory() {
    let whole = tempfile::tempdir().unwrap();
    let home = whole.path().join("Home");
    std::fs::create_dir_all(home.join("Own")).unwrap();
    std::fs::write(home.join("Own/key"), "hunter2").unwrap();
    symlink("Home", whole.path().join("alias")).unwrap();
    for kind in STORES {
        for named in ["alias/Own", "Home/../Home/./Own", "alias/../Home/Own/"] {
            let root = hiding(store(kind, &home), &[&whole.path().join(named)]);
            with_hands(&Roots::of("$workspace", root), &everything(), |hands| {
                is_refused(kind, hands, "$workspace/Own/key");
                assert_eq!(hands.list(&place("$workspace")), Ok(vec![]), "{kind} {named}");
            });
        }
    }
    // Where a file system takes letters of either case for one name, the portable way does so, too.
    let root = hiding(store("cap-std", &home), &[&whole.path().join("Home/oWN")]);
    with_hands(&Roots::of("$workspace", root), &everything(), |hands| {
        is_refused("folded", hands, "$workspace/Own/key")
    });
}

#[test]
fn h7_a_root_that_lies_in_what_is_hidden_is_empty_of_everything() {
    for kind in STORES {
        let whole = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(whole.path().join("own/keys")).unwrap();
        std::fs::write(whole.path().join("own/keys/key"), "hunter2").unwrap();
        for root in ["own", "own/keys"] {
            let root = hiding(store(kind, &whole.path().join(root)), &[&whole.path().join("own")]);
            with_hands(&Roots::of("$workspace", root), &everything(), |hands| {
                for path in ["$workspace", "$workspace/key", "$workspace/keys/key", "$workspace/new"] {
                    assert!(read(hands, path).is_err() && replace(hands, path, "x").is_err(), "{kind} {path}");
                    assert!(hands.list(&place(path)).is_err(), "{kind} {path}");
                }
            });
        }
        assert_eq!(names(&whole.path().join("own")), ["keys"], "{kind}");
    }
}

/// The walk of its own resolves what the kernel resolves: many links, links to links, `..` behind links, loops.
#[test]
fn h2_step_by_step_and_all_at_once_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &str| directory.path().join(path);
    std::fs::create_dir_all(at("a/b/c")).unwrap();
    std::fs::write(at("a/b/c/file"), "deep").unwrap();
    std::fs::write(at("file"), "top").unwrap();
    let links = [
        ("a/b/c", "c"),
        ("c/../file", "through"),
        ("c/../../../file", "up"),
        ("a/b/../../file", "down"),
        ("../../..", "a/b/c/out"),
        ("..", "a/b/up"),
        (".", "here"),
        ("loop", "loop"),
        ("file/", "slash"),
        ("a/b/", "slashed"),
        ("a/b/.", "dotted"),
        ("nowhere", "dangling"),
        ("file/x", "below"),
    ];
    for (text, name) in links {
        symlink(text, at(name)).unwrap();
    }
    symlink("file", at("n0")).unwrap();
    for n in 1..=45 {
        symlink(format!("n{}", n - 1), at(&format!("n{n}"))).unwrap();
    }
    let long = "x/".repeat(3_000);
    let paths = ["c/file", "through", "up", "down", "a/b/c/out", "a/b/up/b/c/file", "here/here/file", "loop", "slash"];
    let more = [
        "slashed/c/file",
        "dotted/up/b/c/file",
        "dotted",
        "slashed",
        "dangling",
        "below",
        "n39",
        "n40",
        "n45",
        "",
        "a",
        "file/x",
        "c",
        "a/b/up/up",
        &long,
    ];
    let (whole, steps) = (store("openat2", directory.path()), store("guarded", directory.path()));
    let watch = crate::Watch { stop: &NEVER, deadline: soon() };
    let slice = crate::Slice { offset: 0, bytes_max: 99, memory_bytes_max: 99 };
    for path in paths.iter().chain(&more) {
        assert_eq!(steps.read(path, slice, watch), whole.read(path, slice, watch), "{path}");
        let names = |found: Result<Vec<aether_core::tool::DirEntry>, HandsError>| {
            found.map(|entries| entries.into_iter().map(|entry| entry.name).collect::<std::collections::BTreeSet<_>>())
        };
        assert_eq!(names(steps.list(path, watch)), names(whole.list(path, watch)), "{path}");
    }
}
