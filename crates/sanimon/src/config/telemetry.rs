//! `[telemetry]`: where readings are kept, and for how long.

use anyhow::Context;
use sanimon_domain::DeviceKind;
use sanimon_store::{Influx, InfluxOptions, Retention, Store};

use super::reader::Section;

/// More months than any town has had sensors.
const MONTHS_MAX: i64 = 1_200;
/// What the bucket's 32-bit seconds can say.
const DAYS_MAX: i64 = 24_855;

/// What the section says.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    pub(crate) influxdb: Option<InfluxOptions>,
    /// How long the store keeps readings itself.
    pub(crate) retention: Retention,
}

impl Telemetry {
    /// Puts InfluxDB behind the store.
    pub(crate) fn apply_to(&self, store: &mut Store) -> anyhow::Result<()> {
        if let Some(options) = &self.influxdb {
            store.use_influx(Influx::new(options.clone()).context("cannot use [telemetry.influxdb]")?);
        }
        Ok(())
    }
}

pub(super) fn read(section: &mut Section<'_>) -> Telemetry {
    let line = section.line;
    let wants_influxdb = section.parsed("backend", "\"embedded\" or \"influxdb\"", |text| match text {
        "embedded" => Some(false),
        "influxdb" => Some(true),
        _ => None,
    });
    let retention = section.table("retention", retention).unwrap_or_default();
    let options = section.table("influxdb", influxdb);
    if wants_influxdb != Some(true) {
        return Telemetry { influxdb: None, retention };
    }
    if options.is_none() {
        section.fault(
            line,
            "`telemetry.backend` is `influxdb`: add [telemetry.influxdb] with url, org, bucket and token",
        );
    }
    if !retention.months.is_empty() {
        section.fault(
            line,
            "[telemetry.retention] is of the embedded store: write telemetry.influxdb.retention_days",
        );
    }
    Telemetry { influxdb: options.flatten(), retention }
}

fn retention(section: &mut Section<'_>) -> Retention {
    let months = DeviceKind::ALL.iter().filter_map(|kind| {
        let months = section.integer(&format!("{kind}_months"), 1..=MONTHS_MAX)?;
        Some((*kind, months as u32))
    });
    Retention { months: months.collect() }
}

fn influxdb(section: &mut Section<'_>) -> Option<InfluxOptions> {
    const URL: &str =
        "http://HOST:PORT without a path; https needs a sanimon built with --features influxdb-tls";
    section.text_required("url");
    let url = section.parsed("url", URL, sound_url);
    let org = section.text_required("org").map(|(text, _)| text);
    let bucket = section.text_required("bucket").map(|(text, _)| text);
    let token = section.text("token").map(|(text, _)| text);
    let from_file = section.file_text("token_file");
    let retention_days = section.integer("retention_days", 1..=DAYS_MAX).map(|days| days as u32);
    let token = token.or(from_file);
    if token.is_none() {
        let line = section.line;
        section.fault(
            line,
            "`telemetry.influxdb` has no token: set SANIMON_TELEMETRY_INFLUXDB_TOKEN or write token_file",
        );
    }
    Some(InfluxOptions { url: url?, org: org?, bucket: bucket?, token: token?, retention_days })
}

fn sound_url(text: &str) -> Option<String> {
    let has_tls = cfg!(feature = "influxdb-tls");
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://").filter(|_| has_tls))?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let sound = !host.is_empty()
        && !host.contains(['/', '@', ' ', '?', '#', '\\'])
        && host.parse::<axum::http::uri::Authority>().is_ok();
    sound.then(|| text.to_owned())
}
