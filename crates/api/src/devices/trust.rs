//! How a device is, what it said besides readings, and which of its readings are doubted.

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use sanimon_domain::time::{DAY_MS, MINUTE_MS};
use sanimon_domain::{DeviceNo, Reason, TimestampMs, Window, metric, quality};
use sanimon_store::{Device, DeviceEvent, DirectoryState, Function, HotState, WindowQuery};
use serde::Serialize;
use utoipa::ToSchema;

use crate::alerts::device_number;
use crate::error::Problem;
use crate::state::ApiState;

/// Silence is three intervals, as in the domain's defaults; a report and a half is late.
const SILENT_AFTER_INTERVALS: f64 = 3.0;
const LATE_AFTER_INTERVALS: f64 = 1.5;
/// Intervals shorter than this are a radio's business.
const INTERVAL_MIN_MS: i64 = MINUTE_MS;
const BATTERY_LOW_PCT: f64 = 20.0;
/// Batteries are looked at over this time, and their end is the domain's `minor` level.
const BATTERY_LOOKED_AT_MS: i64 = 90 * DAY_MS;
const BATTERY_END_PCT: f64 = 10.0;
/// Fewer days say nothing about years.
const BATTERY_DAYS_MIN: usize = 7;
/// A battery that would last longer is not forecast.
const BATTERY_FORECAST_DAYS_MAX: f64 = 3_650.0;
/// Doubted readings in an answer.
const DOUBTED_MAX: usize = 1_000;

/// Words by which devices say that they are broken, and ours for sensors that look so.
const FAULT_WORDS: [&str; 5] =
    ["sensor_fault", "modbus_fault", "calibration_failed", "fault_alarm", "frozen"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HealthState {
    Online,
    Late,
    Silent,
    Faulty,
}

impl HealthState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Late => "late",
            Self::Silent => "silent",
            Self::Faulty => "faulty",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Online, Self::Late, Self::Silent, Self::Faulty]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// How a device is, with why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) state: HealthState,
    reasons: Vec<String>,
    low_battery: bool,
}

/// How a device is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// `online`, `late` (a report and a half), `silent` (three reports, or its last will) or `faulty`.
    state: String,
    /// Why: `never_heard`, `offline`, or `distance_mm: sensor_fault`.
    reasons: Vec<String>,
    low_battery: bool,
}

impl From<Health> for HealthBody {
    fn from(health: Health) -> Self {
        let Health { state, reasons, low_battery } = health;
        Self { state: state.as_str().to_owned(), reasons, low_battery }
    }
}

/// What devices said of being broken.
#[derive(Debug, Default)]
pub(crate) struct Faults(HashMap<DeviceNo, Vec<DeviceEvent>>);

impl Faults {
    pub(crate) async fn load(state: &ApiState) -> Result<Self, Problem> {
        let events = state.read(|shared| shared.events_saying(&FAULT_WORDS)).await?;
        let mut by_device: HashMap<DeviceNo, Vec<DeviceEvent>> = HashMap::new();
        for event in events {
            by_device.entry(event.device).or_default().push(event);
        }
        Ok(Self(by_device))
    }

    pub(crate) fn health(
        &self,
        device: &Device,
        directory: &DirectoryState,
        hot: &HotState,
        now: TimestampMs,
    ) -> Health {
        let low_battery = has_low_battery(device, directory, hot);
        let health = |state, reasons| Health { state, reasons, low_battery };
        let Some(heard_at) = hot.heard_at(device.no) else {
            return health(HealthState::Silent, vec!["never_heard".to_owned()]);
        };
        if device.online.is_some_and(|(online, at)| !online && at >= heard_at) {
            return health(HealthState::Silent, vec!["offline".to_owned()]);
        }
        let interval_ms = device.expected_interval_ms().max(INTERVAL_MIN_MS) as f64;
        let intervals = now.since_ms(heard_at) as f64 / interval_ms;
        if intervals > SILENT_AFTER_INTERVALS {
            return health(HealthState::Silent, Vec::new());
        }
        let faults = self.0.get(&device.no).map_or(&[][..], Vec::as_slice);
        let broken = faults.iter().filter(|event| is_still_so(event, device, directory, hot));
        let reasons: Vec<String> = broken.map(|event| format!("{}: {}", event.about, event.what)).collect();
        if !reasons.is_empty() {
            return health(HealthState::Faulty, reasons);
        }
        let is_late = intervals > LATE_AFTER_INTERVALS;
        health(if is_late { HealthState::Late } else { HealthState::Online }, Vec::new())
    }
}

/// A good reading of the same metric since then ends a fault; one of the device itself ends with any reading after it.
fn is_still_so(event: &DeviceEvent, device: &Device, directory: &DirectoryState, hot: &HotState) -> bool {
    debug_assert!(quality::is_fault(&event.what) || &*event.what == "frozen");
    let newest = match directory.metric_by_name(&event.about) {
        Some(metric) => hot.latest_of(device.no, metric).map(|latest| latest.received_at),
        None => hot.latest(device.no).map(|latest| latest.received_at).max(),
    };
    newest.is_none_or(|newest| newest <= event.last_at)
}

fn has_low_battery(device: &Device, directory: &DirectoryState, hot: &HotState) -> bool {
    let percent = hot.latest_of(device.no, metric::BATTERY_PCT);
    let said = directory.metric_by_name("battery_low").and_then(|no| hot.latest_of(device.no, no));
    percent.is_some_and(|latest| latest.value <= BATTERY_LOW_PCT)
        || said.is_some_and(|latest| latest.value == 1.0)
}

/// How long a battery lasts, as far as its past tells.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatteryForecast {
    /// Percent a day, negative when it falls.
    pct_per_day: f64,
    /// The day on which it reaches 10 %, RFC 3339; null: it does not fall, or not within ten years.
    empty_at: Option<String>,
}

/// Something that a device said besides readings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventBody {
    /// A metric's name, or `device`.
    about: String,
    /// `joined`, `warming_up`, `no_target`, `counter_reset`, ...
    what: String,
    /// `bad`: there was no number to be had; `suspect`: there was, and something is wrong with it. Null: no matter of trust.
    quality: Option<String>,
    /// `sentinel`, `warm_up`, `out_of_range`, `clock_wrong`, `duplicate`, `counter_reset`, ...
    reason: Option<String>,
    /// As it was said last.
    detail: Option<String>,
    count: i64,
    first_at: String,
    last_at: String,
}

impl From<DeviceEvent> for EventBody {
    fn from(event: DeviceEvent) -> Self {
        let reason = Reason::of_event(&event.what).or(Reason::parse(&event.what));
        Self {
            quality: reason.map(|reason| reason.quality().to_string()),
            reason: reason.map(|reason| reason.to_string()),
            about: event.about.into(),
            what: event.what.into(),
            detail: event.detail.map(Into::into),
            count: event.count,
            first_at: event.first_at.to_string(),
            last_at: event.last_at.to_string(),
        }
    }
}

/// A reading that is not simply believed. It is no part of telemetry and trends.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoubtedBody {
    metric: String,
    observed_at: String,
    received_at: String,
    value: f64,
    /// `suspect` or `bad`
    quality: String,
    /// `spike`, `blind_zone`, `frozen`, ...
    reason: String,
    /// The next reading decides whether it was right.
    held: bool,
}

/// Hardware that the device had before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplacedBody {
    hardware_id: String,
    model: Option<String>,
    replaced_at: String,
}

/// What is known of a device's trustworthiness.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrustBody {
    health: HealthBody,
    battery: Option<BatteryForecast>,
    /// Each word once, the newest first.
    events: Vec<EventBody>,
    /// The newest first, 1,000 at most.
    doubted: Vec<DoubtedBody>,
    /// The newest first.
    replaced_hardware: Vec<ReplacedBody>,
}

/// A device's health, its events, its doubted readings, its earlier hardware.
#[utoipa::path(get, path = "/api/v1/devices/{id}/trust", tag = "devices", params(("id" = String, Path)), responses(
    (status = 200, body = TrustBody), (status = 404, body = Problem),
))]
pub(crate) async fn trust(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<TrustBody>, Problem> {
    let Path(id) = id?;
    let no = device_number(&state, &id)?;
    let now = state.now();
    let faults = Faults::load(&state).await?;
    let query = WindowQuery {
        metric: metric::BATTERY_PCT,
        from: now.minus_ms(BATTERY_LOOKED_AT_MS),
        to: now,
        window: Window::Days(1),
        function: Function::Mean,
    };
    let (events, doubted, replaced, battery) = state
        .read(move |shared| {
            let battery = shared.windows(query, &[vec![no]])?.swap_remove(0);
            let battery: Vec<(f64, f64)> =
                battery.iter().map(|point| (point.at.0 as f64 / DAY_MS as f64, point.value)).collect();
            let doubted = shared.doubted(no, DOUBTED_MAX)?;
            Ok((shared.device_events(no)?, doubted, shared.replaced_hardware(no)?, battery))
        })
        .await?;
    let (directory, hot) = (state.shared.directory.read(), state.shared.hot.read());
    let device = directory.device(no).ok_or_else(|| Problem::not_found("device", &id))?;
    let doubted = doubted.into_iter().map(|doubted| DoubtedBody {
        metric: directory.metric_name(doubted.metric).unwrap_or_default().to_owned(),
        observed_at: doubted.at.to_string(),
        received_at: doubted.received_at.to_string(),
        value: doubted.value,
        quality: doubted.quality.to_string(),
        reason: doubted.reason.to_string(),
        held: doubted.held,
    });
    let events = events.into_iter().map(EventBody::from);
    let replaced = replaced.into_iter().map(|before| ReplacedBody {
        hardware_id: before.hardware_id,
        model: before.model,
        replaced_at: before.replaced_at.to_string(),
    });
    Ok(Json(TrustBody {
        health: faults.health(device, &directory, &hot, now).into(),
        battery: forecast(&battery),
        events: events.collect(),
        doubted: doubted.collect(),
        replaced_hardware: replaced.collect(),
    }))
}

/// The straight line through the days' means: `(day, percent)`, ascending.
fn forecast(days: &[(f64, f64)]) -> Option<BatteryForecast> {
    if days.len() < BATTERY_DAYS_MIN {
        return None;
    }
    let count = days.len() as f64;
    let (mean_day, mean_pct) = (
        days.iter().map(|(day, _)| day).sum::<f64>() / count,
        days.iter().map(|(_, pct)| pct).sum::<f64>() / count,
    );
    let spread: f64 = days.iter().map(|(day, _)| (day - mean_day).powi(2)).sum();
    let slope = days.iter().map(|(day, pct)| (day - mean_day) * (pct - mean_pct)).sum::<f64>() / spread;
    let last_day = days.last()?.0;
    let left_days = (BATTERY_END_PCT - (mean_pct + slope * (last_day - mean_day))) / slope;
    let is_foreseeable = slope < 0.0 && (0.0..=BATTERY_FORECAST_DAYS_MAX).contains(&left_days);
    let empty_at =
        is_foreseeable.then(|| TimestampMs(((last_day + left_days) * DAY_MS as f64) as i64).to_string());
    Some(BatteryForecast { pct_per_day: (slope * 1_000.0).round() / 1_000.0, empty_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_that_falls_is_forecast_and_one_that_does_not_is_not() {
        let falling: Vec<(f64, f64)> = (0..30).map(|day| (f64::from(day), 80.0 - f64::from(day))).collect();
        let forecast_of = |days: &[(f64, f64)]| forecast(days).expect("enough days");
        let end = forecast_of(&falling);
        assert_eq!(end.pct_per_day, -1.0);
        assert_eq!(end.empty_at.as_deref(), Some("1970-03-12T00:00:00.000Z"));
        let level: Vec<(f64, f64)> = (0..30).map(|day| (f64::from(day), 80.0)).collect();
        assert_eq!(forecast_of(&level).empty_at, None);
        let slow: Vec<(f64, f64)> =
            (0..30).map(|day| (f64::from(day), 80.0 - f64::from(day) / 1e4)).collect();
        assert_eq!(forecast_of(&slow).empty_at, None);
        assert!(forecast(&falling[..6]).is_none());
    }
}
