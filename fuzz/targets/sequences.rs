//! Packets in any order by a grammar that the input steers, cut anywhere, through the broker's wire, connection and session,
//! with commits answered in any order. The same is a property test of `crates/broker`, whose files these are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sanimon_broker as broker;

#[allow(dead_code)]
#[path = "../../crates/broker/src/tests/bytes.rs"]
mod bytes;
#[allow(dead_code)]
#[path = "../../crates/broker/src/tests/grammar.rs"]
mod grammar;
#[path = "../../crates/broker/src/tests/sequence.rs"]
mod sequence;

/// Packets of one input at most.
const PACKETS_MAX: usize = 400;

fuzz_target!(|input: &[u8]| {
    sequence::play(&mut grammar::Chance::Bytes(input), PACKETS_MAX);
});
