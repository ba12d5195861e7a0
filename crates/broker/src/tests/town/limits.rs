//! How narrow a town's broker is.

use std::num::NonZeroU16;

use sanimon_net::Allowance;

use crate::limits::Limits;
use crate::retained::RetainedLimits;
use crate::session::{OutgoingLimits, SessionLimits};
use crate::sessions::SessionsLimits;
use crate::tests::dice::Dice;

/// The longest that a session is kept here: in the end all of them must have gone.
pub(super) const EXPIRY_MAX_S: u32 = 600;

/// A window of one and a queue of two are where it is met soonest what does not add up.
pub(super) fn limits(dice: &mut Dice) -> Limits {
    let small = |dice: &mut Dice| 1 + dice.below(5);
    let is_tight = dice.once_in(4);
    Limits {
        session: SessionLimits {
            session_expiry_max_s: EXPIRY_MAX_S,
            topic_aliases: 3,
            ..SessionLimits::default()
        },
        sessions: SessionsLimits {
            outgoing: OutgoingLimits {
                queue_messages: if is_tight { small(dice) } else { 10_000 },
                in_flight_out: small(dice),
                ..OutgoingLimits::default()
            },
            takeovers: u32::MAX,
            ..SessionsLimits::default()
        },
        receive_max_of_gateway: NonZeroU16::new(small(dice) as u16).expect("it is not zero"),
        failed_per_address: 1_000_000,
        control_packets: Allowance { per_s: 1e6, burst: 1e6 },
        messages_per_s: 1e6,
        bytes_per_s: 1e9,
        retained: RetainedLimits {
            retained: if is_tight { small(dice) } else { 20_000 },
            ..RetainedLimits::default()
        },
        ..Limits::default()
    }
}
