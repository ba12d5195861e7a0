//! When the site heard nothing.

use std::collections::VecDeque;

use sanimon_domain::TimestampMs;

/// When the site heard nothing, for it was down or its disk refused: that time is nobody's silence.
#[derive(Debug, Default)]
pub(crate) struct Outages(VecDeque<(TimestampMs, TimestampMs)>);

/// Those of the longest ago are forgotten: every device that lives was heard since.
const OUTAGES_MAX: usize = 100;

impl Outages {
    pub(crate) fn add(&mut self, from: TimestampMs, to: TimestampMs) {
        // A reload that fails comes again, for a longer time.
        let from = from.max(self.0.back().map_or(from, |(_, to)| *to));
        if from >= to {
            return;
        }
        if self.0.len() >= OUTAGES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((from, to));
    }

    /// When it would have been heard if the site had never been down.
    pub(crate) fn without(&self, heard_at: TimestampMs) -> TimestampMs {
        let since = self.0.iter().rev().take_while(|(_, to)| *to > heard_at);
        let down_ms = since.map(|(from, to)| to.since_ms((*from).max(heard_at))).sum();
        heard_at.plus_ms(down_ms)
    }
}
