//! What takes more than one module: a town of clients over the whole broker, and packets in any order.

mod bytes;
mod dice;
mod flood;
mod grammar;
mod sequence;
mod town;

use crate as broker;

use grammar::Chance;

/// Packets where nobody says how many: what CI has time for. `SANIMON_FUZZ_PACKETS` says another number.
const PACKETS: u64 = 200_000;
/// Packets of one run of choices.
const PACKETS_OF_SEED: usize = 500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// What a client sends, in whatever order, and wherever it is cut: see [`sequence`].
#[test]
fn n012_packets_in_any_order_are_answered_as_the_table_allows() {
    if let Some(seed) = number("SANIMON_FUZZ_SEED") {
        sequence::play(&mut Chance::Seed(seed), PACKETS_OF_SEED);
        return;
    }
    let packets = number("SANIMON_FUZZ_PACKETS").unwrap_or(PACKETS);
    let before = resident_kb();
    let mut said = std::collections::BTreeSet::new();
    let (began, mut sent, mut seed) = (std::time::Instant::now(), 0, 0);
    while sent < packets {
        let played = std::panic::catch_unwind(|| sequence::play(&mut Chance::Seed(seed), PACKETS_OF_SEED));
        let (number, mut kinds) = played.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
            panic!("SANIMON_FUZZ_SEED={seed}: {text}")
        });
        sent += number as u64;
        said.append(&mut kinds);
        seed += 1;
    }
    assert_eq!(said.len(), sequence::KINDS, "the grammar no longer leads to all that can be said: {said:?}");
    let took_ms = began.elapsed().as_millis();
    eprintln!(
        "proof sequences {{packets: {sent}, ms: {took_ms}, kb before: {before}, after: {}}}",
        resident_kb()
    );
}

/// What this process has in memory; 0: the system does not say.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
