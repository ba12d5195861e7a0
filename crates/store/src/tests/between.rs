//! Answers while deliveries and commits happen between the questions to InfluxDB: no point is doubled or lost.
//!
//! What an answer may say: every reading that was known when it was asked for, each once, and any of those that came
//! while it was made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use sanimon_domain::{DeviceNo, MetricNo, SiteCalendar, TimestampMs, Window};

use super::stand_in::StandIn;
use super::windows::{Happening, Question, at, happenings, questions, says};
use super::{Group, apply_delivery_step, begin_delivery, commit, device, message, seal};
use crate::*;

const DEVICES: u32 = 3;
/// More than an answer ever asks.
const QUESTIONS_MAX: usize = 6;

/// What happens before a question is answered.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// InfluxDB has taken what waits, and nobody here knows yet.
    Accept,
    /// What was accepted leaves the file and the memory.
    LetGo,
    Commit(u32, i64, f64),
    /// Delivery gives way, and what waits goes to blocks.
    Seal,
}

fn events() -> impl Strategy<Value = Vec<(usize, Event)>> {
    // Within the range that questions ask for, often at times that are known already.
    let point = (0..DEVICES, 0_i64..72, -50.0_f64..50.0);
    let event = prop_oneof![
        3 => Just(Event::Accept),
        3 => Just(Event::LetGo),
        3 => point.prop_map(|(no, step, value)| Event::Commit(no, step * 240, value)),
        1 => Just(Event::Seal),
    ];
    prop::collection::vec((0..QUESTIONS_MAX, event), 0..8).prop_map(|mut events| {
        events.sort_by_key(|(nth, _)| *nth);
        events
    })
}

/// Readings by device and time.
type Known = BTreeMap<(u32, i64), f64>;

/// The site: what the events act on.
pub(super) struct Town {
    pub(super) store: Store,
    /// While there is one, no other delivery begins.
    accepted: Option<DeliveryStep>,
    /// Committed by events, in order.
    came: Vec<(u32, i64, f64)>,
}

impl Town {
    pub(super) fn new(stand_in: &StandIn, folder: &std::path::Path) -> Self {
        let mut store = Store::open(folder, SiteCalendar::named("Europe/Berlin")).expect("a store");
        store.use_influx(Influx::new(stand_in.options()).expect("a client"));
        Self { store, accepted: None, came: Vec::new() }
    }

    pub(super) fn accept(&mut self) {
        if self.accepted.is_none()
            && let Some(job) = begin_delivery(&mut self.store)
        {
            self.accepted = Some(job.run(|| TimestampMs(0)).expect("sent").expect("not void"));
        }
    }

    pub(super) fn let_go(&mut self) {
        if let Some(step) = self.accepted.take() {
            apply_delivery_step(&mut self.store, &step);
        }
    }

    fn act(&mut self, event: &Event) {
        match event {
            Event::Accept => self.accept(),
            Event::LetGo => self.let_go(),
            Event::Commit(no, minutes, value) => {
                let messages = vec![message(*no, at(*minutes), *value)];
                commit(&mut self.store, &Group { messages, ..Group::default() });
                self.came.push((*no, at(*minutes).0, *value));
            }
            Event::Seal => {
                self.accepted = None;
                seal(&mut self.store);
            }
        }
    }
}

fn town(stand_in: &StandIn, folder: &std::path::Path, happenings: Vec<Happening>) -> (Town, Known) {
    let mut town = Town::new(stand_in, folder);
    commit(&mut town.store, &Group { new_devices: (0..DEVICES).map(device).collect(), ..Group::default() });
    let mut known = Known::new();
    for happening in happenings {
        match happening {
            Happening::Points(points) => {
                let messages =
                    points.iter().map(|(no, minutes, value)| message(*no, at(*minutes), *value)).collect();
                known.extend(points.iter().map(|(no, minutes, value)| ((*no, at(*minutes).0), *value)));
                commit(&mut town.store, &Group { messages, ..Group::default() });
            }
            Happening::Settle => {
                town.accept();
                town.let_go();
            }
            Happening::BrokenSeal(_) => town.act(&Event::Seal),
            Happening::Restart | Happening::Zone(_) => {}
        }
    }
    (town, known)
}

/// Asks while the events happen; gives the answer, and the readings that came meanwhile.
pub(super) fn ask<T: Send>(
    stand_in: &StandIn,
    town: &Arc<Mutex<Town>>,
    events: &[(usize, Event)],
    question: impl FnOnce(&Shared) -> T,
) -> (T, Vec<(u32, i64, f64)>) {
    let shared = {
        let mut town = town.lock().expect("no panic");
        town.came.clear();
        town.store.shared.clone()
    };
    let (acting, mut events) = (town.clone(), events.to_vec());
    stand_in.before_each(move |nth| {
        let due = events.iter().take_while(|(at, _)| *at <= nth).count();
        let mut town = acting.lock().expect("no panic");
        events.drain(..due).for_each(|(_, event)| town.act(&event));
    });
    let answer = question(&shared);
    stand_in.act_no_more();
    let came = town.lock().expect("no panic").came.clone();
    (answer, came)
}

/// Whether there is a choice of what came meanwhile with which a window says this.
fn is_explained(
    known: &[((u32, i64), f64)],
    came: &[(u32, i64, f64)],
    function: Function,
    value: Option<f64>,
) -> bool {
    (0..1_u32 << came.len()).any(|chosen| {
        let mut points: Known = known.iter().copied().collect();
        let chosen = came.iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1);
        points.extend(chosen.map(|(_, (no, ms, value))| ((*no, *ms), *value)));
        let points: Vec<Point> =
            points.iter().map(|((_, ms), value)| Point { at: TimestampMs(*ms), value: *value }).collect();
        match value {
            Some(value) => !points.is_empty() && says(&points, function, value),
            None => points.is_empty(),
        }
    })
}

/// Each window of an answer is that of what was known, and of any of what came.
fn check(
    (query, calendar): (WindowQuery, SiteCalendar),
    devices: &[u32],
    known: &Known,
    came: &[(u32, i64, f64)],
    answer: &[Point],
) -> std::result::Result<(), TestCaseError> {
    let is_asked = |no: &u32, ms: &i64| devices.contains(no) && (query.from.0..query.to.0).contains(ms);
    let start_of = |ms: i64| query.window.start(calendar, TimestampMs(ms)).0;
    let mut windows: BTreeMap<i64, (Vec<_>, Vec<_>)> = BTreeMap::new();
    for ((no, ms), value) in known.iter().filter(|((no, ms), _)| is_asked(no, ms)) {
        windows.entry(start_of(*ms)).or_default().0.push(((*no, *ms), *value));
    }
    for (no, ms, value) in came.iter().filter(|(no, ms, _)| is_asked(no, ms)) {
        windows.entry(start_of(*ms)).or_default().1.push((*no, *ms, *value));
    }
    let said: BTreeMap<i64, f64> = answer.iter().map(|point| (point.at.0, point.value)).collect();
    prop_assert_eq!(said.len(), answer.len());
    prop_assert!(said.keys().all(|start| windows.contains_key(start)), "{:?} of {:?}", answer, windows);
    for (start, (known, came)) in &windows {
        let value = said.get(start).copied();
        prop_assert!(
            is_explained(known, came, query.function, value),
            "{:?} {start} is {value:?}: {known:?} and {came:?}",
            query.function
        );
    }
    Ok(())
}

fn windows_hold(
    happenings: Vec<Happening>,
    questions: &[(Question, Function)],
    events: &[(usize, Event)],
) -> std::result::Result<(), TestCaseError> {
    let (stand_in, folder) = (StandIn::start(), tempfile::tempdir().expect("a folder"));
    let (town, mut known) = town(&stand_in, folder.path(), happenings);
    let town = Arc::new(Mutex::new(town));
    for (question, function) in questions {
        let window: Window = question.window.parse().expect("a window");
        let (from, to) = (at(question.from), at(question.from + question.length));
        let query = WindowQuery { metric: MetricNo(0), from, to, window, function: *function };
        // Groups that share devices, and one that is empty.
        let groups = [question.devices.clone(), (0..DEVICES).collect(), Vec::new()];
        let asked: Vec<Vec<DeviceNo>> =
            groups.iter().map(|group| group.iter().copied().map(DeviceNo).collect()).collect();
        let (answer, came) = ask(&stand_in, &town, events, |shared| shared.windows(query, &asked));
        let calendar = town.lock().expect("no panic").store.shared.calendar;
        for (group, answer) in groups.iter().zip(answer.expect("an answer")) {
            check((query, calendar), group, &known, &came, &answer)?;
        }
        known.extend(came.into_iter().map(|(no, ms, value)| ((no, ms), value)));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 192 } else { 2_000 }))]

    #[test]
    fn no_event_between_two_questions_doubles_or_loses_a_point(
        happenings in happenings(),
        questions in questions(),
        functions in prop::collection::vec(prop::sample::select(Function::ALL), 6),
        events in events(),
    ) {
        let questions: Vec<_> = questions.into_iter().zip(functions.iter().map(|(_, function)| *function)).collect();
        windows_hold(happenings, &questions, &events)?;
    }

    #[test]
    fn a_series_answers_with_each_point_once_whatever_is_delivered_meanwhile(
        happenings in happenings(),
        events in events(),
    ) {
        let (stand_in, folder) = (StandIn::start(), tempfile::tempdir().expect("a folder"));
        let (town, known) = town(&stand_in, folder.path(), happenings);
        let town = Arc::new(Mutex::new(town));
        let (from, to) = (TimestampMs(0), TimestampMs(4_000_000_000_000));
        let answer = ask(&stand_in, &town, &events, |shared| {
            let first = shared.first_at(DeviceNo(0), MetricNo(0)).expect("an answer");
            (first, shared.telemetry(DeviceNo(0), MetricNo(0), from, to).expect("an answer"))
        });
        let ((first, points), came) = answer;
        let said: BTreeMap<i64, f64> = points.iter().map(|point| (point.at.0, point.value)).collect();
        prop_assert_eq!(said.len(), points.len());
        let came: Vec<_> = came.iter().filter(|(no, _, _)| *no == 0).map(|(_, ms, value)| (*ms, *value)).collect();
        for ((_, ms), value) in known.iter().filter(|((no, _), _)| *no == 0) {
            let is_told = said.get(ms).is_some_and(|said| said == value || came.contains(&(*ms, *said)));
            prop_assert!(is_told, "{} of {:?}", ms, said);
        }
        let is_known = |ms: i64| known.contains_key(&(0, ms));
        prop_assert!(said.iter().all(|(ms, value)| is_known(*ms) || came.contains(&(*ms, *value))));
        let oldest = known.keys().filter(|(no, _)| *no == 0).map(|(_, ms)| *ms).min();
        prop_assert!(oldest.is_none_or(|oldest| first.is_some_and(|first| first.0 <= oldest)));
    }
}
