//! Packets by a grammar: sound ones, nearly sound ones and broken ones, of all versions, as bytes. Also for `fuzz/`, which
//! takes this file as it is: it names nothing of the broker.

use super::bytes::{self, Connect, PUBACK, PUBCOMP, PUBREC, PUBREL, Publish, Will};

/// Where the choices come from: a seed, or the bytes of a fuzzer.
#[derive(Debug)]
pub(super) enum Chance<'a> {
    Seed(u64),
    #[cfg_attr(test, expect(dead_code, reason = "the fuzzer's"))]
    Bytes(&'a [u8]),
}

impl Chance<'_> {
    /// Nothing is left to choose by.
    pub(super) const fn is_over(&self) -> bool {
        match self {
            Self::Seed(_) => false,
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        match self {
            Self::Seed(state) => {
                *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                ((z ^ (z >> 31)) % n.max(1) as u64) as usize
            }
            Self::Bytes(bytes) => {
                let Some((first, rest)) = bytes.split_first() else { return 0 };
                *bytes = rest;
                usize::from(*first) % n.max(1)
            }
        }
    }

    pub(super) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) + 1 == n
    }

    pub(super) fn pick<'t, T: ?Sized>(&mut self, items: &[&'t T]) -> &'t T {
        items[self.below(items.len())]
    }
}

const TOPICS: [&str; 10] =
    ["a", "a/b", "r/1", "", "a/+", "#", "$SYS/x", "a\0b", "\u{fffe}", "long/long/long/long/long/long"];
const FILTERS: [&str; 10] = ["a", "a/#", "+", "#", "$share/g/a", "$share//a", "a/#/b", "", "a+", "$SYS/#"];
const CLIENT_IDS: [&str; 3] = ["c", "", "a-client-with-a-name"];

/// A CONNECT.
pub(super) fn connect(chance: &mut Chance<'_>) -> Vec<u8> {
    let payload = "gone";
    let will = Will {
        topic: chance.pick(&TOPICS),
        payload,
        qos: chance.below(3) as u8,
        delay_s: chance.below(9) as u32,
    };
    let connect = Connect {
        is_5: chance.below(2) > 0,
        client_id: if chance.once_in(8) { chance.pick(&CLIENT_IDS) } else { "c" },
        username: chance.once_in(4).then_some("u"),
        is_clean: chance.below(2) > 0,
        keep_alive_s: chance.below(3) as u16 * 10,
        expiry_s: chance.below(2) as u32 * 60,
        receive_max: 1 + chance.below(4) as u16,
        alias_max: chance.below(3) as u16,
        will: chance.once_in(3).then_some(will),
    };
    let mut bytes = connect.bytes();
    if !connect.is_5 && chance.once_in(6) {
        // MQTT 3.1.
        let mut body = b"\x00\x06MQIsdp\x03".to_vec();
        body.extend_from_slice(&bytes[2 + 7..]);
        bytes = bytes::packet(0x10, &body);
    }
    if chance.once_in(20) { broken(chance, bytes) } else { bytes }
}

/// Any packet but a CONNECT, most of them sound.
pub(super) fn packet(chance: &mut Chance<'_>, is_5: bool) -> Vec<u8> {
    let id = chance.below(6) as u16 + u16::from(!chance.once_in(12));
    let bytes = match chance.below(22) {
        0..8 => publish(chance, is_5, id),
        8..10 => bytes::ack(PUBACK, id),
        10..12 => bytes::ack(PUBREC, id),
        12..14 => bytes::ack(PUBCOMP, id),
        14 => reasoned(chance, id),
        15 => {
            bytes::subscribe(is_5, id, chance.pick(&FILTERS), chance.below(if is_5 { 64 } else { 3 }) as u8)
        }
        16 => bytes::unsubscribe(is_5, id, chance.pick(&FILTERS)),
        17 => b"\xC0\x00".to_vec(),
        18 if chance.once_in(4) => match chance.below(6) {
            0 => b"\xE0\x00".to_vec(),
            1 => vec![0xE0, 1, chance.below(256) as u8],
            2 => b"\xE0\x07\x00\x05\x11\x00\x00\x00\x09".to_vec(),
            3 => b"\xF0\x00".to_vec(),
            4 => connect(chance),
            // What only a server says.
            _ => bytes::packet([0x20, 0x90, 0xB0, 0xD0][chance.below(4)], &[0, 1, 0]),
        },
        _ => bytes::ack(PUBREL, id),
    };
    if chance.once_in(40) { broken(chance, bytes) } else { bytes }
}

fn publish(chance: &mut Chance<'_>, is_5: bool, id: u16) -> Vec<u8> {
    // QoS 3 is none.
    let kinds = if chance.once_in(50) { 4 } else { 3 };
    let qos = chance.below(kinds) as u8;
    let has_alias = is_5 && chance.once_in(4);
    let is_sound = !chance.once_in(12);
    let topic = match chance.below(3) {
        0 if has_alias => "",
        _ if is_sound => chance.pick(&TOPICS[..3]),
        _ => chance.pick(&TOPICS),
    };
    let alias = has_alias.then(|| chance.below(4) as u16 + u16::from(is_sound));
    let expiry_s = (is_5 && chance.once_in(5)).then(|| chance.below(3) as u32);
    let payload = &[b'x'; 40][..chance.below(40)];
    let dup = qos > 0 && chance.once_in(3);
    Publish { topic, alias, qos, id, dup, retain: chance.once_in(4), expiry_s, payload }.bytes(is_5)
}

/// An acknowledgement with a reason, as 5.0 has them.
fn reasoned(chance: &mut Chance<'_>, id: u16) -> Vec<u8> {
    let first = [PUBACK, PUBREC, PUBREL, PUBCOMP][chance.below(4)];
    let [high, low] = id.to_be_bytes();
    let reason = if chance.below(2) > 0 { 0x97 } else { chance.below(256) as u8 };
    bytes::packet(first, &[high, low, reason])
}

/// A byte is another one, missing or too much; or the length is not what follows.
fn broken(chance: &mut Chance<'_>, mut bytes: Vec<u8>) -> Vec<u8> {
    let place = chance.below(bytes.len());
    match chance.below(5) {
        0 => bytes[place] ^= 1 << chance.below(8),
        1 => bytes[place] = chance.below(256) as u8,
        2 => drop(bytes.remove(place)),
        3 => bytes.insert(place, chance.below(256) as u8),
        _ => bytes.truncate(place),
    }
    bytes
}
