use proptest::prelude::*;

use super::*;

/// A client's frame, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    frame_as(first, payload, payload.len() as u64)
}

/// One that says another length.
fn frame_as(first: u8, payload: &[u8], length: u64) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(MASKED | length as u8),
        126..0x1_0000 => {
            bytes.push(MASKED | 0x7E);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(MASKED | 0x7F);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// What was in the frames, the pings, and how it ended.
type Said = (Vec<u8>, Vec<Vec<u8>>, Vec<Option<u16>>);

/// The same bytes, cut where it is said; where no more is said, all that is left.
fn heard(bytes: &[u8], cuts: &[usize]) -> Said {
    let mut decoder = Decoder::default();
    let (mut payload, mut pings, mut ends) = Said::default();
    let (mut left, mut cuts) = (bytes.to_vec(), cuts.iter());
    while !left.is_empty() {
        let length = cuts.next().map_or(left.len(), |cut| left.len().min(cut + 1));
        let mut part: Vec<u8> = left.drain(..length).collect();
        let kept = decoder.decode(&mut part, |heard| match heard {
            Heard::Ping(data) => pings.push(data.to_vec()),
            Heard::End(code) => ends.push(code),
        });
        payload.extend_from_slice(&part[..kept]);
        assert!(decoder.control.len() <= usize::from(CONTROL_MAX), "nothing is collected");
    }
    (payload, pings, ends)
}

#[test]
fn n197_what_is_in_binary_frames_is_handed_on_in_order() {
    let large = vec![7; 70_000];
    let bytes = [
        frame(LAST | BINARY, b"one "),
        frame(LAST | BINARY, b""),
        frame(BINARY, b"two "),
        frame(LAST | PING, b"there?"),
        frame(CONTINUED, b"three "),
        frame(LAST | PONG, b"not asked for"),
        frame(LAST | CONTINUED, b"four"),
        frame(LAST | BINARY, &[5; 300]),
        frame(LAST | BINARY, &large),
        frame(LAST | PING, b""),
    ]
    .concat();
    let payload = [b"one two three four", &[5; 300][..], &large[..]].concat();
    assert_eq!(heard(&bytes, &[]), (payload, vec![b"there?".to_vec(), Vec::new()], Vec::new()));
}

#[test]
fn n200_of_a_frame_that_does_not_end_each_byte_is_handed_on() {
    let mut bytes = frame_as(LAST | BINARY, b"begun", i64::MAX as u64);
    assert_eq!(heard(&bytes, &[]).0, b"begun");
    bytes[2] |= 0x80;
    assert_eq!(heard(&bytes, &[]), (Vec::new(), Vec::new(), vec![Some(1_002)]), "a length has 63 bits");
}

#[test]
fn n196_what_the_standard_forbids_ends_it_and_what_came_before_counts() {
    let unmasked = vec![LAST | BINARY, 1, b'x'];
    let half_begun = [frame(BINARY, b"x"), frame(LAST | BINARY, b"y")].concat();
    for (bytes, code) in [
        (frame(LAST | TEXT, b"hello"), 1_003),
        (frame(TEXT, b"hello"), 1_003),
        (unmasked, 1_002),
        (frame(LAST | 0x40 | BINARY, b"x"), 1_002),
        (frame(LAST | 0x10 | PING, b""), 1_002),
        (frame(LAST | 0x3, b"x"), 1_002),
        (frame(LAST | 0xB, b""), 1_002),
        (frame(LAST | CONTINUED, b"x"), 1_002),
        (frame(PING, b""), 1_002),
        (frame(CLOSE, b""), 1_002),
        (frame(LAST | PING, &[0; 126]), 1_002),
        // A length in more bytes than it needs (5.2).
        (vec![LAST | BINARY, MASKED | 0x7E, 0, 125, 0, 0, 0, 0], 1_002),
        (vec![LAST | BINARY, MASKED | 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0], 1_002),
    ] {
        let all = [frame(LAST | BINARY, b"before"), bytes, frame(LAST | BINARY, b"after")].concat();
        assert_eq!(heard(&all, &[]), (b"before".to_vec(), Vec::new(), vec![Some(code)]), "{all:x?}");
    }
    assert_eq!(heard(&half_begun, &[]), (b"x".to_vec(), Vec::new(), vec![Some(1_002)]));
    assert_eq!(heard(&frame(LAST | PING, &[1; 125]), &[]).1, [[1; 125]]);
}

#[test]
fn n197_a_close_is_answered_with_its_code() {
    let with = |code: u16, reason: &[u8]| [&code.to_be_bytes(), reason].concat();
    for (payload, answer) in [
        (Vec::new(), None),
        (with(1_000, b"bye"), Some(1_000)),
        (with(4_000, b""), Some(4_000)),
        (with(1_001, b"\xff"), Some(1_007)),
        (with(1_005, b""), Some(1_002)),
        (with(999, b""), Some(1_002)),
        (with(5_000, b""), Some(1_002)),
        (vec![3], Some(1_002)),
    ] {
        let bytes = [frame(LAST | CLOSE, &payload), frame(LAST | CLOSE, &payload)].concat();
        assert_eq!(heard(&bytes, &[]), (Vec::new(), Vec::new(), vec![answer]), "{payload:x?}");
    }
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => Just(LAST | BINARY), 3 => Just(BINARY), 3 => Just(CONTINUED), 3 => Just(LAST | CONTINUED), 4 => Just(LAST | PING),
        2 => Just(LAST | PONG), 1 => Just(LAST | CLOSE), 1 => any::<u8>(),
    ];
    let one =
        (first, proptest::collection::vec(any::<u8>(), 0..200)).prop_map(|(first, own)| frame(first, &own));
    proptest::collection::vec(one, 0..12).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn n197_any_cut_of_the_same_bytes_says_the_same(
        bytes in prop_oneof![4 => frames(), 1 => proptest::collection::vec(any::<u8>(), 0..400)],
        cuts in proptest::collection::vec(0_usize..40, 0..200),
    ) {
        let whole = heard(&bytes, &[]);
        prop_assert_eq!(&heard(&bytes, &cuts), &whole);
        prop_assert_eq!(&heard(&bytes, &vec![0; bytes.len()]), &whole, "byte by byte");
        prop_assert!(whole.2.len() <= 1);
    }
}
