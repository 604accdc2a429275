//! Tasks on their way: answers, tools, approvals, children, many at once, and loops that are dropped half-way.

use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use aether_core::dispatcher::Full;
use aether_core::facts::{Surprise, Verdict};
use aether_core::model::ModelErrorKind;
use aether_core::spec::Message;
use aether_core::tool::Act;
use aether_driver::Told;

use crate::scene::{Scene, driver, for_ms, glance, outcomes, spec, spec_asking};

#[tokio::test]
async fn every_kind_of_job_brings_its_result() {
    for (goal, answer) in [
        ("say hello", "hello"),
        ("call clock now", "seen: 09:05"),
        ("call read wait 5", "seen: read"),
        ("call write wait 5", "seen: written"),
        ("call spawn say I am a child", "seen: I am a child"),
        ("call spawn call write wait 5", "seen: seen: written"),
    ] {
        let scene = Scene::default();
        let mut driver = driver(&scene);
        driver.spawn(spec(goal)).expect("room");
        let ended = outcomes(&mut driver).await;
        let last = ended.last().expect("an end");
        assert_eq!((&last.verdict, &*last.answer), (&Verdict::Done, answer), "{goal}");
        let end = driver.shutdown(1_000, |_, _| {}).await;
        assert_eq!((end.orphans, end.counters.alive, scene.work.open()), (0, 0, 0), "{goal}");
        assert_eq!(end.counters.spawned, end.counters.destroyed, "{goal}");
    }
}

#[tokio::test]
async fn a_model_that_fails_ends_its_task_with_the_error() {
    let mut driver = driver(&Scene::default());
    driver.spawn(spec("fail")).expect("room");
    let ended = outcomes(&mut driver).await;
    let Verdict::Failed(error) = &ended[0].verdict else { panic!("{ended:?}") };
    assert_eq!(error.kind, ModelErrorKind::Unauthorized);
}

#[tokio::test]
async fn the_person_decides_over_what_policy_asks_about() {
    for (input, seen) in [("yes", "seen: written"), ("no", "not today")] {
        let mut driver = driver(&Scene::default());
        driver.spawn(spec_asking(&format!("call write {input}"), &[Act::Write])).expect("room");
        let ended = outcomes(&mut driver).await;
        assert!(ended[0].answer.contains(seen), "{input}: {}", ended[0].answer);
    }
}

/// D3: a loop that is dropped at every turn tells the same as one that is left alone.
#[tokio::test]
async fn nothing_is_lost_when_the_loop_is_dropped_half_way() {
    let goals = ["count 40", "call clock now", "call read wait 3", "call write wait 3", "call spawn count 5", "wait 4"];
    let mut told = [Vec::new(), Vec::new()];
    for (is_dropped, told) in [false, true].into_iter().zip(&mut told) {
        let scene = Scene::default();
        let mut driver = driver(&scene);
        for goal in goals.iter().cycle().take(30) {
            driver.spawn(spec(goal)).expect("room");
        }
        let mut drops = 0;
        loop {
            let next = if is_dropped {
                match glance(&mut driver).await {
                    Poll::Ready(next) => next,
                    Poll::Pending => {
                        drops += 1;
                        tokio::time::sleep(Duration::from_micros(200)).await;
                        continue;
                    }
                }
            } else {
                driver.next().await
            };
            let Some((task, one)) = next else { break };
            let words = match one {
                Told::Said { text, .. } => format!("said {text}"),
                Told::Ended(outcome) => format!("ended {} {}", outcome.verdict.name(), outcome.answer),
                Told::Noted(event) => format!("noted {}", format!("{event:?}").split([' ', '{']).next().unwrap_or("")),
                other => format!("{other:?}"),
            };
            told.push(format!("{task} {words}"));
        }
        assert_eq!(drops > 0, is_dropped, "the loop was dropped {drops} times");
        let counters = driver.counters();
        assert_eq!((counters.alive, counters.surprises), (0, 0));
    }
    // Children take the places of tasks that have ended, so names may differ, and the order of those that wait.
    let sorted = |lines: &[String]| {
        let mut lines: Vec<String> = lines.iter().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&told[0]), sorted(&told[1]));
    assert!(told[0].len() > 400, "{}", told[0].len());
}

/// D3 for one task: its pieces come in their order, however often the loop is dropped.
#[tokio::test]
async fn pieces_keep_their_order() {
    let mut driver = driver(&Scene::default());
    driver.spawn(spec("count 300")).expect("room");
    let mut text = String::new();
    let answer = loop {
        match glance(&mut driver).await {
            Poll::Ready(Some((_, Told::Said { text: piece, .. }))) => text.push_str(&piece),
            Poll::Ready(Some((_, Told::Ended(outcome)))) => break outcome.answer,
            Poll::Ready(None) => panic!("no end was told"),
            Poll::Ready(Some(_)) => {}
            Poll::Pending => tokio::task::yield_now().await,
        }
    };
    let wanted: String = (1..=300).map(|n| format!("{n} ")).collect();
    assert_eq!((text, &*answer), (wanted.clone(), &*wanted));
}

#[tokio::test]
async fn a_thousand_tasks_wait_at_the_same_time() {
    let scene = Scene::default();
    let mut driver = driver(&scene);
    let begun = Instant::now();
    for _ in 0..1_000 {
        driver.spawn(spec("wait 400")).expect("room");
    }
    let mut done = 0;
    while let Some((_, told)) = driver.next().await {
        done += usize::from(matches!(told, Told::Ended(outcome) if outcome.verdict == Verdict::Done));
    }
    assert_eq!((done, scene.work.most()), (1_000, 1_000));
    assert!(begun.elapsed() < Duration::from_millis(4_000), "not one after the other: {:?}", begun.elapsed());
    let counters = driver.counters();
    assert_eq!((counters.spawned, counters.destroyed, counters.alive), (1_000, 1_000, 0));
}

/// Who brings facts faster than they are taken has to wait: what is kept is bounded.
#[tokio::test]
async fn a_flood_is_held_back() {
    let scene = Scene::default();
    let mut driver = driver(&scene);
    driver.spawn(spec("flood")).expect("room");
    for _ in 0..3 {
        assert!(driver.next().await.is_some());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let poured = scene.poured.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(scene.poured.load(Ordering::SeqCst), poured, "it waits for the loop");
    assert!(poured <= 1_000, "{poured}");
    for_ms(&mut driver, 20).await;
    assert!(scene.poured.load(Ordering::SeqCst) > poured, "and goes on with it");
    let end = driver.shutdown(50, |_, _| {}).await;
    assert_eq!((end.orphans, end.counters.alive, scene.work.open()), (0, 0, 0));
}

/// A fact for a wish that is no longer open is refused and counted, and the task is as it was.
#[tokio::test]
async fn late_facts_are_refused_and_counted() {
    let mut driver = driver(&Scene::default());
    driver.spawn(spec("twice")).expect("room");
    driver.spawn(spec("wait 20")).expect("room");
    let ended = outcomes(&mut driver).await;
    assert_eq!((&*ended[0].answer, &*ended[1].answer), ("once", "waited"));
    assert_eq!(driver.counters().surprises, 2);
}

#[tokio::test]
async fn steering_reaches_a_task_on_its_way_and_no_other() {
    let mut driver = driver(&Scene::default());
    let task = driver.spawn(spec("call read wait 30")).expect("room");
    for_ms(&mut driver, 10).await;
    driver.steer(task, Message::typed("say something else")).expect("it is on its way");
    let ended = outcomes(&mut driver).await;
    assert_eq!(&*ended[0].answer, "something else");
    assert_eq!(driver.steer(task, Message::typed("too late")), Err(Surprise::Ended));
    assert_eq!(driver.interrupt(task), Err(Surprise::Ended));
}

#[tokio::test]
async fn a_draining_driver_takes_no_task() {
    let mut driver = driver(&Scene::default());
    driver.spawn(spec("wait 5")).expect("room");
    driver.drain();
    assert_eq!(driver.spawn(spec("say hello")).err(), Some(Full::Draining));
    assert_eq!(outcomes(&mut driver).await.len(), 1, "those that live go on");
}
