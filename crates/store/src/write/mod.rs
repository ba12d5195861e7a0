//! The writing side: one connection, owned by one thread.

mod access;
mod alerts;
mod checkpoint;
mod commands;
mod commit;
mod conduct;
mod deliver;
mod outbox;
mod reports;
pub(crate) mod retention;
mod seal;
mod setup;
mod trust;
mod windows;

pub use reports::REPORT_RULE;
pub use retention::Retention;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::{Connection, Transaction};
use sanimon_alerting::{Effect, RuleSet};
use sanimon_domain::{DeviceNo, Fault, MetricNo, TimestampMs};
use sanimon_operations::OperationsSettings;
use sanimon_operations::Teams;

use crate::error::{Result, StoreError};
use crate::influx::Influx;
use crate::journal::JournalMessage;
use crate::model::{Device, DeviceEvent, Doubted, NewAudit, Point};
use crate::read::{EngineMemory, ReaderPool};
use crate::shared::Shared;

/// How much of a payload the quarantine keeps: enough to see what it is.
pub(crate) const QUARANTINE_PAYLOAD_BYTES: usize = 4_096;
/// How much of a topic the quarantine keeps (MQTT allows 65,535 bytes).
const QUARANTINE_TOPIC_CHARS: usize = 256;
/// Different (topic, cause) pairs that the quarantine keeps; the longest unseen goes first.
pub(crate) const QUARANTINE_ROWS_MAX: i64 = 10_000;

/// Something that could not be understood.
#[derive(Debug, Clone, PartialEq)]
pub struct QuarantineEntry {
    pub topic: String,
    pub source: Arc<str>,
    pub fault: Fault,
    /// Cut to what is stored.
    pub payload: Vec<u8>,
    pub payload_bytes: usize,
    pub at: TimestampMs,
}

impl QuarantineEntry {
    /// Cuts topic and payload to what the quarantine keeps.
    pub fn new(topic: &str, source: Arc<str>, fault: Fault, payload: &[u8], at: TimestampMs) -> Self {
        let kept = &payload[..payload.len().min(QUARANTINE_PAYLOAD_BYTES)];
        let topic = topic.chars().take(QUARANTINE_TOPIC_CHARS).collect();
        Self { topic, source, fault, payload: kept.to_vec(), payload_bytes: payload.len(), at }
    }
}

/// What one transaction holds. In the order of the fields it is written.
#[derive(Debug, Default)]
pub struct Group {
    pub new_devices: Vec<Device>,
    /// Known devices whose entry a message changed: a calibration that was waited for.
    pub changed_devices: Vec<Device>,
    pub new_metrics: Vec<(MetricNo, Box<str>)>,
    pub messages: Vec<JournalMessage>,
    pub statuses: Vec<(DeviceNo, bool, TimestampMs)>,
    pub last_known: Vec<(DeviceNo, MetricNo, f64, TimestampMs)>,
    pub events: Vec<DeviceEvent>,
    pub doubted: Vec<Doubted>,
    /// Readings that a later one confirmed: they are telemetry now.
    pub undoubted: Vec<(DeviceNo, MetricNo, TimestampMs)>,
    /// What each series holds afterwards for the next reading to decide.
    pub held: Vec<(DeviceNo, MetricNo, Option<Point>)>,
    pub effects: Vec<Effect>,
    pub quarantine: Vec<QuarantineEntry>,
    /// Counted when the group is committed.
    pub duplicates: u64,
    pub corrections: u64,
    /// Messages in the group, whatever became of them.
    pub received: u64,
}

impl Group {
    fn changes_directory(&self) -> bool {
        !(self.new_devices.is_empty()
            && self.changed_devices.is_empty()
            && self.new_metrics.is_empty()
            && self.statuses.is_empty())
    }

    pub fn is_empty(&self) -> bool {
        self.new_devices.is_empty()
            && self.new_metrics.is_empty()
            && self.messages.is_empty()
            && self.statuses.is_empty()
            && self.last_known.is_empty()
            && self.changed_devices.is_empty()
            && self.events.is_empty()
            && self.doubted.is_empty()
            && self.undoubted.is_empty()
            && self.held.is_empty()
            && self.effects.is_empty()
            && self.quarantine.is_empty()
    }
}

/// The owner of the writing connection.
#[derive(Debug)]
pub struct Writer {
    connection: Connection,
    shared: Shared,
    readers: Arc<ReaderPool>,
    checkpointer: checkpoint::Checkpointer,
    /// Raised by [`Writer::reload`]: seals begun before are void.
    generation: u64,
    /// A seal is under way: it has read blocks that only it may change.
    maintenance_running: bool,
    /// Set to end the delivery that is under way.
    delivery: Option<Arc<AtomicBool>>,
    retention: Retention,
    tidied: Option<retention::RetentionRound>,
    quarantine_rows: i64,
    conduct: Arc<OperationsSettings>,
    /// What the next transaction is to be remembered for.
    audited: Option<NewAudit>,
    /// When the next missed promise is to be told.
    escalate_at: Option<TimestampMs>,
}

impl Writer {
    pub(crate) fn new(connection: Connection, shared: Shared, readers: Arc<ReaderPool>) -> Result<Self> {
        let quarantine_rows = connection
            .query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0))
            .map_err(StoreError::doing("count the quarantine"))?;
        let checkpointer = checkpoint::Checkpointer::start(readers.path())?;
        let conduct = Arc::new(OperationsSettings::standard(shared.calendar));
        let escalate_at = conduct::next_escalation(&connection)?;
        Ok(Self {
            connection,
            shared,
            readers,
            checkpointer,
            generation: 0,
            maintenance_running: false,
            delivery: None,
            retention: Retention::default(),
            tidied: None,
            quarantine_rows,
            conduct,
            audited: None,
            escalate_at,
        })
    }

    pub(crate) fn use_influx(&mut self, influx: Arc<Influx>) {
        self.shared.influx = Some(influx);
    }

    /// Whether a commit waits for the disk. Only a past that can be made again may do without.
    pub fn set_durable(&mut self, durable: bool) -> Result<()> {
        let word = if durable { "FULL" } else { "OFF" };
        self.connection
            .pragma_update(None, "synchronous", word)
            .map_err(StoreError::doing("say whether commits wait for the disk"))
    }

    /// Who is responsible for what, and who is told, from now on.
    pub fn use_conduct(&mut self, conduct: Arc<OperationsSettings>) {
        self.shared.standing.set_operations(conduct.clone());
        self.conduct = conduct;
    }

    /// Other teams, responsibilities, deadlines and goals. Clocks that run go on as they were set.
    pub fn use_duties(&mut self, duties: Teams) -> Result<()> {
        // Their text is in a file; what is stored here is that somebody changed them.
        self.transaction()?.commit().map_err(StoreError::doing("commit a change of duties"))?;
        self.use_conduct(Arc::new(OperationsSettings {
            teams: duties,
            ..OperationsSettings::clone(&self.conduct)
        }));
        Ok(())
    }

    pub fn conduct(&self) -> &Arc<OperationsSettings> {
        &self.conduct
    }

    fn note_clocks(&mut self) -> Result<()> {
        self.escalate_at = conduct::next_escalation(&self.connection)?;
        Ok(())
    }

    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// After a failed commit: forgets what is in memory and reads it again from the file.
    pub fn reload(&mut self) -> Result<()> {
        self.give_up_delivery();
        self.generation += 1;
        self.maintenance_running = false;
        self.note_clocks()?;
        self.shared.load(&self.connection)
    }

    /// What the engine must remember, from the file.
    pub fn engine_memory(&self, rules: &RuleSet) -> Result<EngineMemory> {
        EngineMemory::load(&self.connection, rules)
    }

    /// A transaction that takes the write lock at once: it fails at its start, not at its end.
    fn transaction(&mut self) -> Result<Transaction<'_>> {
        let audited = self.audited.take();
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(StoreError::doing("begin a transaction"))?;
        if let Some(entry) = audited {
            setup::append_audit(&transaction, &entry)?;
        }
        Ok(transaction)
    }
}
