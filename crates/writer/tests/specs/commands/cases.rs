//! Each command: what is asked for, what of the file it changes, and how it is refused.

use std::sync::Arc;

use sanimon_domain::{AlertId, DeviceNo, SiteCalendar, ZoneClass};
use sanimon_operations::Teams;
use sanimon_operations::lifecycle::Action;
use sanimon_store::{Account, DeviceEvent, NewPhoto, NewRules, Place, PlaceCode, StopMark, StopState};
use sanimon_writer::{
    AddPhoto, AdoptDevices, AdoptDocument, Ask, Command, DocumentInFile, EndRound, EndSession, EndWindow,
    MakePlaceCodes, MarkStop, NoteEvent, NoteOnly, PutAccount, PutCredentials, PutDevices, PutRound,
    PutRules, PutTeams, PutToken, PutWindow, RateReport, RemoveAccount, RemoveMetric, RetireDevice,
    RetryMessage, RevokeCredential, RevokeToken, SetZones, StartSession, TakeReport, TakeStep, TestChannel,
};

use super::fixture::{NOW, credential, device, document, round, rules, session, token, window, zone};
use crate::look::id;
use crate::reports::report;
use crate::site::Site;

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) good: fn() -> Command,
    /// The tables whose rows it changes, besides the audit log.
    pub(super) tables: &'static [&'static str],
    /// What it answers no to, whatever the disk does. `None`: there is nothing that it has to refuse.
    pub(super) refused: Option<fn() -> Command>,
    /// What makes the file such that it is refused.
    pub(super) before_refusal: &'static str,
    /// It changes who may do what.
    pub(super) is_of_access: bool,
    /// What stands in the site's own files afterwards, for its next start.
    pub(super) written: fn(&mut Site),
}

/// The list of all commands, in which none can be left out: the same words make a `match` that must name each.
macro_rules! cases {
    ($($name:ident { $($field:ident: $value:expr),* $(,)? })*) => {
        pub(super) fn cases() -> Vec<Case> {
            vec![$(Case { name: stringify!($name), $($field: $value,)* ..nothing() }),*]
        }

        /// Does not compile while a command has no case.
        #[expect(dead_code, reason = "it is there to be compiled")]
        const fn has_case(command: &Command) {
            match command {
                $(Command::$name(_) => (),)*
                // They have no entry in the audit log: `device_import` tells of them.
                Command::StageDevices(_) | Command::WriteImport(_) | Command::DiscardImport(_) => (),
            }
        }

        #[test]
        fn each_case_asks_for_what_it_is_called() {
            $(assert!(matches!((cases().iter().find(|case| case.name == stringify!($name)).expect("it").good)(), Command::$name(_)));)*
        }
    };
}

fn nothing() -> Case {
    Case {
        name: "",
        good: || NoteOnly.command(),
        tables: &[],
        refused: None,
        before_refusal: "",
        is_of_access: false,
        written: |_| {},
    }
}

fn cleaned(device: u32) -> DeviceEvent {
    DeviceEvent {
        device: DeviceNo(device),
        about: "device".into(),
        what: DeviceEvent::CLEANED.into(),
        detail: Some("by hand".into()),
        count: 1,
        first_at: NOW,
        last_at: NOW,
    }
}

fn account(name: &str, subject: &str) -> Account {
    Account { oidc_subject: Some(subject.to_owned()), ..Account::new(name, "hash".to_owned(), "crew") }
}

fn mark(n: u32) -> Command {
    MarkStop(StopMark { round: 1, n, state: StopState::Done, who: "lin".to_owned(), note: None }).command()
}

fn photo(alert: u64) -> Command {
    AddPhoto(NewPhoto { alert: AlertId(alert), who: "lin".to_owned(), photo: vec![1, 2, 3] }).command()
}

fn step(action: Action) -> Command {
    TakeStep::new(AlertId(1), action).command()
}

/// What a site would read from its files at the next start.
fn as_it_stands(site: &mut Site) {
    let (rules, operations) = (site.shared().standing.rules(), site.shared().standing.operations());
    site.options.rules = Arc::new(sanimon_alerting::RuleSet::clone(&rules).with_version(0));
    site.options.operations = operations.expect("the writer has started");
}

cases! {
    TakeStep {
        good: || step(Action::Acknowledge),
        tables: &["alert", "alert_step"],
        refused: Some(|| step(Action::Verify)),
    }
    AddPhoto {
        good: || photo(1),
        tables: &["alert_photo"],
        refused: Some(|| photo(99)),
    }
    PutDevices {
        good: || PutDevices(vec![device("b-9", "hw-9"), device("b-1", "hw-7")]).command(),
        tables: &["device", "replaced_hardware"],
        refused: Some(|| PutDevices(vec![device("b-9", "hw-9"), device("b-8", "hw-1")]).command()),
    }
    AdoptDevices {
        // No step has entered any of them.
        good: || AdoptDevices { import_no: 1, devices: vec![device("b-9", "hw-9"), device("b-1", "hw-7")] }.command(),
        tables: &["device", "replaced_hardware", "meta"],
        refused: Some(|| AdoptDevices { import_no: 1, devices: vec![device("b-8", "hw-1")] }.command()),
    }
    RetireDevice {
        good: || RetireDevice(id("b-2")).command(),
        // Its alert is cleared.
        tables: &["device", "replaced_hardware", "alert", "alert_step", "rule_level"],
        refused: Some(|| RetireDevice(id("b-99")).command()),
    }
    NoteEvent {
        good: || NoteEvent(cleaned(1)).command(),
        tables: &["device_event"],
        // It has said too many words.
        refused: Some(|| NoteEvent(cleaned(0)).command()),
        before_refusal: "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 199)
            INSERT INTO device_event SELECT 0, 'device', 'word-' || i, NULL, 1, 0, 0 FROM n",
    }
    RemoveMetric {
        good: || RemoveMetric("own".to_owned()).command(),
        tables: &["metric", "meta"],
        refused: Some(|| RemoveMetric("fill_pct".to_owned()).command()),
    }
    PutWindow {
        good: || PutWindow(window(0)).command(),
        tables: &["maintenance_window"],
    }
    EndWindow {
        good: || EndWindow { id: 1 }.command(),
        tables: &["maintenance_window"],
        refused: Some(|| EndWindow { id: 99 }.command()),
    }
    PutRules {
        good: || {
            let new = NewRules { rules: rules(99.0), text: "99".to_owned() };
            PutRules { new, document: Some(document("rules", "99")) }.command()
        },
        // Nothing is full by these: both alerts are cleared.
        tables: &["rules_version", "setup_document", "alert", "alert_step", "rule_level"],
        written: |site| {
            as_it_stands(site);
            site.options.rules_text = Some("99".to_owned());
        },
    }
    SetZones {
        good: || {
            let zones = vec![zone("z-1", ZoneClass::School), zone("z-2", ZoneClass::Street)];
            SetZones { zones, document: Some(document("zones", "two")) }.command()
        },
        tables: &["zone", "setup_document"],
    }
    PutTeams {
        good: || {
            let teams = Teams { escalation: vec!["chief".to_owned()], ..Teams::standard(SiteCalendar::utc()) };
            PutTeams { teams: Box::new(teams), document: Some(document("teams", "theirs")) }.command()
        },
        tables: &["setup_document"],
        written: as_it_stands,
    }
    DocumentInFile {
        good: || {
            use sha2::{Digest, Sha256};
            DocumentInFile { name: "teams".to_owned(), sha256: Sha256::digest("ours").into() }.command()
        },
        tables: &["setup_document"],
    }
    AdoptDocument {
        good: || AdoptDocument(document("rules", "by hand")).command(),
        tables: &["setup_document"],
    }
    TakeReport {
        good: || TakeReport(report("c-2", "t-2")).command(),
        tables: &["report", "alert", "alert_step", "outbox"],
        refused: Some(|| TakeReport(report("c-99", "t-2")).command()),
    }
    RateReport {
        good: || RateReport { token: "t-1".to_owned(), satisfaction: 5 }.command(),
        tables: &["report"],
        refused: Some(|| RateReport { token: "t-99".to_owned(), satisfaction: 5 }.command()),
    }
    MakePlaceCodes {
        good: || {
            let place = Place::Device(DeviceNo(0));
            MakePlaceCodes(vec![PlaceCode { code: "c-9".to_owned(), place }]).command()
        },
        tables: &["place_code"],
    }
    TestChannel {
        good: || TestChannel { channel: "all".to_owned() }.command(),
        tables: &["outbox"],
        refused: Some(|| TestChannel { channel: "none".to_owned() }.command()),
    }
    RetryMessage {
        good: || RetryMessage { id: 1 }.command(),
        tables: &["outbox"],
        // It waits, so there is nothing to try again.
        refused: Some(|| RetryMessage { id: 2 }.command()),
    }
    PutRound {
        good: || PutRound(round()).command(),
        tables: &["round", "round_stop"],
    }
    MarkStop {
        good: || mark(0),
        tables: &["round_stop"],
        refused: Some(|| mark(9)),
    }
    EndRound {
        good: || EndRound { id: 1 }.command(),
        tables: &["round"],
        refused: Some(|| EndRound { id: 99 }.command()),
    }
    PutAccount {
        good: || PutAccount(account("ming", "issuer ming")).command(),
        // Other rights end what was begun with the old ones.
        tables: &["account", "session"],
        refused: Some(|| PutAccount(account("wang", "issuer lin")).command()),
        is_of_access: true,
    }
    RemoveAccount {
        good: || RemoveAccount { name: "ming".to_owned() }.command(),
        tables: &["account", "session", "api_token"],
        refused: Some(|| RemoveAccount { name: "wang".to_owned() }.command()),
        is_of_access: true,
    }
    StartSession {
        good: || StartSession { session: session(2, "lin"), replaces: Some(([1; 32], NOW)) }.command(),
        tables: &["session"],
        refused: Some(|| StartSession { session: session(2, "wang"), replaces: Some(([1; 32], NOW)) }.command()),
        is_of_access: true,
    }
    EndSession {
        good: || EndSession { token_sha256: [1; 32] }.command(),
        tables: &["session"],
        is_of_access: true,
    }
    PutToken {
        good: || PutToken(token(2, "lin")).command(),
        tables: &["api_token"],
        refused: Some(|| PutToken(token(2, "wang")).command()),
        is_of_access: true,
    }
    RevokeToken {
        good: || RevokeToken { id: 1, account: None }.command(),
        tables: &["api_token"],
        // It is another one's.
        refused: Some(|| RevokeToken { id: 1, account: Some("lin".to_owned()) }.command()),
        is_of_access: true,
    }
    PutCredentials {
        good: || PutCredentials(vec![credential("b-1"), credential("b-2")]).command(),
        tables: &["device_credential"],
        is_of_access: true,
    }
    RevokeCredential {
        good: || RevokeCredential { id: 1 }.command(),
        tables: &["device_credential"],
        refused: Some(|| RevokeCredential { id: 99 }.command()),
        is_of_access: true,
    }
    NoteOnly {
        good: || NoteOnly.command(),
    }
}
