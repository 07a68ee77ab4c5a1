//! A share of the time that something may take. Pure: is told the time, and
//! what was spent.

/// Unused time is not saved up for longer than this many seconds.
const MEMORY: f64 = 60.0;

/// What takes time may go on while it has taken less than its share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    share: f64,
    spent: f64,
}

impl Budget {
    /// So many seconds of each.
    pub(crate) fn new(share: f64) -> Budget {
        Budget { share, spent: 0.0 }
    }

    /// Whether it may begin again, `now` seconds after the beginning.
    pub(crate) fn allows(&mut self, now: f64) -> bool {
        self.spent = self.spent.max(self.share * (now - MEMORY));
        self.spent <= self.share * now
    }

    /// It has taken so many seconds.
    pub(crate) fn spend(&mut self, seconds: f64) {
        self.spent += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dear_walk_is_rare_and_a_cheap_one_is_not() {
        let times = |cost: f64, share: f64| {
            let mut budget = Budget::new(share);
            let mut times = 0;
            for second in 0..10_000 {
                if budget.allows(f64::from(second)) {
                    budget.spend(cost);
                    times += 1;
                }
            }
            times
        };
        // 200 ms at 0.2 %: every 100 s.
        assert!((99..=101).contains(&times(0.2, 0.002)));
        assert_eq!(times(0.001, 0.002), 10_000);
    }

    #[test]
    fn nothing_is_saved_up_for_a_storm() {
        let mut budget = Budget::new(0.01);
        let mut times = 0;
        while budget.allows(1e6) {
            budget.spend(0.1);
            times += 1;
        }
        assert!(times <= 8, "{times}");
    }
}
