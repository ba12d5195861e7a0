//! What a promise depends on and dies: it is named, and started again or the process ends, so that the service manager starts
//! it again. A debug build does what a file of the test asks for, at the next sign of life of a part (`supervisor.rs`).

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Mosquitto, Site, publish, publish_file, publish_with, wait_at_most, wait_for};
use crate::influxd::Influxd;

/// So long a hang lasts in these tests before the process ends.
const EXIT_AFTER_HANG_MS: u64 = 4_000;

/// A site whose parts can be told to panic or to hang.
fn site(more: &str) -> Site {
    let mut site = Site::new(more);
    let traps = site.folder.path().join("traps").display().to_string();
    site.env.push(("SANIMON_TEST_TRAPS".to_owned(), traps));
    site.env.push(("SANIMON_TEST_EXIT_AFTER_HANG_MS".to_owned(), EXIT_AFTER_HANG_MS.to_string()));
    site
}

fn trap(site: &Site, what: &str) {
    // Whole at once: a part of a name would be another part.
    let written = site.folder.path().join("traps.new");
    fs::write(&written, what).unwrap();
    fs::rename(written, site.folder.path().join("traps")).unwrap();
}

/// What `/readyz` says of a part while it says 503; `None` while all is well.
fn fault(site: &Site, part: &str) -> Option<String> {
    let (status, text) = site.get("/readyz")?;
    let ready: Value = serde_json::from_str(&text).ok()?;
    let said = ready["parts"][part].as_str()?;
    (status == 503 && said != "ok").then(|| said.to_owned())
}

fn wait_until_ready(site: &Site) {
    wait_for("everything is well", || (site.get("/readyz")?.0 == 200).then_some(()));
}

/// A part panics; it is named, and well again without a restart of the process.
fn panics_and_is_back(site: &mut Site, part: &str, mut stir: impl FnMut(&Site)) {
    wait_until_ready(site);
    trap(site, &format!("panic {part}\n"));
    let said = wait_at_most(&format!("{part} is named"), Duration::from_secs(30), || {
        stir(site);
        fault(site, part)
    });
    assert_eq!(said, "panicked", "{part}");
    wait_until_ready(site);
}

/// The process ends by itself, with an error that names one of the parts.
fn ends(site: &mut Site, parts: &[&str], mut stir: impl FnMut(&Site)) {
    let part = parts.join(" or ");
    let code = wait_at_most(&format!("the process ends because of {part}"), Duration::from_secs(30), || {
        stir(site);
        site.exit_code()
    });
    assert_eq!(code, 1, "{part}");
    let log = site.log();
    let is_named = |part: &&str| log.contains(&format!("sanimon cannot go on: {part} "));
    assert!(parts.iter().any(is_named), "{part}: {log}");
}

fn nothing(_site: &Site) {}

#[test]
fn what_can_be_started_again_is_named_and_started_again() {
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = receiver.local_addr().unwrap().port();
    let mosquitto = Mosquitto::start();
    let mut site = site(&format!(
        "[[channel]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{hook}/\"\n\
         [[mqtt.format]]\nformat = \"hex\"\ntopics = [\"nb/{{device}}/up\"]\nmodel = \"acme-1\"\n\
         [[codec]]\nmodel = \"acme-1\"\nfile = \"acme.js\"\nkind = \"bin\"\n{}",
        mosquitto.broker_section()
    ));
    let codec = "function decodeUplink(input) { return { data: { temperature_c: input.bytes[0] } }; }";
    fs::write(site.folder.path().join("acme.js"), codec).unwrap();
    site.prepare();
    let pid = site.process().0.id();

    panics_and_is_back(&mut site, "ticks", nothing);
    panics_and_is_back(&mut site, "channel hook", |site| {
        let _ = site.request("POST", "/api/v1/channels/hook/test", None);
    });
    let port = mosquitto.port;
    panics_and_is_back(&mut site, "source town", |_| {
        publish(port, "sanitation/east/bin/b-1/telemetry", r#"{"fill_pct":1}"#);
    });
    panics_and_is_back(&mut site, "hangup", |site| site.process().signal("-HUP"));
    let mqtt = site.mqtt;
    panics_and_is_back(&mut site, "codecs", |_| _ = publish_with(mqtt, "nb/acme-7/up", "07", &[]));

    // All of them work, and it is the same process.
    wait_for("the external broker is heard", || {
        publish(port, "sanitation/east/bin/b-2/telemetry", r#"{"fill_pct":2}"#);
        (!site.points("b-2", "fill_pct").is_empty()).then_some(())
    });
    wait_for("the codec is used", || {
        publish_with(mqtt, "nb/acme-7/up", "09", &[]);
        site.points("acme-7", "temperature_c").iter().any(|(_, value)| *value == 9.0).then_some(())
    });
    assert_eq!(site.process().0.id(), pid);
}

#[test]
fn a_seal_that_panics_is_named_and_tried_again_and_nothing_is_lost() {
    let mut site = site("");
    site.prepare();
    wait_until_ready(&site);
    trap(&site, "panic sealer\n");
    let file = site.folder.path().join("backlog.json");
    let start = crate::sources::now_ms() - 12 * 3_600_000;
    let (messages, samples) = (9, 50_000);
    let mqtt = site.mqtt;
    let send = |n: i64| {
        let first = start + n * samples;
        let list: Vec<String> =
            (0..samples).map(|k| format!(r#"{{"ts":{},"fill_pct":{}}}"#, first + k, k % 100)).collect();
        fs::write(&file, format!("[{}]", list.join(","))).unwrap();
        assert!(publish_file(mqtt, "sanitation/east/bin/b-1/telemetry", &file), "it is acknowledged");
    };
    // A seal begins when so many points wait.
    (0..messages).for_each(send);
    let said = wait_at_most("the sealer is named", Duration::from_secs(30), || fault(&site, "sealer"));
    assert_eq!(said, "panicked");
    wait_at_most("it is tried again", Duration::from_secs(90), || {
        (site.metric("sanimon_sealed_points_total")? >= 400_000).then_some(())
    });
    wait_until_ready(&site);
    assert!(site.metric("sanimon_job_failures_total").unwrap() >= 1);
    assert_eq!(site.points("b-1", "fill_pct").len(), (messages * samples) as usize);
}

#[test]
fn a_delivery_that_panics_is_named_and_tried_again_and_nothing_is_lost() {
    let Some(influxd) = Influxd::start() else { return };
    let mut site = site("");
    let section = influxd.section("town", site.folder.path());
    site = site.with(&section);
    site.check_fix();
    site.prepare();
    let mqtt = site.mqtt;
    let mut n = 0;
    panics_and_is_back(&mut site, "deliverer", |_| {
        n += 1;
        publish(mqtt, "sanitation/east/bin/b-1/telemetry", &format!(r#"{{"fill_pct":{}}}"#, n % 100));
    });
    wait_for("everything is delivered", || (site.metric("sanimon_unsealed_points")? == 0).then_some(()));
    assert_eq!(site.points("b-1", "fill_pct").len(), n);
}

#[test]
fn without_its_writer_or_a_door_the_process_ends_with_an_error() {
    for part in ["writer", "http"] {
        let mut site = site("");
        site.prepare();
        wait_until_ready(&site);
        trap(&site, &format!("panic {part}\n"));
        ends(&mut site, &[part], |site| _ = site.get("/healthz"));
        // What was acknowledged is there, and the site goes on.
        site.start();
        site.sign_in();
        wait_until_ready(&site);
    }
}

#[test]
fn what_hangs_is_named_and_the_process_ends_after_a_while() {
    let mosquitto = Mosquitto::start();
    for part in ["writer", "ticks", "source town"] {
        let mut site = site(&mosquitto.broker_section());
        site.prepare();
        wait_until_ready(&site);
        trap(&site, &format!("hang {part}\n"));
        let port = mosquitto.port;
        let stir =
            move |_: &Site| _ = publish(port, "sanitation/east/bin/b-1/telemetry", r#"{"fill_pct":1}"#);
        let said = wait_for(&format!("{part} is named"), || {
            if part == "source town" {
                stir(&site);
            }
            fault(&site, part)
        });
        assert_eq!(said, "does not come around", "{part}");
        // A task that does not come around keeps its thread, and with it another task that waited for the same thread.
        let also = if part == "source town" { "ticks" } else { part };
        ends(&mut site, &[part, also], nothing);
    }
}
