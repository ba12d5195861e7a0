//! What people ask for.

use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{AlertId, DeviceId, DeviceNo, Handling, ReportCategory, RuleId, TimestampMs};
use sanimon_operations::Teams;
use sanimon_operations::lifecycle::Action;
use sanimon_store::{
    Account, Device, DeviceEvent, DeviceState, NewReport, NewRules, NewSession, NewWindow, Place, PlaceCode,
    SavedDocument,
};
use sanimon_writer::{
    Ask, Command, EndWindow, MakePlaceCodes, NoteEvent, PutAccount, PutDevices, PutRules, PutTeams,
    PutWindow, RateReport, RetireDevice, RetryMessage, SetZones, StartSession, TakeReport, TakeStep,
    TestChannel,
};

use super::dice::Dice;
use super::setting::{self, CHANNEL, DEVICES};

pub(crate) const PEOPLE: [&str; 3] = ["lin", "wang", "zhou"];

/// A command that can be asked for again on another town.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Devices(Vec<Device>),
    Step(TakeStep),
    Window(NewWindow),
    EndWindow(i64),
    Retire(DeviceId),
    Rules { strict: bool },
    Zones { with_east: bool },
    Teams(Box<Teams>),
    Account(Account),
    Session(NewSession),
    Cleaned(DeviceEvent),
    Codes,
    Report(NewReport),
    Rate { token: String },
    Test,
    Retry(i64),
}

fn document(name: &str, text: String) -> SavedDocument {
    SavedDocument { name: name.to_owned(), text, replaces: None, is_in_file: true }
}

impl Deed {
    pub(crate) fn command(&self) -> Command {
        match self.clone() {
            Self::Devices(devices) => PutDevices(devices).command(),
            Self::Step(step) => step.command(),
            Self::Window(window) => PutWindow(window).command(),
            Self::EndWindow(id) => EndWindow { id }.command(),
            Self::Retire(device) => RetireDevice(device).command(),
            Self::Rules { strict } => {
                let text = setting::rules_text(strict);
                let new = NewRules { rules: setting::rules(strict), text: text.clone() };
                PutRules { new, document: Some(document("rules", text)) }.command()
            }
            Self::Zones { with_east } => {
                let zones = setting::zones(with_east);
                SetZones { zones, document: Some(document("zones", format!("{with_east}"))) }.command()
            }
            Self::Teams(teams) => {
                let escalation = teams.escalation.join(",");
                PutTeams { teams, document: Some(document("teams", escalation)) }.command()
            }
            Self::Account(account) => PutAccount(account).command(),
            Self::Session(session) => StartSession { session, replaces: None }.command(),
            Self::Cleaned(event) => NoteEvent(event).command(),
            Self::Codes => {
                let code =
                    |n: u32| PlaceCode { code: format!("code-{n}"), place: Place::Device(DeviceNo(n)) };
                MakePlaceCodes((0..DEVICES).map(code).collect()).command()
            }
            Self::Report(report) => TakeReport(report).command(),
            Self::Rate { token } => RateReport { token, satisfaction: 4 }.command(),
            Self::Test => TestChannel { channel: CHANNEL.to_owned() }.command(),
            Self::Retry(id) => RetryMessage { id }.command(),
        }
    }
}

/// What people see when they decide.
pub(crate) struct View {
    pub(crate) now: TimestampMs,
    pub(crate) alerts: Vec<(AlertId, Handling)>,
    pub(crate) reports: u64,
}

/// Somebody does something, as they last saw the town or by hearsay.
pub(crate) fn deed(view: &View, dice: &mut Dice) -> Option<Deed> {
    let n = dice.below(u64::from(DEVICES)) as u32;
    Some(match dice.below(20) {
        0..=8 => Deed::Step(step(view, dice)?),
        9 | 10 => Deed::Window(window(view, n, dice)),
        11 => Deed::EndWindow(1 + dice.below(4) as i64),
        12 => {
            let zone = if dice.once_in(2) { "north" } else { "south" };
            let state = if dice.once_in(5) { DeviceState::Retired } else { DeviceState::Registered };
            Deed::Devices(vec![Device { state, ..setting::device(n, zone) }])
        }
        13 => Deed::Rules { strict: dice.once_in(2) },
        14 => Deed::Zones { with_east: dice.once_in(2) },
        15 => {
            let mut teams = setting::operations().teams;
            teams.escalation = vec![if dice.once_in(2) { "chief" } else { "deputy" }.to_owned()];
            Deed::Teams(Box::new(teams))
        }
        16 => people(view, dice),
        17 => Deed::Cleaned(DeviceEvent {
            device: DeviceNo(n),
            about: "device".into(),
            what: DeviceEvent::CLEANED.into(),
            detail: None,
            count: 1,
            first_at: view.now,
            last_at: view.now,
        }),
        18 => residents(view, n, dice),
        _ if dice.once_in(4) => Deed::Retire(DeviceId::new(&format!("b-{n}")).expect("a sound id")),
        _ if dice.once_in(2) => Deed::Retry(1 + dice.below(5) as i64),
        _ => Deed::Test,
    })
}

fn step(view: &View, dice: &mut Dice) -> Option<TakeStep> {
    let (alert, handling) = dice.pick(&view.alerts).copied()?;
    let action = *dice.pick(&Action::ALL)?;
    let seen = if dice.once_in(4) { *dice.pick(Handling::ALL)? } else { handling };
    let note = (!dice.once_in(3)).then(|| "why".to_owned());
    let assignee = (!dice.once_in(3)).then(|| "east".to_owned());
    Some(TakeStep { note, assignee, seen: Some(seen), ..TakeStep::new(alert, action) })
}

fn window(view: &View, device: u32, dice: &mut Dice) -> NewWindow {
    NewWindow {
        device: Some(DeviceNo(device)),
        zone: None,
        rule: dice.once_in(2).then(|| RuleId::new("fill").expect("a sound id")),
        from: view.now,
        to: view.now.plus_ms((30 + dice.below(120) as i64) * MINUTE_MS),
        reason: "a test".to_owned(),
        who: "lin".to_owned(),
    }
}

fn people(view: &View, dice: &mut Dice) -> Deed {
    let name = *dice.pick(&PEOPLE).expect("people");
    if dice.once_in(2) {
        return Deed::Account(Account::new(name, format!("hash of {}", view.now.0), "dispatcher"));
    }
    let mut token_sha256 = [0; 32];
    token_sha256[..8].copy_from_slice(&dice.roll().to_le_bytes());
    Deed::Session(NewSession {
        token_sha256,
        account: name.to_owned(),
        now: view.now,
        signed_in_at: view.now,
        expires_at: view.now.plus_ms(600 * MINUTE_MS),
    })
}

fn residents(view: &View, n: u32, dice: &mut Dice) -> Deed {
    match dice.below(4) {
        0 => Deed::Codes,
        1 => Deed::Rate { token: format!("token-{}", dice.below(view.reports + 1)) },
        _ => Deed::Report(NewReport {
            token: format!("token-{}", view.reports),
            code: format!("code-{n}"),
            language: "en".to_owned(),
            category: ReportCategory::ALL[dice.below(ReportCategory::ALL.len() as u64) as usize],
            text: Some("it smells".to_owned()),
            photo: None,
            title: ["A report".to_owned(), "上报".to_owned()],
        }),
    }
}
