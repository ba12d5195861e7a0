//! The town that never fails: what was committed, once more, on a sound disk and without an end. Its alerts, their histories
//! and what people were told must be the same.

use sanimon_domain::{SiteCalendar, TimestampMs};
use sanimon_store::{Alert, DiskFault, Faults, Shared, Step, Store};
use sanimon_writer::{Applied, Input, Live, Message, Received, Reloaded, Rest, Writer};

use super::model::{alerts, outbox};
use super::people::Deed;
use super::setting::{self, START};
use super::site::{Event, Logged, empty_database, folder};

/// Lives through the record; gives what the town's alerts came to.
pub(crate) fn relive(log: &[Logged]) -> Vec<String> {
    let folder = folder();
    std::fs::write(folder.path().join("sanimon.db"), empty_database("")).expect("a database");
    let store = Store::open(folder.path(), Some(SiteCalendar::utc())).expect("a store");
    let mut writer = Writer::open(store, setting::options(), START).expect("a start");
    for Logged { now, event } in log {
        let now = *now;
        let input = match event {
            Event::Messages(messages) => {
                let stored = messages.iter().filter(|(_, message)| !is_poisoned(message));
                let received = stored.map(|(_, message)| Received { message: message.clone(), ack: () });
                Input::Messages(received.collect())
            }
            Event::Deed(_, deed) if matches!(**deed, Deed::Retry(_)) => continue,
            Event::Deed(entry, deed) => Input::Command(entry.clone(), deed.command()),
            Event::Tick => Input::Tick,
            Event::Outage { from } => {
                writer = after_an_outage(writer, *from, now);
                continue;
            }
            Event::Restart => {
                writer = after_a_restart(writer, now);
                continue;
            }
            Event::Beside => continue,
        };
        writer = done(writer.apply(now, input), event);
    }
    told(writer.reader())
}

/// The silence of a time in which nothing could be heard is nobody's: that is the same however the disk refused.
fn after_an_outage(mut writer: Writer<Live>, from: TimestampMs, now: TimestampMs) -> Writer<Live> {
    let mut fails = true;
    let first = move |_| std::mem::take(&mut fails).then_some(DiskFault { code: 13, is_applied: false });
    writer.file_mut().set_faults(Faults::plan(first));
    let Applied::Held { writer, .. } = writer.apply::<()>(from, Input::Deliveries(Vec::new())) else {
        panic!("the disk was to refuse");
    };
    match writer.reload(now, Rest::<()>::default()) {
        Reloaded::Live { writer, .. } => writer,
        _ => panic!("a sound disk can be read"),
    }
}

fn after_a_restart(writer: Writer<Live>, now: TimestampMs) -> Writer<Live> {
    let store = writer.close();
    let options = setting::options_of(&store.shared);
    Writer::open(store, options, now).expect("a start")
}

/// What the file of the town refused.
fn is_poisoned(message: &Message) -> bool {
    message.payload.windows(12).any(|part| part == b"humidity_pct")
}

fn done(applied: Applied<()>, event: &Event) -> Writer<Live> {
    match applied {
        Applied::Done { writer, outputs } => {
            let is_refused = matches!(outputs.answer, Some(Err(_)));
            assert!(!is_refused, "what was carried out is refused now: {event:?} {:?}", outputs.answer);
            writer
        }
        Applied::Held { writer, .. } => panic!("a sound disk refuses: {}", writer.cause()),
        Applied::Fatal { failure, .. } => panic!("a sound disk is damaged: {failure}"),
    }
}

/// Alerts with their histories, and what was told of them.
pub(crate) fn told(shared: &Shared) -> Vec<String> {
    let alert = |(alert, steps): (Alert, Vec<Step>)| {
        let Alert { id, rule, subject, severity, condition, handling, value, .. } = &alert;
        let Alert { raised_at, known_at, cleared_at, replaced_by, deadlines, assignee, .. } = &alert;
        let by =
            [deadlines.acknowledge_by, deadlines.arrive_by, deadlines.resolve_by].map(|at| at.map(|at| at.0));
        let steps: Vec<String> = steps
            .iter()
            .map(|Step { at, kind, who, severity, value, note, assignee }| {
                format!("{} {kind} {severity} {value:?} {who:?} {note:?} {assignee:?}", at.0)
            })
            .collect();
        format!(
            "#{} {rule} {subject:?} {severity} {condition} {handling} {value:?} at {} known {} cleared {:?} {replaced_by:?} \
             by {by:?} {assignee:?}\n    {}",
            id.0,
            raised_at.0,
            known_at.0,
            cleared_at.map(|at| at.0),
            steps.join("\n    ")
        )
    };
    let mut all: Vec<String> = alerts(shared).into_iter().map(alert).collect();
    let messages = outbox(shared).into_iter().filter(|message| message.alert.is_some()).map(|message| {
        let to = message.escalated_to;
        format!(
            "told {:?} {} {} {} {:?} {to:?}",
            message.alert,
            message.event.as_str(),
            message.at,
            message.severity,
            message.value
        )
    });
    let mut messages: Vec<String> = messages.collect();
    messages.sort();
    all.sort();
    all.extend(messages);
    all
}

/// The same alerts with the same histories, told to people the same way.
pub(crate) fn compare(ours: &[String], theirs: &[String]) -> Result<(), String> {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).take(2).cloned().collect()
    };
    if ours == theirs {
        return Ok(());
    }
    let (ours, theirs) = (only(ours, theirs).join("\n"), only(theirs, ours).join("\n"));
    Err(format!("only here:\n{ours}\nonly without failures:\n{theirs}"))
}
