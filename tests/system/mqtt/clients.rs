//! Real clients against the real binary: Mosquitto's tools in three versions, a Mosquitto that bridges, paho (Python), MQTT.js
//! over WebSocket, rumqttc. Each connects, subscribes, publishes with each QoS, keeps a message and a session, and has a will.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rumqttc::{Client, Connection, Event, LastWill, MqttOptions, Outgoing, Packet, QoS};

use crate::harness::{Mosquitto, Process, Site, free_port, wait_for};

/// A running `mosquitto_sub`, and what it says.
struct Sub {
    process: Process,
    lines: Receiver<String>,
    /// What came before its SUBACK: a kept session's messages do.
    early: VecDeque<String>,
}

impl Sub {
    /// Subscribed when this returns.
    fn start(port: u16, version: &str, topic: &str, more: &[&str]) -> Self {
        let port = port.to_string();
        let mut child = Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub", "-d", "-h", "127.0.0.1", "-p", &port, "-V", version, "-q", "2"])
            .args(["-t", topic, "-F", "got %q %r %p"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (out, (sender, lines)) = (child.stdout.take().unwrap(), channel());
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut early = VecDeque::new();
        loop {
            let line = lines.recv_timeout(Duration::from_secs(20)).expect("it subscribes");
            match line.strip_prefix(GOT) {
                Some(message) => early.push_back(message.to_owned()),
                None if line.starts_with("Subscribed") => break,
                None => {}
            }
        }
        Self { process: Process(child), lines, early }
    }

    /// The next message: QoS, retained, payload.
    fn got(&mut self) -> String {
        self.early.pop_front().unwrap_or_else(|| {
            loop {
                let line = self.lines.recv_timeout(Duration::from_secs(20)).expect("a message");
                if let Some(message) = line.strip_prefix(GOT) {
                    return message.to_owned();
                }
            }
        })
    }

    /// Ends it as somebody would.
    fn end(self) {
        self.process.signal("-TERM");
        while self.lines.recv_timeout(Duration::from_secs(20)).is_ok() {}
    }
}

const GOT: &str = "got ";

#[track_caller]
fn publish(port: u16, version: &str, qos: u8, topic: &str, payload: &str, more: &[&str]) {
    let (port, qos) = (port.to_string(), qos.to_string());
    let done = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-V", version, "-q", &qos, "-t", topic, "-m", payload])
        .args(more)
        .output()
        .unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
}

#[test]
fn mosquittos_tools_in_three_versions() {
    let site = Site::started("");
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        let at = |name: &str| format!("{version}/{name}");
        let id = format!("kept-{version}");
        let expiry: &[&str] = if version == "mqttv5" { &["-x", "600"] } else { &[] };
        let kept = [&["-c", "-i", &id], expiry].concat();
        let mut sub = Sub::start(site.mqtt, version, &at("#"), &kept);
        for qos in 0..3 {
            publish(site.mqtt, version, qos, &at("x"), "here", &[]);
            assert_eq!(sub.got(), format!("{qos} 0 here"));
        }
        sub.end();
        (0..3).for_each(|qos| publish(site.mqtt, version, qos, &at("x"), "away", &[]));
        publish(site.mqtt, version, 1, &at("kept"), "kept", &["-r"]);
        let mut sub = Sub::start(site.mqtt, version, &at("other"), &kept);
        // The tool shows a QoS 2 message when it is released.
        let mut away = [sub.got(), sub.got(), sub.got()];
        away.sort();
        assert_eq!(away, ["1 0 away", "1 0 kept", "2 0 away"]);
        let mut late = Sub::start(site.mqtt, version, &at("kept"), &[]);
        assert_eq!(late.got(), "1 1 kept");
        // A will: it is killed.
        let will_topic = at("will");
        let will = ["--will-topic", &will_topic, "--will-payload", "killed", "--will-qos", "1"];
        let dies = Sub::start(site.mqtt, version, "nothing", &will);
        dies.process.signal("-KILL");
        assert_eq!(sub.got(), "1 0 killed");
    }
}

#[test]
fn n018_trap_22_a_mosquitto_that_bridges_with_its_defaults() {
    let site = Site::started("");
    let bridge = Mosquitto::bridging(&format!(
        "connection town\naddress 127.0.0.1:{}\ntopic down/# in 1\ntopic up/# out 1\ntopic both/# both 2\n",
        site.mqtt
    ));
    let mut here = Sub::start(site.mqtt, "mqttv5", "+/x", &[]);
    let mut there = Sub::start(bridge.port, "mqttv5", "+/x", &[]);
    // It connects when it likes.
    wait_for("the bridge is connected", || {
        publish(bridge.port, "mqttv5", 1, "up/ready", "x", &["-r"]);
        let came = Command::new("mosquitto_sub")
            .args(["-p", &site.mqtt.to_string(), "-t", "up/ready", "-C", "1", "-W", "1"])
            .output();
        came.is_ok_and(|own| own.status.success()).then_some(())
    });
    publish(bridge.port, "mqttv5", 1, "up/x", "up", &[]);
    assert_eq!([here.got(), there.got()], ["1 0 up", "1 0 up"]);
    publish(site.mqtt, "mqttv5", 1, "down/x", "down", &[]);
    assert_eq!([here.got(), there.got()], ["1 0 down", "1 0 down"]);
    // Both ways: what it says does not come back to it, and so not twice.
    publish(bridge.port, "mqttv5", 2, "both/x", "from there", &[]);
    assert_eq!([here.got(), there.got()], ["2 0 from there", "2 0 from there"]);
    publish(site.mqtt, "mqttv5", 2, "both/x", "from here", &[]);
    assert_eq!([here.got(), there.got()], ["2 0 from here", "2 0 from here"]);
    // Retained ones keep their flag on the way.
    publish(site.mqtt, "mqttv5", 1, "down/x", "kept", &["-r"]);
    assert_eq!([here.got(), there.got()], ["1 0 kept", "1 0 kept"]);
    let mut late = Sub::start(bridge.port, "mqttv5", "down/x", &[]);
    assert_eq!(late.got(), "1 1 kept");
    // What it tells of itself is acknowledged and dropped, and nothing of a device's is lost by that.
    assert!(site.metric("sanimon_mqtt_denied_total") > Some(0));
    assert_eq!(site.metric("sanimon_messages_lost_total"), Some(0));
}

/// A script beside this file. `None`: what it needs is not there, and that is said; under CI it must be there.
fn script(program: &str, name: &str, needs: &[&str], port: u16, env: (&str, PathBuf)) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/system/mqtt").join(name);
    let has = Command::new(program).args(needs).env(env.0, &env.1).output();
    if !has.is_ok_and(|own| own.status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{name}: tests/run.sh installs what it needs");
        eprintln!("skipped: {name}: `{program} {}` does not work", needs.join(" "));
        return None;
    }
    let done = Command::new(program).arg(path).arg(port.to_string()).env(env.0, env.1).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    Some(said)
}

fn cache(name: &str) -> PathBuf {
    let home = std::env::var("SANIMON_CACHE").map_or_else(
        |_| PathBuf::from(std::env::var("HOME").unwrap_or_default()).join(".cache/sanimon"),
        PathBuf::from,
    );
    home.join(name)
}

#[test]
fn paho_of_python() {
    let site = Site::started("");
    let said = script(
        "python3",
        "paho_client.py",
        &["-c", "import paho.mqtt.enums"],
        site.mqtt,
        ("PYTHONPATH", cache("paho")),
    );
    assert!(said.is_none_or(|said| said.contains("3.1.1: all\n") && said.contains("5.0: all\n")));
}

#[test]
fn mqtt_js_over_websocket() {
    let port = free_port();
    let _site = Site::started(&format!("websocket = \"127.0.0.1:{port}\"\n"));
    let modules = cache("mqttjs").join("node_modules");
    let has = "require(process.env.NODE_PATH + '/mqtt')";
    let said = script("node", "mqttjs_client.cjs", &["-e", has], port, ("NODE_PATH", modules));
    assert!(said.is_none_or(|said| said.contains("3.1.1: all\n") && said.contains("5.0: all\n")));
}

/// The next message: its payload, QoS and retain.
fn next(connection: &mut Connection) -> (String, QoS, bool) {
    loop {
        let event = connection.recv_timeout(Duration::from_secs(20)).expect("a message").expect("no error");
        if let Event::Incoming(Packet::Publish(own)) = event {
            return (String::from_utf8_lossy(&own.payload).into_owned(), own.qos, own.retain);
        }
    }
}

fn until(connection: &mut Connection, is_meant: impl Fn(&Packet) -> bool) {
    until_event(connection, |event| matches!(event, Event::Incoming(packet) if is_meant(packet)));
}

fn until_event(connection: &mut Connection, is_meant: impl Fn(&Event) -> bool) {
    while !is_meant(&connection.recv_timeout(Duration::from_secs(20)).expect("an answer").expect("no error"))
    {
    }
}

#[test]
fn rumqttc() {
    let site = Site::started("");
    let options = |id: &str| {
        let mut own = MqttOptions::new(id, "127.0.0.1", site.mqtt);
        own.set_clean_session(id != "kept");
        own
    };
    let join = |options| {
        let (client, mut connection) = Client::new(options, 100);
        until(&mut connection, |packet| matches!(packet, Packet::ConnAck(_)));
        (client, connection)
    };
    let (client, mut kept) = join(options("kept"));
    client.subscribe("r/#", QoS::ExactlyOnce).unwrap();
    until(&mut kept, |packet| matches!(packet, Packet::SubAck(_)));
    let (says, mut answers) = join(options("says"));
    let mut publish = |qos, retain, payload: &str| {
        says.publish("r/x", qos, retain, payload).unwrap();
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => until(&mut answers, |packet| matches!(packet, Packet::PubAck(_))),
            QoS::ExactlyOnce => until(&mut answers, |packet| matches!(packet, Packet::PubComp(_))),
        }
    };
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        publish(qos, false, "here");
        assert_eq!(next(&mut kept), ("here".to_owned(), qos, false));
    }
    // It forgets what it has begun when it goes.
    until_event(&mut kept, |event| matches!(event, Event::Outgoing(Outgoing::PubComp(_))));
    client.disconnect().unwrap();
    while let Ok(Ok(_)) = kept.recv_timeout(Duration::from_secs(20)) {}
    publish(QoS::AtLeastOnce, false, "away");
    publish(QoS::ExactlyOnce, true, "kept");
    let (_client, mut kept) = join(options("kept"));
    assert_eq!(next(&mut kept), ("away".to_owned(), QoS::AtLeastOnce, false));
    assert_eq!(next(&mut kept), ("kept".to_owned(), QoS::ExactlyOnce, false));
    let (late, mut late_connection) = join(options("late"));
    late.subscribe("r/x", QoS::AtLeastOnce).unwrap();
    assert_eq!(next(&mut late_connection), ("kept".to_owned(), QoS::AtLeastOnce, true));
    let mut with_will = options("dies");
    with_will.set_last_will(LastWill::new("r/will", "will", QoS::AtLeastOnce, false));
    drop(join(with_will));
    assert_eq!(next(&mut kept), ("will".to_owned(), QoS::AtLeastOnce, false));
}
