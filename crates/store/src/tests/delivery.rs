//! Delivery to an InfluxDB that misbehaves: a server that answers as it is told.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sanimon_domain::{DeviceKind, DeviceNo, MetricNo, TimestampMs};

use super::{START, commit, device, message};
use crate::*;

/// What the server does with a write.
type Answer = fn(nth: usize, body: &str) -> Option<(u16, &'static str)>;

/// Keeps the lines that it accepted, in order.
struct Fake {
    url: String,
    accepted: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// `None` from `answer` ends the connection without a word.
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let accepted: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = accepted.clone();
        std::thread::spawn(move || {
            for (nth, stream) in listener.incoming().enumerate() {
                let Ok(mut stream) = stream else { return };
                let Some(body) = request_body(&stream) else { continue };
                let Some((status, text)) = answer(nth, &body) else { continue };
                if status == 204 {
                    kept.lock().expect("no panic").extend(body.lines().map(str::to_owned));
                }
                let head = format!(
                    "HTTP/1.1 {status} S\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    text.len()
                );
                let _ = stream.write_all(format!("{head}{text}").as_bytes());
            }
        });
        Self { url, accepted }
    }

    fn store(&self, folder: &std::path::Path) -> Store {
        let mut store = Store::open(folder, None).expect("a store");
        let options = InfluxOptions {
            url: self.url.clone(),
            org: "town".to_owned(),
            bucket: "b".to_owned(),
            token: "secret-token".to_owned(),
            retention_days: None,
        };
        store.use_influx(Influx::new(options).expect("a client"));
        store
    }

    fn accepted(&self) -> Vec<String> {
        self.accepted.lock().expect("no panic").clone()
    }
}

fn request_body(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}

fn with_points(store: &mut Store) {
    let new_devices = (0..8).map(device).collect();
    let messages = (0..8).map(|no| message(no, START.plus_ms(i64::from(no)), f64::from(no))).collect();
    commit(store, &Group { new_devices, messages, ..Group::default() });
}

fn deliver_all(store: &mut Store) {
    while let Some(job) = store.writer.begin_delivery_if_due().expect("a job") {
        let step = job.run(|| START).expect("sent").expect("not void");
        store.writer.apply_delivery_step(&step).expect("a step");
    }
}

fn devices_of(lines: &[String]) -> BTreeSet<String> {
    lines
        .iter()
        .filter_map(|line| Some(line.split_once("device=")?.1.split([',', ' ']).next()?.to_owned()))
        .collect()
}

#[test]
fn a_server_that_is_away_slow_or_overloaded_gets_everything_in_the_end() {
    let fake = Fake::start(|nth, _| match nth {
        0 => Some((429, r#"{"message":"too many"}"#)),
        1 => Some((500, "oops")),
        2 => None,
        3 => Some((401, r#"{"message":"unauthorized"}"#)),
        _ => Some((204, "")),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = fake.store(folder.path());
    with_points(&mut store);
    deliver_all(&mut store);

    assert_eq!(devices_of(&fake.accepted()).len(), 8);
    assert_eq!(store.shared.hot.read().unsealed_points(), 0);
    assert!(store.shared.quarantine(None, 10).expect("a page").items.is_empty());
    assert!(store.shared.health.backend().expect("a state").connected);
}

#[test]
fn refused_lines_go_to_the_quarantine_with_the_reason_and_the_rest_goes_on() {
    let fake = Fake::start(|_, body| {
        if body.contains("device=d-3") || body.contains("device=d-6") {
            return Some((400, r#"{"code":"invalid","message":"unable to parse: a field conflict"}"#));
        }
        Some((204, ""))
    });
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = fake.store(folder.path());
    with_points(&mut store);
    deliver_all(&mut store);

    let accepted = devices_of(&fake.accepted());
    assert_eq!(accepted.len(), 6);
    assert!(!accepted.contains("d-3") && !accepted.contains("d-6"));
    let refused = store.shared.quarantine(None, 10).expect("a page").items;
    assert_eq!(refused.len(), 2);
    for entry in refused {
        assert_eq!(entry.code, "refused_by_influxdb");
        assert!(entry.message.contains("a field conflict"), "{}", entry.message);
        assert!(String::from_utf8(entry.payload).expect("text").contains("fill_pct="));
    }
}

#[test]
fn what_waits_is_answered_and_a_restart_goes_on() {
    let fake = Fake::start(|_, _| Some((204, "")));
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = fake.store(folder.path());
    with_points(&mut store);
    let job = store.writer.begin_delivery_if_due().expect("a job").expect("something waits");
    let step = job.run(|| START).expect("sent").expect("not void");
    // Killed between InfluxDB's answer and our commit.
    drop((store, step));

    let mut store = fake.store(folder.path());
    assert_eq!(store.shared.hot.read().unsealed_points(), 8);
    deliver_all(&mut store);
    // Sent twice: the same lines, which change nothing there.
    let accepted = fake.accepted();
    assert_eq!((accepted.len(), accepted.iter().collect::<BTreeSet<_>>().len()), (16, 8));
    assert_eq!(store.shared.hot.read().unsealed_points(), 0);
}

#[test]
fn points_that_wait_too_long_for_the_memory_are_delivered_from_blocks() {
    let fake = Fake::start(|_, _| Some((204, "")));
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = fake.store(folder.path());
    with_points(&mut store);
    let stuck = store.writer.begin_delivery_if_due().expect("a job").expect("something waits");
    store.writer.stop_delivery();
    super::seal(&mut store);
    assert_eq!(store.shared.hot.read().unsealed_points(), 0);
    // The delivery that was under way finds that nobody waits for it.
    assert!(stuck.run(|| START).expect("no fault").is_none());

    deliver_all(&mut store);
    assert_eq!(devices_of(&fake.accepted()).len(), 8);
    assert!(store.writer.begin_delivery_if_due().expect("no fault").is_none());
}

#[test]
fn the_days_of_readings_that_are_gone_stay_when_everything_else_has_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, model) = super::windows::a_year(folder.path());
    let end = TimestampMs(*model.keys().next_back().expect("points"));
    store.writer.set_retention(Retention { months: vec![(DeviceKind::Bin, 3)] });
    while store.writer.tidy(end).expect("a step") {}
    let months = || -> Vec<i32> {
        let file = rusqlite::Connection::open(folder.path().join("sanimon.db")).expect("the file");
        let mut statement = file.prepare("SELECT month FROM day_month ORDER BY month").expect("sql");
        statement
            .query_map([], |row| row.get(0))
            .expect("rows")
            .map(|month| month.expect("a month"))
            .collect()
    };
    let before = months();
    drop(store);

    let fake = Fake::start(|_, _| Some((204, "")));
    let mut store = fake.store(folder.path());
    let this_month = store.shared.calendar.day_of(end).month();
    deliver_all(&mut store);
    let expected: Vec<i32> = before.into_iter().filter(|month| *month < this_month - 3).collect();
    assert!(expected.len() > 6, "{expected:?}");
    assert_eq!(months(), expected);
}

#[test]
fn the_token_is_in_no_text() {
    let fake = Fake::start(|_, _| Some((401, r#"{"message":"unauthorized access"}"#)));
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = fake.store(folder.path());
    with_points(&mut store);
    let error =
        store.shared.telemetry(DeviceNo(0), MetricNo(0), START, START.plus_ms(1)).expect_err("refused");
    assert!(error.to_string().contains("unauthorized access"), "{error}");
    let said = format!("{:?} {:?} {:?}", error, store.shared, store.writer);
    assert!(!said.contains("secret-token"), "{said}");
}
