//! Counters and the state that `/readyz`, `/metrics` and the console's banner tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use sanimon_domain::TimestampMs;

mod parts;

pub use parts::{Part, Parts};

/// Counters since the start of the process. Each is a promise's witness in `/metrics`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages that sources handed over.
    pub received: AtomicU64,
    /// Messages whose acknowledgement was released, after the synced commit.
    pub acknowledged: AtomicU64,
    /// Readings written to the journal.
    pub readings: AtomicU64,
    pub groups: AtomicU64,
    /// Readings received again with the same value: nothing was changed.
    pub duplicates: AtomicU64,
    /// Readings whose identity was known with another value: replaced.
    pub corrections: AtomicU64,
    /// Messages of which something went to the quarantine.
    pub quarantined: AtomicU64,
    /// What was wrong with messages, each cause counted.
    pub faults: AtomicU64,
    /// How often the rules' memory was read from the file again.
    pub engine_restores: AtomicU64,
    /// Readings that are not simply believed, kept beside telemetry.
    pub doubted: AtomicU64,
    pub commit_failures: AtomicU64,
    /// Jobs beside the writer (sealing, delivery) that failed or were lost.
    pub job_failures: AtomicU64,
    pub sealed_points: AtomicU64,
    /// Points that the service behind the store has accepted.
    pub delivered_points: AtomicU64,
    /// Readings whose time to be kept was over; their days' aggregates stay.
    pub expired_points: AtomicU64,
    /// Messages whose transaction was synced.
    pub committed: AtomicU64,
    /// Of these, the ones whose sender waits for an acknowledgement.
    pub committed_qos1: AtomicU64,
    /// Acknowledgements that sources really gave out, counted by them: none may be without its commit.
    pub acknowledgements_out: AtomicU64,
    /// Connections to the embedded broker.
    pub mqtt_connections: AtomicU64,
    /// Clients that are signed in to the embedded broker now.
    pub mqtt_signed_in: AtomicU64,
    /// Connections that ended before anybody had signed in: silent, too slow, or no MQTT.
    pub mqtt_not_signed_in: AtomicU64,
    /// Connections that lost their place before the sign-in to newer ones.
    pub mqtt_evicted: AtomicU64,
    /// Sign-ins to the broker that were refused.
    pub mqtt_refused: AtomicU64,
    /// Messages and subscriptions that their client has no right to.
    pub mqtt_denied: AtomicU64,
    /// Messages that had to wait, for their username speaks too fast.
    pub mqtt_slowed: AtomicU64,
}

impl Counters {
    pub fn add(counter: &AtomicU64, number: u64) {
        counter.fetch_add(number, Ordering::Relaxed);
    }

    pub fn subtract(counter: &AtomicU64, number: u64) {
        counter.fetch_sub(number, Ordering::Relaxed);
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// How often each limit was met: what was over it was not kept.
#[derive(Debug, Default)]
pub struct LimitCounters(Mutex<BTreeMap<&'static str, u64>>);

impl LimitCounters {
    /// Adds to a limit's count; with 0 it is only made known.
    pub fn count(&self, limit: &'static str, number: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(limit).or_default() += number;
    }

    /// Each limit's name, and how often it was met.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Who met a limit last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offender {
    /// A user name, or an address where there is none; empty: a client without a name.
    pub who: String,
    /// By the site's clock.
    pub at: TimestampMs,
}

impl Default for Offender {
    fn default() -> Self {
        Self { who: String::new(), at: TimestampMs(0) }
    }
}

/// Whether a source of messages is up, and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    pub connected: bool,
    pub detail: String,
}

/// The state of the running site.
#[derive(Debug, Default)]
pub struct Health {
    pub counters: Counters,
    pub limits: LimitCounters,
    /// Of the embedded broker.
    pub mqtt_limits: LimitCounters,
    /// Who met each of them last, and when.
    offenders: Mutex<BTreeMap<&'static str, Offender>>,
    pub parts: Parts,
    /// Why commits fail at the moment, in one line; `None` when they succeed.
    store_fault: RwLock<Option<String>>,
    ready: AtomicBool,
    sources: RwLock<BTreeMap<String, SourceState>>,
    /// The service behind the store, if there is one. Without it messages are taken all the same.
    backend: RwLock<Option<SourceState>>,
    /// When the site's certificate expires, in Unix seconds; 0: it has none.
    pub tls_expires_at_s: AtomicI64,
    /// The files of the certificates were changed, and cannot be read: those in force stay.
    pub tls_fault: AtomicBool,
    /// The site clock at the last commit, in milliseconds.
    pub last_commit_at: AtomicI64,
}

impl Health {
    /// Somebody met a limit of the embedded broker.
    pub fn note_mqtt_limit(&self, limit: &'static str, who: &str, at: TimestampMs) {
        self.mqtt_limits.count(limit, 1);
        let mut offenders = self.offenders.lock().unwrap_or_else(PoisonError::into_inner);
        let last = offenders.entry(limit).or_default();
        who.clone_into(&mut last.who);
        last.at = at;
    }

    /// Who met each limit of the embedded broker last; a limit that nobody has met is not there.
    pub fn mqtt_offenders(&self) -> BTreeMap<&'static str, Offender> {
        self.offenders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_store_fault(&self, fault: Option<String>) {
        *self.store_fault.write().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    pub fn store_fault(&self) -> Option<String> {
        self.store_fault.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_source(&self, name: &str, state: SourceState) {
        self.sources.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), state);
    }

    pub fn sources(&self) -> BTreeMap<String, SourceState> {
        self.sources.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_backend(&self, state: SourceState) {
        *self.backend.write().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    pub fn backend(&self) -> Option<SourceState> {
        self.backend.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All parts have started.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}
