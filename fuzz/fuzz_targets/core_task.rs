//! Any task and any facts in any order: the same wishes twice, each answered once, and an end (K1, K2, K3, K4, K5, K6, K7).
#![no_main]

#[path = "core_task/stage.rs"]
mod stage;
#[path = "core_task/world.rs"]
mod world;

use aether_core::facts::Input;
use aether_core::words::Millis;
use aether_fuzz::Draw;
use libfuzzer_sys::fuzz_target;

use stage::Stage;

/// The most facts of one play.
const FACTS_MAX: usize = 200;
/// The most steps that a task takes to its end when every wish is answered, or when only time passes.
const STEPS_MAX: usize = 5_000;

fuzz_target!(|bytes: &[u8]| {
    let first = play(Draw::new(bytes));
    let second = play(Draw::new(bytes));
    assert_eq!(first, second, "K1: the same facts had other wishes");
});

fn play(mut draw: Draw<'_>) -> Vec<String> {
    let mut stage = Stage::new(world::spec(&mut draw));
    for _ in 0..FACTS_MAX {
        if draw.is_empty() || stage.is_over() {
            break;
        }
        stage.step(&mut draw);
    }
    let is_answered = draw.is_odd();
    for _ in 0..STEPS_MAX {
        if stage.is_over() {
            break;
        }
        if is_answered && stage.answer_next() {
            continue;
        }
        let deadline = stage.task.deadline().expect("K7: a task that is not over has a deadline");
        stage.say(deadline.max(stage.now), Input::Tick);
    }
    assert!(stage.is_over(), "K3: no end after {STEPS_MAX} steps");
    let late = Millis(stage.now.0.saturating_add(1));
    stage.say(late, Input::Tick);
    stage.log
}
