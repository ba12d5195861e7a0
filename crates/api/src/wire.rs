//! The JSON shapes that several endpoints share.

use std::collections::BTreeMap;

use sanimon_domain::{Calibration, Severity, Subject, TimestampMs, metric};
use sanimon_operations::lifecycle;
use sanimon_store::{Alert, Device, DirectoryState, HotState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::devices::trust::HealthBody;

/// The newest value of a metric.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LatestValue {
    pub(crate) value: f64,
    /// RFC 3339; null for a retained message of unknown age.
    pub(crate) observed_at: Option<String>,
    pub(crate) received_at: String,
}

/// A device with its newest values and its worst open alert.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DeviceBody {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) zone: Option<String>,
    /// Who looks after it.
    pub(crate) team: Option<String>,
    /// What the topic said when the device was first heard.
    pub(crate) district: String,
    /// `registered`, `discovered` or `retired`.
    pub(crate) state: String,
    pub(crate) lat: Option<f64>,
    pub(crate) lon: Option<f64>,
    pub(crate) interval_s: Option<i64>,
    /// What its uplinks come through.
    pub(crate) gateway: Option<String>,
    /// What a bin holds, in litres.
    pub(crate) volume_l: Option<f64>,
    /// Words that people sort devices by.
    pub(crate) tags: Vec<String>,
    /// What decodes its frames.
    pub(crate) model: Option<String>,
    /// What its messages call it: a DevEUI, an IMEI, a platform's name.
    pub(crate) hardware_id: Option<String>,
    #[serde(flatten)]
    pub(crate) calibration: CalibrationBody,
    /// `empty` or `full`: what the next distance will be taken for.
    pub(crate) calibrate_next: Option<String>,
    pub(crate) health: HealthBody,
    pub(crate) first_seen_at: String,
    pub(crate) last_seen_at: Option<String>,
    /// What the status topic said last, if it ever did.
    pub(crate) online: Option<bool>,
    /// The severity of the worst open alert.
    pub(crate) worst: Option<String>,
    pub(crate) latest: BTreeMap<String, LatestValue>,
}

impl DeviceBody {
    pub(crate) fn new(
        device: &Device,
        directory: &DirectoryState,
        hot: &HotState,
        worst: Option<Severity>,
        health: HealthBody,
    ) -> Self {
        let last_seen = hot.heard_at(device.no);
        Self {
            id: device.id.to_string(),
            name: device.name.clone(),
            kind: device.kind.to_string(),
            zone: device.zone.as_ref().map(ToString::to_string),
            team: device.team.clone(),
            district: device.district.clone(),
            state: device.state.as_str().to_owned(),
            lat: device.place.map(|place| place.lat),
            lon: device.place.map(|place| place.lon),
            gateway: device.gateway.as_ref().map(ToString::to_string),
            volume_l: device.volume_l,
            interval_s: device.interval_ms.map(|ms| ms / 1000),
            tags: device.tags.clone(),
            model: device.model.clone(),
            hardware_id: device.hardware_id.as_ref().map(ToString::to_string),
            calibration: CalibrationBody::new(&device.calibration),
            calibrate_next: device.calibrate_next.map(|end| end.as_str().to_owned()),
            health,
            first_seen_at: device.first_seen_at.to_string(),
            last_seen_at: last_seen.map(|at| at.to_string()),
            online: device.online.map(|(online, _)| online),
            worst: worst.map(|severity| severity.to_string()),
            latest: latest_values(device, directory, hot),
        }
    }
}

/// The newest value of each metric of a device.
pub(crate) fn latest_values(
    device: &Device,
    directory: &DirectoryState,
    hot: &HotState,
) -> BTreeMap<String, LatestValue> {
    hot.latest(device.no)
        .filter_map(|latest| {
            let value = LatestValue {
                value: latest.value,
                observed_at: Some(latest.at.to_string()),
                received_at: latest.received_at.to_string(),
            };
            Some((directory.metric_name(latest.metric)?.to_owned(), value))
        })
        .collect()
}

/// What a device's distances, levels and pressures mean. Lengths are millimetres.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Default)]
pub(crate) struct CalibrationBody {
    /// What the sensor measures when empty.
    pub(crate) empty_mm: Option<f64>,
    /// What it measures when full.
    pub(crate) full_mm: Option<f64>,
    /// Nearer than this it cannot measure.
    pub(crate) blind_zone_mm: Option<f64>,
    /// `[height %, volume %]` from `[0, 0]` to `[100, 100]`; empty: the volume goes with the height.
    #[serde(default)]
    #[schema(value_type = Vec<Vec<f64>>)]
    pub(crate) shape: Vec<[f64; 2]>,
    /// A drain's depth from the invert to the crown.
    pub(crate) depth_mm: Option<f64>,
    /// How high above the invert a level probe hangs.
    pub(crate) offset_mm: Option<f64>,
    /// The range of this very pressure probe, in bar.
    #[schema(value_type = Option<Vec<f64>>)]
    pub(crate) probe_bar: Option<[f64; 2]>,
}

impl CalibrationBody {
    fn new(calibration: &Calibration) -> Self {
        Self {
            empty_mm: calibration.empty_mm,
            full_mm: calibration.full_mm,
            blind_zone_mm: calibration.blind_zone_mm,
            shape: calibration.shape.points().to_vec(),
            depth_mm: calibration.depth_mm,
            offset_mm: calibration.offset_mm,
            probe_bar: calibration.probe_bar,
        }
    }
}

/// A text in both languages of the product.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Text {
    pub(crate) en: String,
    pub(crate) zh: String,
}

/// Devices that share something, as an alert about all of them names it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AlertGroup {
    /// `zone` or `gateway`
    pub(crate) kind: String,
    pub(crate) id: String,
}

/// Where an alert is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AlertDevice {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) zone: Option<String>,
    pub(crate) lat: Option<f64>,
    pub(crate) lon: Option<f64>,
}

/// An alert as it stands now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AlertBody {
    pub(crate) id: u64,
    /// Null: it is about a group.
    pub(crate) device: Option<AlertDevice>,
    /// What it is about if not one device.
    pub(crate) group: Option<AlertGroup>,
    /// Where it was raised; a device may have moved since.
    pub(crate) zone: Option<String>,
    pub(crate) rule: String,
    /// The version of the rules that raised it; null: a person did, or it is older than versions.
    pub(crate) rules_version: Option<i64>,
    pub(crate) title: Text,
    pub(crate) metric: String,
    pub(crate) unit: String,
    /// The value at the last transition; null: there was none to tell.
    pub(crate) value: Option<f64>,
    pub(crate) severity: String,
    pub(crate) condition: String,
    pub(crate) handling: String,
    pub(crate) raised_at: String,
    pub(crate) changed_at: String,
    pub(crate) cleared_at: Option<String>,
    /// The wider alert that stands for it.
    pub(crate) replaced_by: Option<u64>,
    /// Until when somebody must have acknowledged it; null: no clock.
    pub(crate) acknowledge_by: Option<String>,
    pub(crate) acknowledged_at: Option<String>,
    /// Until when somebody must be on site; null: no clock.
    pub(crate) arrive_by: Option<String>,
    pub(crate) arrived_at: Option<String>,
    /// Until when it must be done; null: no clock.
    pub(crate) resolve_by: Option<String>,
    /// Whose it is: the responsible team when it was raised, then whoever it was sent to.
    pub(crate) assignee: Option<String>,
    /// How often a missed deadline was told to somebody, and to whom last.
    pub(crate) escalations: u32,
    pub(crate) escalated_to: Option<String>,
    /// Who said that it is done.
    pub(crate) handled_by: Option<String>,
    pub(crate) handled_at: Option<String>,
    /// When it was verified or dismissed.
    pub(crate) closed_at: Option<String>,
    /// The steps that are possible from here, whoever asks.
    pub(crate) steps: Vec<String>,
}

impl AlertBody {
    pub(crate) fn new(alert: &Alert, directory: &DirectoryState) -> Self {
        let text = |at: Option<TimestampMs>| at.map(|at| at.to_string());
        let device = alert.subject.device().and_then(|device| directory.device(device));
        let group = match &alert.subject {
            Subject::Group(key) => Some(AlertGroup { kind: key.kind.to_string(), id: key.id.to_string() }),
            Subject::Device(_) => None,
        };
        Self {
            id: alert.id.0,
            device: device.map(|device| AlertDevice {
                id: device.id.to_string(),
                name: device.name.clone(),
                kind: device.kind.to_string(),
                zone: device.zone.as_ref().map(ToString::to_string),
                lat: device.place.map(|place| place.lat),
                lon: device.place.map(|place| place.lon),
            }),
            group,
            zone: alert.zone.as_ref().map(ToString::to_string),
            rule: alert.rule.to_string(),
            rules_version: alert.rules_version,
            title: Text { en: alert.title_en.clone(), zh: alert.title_zh.clone() },
            metric: directory.metric_name(alert.metric).unwrap_or_default().to_owned(),
            unit: metric::info(alert.metric).map_or("", |info| info.unit).to_owned(),
            value: alert.value,
            severity: alert.severity.to_string(),
            condition: alert.condition.to_string(),
            handling: alert.handling.to_string(),
            raised_at: alert.raised_at.to_string(),
            changed_at: alert.changed_at.to_string(),
            cleared_at: text(alert.cleared_at),
            replaced_by: alert.replaced_by.map(|id| id.0),
            acknowledge_by: text(alert.deadlines.acknowledge_by),
            acknowledged_at: text(alert.acknowledged_at),
            arrive_by: text(alert.deadlines.arrive_by),
            arrived_at: text(alert.arrived_at),
            resolve_by: text(alert.deadlines.resolve_by),
            escalations: alert.escalations,
            escalated_to: alert.escalated_to.clone(),
            assignee: alert.assignee.clone(),
            handled_by: alert.handled_by.clone(),
            handled_at: text(alert.handled_at),
            closed_at: text(alert.closed_at),
            steps: lifecycle::allowed(alert.handling).iter().map(|step| step.as_str().to_owned()).collect(),
        }
    }
}

/// A comma-separated list of words, each of which must be known.
pub(crate) fn words<T>(
    text: Option<&str>,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, crate::error::Problem> {
    let words = text.into_iter().flat_map(|text| text.split(',')).filter(|word| !word.is_empty());
    let unknown = |word: &str| crate::error::Problem::bad_request(format!("`{word}` is not a {name}"));
    words.map(|word| parse(word).ok_or_else(|| unknown(word))).collect()
}

/// A time of a query.
pub(crate) fn instant(text: Option<&str>, name: &str) -> Result<Option<TimestampMs>, crate::error::Problem> {
    let wrong = |text: &str| {
        crate::error::Problem::bad_request(format!(
            "`{name}` is `{text}`: write a time such as 2026-03-01T08:00:00Z"
        ))
    };
    text.map(|text| TimestampMs::parse_rfc3339(text).ok_or_else(|| wrong(text))).transpose()
}
