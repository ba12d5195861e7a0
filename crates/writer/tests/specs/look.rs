//! What a site has stored, as a specification asks for it.

use rusqlite::types::FromSql;
use sanimon_domain::{DeviceId, TimestampMs};
use sanimon_store::{Alert, AlertFilter, Counters, Device, Quarantined, Series};
use sanimon_writer::PutDevices;

use crate::say::START;
use crate::site::Site;

impl Site {
    pub(crate) fn device(&self, name: &str) -> Device {
        let directory = self.shared().directory.read();
        let no = directory.find(&id(name)).expect("a known device");
        Device::clone(directory.device(no).expect("its entry"))
    }

    pub(crate) fn put(&mut self, device: Device) {
        self.ask(START, PutDevices(vec![device]));
    }

    fn series(&self, device: &str, metric: &str) -> Option<Series> {
        let directory = self.shared().directory.read();
        // By the place's own name: what was discovered under its hardware's is another device.
        let device = directory.number(&id(device))?;
        Some((device, directory.metric_by_name(metric).expect("a metric")))
    }

    /// The readings of a series: when, and what.
    pub(crate) fn points(&self, device: &str, metric: &str) -> Vec<(TimestampMs, f64)> {
        let Some((device, metric)) = self.series(device, metric) else { return Vec::new() };
        let ever = (TimestampMs(0), TimestampMs(i64::MAX / 2));
        let points = self.shared().telemetry(device, metric, ever.0, ever.1).expect("an answer");
        points.into_iter().map(|point| (point.at, point.value)).collect()
    }

    pub(crate) fn values(&self, device: &str, metric: &str) -> Vec<f64> {
        self.points(device, metric).into_iter().map(|(_, value)| value).collect()
    }

    /// Readings, duplicates, corrections.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let counters = &self.shared().health.counters;
        (
            Counters::get(&counters.readings),
            Counters::get(&counters.duplicates),
            Counters::get(&counters.corrections),
        )
    }

    /// How often a limit was met.
    pub(crate) fn met(&self, limit: &str) -> u64 {
        self.shared().health.limits.all()[limit]
    }

    /// The newest first.
    pub(crate) fn quarantine(&self) -> Vec<Quarantined> {
        self.shared().quarantine(None, 20_000).expect("a page").items
    }

    pub(crate) fn causes(&self) -> Vec<String> {
        self.quarantine().into_iter().map(|entry| entry.code).collect()
    }

    /// What a device said besides readings, by word.
    pub(crate) fn events(&self, name: &str) -> Vec<(String, i64)> {
        let events = self.shared().device_events(self.device(name).no).expect("events");
        let mut words: Vec<(String, i64)> =
            events.into_iter().map(|event| (event.what.to_string(), event.count)).collect();
        words.sort();
        words
    }

    /// Values and reasons of what is doubted.
    pub(crate) fn doubts(&self, name: &str) -> Vec<(f64, &'static str, bool)> {
        let doubted = self.shared().doubted(self.device(name).no, 100).expect("doubts");
        doubted.into_iter().map(|d| (d.value, d.reason.as_str(), d.held)).collect()
    }

    /// All alerts, the newest first.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.shared().alerts(&AlertFilter::default(), 1_000).expect("alerts").items
    }

    /// The first cells of all rows of the answer to a question in SQL.
    pub(crate) fn column<T: FromSql>(&self, sql: &str) -> Vec<T> {
        let connection = self.connection();
        let mut statement = connection.prepare(sql).expect("sound SQL");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<rusqlite::Result<_>>().expect("values")
    }

    /// The first cell of the answer to a question in SQL.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.connection().query_row(sql, [], |row| row.get(0)).expect("a number")
    }
}

pub(crate) fn id(name: &str) -> DeviceId {
    DeviceId::new(name).expect("a sound id")
}
