//! A site with InfluxDB behind it: nothing is lost while it is away, and everything arrives once.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{BINARY, Site, publish, wait_for};
use crate::influxd::Influxd;
use crate::sources::now_ms;

/// How long InfluxDB is away under load; ten minutes with `SANIMON_SLOW=1`.
fn outage() -> Duration {
    Duration::from_secs(if std::env::var_os("SANIMON_SLOW").is_some() { 600 } else { 5 })
}

fn site_with(influxd: &Influxd, bucket: &str) -> Site {
    let site = Site::new("");
    let config = std::fs::read_to_string(site.config()).unwrap();
    let section = influxd.section(bucket, site.folder.path());
    std::fs::write(site.config(), config + &section).unwrap();
    site
}

fn check(site: &Site, more: &[&str]) -> (bool, String) {
    let output =
        Command::new(BINARY).args(["check", "--config"]).arg(site.config()).args(more).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

fn unsealed(site: &Site) -> u64 {
    let (_, metrics) = site.get("/metrics").unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("sanimon_unsealed_points ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn check_names_a_missing_bucket_and_makes_it() {
    let Some(influxd) = Influxd::start() else { return };
    let site = site_with(&influxd, "new");
    let (sound, said) = check(&site, &[]);
    assert!(!sound && said.contains("there is no bucket `new`") && said.contains("check --fix"), "{said}");
    let (sound, said) = check(&site, &["--fix"]);
    assert!(sound && said.contains("created"), "{said}");

    let config = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), config + "retention_days = 30\n").unwrap();
    let (sound, said) = check(&site, &[]);
    assert!(!sound && said.contains("keeps points for ever"), "{said}");
    let (sound, said) = check(&site, &["--fix"]);
    assert!(sound, "{said}");
    assert!(check(&site, &[]).0);
    assert!(!said.contains(crate::influxd::TOKEN), "{said}");
}

#[test]
fn an_outage_under_load_loses_nothing_and_doubles_nothing() {
    let Some(mut influxd) = Influxd::start() else { return };
    let mut site = site_with(&influxd, "town");
    assert!(check(&site, &["--fix"]).0);
    site.prepare();

    let topic = |device: usize| format!("sanitation/east/bin/b-{device}/telemetry");
    let mut expected: Vec<BTreeMap<i64, f64>> = vec![BTreeMap::new(); 4];
    let start = now_ms() - 3_600_000;
    let mut sent = 0;
    let mut publish_next = |site: &Site| {
        let (device, at, value) = (sent % 4, start + sent as i64 * 10, (sent % 101) as f64);
        assert!(publish(site.mqtt, &topic(device), &format!(r#"{{"ts":{at},"fill_pct":{value}}}"#)));
        expected[device].insert(at, value);
        sent += 1;
    };
    for _ in 0..40 {
        publish_next(&site);
    }
    wait_for("InfluxDB has the first points", || (unsealed(&site) == 0).then_some(()));

    influxd.stop();
    let end = Instant::now() + outage();
    while Instant::now() < end {
        publish_next(&site);
    }
    // It is told, and sensors are taken all the same.
    let (status, said) = site.get("/readyz").unwrap();
    assert_eq!(status, 200, "{said}");
    wait_for("the outage is told", || {
        let ready: serde_json::Value = serde_json::from_str(&site.get("/readyz")?.1).ok()?;
        ready["influxdb"].as_str().filter(|said| *said != "ok").map(str::to_owned)
    });
    assert!(unsealed(&site) > 0);
    let (status, said) = site.get("/api/v1/devices/b-0/telemetry?metric=fill_pct").unwrap();
    assert!(status == 503 && said.contains("InfluxDB could not answer a query"), "{status} {said}");
    // sanimon itself goes, too, and comes back before InfluxDB does.
    site.kill();
    site.start();
    publish_next(&site);

    influxd.run();
    wait_for("everything is delivered", || (unsealed(&site) == 0).then_some(()));
    for (device, expected) in expected.iter().enumerate() {
        let points: BTreeMap<i64, f64> =
            site.points(&format!("b-{device}"), "fill_pct").into_iter().collect();
        assert_eq!(points, *expected, "device {device}");
    }
    let counted = influxd
        .query(r#"from(bucket: "town") |> range(start: 0) |> filter(fn: (r) => r._field == "fill_pct") |> group() |> count()"#)
        .unwrap();
    assert!(counted.contains(&format!(",{sent}\r\n")), "{sent}: {counted}");
    assert!(!site.log().contains(crate::influxd::TOKEN), "the token is in the log");
}

/// Hundredths of a second of processor time in which a site at rest does what it does each second. A loop without a pause
/// takes all of them.
const REST_MAX: u64 = 30;

/// Processor time of the site so far, in hundredths of a second.
fn processor_time(site: &Site) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", site.process().0.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // User's and system's, fields 14 and 15 counted from the process's number.
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn damaged_blocks_stop_no_fresh_reading_and_keep_nobody_busy() {
    let Some(influxd) = Influxd::start() else { return };
    let mut site = site_with(&influxd, "town");
    assert!(check(&site, &["--fix"]).0);
    site.prepare();
    let topic = "sanitation/east/bin/b-0/telemetry";
    assert!(publish(site.mqtt, topic, r#"{"fill_pct":1}"#));
    wait_for("InfluxDB has the first point", || (unsealed(&site) == 0).then_some(()));
    site.stop();
    // As if an outage had filled blocks, and the disk had lost them: more than a batch holds.
    let database = rusqlite::Connection::open(site.data().join("sanimon.db")).unwrap();
    for block in 0..15 {
        let lost = "INSERT INTO closed_block (device_no, metric_no, first_at, last_at, count, points)
                    VALUES (0, 0, ?1, ?1, 1, x'00112233445566')";
        database.execute(lost, [block]).unwrap();
    }
    drop(database);

    site.start();
    assert!(publish(site.mqtt, topic, r#"{"fill_pct":2}"#));
    wait_for("the fresh reading is delivered", || {
        let stored = influxd.query(r#"from(bucket: "town") |> range(start: 0) |> filter(fn: (r) => r._field == "fill_pct") |> group() |> count()"#);
        stored.unwrap().contains(",2\r\n").then_some(())
    });
    let mut since = (Instant::now(), processor_time(&site));
    wait_for("a second in which the site has little to do", || {
        let (began, before) = since;
        if began.elapsed() < Duration::from_secs(1) {
            return None;
        }
        since = (Instant::now(), processor_time(&site));
        (since.1 - before < REST_MAX).then_some(())
    });
    let (sound, said) = check(&site, &[]);
    assert!(
        !sound && said.contains("closed_block 15, since ") && said.contains("set aside from delivery"),
        "{said}"
    );
}
