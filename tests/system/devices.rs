//! Devices' identities: who may connect to the embedded broker, publish and subscribe, and with which credential.

use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::harness::{BINARY, Mosquitto, Process, Site, publish_with, wait_for};

/// Publishes with a name and a secret; true when it was acknowledged.
pub(crate) fn publish_as(port: u16, (name, secret): (&str, &str), topic: &str, payload: &str) -> bool {
    publish_with(port, topic, payload, &["-u", name, "-P", secret])
}

fn topic(device: &str) -> String {
    format!("sanitation/east/bin/{device}/telemetry")
}

/// Clients that are signed in to the embedded broker.
fn signed_in(site: &Site) -> Option<u64> {
    site.metric("sanimon_mqtt_signed_in")
}

/// A client that listens.
fn listener(port: u16, arguments: &[&str]) -> Child {
    Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_device_signs_in_with_its_own_credential_and_publishes_below_its_own_topics_only() {
    let site = Site::strict("");
    let (_, secret) = site.credential(&json!({ "username": "b-1" }));
    let own = ("b-1", secret.as_str());
    assert!(publish_as(site.mqtt, own, &topic("b-1"), r#"{"fill_pct":11}"#));
    assert!(!publish_as(site.mqtt, own, &topic("b-2"), r#"{"fill_pct":99}"#));
    assert!(!publish_as(site.mqtt, own, "sanitation/alerts/east/1", "x"));
    // Said to be taken, and dropped: a 3.1.1 client would come back with it for ever.
    assert!(publish_as(site.mqtt, own, "$SYS/x", "x"));
    assert!(!publish_as(site.mqtt, ("b-1", "wrong"), &topic("b-1"), r#"{"fill_pct":99}"#));
    assert!(!publish_as(site.mqtt, ("b-2", &secret), &topic("b-2"), r#"{"fill_pct":99}"#));
    assert!(!publish_with(site.mqtt, &topic("b-1"), r#"{"fill_pct":99}"#, &[]), "without a name");
    let values: Vec<f64> = site.points("b-1", "fill_pct").iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [11.0]);
    assert_eq!(site.get("/api/v1/devices/b-2").unwrap().0, 404, "nothing was stored of the other one");
    assert!(site.metric("sanimon_mqtt_refused_total").unwrap() >= 3);
    assert!(site.metric("sanimon_mqtt_denied_total").unwrap() >= 3);
}

#[test]
fn a_last_will_is_judged_like_any_message() {
    let site = Site::strict("");
    let (_, secret) = site.credential(&json!({ "username": "b-1" }));
    let client = |device: &str| {
        let will = topic(device);
        let arguments = ["-u", "b-1", "-P", &secret, "-t", "sanitation/east/bin/b-1/command", "-W", "20"];
        let will = ["--will-topic", &will, "--will-payload", r#"{"fill_pct":77}"#, "--will-qos", "1"];
        listener(site.mqtt, &[&arguments[..], &will[..]].concat())
    };
    // Somebody else's topic: it is not let in.
    let refused = client("b-2").wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not authorised"), "{refused:?}");
    let process = Process(client("b-1"));
    wait_for("the client is connected", || (signed_in(&site)? == 1).then_some(()));
    // Dropped without a word: its will is published.
    drop(process);
    wait_for("the client is gone", || (signed_in(&site)? == 0).then_some(()));
    wait_for("the own will", || site.points("b-1", "fill_pct").last().copied());
    assert_eq!(site.get("/api/v1/devices/b-2").unwrap().0, 404);
}

#[test]
fn a_device_hears_only_what_is_for_it() {
    let site = Site::strict("");
    let (_, secret) = site.credential(&json!({ "username": "b-1" }));
    let (_, gateway) = site.credential(
        &json!({ "username": "gw", "publish": ["sanitation/#"], "subscribe": ["sanitation/alerts/#"] }),
    );
    for filter in
        ["#", "sanitation/#", "sanitation/+/+/+/command", "$share/g/sanitation/#", "sanitation/alerts/#"]
    {
        let output = listener(site.mqtt, &["-u", "b-1", "-P", &secret, "-t", filter, "-W", "5"]);
        let output = output.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("denied"), "{filter}: {said}");
    }
    // Its own command arrives, and nothing else does.
    let own = listener(
        site.mqtt,
        &["-u", "b-1", "-P", &secret, "-t", "sanitation/+/+/b-1/command", "-C", "1", "-W", "20"],
    );
    let own = std::thread::spawn(move || own.wait_with_output().unwrap());
    wait_for("the command", || {
        assert!(publish_as(site.mqtt, ("gw", &gateway), "sanitation/east/bin/b-1/command", "open"));
        own.is_finished().then_some(())
    });
    assert_eq!(String::from_utf8_lossy(&own.join().unwrap().stdout).trim(), "open");
}

#[test]
fn nobody_takes_the_client_id_of_somebody_else() {
    let site = Site::strict("");
    let (_, one) = site.credential(&json!({ "username": "b-1" }));
    let (_, two) = site.credential(&json!({ "username": "b-2" }));
    let held =
        listener(site.mqtt, &["-u", "b-1", "-P", &one, "-i", "module-7", "-t", "sanitation/+/+/b-1/command"]);
    let mut held = Process(held);
    wait_for("the client is connected", || (signed_in(&site)? == 1).then_some(()));
    let taken = ["-u", "b-2", "-P", &two, "-i", "module-7"];
    // A client id belongs to its credential: these are two sessions, and neither keeps the other out.
    assert!(publish_with(site.mqtt, &topic("b-2"), r#"{"fill_pct":1}"#, &taken));
    assert!(held.0.try_wait().unwrap().is_none(), "the first one is still there");
}

#[test]
fn a_credential_is_replaced_with_an_overlap_and_revoked_at_once() {
    let site = Site::strict("");
    let (first, old) = site.credential(&json!({ "username": "b-1" }));
    let (_, new) = site.credential(&json!({ "username": "b-1", "overlap_hours": 24 }));
    assert!(publish_as(site.mqtt, ("b-1", &old), &topic("b-1"), r#"{"fill_pct":1}"#), "the old one overlaps");
    assert!(publish_as(site.mqtt, ("b-1", &new), &topic("b-1"), r#"{"fill_pct":2}"#));
    let listed = site.json("/api/v1/credentials");
    assert!(listed[0]["expires_at"].is_string() && listed[1]["expires_at"].is_null(), "{listed}");
    assert!(!listed.to_string().contains(&new), "secrets are shown once");

    let held = listener(site.mqtt, &["-u", "b-1", "-P", &old, "-t", "sanitation/+/+/b-1/command"]);
    let mut held = Process(held);
    wait_for("the client is connected", || (signed_in(&site)? == 1).then_some(()));
    let path = format!("/api/v1/credentials/{first}");
    assert_eq!(site.request("DELETE", &path, None).unwrap().0, 204);
    assert_eq!(site.request("DELETE", &path, None).unwrap().0, 404);
    wait_for("the connection is cut", || (signed_in(&site)? == 0).then_some(()));
    let _ = held.0.kill();
    assert!(!publish_as(site.mqtt, ("b-1", &old), &topic("b-1"), r#"{"fill_pct":3}"#));
    // A new one without an overlap ends the others now.
    let (_, newest) = site.credential(&json!({ "username": "b-1", "overlap_hours": 0 }));
    assert!(!publish_as(site.mqtt, ("b-1", &new), &topic("b-1"), r#"{"fill_pct":4}"#));
    assert!(publish_as(site.mqtt, ("b-1", &newest), &topic("b-1"), r#"{"fill_pct":5}"#));
}

#[test]
fn a_table_of_devices_becomes_credentials_over_the_network_and_on_the_command_line() {
    let mut site = Site::strict("");
    let table = "id,name\nb-1,Bin one\nb-2,Bin two\n";
    let (status, head, answer) = site.request("POST", "/api/v1/credentials/provision", Some(table)).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert!(head.contains("no-store") && head.contains("text/csv"), "{head}");
    let secret = |answer: &str, name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(&format!("{name},")));
        line.unwrap().to_owned()
    };
    assert!(publish_as(site.mqtt, ("b-2", &secret(&answer, "b-2")), &topic("b-2"), r#"{"fill_pct":1}"#));

    let first = answer;
    assert_eq!(site.stop(), 0);
    let file = site.folder.path().join("devices.csv");
    let out = site.folder.path().join("secrets.csv");
    std::fs::write(&file, "username,publish\nlns,sanitation/+/+/+/telemetry\n").unwrap();
    let made = Command::new(BINARY)
        .args(["device", "provision"])
        .arg(&file)
        .arg("--out")
        .arg(&out)
        .arg("--config")
        .arg(site.config())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let rights = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&out).unwrap().permissions());
    assert_eq!(rights & 0o777, 0o600, "secrets are for their owner");
    let answer = std::fs::read_to_string(&out).unwrap();
    site.start();
    let gateway = secret(&answer, "lns");
    assert!(publish_as(site.mqtt, ("lns", &gateway), &topic("b-9"), r#"{"fill_pct":1}"#));
    // Those that were made over the network are good after a restart, too.
    let known = secret(&first, "b-1");
    assert!(publish_as(site.mqtt, ("b-1", &known), &topic("b-1"), r#"{"fill_pct":1}"#));
    assert_eq!(site.json("/api/v1/credentials").as_array().unwrap().len(), 3);
}

#[test]
fn a_username_has_so_many_connections_and_no_more() {
    let site = Site::strict("[mqtt.embedded.limits]\nconnections = 2\n");
    let (_, secret) = site.credential(&json!({ "username": "b-1" }));
    let held: Vec<Process> = (0..2)
        .map(|_| Process(listener(site.mqtt, &["-u", "b-1", "-P", &secret, "-t", "sanitation/+/+/b-1/x"])))
        .collect();
    wait_for("two clients", || (signed_in(&site)? == 2).then_some(()));
    assert!(!publish_as(site.mqtt, ("b-1", &secret), &topic("b-1"), r#"{"fill_pct":1}"#));
    drop(held);
    wait_for("there is room again", || {
        publish_as(site.mqtt, ("b-1", &secret), &topic("b-1"), r#"{"fill_pct":1}"#).then_some(())
    });
}

#[test]
fn a_device_that_speaks_too_fast_waits_and_loses_nothing_and_others_do_not_notice() {
    let site = Site::strict("[mqtt.embedded.limits]\nmessages_per_s = 1\n");
    let (_, loud) = site.credential(&json!({ "username": "b-1" }));
    let (_, calm) = site.credential(&json!({ "username": "b-2" }));
    // A minute's worth at once, and three more, each of which waits a second.
    let start = crate::sources::now_ms() - 1_000_000;
    let payloads: Vec<String> =
        (0..63).map(|n| format!(r#"{{"ts":{},"fill_pct":{n}}}"#, start + n)).collect();
    let file = site.folder.path().join("lines");
    std::fs::write(&file, payloads.join("\n")).unwrap();
    let mut sender = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &site.mqtt.to_string(), "-q", "1", "-t", &topic("b-1"), "-l"])
        .args(["-u", "b-1", "-P", &loud])
        .stdin(std::fs::File::open(&file).unwrap())
        .spawn()
        .unwrap();
    wait_for("the loud one is slowed", || (site.metric("sanimon_mqtt_slowed_total")? > 0).then_some(()));
    assert!(publish_as(site.mqtt, ("b-2", &calm), &topic("b-2"), r#"{"fill_pct":5}"#));
    assert!(sender.wait().unwrap().success());
    assert_eq!(site.points("b-1", "fill_pct").len(), 63, "nothing of it was lost");
}

#[test]
fn anonymous_clients_are_refused_where_others_could_reach_the_broker() {
    let site = Site::configured("anonymous = true\n");
    let config = std::fs::read_to_string(site.config()).unwrap();
    let open = config.replace(&format!("127.0.0.1:{}", site.mqtt), &format!("0.0.0.0:{}", site.mqtt));
    std::fs::write(site.config(), open).unwrap();
    let checked = Command::new(BINARY).args(["check", "--config"]).arg(site.config()).output().unwrap();
    let said =
        String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("anonymous") && said.contains("sanimon device provision"), "{said}");
}

#[test]
fn the_example_for_mosquitto_gives_each_device_its_own_topics() {
    let broker =
        Mosquitto::with_example_acl(&[("b-1", "one"), ("b-2", "two"), ("sanimon", "s"), ("lns", "l")]);
    let site = Site::started(&broker.broker_section_as("sanimon", "s"));
    wait_for("the broker is connected", || (site.get("/readyz")?.0 == 200).then_some(()));
    wait_for("a reading of the device itself", || {
        assert!(publish_as(broker.port, ("b-1", "one"), &topic("b-1"), r#"{"fill_pct":11}"#));
        site.points("b-1", "fill_pct").last().copied()
    });
    // Mosquitto takes what it does not allow and throws it away: nobody sees it.
    publish_as(broker.port, ("b-1", "one"), &topic("b-2"), r#"{"fill_pct":99}"#);
    publish_as(broker.port, ("b-1", "one"), "application/1/device/0102030405060708/event/up", "{}");
    assert!(!publish_with(broker.port, &topic("b-1"), "{}", &[]), "without a name");
    assert!(!publish_as(broker.port, ("b-1", "two"), &topic("b-1"), "{}"), "with another's password");
    wait_for("a reading of the other one", || {
        assert!(publish_as(broker.port, ("b-2", "two"), &topic("b-2"), r#"{"fill_pct":22}"#));
        site.points("b-2", "fill_pct").last().copied()
    });
    let values: Vec<f64> = site.points("b-2", "fill_pct").iter().map(|(_, value)| *value).collect();
    assert!(!values.contains(&99.0), "{values:?}");
}
