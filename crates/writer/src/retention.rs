//! Blocks that are older than a site wants to keep are deleted, some at a time.

use sanimon_domain::{DeviceKind, LocalDay, TimestampMs};
use sanimon_store::{Counters, ExpiredBlock, File, Memory, Series};

use crate::failure::Failure;
use crate::options::Options;

/// Series that retention looks through in one step.
const SERIES_PER_STEP: usize = 256;

/// Where retention stands: it makes a step whenever nobody waits, so that messages go first.
#[derive(Debug)]
pub(crate) struct RetentionPass {
    day: LocalDay,
    series: Vec<Series>,
}

impl RetentionPass {
    /// A pass over all series, as of a day of the site.
    pub(crate) fn new(day: LocalDay, memory: &Memory) -> Self {
        Self { day, series: memory.reader().hot.read().all_series() }
    }

    pub(crate) fn is_of(&self, day: LocalDay) -> bool {
        self.day == day
    }

    pub(crate) fn is_over(&self) -> bool {
        self.series.is_empty()
    }

    /// Looks through some series and deletes what is too old of them, in one transaction.
    pub(crate) fn step(
        &mut self,
        (file, memory): (&mut File, &Memory),
        options: &Options,
    ) -> Result<(), Failure> {
        let calendar = memory.calendar();
        let (mut blocks, mut kinds, mut looked_through) = (Vec::<ExpiredBlock>::new(), Vec::new(), 0);
        let limit = options.thresholds.expired_blocks_per_step;
        for series in self.series.iter().rev().take(SERIES_PER_STEP) {
            let kind = memory.reader().directory.read().device(series.0).map(|device| device.kind);
            let keep_from =
                kind.and_then(|kind| Some((kind, options.retention.keeps_from(kind, self.day, calendar)?)));
            if let Some((kind, keep_from)) = keep_from {
                blocks.extend(file.expired_blocks(*series, keep_from, limit)?);
                kinds.push((kind, keep_from));
            }
            if blocks.len() >= limit {
                // There may be more of this series.
                break;
            }
            looked_through += 1;
        }
        if !blocks.is_empty() {
            expire((file, memory), &blocks, &kinds)?;
        }
        // After the commit: a step that failed is made again.
        self.series.truncate(self.series.len() - looked_through);
        Ok(())
    }
}

fn expire(
    (file, memory): (&mut File, &Memory),
    blocks: &[ExpiredBlock],
    kinds: &[(DeviceKind, TimestampMs)],
) -> Result<(), Failure> {
    let tx = file.begin()?;
    for block in blocks {
        tx.delete_closed_block(block.id)?;
    }
    for (kind, keep_from) in kinds {
        tx.note_kept_from(*kind, *keep_from)?;
    }
    tx.commit()?;
    let points = blocks.iter().map(|block| block.points).sum();
    Counters::add(&memory.health().counters.expired_points, points);
    file.after_commit();
    Ok(())
}
