//! A site in which every command has something to do.

use std::sync::{Arc, OnceLock};

use sanimon_alerting::RuleSet;
use sanimon_domain::time::{DAY_MS, HOUR_MS};
use sanimon_domain::{
    AlertId, DeviceKind, DeviceNo, HardwareId, Severity, SiteCalendar, TimestampMs, ZoneClass, ZoneId, metric,
};
use sanimon_operations::lifecycle::Action;
use sanimon_operations::routing::Event;
use sanimon_operations::{NotificationRule, OperationsSettings};
use sanimon_store::{
    Account, DeliveryOutcome, DeliveryResult, Device, NewCredential, NewRound, NewSession, NewToken,
    NewWindow, Place, PlaceCode, PlannedStop, SavedDocument, Zone,
};
use sanimon_writer::{
    AdoptDocument, Input, MakePlaceCodes, Options, PutAccount, PutCredentials, PutDevices, PutRound,
    PutToken, PutWindow, SetZones, StartSession, TakeReport, TakeStep,
};
use tempfile::TempDir;

use crate::look::id;
use crate::reports::report;
use crate::say::{fill, message, minutes, rising, rule, topic};
use crate::site::{self, Site};

/// When the commands are asked for.
pub(super) const NOW: TimestampMs = TimestampMs(1_772_323_200_000 + HOUR_MS);

pub(super) fn rules(raise: f64) -> RuleSet {
    let levels = vec![rising(Severity::Critical, raise, raise - 10.0)];
    RuleSet::new(vec![rule("full", metric::FILL_PCT, levels)]).expect("sound rules")
}

fn options() -> Options {
    let all = NotificationRule::new("all", vec![Event::Raised]);
    let operations = OperationsSettings {
        notification_rules: vec![all],
        ..OperationsSettings::standard(SiteCalendar::utc())
    };
    Options {
        rules: Arc::new(rules(90.0)),
        rules_text: Some("90".to_owned()),
        operations: Arc::new(operations),
        ..site::options(Vec::new())
    }
}

pub(super) fn zone(id: &str, class: ZoneClass) -> Zone {
    let (name_en, name_zh) = (id.to_owned(), id.to_owned());
    Zone {
        id: zone_id(id),
        name_en,
        name_zh,
        class,
        outline: vec![[1.0, 2.0], [3.0, 4.5], [1.0, 2.0]],
        inhabitants: Some(9),
    }
}

pub(super) fn zone_id(id: &str) -> ZoneId {
    ZoneId::new(id).expect("a sound id")
}

pub(super) fn device(name: &str, hardware: &str) -> Device {
    let (zone, hardware_id) = (Some(zone_id("z-1")), HardwareId::new(hardware).ok());
    Device { zone, hardware_id, ..Device::new(id(name), DeviceKind::Bin, minutes(0)) }
}

pub(super) fn document(name: &str, text: &str) -> SavedDocument {
    SavedDocument { name: name.to_owned(), text: text.to_owned(), replaces: None, is_in_file: false }
}

pub(super) fn session(token: u8, account: &str) -> NewSession {
    let expires_at = NOW.plus_ms(DAY_MS);
    NewSession {
        token_sha256: [token; 32],
        account: account.to_owned(),
        now: NOW,
        signed_in_at: NOW,
        expires_at,
    }
}

pub(super) fn token(secret: u8, account: &str) -> NewToken {
    let (name, scopes) = ("a program".to_owned(), vec!["read".to_owned()]);
    let expires_at = NOW.plus_ms(DAY_MS);
    NewToken { token_sha256: [secret; 32], account: account.to_owned(), name, scopes, now: NOW, expires_at }
}

pub(super) fn credential(username: &str) -> NewCredential {
    NewCredential {
        username: username.to_owned(),
        salt: [1; 16],
        secret_sha256: [2; 32],
        publish: Vec::new(),
        subscribe: Vec::new(),
        created_by: "lin".to_owned(),
        others_until: None,
    }
}

pub(super) fn window(device: u32) -> NewWindow {
    NewWindow {
        device: Some(DeviceNo(device)),
        zone: None,
        rule: None,
        from: NOW.minus_ms(HOUR_MS),
        to: NOW.plus_ms(HOUR_MS),
        reason: "works".to_owned(),
        who: "lin".to_owned(),
    }
}

pub(super) fn round() -> NewRound {
    NewRound {
        vehicle: "truck".to_owned(),
        team: None,
        from: NOW,
        to: NOW.plus_ms(HOUR_MS),
        length_m: 900,
        made_by: "lin".to_owned(),
        stops: vec![PlannedStop { device: DeviceNo(0), trip: 0, at: NOW, fill_pct: 80.0 }],
    }
}

/// The site, as it was prepared once.
pub(super) fn site() -> Site {
    static PREPARED: OnceLock<TempDir> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| prepare().ended());
    Site::copy_of(prepared.path(), options(), NOW)
}

fn prepare() -> Site {
    let mut site = Site::with(options());
    people(&mut site);
    site.ask(NOW, SetZones { zones: vec![zone("z-1", ZoneClass::Market)], document: None });
    site.ask(NOW, PutDevices(vec![device("b-1", "hw-1"), device("b-2", "hw-2"), device("b-3", "hw-3")]));
    site.ask(NOW, PutCredentials(vec![credential("b-1")]));
    let full = |device: &str| fill(device, 96.0, minutes(50));
    site.hear(&[full("b-1"), full("b-2"), message(&topic("b-1"), r#"{"own":1}"#, minutes(51))]);
    let dead = DeliveryResult::Dead { error: "nobody there".to_owned() };
    site.apply(NOW, Input::Deliveries(vec![DeliveryOutcome { id: 1, attempts: 0, at: NOW, result: dead }]));
    reports(&mut site);
    site.ask(NOW, PutWindow(window(2)));
    site.ask(NOW, PutRound(round()));
    site.ask(NOW, AdoptDocument(document("teams", "ours")));
    site
}

fn people(site: &mut Site) {
    let account = |name: &str| Account {
        oidc_subject: Some(format!("issuer {name}")),
        ..Account::new(name, "hash".to_owned(), "manager")
    };
    site.ask(NOW, PutAccount(account("lin")));
    site.ask(NOW, PutAccount(account("ming")));
    site.ask(NOW, StartSession { session: session(1, "ming"), replaces: None });
    site.ask(NOW, PutToken(token(1, "ming")));
}

/// Two signs; what was reported at one of them is closed.
fn reports(site: &mut Site) {
    let code = |code: &str, place| PlaceCode { code: code.to_owned(), place };
    site.ask(
        NOW,
        MakePlaceCodes(vec![
            code("c-1", Place::Zone(zone_id("z-1"))),
            code("c-2", Place::Device(DeviceNo(2))),
        ]),
    );
    let opened: AlertId = site.ask(NOW, TakeReport(report("c-1", "t-1"))).alert;
    site.ask(
        NOW,
        TakeStep { note: Some("it was nothing".to_owned()), ..TakeStep::new(opened, Action::Dismiss) },
    );
}
