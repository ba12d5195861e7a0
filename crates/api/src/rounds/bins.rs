//! How full a team's bins are, and how full they will be.

use sanimon_alerting::collection::{Collection, Vehicle, is_due, likelihood};
use sanimon_alerting::duty::{Duties, Facts};
use sanimon_alerting::forecast::{Filling, Forecast};
use sanimon_domain::collection::{LonLat, RoundTask, Visit};
use sanimon_domain::time::{DAY_MS, MINUTE_MS};
use sanimon_domain::{DeviceKind, DeviceNo, SiteCalendar, TimestampMs, ZoneClass, metric};
use sanimon_store::{DeviceState, DirectoryState, Shared};

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
    /// What it read last; `None`: nothing yet.
    pub(super) reads_pct: Option<f64>,
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
    duties: &Duties,
    team: &str,
    taken: &[DeviceNo],
    now: TimestampMs,
) -> sanimon_store::Result<Vec<Bin>> {
    let mut bins = {
        let directory = shared.directory.read();
        let is_own = |device: &sanimon_store::Device| is_of_team(device, &directory, duties, team);
        let devices = directory.devices().iter().filter(|device| {
            device.kind == DeviceKind::Bin && device.state != DeviceState::Retired && is_own(device)
        });
        let devices = devices.filter(|device| !taken.contains(&device.no));
        let bins = devices.filter_map(|device| {
            let place = device.place?;
            Some(Bin {
                no: device.no,
                id: device.id.to_string(),
                name: device.name.clone(),
                zone: device.zone.as_ref().map(ToString::to_string),
                place: [place.lon, place.lat],
                class: directory.placement(device).zone_class,
                volume_l: device.volume_l.unwrap_or(duties.collection.bin_l),
                reads_pct: None,
                filling: Filling::default(),
                forecast: None,
            })
        });
        bins.collect::<Vec<_>>()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let size = bins.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = bins
            .chunks_mut(size)
            .map(|part| scope.spawn(|| part.iter_mut().try_for_each(|bin| learn(bin, shared, now))))
            .collect();
        parts.into_iter().try_for_each(|part| part.join().expect("a reader does not panic"))
    })?;
    Ok(bins)
}

fn is_of_team(
    device: &sanimon_store::Device,
    directory: &DirectoryState,
    duties: &Duties,
    team: &str,
) -> bool {
    let zone_class = directory.placement(device).zone_class;
    let (kind, zone, own) = (Some(device.kind), device.zone.as_ref(), device.team.as_deref());
    duties.team_for(Facts { kind, zone, zone_class, team: own }) == team
}

/// Reads how it usually fills.
fn learn(bin: &mut Bin, shared: &Shared, now: TimestampMs) -> sanimon_store::Result<()> {
    let points = shared.telemetry(bin.no, metric::FILL_PCT, now.minus_ms(Filling::MEMORY_MS), now)?;
    points.iter().for_each(|point| bin.filling.observe(shared.calendar, point.at, point.value));
    bin.filling.learn();
    bin.reads_pct = points.last().map(|point| point.value);
    bin.forecast = bin.filling.forecast(FULL_PCT);
    Ok(())
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
