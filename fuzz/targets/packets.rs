//! Any bytes as MQTT packets, of both versions, by the codec that the broker uses; what they publish goes on to the decoders.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use rmqtt_codec::{v3, v5};
use sanimon_domain::TimestampMs;
use tokio_util::codec::Decoder;

const PACKET_BYTES_MAX: u32 = 2 << 20;
/// Packets of one input at most.
const PACKETS_MAX: usize = 64;

fn heard(topic: &str, payload: &[u8]) {
    let _ = sanimon_codec::decode(topic, payload, TimestampMs(1_772_323_200_000));
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = BytesMut::from(bytes);
    let mut codec = v3::Codec::new(PACKET_BYTES_MAX);
    for _ in 0..PACKETS_MAX {
        let Ok(Some((packet, _))) = codec.decode(&mut input) else { break };
        if let v3::Packet::Publish(publish) = packet {
            heard(&publish.topic, &publish.payload);
        }
    }
    let mut input = BytesMut::from(bytes);
    let mut codec = v5::Codec::new(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    for _ in 0..PACKETS_MAX {
        let Ok(Some((packet, _))) = codec.decode(&mut input) else { break };
        if let v5::Packet::Publish(publish) = packet {
            heard(&publish.topic, &publish.payload);
        }
    }
});
