//! How many retries all calls of a client may make together.
//!
//! Over any ten seconds: a fifth of the successes, and ten a second besides. When everything fails nothing is deposited, so an
//! outage is met with ten retries a second and not with a multiple of the load; when one of three nodes dies under load, the reserve
//! is large enough for all calls that were on it (Finagle's `RetryBudget`, with deposits on success only).
//!
//! Counting is exact (thousandths, no floating point) and takes no lock. Once ten thousand retries have been earned, a success neither
//! counts nor looks at the clock, so that a client that is well does not make its threads wait for one another.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

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
    /// Sum of all slots.
    balance: AtomicI64,
    slots: [AtomicI64; WINDOW],
    /// The second the newest slot stands for.
    newest: AtomicU64,
}

impl RetryBudget {
    /// `percent` of the successes (0 to 1000) and `per_second` retries besides, over ten seconds.
    pub fn new(percent: u16, per_second: u16) -> Self {
        Self {
            start: Instant::now(),
            deposit: i64::from(percent.min(1000)) * RETRY / 100,
            reserve: i64::from(per_second) * WINDOW as i64 * RETRY,
            balance: AtomicI64::new(0),
            slots: Default::default(),
            newest: AtomicU64::new(0),
        }
    }

    /// The slot of `now`, after those that are too old were emptied.
    fn slot(&self, now: Instant) -> &AtomicI64 {
        let second = now.saturating_duration_since(self.start).as_secs();
        let newest = self.newest.load(Relaxed);
        let advanced = second > newest
            && self
                .newest
                .compare_exchange(newest, second, Relaxed, Relaxed)
                .is_ok();
        if advanced {
            let empty = (second - newest).min(WINDOW as u64);
            (0..empty).for_each(|back| self.expire(second - back));
        }
        &self.slots[(second % WINDOW as u64) as usize]
    }

    fn expire(&self, second: u64) {
        let old = self.slots[(second % WINDOW as u64) as usize].swap(0, Relaxed);
        self.balance.fetch_sub(old, Relaxed);
    }
}

impl Default for RetryBudget {
    /// A fifth of the successes, and ten a second.
    fn default() -> Self {
        Self::new(20, 10)
    }
}

impl RetryBudget {
    fn deposit_at(&self, now: Instant) {
        self.slot(now).fetch_add(self.deposit, Relaxed);
        self.balance.fetch_add(self.deposit, Relaxed);
    }

    fn withdraw_at(&self, now: Instant) -> bool {
        let slot = self.slot(now);
        let take = |balance: i64| (balance + self.reserve >= RETRY).then_some(balance - RETRY);
        let taken = self.balance.fetch_update(Relaxed, Relaxed, take).is_ok();
        if taken {
            slot.fetch_sub(RETRY, Relaxed);
        }
        taken
    }
}

impl Budget for RetryBudget {
    fn deposit(&self) {
        if self.balance.load(Relaxed) < MOST {
            self.deposit_at(Instant::now());
        }
    }

    fn withdraw(&self) -> bool {
        self.withdraw_at(Instant::now())
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

    proptest! {
        #[test]
        fn over_any_ten_seconds_retries_stay_within_a_fifth_of_successes_and_a_hundred(
            steps in prop::collection::vec((0u64..3000, any::<bool>()), 1..400),
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
                }
                let recent = |times: &[Instant]| {
                    times.iter().filter(|time| now - **time < FORGOTTEN - Duration::from_secs(1)).count()
                };
                // Slots are whole seconds, so deposits up to a second older may still count.
                prop_assert!(recent(&retries) as f64 <= 0.2 * successes.len() as f64 + 100.0);
            }
        }
    }
}
