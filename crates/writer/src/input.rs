//! Everything that can happen to a site.

use sanimon_domain::MetricNo;
use sanimon_store::{DeliveryOutcome, Device, JournalMessage};

use crate::command::Command;
use crate::entry::Entry;
use crate::gathered::Group;
use crate::job::{JobId, JobOutcome};

/// One input is one transaction. Closed: a new kind of change is a new arm here and nowhere else.
#[derive(Debug)]
pub enum Input<A> {
    /// Messages, and changes of MQTT sessions: what was waiting when the writer came around. Time goes on with it, too.
    Messages(Group<A>),
    /// Nothing arrived; time went on.
    Tick,
    /// What somebody asks for: who, when, why, and what.
    Command(Entry, Command),
    /// What became of messages to people.
    Deliveries(Vec<DeliveryOutcome>),
    /// A step of a job that runs beside the writer, or its end.
    Maintenance(JobId, JobOutcome),
    /// Nobody waits: a bounded step of what keeps the file small.
    Tidy,
    /// Readings of the past, entered by the command line: no rule sees them.
    History(History),
}

/// Readings of the past, with what they need: numbers are those that the directory gives next.
#[derive(Debug, Default)]
pub struct History {
    pub new_devices: Vec<Device>,
    pub new_metrics: Vec<(MetricNo, Box<str>)>,
    pub messages: Vec<JournalMessage>,
    /// What the store remembers by name.
    pub meta: Vec<(&'static str, String)>,
}
