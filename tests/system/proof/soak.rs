//! A soak: under steady load with connections that come and go, memory and file handles stay flat.

use std::time::{Duration, Instant};

use serde_json::json;

use super::load::Load;
use super::{scale, told};
use crate::harness::{Site, publish};

/// Resident memory in kilobytes, and open files.
fn held(site: &Site) -> (u64, usize) {
    let folder = format!("/proc/{}", site.process().0.id());
    let status = std::fs::read_to_string(format!("{folder}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let kilobytes = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    (kilobytes, std::fs::read_dir(format!("{folder}/fd")).expect("handles").count())
}

#[test]
fn memory_and_handles_stay_flat() {
    // A registry and telemetry of constant size: what is sealed leaves the memory, and the same devices go on.
    let site = Site::started("");
    let seconds = scale(15, 1_800);
    let load = Load::start(site.mqtt, Duration::from_millis(2));
    let (began, mut samples) = (Instant::now(), Vec::new());
    let every = Duration::from_secs((seconds / 60).max(1));
    let mut next = began + every;
    while began.elapsed() < Duration::from_secs(seconds) {
        // Who comes, says something and goes; who looks; who is refused.
        publish(site.mqtt, "sanitation/east/bin/b-9/telemetry", r#"{"fill_pct":5}"#);
        let _ = (site.get("/api/v1/devices"), site.get("/api/v1/alerts"), site.get("/metrics"));
        let refused = site.request("POST", "/api/v1/session", Some(r#"{"username":"x","password":"y"}"#));
        assert!(matches!(refused.map(|answer| answer.0), Some(401 | 429)));
        if Instant::now() >= next {
            samples.push(held(&site));
            next += every;
        }
    }
    let acknowledged: usize = load.finish().values().map(std::collections::BTreeMap::len).sum();
    let part = |samples: &[(u64, usize)]| {
        let count = samples.len().max(1);
        let memory = samples.iter().map(|(memory, _)| memory).sum::<u64>() / count as u64;
        (memory, samples.iter().map(|(_, handles)| *handles).max().unwrap_or_default())
    };
    // The first third is the warming up: caches, the pool of readers, the first seal.
    let third = samples.len() / 3;
    let (middle, last) = (part(&samples[third..2 * third]), part(&samples[2 * third..]));
    let result = json!({
        "seconds": seconds, "acknowledged": acknowledged, "samples": samples.len(),
        "rss_mb": { "middle": middle.0 as f64 / 1024.0, "last": last.0 as f64 / 1024.0 },
        "handles": { "middle": middle.1, "last": last.1 },
    });
    told("soak", &result);
    assert!(last.1 <= middle.1 + 8, "file handles grow: {result}");
    // 24 bytes a point are unsealed until the threshold of 400,000 points; beyond that and some slack it would be a leak.
    let points_kb = acknowledged as u64 * 64 / 1024;
    assert!(last.0 <= middle.0 + points_kb + 16 * 1024, "memory grows: {result}");
}
