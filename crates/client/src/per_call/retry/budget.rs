//! How many retries all calls of a client may make together.
//!
//! Over any ten seconds: a fifth of the successes, and ten a second besides. When everything fails nothing is deposited, so an
//! outage is met with ten retries a second and not with a multiple of the load; when one of three nodes dies under load, the reserve
//! is large enough for all calls that were on it (Finagle's `RetryBudget`, with deposits on success only).
//!
//! Counting is exact (thousandths, no floating point). A success takes no lock, and asks the clock once a second: it counts for the
//! second in which its call began, or for the present one if no other success has been counted for that second, or not lately. A retry
//! takes a lock. Once ten thousand retries have been earned, a success does not count, so that a client that is well does not make its
//! threads wait for one another.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::time::Instant;
use tower_micro_call::Budget;

/// One retry.
const RETRY: i64 = 1000;
/// What may be earned.
const MOST: i64 = 10_000 * RETRY;
/// Seconds that deposits and withdrawals count for.
const WINDOW: usize = 10;

/// A budget over the last ten seconds. See the [module docs](self).
#[derive(Debug)]
pub struct RetryBudget {
    start: Instant,
    /// What one success is worth, in thousandths of a retry.
    deposit: i64,
    /// What is there without a success, in thousandths.
    reserve: i64,
    earned: Window,
    spent: Window,
    /// The second for which it was seen to be full, and one more; 0 once a retry was taken since, or another second was seen for which it
    /// is not.
    full_in: AtomicU64,
    /// Held by a withdrawal, so that no two take the same retry.
    withdrawing: Mutex<()>,
}

impl RetryBudget {
    /// `percent` of the successes (0 to 1000) and `per_second` retries besides, over ten seconds.
    pub fn new(percent: u16, per_second: u16) -> Self {
        Self {
            start: Instant::now(),
            deposit: i64::from(percent.min(1000)) * RETRY / 100,
            reserve: i64::from(per_second) * WINDOW as i64 * RETRY,
            earned: Window::default(),
            spent: Window::default(),
            full_in: AtomicU64::new(0),
            withdrawing: Mutex::new(()),
        }
    }

    fn second(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_secs()
    }

    /// What was earned and not spent in the window that ends with `second`.
    fn balance(&self, second: u64) -> i64 {
        self.earned.sum(second) - self.spent.sum(second)
    }

    #[inline]
    fn is_full(&self, second: u64) -> bool {
        self.full_in.load(Relaxed) == second + 1 || self.has_become_full(second)
    }

    /// The balance of a second falls by what is taken, and when a success of a later one takes the place of what was earned ten seconds
    /// before it: that success has asked here first, and has not found the budget full.
    fn has_become_full(&self, second: u64) -> bool {
        let is_full = self.earned.most() >= MOST && self.balance(second) >= MOST;
        let full_in = if is_full { second + 1 } else { 0 };
        if self.full_in.load(Relaxed) != full_in {
            self.full_in.store(full_in, Relaxed);
        }
        is_full
    }

    fn deposit_at(&self, now: Instant) {
        let second = self.second(now);
        if !self.is_full(second) {
            self.earned.add(second, self.deposit);
        }
    }

    fn withdraw_at(&self, now: Instant) -> bool {
        let _withdrawing = self
            .withdrawing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let second = self.second(now);
        let is_there = self.balance(second) + self.reserve >= RETRY;
        if is_there {
            self.spent.add(second, RETRY);
            self.full_in.store(0, Relaxed);
        }
        is_there
    }
}

impl Default for RetryBudget {
    /// A fifth of the successes, and ten a second.
    fn default() -> Self {
        Self::new(20, 10)
    }
}

impl Budget for RetryBudget {
    fn deposit(&self) {
        self.deposit_at(Instant::now());
    }

    fn deposit_since(&self, began: Instant) {
        let second = self.second(began);
        if self.is_full(second) {
            return;
        }
        if self.earned.is_at(second) {
            self.earned.add(second, self.deposit);
        } else {
            self.deposit();
        }
    }

    fn withdraw(&self) -> bool {
        self.withdraw_at(Instant::now())
    }
}

/// Amounts by the second. Both are one word, the second above the amount, so that nothing is counted for another second.
#[derive(Debug, Default)]
struct Window([AtomicU64; WINDOW]);

impl Window {
    fn slot(&self, second: u64) -> &AtomicU64 {
        &self.0[(second % WINDOW as u64) as usize]
    }

    /// Whether `second` has a place, and no later one has it.
    fn is_at(&self, second: u64) -> bool {
        self.slot(second).load(Relaxed) >> 32 == second
    }

    /// Counts `amount` for `second`; for the one that has its place by now, if that is a later one.
    fn add(&self, second: u64, amount: i64) {
        let (slot, amount) = (self.slot(second), amount as u64);
        let anew = |word: u64| (word >> 32 < second).then_some(second << 32 | amount);
        if slot.fetch_update(Relaxed, Relaxed, anew).is_err() {
            slot.fetch_add(amount, Relaxed);
        }
    }

    /// What was counted in the ten seconds that end with `second`.
    fn sum(&self, second: u64) -> i64 {
        let words = self.0.iter().map(|slot| slot.load(Relaxed));
        let recent = words.filter(|word| (word >> 32) + WINDOW as u64 > second);
        recent.map(|word| i64::from(word as u32)).sum()
    }

    /// No less than that, for any second: what is too old is among it.
    fn most(&self) -> i64 {
        let words = self.0.iter().map(|slot| slot.load(Relaxed));
        words.map(|word| i64::from(word as u32)).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// How far apart two moments must be for the first to have no part in the budget of the second.
    const FORGOTTEN: Duration = Duration::from_secs(WINDOW as u64);

    fn withdrawn(budget: &RetryBudget, now: Instant, tries: u32) -> usize {
        (0..tries).filter(|_| budget.withdraw_at(now)).count()
    }

    #[test]
    fn the_reserve_is_a_hundred_retries_at_once_and_then_nothing() {
        let budget = RetryBudget::default();
        let now = Instant::now();
        assert_eq!(withdrawn(&budget, now, 500), 100);
        assert_eq!(withdrawn(&budget, now + Duration::from_secs(9), 500), 0);
        assert_eq!(
            withdrawn(&budget, now + FORGOTTEN + Duration::from_secs(1), 500),
            100
        );
    }

    #[test]
    fn a_fifth_of_the_successes_may_be_retried() {
        let budget = RetryBudget::new(20, 0);
        let now = Instant::now();
        assert!(!budget.withdraw_at(now));
        (0..50).for_each(|_| budget.deposit_at(now));
        assert_eq!(withdrawn(&budget, now, 100), 10);
    }

    #[test]
    fn percentages_are_exact_where_towers_are_not() {
        for percent in [30, 40, 60, 99] {
            let budget = RetryBudget::new(percent, 0);
            let now = Instant::now();
            (0..1000).for_each(|_| budget.deposit_at(now));
            assert_eq!(withdrawn(&budget, now, 2000), 10 * usize::from(percent));
        }
    }

    #[test]
    fn threads_cannot_take_more_than_there_is() {
        let budget = RetryBudget::new(20, 10);
        let now = Instant::now();
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| withdrawn(&budget, now, 1000)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(taken, 100);
    }

    #[test]
    fn no_more_is_earned_than_could_ever_be_needed() {
        let budget = RetryBudget::new(100, 0);
        (0..20_000).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget, Instant::now(), 20_000), 10_000);
    }

    #[test]
    fn what_was_taken_from_a_full_budget_can_be_earned_again() {
        let budget = RetryBudget::new(100, 0);
        let now = Instant::now();
        (0..20_000).for_each(|_| budget.deposit_since(now));
        assert_eq!(withdrawn(&budget, now, 10), 10);
        (0..10).for_each(|_| budget.deposit_since(now));
        assert_eq!(withdrawn(&budget, now, 20_000), 10_000);
    }

    #[test]
    fn threads_lose_nothing_of_what_they_earn() {
        let budget = RetryBudget::new(100, 0);
        let now = Instant::now();
        let earn = || (0..1000).for_each(|_| budget.deposit_at(now));
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(earn))));
        assert_eq!(withdrawn(&budget, now, 10_000), 4000);
    }

    async fn seconds(count: u64) {
        tokio::time::advance(Duration::from_secs(count)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_counts_for_the_second_in_which_its_call_began() {
        let budget = RetryBudget::new(100, 0);
        let began = Instant::now();
        budget.deposit();
        seconds(5).await;
        budget.deposit_since(began);
        seconds(4).await;
        assert!(budget.withdraw());
        budget.deposit_since(began);
        assert!(budget.withdraw());
        budget.deposit_since(began);
        seconds(1).await;
        budget.deposit_since(began);
        assert!(!budget.withdraw());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_took_long_counts_for_the_second_in_which_it_ends_if_others_do_as_well() {
        let budget = RetryBudget::new(100, 0);
        let began = Instant::now();
        seconds(20).await;
        budget.deposit();
        budget.deposit_since(began);
        budget.deposit_since(began + Duration::from_secs(5));
        seconds(9).await;
        assert_eq!(withdrawn(&budget, Instant::now(), 10), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_began_in_a_second_that_was_full_counts_once_that_is_forgotten() {
        let budget = RetryBudget::new(100, 0);
        let began = Instant::now();
        (0..20_000).for_each(|_| budget.deposit_since(began));
        seconds(20).await;
        budget.deposit();
        budget.deposit_since(began);
        assert_eq!(withdrawn(&budget, Instant::now(), 10), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_on_being_well_goes_on_having_retries() {
        let budget = RetryBudget::new(100, 0);
        for _ in 0..30 {
            let began = Instant::now();
            (0..2000).for_each(|_| budget.deposit_since(began));
            seconds(1).await;
        }
        // All that can be, less what was earned in the second that has just passed out of the window.
        assert_eq!(withdrawn(&budget, Instant::now(), 20_000), 8000);
    }

    proptest! {
        #[test]
        fn over_any_ten_seconds_retries_stay_within_a_fifth_of_successes_and_a_hundred(
            steps in prop::collection::vec((prop_oneof![20 => 0u64..30, 1 => 0u64..3000], any::<bool>()), 1..1000),
        ) {
            let budget = RetryBudget::default();
            let mut now = Instant::now();
            let mut retries: Vec<Instant> = Vec::new();
            let mut successes: Vec<Instant> = Vec::new();
            for (pause, succeeds) in steps {
                now += Duration::from_millis(pause);
                if succeeds {
                    budget.deposit_at(now);
                    successes.push(now);
                } else if budget.withdraw_at(now) {
                    retries.push(now);
                    let within = |times: &[Instant], seconds| {
                        let time = Duration::from_secs(seconds);
                        times.iter().filter(|at| now - **at < time).count()
                    };
                    // Slots are whole seconds: what was earned counts for nine to ten of them, and so does what was spent.
                    let earned = 0.2 * within(&successes, 10) as f64;
                    prop_assert!(within(&retries, 9) as f64 <= earned + 100.0);
                }
            }
        }
    }
}
