//! Any payload on a native topic: no panic, readings in their limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sanimon_domain::{Metric, TimestampMs, metric};

fuzz_target!(|payload: &[u8]| {
    let decoded =
        sanimon_codec::decode("sanitation/east/bin/b-1/telemetry", payload, TimestampMs(1_772_323_200_000));
    for reading in decoded.reports.iter().flat_map(|report| report.readings()) {
        if let Metric::Known(no) = &reading.metric {
            let info = metric::info(*no).expect("a known metric");
            assert!((info.min..=info.max).contains(&reading.value), "{}: {}", info.name, reading.value);
        }
        assert!(reading.value.is_finite());
    }
});
