//! What must be, told from what the clients did and heard.

use std::collections::{BTreeMap, BTreeSet};

use sanimon_domain::SessionKey;

use super::file::{File, Rows};
use super::person::Person;
use super::words::{Known, News, Phase, SLACK_MS};

/// A message as it was published.
#[derive(Debug)]
struct Said {
    number: usize,
    publisher: usize,
    /// Of its publisher: its session, and its connection.
    epoch: usize,
    connection: usize,
    topic: &'static str,
    qos: u8,
    /// PUBACK or PUBREC has come.
    is_stored: bool,
}

/// A message that a subscriber must get if it was acknowledged, as long as its session stands.
#[derive(Debug)]
struct Due {
    place: usize,
    epoch: usize,
    text: String,
}

#[derive(Debug)]
pub(super) struct Oracle {
    said: BTreeMap<String, Said>,
    due: Vec<Due>,
    /// QoS of each copy that an application had, without those that were kept for their topic.
    heard: Vec<BTreeMap<String, Vec<u8>>>,
    /// By listener, its session and filter: the number of the first message after SUBACK.
    since: BTreeMap<(usize, usize, &'static str), usize>,
    /// By listener, publisher, topic, and its session (QoS 1 and 2) or connection: the number that was heard last.
    last: BTreeMap<(usize, usize, &'static str, Chain), usize>,
    /// Who was lost with a will that is due at once, and which wills may never be heard of.
    wills_due: BTreeMap<String, usize>,
    wills_dropped: BTreeSet<String>,
    /// Wills whose row was there when the process was killed: they are published again.
    wills_again: BTreeMap<Vec<u8>, usize>,
    /// A message that came out of its order. Where queues were full, an earlier copy of it may have gone.
    disorder: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Chain {
    Session(usize),
    Connection(usize),
}

pub(super) fn key(own: &Person) -> SessionKey {
    SessionKey { owner: own.owner.as_deref().unwrap_or("").into(), client_id: own.name.as_str().into() }
}

impl Oracle {
    pub(super) fn new(people: usize) -> Self {
        Self {
            said: BTreeMap::new(),
            due: Vec::new(),
            heard: vec![BTreeMap::new(); people],
            since: BTreeMap::new(),
            last: BTreeMap::new(),
            wills_due: BTreeMap::new(),
            wills_dropped: BTreeSet::new(),
            wills_again: BTreeMap::new(),
            disorder: None,
        }
    }

    pub(super) fn next_number(&self) -> usize {
        self.said.len()
    }

    /// It no longer asks for what it was owed.
    pub(super) fn forget(&mut self, place: usize) {
        self.due.retain(|own| own.place != place);
    }

    pub(super) fn lost(&mut self, place: usize, own: &Person) {
        let had_session = matches!(own.known, Known::Kept { .. } | Known::Absent);
        if let Some((text, 0)) =
            own.ways.will.as_ref().filter(|_| had_session && !own.is_revoked && !own.was_told)
        {
            self.wills_due.insert(text.clone(), place);
        }
    }

    pub(super) fn ended(&mut self, place: usize, own: &Person, was: Phase) {
        let Some((text, delay_s)) = own.ways.will.clone() else { return };
        match was {
            Phase::Leaving if own.is_5 && !own.was_told => drop(self.wills_dropped.insert(text)),
            Phase::On if delay_s == 0 && !own.was_told && !own.is_revoked => {
                self.wills_due.insert(text, place);
            }
            _ => {}
        }
    }

    /// Who is revoked leaves no will.
    pub(super) fn revoked(&mut self, owner: &str, people: &[Person]) {
        self.wills_due.retain(|_, place| people[*place].owner.as_deref() != Some(owner));
    }

    /// Wills may be lost with the process.
    pub(super) fn crashed(&mut self, file: &File) {
        self.wills_due.clear();
        let rows = file.sessions.values().filter_map(|own| own.row.will.as_ref());
        for will in rows {
            *self.wills_again.entry(will.message.payload.to_vec()).or_default() += 1;
            // The file did not come to know that its client had left.
            self.wills_dropped.remove(&*String::from_utf8_lossy(&will.message.payload));
        }
    }

    pub(super) fn published(
        &mut self,
        publisher: usize,
        people: &[Person],
        (number, text, topic): (usize, String, &'static str),
        (qos, has_end): (u8, bool),
    ) {
        for (place, own) in people.iter().enumerate() {
            let stands = matches!(own.known, Known::Kept { .. });
            let wants = |(filter, granted): (&&str, &u8)| qos.min(*granted) > 0 && matches(filter, topic);
            if stands && !has_end && own.subscriptions.iter().any(wants) {
                self.due.push(Due { place, epoch: own.epoch, text: text.clone() });
            }
        }
        let own = &people[publisher];
        let (epoch, connection) = (own.epoch, own.connection);
        let said = Said { number, publisher, epoch, connection, topic, qos, is_stored: false };
        self.said.insert(text, said);
    }

    pub(super) fn hear(&mut self, place: usize, own: &mut Person, news: News, file: &File, now_ms: i64) {
        let rows = file
            .sessions
            .get(&key(own))
            .filter(|_| !own.is_revoked && !own.was_told && own.ways.expiry_s > 0);
        let is_stored = |wanted: &str, is_there: fn(&Rows, &str) -> bool, rows: Option<&Rows>| {
            rows.is_none_or(|rows| is_there(rows, wanted))
        };
        let name = &own.name;
        match news {
            News::LetIn { code: 0, session_present } => {
                self.let_in(place, own, session_present, now_ms);
                // Where it took its time to read this, its session may be over.
                let is_new = now_ms - own.connected_ms < SLACK_MS;
                let is_kept = own.ways.expiry_s > 0 && !own.is_revoked && !own.was_told && is_new;
                assert!(!is_kept || file.sessions.contains_key(&key(own)), "{}: no row", own.name);
            }
            News::LetIn { code, .. } => {
                assert!(own.is_revoked && own.owner.is_some(), "{name}: refused, {code:#x}");
            }
            News::Stored(text) => {
                assert!(
                    file.published.contains_key(text.as_bytes()),
                    "{name}: acknowledged, not stored: {text}"
                );
                self.said.get_mut(&text).expect("it was said").is_stored = true;
            }
            News::Completed(id) => {
                let is_seen = rows.is_some_and(|rows| rows.incoming.contains(&id));
                assert!(!is_seen, "{name}: PUBCOMP of {id}, which is still stored as seen");
            }
            News::Subscribed(filter, _) => {
                let number = self.said.len();
                self.since.entry((place, own.epoch, filter)).or_insert(number);
                let there = is_stored(filter, |rows, own| rows.subscriptions.contains_key(own), rows);
                assert!(there, "{name}: {filter} is not stored");
            }
            News::Unsubscribed(filter) => {
                self.since.remove(&(place, own.epoch, filter));
                let gone = is_stored(filter, |rows, own| !rows.subscriptions.contains_key(own), rows);
                assert!(gone, "{name}: {filter} is still stored");
            }
            News::Heard { topic, text, qos, retain } if topic.starts_with("w/") => {
                assert!(text.starts_with(&topic.replace("w/p", "w")) && qos < 2 && !retain, "{name}: {text}");
            }
            News::Heard { topic, text, qos, retain } => self.heard(place, own, (&topic, text, qos, retain)),
            News::Ended { .. } => {}
        }
    }

    fn let_in(&mut self, place: usize, own: &mut Person, session_present: bool, now_ms: i64) {
        let name = &own.name;
        own.is_adrift = false;
        if own.is_revoked {
            own.known = Known::Unsure;
        }
        if !session_present {
            self.forget(place);
        }
        let due = match own.knew {
            _ if own.ways.is_clean => Some(false),
            Known::Absent => Some(false),
            Known::Kept { expiry_s, since_ms } => {
                let kept_ms = i64::from(expiry_s) * 1_000;
                match since_ms {
                    None => Some(expiry_s > 0),
                    Some((earliest_ms, _)) if now_ms < earliest_ms + kept_ms - SLACK_MS => Some(true),
                    Some((_, latest_ms))
                        if own.connected_ms > latest_ms.saturating_add(kept_ms + SLACK_MS) =>
                    {
                        Some(false)
                    }
                    Some(_) => None,
                }
            }
            Known::Unsure => None,
        };
        assert!(due.is_none_or(|due| due == session_present), "{name}: session present {session_present}");
    }

    fn heard(&mut self, place: usize, own: &Person, (topic, text, qos, retain): (&str, String, u8, bool)) {
        let name = &own.name;
        let said = self.said.get(&text).unwrap_or_else(|| panic!("{name}: nobody said {text}"));
        assert_eq!(topic, said.topic, "{name}: {text}");
        assert!(qos <= said.qos, "{name}: {text} with QoS {qos}");
        if retain {
            assert!(topic.starts_with("r/"), "{name}: {text} is not kept");
            return;
        }
        let copies = self.heard[place].entry(text.clone()).or_default();
        copies.push(qos);
        let is_first = copies.len() == 1;
        let is_shared = said.topic.starts_with("s/");
        let all: Vec<u8> = if is_shared {
            self.heard.iter().filter_map(|own| own.get(&text)).flatten().copied().collect()
        } else {
            copies.clone()
        };
        let may_repeat = said.qos == 1 || all.contains(&1);
        assert!(all.len() == 1 || may_repeat, "{name}: {text} comes again, QoS {} as {all:?}", said.qos);
        // What was under way when it subscribed may pass it by, and come again later.
        let asked_before = |filter: &&str| {
            let since = self.since.get(&(place, own.epoch, *filter));
            matches(filter, said.topic) && since.is_some_and(|since| *since <= said.number)
        };
        // A copy of QoS 0 that was lost may come when its publisher sends again.
        let may_be_late = qos == 0 && said.qos == 1;
        if !is_first || is_shared || may_be_late || !own.subscriptions.keys().any(asked_before) {
            return;
        }
        let session = (said.qos > 0).then_some(Chain::Session(said.epoch));
        for chain in session.into_iter().chain([Chain::Connection(said.connection)]) {
            let last = self.last.entry((place, said.publisher, said.topic, chain)).or_default();
            if said.number < *last {
                self.disorder.get_or_insert(format!("{name}: {text} comes after {last}"));
            }
            *last = said.number;
        }
    }

    /// In the end nothing is missing. `is_bounded`: queues were full, and messages had to go. `was_slow`: who did not read was
    /// cut, and may have left too late.
    pub(super) fn rest(&self, people: &[Person], file: &File, (is_bounded, was_slow): (bool, bool)) {
        for Due { place, epoch, text } in self.due.iter().filter(|_| !is_bounded) {
            let own = &people[*place];
            let is_due = own.epoch == *epoch && self.said[text].is_stored;
            let has_it = self.heard[*place].contains_key(text);
            assert!(!is_due || has_it, "{} never heard {text}", own.name);
        }
        if let Some(disorder) = self.disorder.as_ref().filter(|_| !is_bounded) {
            panic!("{disorder}");
        }
        for text in self.wills_due.keys() {
            assert!(file.published.contains_key(text.as_bytes()), "the will {text} was not published");
        }
        for text in self.wills_dropped.iter().filter(|_| !was_slow) {
            assert!(!file.published.contains_key(text.as_bytes()), "the will {text} was published");
        }
        let wills = file.published.iter().filter(|(text, _)| text.starts_with(b"w"));
        for (text, times) in wills {
            let max = 1 + self.wills_again.get(text).copied().unwrap_or(0);
            assert!(*times <= max, "the will {} was published again", String::from_utf8_lossy(text));
        }
    }
}

/// Word by word; what is shared is asked for apart.
fn matches(filter: &str, topic: &str) -> bool {
    let (mut own, mut levels) = (filter.split('/'), topic.split('/'));
    loop {
        match (own.next(), levels.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(own), Some(level)) if own == level => {}
            _ => return false,
        }
    }
}

#[test]
fn filters_match_word_by_word() {
    for (filter, topic, is_match) in [("a/#", "a/1/x", true), ("a/+", "a/1/x", false), ("+/2", "b/2", true)] {
        assert_eq!(matches(filter, topic), is_match, "{filter} {topic}");
    }
}
