//! A heap of deadlines, at most one for each slot: a binary heap that knows where each slot stands.

use alloc::vec::Vec;

use crate::words::Millis;

const ABSENT: u32 = u32::MAX;

/// The deadlines of all slots. Nothing is allocated but by [`Deadlines::grow`].
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: Vec<(Millis, u32)>,
    /// For each slot, its place in the heap.
    places: Vec<u32>,
}

impl Deadlines {
    /// Makes room for one slot more.
    pub(crate) fn grow(&mut self) {
        self.places.push(ABSENT);
        self.heap.reserve(self.places.len() - self.heap.len());
    }

    /// The earliest deadline and its slot.
    pub(crate) fn first(&self) -> Option<(Millis, u32)> {
        self.heap.first().copied()
    }

    /// Sets or clears the deadline of `slot`.
    pub(crate) fn set(&mut self, slot: u32, deadline: Option<Millis>) {
        let place = self.places[slot as usize] as usize;
        let known = self.heap.get(place).map(|(known, _)| *known);
        if known == deadline {
            return;
        }
        if known.is_some() {
            self.heap.swap_remove(place);
            self.places[slot as usize] = ABSENT;
        }
        if place < self.heap.len() {
            self.settle(place);
        }
        if let Some(deadline) = deadline {
            self.heap.push((deadline, slot));
            self.settle(self.heap.len() - 1);
        }
    }

    /// Moves the element at `at` to where it belongs.
    fn settle(&mut self, mut at: usize) {
        while at > 0 && self.heap[at] < self.heap[(at - 1) / 2] {
            at = self.swap(at, (at - 1) / 2);
        }
        while let Some(child) = self.lesser_child(at).filter(|child| self.heap[*child] < self.heap[at]) {
            at = self.swap(at, child);
        }
        self.places[self.heap[at].1 as usize] = at as u32;
    }

    fn swap(&mut self, from: usize, to: usize) -> usize {
        self.heap.swap(from, to);
        self.places[self.heap[from].1 as usize] = from as u32;
        to
    }

    fn lesser_child(&self, at: usize) -> Option<usize> {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        let is_right = right < self.heap.len() && self.heap[right] < self.heap[left];
        (left < self.heap.len()).then_some(if is_right { right } else { left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_always_the_least() {
        let mut deadlines = Deadlines::default();
        let mut plain: Vec<Option<Millis>> = Vec::new();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..64 {
            deadlines.grow();
            plain.push(None);
        }
        for _ in 0..100_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let slot = (random % 64) as usize;
            let deadline = (!random.is_multiple_of(3)).then_some(Millis(random >> 32));
            deadlines.set(slot as u32, deadline);
            plain[slot] = deadline;
            let least = plain.iter().enumerate().filter_map(|(slot, d)| d.map(|d| (d, slot as u32))).min();
            assert_eq!(deadlines.first(), least);
        }
    }
}
