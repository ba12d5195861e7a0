//! What two sets of rules raised, beside each other.

use std::collections::BTreeMap;

use sanimon_domain::TimestampMs;

use super::Replayed;

/// Alerts of one rule, by whether both, only the old or only the new rules raised them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) then: usize,
    pub(crate) now: usize,
    pub(crate) both: usize,
    pub(crate) only_then: usize,
    pub(crate) only_now: usize,
}

/// Old and new alerts beside each other.
#[derive(Debug, Default)]
pub(crate) struct Comparison<'a> {
    /// By rule.
    pub(crate) counts: BTreeMap<&'a str, Counts>,
    pub(crate) only_then: Vec<&'a Replayed>,
    pub(crate) only_now: Vec<&'a Replayed>,
    /// Of those of both: old, new.
    pub(crate) both: Vec<(&'a Replayed, &'a Replayed)>,
}

/// Pairs alerts of the same rule and subject that were open at the same time.
pub(crate) fn compare<'a>(then: &'a [Replayed], now: &'a [Replayed]) -> Comparison<'a> {
    let mut comparison = Comparison::default();
    let mut taken = vec![false; now.len()];
    for old in then {
        let mut candidates =
            now.iter().enumerate().filter(|(index, new)| !taken[*index] && is_same(old, new));
        let counts = comparison.counts.entry(&old.rule).or_default();
        counts.then += 1;
        match candidates.next() {
            Some((index, new)) => {
                taken[index] = true;
                counts.both += 1;
                comparison.both.push((old, new));
            }
            None => {
                counts.only_then += 1;
                comparison.only_then.push(old);
            }
        }
    }
    for (new, taken) in now.iter().zip(taken) {
        let counts = comparison.counts.entry(&new.rule).or_default();
        counts.now += 1;
        if !taken {
            counts.only_now += 1;
            comparison.only_now.push(new);
        }
    }
    comparison
}

fn is_same(old: &Replayed, new: &Replayed) -> bool {
    let end = |alert: &Replayed| alert.cleared_at.unwrap_or(TimestampMs(i64::MAX));
    old.rule == new.rule
        && old.subject == new.subject
        && old.raised_at <= end(new)
        && new.raised_at <= end(old)
}

#[cfg(test)]
mod tests {
    use sanimon_domain::{DeviceNo, Severity, Subject};

    use super::*;

    fn alert(rule: &str, device: u32, raised: i64, cleared: Option<i64>) -> Replayed {
        Replayed {
            rule: rule.to_owned(),
            subject: Subject::Device(DeviceNo(device)),
            raised_at: TimestampMs(raised),
            cleared_at: cleared.map(TimestampMs),
            severity: Severity::Minor,
        }
    }

    #[test]
    fn alerts_are_the_same_when_they_were_open_at_the_same_time() {
        let then = [alert("a", 1, 0, Some(10)), alert("a", 2, 0, None), alert("b", 1, 5, Some(6))];
        let now = [alert("a", 1, 5, Some(20)), alert("a", 1, 30, None), alert("b", 1, 7, None)];
        let comparison = compare(&then, &now);
        assert_eq!(comparison.counts["a"], Counts { then: 2, now: 2, both: 1, only_then: 1, only_now: 1 });
        assert_eq!(comparison.counts["b"], Counts { then: 1, now: 1, both: 0, only_then: 1, only_now: 1 });
        assert_eq!((comparison.only_then.len(), comparison.only_now.len()), (2, 2));
    }
}
