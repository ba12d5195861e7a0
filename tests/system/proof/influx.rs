//! InfluxDB that is away, slow, silent, erroring and full: sensors are taken all the same, and everything arrives once.

use std::time::Duration;

use serde_json::json;

use super::load::{Load, judge, site_for_load};
use super::proxy::{Fault, Proxy};
use super::{scale, told};
use crate::harness::wait_at_most;
use crate::influxd::Influxd;

#[test]
fn an_influxdb_that_is_away_slow_silent_erroring_and_full() {
    let Some(influxd) = Influxd::start() else { return };
    let proxy = Proxy::start(influxd.port);
    let site = site_for_load("");
    let section = influxd.section("faults", site.folder.path());
    let section = section.replace(&format!(":{}", influxd.port), &format!(":{}", proxy.port));
    let mut site = site.with(&section);
    site.check_fix();
    site.prepare();
    let load = Load::start(site.mqtt, Duration::from_millis(2));
    let faults = [
        Fault::Cut,
        Fault::Delay(Duration::from_millis(300)),
        Fault::Stall,
        Fault::Answer(500),
        Fault::Trickle,
        // What InfluxDB answers when its disk is full, when it is asked too often, and when it is overloaded.
        Fault::Answer(507),
        Fault::Answer(429),
        Fault::Answer(503),
        Fault::EndAfter(200),
    ];
    let rounds = scale(1, 20);
    for _ in 0..rounds {
        for fault in faults {
            proxy.set(fault);
            // Whatever it does: acknowledgements go on.
            load.wait_for_more(100);
            proxy.set(Fault::None);
            load.wait_for_more(20);
        }
    }
    let acknowledged = load.finish();
    wait_at_most("everything is delivered", Duration::from_mins(3), || {
        (site.metric("sanimon_unsealed_points")? == 0).then_some(())
    });
    let mut result = judge(&site, &acknowledged);
    let all: usize = acknowledged.values().map(std::collections::BTreeMap::len).sum();
    let count = r#"from(bucket: "faults") |> range(start: 0) |> filter(fn: (r) => r._field == "fill_pct") |> group() |> count()"#;
    let counted = influxd.query(count).expect("an answer");
    assert!(counted.contains(&format!(",{all}\r\n")), "{all}: {counted}");
    result["faults"] = json!(rounds * faults.len() as u64);
    told("influxdb-faults", &result);
}
