//! An allocator that counts: how often and how much the measuring thread allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What a thread has done to the heap since it began to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Calls that give out memory: allocations, and reallocations that had to ask the allocator.
    pub allocations: u64,
    /// Bytes asked for and not yet given back; below 0 when more was given back.
    pub bytes_held: i64,
}

thread_local! {
    // Without a destructor and known at compile time: reading it allocates nothing.
    static COUNTED: Cell<Option<Counted>> = const { Cell::new(None) };
}

/// The system's allocator with a count.
struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

/// Begins to count on this thread, from nothing.
pub fn begin() {
    COUNTED.set(Some(Counted::default()));
}

/// What was counted so far on this thread; nothing where it does not count.
#[must_use]
pub fn so_far() -> Counted {
    COUNTED.get().unwrap_or_default()
}

/// Ends counting on this thread and says what was counted.
pub fn end() -> Counted {
    COUNTED.take().unwrap_or_default()
}

fn count(allocations: u64, bytes: i64) {
    // Where the thread is ending there is nothing left to count for.
    let _counted = COUNTED.try_with(|cell| {
        if let Some(counted) = cell.get() {
            let allocations = counted.allocations + allocations;
            cell.set(Some(Counted { allocations, bytes_held: counted.bytes_held + bytes }));
        }
    });
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[allow(unsafe_code)]
// SAFETY: every call is handed to the system's allocator as it came; counting touches no memory but a thread-local cell.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, signed(size) - signed(layout.size()));
        // SAFETY: `place` came from `System` through `alloc`, with this layout.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, -signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn b1_allocations_between_begin_and_end_are_counted() {
        begin();
        let kept = black_box(vec![0_u8; 1000]);
        drop(black_box(Box::new(7_u64)));
        let counted = end();
        drop(kept);
        assert_eq!(counted, Counted { allocations: 2, bytes_held: 1000 });
    }

    #[test]
    fn b1_nothing_else_is() {
        drop(black_box(vec![0_u8; 10]));
        begin();
        // Starting a thread allocates on this one; what the thread does is not ours.
        let other = std::thread::spawn(|| {
            std::thread::park();
            drop(black_box(vec![0_u8; 1 << 20]));
        });
        let before = so_far();
        other.thread().unpark();
        other.join().unwrap();
        assert!(so_far().allocations - before.allocations <= 1, "{:?} {before:?}", so_far());
        end();
        drop(black_box(vec![0_u8; 10]));
        assert_eq!(so_far(), Counted::default());
    }
}
