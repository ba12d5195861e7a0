//! The town that the table is tried in: a site, and who there is.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;

use serde_json::json;

use super::super::bytes::{Connect, LEAVE, PUBACK, WILL_DELAY, connect, u32_property};
use super::super::parse::Message;
use super::super::raw::Raw;
use crate::harness::wait_for;
use crate::tls::{BOTH, Secure, connect as connect_over_tls};

use super::Act::{HearLive, HearRetained, Publish, SignIn, Subscribe, WillAfterADelay, WillAtTheEnd};
use super::Topic::{Alerts, Elsewhere, Others, Own, Reserved};
use super::Who::{Certificate, Device, Expired, Gateway, Nameless, Revoked};
use super::{Act, EAST, GATEWAY_PUBLISHES, GATEWAY_SUBSCRIBES, Topic, Who};

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}
type Client = Raw<Box<dyn Stream>>;

pub(super) struct Town {
    secure: Secure,
    /// Names and secrets, by [`Who`].
    accounts: Vec<(Who, String, String)>,
    ids: usize,
}

impl Town {
    pub(super) fn start() -> Self {
        let mut secure =
            Secure::new("client_ca = \"ca.pem\"\n[mqtt.embedded.limits]\nfailed_per_address = 1000\n");
        let text = std::fs::read_to_string(secure.site.config()).unwrap();
        let text = text.replace("[mqtt.embedded]", "[mqtt.embedded]\nanonymous = true");
        std::fs::write(secure.site.config(), text).unwrap();
        secure.site.prepare();
        secure.ca.sign("device", Self::own(Certificate));
        let mut town = Self { secure, accounts: Vec::new(), ids: 0 };
        for who in [Device, Gateway, Revoked, Expired] {
            let id = town.enter(who);
            town.end(who, id);
        }
        town
    }

    /// The device whose topic is its own: others than devices may have any.
    const fn own(who: Who) -> &'static str {
        match who {
            Device | Gateway | Nameless => "b-1",
            Certificate => "b-3",
            Revoked => "b-4",
            Expired => "b-5",
        }
    }

    /// Makes a credential that is good; gives its number.
    fn enter(&mut self, who: Who) -> i64 {
        let (name, entry) = match who {
            Gateway => {
                let (publish, subscribe) = (GATEWAY_PUBLISHES, GATEWAY_SUBSCRIBES);
                ("gateway", json!({ "username": "gateway", "publish": publish, "subscribe": subscribe }))
            }
            who => (Self::own(who), json!({ "username": Self::own(who) })),
        };
        let (id, secret) = self.secure.site.credential(&entry);
        self.accounts.retain(|(own, ..)| *own != who);
        self.accounts.push((who, name.to_owned(), secret));
        id
    }

    /// Ends a credential as its kind says, while it may be in use.
    fn end(&self, who: Who, id: i64) {
        match who {
            Revoked => {
                let gone = self.secure.site.request("DELETE", &format!("/api/v1/credentials/{id}"), None);
                assert_eq!(gone.unwrap().0, 204);
            }
            Expired => {
                let next = json!({ "username": Self::own(who), "overlap_hours": 0 });
                self.secure.site.credential(&next);
            }
            _ => {}
        }
    }

    fn open(&self, who: Who, version: u8) -> Client {
        let stream: Box<dyn Stream> = if who == Certificate {
            let (own, key) = (self.secure.file("device.pem"), self.secure.file("device.key"));
            let own = Some((Path::new(&own), Path::new(&key)));
            Box::new(connect_over_tls(self.secure.mqtts, &self.secure.ca.root, BOTH, own).unwrap())
        } else {
            Box::new(Raw::open(self.secure.site.mqtt, version).stream)
        };
        Raw::over(stream, version)
    }

    /// Signs in; `Err`: what it was told.
    fn try_join(
        &mut self,
        who: Who,
        version: u8,
        more: impl FnOnce(Connect) -> Connect,
    ) -> Result<Client, String> {
        self.ids += 1;
        let mut own = more(connect(version, &format!("client-{}", self.ids)));
        if let Some((_, name, secret)) = self.accounts.iter().find(|(own, ..)| *own == who) {
            own = own.account(name, secret);
        }
        let mut raw = self.open(who, version);
        raw.send(&own.bytes());
        match raw.connack().code {
            0 => Ok(raw),
            code => Err(format!("CONNACK {code:#04x}")),
        }
    }

    /// Whom the matrix does not ask: it speaks for the town.
    fn gateway(&mut self) -> Client {
        self.try_join(Gateway, 5, |own| own).unwrap()
    }

    fn topic(who: Who, topic: Topic) -> String {
        match topic {
            Own => format!("sanitation/east/bin/{}/telemetry", Self::own(who)),
            Others => "sanitation/east/bin/b-2/telemetry".to_owned(),
            Elsewhere => "elsewhere/telemetry".to_owned(),
            Alerts => "sanitation/alerts/b-1".to_owned(),
            Reserved => "$SYS/telemetry".to_owned(),
        }
    }

    /// Carries it out; what came of it.
    pub(super) fn carry_out(&mut self, act: Act, who: Who, version: u8) -> Result<String, String> {
        match act {
            SignIn(topic) => {
                let topic = Self::topic(who, topic);
                leave(self.try_join(who, version, |own| own.will(&topic, "{}"))?);
                Ok("yes".to_owned())
            }
            Publish(topic) => {
                let mut raw = self.try_join(who, version, |own| own)?;
                // Each says another thing: the same thing three times would be set aside.
                let payload = format!("{{\"fill_pct\":{}}}", self.ids % 100);
                let id = raw.send_publish((1, 0), &Self::topic(who, topic), &[], &payload);
                let Some(packet) = raw.packet() else { return Err("closed".to_owned()) };
                assert_eq!((packet.first, &packet.body[..2]), (PUBACK, &id.to_be_bytes()[..]));
                let reason = packet.body.get(2).copied().unwrap_or_default();
                leave(raw);
                // That nobody subscribed is none of a sensor's business.
                if reason == 0 { Ok("yes".to_owned()) } else { Err(format!("PUBACK {reason:#04x}")) }
            }
            Subscribe(filter) => {
                let filter = filter.replace("{own}", Self::own(who));
                let mut raw = self.try_join(who, version, |own| own)?;
                let codes = raw.subscribe(&[(&filter, 1)]);
                leave(raw);
                if codes == [1] { Ok("yes".to_owned()) } else { Err(format!("SUBACK {:#04x}", codes[0])) }
            }
            HearRetained => self.hear(who, version, 1),
            HearLive => self.hear(who, version, 0),
            WillAtTheEnd => Ok(self.will(who, version, 0)),
            WillAfterADelay => Ok(self.will(who, version, DELAY_S)),
        }
    }

    /// Two messages, of its own topic and of another's, before it subscribes or after: which of them it is told.
    fn hear(&mut self, who: Who, version: u8, retain: u8) -> Result<String, String> {
        let topics = [Self::topic(who, Own), Self::topic(who, Others)];
        let mut raw = self.try_join(who, version, |own| own)?;
        let mut says = self.gateway();
        let say = |says: &mut Client, payload: &str| {
            topics.iter().for_each(|topic| says.publish_with((1, retain), topic, &[], payload));
        };
        if retain > 0 {
            say(&mut says, r#"{"fill_pct":1}"#);
        }
        let is_all = raw.subscribe(&[(EAST, 1)]) == [1];
        if !is_all {
            assert_eq!(raw.subscribe(&[(&format!("sanitation/+/+/{}/#", Self::own(who)), 1)]), [1]);
        }
        if retain == 0 {
            say(&mut says, r#"{"fill_pct":1}"#);
        }
        let mut heard = BTreeSet::new();
        while heard.len() < 1 + usize::from(is_all) {
            let Message { topic, retain: is_retained, .. } = raw.take();
            assert_eq!(is_retained, retain > 0, "{topic}");
            heard.insert(if topic == topics[0] { "own" } else { "others" });
        }
        // Nothing comes after it that it should not hear.
        let last = format!("sanitation/east/bin/{}/last", Self::own(who));
        says.publish(1, &last, "{}");
        assert_eq!(raw.take().topic, last);
        leave(raw);
        if retain > 0 {
            topics.iter().for_each(|topic| says.publish_with((1, 1), topic, &[], ""));
        }
        leave(says);
        Ok(heard.into_iter().collect::<Vec<_>>().join(" "))
    }

    /// Whether its will is heard when its connection is cut, or its rights have ended before it is due.
    fn will(&mut self, who: Who, version: u8, delay_s: u32) -> String {
        let mut listens = self.gateway();
        assert_eq!(listens.subscribe(&[(EAST, 1)]), [1]);
        let delay = if version == 5 { u32_property(WILL_DELAY, delay_s) } else { Vec::new() };
        let own = Self::topic(who, Own);
        let is_ending = matches!(who, Revoked | Expired);
        let id = is_ending.then(|| self.enter(who));
        let with_will = |connect: Connect| {
            let connect = if delay_s > 0 { connect.kept(600) } else { connect };
            connect.will_with(0x08, &delay, &own, r#"{"fill_pct":2}"#)
        };
        let mut raw = self.try_join(who, version, with_will).unwrap();
        match id {
            // A will that waits for its delay; without one the end itself would say it.
            Some(id) if delay_s > 0 && version == 5 => {
                drop(raw);
                // Only who listens is left.
                wait_for("it is away", || {
                    (self.secure.site.metric("sanimon_mqtt_signed_in") == Some(1)).then_some(())
                });
                self.end(who, id);
            }
            Some(id) => {
                self.end(who, id);
                raw.ends(0x87);
            }
            None => drop(raw),
        }
        // Another one's, which is due no sooner.
        let control = Self::topic(who, Others);
        let with_control =
            |connect: Connect| connect.kept(600).will_with(0x08, &delay, &control, r#"{"fill_pct":3}"#);
        drop(self.try_join(Nameless, version, with_control).unwrap());
        let mut heard = BTreeSet::new();
        while heard.len() < if is_ending { 1 } else { 2 } {
            heard.insert(listens.take().topic);
        }
        assert!(heard.contains(&control), "{heard:?}");
        leave(listens);
        if heard.contains(&own) { "heard".to_owned() } else { "not heard".to_owned() }
    }
}

/// Long enough that rights end in it on a busy machine, too.
const DELAY_S: u32 = 3;

fn leave(mut raw: Client) {
    raw.send(LEAVE);
    assert_eq!(raw.end(), None);
}
