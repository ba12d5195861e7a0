//! How full bins were when they were emptied: read from what their sensors said.

use std::collections::BTreeMap;

use sanimon_alerting::collection::emptyings;
use sanimon_domain::collection::Emptied;
use sanimon_domain::{DeviceNo, metric};
use sanimon_operations::measures::Span;
use sanimon_store::{Shared, in_parts};

/// The emptyings of each group's bins in a span and the one before it.
pub(super) fn read(
    shared: &Shared,
    bins: &[(DeviceNo, Option<String>)],
    span: Span,
) -> sanimon_store::Result<BTreeMap<Option<String>, Vec<Emptied>>> {
    let read = |part: &[(DeviceNo, Option<String>)]| {
        let mut found = Vec::new();
        for (device, group) in part {
            let points =
                shared.telemetry(*device, metric::FILL_PCT, span.before().from, span.to.minus_ms(1))?;
            let values = points.iter().map(|point| (point.at, point.value));
            found.extend(emptyings(values).map(|emptied| (group.clone(), emptied)));
        }
        Ok::<_, sanimon_store::StoreError>(found)
    };
    let mut groups: BTreeMap<Option<String>, Vec<Emptied>> = BTreeMap::new();
    for part in in_parts(bins, read) {
        part?.into_iter().for_each(|(group, emptied)| groups.entry(group).or_default().push(emptied));
    }
    Ok(groups)
}
