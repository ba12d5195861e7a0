//! Any message to any format: no panic, readings in their limits, sound names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sanimon_codec::{Binding, Format, Formats, Incoming, TopicPattern};
use sanimon_domain::{Metric, SiteCalendar, TimestampMs, metric};

fuzz_target!(|input: &[u8]| {
    let [format, payload @ ..] = input else { return };
    let format = Format::ALL[usize::from(*format) % Format::ALL.len()];
    let topics = TopicPattern::new("t/{device}/#").into_iter().collect();
    let formats = Formats::new(vec![Binding { topics, ..Binding::usual(format) }], SiteCalendar::utc());
    for topic in ["t/d-1/up", "t/d-1/gateway", "t/d-1/LWT"] {
        let received = TimestampMs(1_772_323_200_000);
        let decoded = formats.decode(Incoming { topic, payload, received, client_id: None });
        for reading in decoded.reports.iter().flat_map(|report| report.readings()) {
            match &reading.metric {
                Metric::Known(no) => {
                    let info = metric::info(*no).expect("a known metric");
                    assert!((info.min..=info.max).contains(&reading.value), "{}: {}", info.name, reading.value);
                }
                Metric::Custom(name) => {
                    assert!(metric::is_keepable_name(name) && reading.value.is_finite(), "{name}");
                }
            }
        }
    }
});
