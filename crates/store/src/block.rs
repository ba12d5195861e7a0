//! Sealed telemetry: a part of a series' UTC day as two `pco` columns with its aggregates beside them.
//!
//! Parts of one day do not overlap in time, so the aggregates of a day are the sums over its parts.

use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress};
use sanimon_domain::TimestampMs;

use crate::error::{Result, StoreError};
use crate::model::Point;

/// A part that has this many points is closed: newer points of the same day begin another. Without it, a
/// device that reports each second would have its whole day decoded and encoded again at each seal.
pub(crate) const PART_POINTS: usize = 4_096;

/// What stands beside the points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) first_at: TimestampMs,
    pub(crate) last_at: TimestampMs,
    pub(crate) count: i64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) sum: f64,
    pub(crate) first: f64,
    pub(crate) last: f64,
}

impl Summary {
    /// `points` in ascending time; `None` when there are none.
    pub(crate) fn of(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let values = || points.iter().map(|point| point.value);
        Some(Self {
            first_at: first.at,
            last_at: last.at,
            count: points.len() as i64,
            min: values().fold(f64::INFINITY, f64::min),
            max: values().fold(f64::NEG_INFINITY, f64::max),
            sum: values().sum(),
            first: first.value,
            last: last.value,
        })
    }
}

/// The blob: length of the times column (u32 LE), times, values.
pub(crate) fn encode(points: &[Point]) -> Vec<u8> {
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
    blob
}

pub(crate) fn decode(blob: &[u8]) -> Result<Vec<Point>> {
    let damaged = |detail: String| StoreError::Damaged { what: "a block", detail };
    let (length, rest) =
        blob.split_first_chunk().ok_or_else(|| damaged("shorter than its header".to_owned()))?;
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
            prop_assert_eq!(decode(&encode(&points)).expect("our own block"), points);
        }

        #[test]
        fn merging_is_a_map_update(older in series(), newer in series()) {
            let mut model: BTreeMap<i64, f64> = older.iter().map(|p| (p.at.0, p.value)).collect();
            model.extend(newer.iter().map(|p| (p.at.0, p.value)));
            let merged: Vec<(i64, f64)> = merge(&older, &newer).points.iter().map(|p| (p.at.0, p.value)).collect();
            prop_assert_eq!(merged, model.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn flipped_bytes_never_panic(points in series(), place in any::<prop::sample::Index>(), flip in 1_u8..) {
            let mut blob = encode(&points);
            let place = place.index(blob.len());
            blob[place] ^= flip;
            let _ = decode(&blob);
        }
    }
}
