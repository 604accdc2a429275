//! The event loop's heart: many tasks in one bounded slab, fair turns, deadlines, back-pressure.

use alloc::{boxed::Box, collections::VecDeque, string::ToString, vec::Vec};

use crate::deadlines::Deadlines;
use crate::facts::{ChildReport, Effect, Input, Outcome, Surprise};
use crate::governor::Spending;
use crate::label::Label;
use crate::spec::Spec;
use crate::task::Task;
use crate::words::{Millis, TaskId, WishId, reads};

/// How many tasks may live at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

reads! { Full: |self, f| match self {
    Full::Draining => f.write_str("shutting down: no new task is taken"),
    Full::Tasks { max } => write!(f, "the limit of {max} living tasks is reached"),
    Full::Tenant { tenant, max } => write!(f, "the limit of {max} living tasks of tenant {tenant} is reached"),
} }

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
/// their parents; their wishes come out of `poll` like all others. The default takes no task at all.
#[derive(Default)]
pub struct Dispatcher {
    slots: Vec<Slot>,
    free: Vec<u32>,
    ready: VecDeque<u32>,
    deadlines: Deadlines,
    /// Living tasks by tenant, sorted; never 0.
    tenants: Vec<(u32, u32)>,
    capacity: Capacity,
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
    pub fn new(capacity: Capacity) -> Dispatcher {
        Dispatcher { capacity, ..Dispatcher::default() }
    }

    /// Takes a task in, to begin now.
    ///
    /// # Errors
    /// [`Full`].
    pub fn spawn(&mut self, now: Millis, spec: Spec) -> Result<TaskId, Full> {
        self.take_in(now.max(self.now), spec, None)
    }

    /// Hands a fact to a task.
    ///
    /// # Errors
    /// [`Surprise`]: the fact does not fit, or the task is over; nothing has changed but the count.
    pub fn handle(&mut self, now: Millis, id: TaskId, input: Input) -> Result<(), Surprise> {
        let now = now.max(self.now);
        let taken = self.resident(id).map_or(Err(Surprise::Ended), |resident| resident.task.handle(now, input));
        match taken {
            Ok(()) => {
                self.now = now;
                self.touch(id.slot);
            }
            Err(_) => self.counters.surprises += 1,
        }
        taken
    }

    /// Lets time pass for every task whose deadline is reached.
    pub fn tick(&mut self, now: Millis) {
        self.now = now.max(self.now);
        while let Some((_, slot)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= self.now) {
            self.nudge(slot, Input::Tick);
        }
    }

    /// The next wish of any task, in fair turns; `None` when all tasks wait.
    #[must_use]
    pub fn poll(&mut self) -> Option<(TaskId, Effect)> {
        while let Some(slot) = self.ready.pop_front() {
            let place = &mut self.slots[slot as usize];
            place.is_ready = false;
            let id = TaskId { slot, generation: place.generation };
            if let Some(resident) = place.resident.take()
                && let Some(effect) = self.hear(id, resident)
            {
                return Some((id, effect));
            }
        }
        None
    }

    /// The earliest moment at which a task wants time to pass.
    pub fn deadline(&self) -> Option<Millis> {
        self.deadlines.first().map(|(deadline, _)| deadline)
    }

    /// Takes no more tasks from now on; those that live go on.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Interrupts every task.
    pub fn interrupt_all(&mut self, now: Millis) {
        self.now = now.max(self.now);
        for slot in 0..self.slots.len() as u32 {
            self.nudge(slot, Input::Interrupt);
        }
    }

    /// A living task.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.known(id).map(|resident| &resident.task)
    }

    /// The living task that spawned this one, and the run it works for.
    pub fn parent(&self, id: TaskId) -> Option<(TaskId, WishId)> {
        self.known(id)?.parent
    }

    /// Counts so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes of text and images that all living tasks hold.
    pub fn bytes_held(&self) -> usize {
        self.slots.iter().filter_map(|slot| slot.resident.as_ref()).map(|resident| resident.task.bytes_held()).sum()
    }
}

impl Dispatcher {
    fn take_in(&mut self, now: Millis, spec: Spec, parent: Option<(TaskId, WishId)>) -> Result<TaskId, Full> {
        let tenant = spec.tenant;
        let place = self.tenants.binary_search_by_key(&tenant, |(known, _)| *known);
        if let Some(full) = self.full(tenant, place.map_or(0, |at| self.tenants[at].1)) {
            self.counters.refused += 1;
            return Err(full);
        }
        match place {
            Ok(at) => self.tenants[at].1 += 1,
            Err(at) => self.tenants.insert(at, (tenant, 1)),
        }
        self.now = now;
        self.counters.spawned += 1;
        self.counters.alive += 1;
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        let task = Task::new(now, spec);
        self.slots[slot as usize].resident = Some(Box::new(Resident { task, parent, children: Vec::new() }));
        self.touch(slot);
        Ok(TaskId { slot, generation: self.slots[slot as usize].generation })
    }

    fn full(&self, tenant: u32, living: u32) -> Option<Full> {
        let Capacity { tasks_max, tenant_tasks_max } = self.capacity;
        if self.is_draining {
            Some(Full::Draining)
        } else if self.counters.alive >= tasks_max {
            Some(Full::Tasks { max: tasks_max })
        } else {
            (living >= tenant_tasks_max).then_some(Full::Tenant { tenant, max: tenant_tasks_max })
        }
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
        if !place.is_ready {
            place.is_ready = true;
            self.ready.push_back(slot);
        }
    }

    /// Hands a fact of its own to whoever lives in a slot. A task that is over takes nothing more, which is as well.
    fn nudge(&mut self, slot: u32, input: Input) {
        if let Some(resident) = &mut self.slots[slot as usize].resident {
            let _taken = resident.task.handle(self.now, input);
            self.touch(slot);
        }
    }

    fn known(&self, id: TaskId) -> Option<&Resident> {
        self.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation)?.resident.as_deref()
    }

    fn resident(&mut self, id: TaskId) -> Option<&mut Resident> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.resident.as_deref_mut()
    }

    /// Takes one wish from a task, and carries it out if it is about children.
    fn hear(&mut self, id: TaskId, mut resident: Box<Resident>) -> Option<Effect> {
        let wish = resident.task.poll();
        let is_waiting = wish.is_none();
        let told = match wish {
            Some(Effect::End(outcome)) => {
                self.destroy(id, *resident, &outcome);
                return Some(Effect::End(outcome));
            }
            Some(Effect::Spawn { run, child }) => {
                self.spawn_child((id, run), &mut resident, *child);
                None
            }
            Some(Effect::Cancel { wish }) => match resident.children.iter().position(|(run, _)| *run == wish) {
                None => Some(Effect::Cancel { wish }),
                Some(at) => {
                    let (_, child) = resident.children.remove(at);
                    resident.task.spending = resident.task.spending.plus(self.interrupt(child));
                    None
                }
            },
            other => other,
        };
        self.slots[id.slot as usize].resident = Some(resident);
        if !is_waiting {
            self.touch(id.slot);
        }
        told
    }

    fn spawn_child(&mut self, parent: (TaskId, WishId), resident: &mut Resident, spec: Spec) {
        let run = parent.1;
        match self.take_in(self.now, spec, Some(parent)) {
            Ok(child) => resident.children.push((run, child)),
            Err(full) => {
                let (verdict, answer) = (Err(full.to_string().into()), "".into());
                let report = ChildReport { verdict, answer, label: Label::default(), spending: Spending::default() };
                // A task that waits no longer for a child does not miss it.
                let _taken = resident.task.handle(self.now, Input::Child { run, report });
            }
        }
    }

    /// Interrupts a child and all below it. Returns what they used: whoever waited for them learns it no other way.
    fn interrupt(&mut self, child: TaskId) -> Spending {
        let place = &mut self.slots[child.slot as usize];
        let is_open = |resident: &mut Box<Resident>| resident.parent.is_some();
        let known = place.resident.take_if(|resident| place.generation == child.generation && is_open(resident));
        let Some(mut resident) = known else { return Spending::default() };
        resident.parent = None;
        // A child that has just ended by itself takes nothing more, which is as well.
        let _taken = resident.task.handle(self.now, Input::Interrupt);
        for (_, grandchild) in &resident.children {
            resident.task.spending = resident.task.spending.plus(self.interrupt(*grandchild));
        }
        let spent = resident.task.spending;
        self.slots[child.slot as usize].resident = Some(resident);
        self.touch(child.slot);
        spent
    }

    fn destroy(&mut self, id: TaskId, resident: Resident, outcome: &Outcome) {
        let place = &mut self.slots[id.slot as usize];
        place.generation = place.generation.wrapping_add(1);
        self.deadlines.set(id.slot, None);
        self.free.push(id.slot);
        self.counters.destroyed += 1;
        self.counters.alive -= 1;
        let tenant = resident.task.spec().tenant;
        let at = self.tenants.partition_point(|(known, _)| *known < tenant);
        self.tenants[at].1 -= 1;
        if self.tenants[at].1 == 0 {
            self.tenants.remove(at);
        }
        if let Some((parent, run)) = resident.parent {
            self.report(parent, run, outcome);
        }
    }

    /// Tells a parent what became of a child.
    fn report(&mut self, parent: TaskId, run: WishId, outcome: &Outcome) {
        let spending = outcome.spending;
        let (verdict, answer) = (Ok(outcome.verdict.clone()), outcome.answer.clone());
        for resident in self.slots[parent.slot as usize].resident.iter_mut() {
            let report =
                ChildReport { verdict: verdict.clone(), answer: answer.clone(), label: outcome.label, spending };
            // A parent that has given up on the child is about to say so. What was used is counted all the same.
            if resident.task.handle(self.now, Input::Child { run, report }).is_err() {
                resident.task.spending = resident.task.spending.plus(spending);
            }
        }
        self.touch(parent.slot);
    }
}
