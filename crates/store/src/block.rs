//! Sealed telemetry: parts of a series that do not overlap in time.
//!
//! A closed block holds about [`PART_POINTS`] points as two `pco` columns and is written once. The newest points of a
//! series gather in its open block, packed so that appending needs no decoding, until they fill a closed one. Both
//! stand behind a checksum.
//!
//! ```text
//! closed = length of the times column u32 LE, times, values
//! open   = first at i64 LE, (span since the point before, value)*
//! ```

use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress};
use sanimon_domain::TimestampMs;

use crate::error::{Result, StoreError};
use crate::model::Point;
use crate::pack::{Input, seal, span, unseal, value};

/// Points in a closed block: enough that its header and its row weigh nothing, few enough that a day is read quickly.
/// Tests meet full blocks with a handful of points.
pub(crate) const PART_POINTS: usize = if cfg!(test) { 16 } else { 1_024 };
const CLOSED: &str = "a block";
const OPEN: &str = "an open block";

/// A block as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    pub(crate) first_at: TimestampMs,
    pub(crate) last_at: TimestampMs,
    pub(crate) count: i64,
    pub(crate) points: Vec<u8>,
}

impl Block {
    /// `None` without points, which are ascending.
    fn of(points: &[Point], encode: impl FnOnce(&[Point]) -> Vec<u8>) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        Some(Self {
            first_at: first.at,
            last_at: last.at,
            count: points.len() as i64,
            points: encode(points),
        })
    }

    pub(crate) fn closed(points: &[Point]) -> Option<Self> {
        Self::of(points, encode)
    }

    pub(crate) fn open(points: &[Point]) -> Option<Self> {
        Self::of(points, |points| {
            let mut out = points[0].at.0.to_le_bytes().to_vec();
            append(&mut out, points[0].at, points);
            seal(&out)
        })
    }

    /// An open block with later points behind its own.
    pub(crate) fn with_appended(&self, points: &[Point]) -> Result<Self> {
        let Some(last) = points.last() else { return Ok(self.clone()) };
        let mut out = unseal(&self.points, OPEN)?.to_vec();
        append(&mut out, self.last_at, points);
        let count = self.count + points.len() as i64;
        Ok(Self { first_at: self.first_at, last_at: last.at, count, points: seal(&out) })
    }
}

fn append(out: &mut Vec<u8>, mut before: TimestampMs, points: &[Point]) {
    for point in points {
        span(out, point.at.since_ms(before));
        value(out, point.value);
        before = point.at;
    }
}

pub(crate) fn decode_open(blob: &[u8]) -> Result<Vec<Point>> {
    let mut input = Input::new(unseal(blob, OPEN)?, OPEN);
    let mut at = TimestampMs(i64::from_le_bytes(input.array()?));
    let mut points = Vec::new();
    while !input.is_empty() {
        at = at.plus_ms(input.span_ms()?);
        points.push(Point { at, value: input.value()? });
    }
    Ok(points)
}

fn encode(points: &[Point]) -> Vec<u8> {
    let times: Vec<i64> = points.iter().map(|point| point.at.0).collect();
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let config = ChunkConfig::default();
    // The only error is an invalid configuration, and the default is valid.
    let times = simple_compress(&times, &config).expect("the default configuration compresses any i64");
    let values = simple_compress(&values, &config).expect("the default configuration compresses any f64");
    let mut blob = Vec::with_capacity(4 + times.len() + values.len());
    blob.extend_from_slice(&(times.len() as u32).to_le_bytes());
    blob.extend_from_slice(&times);
    blob.extend_from_slice(&values);
    seal(&blob)
}

pub(crate) fn decode(blob: &[u8]) -> Result<Vec<Point>> {
    decode_columns(unseal(blob, CLOSED)?)
}

/// The columns without a checksum before them, as data version 2 stored them.
pub(crate) fn decode_columns(body: &[u8]) -> Result<Vec<Point>> {
    let damaged = |detail: String| StoreError::Damaged { what: CLOSED, detail };
    let (length, rest) =
        body.split_first_chunk().ok_or_else(|| damaged("shorter than its header".to_owned()))?;
    let length = u32::from_le_bytes(*length) as usize;
    let (times, values) =
        rest.split_at_checked(length).ok_or_else(|| damaged("its times are cut".to_owned()))?;
    let times: Vec<i64> = simple_decompress(times).map_err(|error| damaged(error.to_string()))?;
    let values: Vec<f64> = simple_decompress(values).map_err(|error| damaged(error.to_string()))?;
    if times.len() != values.len() {
        return Err(damaged(format!("{} times and {} values", times.len(), values.len())));
    }
    Ok(times.into_iter().zip(values).map(|(at, value)| Point { at: TimestampMs(at), value }).collect())
}

/// Two series as one.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) points: Vec<Point>,
    /// Times that both had, with different values.
    pub(crate) corrections: u64,
}

/// Merges series with ascending times; where both have a time, `newer` wins.
pub(crate) fn merge(older: &[Point], newer: &[Point]) -> Merged {
    let mut points = Vec::with_capacity(older.len() + newer.len());
    let mut corrections = 0;
    let (mut i, mut j) = (0, 0);
    while i < older.len() && j < newer.len() {
        if older[i].at < newer[j].at {
            points.push(older[i]);
            i += 1;
            continue;
        }
        if older[i].at == newer[j].at {
            corrections += u64::from(older[i].value.to_bits() != newer[j].value.to_bits());
            i += 1;
        }
        points.push(newer[j]);
        j += 1;
    }
    points.extend_from_slice(&older[i..]);
    points.extend_from_slice(&newer[j..]);
    Merged { points, corrections }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn series() -> impl Strategy<Value = Vec<Point>> {
        prop::collection::btree_map(0_i64..1_000, -1e6_f64..1e6, 0..60)
            .prop_map(|map| map.into_iter().map(|(at, value)| Point { at: TimestampMs(at), value }).collect())
    }

    proptest! {
        #[test]
        fn points_come_back_bit_by_bit(points in series()) {
            if let Some(block) = Block::closed(&points) {
                prop_assert_eq!(decode(&block.points).expect("our own block"), points);
            }
        }

        #[test]
        fn an_open_block_is_what_was_appended(points in series(), cut in any::<prop::sample::Index>()) {
            let (before, after) = points.split_at(cut.index(points.len().max(1)).min(points.len()));
            if let Some(block) = Block::open(before) {
                let block = block.with_appended(after).expect("our own block");
                prop_assert_eq!(decode_open(&block.points).expect("our own block"), points.clone());
                prop_assert_eq!(block.count, points.len() as i64);
            }
        }

        #[test]
        fn merging_is_a_map_update(older in series(), newer in series()) {
            let mut model: BTreeMap<i64, f64> = older.iter().map(|p| (p.at.0, p.value)).collect();
            model.extend(newer.iter().map(|p| (p.at.0, p.value)));
            let merged: Vec<(i64, f64)> = merge(&older, &newer).points.iter().map(|p| (p.at.0, p.value)).collect();
            prop_assert_eq!(merged, model.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn changed_bytes_are_noticed(points in series(), place in any::<prop::sample::Index>(), flip in 1_u8..) {
            for block in [Block::closed(&points), Block::open(&points)].into_iter().flatten() {
                let mut blob = block.points;
                let place = place.index(blob.len());
                blob[place] ^= flip;
                prop_assert!(decode(&blob).is_err());
                prop_assert!(decode_open(&blob).is_err());
                // Without its checksum it may be anything, but never a panic.
                let _ = decode_columns(&blob[4..]);
            }
        }
    }
}
