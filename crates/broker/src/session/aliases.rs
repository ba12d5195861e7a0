//! Topic aliases of one connection (5.0, 3.3.2.3.4): they end with it.

use std::num::NonZeroU16;

use foldhash::{HashMap, HashMapExt};

use crate::packet::Delivery;
use crate::reason::Reason;
use crate::topics::Topic;

/// Those that the client has given.
#[derive(Debug, Default)]
pub(super) struct Given(Vec<Option<Topic>>);

impl Given {
    /// Gives a number to a topic, also one that had another.
    pub(super) fn set(&mut self, alias: NonZeroU16, max: u16, topic: &Topic) -> Result<(), Reason> {
        let place = Self::place(alias, max)?;
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        self.0[place] = Some(topic.clone());
        Ok(())
    }

    pub(super) fn topic(&self, alias: NonZeroU16, max: u16) -> Result<Topic, Reason> {
        let place = Self::place(alias, max)?;
        self.0.get(place).cloned().flatten().ok_or(Reason::ProtocolError)
    }

    fn place(alias: NonZeroU16, max: u16) -> Result<usize, Reason> {
        if alias.get() > max { Err(Reason::TopicAliasInvalid) } else { Ok(usize::from(alias.get()) - 1) }
    }
}

/// Those that we give.
#[derive(Debug)]
pub(super) struct Own {
    numbers: HashMap<Topic, NonZeroU16>,
    max: usize,
}

impl Own {
    /// `max`: what the client takes, and never more than we give.
    pub(super) fn new(max: u16) -> Self {
        Self { numbers: HashMap::new(), max: usize::from(max) }
    }

    /// Puts the topic's number in: from its first message on, as long as there are numbers.
    pub(super) fn shorten(&mut self, delivery: &mut Delivery) {
        let Some(topic) = &delivery.topic else { return };
        if let Some(known) = self.numbers.get(topic) {
            delivery.alias = Some(*known);
            delivery.topic = None;
        } else if self.numbers.len() < self.max {
            let number = NonZeroU16::new(self.numbers.len() as u16 + 1);
            delivery.alias = number;
            number.and_then(|number| self.numbers.insert(topic.clone(), number));
        }
    }

    /// The message that would have told the number was not sent.
    pub(super) fn forget(&mut self, delivery: &Delivery) {
        if let Some(topic) = &delivery.topic
            && delivery.alias.is_some()
        {
            self.numbers.remove(topic);
        }
    }
}
