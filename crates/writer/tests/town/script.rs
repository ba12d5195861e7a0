//! What happens in a town, by the dice.

use sanimon_domain::TimestampMs;
use sanimon_domain::time::MINUTE_MS;
use sanimon_store::{DeliveryOutcome, DeliveryResult, MessageState};
use sanimon_writer::{Author, Entry, Refusal};

use super::dice::Dice;
use super::disk::{Health, once};
use super::messages::Senders;
use super::model::{self, Model};
use super::people::{self, Deed, PEOPLE, View};
use super::setting::{self, CHANNEL, START};
use super::site::{Site, Told};
use super::{model::outbox, oracle};

/// Steps between two comparisons of memory with a reopened file: each costs as much as a step.
const COMPARE_EVERY: u64 = 5;

pub(crate) struct Town {
    dice: Dice,
    now: TimestampMs,
    senders: Senders,
    model: Model,
    site: Site,
    steps: u64,
    deeds: u64,
    reports: u64,
    log: Vec<String>,
}

impl Town {
    pub(crate) fn new(seed: u64) -> Self {
        let mut town = Self {
            dice: Dice(seed.wrapping_mul(0x2545_F491_4F6C_DD1D)),
            now: START,
            senders: Senders::default(),
            model: Model::default(),
            site: Site::new(),
            steps: 0,
            deeds: 0,
            reports: 0,
            log: Vec::new(),
        };
        town.ask(Deed::Zones { with_east: false });
        town.ask(Deed::Devices(setting::devices()));
        town.ask(Deed::Codes);
        town
    }

    /// A short day of all kinds of work, in which this call to the disk fails.
    pub(crate) fn quiet_day(failing: Option<u64>) -> Self {
        let mut town = Self::new(7);
        if let Some(call) = failing {
            town.site.disk.set(once(call, call));
        }
        for _ in 0..6 {
            for what in [0, 13, 1, 9, 16, 3, 17, 13] {
                town.happen(what);
                town.mend_all();
                town.check();
                town.mend_all();
            }
        }
        town
    }

    /// Calls to the disk so far.
    pub(crate) fn calls(&self) -> u64 {
        self.site.disk.calls()
    }

    /// What the town's alerts came to.
    pub(crate) fn story(mut self) -> Vec<String> {
        self.model.look(self.site.reader());
        let mut story = self.model.story();
        story.extend(self.log);
        story
    }

    pub(crate) fn step(&mut self) {
        self.steps += 1;
        if self.site.is_held() {
            return self.held();
        }
        if self.dice.once_in(7) {
            self.site.disk.fail(&mut self.dice);
        }
        let what = self.dice.below(26);
        self.happen(what);
    }

    fn happen(&mut self, what: u64) {
        self.log.push(format!("{what} at {}, the disk: {:?}", self.now, self.site.disk.health()));
        match what {
            0..=8 => self.hear(),
            9 | 10 => self.wait(),
            11..=15 => self.act(),
            16 => self.deliver(),
            17..=19 => self.work(),
            20 => self.restart(),
            21 => self.crash(false),
            22 => self.crash(true),
            23 => {
                let gateway = self.dice.below(2) as usize;
                self.senders.down[gateway] = !self.senders.down[gateway];
            }
            24 => drop(self.site.tidy(self.now)),
            _ => self.site.disk.set(Health::Sound),
        }
    }

    /// Time goes on, as far as what waits allows.
    fn advance(&mut self, ms: i64) {
        self.now = self.now.plus_ms(ms.min(self.senders.patience_ms(self.now)));
    }

    fn hear(&mut self) {
        let ms = MINUTE_MS + self.dice.below(9 * MINUTE_MS as u64) as i64;
        self.advance(ms);
        let arriving = self.senders.arriving(self.now, &mut self.dice);
        let told = self.site.group(self.now, &arriving);
        self.senders.received(&arriving, self.now);
        self.note(told);
    }

    /// Senders hear that their messages were taken; some acknowledgements are lost on the way.
    fn note(&mut self, told: Told) {
        let is_lost = self.dice.once_in(8);
        for no in told.acknowledged {
            if !is_lost {
                self.senders.acknowledged(no);
            }
        }
        self.after_a_death();
    }

    /// A damaged file ended the process: it is started again.
    fn after_a_death(&mut self) {
        if !self.site.is_held() && self.site.live().is_none() {
            self.site.start(self.now);
        }
    }

    fn wait(&mut self) {
        let ms = self.dice.below(3 * 60) as i64 * MINUTE_MS;
        self.advance(ms);
        let told = self.site.tick(self.now);
        self.note(told);
    }

    fn act(&mut self) {
        let alerts = self.model.alerts().map(|alert| (alert.id, alert.handling)).collect();
        let view = View { now: self.now, alerts, reports: self.reports };
        if let Some(deed) = people::deed(&view, &mut self.dice) {
            self.ask(deed);
        }
    }

    fn ask(&mut self, deed: Deed) {
        self.deeds += 1;
        let who = *self.dice.pick(&PEOPLE).expect("people");
        let entry =
            Entry::new(self.now, Author::Person(who.to_owned()), "town.deed").about(self.deeds.to_string());
        let told = self.site.ask(self.now, &entry, &deed);
        match told.answer.as_ref().expect("everybody gets an answer") {
            Ok(_) => {
                self.model.deeds += 1;
                match deed {
                    Deed::Window(window) => self.model.windows.push(window),
                    Deed::Report(_) => self.reports += 1,
                    Deed::EndWindow(_) => self.model.windows.clear(),
                    _ => {}
                }
            }
            // Whether it was made is seen later.
            Err(Refusal::Unsure(_)) => {
                self.model.unsure_deeds += 1;
                if let Deed::Report(_) = deed {
                    self.reports += 1;
                }
                if let Deed::EndWindow(_) = deed {
                    self.model.windows.clear();
                }
            }
            Err(
                Refusal::Failed(_)
                | Refusal::Unavailable(_)
                | Refusal::Conflict(_)
                | Refusal::NotAllowed(_)
                | Refusal::NotFound { .. }
                | Refusal::HardwareTaken { .. },
            ) => {}
            Err(Refusal::Stopping) => panic!("nobody stops it"),
        }
        self.note(told);
    }

    /// Somebody hears what waits in the outbox, or does not; sometimes it is said twice.
    fn deliver(&mut self) {
        let waiting: Vec<_> = outbox(self.site.reader())
            .into_iter()
            .filter(|message| message.state == MessageState::Waiting)
            .collect();
        let mut outcomes = Vec::new();
        for message in waiting.into_iter().filter(|message| message.channel == CHANNEL).take(3) {
            let result = match self.dice.below(3) {
                0 => DeliveryResult::Later { at: self.now.plus_ms(MINUTE_MS), error: "away".to_owned() },
                1 => DeliveryResult::Dead { error: "refused".to_owned() },
                _ => DeliveryResult::Sent { note: None },
            };
            outcomes.push(DeliveryOutcome {
                id: message.id,
                attempts: message.attempts,
                at: self.now,
                result,
            });
        }
        if self.dice.once_in(3) {
            outcomes.extend(outcomes.clone());
        }
        if !outcomes.is_empty() {
            let told = self.site.deliveries(self.now, outcomes);
            assert!(told.answer.is_some(), "the channel is told at once");
            self.note(told);
        }
    }

    fn work(&mut self) {
        self.site.work(self.now, &mut self.dice);
        self.after_a_death();
    }

    /// The disk refuses: time passes, senders lose patience, and one day it is mended.
    fn held(&mut self) {
        let ms = self.dice.below(20) as i64 * MINUTE_MS;
        self.advance(ms);
        self.log.push(format!("held at {}, the disk: {:?}", self.now, self.site.disk.health()));
        if self.dice.once_in(12) {
            return self.crash(false);
        }
        if self.dice.once_in(3) {
            self.site.disk.set(Health::Sound);
        }
        self.resume();
    }

    fn resume(&mut self) {
        let dropped = if self.dice.once_in(3) { self.dice.below(4) + 1 } else { 0 };
        let (_, told) = self.site.resume(self.now, |no| dropped == 0 || !no.is_multiple_of(dropped + 1));
        self.note(told);
    }

    fn mend(&mut self) {
        self.site.disk.set(Health::Sound);
        while self.site.is_held() {
            self.resume();
        }
    }

    fn restart(&mut self) {
        self.site.end(&mut self.dice, false);
        let ms = self.dice.below(90) as i64 * MINUTE_MS;
        self.advance(ms);
        self.site.start(self.now);
    }

    /// The process dies with messages on their way. `cut`: in the middle of the write, with the power.
    fn crash(&mut self, cut: bool) {
        if cut {
            let arriving = self.senders.arriving(self.now, &mut self.dice);
            self.site.untold_group(self.now, &arriving);
            self.senders.received(&arriving, self.now);
        }
        self.site.end(&mut self.dice, cut);
        let ms = self.dice.below(8) as i64 * MINUTE_MS;
        self.advance(ms);
        self.site.start(self.now);
    }

    pub(crate) fn check(&mut self) {
        if self.site.is_held() {
            return;
        }
        self.tell_all_missed_deadlines();
        if self.site.is_held() {
            return;
        }
        self.model.look(self.site.reader());
        let mut verdict = self.model.check(&self.site);
        verdict = verdict.and_then(|()| model::readings(self.site.reader(), &self.senders, false));
        if self.steps.is_multiple_of(COMPARE_EVERY) {
            verdict = verdict.and_then(|()| model::same_as_reopened(self.site.reader(), self.site.folder()));
        }
        self.assert(verdict);
    }

    /// More than fit into one step are told with the next ones.
    fn tell_all_missed_deadlines(&mut self) {
        for _ in 0..200 {
            self.model.look(self.site.reader());
            let forgotten = self.model.forgotten(self.site.reader(), self.now);
            if forgotten.is_empty() {
                return;
            }
            let told = self.site.tick(self.now);
            self.note(told);
            if self.site.is_held() {
                return;
            }
        }
        self.assert(Err("a missed deadline is never told".to_owned()));
    }

    fn assert(&self, verdict: Result<(), String>) {
        if let Err(why) = verdict {
            if std::env::var_os("SANIMON_TOWN_STORY").is_some() {
                eprintln!("{:#?}\n{:#?}", self.log, self.site.log);
            }
            let quarantine =
                self.site.reader().quarantine(None, 20).map(|page| page.items).unwrap_or_default();
            let rows: Vec<String> = quarantine
                .iter()
                .map(|row| format!("{} {} {} {}", row.topic, row.code, row.count, row.message))
                .collect();
            panic!(
                "{why}\nquarantine: {rows:#?}\nlast steps: {:#?}",
                &self.log[self.log.len().saturating_sub(6)..]
            );
        }
    }

    /// Everything is mended and arrives at last; then everything that was sent is there, once, and the alerts are those of a
    /// town that never failed.
    pub(crate) fn end(&mut self) {
        self.mend_all();
        while !self.senders.waiting.is_empty() {
            self.hear();
            self.mend_all();
        }
        self.check();
        self.assert(model::readings(self.site.reader(), &self.senders, true));
        self.site.end(&mut self.dice, false);
        self.site.start(self.now);
        self.check();
        self.assert(model::readings(self.site.reader(), &self.senders, true));
        self.assert(model::same_as_reopened(self.site.reader(), self.site.folder()));
        let theirs = oracle::relive(&self.site.log);
        self.assert(oracle::compare(&oracle::told(self.site.reader()), &theirs));
    }

    fn mend_all(&mut self) {
        self.mend();
        self.after_a_death();
    }
}
