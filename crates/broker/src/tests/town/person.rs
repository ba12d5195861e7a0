//! A model of an MQTT client that does what is right: it keeps what it owes, sends it again after a reconnect and only then,
//! takes QoS 2 once, and judges each answer of the broker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::tests::bytes::{self, PUBREC, PUBREL};
use crate::tests::dice::Dice;

use super::words::{Asked, Known, News, Out, Phase, SLACK_MS, Ways};

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own")]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) owner: Option<String>,
    pub(super) is_5: bool,
    pub(super) phase: Phase,
    pub(super) known: Known,
    /// What it knew when it sent its CONNECT.
    pub(super) knew: Known,
    pub(super) ways: Ways,
    /// Counts its connections, and its sessions.
    pub(super) connection: usize,
    pub(super) epoch: usize,
    pub(super) subscriptions: BTreeMap<&'static str, u8>,
    pub(super) asked: Option<Asked>,
    pub(super) out: Vec<Out>,
    /// A CONNECT that may have begun a new session was not answered: it starts clean.
    pub(super) is_adrift: bool,
    /// Its credential was taken away since it was let in.
    pub(super) is_revoked: bool,
    /// When it looked whether the connection was still there.
    pub(super) looked_ms: i64,
    /// The broker gave a reason for the connection's end.
    pub(super) was_told: bool,
    pub(super) connected_ms: i64,
    pub(super) stream: Option<DuplexStream>,
    /// Half-open: nobody reads or writes them any more.
    pub(super) abandoned: Vec<DuplexStream>,
    pub(super) input: Vec<u8>,
    pub(super) output: VecDeque<u8>,
    /// Answers that it takes its time with, in order.
    pub(super) answers: VecDeque<(u8, u16)>,
    /// Ids of QoS 2 messages that the application has, until they are released.
    pub(super) received: BTreeSet<u16>,
    /// Messages of the broker that it has not answered to the end.
    pub(super) held: BTreeSet<u16>,
    pub(super) next_id: u16,
    pub(super) broker_takes: usize,
    pub(super) given: Vec<String>,
    pub(super) aliases: BTreeMap<u16, String>,
}

impl Person {
    pub(super) fn new(name: String, owner: Option<String>, is_5: bool) -> Self {
        let (is_clean, expiry_s, receive_max, alias_max) = (true, 0, 1, 0);
        Self {
            name,
            owner,
            is_5,
            phase: Phase::Off,
            known: Known::Absent,
            knew: Known::Absent,
            ways: Ways { is_clean, expiry_s, receive_max, alias_max, keep_alive_s: 60, will: None },
            connection: 0,
            epoch: 0,
            subscriptions: BTreeMap::new(),
            asked: None,
            out: Vec::new(),
            is_adrift: false,
            is_revoked: false,
            looked_ms: 0,
            was_told: false,
            connected_ms: 0,
            stream: None,
            abandoned: Vec::new(),
            input: Vec::new(),
            output: VecDeque::new(),
            answers: VecDeque::new(),
            received: BTreeSet::new(),
            held: BTreeSet::new(),
            next_id: 0,
            broker_takes: 0,
            given: Vec::new(),
            aliases: BTreeMap::new(),
        }
    }

    /// It cannot know what the broker has of it: its last clean start was not answered, or its session's time may be over.
    pub(super) fn must_start_clean(&self, now_ms: i64) -> bool {
        // Some come all the same, who would see a session that should have gone.
        self.is_adrift || self.may_be_over(now_ms) && !self.connection.is_multiple_of(2)
    }

    pub(super) fn may_be_over(&self, now_ms: i64) -> bool {
        match self.known {
            Known::Kept { expiry_s, since_ms: Some((earliest_ms, _)) } => {
                now_ms >= earliest_ms + i64::from(expiry_s) * 1_000 - SLACK_MS
            }
            // The one that its unanswered CONNECT may have begun.
            Known::Unsure => now_ms >= self.connected_ms + i64::from(self.ways.expiry_s) * 1_000 - SLACK_MS,
            Known::Kept { .. } | Known::Absent => false,
        }
    }

    /// Nothing is owed in either direction.
    pub(super) fn is_at_rest(&self) -> bool {
        self.phase == Phase::On
            && self.out.is_empty()
            && self.asked.is_none()
            && self.answers.is_empty()
            && self.held.is_empty()
            && self.received.is_empty()
            && self.output.is_empty()
    }

    /// Comes, over a new stream.
    pub(super) fn connect(&mut self, stream: DuplexStream, ways: Ways) {
        self.connection += 1;
        self.was_told = false;
        self.forget_connection();
        if self.is_over() {
            self.forget_session();
        }
        self.stream = Some(stream);
        (self.knew, self.known) = (self.known, Known::Unsure);
        self.ways = ways;
        self.phase = Phase::Asked;
        let will_topic = format!("w/{}", self.name);
        let will = self.ways.will.as_ref();
        let connect = bytes::Connect {
            is_5: self.is_5,
            client_id: &self.name,
            username: self.owner.as_deref(),
            is_clean: self.ways.is_clean,
            keep_alive_s: self.ways.keep_alive_s,
            expiry_s: self.ways.expiry_s,
            receive_max: self.ways.receive_max,
            alias_max: self.ways.alias_max,
            will: will.map(|(payload, delay_s)| bytes::Will {
                topic: &will_topic,
                payload,
                qos: 1,
                delay_s: *delay_s,
            }),
        };
        let bytes = connect.bytes();
        self.output.extend(bytes);
    }

    fn forget_connection(&mut self) {
        self.input.clear();
        self.output.clear();
        self.answers.clear();
        self.held.clear();
        self.given.clear();
        self.aliases.clear();
        self.asked = None;
        self.phase = Phase::Off;
        for own in &mut self.out {
            (own.went_here, own.is_counted, own.doubles) = (false, false, 0);
        }
    }

    /// Whether its session's time is over for sure: then it forgets it, too.
    fn is_over(&self) -> bool {
        match self.known {
            Known::Absent => true,
            Known::Kept { expiry_s, since_ms: Some((_, latest_ms)) } => {
                self.connected_ms > latest_ms.saturating_add(i64::from(expiry_s) * 1_000 + SLACK_MS)
            }
            Known::Kept { .. } | Known::Unsure => false,
        }
    }

    /// Its session has ended, here and at the broker.
    pub(super) fn forget_session(&mut self) {
        self.epoch += 1;
        self.received.clear();
        self.subscriptions.clear();
        self.out.clear();
    }

    /// The line is cut, or nobody is heard on it any more.
    pub(super) fn lose(&mut self, is_half_open: bool) {
        let stream = self.stream.take();
        self.abandoned.extend(stream.filter(|_| is_half_open));
        self.forget_connection();
    }

    /// Old lines are gone as well.
    pub(super) fn lose_abandoned(&mut self) {
        self.abandoned.clear();
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.output.extend(bytes);
    }

    pub(super) fn leave(&mut self) {
        self.say(b"\xE0\x00");
        self.phase = Phase::Leaving;
    }

    /// Publishes within what the broker takes. Gives its packet id; `None`: not now.
    pub(super) fn publish(&mut self, own: Out, expiry_s: Option<u32>, dice: &mut Dice) -> Option<u16> {
        if own.qos == 0 {
            self.write_publish(&own, expiry_s, false, dice);
            return Some(0);
        }
        let is_resending = self.out.iter().any(|own| !own.went_here);
        if is_resending || self.under_way() >= self.broker_takes || self.out.len() >= 20 {
            return None;
        }
        let id = self.free_id();
        let own = Out { id, went_here: true, is_counted: true, ..own };
        self.write_publish(&own, expiry_s, false, dice);
        self.out.push(own);
        Some(id)
    }

    pub(super) fn free_id(&mut self) -> u16 {
        loop {
            // Few, so that they come again soon.
            self.next_id = self.next_id % 24 + 1;
            let is_asked = match self.asked {
                Some(Asked::Subscribe(id, ..) | Asked::Unsubscribe(id, _)) => id == self.next_id,
                None => false,
            };
            if !is_asked && !self.out.iter().any(|own| own.id == self.next_id) {
                return self.next_id;
            }
        }
    }

    fn under_way(&self) -> usize {
        self.out.iter().filter(|own| own.is_counted).count()
    }

    fn write_publish(&mut self, own: &Out, expiry_s: Option<u32>, dup: bool, dice: &mut Dice) {
        let (mut topic, mut alias) = (own.topic.as_str(), None);
        if let Some(place) = self.given.iter().position(|given| given == topic) {
            (topic, alias) = ("", Some(place as u16 + 1));
        } else if self.is_5 && self.given.len() < 3 && dice.once_in(3) {
            self.given.push(topic.to_owned());
            alias = Some(self.given.len() as u16);
        }
        let expiry_s = expiry_s.filter(|_| self.is_5);
        let payload = own.text.as_bytes();
        let publish = bytes::Publish {
            topic,
            alias,
            qos: own.qos,
            id: own.id,
            dup,
            retain: own.retain,
            expiry_s,
            payload,
        };
        let bytes = publish.bytes(self.is_5);
        self.output.extend(bytes);
    }

    /// Sends a publish twice: QoS 2 may come as often as it likes, and 3.1.1 knows no maximum.
    pub(super) fn double(&mut self, dice: &mut Dice) {
        let may = |own: &&mut Out| own.went_here && !own.is_released && own.doubles == 0;
        let Some(own) = self.out.iter_mut().rev().find(may) else { return };
        if own.qos == 1 && self.is_5 {
            return;
        }
        own.doubles = 1;
        let own = own.clone();
        self.write_publish(&own, None, true, dice);
    }

    /// What was not acknowledged goes again, in order.
    pub(super) fn send_again(&mut self, dice: &mut Dice) {
        while let Some(place) = self.out.iter().position(|own| !own.went_here) {
            if self.out[place].is_released {
                self.out[place].went_here = true;
                let bytes = bytes::ack(PUBREL, self.out[place].id);
                self.output.extend(bytes);
                continue;
            }
            if self.under_way() >= self.broker_takes {
                return;
            }
            (self.out[place].went_here, self.out[place].is_counted) = (true, true);
            let own = self.out[place].clone();
            self.write_publish(&own, None, true, dice);
        }
    }

    /// Writes some of what it has to say, answers included.
    pub(super) fn write(&mut self, dice: &mut Dice, number: usize) {
        while let Some((first, id)) = self.answers.pop_front() {
            self.output.extend(bytes::ack(first, id));
            if first != PUBREC {
                self.held.remove(&id);
            }
            if dice.once_in(3) {
                break;
            }
        }
        let Some(stream) = &mut self.stream else { return };
        let number = number.min(self.output.len());
        let (part, _) = self.output.as_slices();
        let part = &part[..number.min(part.len())];
        if part.is_empty() {
            return;
        }
        match stream.write(part).now_or_never() {
            Some(Ok(written)) => drop(self.output.drain(..written)),
            // It has been closed: what there still is to be read is read.
            Some(Err(_)) => self.output.clear(),
            None => {}
        }
    }

    /// Reads what there is.
    pub(super) fn read(&mut self, dice: &mut Dice) -> Vec<News> {
        let mut news = Vec::new();
        let Some(stream) = &mut self.stream else { return news };
        let mut has_ended = false;
        let mut buffer = [0; 512];
        while let Some(read) = stream.read(&mut buffer).now_or_never() {
            let number = read.unwrap_or(0);
            self.input.extend_from_slice(&buffer[..number]);
            if number == 0 {
                has_ended = true;
                break;
            }
        }
        while let Some((heard, total)) = bytes::heard(self.is_5, &self.input) {
            self.input.drain(..total);
            self.hear(heard, dice, &mut news);
        }
        if has_ended {
            news.push(News::Ended { was: self.phase });
            self.lose(false);
        }
        news
    }
}
