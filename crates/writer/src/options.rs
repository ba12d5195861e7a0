//! What a writer is started with, and every bound that it keeps.

use std::sync::Arc;

use sanimon_alerting::RuleSet;
use sanimon_domain::SiteCalendar;
use sanimon_domain::time::{DAY_MS, PlausibleWindow};
use sanimon_operations::OperationsSettings;
use sanimon_store::{QuarantineLimits, Retention, Zone};

/// What a writer is started with.
#[derive(Debug, Clone)]
pub struct Options {
    pub rules: Arc<RuleSet>,
    /// False: rows are entered while the site's rules are not known, by a command. No alert changes; what follows from the
    /// rows is seen at the site's next start.
    pub evaluates_rules: bool,
    /// The text of the rules: it is kept with their version. `None`: they are nobody's text (a demo's past, a test).
    pub rules_text: Option<String>,
    pub operations: Arc<OperationsSettings>,
    /// Those of the zones' file; `None`: there is none, and the store knows them.
    pub zones: Option<Vec<Zone>>,
    pub acceptance: AcceptanceLimits,
    pub retention: Retention,
    /// How long what residents wrote and showed is kept.
    pub reports_kept_ms: i64,
    pub quarantine: QuarantineLimits,
    pub thresholds: Thresholds,
}

impl Options {
    /// For a command that enters rows: no rule sees them before the site's next start.
    pub fn of_rows_only(calendar: SiteCalendar) -> Self {
        let operations = Arc::new(OperationsSettings::standard(calendar));
        Self { evaluates_rules: false, ..Self::new(Arc::default(), operations) }
    }

    /// A site that has decided nothing but its rules.
    pub fn new(rules: Arc<RuleSet>, operations: Arc<OperationsSettings>) -> Self {
        Self {
            rules,
            evaluates_rules: true,
            rules_text: None,
            operations,
            zones: None,
            acceptance: AcceptanceLimits::default(),
            retention: Retention::default(),
            reports_kept_ms: 90 * DAY_MS,
            quarantine: QuarantineLimits::default(),
            thresholds: Thresholds::default(),
        }
    }
}

/// How readings are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AcceptanceLimits {
    /// How far a device's clock may be off before its time is not believed.
    pub window: PlausibleWindow,
    pub site: SiteLimits,
}

/// What bounds a site that devices fill by themselves, and the share that one of them may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteLimits {
    /// Devices that nobody has entered.
    pub discovered_devices_max: usize,
    /// Of those, how many one connection may bring in an hour: half of them. A gateway may speak for a whole town.
    pub discovered_by_connection_max: usize,
    /// Metrics that no table knows.
    pub custom_metrics_max: usize,
    /// Of those, what a device may have.
    pub custom_metrics_of_device_max: usize,
    /// Of those, what all devices together may bring that nobody has accepted yet.
    pub custom_metrics_of_discovered_max: usize,
}

impl Default for SiteLimits {
    fn default() -> Self {
        Self {
            discovered_devices_max: 10_000,
            discovered_by_connection_max: 5_000,
            custom_metrics_max: 1_000,
            custom_metrics_of_device_max: 32,
            custom_metrics_of_discovered_max: 300,
        }
    }
}

/// When work beside the messages is due, and how much of it is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Unsealed points at which a seal begins: 16 bytes each in memory, and a fraction of a second to read at start.
    pub seal_at_points: usize,
    /// Unsealed points of a series, on average, below which a seal would mostly rewrite rows for nothing.
    pub seal_at_points_per_series: usize,
    /// Whatever the number of series, a seal begins here.
    pub seal_at_points_max: usize,
    /// Unsealed points at which the writer holds what comes: sealing has failed for long, and memory is bounded.
    pub unsealed_points_max: usize,
    /// Points go to InfluxDB, where there is one, at least this often, and sooner when many wait.
    pub deliver_every_ms: i64,
    pub deliver_at_points: usize,
    /// Blocks that retention deletes in one transaction: some milliseconds between two groups of messages.
    pub expired_blocks_per_step: usize,
    /// Missed deadlines that are told in one transaction.
    pub escalations_per_step: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            seal_at_points: 400_000,
            seal_at_points_per_series: 100,
            seal_at_points_max: 1_500_000,
            unsealed_points_max: 6_000_000,
            deliver_every_ms: 500,
            deliver_at_points: 10_000,
            expired_blocks_per_step: 500,
            escalations_per_step: 500,
        }
    }
}
