//! What happens in a town, one thing after another.

use std::time::Duration;

use crate::hub::Token;
use crate::tests::bytes;

use super::words::{Asked, Known, News, Out, Phase, Ways};
use super::{EXPIRY_MAX_S, Town, note_away};

const TOPICS: [&str; 8] = ["a/1", "a/2", "a/1/x", "b/1", "b/2", "r/1", "r/2", "s/1"];
const FILTERS: [&str; 8] = ["a/#", "a/+", "a/1", "b/1", "+/2", "r/+", "w/#", "$share/g/s/+"];

impl Town {
    /// Chance decides.
    pub(super) async fn step(&mut self) {
        let place = self.dice.below(self.people.len());
        match self.people[place].phase {
            Phase::Off if self.dice.once_in(4) => self.connect(place),
            Phase::On => self.act(place),
            _ => {}
        }
        for place in 0..self.people.len() {
            if self.dice.once_in(2) {
                let number = 1 + self.dice.below(300);
                self.people[place].write(&mut self.dice, number);
            }
            if !self.dice.once_in(3) {
                self.read(place);
            }
        }
        self.desk_acts().await;
        match self.dice.below(40) {
            0..20 => {
                for _ in 0..self.dice.below(4) {
                    tokio::task::yield_now().await;
                }
            }
            20..39 => tokio::time::sleep(Duration::from_millis(1 + self.dice.below(40) as u64)).await,
            _ => tokio::time::sleep(Duration::from_millis(self.dice.below(30_000) as u64)).await,
        }
        self.look_at_tasks();
        self.look_at_limits();
    }

    async fn desk_acts(&mut self) {
        match self.dice.below(400) {
            0 => {
                self.tell(|| "crash".to_owned());
                self.crash().await;
            }
            1 => {
                self.tell(|| "commit, crash".to_owned());
                drop(self.commit(5));
                self.crash().await;
            }
            2 if self.dice.once_in(2) => {
                self.tell(|| "stop".to_owned());
                self.stop().await;
            }
            3 => {
                self.tell(|| "the desk holds".to_owned());
                self.is_held = true;
            }
            4 => self.desk.refuse_one(&mut self.dice),
            5 => self.revoke("gw"),
            6 => self.revoke("dev"),
            7..12 if !self.registry.is_allowed("gw") => self.allow("gw"),
            12..18 if !self.registry.is_allowed("dev") => self.allow("dev"),
            18..60 if self.is_held => {
                self.is_held = false;
                self.desk.drop_gone();
            }
            18..220 if !self.is_held => {
                let max = self.dice.below(8);
                let tokens = self.commit(max);
                Token::settle(tokens);
            }
            220..225 => {
                let place = self.dice.below(self.people.len());
                self.people[place].lose_abandoned();
            }
            _ => {}
        }
    }

    fn revoke(&mut self, owner: &str) {
        let Some(credential) = self.registry.revoke(owner) else { return };
        self.tell(|| format!("revoke {owner}"));
        self.file.revoke(credential);
        self.rights.send_modify(|own| *own += 1);
        for own in self.people.iter_mut().filter(|own| own.owner.as_deref() == Some(owner)) {
            (own.known, own.knew) = (Known::Unsure, Known::Unsure);
            (own.is_revoked, own.is_adrift) = (true, true);
        }
        self.oracle.revoked(owner, &self.people);
    }

    pub(super) fn connect(&mut self, place: usize) {
        let is_5 = self.people[place].is_5;
        let is_clean = self.people[place].must_start_clean(self.now_ms()) || self.dice.once_in(6);
        let expiry_s = match (is_5, is_clean) {
            (true, _) => *self.dice.pick(&[0, 5, 60, 60, EXPIRY_MAX_S]),
            (false, true) => 0,
            (false, false) => EXPIRY_MAX_S,
        };
        let will = self.dice.once_in(2).then(|| {
            let text = format!("w{place}.{}", self.people[place].connection + 1);
            (text, if is_5 { *self.dice.pick(&[0, 0, 3, 30]) } else { 0 })
        });
        let receive_max = 1 + self.dice.below(5) as u16;
        let (alias_max, keep_alive_s) = (self.dice.below(4) as u16, *self.dice.pick(&[0, 5, 20]));
        self.come(place, Ways { is_clean, expiry_s, receive_max, alias_max, keep_alive_s, will });
    }

    pub(super) fn come(&mut self, place: usize, ways: Ways) {
        self.tell(|| format!("p{place} connects {ways:?}"));
        if ways.is_clean {
            self.oracle.forget(place);
        }
        let stream = self.open(place);
        let now_ms = self.now_ms();
        let own = &mut self.people[place];
        if own.owner.as_ref().is_some_and(|owner| self.registry.is_allowed(owner)) {
            own.is_revoked = false;
        }
        own.is_adrift |= ways.is_clean || own.may_be_over(now_ms);
        own.connected_ms = now_ms;
        own.connect(stream, ways);
    }

    fn act(&mut self, place: usize) {
        match self.dice.below(40) {
            0..22 => self.publish(place),
            22..28 => self.subscribe(place),
            28 => self.unsubscribe(place),
            29..31 => {
                self.tell(|| format!("p{place} sends twice"));
                self.people[place].double(&mut self.dice);
            }
            31 => {
                self.tell(|| format!("p{place} leaves"));
                self.people[place].leave();
            }
            32..34 => self.lose(place, false),
            34 => self.lose(place, true),
            35 => {
                // It comes again before its old connection has gone.
                self.lose(place, true);
                self.connect(place);
            }
            36 => self.people[place].say(b"\xC0\x00"),
            _ => {}
        }
    }

    fn lose(&mut self, place: usize, is_half_open: bool) {
        self.tell(|| format!("p{place} is lost, half open: {is_half_open}"));
        let own = &mut self.people[place];
        own.lose(is_half_open);
        // The broker will see it some time.
        note_away(own, i64::MAX);
        self.oracle.lost(place, own);
    }

    fn publish(&mut self, place: usize) {
        let topic = *self.dice.pick(&TOPICS);
        let retain = topic.starts_with('r') && self.dice.once_in(2);
        let qos = self.dice.below(3) as u8;
        let pad = if self.dice.once_in(10) { 700 } else { self.dice.below(40) };
        let number = self.oracle.next_number();
        let text = format!("p{place}.{number}.{:pad$}", "");
        let expiry_s = self.dice.once_in(8).then(|| 1 + self.dice.below(20) as u32);
        let own = Out::new(topic, text.clone(), qos, retain);
        let expiry_s = expiry_s.filter(|_| self.people[place].is_5);
        let Some(id) = self.people[place].publish(own, expiry_s, &mut self.dice) else { return };
        self.tell(|| format!("p{place} publishes {number} to {topic}, QoS {qos}, id {id}"));
        self.oracle.published(place, &self.people, (number, text, topic), (qos, expiry_s.is_some()));
    }

    fn subscribe(&mut self, place: usize) {
        let filter = *self.dice.pick(&FILTERS);
        let own = &mut self.people[place];
        if own.asked.is_some() {
            return;
        }
        let qos = if own.subscriptions.contains_key(filter) { 2 } else { self.dice.below(3) as u8 };
        let id = own.free_id();
        own.asked = Some(Asked::Subscribe(id, filter, qos));
        own.say(&bytes::subscribe(own.is_5, id, filter, qos));
        self.tell(|| format!("p{place} subscribes to {filter}, QoS {qos}"));
    }

    fn unsubscribe(&mut self, place: usize) {
        let own = &mut self.people[place];
        let filters: Vec<&'static str> = own.subscriptions.keys().copied().collect();
        if own.asked.is_some() || filters.is_empty() {
            return;
        }
        let filter = *self.dice.pick(&filters);
        let id = own.free_id();
        own.subscriptions.remove(filter);
        own.asked = Some(Asked::Unsubscribe(id, filter));
        own.say(&bytes::unsubscribe(own.is_5, id, filter));
        self.tell(|| format!("p{place} unsubscribes from {filter}"));
        self.oracle.forget(place);
    }

    /// A client reads, and what it heard is judged.
    pub(super) fn read(&mut self, place: usize) {
        let news = self.people[place].read(&mut self.dice);
        let now_ms = self.now_ms();
        for news in news {
            self.tell(|| format!("p{place}: {news:?}"));
            let own = &mut self.people[place];
            if let News::Ended { was } = news {
                note_away(own, now_ms);
                self.oracle.ended(place, own, was);
            } else {
                self.oracle.hear(place, own, news, &self.file, now_ms);
            }
        }
        self.people[place].looked_ms = now_ms;
    }
}
