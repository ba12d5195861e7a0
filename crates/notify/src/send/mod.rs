//! One message to one receiver. All of it blocks: the worker calls it off the async threads.

mod chat_bot;
mod codes;
mod email;
mod http;
mod mqtt;
mod smtp;
mod webhook;

use std::sync::{Mutex, PoisonError};

use sanimon_domain::TimestampMs;
use sanimon_store::{Alert, OutboxMessage};
use ureq::Agent;

use crate::channel::{ChannelKind, StateBroker};
use crate::failure::Failure;
use crate::text::Text;

use email::{Email, PartlyMailed};
use mqtt::StatePublisher;

/// What is sent at once: one message, or the warnings of a day.
#[derive(Debug)]
pub(crate) struct OutgoingMessage<'a> {
    /// The same for each try.
    pub(crate) key: &'a str,
    /// The messages of the outbox that it stands for.
    pub(crate) ids: &'a [i64],
    pub(crate) site_name: &'a str,
    pub(crate) text: &'a Text,
    /// Empty: a test.
    pub(crate) about: &'a [(OutboxMessage, Alert)],
    /// Each alert's place, in words.
    pub(crate) devices: &'a [Option<String>],
}

/// What came of a try that did not fail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Delivered {
    /// In this try it reached somebody: the channel works.
    pub(crate) has_reached_somebody: bool,
    /// It is to be tried again for those whom it has not reached yet; why.
    pub(crate) rest: Option<String>,
    /// Whom it will never reach, and why.
    pub(crate) note: Option<String>,
}

impl Delivered {
    /// It reached everybody.
    const ALL: Self = Self { has_reached_somebody: true, rest: None, note: None };
}

/// The way to a channel's receiver, with what stays between messages.
#[derive(Debug)]
pub(crate) struct Sender {
    agent: Agent,
    publisher: Mutex<Option<StatePublisher>>,
    partly_mailed: Mutex<PartlyMailed>,
}

impl Sender {
    pub(crate) fn new() -> Self {
        Self { agent: http::agent(), publisher: Mutex::default(), partly_mailed: Mutex::default() }
    }

    pub(crate) fn send(
        &self,
        kind: &ChannelKind,
        now: TimestampMs,
        outgoing: &OutgoingMessage<'_>,
    ) -> Result<Delivered, Failure> {
        match kind {
            ChannelKind::Webhook { url, secret } => {
                webhook::send(&self.agent, url, secret.as_deref(), now, outgoing)?;
            }
            ChannelKind::ChatBot { bot, url, secret } => {
                chat_bot::send(&self.agent, (*bot, url, secret.as_deref()), now, outgoing)?;
            }
            ChannelKind::Email { host, port, tls, credentials, from, to } => {
                let email = Email::new((host, *port), *tls, credentials.as_ref(), from, to)?;
                return email.send(outgoing, &mut lock(&self.partly_mailed));
            }
            ChannelKind::Mqtt(StateBroker::Embedded(broker)) => mqtt::send_embedded(&**broker, outgoing)?,
            ChannelKind::Mqtt(StateBroker::External(server)) => {
                let mut publisher = lock(&self.publisher);
                let outcome = publisher.get_or_insert_with(|| StatePublisher::connect(server)).send(outgoing);
                if outcome.is_err() {
                    *publisher = None;
                }
                outcome?;
            }
        }
        Ok(Delivered::ALL)
    }

    /// A message is given up. When it has reached somebody already: whom it did not reach.
    pub(crate) fn give_up(&self, message: i64) -> Option<String> {
        lock(&self.partly_mailed).give_up(message)
    }
}

/// What a panic left behind is still sound: each of these is changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
