//! The town's life as an endless stream of uplinks, in the order in which they arrive.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sanimon_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use sanimon_domain::{DeviceKind, TimestampMs};

use crate::bin::Bin;
use crate::drain::Drain;
use crate::encode::{self, Measure};
use crate::toilet::Toilet;
use crate::town::Town;
use crate::truth::{Truth, TruthKind, TruthLog};
use crate::weather::Spells;

/// China Standard Time has no daylight saving: an offset is enough for the town's habits.
const LOCAL_OFFSET_MS: i64 = 8 * HOUR_MS;
/// Reports that a device out of reach keeps for later.
const BACKLOG_MAX: usize = 24;

/// The time as the town's people live it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalTime {
    /// Hour of the day with its fraction.
    pub(crate) hour: f64,
    pub(crate) day: i64,
    pub(crate) is_weekend: bool,
}

impl LocalTime {
    fn of(at: TimestampMs) -> Self {
        let local = at.0 + LOCAL_OFFSET_MS;
        let day = local.div_euclid(DAY_MS);
        let hour = local.rem_euclid(DAY_MS) as f64 / HOUR_MS as f64;
        // 1970-01-01 was a Thursday.
        Self { hour, day, is_weekend: matches!((day + 3).rem_euclid(7), 5 | 6) }
    }
}

/// What loses more is heard weaker. It trembles with the minute, without a number of the generator's: the town's lives
/// stay those of its seed.
fn signal_dbm(loss: f64, index: usize, at: TimestampMs) -> f64 {
    let tremble = (at.0 / MINUTE_MS * 7_919 + index as i64 * 31).rem_euclid(7);
    -76.0 - (loss * 500.0).round() - tremble as f64
}

/// A message as it arrives at the broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplink {
    pub at: TimestampMs,
    /// Index into [`Town::devices`].
    pub device: usize,
    pub topic: String,
    pub payload: String,
}

#[derive(Debug)]
enum Life {
    Bin(Bin),
    Drain(Drain),
    Toilet(Toilet),
}

#[derive(Debug)]
struct Being {
    life: Life,
    last_at: TimestampMs,
    battery_v: f64,
    /// Share of uplinks lost in the air.
    loss: f64,
    /// Out of reach until then; its reports are kept and sent together.
    away_until: Option<TimestampMs>,
    backlog: Vec<String>,
    /// Whether the last report was beyond its first alarm level: crossing it brings an extra report.
    alarmed: bool,
}

/// The living town.
#[derive(Debug)]
pub struct Simulation {
    pub town: Town,
    rng: ChaCha8Rng,
    rain: Spells,
    outages: Vec<Spells>,
    outage_known: Vec<bool>,
    beings: Vec<Being>,
    due: BinaryHeap<Reverse<(TimestampMs, usize)>>,
    truth: TruthLog,
    duplicate: Option<Uplink>,
}

impl Simulation {
    /// A town that begins to live at `start`.
    pub fn new(town: Town, start: TimestampMs) -> Self {
        let stream = |number| {
            let mut rng = ChaCha8Rng::seed_from_u64(town.seed);
            rng.set_stream(number);
            rng
        };
        let mut rng = stream(1);
        let rain = Spells::rain(stream(2), start);
        let outages =
            (0..town.gateways).map(|gateway| Spells::outages(stream(10 + gateway as u64), start)).collect();
        let mut due = BinaryHeap::new();
        let mut beings = Vec::with_capacity(town.devices.len());
        for (index, device) in town.devices.iter().enumerate() {
            due.push(Reverse((start.plus_ms(rng.random_range(0..device.interval_ms)), index)));
            let life = match device.kind {
                DeviceKind::Bin => Life::Bin(Bin::new(&mut rng)),
                DeviceKind::Drain => Life::Drain(Drain::new(&mut rng)),
                DeviceKind::Toilet => Life::Toilet(Toilet::new(&mut rng)),
            };
            let (battery_v, loss) = (rng.random_range(3.35..3.66), rng.random_range(0.01..0.07));
            beings.push(Being {
                life,
                last_at: start,
                battery_v,
                loss,
                away_until: None,
                backlog: Vec::new(),
                alarmed: false,
            });
        }
        let outage_known = vec![false; town.gateways];
        Self {
            town,
            rng,
            rain,
            outages,
            outage_known,
            beings,
            due,
            truth: TruthLog::default(),
            duplicate: None,
        }
    }

    /// What happened since the last call.
    pub fn take_truth(&mut self) -> Vec<Truth> {
        std::mem::take(&mut self.truth.0)
    }

    /// When the next report is due.
    pub fn next_at(&self) -> Option<TimestampMs> {
        self.duplicate
            .as_ref()
            .map(|uplink| uplink.at)
            .or_else(|| self.due.peek().map(|Reverse((at, _))| *at))
    }

    /// The next uplink that arrives. Reports that are lost on the way are not seen here, only their truth.
    pub fn next_uplink(&mut self) -> Option<Uplink> {
        if let Some(again) = self.duplicate.take() {
            return Some(again);
        }
        loop {
            let Reverse((at, index)) = self.due.pop()?;
            let payload = self.report(at, index);
            let device = &self.town.devices[index];
            let pause_ms =
                if self.beings[index].alarmed { device.interval_ms / 2 } else { device.interval_ms };
            let jitter_ms = self.rng.random_range(0..MINUTE_MS / 2);
            self.due.push(Reverse((at.plus_ms(pause_ms + jitter_ms), index)));
            let Some(payload) = payload else { continue };
            let topic = format!(
                "sanitation/{}/{}/{}/telemetry",
                self.town.zones[device.zone].id, device.kind, device.id
            );
            let uplink = Uplink { at, device: index, topic, payload };
            if self.rng.random_bool(0.008) {
                self.duplicate = Some(uplink.clone());
            }
            return Some(uplink);
        }
    }

    /// Lets a device live until now and report; `None` when the report does not arrive.
    fn report(&mut self, at: TimestampMs, index: usize) -> Option<String> {
        let gateway_down = self.gateway_is_down(at, self.town.devices[index].gateway);
        let measures = self.live(at, index);
        let json = encode::object(at, &measures);
        let being = &mut self.beings[index];
        match being.away_until {
            Some(until) if at < until => {
                if being.backlog.len() < BACKLOG_MAX {
                    being.backlog.push(json);
                }
                return None;
            }
            // Its gateway is what keeps it away now.
            Some(_) if gateway_down => {
                if being.backlog.len() < BACKLOG_MAX {
                    being.backlog.push(json);
                }
                return None;
            }
            Some(_) => {
                self.truth.change(at, &self.town.devices[index].id, TruthKind::Away, true, false);
                being.away_until = None;
                being.backlog.push(json);
                return Some(encode::array(&std::mem::take(&mut being.backlog)));
            }
            None => {}
        }
        if self.rng.random_bool(0.0008) {
            being.away_until = Some(at.plus_ms(self.rng.random_range(1..6) * HOUR_MS));
            self.truth.change(at, &self.town.devices[index].id, TruthKind::Away, false, true);
        }
        let arrives = !gateway_down && !self.rng.random_bool(being.loss);
        arrives.then_some(json)
    }

    fn gateway_is_down(&mut self, at: TimestampMs, gateway: usize) -> bool {
        let down = self.outages[gateway].at(at).is_some();
        let name = format!("gateway-{}", gateway + 1);
        self.truth.change(at, &name, TruthKind::GatewayOutage, self.outage_known[gateway], down);
        self.outage_known[gateway] = down;
        down
    }

    fn live(&mut self, at: TimestampMs, index: usize) -> Vec<Measure> {
        let device = &self.town.devices[index];
        let class = self.town.zones[device.zone].class;
        let rain = self.rain.at(at).map_or(0.0, |spell| spell.strength);
        let (rng, truth) = (&mut self.rng, &mut self.truth);
        let being = &mut self.beings[index];
        let hours = at.since_ms(being.last_at) as f64 / HOUR_MS as f64;
        being.last_at = at;
        // Two to five years from full to empty.
        being.battery_v = (being.battery_v - hours * 2.0e-5).max(2.8);
        let time = LocalTime::of(at);
        let mut measures = match &mut being.life {
            Life::Bin(bin) => {
                bin.live(rng, at, time, class, hours, &device.id, truth);
                being.alarmed = bin.fill_pct >= 75.0 || bin.fire_until.is_some();
                bin_measures(bin, device.distances_mm)
            }
            Life::Drain(drain) => {
                drain.live(rng, at, rain, hours, &device.id, truth);
                being.alarmed = drain.level_pct >= 50.0;
                drain_measures(drain, rain * hours)
            }
            Life::Toilet(toilet) => {
                toilet.live(rng, at, time, class, hours, &device.id, truth);
                being.alarmed = false;
                toilet_measures(toilet)
            }
        };
        measures.push(("battery_v", being.battery_v, 2));
        measures.push(("rssi_dbm", signal_dbm(being.loss, index, at), 0));
        measures
    }
}

fn bin_measures(bin: &Bin, distances_mm: Option<(f64, f64)>) -> Vec<Measure> {
    let fill = match distances_mm {
        Some((empty, full)) => ("distance_mm", (empty - (empty - full) * bin.fill_pct / 100.0).round(), 0),
        None => ("fill_pct", bin.fill_pct, 0),
    };
    vec![fill, ("temperature_c", bin.temperature_c, 1), ("tilt_deg", bin.tilt_deg, 0)]
}

fn drain_measures(drain: &Drain, rain_mm: f64) -> Vec<Measure> {
    vec![
        ("level_pct", drain.level_pct, 1),
        ("ch4_lel_pct", drain.ch4_lel_pct, 1),
        ("h2s_ppm", drain.h2s_ppm, 1),
        ("rain_mm", rain_mm, 1),
        ("cover_open", f64::from(u8::from(drain.cover_open_until.is_some())), 0),
    ]
}

fn toilet_measures(toilet: &Toilet) -> Vec<Measure> {
    vec![
        ("nh3_ppm", toilet.nh3_ppm, 2),
        ("humidity_pct", toilet.humidity_pct, 0),
        ("visitors_total", toilet.visitors_total, 0),
        ("occupancy_count", toilet.occupancy_count, 0),
        ("paper_pct", toilet.paper_pct, 0),
        ("soap_pct", toilet.soap_pct, 0),
        ("leak", f64::from(u8::from(toilet.leak_until.is_some())), 0),
    ]
}
