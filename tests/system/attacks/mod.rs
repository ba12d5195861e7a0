//! Attacks on the real binary: no panic, no 500, nothing that is not one's own, and honest devices are served meanwhile.
//! How fast they are served is measured by `sanimon bench security`.

mod crossing;
mod mqtt;
mod web;

use crate::harness::Site;

/// The attacker needs as many sockets as the system gives.
pub(crate) fn take_sockets() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// What must hold after every attack: it runs, it never panicked, it holds no more than before, and it still serves.
pub(crate) fn assert_well(site: &Site) {
    let log = site.log();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(site.get("/readyz").map(|answer| answer.0), Some(200));
}
