//! The writer takes the file over, and puts the engine in line with it: at the start, and whenever memory may be ahead.

use std::sync::Arc;

use sanimon_alerting::{Engine, RuleSet};
use sanimon_domain::{AlertId, TimestampMs};
use sanimon_store::{Counters, Store};

use crate::admit::{Clocks, Discoveries};
use crate::cases::Cases;
use crate::change::RowWriter;
use crate::command::discard;
use crate::failure::Failure;
use crate::job::Slot;
use crate::options::Options;
use crate::outages::Outages;
use crate::publish;
use crate::restore::{RestoreFrom, Restored, restore};
use crate::state::{Live, Site, UnsureSettings, Writer};

impl Writer<Live> {
    /// Takes the file over, and puts the rules of the options in force.
    pub fn open(store: Store, options: Options, now: TimestampMs) -> Result<Self, Failure> {
        let Store { file, memory, lock, .. } = store;
        let mut site = Site {
            file,
            memory,
            rules: options.rules.clone(),
            operations: options.operations.clone(),
            options,
            unsure_settings: UnsureSettings::default(),
            outages: Outages::default(),
            heard_until: now,
            ticked_at: now,
            next_escalation_at: None,
            quarantine_rows: 0,
            has_untold: false,
            discoveries: Discoveries::default(),
            slot: Slot::default(),
            retention: None,
            _lock: lock,
        };
        publish::declare_limits(&site.memory);
        site.discard_unfinished_imports()?;
        site.set_start_zones()?;
        site.note_downtime(now);
        let engine = site.start(now)?;
        site.publish_open_states(now)?;
        Ok(Self { site, state: Live { engine, clocks: Clocks::default() } })
    }

    /// Puts the engine back to what the file says: after a group that it has seen and the file has not.
    pub(crate) fn put_back(&mut self, now: TimestampMs) -> Result<(), Failure> {
        Counters::add(&self.site.memory.health().counters.engine_restores, 1);
        match self.site.start(now) {
            Ok(engine) => {
                self.state = Live { engine, clocks: Clocks::default() };
                Ok(())
            }
            // Whether that transaction is stored says nothing about the group's.
            Err(failure) => Err(Failure { unsure_of: None, ..failure }),
        }
    }
}

impl Site {
    /// Restores the engine and stores what follows from it, in one transaction.
    pub(crate) fn start(&mut self, now: TimestampMs) -> Result<Engine, Failure> {
        let mut rules = self.rules.clone();
        if !self.options.evaluates_rules {
            return Ok(Engine::new(rules, self.memory.calendar(), AlertId(0)));
        }
        let late_ms = self.options.acceptance.window.behind_ms;
        let tx = self.file.begin()?;
        // Once: rules that people put in force later have their version already.
        if let Some(text) = self.options.rules_text.take() {
            rules = Arc::new(RuleSet::clone(&rules).with_version(tx.put_rules_version(&text, now)?));
        }
        let from = RestoreFrom { memory: &self.memory, outages: &self.outages, late_ms, at: self.ticked_at };
        let Restored { mut engine, effects } = restore(&tx, &rules, &from)?;
        let mut cases = Cases::new(&tx, &rules, &self.operations, now);
        cases.apply_each(&effects)?;
        cases.not_raised.iter().for_each(|(subject, rule)| engine.forget_alert(subject, *rule));
        let Cases { changed, damaged, .. } = cases;
        let mut rows = RowWriter::new(&tx, self.options.quarantine, tx.count_quarantined()?, now);
        rows.quarantine(damaged.iter())?;
        let quarantine_rows = rows.quarantine_rows;
        let next_escalation_at = tx.next_escalation()?;
        tx.commit()?;
        self.file.after_commit();
        self.has_untold |= !changed.is_empty();
        (self.next_escalation_at, self.quarantine_rows) = (next_escalation_at, quarantine_rows);
        self.memory.set_rules(rules.clone());
        self.memory.set_operations(self.operations.clone());
        self.rules = rules;
        Ok(engine)
    }

    /// What a table of devices began before the site went down is not in force, and is not seen.
    fn discard_unfinished_imports(&mut self) -> Result<(), Failure> {
        loop {
            let tx = self.file.begin()?;
            let left = discard(&tx, &self.memory, None)?;
            if left.is_empty() {
                return Ok(());
            }
            tx.commit()?;
            self.memory.put_devices(left.iter());
        }
    }

    /// Nobody knows when the site went down: it heard something shortly before.
    fn note_downtime(&mut self, now: TimestampMs) {
        if let Some(newest) = self.memory.reader().heard_until() {
            self.outages.add(newest, now);
        }
    }

    /// The zones of the file are the only ones from now on.
    fn set_start_zones(&mut self) -> Result<(), Failure> {
        let Some(zones) = self.options.zones.take() else { return Ok(()) };
        let tx = self.file.begin()?;
        tx.remove_zones()?;
        zones.iter().try_for_each(|zone| tx.put_zone(zone))?;
        tx.commit()?;
        self.memory.set_zones(zones);
        Ok(())
    }

    /// What a broker keeps of open alerts may be lost: it is published again.
    fn publish_open_states(&mut self, now: TimestampMs) -> Result<(), Failure> {
        let tx = self.file.begin()?;
        for rule in self.operations.notification_rules.iter().filter(|rule| rule.publishes_state) {
            tx.put_open_states(rule, now)?;
        }
        Ok(tx.commit()?)
    }
}
