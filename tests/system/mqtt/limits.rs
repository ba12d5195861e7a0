//! Limits as docs/MQTT.md lists them: what is above one is answered as the table says, counted by its key, and the client's other
//! packets, and other clients, go on.

use serde_json::json;

use super::bytes::{Connect, PUBACK, connect, user};
use super::parse::property_of;
use super::raw::Raw;
use crate::harness::{Site, wait_for};

const LIMITS: &str = "[mqtt.embedded.limits]
connect_bytes = 256
connections = 2
takeovers = 2
sessions_kept_per_credential = 1
subscriptions = 3
filters_per_packet = 4
packet_bytes = 1024
control_bytes = 1024
property_bytes = 256
user_properties = 2
user_property_bytes = 100
control_packets_per_s = 1
retained_per_credential = 1
queue_messages = 2
";
const REASON_STRING: u8 = 0x1f;

/// A device with a credential of its own, which speaks in one version.
struct Device<'s> {
    site: &'s Site,
    name: String,
    secret: String,
    version: u8,
}

impl Device<'_> {
    fn connect(&self, id: &str) -> Connect {
        connect(self.version, &format!("{}-{id}", self.name)).account(&self.name, &self.secret)
    }

    fn join(&self, id: &str) -> Raw {
        Raw::join(self.site.mqtt, &self.connect(id))
    }

    /// What a CONNECT is answered.
    fn code(&self, connect: &Connect) -> u8 {
        Raw::try_join(self.site.mqtt, connect).1.code
    }

    fn topic(&self, last: &str) -> String {
        format!("sanitation/east/bin/{}/{last}", self.name)
    }

    /// By version: 3.1.1, 5.0.
    fn by<T>(&self, v4: T, v5: T) -> T {
        if self.version == 5 { v5 } else { v4 }
    }
}

/// Runs a case for a device of 3.1.1 and for one of 5.0; each must meet the limit that it is about.
fn met(site: &Site, limit: &str, case: impl Fn(&Device<'_>)) {
    let metric = format!("sanimon_mqtt_limit_total{{limit=\"{limit}\"}}");
    let count = || site.metric(&metric).expect(limit);
    for version in [4, 5] {
        let before = count();
        let name = format!("{}-{version}", limit.replace('_', "-"));
        let (_, secret) = site.credential(&json!({ "username": name }));
        case(&Device { site, name, secret, version });
        wait_for(limit, || (count() > before).then_some(()));
    }
}

#[test]
fn what_connections_and_sessions_there_may_be() {
    let site = Site::strict(LIMITS);
    met(&site, "connections", |own| {
        let held = [own.join("1"), own.join("2")];
        assert_eq!(own.code(&own.connect("3")), own.by(5, 0x97));
        // One of them again takes the place of its old connection.
        let mut again = own.join("1");
        let [mut old, mut other] = held;
        old.ends(0x8e);
        again.ping();
        other.ping();
    });
    met(&site, "takeovers", |own| {
        let mut here = own.join("1");
        for _ in 0..2 {
            let mut next = own.join("1");
            here.ends(0x8e);
            here = next;
            next = own.join("other");
            next.leave();
        }
        assert_eq!(own.code(&own.connect("1")), own.by(3, 0x9f));
        here.ping();
    });
    met(&site, "sessions_kept", |own| {
        let kept = |id| own.connect(id).kept(600);
        for id in ["a", "b"] {
            Raw::join(site.mqtt, &kept(id)).leave();
        }
        // The one that is away longest has gone.
        let is_present = |id| Raw::try_join(site.mqtt, &kept(id)).1.is_present;
        assert_eq!((is_present("b"), is_present("a")), (true, false));
    });
    met(&site, "connect_bytes", |own| {
        let will = own.topic("status");
        let mut raw = Raw::open(site.mqtt, own.version);
        raw.send(&own.connect("1").will(&will, &"x".repeat(300)).bytes());
        match own.version {
            5 => assert_eq!(raw.connack().code, 0x95),
            _ => assert_eq!(raw.packet(), None),
        }
    });
}

#[test]
fn what_may_be_asked_for() {
    let site = Site::strict(LIMITS);
    met(&site, "subscriptions", |own| {
        let mut raw = own.join("1");
        let filters = ["a", "b", "c", "d"].map(|last| own.topic(last));
        let asked: Vec<(&str, u8)> = filters.iter().map(|filter| (&**filter, 1)).collect();
        assert_eq!(raw.subscribe(&asked), [1, 1, 1, own.by(0x80, 0x97)]);
        assert_eq!(raw.unsubscribe(&[&filters[0]]).len(), own.by(0, 1));
        assert_eq!(raw.subscribe(&asked[3..]), [1], "there is room again");
    });
    met(&site, "filters_per_packet", |own| {
        let mut raw = own.join("1");
        let filter = own.topic("a");
        let refused = own.by(0x80, 0x97);
        assert_eq!(raw.subscribe(&[(&*filter, 0); 6]), [0, 0, 0, 0, refused, refused]);
        raw.ping();
    });
    met(&site, "control_packets_per_s", |own| {
        let mut raw = own.join("1");
        // Ten at once, and a pause for none of the others.
        let mut other = own.join("2");
        for _ in 0..30 {
            raw.send(&[0xc0, 0]);
        }
        let last = std::iter::from_fn(|| raw.packet()).last().expect("an answer");
        assert_eq!((last.first, last.body.first()), own.by((0xd0, None), (0xe0, Some(&0x96))));
        other.ping();
    });
}

#[test]
fn what_a_packet_may_hold() {
    let site = Site::strict(LIMITS);
    for (limit, bytes) in [("packet_bytes", 2_000), ("control_bytes", 0)] {
        met(&site, limit, |own| {
            let mut raw = own.join("1");
            let topic = own.topic("telemetry");
            if bytes > 0 {
                raw.send_publish((1, 0), &topic, &[], &"x".repeat(bytes));
            } else {
                raw.send_subscribe(&[], &[(&*"x".repeat(400), 0); 4]);
            }
            raw.ends(0x95);
        });
    }
    let site = &site;
    let five = |limit: &str, case: &dyn Fn(&mut Raw, &str)| {
        met(site, limit, |own| match own.version {
            5 => case(&mut own.join("1"), &own.topic("telemetry")),
            // 3.1.1 has no properties: the same limit is met by one of 5.0 once more.
            _ => case(
                &mut Raw::join(site.mqtt, &Device { version: 5, ..copy(own) }.connect("1")),
                &own.topic("telemetry"),
            ),
        });
    };
    five("property_bytes", &|raw, topic| {
        raw.send_publish((1, 0), topic, &user("name", &"x".repeat(300)), "{}");
        raw.ends(0x95);
    });
    five("user_properties", &|raw, topic| {
        raw.send_publish((1, 0), topic, &user("a", "b").repeat(3), "{}");
        assert_eq!(raw.full_ack(PUBACK).1, 0x97);
        raw.publish_with((1, 0), topic, &user("a", "b").repeat(2), r#"{"fill_pct":1}"#);
    });
}

#[test]
fn what_is_kept_and_what_waits() {
    let site = Site::strict(LIMITS);
    met(&site, "retained_per_credential", |own| {
        let mut raw = own.join("1");
        raw.retain(1, &own.topic("telemetry"), r#"{"fill_pct":1}"#);
        // In the place of its own there is room.
        raw.retain(1, &own.topic("telemetry"), r#"{"fill_pct":2}"#);
        let id = raw.send_publish((1, 1), &own.topic("status"), &[], r#"{"battery_pct":3}"#);
        let (acknowledged, reason, properties) = raw.full_ack(PUBACK);
        assert_eq!((acknowledged, reason), (id, 0), "it is stored");
        assert_eq!(
            property_of(&properties, REASON_STRING).is_some(),
            own.version == 5,
            "and says what it is not"
        );
        let mut hears = own.join("2");
        hears.subscribe(&[(&own.topic("#"), 1)]);
        assert_eq!(hears.take().brief(), (r#"{"fill_pct":2}"#, 1, true));
        raw.publish(1, &own.topic("telemetry"), r#"{"fill_pct":3}"#);
        assert_eq!(hears.take().brief(), (r#"{"fill_pct":3}"#, 1, false), "the other one is not kept");
        raw.retain(1, &own.topic("telemetry"), "");
    });
    met(&site, "queue_messages", |own| {
        let kept = own.connect("away").kept(600);
        let mut away = Raw::join(site.mqtt, &kept);
        away.subscribe(&[(&own.topic("#"), 1)]);
        away.leave();
        let mut raw = own.join("1");
        for number in 1..=4 {
            raw.publish(1, &own.topic("telemetry"), &format!(r#"{{"fill_pct":{number}}}"#));
        }
        let mut back = Raw::join(site.mqtt, &kept);
        let got = [back.take().payload, back.take().payload];
        assert_eq!(got, [r#"{"fill_pct":3}"#, r#"{"fill_pct":4}"#], "the oldest went");
    });
}

fn copy<'s>(own: &Device<'s>) -> Device<'s> {
    Device { site: own.site, name: own.name.clone(), secret: own.secret.clone(), version: own.version }
}
