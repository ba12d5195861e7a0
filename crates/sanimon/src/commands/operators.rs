//! The people of a demo's past: most alerts are seen to, some late, some never.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{AlertId, Condition, Severity, TimestampMs};
use sanimon_operations::lifecycle::Action;
use sanimon_store::AlertFilter;
use sanimon_writer::{Author, Entry, Refusal, TakeStep};

use super::offline::Offline;

const DISPATCHERS: [&str; 2] = ["chen.fang", "li.wei"];
const CREWS: [&str; 4] = ["wang", "zhao", "sun", "zhou"];
/// Alerts looked at in a round.
const LOOKED_AT: usize = 100;

/// The last of the steps of a plan, and when a crew looks again.
const HANDLE: u8 = 3;
const LOOK_AGAIN_MS: i64 = 60 * MINUTE_MS;

/// What somebody will do.
type Plan = Reverse<(TimestampMs, u64, u8)>;

pub(super) struct Operators {
    seed: u64,
    last_seen: u64,
    plans: BinaryHeap<Plan>,
}

impl Operators {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, last_seen: 0, plans: BinaryHeap::new() }
    }

    /// Sees what is new, and does what its time has come for.
    pub(super) fn work(&mut self, writer: &mut Offline, now: TimestampMs) -> anyhow::Result<()> {
        let page = writer.shared()?.alerts(&AlertFilter::default(), LOOKED_AT)?;
        let seen = self.last_seen;
        for alert in page.items.iter().rev().filter(|alert| alert.id.0 > seen) {
            self.last_seen = alert.id.0;
            self.plan(alert.id, alert.severity, alert.raised_at);
        }
        while let Some(Reverse((at, alert, step))) =
            self.plans.peek().copied().filter(|Reverse((at, ..))| *at <= now)
        {
            self.plans.pop();
            if step == HANDLE && Self::is_not_done_yet(writer, AlertId(alert))? {
                let later = at.plus_ms(LOOK_AGAIN_MS);
                // Some give up and say that it is done all the same.
                let is_patient = !self.chance(AlertId(alert)).wrapping_add(at.0 as u64).is_multiple_of(40);
                if is_patient {
                    self.plans.push(Reverse((later, alert, step)));
                    continue;
                }
            }
            let (who, step) = self.step(AlertId(alert), step);
            let entry = Entry::new(at, Author::Person(who.to_owned()), "alert.step").about(alert.to_string());
            match writer.try_ask(at, entry, step)? {
                // Somebody or the sensor was quicker.
                Ok(_) | Err(Refusal::NotAllowed(_)) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Ok(())
    }

    /// Crews say that it is done when it is: when the sensor says so, too.
    fn is_not_done_yet(writer: &Offline, alert: AlertId) -> anyhow::Result<bool> {
        let found = writer.shared()?.alert(alert)?;
        Ok(found.is_some_and(|(alert, _)| alert.condition == Condition::Active))
    }

    /// One in eight is overlooked, and so are most warnings, as in life; the worse, the quicker.
    fn plan(&mut self, alert: AlertId, severity: Severity, raised_at: TimestampMs) {
        let chance = self.chance(alert);
        let is_overlooked =
            chance.is_multiple_of(8) || (severity == Severity::Warning && !chance.is_multiple_of(3));
        if is_overlooked {
            return;
        }
        let slowness = match severity {
            Severity::Critical => 1,
            Severity::Major => 3,
            Severity::Minor | Severity::Warning => 8,
        };
        let pauses = [2 + chance / 7 % 6, 1 + chance / 11 % 8, 8 + chance / 13 % 25, 6 + chance / 17 % 30];
        let mut at = raised_at;
        for (step, minutes) in pauses.into_iter().enumerate() {
            at = at.plus_ms(minutes as i64 * slowness * MINUTE_MS);
            self.plans.push(Reverse((at, alert.0, step as u8)));
        }
    }

    /// Who does what.
    fn step(&self, alert: AlertId, step: u8) -> (&'static str, TakeStep) {
        let chance = self.chance(alert);
        let dispatcher = DISPATCHERS[(chance / 64) as usize % DISPATCHERS.len()];
        let crew = CREWS[(chance / 256) as usize % CREWS.len()];
        match step {
            0 => (dispatcher, TakeStep::new(alert, Action::Acknowledge)),
            1 => {
                let assignee = Some(crew.to_owned());
                (dispatcher, TakeStep { assignee, ..TakeStep::new(alert, Action::Dispatch) })
            }
            2 => (crew, TakeStep::new(alert, Action::Arrive)),
            _ => (crew, TakeStep::new(alert, Action::Handle)),
        }
    }

    /// A number that looks random and is the same at each run (SplitMix64).
    fn chance(&self, alert: AlertId) -> u64 {
        let mut z = self.seed.wrapping_add(alert.0.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
