//! How full a team's bins are, and how full they will be.

use std::sync::Arc;

use sanimon_alerting::collection::{is_due, likelihood};
use sanimon_alerting::forecast::{Filling, Forecast};
use sanimon_domain::collection::{Collection, LonLat, RoundTask, Vehicle, Visit};
use sanimon_domain::time::{DAY_MS, MINUTE_MS};
use sanimon_domain::{DeviceKind, DeviceNo, SiteCalendar, TimestampMs, ZoneClass, metric};
use sanimon_operations::Teams;
use sanimon_store::{Device, DeviceState, LatLon, Shared, in_parts};

use crate::duties::team_of;

/// The next round comes a day later.
pub(super) const NEXT_ROUND_MS: i64 = DAY_MS;
/// What overflows is a level of its own: fuller than full it is not.
const FULL_PCT: f64 = 100.0;
/// Opening hours are looked through by this step.
const HOURS_STEP_MS: i64 = 15 * MINUTE_MS;

/// A bin of a team.
pub(super) struct Bin {
    pub(super) no: DeviceNo,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) zone: Option<String>,
    pub(super) place: LonLat,
    class: Option<ZoneClass>,
    volume_l: f64,
    filling: Filling,
    forecast: Option<Forecast>,
}

impl Bin {
    /// What it is expected to read; a bin that never read anything is taken for half full.
    pub(super) fn fill_pct(&self, at: TimestampMs) -> f64 {
        self.filling.expected(at).unwrap_or(FULL_PCT / 2.0).clamp(0.0, FULL_PCT)
    }

    pub(super) fn load_l(&self, at: TimestampMs) -> f64 {
        self.volume_l * self.fill_pct(at) / 100.0
    }

    /// How likely it overflows before this.
    pub(super) fn likelihood(&self, before: TimestampMs) -> f64 {
        likelihood(self.forecast.as_ref(), before)
    }

    /// Whether a round that begins then should empty it.
    pub(super) fn is_due(&self, from: TimestampMs) -> bool {
        is_due(self.fill_pct(from), self.likelihood(from.plus_ms(NEXT_ROUND_MS)))
    }
}

/// The bins that a vehicle's team looks after and that have a place.
pub(super) fn of_team(
    shared: &Shared,
    duties: &Teams,
    team: &str,
    is_free: impl Fn(&Device) -> bool,
    now: TimestampMs,
) -> sanimon_store::Result<Vec<Bin>> {
    let own: Vec<Arc<Device>> = {
        let directory = shared.directory.read();
        let is_own = |device: &&Arc<Device>| {
            device.kind == DeviceKind::Bin
                && device.state != DeviceState::Retired
                && team_of(device, &directory, duties) == team
                && is_free(device)
        };
        directory.devices().iter().filter(is_own).cloned().collect()
    };
    let learn = |part: &[Arc<Device>]| -> sanimon_store::Result<Vec<Bin>> {
        let placed = part.iter().filter_map(|device| Some((device, device.place?)));
        placed.map(|(device, place)| learned(shared, duties, device, place, now)).collect()
    };
    let mut bins = Vec::with_capacity(own.len());
    for part in in_parts(&own, learn) {
        bins.extend(part?);
    }
    Ok(bins)
}

/// A bin with how it usually fills.
fn learned(
    shared: &Shared,
    duties: &Teams,
    device: &Device,
    place: LatLon,
    now: TimestampMs,
) -> sanimon_store::Result<Bin> {
    let points = shared.telemetry(device.no, metric::FILL_PCT, now.minus_ms(Filling::MEMORY_MS), now)?;
    let filling = Filling::learned(shared.calendar, points.iter().map(|point| (point.at, point.value)));
    Ok(Bin {
        no: device.no,
        id: device.id.to_string(),
        name: device.name.clone(),
        zone: device.zone.as_ref().map(ToString::to_string),
        place: [place.lon, place.lat],
        class: shared.directory.read().placement(device).zone_class,
        volume_l: device.volume_l.unwrap_or(duties.collection.bin_l),
        forecast: filling.forecast(FULL_PCT),
        filling,
    })
}

/// What the vehicle has to do when it visits these.
pub(super) fn task(
    vehicle: &Vehicle,
    collection: &Collection,
    calendar: SiteCalendar,
    (from, to): (TimestampMs, TimestampMs),
    bins: &[&Bin],
) -> RoundTask {
    let middle = from.plus_ms(to.since_ms(from) / 2);
    let closed = market_closed(collection, calendar, (from, to));
    let visit = |bin: &&Bin| Visit {
        place: bin.place,
        load_l: bin.load_l(middle),
        closed: if bin.class == Some(ZoneClass::Market) { closed.clone() } else { Vec::new() },
    };
    RoundTask {
        depot: vehicle.depot,
        capacity_l: vehicle.capacity_l,
        from,
        to,
        pace: collection.pace,
        visits: bins.iter().map(visit).collect(),
    }
}

/// When nobody may stop at a market, within a shift.
fn market_closed(
    collection: &Collection,
    calendar: SiteCalendar,
    (from, to): (TimestampMs, TimestampMs),
) -> Vec<(TimestampMs, TimestampMs)> {
    let Some(hours) = &collection.market_closed else { return Vec::new() };
    let mut closed: Vec<(TimestampMs, TimestampMs)> = Vec::new();
    let mut at = from;
    while at < to {
        let next = at.plus_ms(HOURS_STEP_MS - at.0.rem_euclid(HOURS_STEP_MS));
        if hours.contains(calendar, at) {
            match closed.last_mut() {
                Some((_, end)) if *end == at => *end = next,
                _ => closed.push((at, next)),
            }
        }
        at = next;
    }
    closed
}
