//! A store with messages in its outbox, and a clock of its own.

use std::fmt;
use std::future::ready;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use sanimon_domain::time::DAY_MS;
use sanimon_domain::{Clock, Heartbeat, TimestampMs};
use sanimon_notify::{
    Channel, ChannelDelivery, ChannelKind, DeliveryParts, Language, OutcomeSink, Recording, Site, Templates,
    run_channel,
};
use sanimon_store::{DeliveryOutcome, File, OutboxMessage, Shared, Store, StoreError, Tx};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const START: TimestampMs = TimestampMs(1_772_323_200_000);

/// Shows the time of tokio, which stands still while something happens and jumps when nothing does.
#[derive(Debug)]
pub(crate) struct TestClock {
    started: tokio::time::Instant,
    /// At which question from now on it panics; below 1: never.
    panics_at: AtomicI64,
}

impl TestClock {
    pub(crate) fn panic_at_question(&self, n: i64) {
        self.panics_at.store(n, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> TimestampMs {
        assert!(self.panics_at.fetch_sub(1, Ordering::SeqCst) != 1, "the clock was told to panic");
        START.plus_ms(self.started.elapsed().as_millis() as i64)
    }
}

/// Writes outcomes down as the writer does, unless the disk is full.
pub(crate) struct Ledger {
    file: Mutex<File>,
    pub(crate) is_full: AtomicBool,
    pub(crate) refused: AtomicI64,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

impl OutcomeSink for Ledger {
    fn record(&self, outcomes: Vec<DeliveryOutcome>) -> Recording<'_> {
        if self.is_full.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Box::pin(ready(Err("the disk is full".to_owned())));
        }
        let noted = self.write(|tx| outcomes.iter().try_for_each(|outcome| tx.put_outcome(outcome)));
        Box::pin(ready(noted.map_err(|error| error.to_string())))
    }
}

impl Ledger {
    /// All of it or nothing.
    fn write<T>(&self, rows: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut file = self.file.lock().unwrap();
        let tx = file.begin()?;
        let written = rows(&tx)?;
        tx.commit().map_err(|failed| failed.error)?;
        Ok(written)
    }
}

pub(crate) struct Town {
    path: PathBuf,
    pub(crate) shared: Shared,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) ledger: Arc<Ledger>,
    stop: watch::Sender<bool>,
    _lock: std::fs::File,
    _folder: tempfile::TempDir,
}

/// A channel that runs.
pub(crate) struct Running {
    pub(crate) delivery: Arc<ChannelDelivery>,
    pub(crate) heartbeat: Arc<Heartbeat>,
    pub(crate) task: JoinHandle<()>,
}

/// What a message in the outbox is. Its alert has its title.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) channel: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) title: &'static str,
    pub(crate) event: &'static str,
    pub(crate) due_in_ms: i64,
    pub(crate) expires_in_ms: i64,
    pub(crate) is_digest: bool,
}

pub(crate) const fn entry(severity: &'static str, title: &'static str) -> Entry {
    Entry {
        channel: "c",
        severity,
        title,
        event: "raised",
        due_in_ms: 0,
        expires_in_ms: DAY_MS,
        is_digest: false,
    }
}

impl Town {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let Store { file, shared, lock, .. } = Store::open(folder.path(), None).unwrap();
        let path = folder.path().join("sanimon.db");
        assert!(path.exists(), "the store's file has another name");
        let clock =
            Arc::new(TestClock { started: tokio::time::Instant::now(), panics_at: AtomicI64::new(0) });
        let ledger = Arc::new(Ledger {
            file: Mutex::new(file),
            is_full: AtomicBool::new(false),
            refused: AtomicI64::new(0),
        });
        Self { path, shared, clock, ledger, stop: watch::channel(false).0, _lock: lock, _folder: folder }
    }

    /// Puts messages into the outbox, each with an alert of its own, and rings once. Gives their numbers.
    pub(crate) fn put(&self, entries: &[Entry]) -> Vec<i64> {
        let file = Connection::open(&self.path).unwrap();
        let ids = entries.iter().map(|entry| {
            let alert = self.put_alert(&file, entry);
            self.put_message(&file, entry, alert)
        });
        let ids = ids.collect();
        self.ring();
        ids
    }

    /// Another message about the alert of this one.
    pub(crate) fn put_about_the_same(&self, message: i64, entry: &Entry) -> i64 {
        let file = Connection::open(&self.path).unwrap();
        let sql = "SELECT alert_id FROM outbox WHERE id = ?1";
        let alert = file.query_row(sql, [message], |row| row.get(0)).unwrap();
        let id = self.put_message(&file, entry, alert);
        self.ring();
        id
    }

    pub(crate) fn forget_alert_of(&self, message: i64) {
        let sql = "DELETE FROM alert WHERE id = (SELECT alert_id FROM outbox WHERE id = ?1)";
        Connection::open(&self.path).unwrap().execute(sql, [message]).unwrap();
    }

    pub(crate) fn damage_alert_of(&self, message: i64) {
        let sql = "UPDATE alert SET handling = 'xyz' WHERE id = (SELECT alert_id FROM outbox WHERE id = ?1)";
        Connection::open(&self.path).unwrap().execute(sql, [message]).unwrap();
    }

    fn put_alert(&self, file: &Connection, entry: &Entry) -> i64 {
        let now = self.clock.now().0;
        file.execute(
            "INSERT INTO alert (rule_id, title_en, title_zh, metric_no, severity, condition, handling, value, raised_at,
               known_at, changed_at, group_kind, group_id, escalations)
             VALUES ('r', ?1, ?1, 0, ?2, 'active', 'new', 91, ?3, ?3, ?3, 'zone', 'east', 0)",
            params![entry.title, entry.severity, now],
        )
        .unwrap();
        file.last_insert_rowid()
    }

    fn put_message(&self, file: &Connection, entry: &Entry, alert: i64) -> i64 {
        let now = self.clock.now().0;
        let Entry { channel, severity, event, due_in_ms, expires_in_ms, is_digest, .. } = *entry;
        file.execute(
            "INSERT INTO outbox (channel, alert_id, event, at, severity, is_digest, due_at, expires_at, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting')",
            params![channel, alert, event, now, severity, is_digest, now + due_in_ms, now + expires_in_ms],
        )
        .unwrap();
        file.last_insert_rowid()
    }

    pub(crate) fn ring(&self) {
        self.shared.outbox_bell.send_modify(|rung| *rung += 1);
    }

    /// A person's click on "Try again"; false: there was nothing to try again.
    pub(crate) fn retry(&self, message: i64) -> bool {
        let is_tried = self.ledger.write(|tx| tx.retry_message(message, self.clock.now())).unwrap();
        if is_tried {
            self.ring();
        }
        is_tried
    }

    pub(crate) fn message(&self, id: i64) -> OutboxMessage {
        let page = self.shared.messages(None, None, 10_000).unwrap();
        page.items.into_iter().find(|message| message.id == id).unwrap()
    }

    /// How many messages are in this state.
    pub(crate) fn count(&self, state: &str) -> usize {
        let page = self.shared.messages(None, None, 10_000).unwrap();
        page.items.iter().filter(|message| message.state.as_str() == state).count()
    }

    pub(crate) fn start(&self, name: &str, kind: ChannelKind) -> Running {
        let templates = Templates { subject: None, body: Some("{title}".to_owned()) };
        let channel = Channel { name: name.to_owned(), language: Language::English, kind, templates };
        let parts = DeliveryParts {
            site: Site { name: "Town".to_owned(), url: None },
            shared: self.shared.clone(),
            clock: self.clock.clone(),
            outcomes: self.ledger.clone(),
        };
        self.run(Arc::new(ChannelDelivery::new(channel, &parts)))
    }

    /// Runs a channel, also one that ran before.
    pub(crate) fn run(&self, delivery: Arc<ChannelDelivery>) -> Running {
        let heartbeat = Arc::new(Heartbeat::default());
        let running = run_channel(delivery.clone(), heartbeat.clone(), self.stop.subscribe());
        Running { delivery, heartbeat, task: tokio::spawn(running) }
    }

    pub(crate) async fn stop(&self, running: Running) {
        self.stop.send_replace(true);
        running.task.await.unwrap();
    }
}

/// A test that needs longer in real time is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what happens without any time of the clock passing.
pub(crate) async fn at_once(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited for: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
        // Ready again at once: the clock does not move.
        tokio::task::yield_now().await;
    }
}

/// Lets the clock run until it happens, at most for this time.
pub(crate) async fn within(seconds: u64, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "waited {seconds} s of the clock for: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Lets the clock run.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
