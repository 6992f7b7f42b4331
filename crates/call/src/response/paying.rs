use super::{End, Ended};
use crate::Common;

/// A call whose budget is paid if it ends well.
pub(super) struct Paying(pub(super) Common);

impl Paying {
    #[inline]
    pub(super) fn told(&self, end: End<'_>) {
        if matches!(end, End::Ok) {
            self.pay();
        }
    }

    #[inline]
    fn pay(&self) {
        let budget = self.0.options().and_then(|options| options.get_budget());
        let Some(budget) = budget else { return };
        match self.0.deadline().and_then(|deadline| deadline.began()) {
            Some(began) => budget.deposit_since(began),
            None => budget.deposit(),
        }
    }
}

impl Ended for Paying {
    fn ended(self: Box<Self>, end: End<'_>) {
        self.told(end);
    }
}
