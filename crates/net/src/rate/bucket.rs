//! A token bucket: so much at once, and so much a second on average. Pure; time is an argument.

/// What has been taken lately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    level: f64,
    at_ms: u64,
}

/// How much may be taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    /// On average.
    pub per_s: f64,
    /// At once, after a rest.
    pub burst: f64,
}

impl Bucket {
    /// A full one.
    pub const fn full(allowance: Allowance, now_ms: u64) -> Self {
        Self { level: allowance.burst, at_ms: now_ms }
    }

    fn refill(&mut self, allowance: Allowance, now_ms: u64) {
        let rested_s = now_ms.saturating_sub(self.at_ms) as f64 / 1_000.0;
        self.level = (self.level + rested_s * allowance.per_s).min(allowance.burst);
        self.at_ms = self.at_ms.max(now_ms);
    }

    /// Takes an amount if it is there.
    pub fn take(&mut self, allowance: Allowance, amount: f64, now_ms: u64) -> bool {
        self.refill(allowance, now_ms);
        if self.level < amount {
            return false;
        }
        self.level -= amount;
        true
    }

    /// Takes an amount on credit; gives how long the taker has to wait until it is paid, in milliseconds.
    pub fn borrow(&mut self, allowance: Allowance, amount: f64, now_ms: u64) -> u64 {
        self.refill(allowance, now_ms);
        self.level -= amount;
        if self.level >= 0.0 { 0 } else { (-self.level / allowance.per_s * 1_000.0).ceil() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN: Allowance = Allowance { per_s: 10.0, burst: 20.0 };

    #[test]
    fn a_burst_passes_then_the_rate() {
        let mut bucket = Bucket::full(TEN, 0);
        assert_eq!((0..100).filter(|_| bucket.take(TEN, 1.0, 0)).count(), 20);
        assert_eq!((0..100).filter(|_| bucket.take(TEN, 1.0, 1_000)).count(), 10);
        assert_eq!((0..100).filter(|_| bucket.take(TEN, 1.0, 9_000)).count(), 20, "no more is saved up");
    }

    #[test]
    fn what_is_borrowed_is_paid_by_waiting() {
        let mut bucket = Bucket::full(TEN, 0);
        assert_eq!(bucket.borrow(TEN, 20.0, 0), 0);
        assert_eq!(bucket.borrow(TEN, 5.0, 0), 500);
        assert_eq!(bucket.borrow(TEN, 0.0, 500), 0);
    }

    proptest! {
        /// Whatever the times of the asking, also when the clock steps back: never more than the burst and the rate.
        #[test]
        fn no_pattern_gets_more_than_its_share(steps in prop::collection::vec((-500_i64..2_000, 0.0..5.0_f64), 1..200)) {
            let mut bucket = Bucket::full(TEN, 10_000);
            let (mut now, mut latest, mut taken) = (10_000_i64, 10_000_i64, 0.0);
            for (step, amount) in steps {
                now = (now + step).max(0);
                latest = latest.max(now);
                if bucket.take(TEN, amount, now as u64) {
                    taken += amount;
                }
            }
            let most = TEN.burst + (latest - 10_000) as f64 / 1_000.0 * TEN.per_s;
            prop_assert!(taken <= most + 1e-6, "{taken} of {most}");
        }
    }
}
