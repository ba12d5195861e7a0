//! Any bytes as MQTT packets, behind a CONNECT of each version, as the broker reads them; what they publish goes on to the
//! decoders.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sanimon_broker::packet::FromClient;
use sanimon_broker::{Wire, WireLimits};
use sanimon_domain::TimestampMs;

/// Packets of one input at most.
const PACKETS_MAX: usize = 64;
/// What comes first of a client that speaks 3.1.1, and 5.0; and one that says it itself.
const BEGINS: [&[u8]; 3] = [
    b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c",
    b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01c",
    b"",
];

fuzz_target!(|bytes: &[u8]| {
    for begin in BEGINS {
        let (mut wire, mut input) = (Wire::new(WireLimits::default()), BytesMut::from(begin));
        input.extend_from_slice(bytes);
        for _ in 0..PACKETS_MAX {
            let Ok(Some(packet)) = wire.take(&mut input) else { break };
            if let FromClient::Publish(publish) = packet {
                let _ =
                    sanimon_codec::decode(&publish.topic, &publish.payload, TimestampMs(1_772_323_200_000));
            }
        }
    }
});
