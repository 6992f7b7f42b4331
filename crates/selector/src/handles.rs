//! One value that all calls refer to, several times over, so that cores do not fight for one reference count.
//!
//! Whoever counts a reference writes to memory, and memory that one core has written must come from there to the next that
//! writes: that takes longer than all else there is to a choice. So each thread has a handle of its own, as far as there are
//! enough.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use tower_micro_selector::Handles;
//!
//! let greeting = Handles::new(String::from("hello"));
//! let mine: Arc<String> = Arc::clone(greeting.mine());
//! assert_eq!(*mine, *greeting);
//! ```

use std::cell::Cell;
use std::fmt;
use std::num::NonZero;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;

/// More than this save nothing.
const MOST: usize = 16;

/// As many handles as there are processors, at most 16. See the [module docs](self) for an example.
#[derive(Clone)]
pub struct Handles<T> {
    value: T,
    /// Each is made by the first thread that asks for it, so that it lies where that thread's memory does, and not beside another. As many
    /// as a power of two, so that to choose among them is no division.
    made: Box<[OnceLock<Arc<T>>]>,
}

impl<T> Handles<T> {
    /// Handles on copies of `value`.
    pub fn new(value: T) -> Self {
        let made = (0..count()).map(|_| OnceLock::new()).collect();
        Self { value, made }
    }

    /// The handle of this thread; other threads may have the same.
    #[inline]
    pub fn mine(&self) -> &Arc<T>
    where
        T: Clone,
    {
        self.made[lane() & (self.made.len() - 1)].get_or_init(|| Arc::new(self.value.clone()))
    }
}

impl<T> Deref for Handles<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Handles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

fn count() -> usize {
    static COUNT: LazyLock<usize> = LazyLock::new(|| {
        thread::available_parallelism()
            .map_or(1, NonZero::get)
            .next_power_of_two()
            .min(MOST)
    });
    *COUNT
}

/// A small number for each thread, in the order in which they first ask.
#[inline]
fn lane() -> usize {
    thread_local!(static LANE: Cell<Option<usize>> = const { Cell::new(None) });
    let known_or_next = |lane: &Cell<Option<usize>>| lane.get().unwrap_or_else(|| next_lane(lane));
    LANE.try_with(known_or_next).unwrap_or_default()
}

#[cold]
fn next_lane(lane: &Cell<Option<usize>>) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, Relaxed);
    lane.set(Some(next));
    next
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_thread_has_the_same_handle_each_time() {
        let handles = Handles::new(7);
        assert!(Arc::ptr_eq(handles.mine(), handles.mine()));
    }

    #[test]
    fn threads_have_handles_of_their_own_as_far_as_there_are_enough() {
        let handles = Handles::new(7);
        let mine = || Arc::as_ptr(handles.mine()) as usize;
        // Threads of other tests ask too, so that some numbers are theirs.
        let of_a_thread = || thread::scope(|threads| threads.spawn(mine).join().unwrap());
        let seen: HashSet<_> = (0..16 * MOST).map(|_| of_a_thread()).collect();
        assert_eq!(seen.len(), count());
    }
}
