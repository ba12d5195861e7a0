//! A site's file and its memory, for comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::types::Value;
use sanimon_alerting::RuleSet;
use sanimon_domain::{AlertId, MetricNo, TimestampMs};
use sanimon_operations::OperationsSettings;
use sanimon_store::{Credential, Device, Latest, Zone};

use crate::site::Site;

/// All rows of all tables, but for the number of the last commit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows(BTreeMap<String, Vec<String>>);

impl Rows {
    pub(super) fn table(&self, name: &str) -> &[String] {
        &self.0[name]
    }

    /// The tables that are not the same.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let differ = |(table, rows): &(&String, &Vec<String>)| other.0.get(*table) != Some(*rows);
        self.0.iter().filter(differ).map(|(table, _)| table.clone()).collect()
    }
}

/// What is in memory of what the file says.
#[derive(Clone)]
pub(super) struct Remembered {
    devices: Vec<Device>,
    zones: Vec<Zone>,
    metrics: BTreeMap<u16, String>,
    next_metric: u16,
    credentials: Vec<Vec<Credential>>,
    rules: Arc<RuleSet>,
    operations: Option<Arc<OperationsSettings>>,
    open_alerts: BTreeSet<AlertId>,
    latest: Vec<Vec<Latest>>,
    heard_at: Vec<Option<TimestampMs>>,
}

impl Remembered {
    /// The parts of it that are not the same, as they are here and there.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let parts = |it: &Self| {
            let Self {
                devices,
                zones,
                metrics,
                next_metric,
                credentials,
                rules,
                operations,
                open_alerts,
                ..
            } = it;
            [
                format!("{devices:?}"),
                format!("{zones:?}"),
                format!("{metrics:?}, then {next_metric}"),
                format!("{credentials:?}"),
                format!("{rules:?}"),
                format!("{operations:?}"),
                format!("open: {open_alerts:?}"),
                format!("{:?}", it.latest),
                format!("heard: {:?}", it.heard_at),
            ]
        };
        let pairs = parts(self).into_iter().zip(parts(other));
        pairs.filter(|(here, there)| here != there).map(|(here, there)| format!("{here} / {there}")).collect()
    }
}

impl Site {
    pub(crate) fn rows(&self) -> Rows {
        const TABLES: &str =
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                              AND name <> 'commit_no'";
        let connection = self.connection();
        let mut tables = connection.prepare(TABLES).expect("SQL");
        let names = tables.query_map([], |row| row.get(0)).expect("tables");
        let rows = |name: String| {
            let mut all = connection.prepare(&format!("SELECT * FROM {name}")).expect("SQL");
            let columns = all.column_count();
            let row = |row: &rusqlite::Row<'_>| {
                let cells: Vec<Value> = (0..columns).map(|n| row.get(n)).collect::<Result<_, _>>()?;
                Ok(format!("{cells:?}"))
            };
            let mut rows: Vec<String> =
                all.query_map([], row).expect("rows").collect::<Result<_, _>>().expect("rows");
            rows.sort();
            (name, rows)
        };
        Rows(names.map(|name| rows(name.expect("a name"))).collect())
    }

    pub(super) fn remembered(&self) -> Remembered {
        let open_alerts = self.writer().open_alerts().into_iter().collect();
        let shared = self.shared();
        let (directory, recent) = (shared.directory.read(), shared.hot.read());
        let numbers = || directory.devices().iter().map(|device| device.no);
        let credentials =
            |name: &String| shared.access.credentials_of(name).iter().map(|c| Credential::clone(c)).collect();
        let named = |no: MetricNo| (no.0, directory.metric_name(no).expect("a name").to_owned());
        Remembered {
            devices: directory.devices().iter().map(|device| Device::clone(device)).collect(),
            zones: directory.zones().iter().map(|zone| Zone::clone(zone)).collect(),
            metrics: directory.custom_metric_numbers().map(named).collect(),
            next_metric: directory.next_custom_metric(),
            credentials: shared.access.usernames().iter().map(credentials).collect(),
            rules: shared.standing.rules(),
            operations: shared.standing.operations(),
            open_alerts,
            latest: numbers().map(|no| recent.latest(no).collect()).collect(),
            heard_at: numbers().map(|no| recent.heard_at(no)).collect(),
        }
    }
}
