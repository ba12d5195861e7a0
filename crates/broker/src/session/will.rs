//! When a will is published (3.1.2.5; 5.0, 3.1.3.2.2).

use crate::reason::Reason;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// DISCONNECT 0x00.
    Orderly,
    /// Another DISCONNECT of the client: with its will, or for a fault.
    WithWill,
    /// Cut, silent for too long, or closed by us for this reason.
    Lost(Reason),
    /// The same client came again; whether it starts clean.
    TakenOver { is_clean: bool },
    /// Its credential was taken away.
    Revoked,
    /// The product stops: what is kept waits for the restart (3.1.2.5).
    Stopping,
}

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Never,
    Now,
    /// Unless the client comes back before, without starting clean.
    At(i64),
}

/// When the will of a connection that ends now is due. `expiry_s`: how long its session is kept. The earlier of the will's
/// delay and the session's end decides.
pub fn due(end: End, now_ms: i64, (delay_s, expiry_s): (u32, u32)) -> Due {
    let wait_s = delay_s.min(expiry_s);
    match end {
        End::Orderly | End::Revoked => Due::Never,
        End::TakenOver { is_clean: true } => Due::Now,
        // It is back within the delay: nothing is published.
        End::TakenOver { is_clean: false } if wait_s > 0 => Due::Never,
        End::WithWill | End::Lost(_) | End::TakenOver { .. } if wait_s == 0 => Due::Now,
        // Of a session that is not kept nothing is left after the restart.
        End::Stopping if expiry_s == 0 => Due::Never,
        End::WithWill | End::Lost(_) | End::TakenOver { .. } | End::Stopping => {
            Due::At(now_ms + i64::from(wait_s) * 1_000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: End = End::Lost(Reason::KeepAliveTimeout);

    #[test]
    fn n083_to_n090_a_will_is_due_as_the_table_says() {
        for (end, delay_s, expiry_s, when) in [
            (End::Orderly, 0, 0, Due::Never),
            (End::Orderly, 5, 60, Due::Never),
            (End::WithWill, 0, 60, Due::Now),
            (End::WithWill, 5, 60, Due::At(6_000)),
            (LOST, 0, 60, Due::Now),
            (LOST, 5, 60, Due::At(6_000)),
            (LOST, 60, 5, Due::At(6_000)),
            (LOST, 60, 0, Due::Now),
            (End::Revoked, 0, 0, Due::Never),
            (End::TakenOver { is_clean: false }, 0, 60, Due::Now),
            (End::TakenOver { is_clean: false }, 5, 0, Due::Now),
            (End::TakenOver { is_clean: false }, 5, 60, Due::Never),
            (End::TakenOver { is_clean: true }, 5, 60, Due::Now),
            (End::Stopping, 5, 0, Due::Never),
            (End::Stopping, 5, 60, Due::At(6_000)),
        ] {
            assert_eq!(due(end, 1_000, (delay_s, expiry_s)), when, "{end:?} {delay_s} {expiry_s}");
        }
    }

    #[test]
    fn n090_a_will_of_3_1_1_has_no_delay_and_is_always_published_at_a_take_over() {
        for is_clean in [false, true] {
            assert_eq!(due(End::TakenOver { is_clean }, 0, (0, u32::MAX)), Due::Now);
        }
    }
}
