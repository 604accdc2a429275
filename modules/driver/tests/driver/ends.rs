//! Ends: interrupts, limits, shutdown. Whatever was started is stopped and joined, or counted.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aether_core::facts::Verdict;
use aether_core::governor::Governor;
use aether_core::tool::Act;
use aether_driver::Told;

use crate::scene::{Scene, driver, for_ms, outcomes, spec, spec_asking};

/// Goals that each leave something of another kind under way.
const OPEN: [&str; 6] = [
    "silent",
    "call read silent",
    "call write obedient",
    "flood",
    "call spawn silent",
    "call spawn call write obedient",
];

/// D1: an interrupt stops what was started for the task, without a shutdown.
#[tokio::test]
async fn an_interrupt_stops_everything_that_was_started() {
    for goal in OPEN {
        let scene = Scene::default();
        let mut driver = driver(&scene);
        let task = driver.spawn(spec(goal)).expect("room");
        for_ms(&mut driver, 20).await;
        assert_eq!(scene.work.open(), 1, "{goal}");
        driver.interrupt(task).expect("it is on its way");
        let begun = Instant::now();
        let ended = outcomes(&mut driver).await;
        assert!(ended.iter().all(|outcome| outcome.verdict == Verdict::Interrupted), "{goal}: {ended:?}");
        while scene.work.open() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(2), "{goal}: still under way");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let end = driver.shutdown(1_000, |_, _| {}).await;
        assert_eq!((end.orphans, end.counters.alive), (0, 0), "{goal}");
        assert_eq!(end.counters.spawned, end.counters.destroyed, "{goal}");
    }
}

/// D1: an approval that nobody waits for any more is withdrawn.
#[tokio::test]
async fn an_interrupt_withdraws_the_question_to_the_person() {
    let scene = Scene::default();
    let mut driver = driver(&scene);
    let task = driver.spawn(spec_asking("call write perhaps", &[Act::Write])).expect("room");
    for_ms(&mut driver, 20).await;
    assert_eq!(scene.work.open(), 1);
    driver.interrupt(task).expect("it is on its way");
    outcomes(&mut driver).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(scene.work.open(), 0);
}

/// D1: after a shutdown nothing is under way, and all ends were told.
#[tokio::test]
async fn a_shutdown_joins_everything() {
    let scene = Scene::default();
    let mut driver = driver(&scene);
    for goal in OPEN.iter().chain(&["wait 30", "call write wait 30"]).cycle().take(80) {
        driver.spawn(spec(goal)).expect("room");
    }
    for_ms(&mut driver, 20).await;
    let mut verdicts = Vec::new();
    let begun = Instant::now();
    let end = driver
        .shutdown(600, |_, told| {
            if let Told::Ended(outcome) = told {
                verdicts.push(outcome.verdict);
            }
        })
        .await;
    assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
    assert_eq!((end.orphans, end.counters.alive, scene.work.open()), (0, 0, 0));
    assert_eq!(end.counters.spawned, end.counters.destroyed);
    // Those that had no thread yet were never begun.
    assert!(scene.obeyed.load(Ordering::SeqCst) > 0, "blocking tools were told to stop");
    let done = verdicts.iter().filter(|verdict| **verdict == Verdict::Done).count();
    let interrupted = verdicts.iter().filter(|verdict| **verdict == Verdict::Interrupted).count();
    assert_eq!(done, 20, "those that could end in time did: {verdicts:?}");
    assert!(interrupted >= 60, "{verdicts:?}");
}

/// D1: what serves no wish any more does not hold the shutdown back.
#[tokio::test]
async fn an_answer_that_goes_on_after_its_end_is_cut_off() {
    let scene = Scene::default();
    let mut driver = driver(&scene);
    driver.spawn(spec("lingering")).expect("room");
    assert_eq!(outcomes(&mut driver).await.len(), 1);
    assert_eq!(scene.work.open(), 1, "the answer is complete, and its future goes on");
    let begun = Instant::now();
    let end = driver.shutdown(5_000, |_, _| {}).await;
    assert!(begun.elapsed() < Duration::from_millis(1_000), "{:?}", begun.elapsed());
    assert_eq!((end.orphans, scene.work.open()), (0, 0));
}

/// A blocking tool that does not look up is counted, and the shutdown returns without it.
#[tokio::test]
async fn what_does_not_stop_is_counted() {
    let scene = Scene::default();
    let mut driver = driver(&scene);
    driver.spawn(spec("call write wait 1500")).expect("room");
    for_ms(&mut driver, 20).await;
    let begun = Instant::now();
    let end = driver.shutdown(100, |_, _| {}).await;
    assert!(begun.elapsed() < Duration::from_millis(1_000), "{:?}", begun.elapsed());
    assert_eq!((end.orphans, end.counters.alive), (1, 0));
}

/// D2: without any fact from outside, a task ends when its time is up, on the driver's own clock.
#[tokio::test(start_paused = true)]
async fn every_wait_ends_at_the_deadline() {
    for goal in ["silent", "call read silent"] {
        let scene = Scene::default();
        let mut driver = driver(&scene);
        driver.spawn(spec(goal)).expect("room");
        let ended = outcomes(&mut driver).await;
        let now = driver.now().0;
        // The tool's own limit is as long as the task's life less its closing turn.
        assert!((29_000..=31_000).contains(&now), "{goal}: {now}");
        assert_eq!(ended[0].verdict, Verdict::Spent(Governor::Wall), "{goal}");
        assert_eq!(driver.counters().alive, 0, "{goal}");
    }
}

/// D2: an approval that nobody answers ends too.
#[tokio::test(start_paused = true)]
async fn an_approval_ends_at_its_deadline() {
    let mut spec = spec_asking("call write perhaps", &[Act::Write]);
    spec.governors.wall_ms_max = 3_600_000;
    let mut driver = driver(&Scene::default());
    driver.spawn(spec).expect("room");
    let ended = outcomes(&mut driver).await;
    assert!(ended[0].answer.contains("nobody answered"), "{}", ended[0].answer);
    assert!((600_000..610_000).contains(&driver.now().0), "{}", driver.now().0);
}

/// Tasks, tools and interrupts in an order that a seed decides: nothing is left, and no fact is lost or doubled.
#[tokio::test]
async fn a_random_day_leaves_nothing() {
    let mut random = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        use std::hash::{BuildHasher, Hasher, RandomState};
        RandomState::new().build_hasher().finish()
    });
    println!("SEED={random}");
    random |= 1;
    let mut draw = |below: u64| {
        // Xorshift64 (Marsaglia 2003).
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let goals = [
        "say a",
        "count 9",
        "wait 3",
        "call clock x",
        "call read wait 2",
        "call write wait 2",
        "silent",
        "call spawn wait 2",
        "call write obedient",
        "fail",
        "twice",
    ];
    let scene = Scene::default();
    let mut driver = driver(&scene);
    let mut ended = 0_u64;
    let mut tasks = Vec::new();
    for _ in 0..1_500 {
        match draw(4) {
            0 | 1 => tasks.push(driver.spawn(spec(goals[draw(goals.len() as u64) as usize])).expect("room")),
            2 if !tasks.is_empty() => {
                let at = draw(tasks.len() as u64) as usize;
                // It may be over already.
                let _taken = driver.interrupt(tasks.swap_remove(at));
            }
            _ => {
                while let Ok(Some((_, told))) =
                    tokio::time::timeout(Duration::from_micros(draw(900)), driver.next()).await
                {
                    ended += u64::from(matches!(told, Told::Ended(_)));
                }
            }
        }
    }
    let end = driver.shutdown(300, |_, told| ended += u64::from(matches!(told, Told::Ended(_)))).await;
    assert_eq!((end.orphans, end.counters.alive, scene.work.open()), (0, 0, 0));
    assert_eq!((end.counters.spawned, end.counters.spawned), (end.counters.destroyed, ended));
}
