//! Running totals of people counters: increments, wraps and restarts.

/// 16-bit counters wrap here; vendors' documents name no other width for those that wrap.
const WRAP_AT: f64 = 65_536.0;
/// A total must have been this near to the end to have wrapped rather than restarted: a tenth of the range holds more
/// visitors than any toilet has between two reports.
const WRAP_FROM: f64 = WRAP_AT * 0.9;

/// What became of a running total between two reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Increment {
    Counted(f64),
    /// It passed the end of its range.
    Wrapped(f64),
    /// It began anew: what it counted since its restart.
    Restarted(f64),
}

impl Increment {
    pub fn visitors(self) -> f64 {
        match self {
            Self::Counted(n) | Self::Wrapped(n) | Self::Restarted(n) => n,
        }
    }
}

/// How many came between two totals. A total that falls has wrapped or restarted; it never counted backwards.
pub fn increment(before: f64, now: f64) -> Increment {
    if now >= before {
        return Increment::Counted(now - before);
    }
    let wrapped = now + WRAP_AT - before;
    if (WRAP_FROM..WRAP_AT).contains(&before) && wrapped < WRAP_AT - WRAP_FROM {
        Increment::Wrapped(wrapped)
    } else {
        Increment::Restarted(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_that_falls_is_a_wrap_or_a_restart_and_never_minus_65_000() {
        for (before, now, expected) in [
            (100.0, 130.0, Increment::Counted(30.0)),
            (100.0, 100.0, Increment::Counted(0.0)),
            (65_530.0, 4.0, Increment::Wrapped(10.0)),
            (65_535.0, 0.0, Increment::Wrapped(1.0)),
            (40_000.0, 7.0, Increment::Restarted(7.0)),
            (65_530.0, 30_000.0, Increment::Restarted(30_000.0)),
            (90_000.0, 12.0, Increment::Restarted(12.0)),
        ] {
            assert_eq!(increment(before, now), expected, "{before} -> {now}");
        }
    }
}
