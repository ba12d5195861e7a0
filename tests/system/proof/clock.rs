//! A machine whose clock is set forward and back by an hour, and whose town changes to winter time: readings keep their
//! own times, alerts are those of an undisturbed run, and each hour of the long day is counted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::load::{Load, judge, site_for_load};
use super::{scale, told};
use crate::harness::{Site, publish, wait_for};

/// Where Debian's `faketime` puts its library.
fn library() -> Option<PathBuf> {
    let places = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime"];
    let found =
        places.iter().map(|place| Path::new(place).join("libfaketimeMT.so.1")).find(|file| file.exists());
    assert!(
        found.is_some() || std::env::var("CI").is_err(),
        "faketime was not found: apt-get install faketime"
    );
    found
}

/// A site whose clock stands in a file: `+0`, `+3600`, `@2026-10-25 00:00:00`.
fn site_with_clock(clock: &str, more: &str) -> Option<Site> {
    let library = library()?;
    let mut site = site_for_load(more);
    let file = site.folder.path().join("clock");
    std::fs::write(&file, clock).expect("a file");
    for (name, value) in [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        // What waits goes on waiting: only the wall's clock is set.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("TZ", "UTC".to_owned()),
    ] {
        site.env.push((name.to_owned(), value));
    }
    Some(site)
}

fn clock_of(site: &Site) -> i64 {
    let now = site.json("/api/v1/site")["now"].as_str().expect("a time").to_owned();
    crate::sources::parse_ms(&now)
}

#[test]
fn the_clock_is_set_forward_and_back_by_an_hour_under_load() {
    let Some(mut site) = site_with_clock("+0", "") else { return };
    site.prepare();
    let file = site.folder.path().join("clock");
    let load = Load::start(site.mqtt, Duration::from_millis(1));
    let rounds = scale(2, 20);
    for _ in 0..rounds {
        for offset in [3_600_i64, 0, -3_600, 0] {
            std::fs::write(&file, format!("{offset:+}")).expect("the clock");
            wait_for("the clock is set", || {
                let apart_s = (clock_of(&site) - crate::sources::now_ms()) / 1_000 - offset;
                (apart_s.abs() < 60).then_some(())
            });
            load.wait_for_more(40);
        }
    }
    let mut result = judge(&site, &load.finish());
    result["times_set"] = (rounds * 4).into();
    told("clock", &result);
}

#[test]
fn the_day_of_winter_time_has_twenty_five_hours() {
    // Europe/Berlin goes from 03:00 back to 02:00 on 2026-10-25, at 01:00 UTC.
    let Some(site) = site_with_clock("@2026-10-25 00:30:00", "") else { return };
    let text = std::fs::read_to_string(site.config()).expect("the configuration");
    let text = text.replace("[site]", "[site]\ntime_zone = \"Europe/Berlin\"");
    std::fs::write(site.config(), text).expect("the configuration");
    let mut site = site;
    site.prepare();
    let midnight = crate::sources::parse_ms("2026-10-24T22:00:00Z");
    let readings: Vec<String> = (0..25)
        .map(|hour| {
            format!(r#"{{"ts":{},"fill_pct":{hour}}}"#, midnight + (hour * 60 - 23 * 60 - 1) * 60_000)
        })
        .collect();
    assert!(publish(site.mqtt, "sanitation/east/bin/b-1/telemetry", &format!("[{}]", readings.join(","))));
    let file = site.folder.path().join("clock");
    std::fs::write(&file, "@2026-10-25 23:30:00").expect("the clock");
    wait_for("the next evening", || (clock_of(&site) > midnight + 25 * 3_600_000).then_some(()));
    site.sign_in();
    let day: Vec<String> = (0..25)
        .map(|hour| format!(r#"{{"ts":{},"fill_pct":{hour}}}"#, midnight + hour * 3_600_000 + 1))
        .collect();
    assert!(publish(site.mqtt, "sanitation/east/bin/b-2/telemetry", &format!("[{}]", day.join(","))));
    let query = "metric=fill_pct&fn=count&from=2026-10-24T22:00:00Z&to=2026-10-25T23:00:00Z";
    let hours = site.json(&format!("/api/v1/devices/b-2/telemetry?{query}&every=1h"));
    let days = site.json(&format!("/api/v1/devices/b-2/telemetry?{query}&every=1d"));
    assert_eq!(hours["points"].as_array().map(Vec::len), Some(25), "{hours}");
    assert_eq!(days["points"], json!([[midnight, 25.0]]), "{days}");
    told("winter-time", &json!({ "hours": 25, "readings_of_the_day": 25 }));
}
