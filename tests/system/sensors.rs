//! Real sensors on the real binary: network servers on a real Mosquitto, platforms and codecs on the embedded broker, the
//! registry by table, hardware that is replaced, a calibration on site.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{BINARY, Mosquitto, Site, publish, publish_with, wait_for};
use crate::sources::now_ms;

const EUI: &str = "24e124136b502217";

/// ChirpStack v4's uplink of now.
fn uplink(counter: u32, port: u8, data: &str) -> String {
    let time = chrono::DateTime::from_timestamp_millis(now_ms()).unwrap().to_rfc3339();
    json!({
        "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
        "time": time,
        "deviceInfo": { "devEui": EUI, "deviceName": "Gate bin" },
        "devAddr": "00189440", "fCnt": counter, "fPort": port, "data": data,
        "rxInfo": [{ "gatewayId": "g1", "rssi": -97, "snr": 4.5 }],
    })
    .to_string()
}

fn up_topic() -> String {
    format!("application/town/device/{EUI}/event/up")
}

fn latest(site: &Site, device: &str, metric: &str) -> Option<f64> {
    let (status, body) = site.get(&format!("/api/v1/devices/{device}/latest"))?;
    let body: Value = serde_json::from_str(&body).ok()?;
    (status == 200).then(|| body[metric]["value"].as_f64())?
}

fn put(site: &Site, device: &str, entry: &Value) -> (u16, String) {
    let path = format!("/api/v1/devices/{device}");
    let (status, _, body) = site.request("PUT", &path, Some(&entry.to_string())).unwrap();
    (status, body)
}

#[test]
fn a_lorawan_server_behind_mosquitto_is_used_on_the_day_its_sensors_arrive() {
    let broker = Mosquitto::start();
    let site = Site::started(&format!(
        "{}[[mqtt.format]]\nformat = \"chirpstack\"\nkind = \"bin\"\n",
        broker.broker_section()
    ));
    wait_for("the broker is connected", || (site.get("/readyz")?.0 == 200).then_some(()));
    // Nobody has said what it is: it is known, its signal is kept, and the quarantine says what is missing.
    let mut counter = 0;
    wait_for("the device is discovered", || {
        counter += 1;
        // Battery 92 %, 25.7 °C, 2116 mm, tilted.
        assert!(publish(broker.port, &up_topic(), &uplink(counter, 85, "AXVcA2cBAQSCRAgFAAE=")));
        latest(&site, EUI, "rssi_dbm")
    });
    let quarantine = site.json("/api/v1/quarantine");
    assert_eq!(quarantine["items"][0]["code"], "unknown_model");
    assert_eq!(latest(&site, EUI, "distance_mm"), None);
    let discovered = site.json(&format!("/api/v1/devices/{EUI}"));
    assert_eq!((&discovered["state"], &discovered["name"]), (&"discovered".into(), &"Gate bin".into()));

    // Accepted under a name of the town's own.
    let entry = json!({ "kind": "bin", "name": "Gate", "model": "EM400-TLD", "hardware_id": EUI.to_uppercase(),
        "empty_mm": 2200, "full_mm": 200, "interval_s": 900 });
    let (status, body) = put(&site, "bin-gate", &entry);
    assert_eq!(status, 200, "{body}");
    wait_for("its frames are decoded", || {
        counter += 1;
        assert!(publish(broker.port, &up_topic(), &uplink(counter, 85, "AXVcA2cBAQSCRAgFAAE=")));
        latest(&site, "bin-gate", "fill_pct")
    });
    for (metric, value) in
        [("distance_mm", 2_116.0), ("fill_pct", 4.2), ("temperature_c", 25.7), ("battery_pct", 92.0)]
    {
        assert_eq!(latest(&site, "bin-gate", metric), Some(value), "{metric}");
    }
    assert_eq!(site.json("/api/v1/devices/bin-gate")["health"]["state"], "online");
    assert_eq!(site.json(&format!("/api/v1/devices/{EUI}"))["state"], "retired");

    // A join is an event; the server's status is battery and margin.
    let join = json!({ "time": "2026-01-01T00:00:00Z", "deviceInfo": { "devEui": EUI }, "devAddr": "0018" });
    assert!(publish(broker.port, &format!("application/town/device/{EUI}/event/join"), &join.to_string()));
    let trust = wait_for("the join is known", || {
        let trust = site.json("/api/v1/devices/bin-gate/trust");
        trust["events"].as_array()?.iter().any(|event| event["what"] == "joined").then_some(trust)
    });
    assert_eq!(trust["doubted"], json!([]));

    // The broken sensor is replaced; the place keeps its history.
    let new = json!({ "hardware_id": "24E124136B500001" }).to_string();
    let (status, _, body) = site.request("POST", "/api/v1/devices/bin-gate/replace", Some(&new)).unwrap();
    assert_eq!(status, 200, "{body}");
    let before = site.points("bin-gate", "distance_mm").len();
    let other = uplink(1, 85, "AXVcA2cBAQSCRAgFAAE=").replace(EUI, "24e124136b500001");
    assert!(publish(broker.port, "application/town/device/24e124136b500001/event/up", &other));
    wait_for("the new one speaks", || (site.points("bin-gate", "distance_mm").len() > before).then_some(()));
}

#[test]
fn an_uplink_that_two_brokers_bring_is_one_reading_and_a_kill_between_them_changes_nothing() {
    let format = "[[mqtt.format]]\nformat = \"chirpstack\"\nmodel = \"em400-tld\"\nkind = \"bin\"\n";
    let mut site = Site::started(format);
    let message = uplink(7, 85, "AXVcA2cBAQSCRAgFAAE=");
    assert!(publish(site.mqtt, &up_topic(), &message));
    site.kill();
    site.start();
    assert!(publish(site.mqtt, &up_topic(), &message));
    // The same uplink by another network server: another time around the same frame.
    let later = chrono::DateTime::from_timestamp_millis(now_ms() + 1_000).unwrap().to_rfc3339();
    let mut again: Value = serde_json::from_str(&message).unwrap();
    again["time"] = later.into();
    assert!(publish(site.mqtt, &up_topic(), &again.to_string()));
    assert_eq!(site.points(EUI, "distance_mm").len(), 1);
}

#[test]
fn platforms_and_codecs_of_the_site_s_own_are_understood_on_the_embedded_broker() {
    let mut site = Site::new(
        "[[mqtt.format]]\nformat = \"thingsboard\"\nkind = \"toilet\"\n\
         [[mqtt.format]]\nformat = \"huawei\"\nkind = \"drain\"\n[mqtt.format.map]\nlevel = \"level_mm\"\n\
         [[mqtt.format]]\nformat = \"hex\"\ntopics = [\"nb/{device}/up\"]\nmodel = \"acme-1\"\n\
         [[codec]]\nmodel = \"acme-1\"\nfile = \"acme.js\"\nkind = \"bin\"\n[codec.map]\nDist = \"distance_cm\"\n",
    );
    let acme = "function decodeUplink(input) {
        if (input.bytes[0] === 0xff) for (;;) {}
        if (input.bytes[0] === 0xfe) throw new Error('no such sensor');
        return { data: { Dist: (input.bytes[0] << 8 | input.bytes[1]) / 10, temperature: input.bytes[2] } };
    }";
    fs::write(site.folder.path().join("acme.js"), acme).unwrap();
    site.prepare();

    assert!(publish_with(
        site.mqtt,
        "v1/devices/me/telemetry",
        r#"{"nh3":0.4,"humidity":61}"#,
        &["-i", "wc-north"]
    ));
    assert_eq!(latest(&site, "wc-north", "nh3_ppm"), Some(0.4));
    assert_eq!(site.json("/api/v1/devices/wc-north")["kind"], "toilet");

    let report = json!({ "services": [{ "service_id": "Water", "properties": { "level": 412 } }] });
    assert!(publish(site.mqtt, "$oc/devices/drain-9/sys/properties/report", &report.to_string()));
    assert_eq!(latest(&site, "drain-9", "level_mm"), Some(412.0));

    assert!(publish(site.mqtt, "nb/868508064807354/up", "034815"));
    assert_eq!(latest(&site, "868508064807354", "distance_mm"), Some(840.0));
    assert_eq!(latest(&site, "868508064807354", "temperature_c"), Some(21.0));
    // A codec that loops or throws costs one entry each; the next frame is read.
    for frame in ["ff0000", "fe0000", "not hex"] {
        assert!(publish(site.mqtt, "nb/868508064807354/up", frame));
    }
    assert!(publish(site.mqtt, "nb/868508064807354/up", "035c15"));
    assert_eq!(latest(&site, "868508064807354", "distance_mm"), Some(860.0));
    let entries = site.json("/api/v1/quarantine")["items"].as_array().unwrap().clone();
    let mut codes: Vec<&str> = entries.iter().map(|entry| entry["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["bad_script", "bad_script", "wrong_type"]);
    assert!(site.json("/api/v1/models").as_array().unwrap().iter().any(|model| model["name"] == "acme-1"));
}

#[test]
fn faults_of_formats_and_codecs_are_named_with_their_lines() {
    let site = Site::new(
        "[[mqtt.format]]\nformat = \"lora\"\n[[mqtt.format]]\nformat = \"hex\"\ntopics = [\"a/b\"]\n\
         [[mqtt.format]]\nformat = \"tts\"\nmodel = \"em999\"\n[[codec]]\nmodel = \"x\"\nfile = \"x.js\"\n\
         [[codec]]\nmodel = \"y\"\nfile = \"none.js\"\n",
    );
    fs::write(site.folder.path().join("x.js"), "function decode( {").unwrap();
    let check = Command::new(BINARY).args(["check", "--config"]).arg(site.config()).output().unwrap();
    assert_eq!(check.status.code(), Some(1));
    let said = String::from_utf8(check.stderr).unwrap();
    for expected in ["`lora`: write one of chirpstack", "{device}", "`em999`", "cannot be read", "none.js"] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    assert!(said.lines().filter(|line| line.contains("sanimon.toml:")).count() >= 5, "{said}");
}

#[test]
fn the_registry_goes_out_and_in_as_a_table() {
    let mut site = Site::started("");
    let table =
        "id,kind,name,model,hardware_id,empty_mm,full_mm\nb-1,bin,Gate,em310-udl,24e124136b502217,1200,200\n";
    let (status, _, body) = site.request("POST", "/api/v1/devices/import", Some(table)).unwrap();
    assert_eq!(status, 200, "{body}");
    let file = site.folder.path().join("devices.csv");
    let device = |command: &str, file: &std::path::Path| {
        let data = site.data();
        let mut run = Command::new(BINARY);
        run.args(["device", command]).arg(file).arg("--data").arg(data).output().unwrap()
    };
    // Beside the running site.
    assert!(device("export", &file).status.success());
    let exported = fs::read_to_string(&file).unwrap();
    assert_eq!(exported, site.get("/api/v1/devices/export").unwrap().1);
    assert!(exported.contains("b-1,Gate,bin"), "{exported}");
    // Importing needs the site stopped, and says so.
    let refused = device("import", &file);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("in use"));
    assert_eq!(site.stop(), 0);
    let more = exported.clone() + "b-2,Square,lamp,,,,,,,,,,,,,,,,,,\n";
    fs::write(&file, &more).unwrap();
    let device = |command: &str| {
        let mut run = Command::new(BINARY);
        run.args(["device", command]).arg(&file).arg("--data").arg(site.data()).output().unwrap()
    };
    let refused = device("import");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("line 3, column `kind`"), "{said}");
    fs::write(&file, more.replace("lamp", "bin")).unwrap();
    assert!(device("import").status.success());
    site.start();
    site.sign_in();
    assert_eq!(site.json("/api/v1/devices/b-2")["name"], "Square");
}

#[test]
fn an_echo_raises_nothing_and_a_person_on_site_calibrates_by_the_next_reading() {
    let site = Site::started("");
    let topic = "sanitation/east/bin/b-1/telemetry";
    let say = |mm: u32| assert!(publish(site.mqtt, topic, &format!(r#"{{"distance_mm":{mm}}}"#)));
    say(1_210);
    for (point, mm) in [("empty", 1_200), ("full", 200)] {
        let ask = json!({ "point": point }).to_string();
        let (status, _, body) = site.request("POST", "/api/v1/devices/b-1/calibrate", Some(&ask)).unwrap();
        assert_eq!(status, 200, "{body}");
        say(mm);
    }
    let device = site.json("/api/v1/devices/b-1");
    assert_eq!((&device["empty_mm"], &device["full_mm"]), (&1_200.0.into(), &200.0.into()));
    // The bin is full by now, and that is an alert; a bag before the head is none. Two readings tell them apart.
    say(1_150);
    say(1_140);
    let open = |query: &str| site.alerts(&format!("condition=active&device=b-1&{query}")).len();
    assert_eq!(open("severity=critical"), 0);
    say(210);
    assert_eq!(latest(&site, "b-1", "distance_mm"), Some(1_140.0));
    let doubted = site.json("/api/v1/devices/b-1/trust")["doubted"][0].clone();
    assert_eq!(
        (&doubted["value"], &doubted["reason"], &doubted["held"]),
        (&210.0.into(), &"spike".into(), &true.into())
    );
    assert_eq!(open("severity=critical"), 0);
    say(1_130);
    assert_eq!(open("severity=critical"), 0);
    let chart = site.json("/api/v1/devices/b-1/telemetry?metric=distance_mm");
    assert_eq!(chart["doubted"][0]["value"], 210.0);
    say(205);
    say(204);
    assert_eq!(open("severity=critical"), 1);
}
