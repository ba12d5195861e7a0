//! What a client makes of what it hears.

use crate::tests::bytes::{self, Heard, PUBACK, PUBCOMP, PUBREC, PUBREL};
use crate::tests::dice::Dice;

use super::person::Person;
use super::words::{Asked, Known, News, Phase};

impl Person {
    pub(super) fn hear(&mut self, heard: Heard, dice: &mut Dice, news: &mut Vec<News>) {
        let name = self.name.clone();
        if self.phase == Phase::Asked {
            assert!(matches!(heard, Heard::Connack { .. }), "{name}: {heard:?} before CONNACK");
        }
        match heard {
            Heard::Connack { session_present, code, receive_max, alias_max: _, expiry_s } => {
                assert_eq!(self.phase, Phase::Asked, "{name}: a second CONNACK");
                news.push(News::LetIn { session_present, code });
                if code > 0 {
                    assert!(!session_present, "{name}: refused, and a session");
                    self.known = self.knew;
                    return;
                }
                self.phase = Phase::On;
                self.ways.expiry_s = expiry_s.unwrap_or(self.ways.expiry_s);
                self.known = Known::Kept { expiry_s: self.ways.expiry_s, since_ms: None };
                self.broker_takes = if self.is_5 { usize::from(receive_max) } else { 10 };
                if !session_present {
                    self.forget_session();
                }
                self.send_again(dice);
            }
            Heard::Publish { topic, alias, qos, id, dup, retain, payload } => {
                let topic = self.resolve(topic, alias);
                let text = String::from_utf8(payload).expect("texts are sent");
                if qos > 0 {
                    assert!(self.held.insert(id), "{name}: packet id {id} is in use");
                    let max = usize::from(self.ways.receive_max);
                    assert!(!self.is_5 || self.held.len() <= max, "{name}: {:?} of {max}", self.held);
                    self.answers.push_back((if qos == 1 { PUBACK } else { PUBREC }, id));
                }
                assert!(!dup || qos > 0, "{name}: DUP with QoS 0");
                if qos < 2 || self.received.insert(id) {
                    news.push(News::Heard { topic, text, qos, retain });
                }
            }
            Heard::Ack(PUBREL, id, _) => {
                self.received.remove(&id);
                self.answers.push_back((PUBCOMP, id));
            }
            Heard::Ack(first, id, code) => self.acknowledged((first, id, code), dice, news),
            Heard::Suback(id, codes) => {
                let Some(Asked::Subscribe(own, filter, qos)) = self.asked.take() else {
                    panic!("{name}: a SUBACK that was not asked for")
                };
                assert_eq!((id, codes), (own, vec![qos]), "{name}: SUBACK of {filter}");
                self.subscriptions.insert(filter, qos);
                news.push(News::Subscribed(filter, qos));
            }
            Heard::Unsuback(id, _) => {
                let Some(Asked::Unsubscribe(own, filter)) = self.asked.take() else {
                    panic!("{name}: an UNSUBACK that was not asked for")
                };
                assert_eq!(id, own, "{name}: UNSUBACK of {filter}");
                news.push(News::Unsubscribed(filter));
            }
            Heard::Pingresp => {}
            Heard::Disconnect(code) => {
                self.was_told = true;
                let due = [0x83, 0x87, 0x8B, 0x8D, 0x8E, 0x97];
                assert!(due.contains(&code), "{name}: DISCONNECT {code:#x}");
            }
        }
    }

    fn acknowledged(&mut self, (first, id, code): (u8, u16, u8), dice: &mut Dice, news: &mut Vec<News>) {
        let name = &self.name;
        let place = self.out.iter().position(|own| own.id == id);
        match first {
            PUBACK => {
                let own = &mut self.out[place.unwrap_or_else(|| panic!("{name}: PUBACK of {id}"))];
                assert_eq!((own.qos, code), (1, 0), "{name}: PUBACK of {own:?}");
                news.push(News::Stored(own.text.clone()));
                if own.doubles > 0 {
                    own.doubles -= 1;
                } else {
                    self.out.remove(place.unwrap_or(0));
                }
            }
            PUBREC => {
                // The second answer to what was sent twice may come when its first one was acted on.
                let own = place.map(|place| &mut self.out[place]);
                if let Some(own) = own.filter(|own| own.qos == 2) {
                    assert_eq!(code, 0, "{name}: PUBREC of {own:?}");
                    news.push(News::Stored(own.text.clone()));
                    if !own.is_released {
                        own.is_released = true;
                        self.output.extend(bytes::ack(PUBREL, id));
                    }
                } else {
                    panic!("{name}: PUBREC of {id}");
                }
            }
            PUBCOMP => {
                let own = &self.out[place.unwrap_or_else(|| panic!("{name}: PUBCOMP of {id}"))];
                assert!(own.is_released, "{name}: PUBCOMP of {own:?}");
                self.out.remove(place.unwrap_or(0));
                news.push(News::Completed(id));
            }
            _ => panic!("{name}: {first:#x}"),
        }
        self.send_again(dice);
    }

    fn resolve(&mut self, topic: String, alias: Option<u16>) -> String {
        let Some(alias) = alias else {
            assert!(!topic.is_empty(), "{}: no topic", self.name);
            return topic;
        };
        assert!((1..=self.ways.alias_max).contains(&alias), "{}: alias {alias}", self.name);
        if topic.is_empty() {
            return self.aliases.get(&alias).expect("an alias that was told before").clone();
        }
        self.aliases.insert(alias, topic.clone());
        topic
    }
}
