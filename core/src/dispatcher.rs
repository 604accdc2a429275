//! The event loop's heart: many tasks in one bounded slab, fair turns, deadlines, back-pressure.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use crate::deadlines::Deadlines;
use crate::facts::{ChildReport, Effect, Input, Outcome, Surprise};
use crate::governor::Spending;
use crate::label::Label;
use crate::spec::Spec;
use crate::task::Task;
use crate::words::{Millis, TaskId, WishId};

/// How many tasks may live at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// In all; at most `u32::MAX - 1`.
    pub tasks_max: u32,
    /// Of one tenant.
    pub tenant_tasks_max: u32,
}

/// Why a task was not taken in. Nothing has changed; the task can be offered again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The dispatcher is draining and takes no more tasks.
    Draining,
    /// As many tasks live as may.
    Tasks {
        /// The limit.
        max: u32,
    },
    /// As many tasks of this tenant live as may.
    Tenant {
        /// The tenant.
        tenant: u32,
        /// The limit.
        max: u32,
    },
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Full::Draining => f.write_str("shutting down: no new task is taken"),
            Full::Tasks { max } => write!(f, "{max} tasks live already, and that is the limit"),
            Full::Tenant { tenant, max } => write!(f, "tenant {tenant} has {max} tasks already, and that is its limit"),
        }
    }
}

/// Counts over the life of a dispatcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Tasks taken in.
    pub spawned: u64,
    /// Tasks destroyed. `spawned - destroyed` tasks are alive.
    pub destroyed: u64,
    /// Tasks refused with [`Full`].
    pub refused: u64,
    /// Facts refused with [`Surprise`].
    pub surprises: u64,
    /// Tasks alive now.
    pub alive: u32,
}

/// All tasks of a process.
///
/// | | |
/// |---|---|
/// | commands | [`Dispatcher::spawn`], [`Dispatcher::drain`], [`Dispatcher::interrupt_all`] |
/// | facts | [`Dispatcher::handle`], [`Dispatcher::tick`] |
/// | wishes | [`Dispatcher::poll`], until `None` |
/// | time | [`Dispatcher::deadline`]: call [`Dispatcher::tick`] then, at the latest |
///
/// Children are its own affair: it spawns them, reports them to their parents and interrupts them with
/// their parents; their wishes come out of `poll` like all others.
#[derive(Default)]
pub struct Dispatcher {
    slots: Vec<Slot>,
    free: Vec<u32>,
    ready: VecDeque<u32>,
    deadlines: Deadlines,
    /// Living tasks by tenant, sorted. A tenant that was seen stays listed.
    tenants: Vec<(u32, u32)>,
    capacity: Option<Capacity>,
    counters: Counters,
    now: Millis,
    is_draining: bool,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    is_ready: bool,
    resident: Option<Box<Resident>>,
}

struct Resident {
    task: Task,
    parent: Option<(TaskId, WishId)>,
    children: Vec<(WishId, TaskId)>,
}

impl Dispatcher {
    /// A dispatcher without tasks.
    #[must_use]
    pub fn new(capacity: Capacity) -> Dispatcher {
        Dispatcher { capacity: Some(capacity), ..Dispatcher::default() }
    }

    /// Takes a task in, to begin now.
    ///
    /// # Errors
    /// [`Full`].
    pub fn spawn(&mut self, now: Millis, spec: Spec) -> Result<TaskId, Full> {
        self.now = now.max(self.now);
        self.take_in(spec, None)
    }

    /// Hands a fact to a task.
    ///
    /// # Errors
    /// [`Surprise`]: the fact does not fit, or the task is over; nothing has changed.
    pub fn handle(&mut self, now: Millis, id: TaskId, input: Input) -> Result<(), Surprise> {
        self.now = now.max(self.now);
        let now = self.now;
        let taken = self.resident(id).map_or(Err(Surprise::Ended), |resident| resident.task.handle(now, input));
        match taken {
            Ok(()) => self.touch(id.slot),
            Err(_) => self.counters.surprises += 1,
        }
        taken
    }

    /// Lets time pass for every task whose deadline is reached.
    pub fn tick(&mut self, now: Millis) {
        self.now = now.max(self.now);
        while let Some((deadline, slot)) = self.deadlines.first() {
            if deadline > self.now {
                break;
            }
            let now = self.now;
            if let Some(resident) = &mut self.slots[slot as usize].resident {
                // A task that lives takes every tick.
                let _taken = resident.task.handle(now, Input::Tick);
            }
            self.touch(slot);
        }
    }

    /// The next wish of any task, in fair turns; `None` when all tasks wait.
    #[must_use]
    pub fn poll(&mut self) -> Option<(TaskId, Effect)> {
        while let Some(slot) = self.ready.pop_front() {
            let place = &mut self.slots[slot as usize];
            let id = TaskId { slot, generation: place.generation };
            let wish = place.resident.as_mut().and_then(|resident| resident.task.poll());
            place.is_ready = false;
            let Some(effect) = wish else { continue };
            self.touch(slot);
            match effect {
                Effect::Spawn { run, child } => self.spawn_child(id, run, *child),
                Effect::Cancel { wish } if self.cancel_child(id, wish) => {}
                Effect::End(outcome) => {
                    self.destroy(id, &outcome);
                    return Some((id, Effect::End(outcome)));
                }
                effect => return Some((id, effect)),
            }
        }
        None
    }

    /// The earliest moment at which a task wants time to pass.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.deadlines.first().map(|(deadline, _)| deadline)
    }

    /// Takes no more tasks from now on; those that live go on.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Interrupts every task.
    pub fn interrupt_all(&mut self, now: Millis) {
        for slot in 0..self.slots.len() as u32 {
            let id = TaskId { slot, generation: self.slots[slot as usize].generation };
            if self.task(id).is_some_and(|task| task.deadline().is_some()) {
                // A task with a deadline is not over, and takes an interrupt.
                let _taken = self.handle(now, id, Input::Interrupt);
            }
        }
    }

    /// A living task.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        let slot = self.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.resident.as_ref().map(|resident| &resident.task)
    }

    /// The living task that spawned this one, and the run it works for.
    #[must_use]
    pub fn parent(&self, id: TaskId) -> Option<(TaskId, WishId)> {
        self.task(id)?;
        self.slots[id.slot as usize].resident.as_ref()?.parent
    }

    /// Counts so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes of text and images that all living tasks hold.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.slots.iter().filter_map(|slot| slot.resident.as_ref()).map(|resident| resident.task.bytes_held()).sum()
    }
}

impl Dispatcher {
    fn take_in(&mut self, spec: Spec, parent: Option<(TaskId, WishId)>) -> Result<TaskId, Full> {
        let tenant = spec.tenant;
        if let Some(full) = self.full(tenant) {
            self.counters.refused += 1;
            return Err(full);
        }
        self.count(tenant, 1);
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        let task = Task::new(self.now, spec);
        self.slots[slot as usize].resident = Some(Box::new(Resident { task, parent, children: Vec::new() }));
        self.counters.spawned += 1;
        self.counters.alive += 1;
        self.touch(slot);
        Ok(TaskId { slot, generation: self.slots[slot as usize].generation })
    }

    fn full(&self, tenant: u32) -> Option<Full> {
        if self.is_draining {
            return Some(Full::Draining);
        }
        let capacity = self.capacity?;
        if self.counters.alive >= capacity.tasks_max {
            return Some(Full::Tasks { max: capacity.tasks_max });
        }
        let living = self.tenants.binary_search_by_key(&tenant, |(known, _)| *known).map_or(0, |at| self.tenants[at].1);
        (living >= capacity.tenant_tasks_max).then_some(Full::Tenant { tenant, max: capacity.tenant_tasks_max })
    }

    fn count(&mut self, tenant: u32, by: i32) {
        let at = self.tenants.binary_search_by_key(&tenant, |(known, _)| *known).unwrap_or_else(|at| {
            self.tenants.insert(at, (tenant, 0));
            at
        });
        self.tenants[at].1 = self.tenants[at].1.saturating_add_signed(by);
    }

    /// One slot more. Everything that a slot can ever need in queues is reserved here, so that dispatching
    /// allocates nothing.
    fn grow(&mut self) -> u32 {
        let slot = self.slots.len() as u32;
        self.slots.push(Slot::default());
        self.deadlines.grow();
        self.free.reserve(self.slots.len() - self.free.len());
        self.ready.reserve(self.slots.len() - self.ready.len());
        slot
    }

    /// Queues a task for its turn and notes its deadline.
    fn touch(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        self.deadlines.set(slot, place.resident.as_ref().and_then(|resident| resident.task.deadline()));
        if !place.is_ready && place.resident.is_some() {
            place.is_ready = true;
            self.ready.push_back(slot);
        }
    }

    fn resident(&mut self, id: TaskId) -> Option<&mut Resident> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.resident.as_deref_mut()
    }

    fn spawn_child(&mut self, parent: TaskId, run: WishId, spec: Spec) {
        match self.take_in(spec, Some((parent, run))) {
            Ok(child) => {
                if let Some(resident) = self.resident(parent) {
                    resident.children.push((run, child));
                }
            }
            Err(full) => {
                let verdict = Err(alloc::format!("{full}").into());
                let report =
                    ChildReport { verdict, answer: "".into(), label: Label::default(), spending: Spending::default() };
                self.report(parent, run, report);
            }
        }
    }

    /// Interrupts the child that works for `wish`, if that is what the wish is.
    fn cancel_child(&mut self, parent: TaskId, wish: WishId) -> bool {
        let Some(resident) = self.resident(parent) else { return false };
        let Some(at) = resident.children.iter().position(|(run, _)| *run == wish) else { return false };
        let (_, child) = resident.children.swap_remove(at);
        if let Some(resident) = self.resident(child) {
            resident.parent = None;
        }
        // A child that has just ended by itself refuses the interrupt, which is as well.
        let _taken = self.handle(self.now, child, Input::Interrupt);
        true
    }

    fn destroy(&mut self, id: TaskId, outcome: &Outcome) {
        let slot = &mut self.slots[id.slot as usize];
        let Some(resident) = slot.resident.take() else { return };
        slot.generation = slot.generation.wrapping_add(1);
        self.deadlines.set(id.slot, None);
        self.free.push(id.slot);
        self.counters.destroyed += 1;
        self.counters.alive -= 1;
        self.count(resident.task.spec().tenant, -1);
        if let Some((parent, run)) = resident.parent {
            if let Some(parent) = self.resident(parent) {
                parent.children.retain(|(_, child)| *child != id);
            }
            let report = ChildReport {
                verdict: Ok(outcome.verdict.clone()),
                answer: outcome.answer.clone(),
                label: outcome.label,
                spending: outcome.spending,
            };
            self.report(parent, run, report);
        }
    }

    /// Tells a parent what became of a child. A parent that no longer waits for it refuses, and is counted.
    fn report(&mut self, parent: TaskId, run: WishId, report: ChildReport) {
        let _taken = self.handle(self.now, parent, Input::Child { run, report });
    }
}
