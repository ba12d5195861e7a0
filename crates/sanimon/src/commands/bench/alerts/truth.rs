//! A month of a town whose truth is known, through the whole way of a message: what was raised, when, and what was not.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sanimon_alerting::forecast::Filling;
use sanimon_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use sanimon_domain::{SiteCalendar, Subject, TimestampMs};
use sanimon_operations::OperationsSettings;
use sanimon_simulator::{Simulation, Town, Truth, TruthKind};
use sanimon_store::{Alert, AlertFilter, Shared, Step, Store};
use sanimon_writer::{Author, Entry, Message, Options, PutDevices};
use serde_json::{Value, json};

use super::super::super::check::refused;
use super::super::super::demo::registry;
use super::super::super::offline::Offline;
use super::super::in_folder;
use crate::config::default_rules;
use crate::screen;

const START: TimestampMs = TimestampMs(1_772_323_200_000);
const GROUP_MS: i64 = 15 * MINUTE_MS;
/// A forecast is judged when so much is known.
const LEARN_MS: i64 = 7 * DAY_MS;
const HORIZON_MS: i64 = 12 * HOUR_MS;

/// A happening: from when to when.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: TimestampMs,
    to: TimestampMs,
}

/// What the town did, and when each device was heard.
struct Lived {
    town: Town,
    spans: HashMap<(String, TruthKind), Vec<Span>>,
    heard: HashMap<String, Vec<TimestampMs>>,
    end: TimestampMs,
}

/// An alert with the times at which it came to each severity.
struct Raised {
    alert: Alert,
    steps: Vec<Step>,
}

pub(super) fn measure(devices: usize, days: i64, seed: u64) -> anyhow::Result<Value> {
    in_folder(None, |folder| {
        let store = Store::open(folder, SiteCalendar::named("Asia/Shanghai"))?;
        let (shared, lived) = live(store, devices, days, seed)?;
        let alerts = raised(&shared)?;
        let happenings = [
            (TruthKind::Overflow, &["bin_fill"][..]),
            (TruthKind::Fire, &["bin_temperature", "bin_temperature_rise"][..]),
            (TruthKind::Flood, &["drain_level", "street_flooded"][..]),
            (TruthKind::GatewayOutage, &["gateway_silence"][..]),
        ];
        let judged: serde_json::Map<String, Value> = happenings
            .into_iter()
            .map(|(kind, rules)| (kind.as_str().to_owned(), lived.judge(&shared, &alerts, kind, rules)))
            .collect();
        Ok(json!({
            "devices": devices,
            "days": days,
            "alerts": alerts.len(),
            "alerts_per_device_and_day": alerts.len() as f64 / devices as f64 / days as f64,
            "by_rule": by_rule(&alerts),
            "happenings": judged,
            "without_a_cause": lived.causes(&shared, &alerts),
            "forecast": forecasts(&shared, &lived)?,
        }))
    })
}

fn live(store: Store, devices: usize, days: i64, seed: u64) -> anyhow::Result<(Shared, Lived)> {
    let rules = Arc::new(default_rules().map_err(|faults| refused(&faults))?);
    let mut simulation = Simulation::new(Town::new(seed, devices), START);
    let (zones, entries) = registry(&simulation.town, START)?;
    let options = Options {
        zones: Some(zones),
        ..Options::new(rules, Arc::new(OperationsSettings::standard(store.shared.calendar)))
    };
    let mut writer = Offline::open(store, options, START)?;
    let entry = Entry::new(START, Author::Site("bench"), "devices.import");
    writer.ask(START, entry, PutDevices(entries))?;
    let end = START.plus_ms(days * DAY_MS);
    let mut lived =
        Lived { town: simulation.town.clone(), spans: HashMap::new(), heard: HashMap::new(), end };
    let mut open: HashMap<(String, TruthKind), TimestampMs> = HashMap::new();
    let (mut now, source) = (START, Arc::<str>::from("bench"));
    while now < end {
        now = now.plus_ms(GROUP_MS).min(end);
        let mut messages: Vec<Message> = Vec::new();
        while simulation.next_at().is_some_and(|at| at < now) {
            let Some(uplink) = simulation.next_uplink() else { break };
            lived.heard.entry(simulation.town.devices[uplink.device].id.clone()).or_default().push(uplink.at);
            messages.push(Message::native(source.clone(), uplink.topic, uplink.payload.into(), uplink.at));
        }
        simulation.take_truth().into_iter().for_each(|truth| lived.note(&mut open, truth));
        writer.messages(now, messages)?;
        screen::progress("month", &format!("day {} of {days}", now.since_ms(START) / DAY_MS));
    }
    for ((device, kind), from) in open {
        lived.spans.entry((device, kind)).or_default().push(Span { from, to: end });
    }
    screen::progress_done();
    Ok((writer.close()?.shared, lived))
}

impl Lived {
    fn note(&mut self, open: &mut HashMap<(String, TruthKind), TimestampMs>, truth: Truth) {
        let key = (truth.device, truth.kind);
        match (truth.kind, truth.begins) {
            (TruthKind::Service, _) => {
                self.spans.entry(key).or_default().push(Span { from: truth.at, to: truth.at });
            }
            (_, true) => _ = open.entry(key).or_insert(truth.at),
            (_, false) => {
                if let Some(from) = open.remove(&key) {
                    self.spans.entry(key).or_default().push(Span { from, to: truth.at });
                }
            }
        }
    }

    fn spans(&self, device: &str, kind: TruthKind) -> &[Span] {
        self.spans.get(&(device.to_owned(), kind)).map_or(&[], Vec::as_slice)
    }

    /// When the second report from this time on arrived: of a gateway, two of its devices' mean intervals later.
    fn second_report(&self, name: &str, kind: TruthKind, from: TimestampMs) -> Option<TimestampMs> {
        if kind == TruthKind::GatewayOutage {
            let of_gateway = |gateway: usize| format!("gateway-{}", gateway + 1) == name;
            let intervals: Vec<i64> =
                self.town.devices.iter().filter(|d| of_gateway(d.gateway)).map(|d| d.interval_ms).collect();
            return Some(from.plus_ms(2 * intervals.iter().sum::<i64>() / intervals.len().max(1) as i64));
        }
        let heard = self.heard.get(name)?;
        heard.get(heard.partition_point(|at| *at < from) + 1).copied()
    }

    /// Whether each happening of a kind was raised within two reports.
    fn judge(&self, shared: &Shared, alerts: &[Raised], kind: TruthKind, rules: &[&str]) -> Value {
        let (mut seen, mut late, mut missed, mut unseen) = (0, 0, 0, 0);
        let mut delays: Vec<i64> = Vec::new();
        let mut examples = Vec::new();
        for ((name, _), spans) in self.spans.iter().filter(|((_, found), _)| *found == kind) {
            let own: Vec<&Raised> = alerts
                .iter()
                .filter(|r| rules.contains(&r.alert.rule.as_str()) && r.name(shared) == *name)
                .collect();
            for span in spans {
                let Some(second) = self.second_report(name, kind, span.from) else {
                    unseen += 1;
                    continue;
                };
                let told = own.iter().filter_map(|r| r.critical_at(span.from, second)).min();
                match told {
                    Some(at) => {
                        seen += 1;
                        delays.push(at.since_ms(span.from).max(0) / MINUTE_MS);
                    }
                    // It was over before anybody could have heard of it.
                    None if span.to <= second => unseen += 1,
                    None => {
                        let later = own.iter().filter_map(|r| r.critical_at(span.from, span.to)).min();
                        let count = if later.is_some() { &mut late } else { &mut missed };
                        *count += 1;
                        if examples.len() < 5 {
                            examples.push(format!("{name} {} to {}", span.from, span.to));
                        }
                    }
                }
            }
        }
        delays.sort_unstable();
        json!({
            "within_two_reports": seen, "late": late, "missed": missed, "over_before_two_reports": unseen,
            "delay_min": { "p50": quantile(&delays, 0.5), "p99": quantile(&delays, 0.99) },
            "examples_not_in_time": examples,
        })
    }

    /// Alerts that nothing true stands behind. Values of the simulated sensors are true by making, so rules on values need
    /// no judge; silences and forecasts do.
    fn causes(&self, shared: &Shared, alerts: &[Raised]) -> Value {
        let mut without: BTreeMap<&str, usize> = BTreeMap::new();
        for raised in alerts {
            let alert = &raised.alert;
            let rule = alert.rule.as_str();
            let name = raised.name(shared);
            let has_cause = match rule {
                "bin_silence" | "drain_silence" | "toilet_silence" => {
                    self.was_out_of_reach(&name, alert.raised_at)
                }
                "gateway_silence" => self.covers(&name, TruthKind::GatewayOutage, alert.raised_at),
                "bin_full_soon" => self.fills_up(&name, alert.raised_at),
                _ => true,
            };
            if !has_cause {
                *without.entry(rule).or_default() += 1;
            }
        }
        let count: usize = without.values().sum();
        json!({
            "alerts": count, "share": count as f64 / alerts.len().max(1) as f64, "by_rule": without,
        })
    }

    fn covers(&self, name: &str, kind: TruthKind, at: TimestampMs) -> bool {
        self.spans(name, kind).iter().any(|span| span.from <= at && at <= span.to)
    }

    fn was_out_of_reach(&self, name: &str, at: TimestampMs) -> bool {
        let device = self.town.devices.iter().find(|device| device.id == name);
        let gateway = device.map(|device| format!("gateway-{}", device.gateway + 1)).unwrap_or_default();
        let recent = |span: &Span| span.from <= at && at <= span.to.plus_ms(2 * HOUR_MS);
        self.covers(name, TruthKind::Away, at)
            || self.spans(&gateway, TruthKind::GatewayOutage).iter().any(recent)
    }

    /// Whether the bin became full before somebody emptied it, within 16 hours.
    fn fills_up(&self, name: &str, at: TimestampMs) -> bool {
        let service = self.spans(name, TruthKind::Service).iter().map(|span| span.from).find(|s| *s > at);
        let until = service.unwrap_or(self.end).min(at.plus_ms(16 * HOUR_MS));
        until >= self.end
            || self.spans(name, TruthKind::Overflow).iter().any(|span| span.from <= until && span.to > at)
    }
}

impl Raised {
    fn name(&self, shared: &Shared) -> String {
        match &self.alert.subject {
            Subject::Device(device) => {
                let directory = shared.directory.read();
                directory.device(*device).map(|device| device.id.to_string()).unwrap_or_default()
            }
            Subject::Group(key) => key.id.to_string(),
        }
    }

    /// When it was major or worse, if that was so at some time from `from` to `until`.
    fn critical_at(&self, from: TimestampMs, until: TimestampMs) -> Option<TimestampMs> {
        let is_grave = |step: &&Step| step.severity >= sanimon_domain::Severity::Major;
        let at = self.steps.iter().find(is_grave)?.at;
        let ended = self.alert.cleared_at.unwrap_or(TimestampMs(i64::MAX));
        (at <= until && ended >= from).then_some(at)
    }
}

fn raised(shared: &Shared) -> anyhow::Result<Vec<Raised>> {
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let page = shared.alerts(&AlertFilter { before, ..AlertFilter::default() }, 1_000)?;
        for alert in page.items {
            let steps = shared.alert(alert.id)?.map(|(_, steps)| steps).unwrap_or_default();
            all.push(Raised { alert, steps });
        }
        before = page.next_cursor;
        if before.is_none() {
            return Ok(all);
        }
    }
}

fn by_rule(alerts: &[Raised]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    alerts.iter().for_each(|raised| *counts.entry(raised.alert.rule.to_string()).or_default() += 1);
    counts
}

/// Twelve hours before each overflow that nobody interrupted: when was it foretold?
fn forecasts(shared: &Shared, lived: &Lived) -> anyhow::Result<Value> {
    let fill = sanimon_domain::metric::FILL_PCT;
    let (mut errors, mut inside, mut unknown) = (Vec::new(), 0, 0);
    let devices = shared.directory.read().devices().to_vec();
    for device in devices {
        let name = device.id.as_str();
        let overflows = lived.spans(name, TruthKind::Overflow);
        let services = lived.spans(name, TruthKind::Service);
        let judged = overflows.iter().map(|span| span.from).filter(|full| {
            let asked = full.minus_ms(HORIZON_MS);
            asked.since_ms(START) >= LEARN_MS && !services.iter().any(|s| s.from > asked && s.from <= *full)
        });
        let judged: Vec<TimestampMs> = judged.collect();
        if judged.is_empty() {
            continue;
        }
        let points = shared.telemetry(device.no, fill, START, lived.end)?;
        for full in judged {
            let asked = full.minus_ms(HORIZON_MS);
            let mut filling = Filling::default();
            points
                .iter()
                .take_while(|point| point.at <= asked)
                .for_each(|point| filling.observe(shared.calendar, point.at, point.value));
            filling.learn();
            match filling.forecast(98.0) {
                Some(forecast) => {
                    errors.push(forecast.at.since_ms(full).abs() / MINUTE_MS);
                    inside += usize::from(forecast.earliest <= full && full <= forecast.latest);
                }
                None => unknown += 1,
            }
        }
    }
    errors.sort_unstable();
    Ok(json!({
        "cases": errors.len(), "without_a_forecast": unknown, "horizon_h": HORIZON_MS / HOUR_MS,
        "error_h": { "p50": quantile(&errors, 0.5) / 60.0, "p90": quantile(&errors, 0.9) / 60.0 },
        "interval_holds": inside as f64 / errors.len().max(1) as f64,
    }))
}

fn quantile(sorted: &[i64], share: f64) -> f64 {
    let index = ((sorted.len() as f64 - 1.0) * share).round().max(0.0) as usize;
    sorted.get(index).map_or(0.0, |value| *value as f64)
}
