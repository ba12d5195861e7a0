//! One pass of a channel: whose turn it is, what it says, what became of it.

use std::ops::ControlFlow;

use sanimon_domain::time::SECOND_MS;
use sanimon_domain::{Heartbeat, TimestampMs};
use sanimon_store::{Alert, DeliveryOutcome, DeliveryResult, OutboxMessage, StoreError};

use crate::channel::ChannelKind;
use crate::delivery::{ChannelDelivery, InFlight};
use crate::failure::Failure;
use crate::policy::{Choice, DIGEST, Key, Policy, Turn, Verdict};
use crate::send::{Delivered, OutgoingMessage};
use crate::text::{MessageText, Text};

/// After the outbox could not be read.
const READ_AGAIN_MS: i64 = 5 * SECOND_MS;

/// What is to be done after a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Again,
    /// Until this time at the latest.
    Wait(Option<TimestampMs>),
}

/// The next message of a channel, from the choice to the outcome.
pub(crate) struct DeliveryPass<'a> {
    pub(crate) delivery: &'a ChannelDelivery,
    pub(crate) policy: &'a mut Policy,
    pub(crate) heartbeat: &'a Heartbeat,
}

impl DeliveryPass<'_> {
    /// Sends one message at most.
    pub(crate) fn run(mut self) -> Next {
        if self.delivery.memory().unrecorded.is_full() {
            return Next::Wait(self.delivery.record_again_at());
        }
        self.next().unwrap_or_else(|error| {
            tracing::warn!(channel = self.delivery.name(), %error, "cannot read the outbox");
            Next::Wait(Some(self.delivery.now().plus_ms(READ_AGAIN_MS)))
        })
    }

    fn next(&mut self) -> sanimon_store::Result<Next> {
        let now = self.delivery.now();
        if let Some(at) = self.policy.rests_until(now) {
            return Ok(Next::Wait(Some(at)));
        }
        let (choice, expired) = self.choose(now)?;
        for id in expired {
            self.expire(id, now)?;
        }
        match choice {
            Choice::Wait(at) => {
                let due = self.delivery.parts.shared.next_message_due(self.delivery.name(), now)?;
                Ok(Next::Wait(at.into_iter().chain(due).min()))
            }
            Choice::Send(key) => {
                let messages = self.load(key, now)?;
                let about = self.about(messages)?;
                self.deliver(key, about);
                Ok(Next::Again)
            }
        }
    }

    /// Whose turn it is, and messages whose time is over.
    fn choose(&mut self, now: TimestampMs) -> sanimon_store::Result<(Choice, Vec<i64>)> {
        let delivery = self.delivery;
        let mut expired = Vec::new();
        let mut chooser = self.policy.chooser(now);
        delivery.parts.shared.visit_waiting(delivery.name(), now, &mut |message| {
            let memory = delivery.memory();
            if memory.unrecorded.is_settled(message.id) {
                return ControlFlow::Continue(());
            }
            if message.attempts > 0 && message.expires_at < now {
                expired.push(message.id);
                return ControlFlow::Continue(());
            }
            let put_off_until = memory.unrecorded.put_off_until(message.id);
            chooser.consider(&Turn {
                key: if message.is_digest { DIGEST } else { message.id },
                due_at: put_off_until.unwrap_or(message.due_at),
                was_tried: message.attempts > 0 || put_off_until.is_some(),
            })
        })?;
        Ok((chooser.choice(), expired))
    }

    /// What goes out at once. The state of an alert is published in the order of what happened.
    fn load(&self, key: Key, now: TimestampMs) -> sanimon_store::Result<Vec<OutboxMessage>> {
        let (shared, channel) = (&self.delivery.parts.shared, self.delivery.name());
        let mut messages = match key {
            DIGEST => shared.digest_messages(channel, now)?,
            id => shared.waiting_message(id)?.into_iter().collect(),
        };
        if let (ChannelKind::Mqtt(_), [message]) = (&self.delivery.channel.kind, &messages[..])
            && let Some(alert) = message.alert
        {
            let earlier = shared.earlier_messages(channel, alert, message.id)?;
            messages.splice(0..0, earlier);
        }
        let memory = self.delivery.memory();
        messages.retain(|message| !memory.unrecorded.is_settled(message.id));
        Ok(messages)
    }

    /// The alerts that messages are about, as they stand now. A test is about none.
    fn about(
        &mut self,
        messages: Vec<OutboxMessage>,
    ) -> sanimon_store::Result<Vec<(OutboxMessage, Option<Alert>)>> {
        let mut about = Vec::new();
        for message in messages {
            let Some(id) = message.alert else {
                about.push((message, None));
                continue;
            };
            match self.delivery.parts.shared.alert(id) {
                Ok(Some((alert, _))) => about.push((message, Some(alert))),
                Ok(None) => self.give_up(&message, format!("there is no alert #{} any more", id.0)),
                // The others need not wait for a row that nobody will ever understand.
                Err(error @ StoreError::Damaged { .. }) => self.give_up(&message, error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(about)
    }

    fn deliver(&mut self, key: Key, messages: Vec<(OutboxMessage, Option<Alert>)>) {
        let (messages, alerts): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        if messages.is_empty() {
            self.policy.forget(key);
            return;
        }
        let about: Vec<(OutboxMessage, Alert)> = messages
            .iter()
            .cloned()
            .zip(alerts)
            .filter_map(|(message, alert)| Some((message, alert?)))
            .collect();
        let in_flight = messages.iter().map(|message| (message.id, message.attempts)).collect();
        self.delivery.memory().in_flight = Some(InFlight { key, messages: in_flight });
        self.heartbeat.waiting();
        let sent = self.send(&messages, &about);
        self.heartbeat.working();
        self.settle(key, &messages, sent);
        let mut memory = self.delivery.memory();
        memory.in_flight = None;
        memory.broken_off.remove(&key);
    }

    fn send(
        &self,
        messages: &[OutboxMessage],
        about: &[(OutboxMessage, Alert)],
    ) -> Result<Delivered, Failure> {
        let ChannelDelivery { channel, parts, sender, .. } = self.delivery;
        let (text, devices) = self.words(about);
        let ids: Vec<i64> = messages.iter().map(|message| message.id).collect();
        // Of several messages the last one counts, too: another day's warnings are another message.
        let key = match &ids[..] {
            [] => return Ok(Delivered::default()),
            [id] => format!("{}-{id}", channel.name),
            [first, .., last] => format!("{}-{first}-{last}", channel.name),
        };
        let outgoing = OutgoingMessage {
            key: &key,
            ids: &ids,
            site_name: &parts.site.name,
            text: &text,
            about,
            devices: &devices,
        };
        sender.send(&channel.kind, parts.clock.now(), &outgoing)
    }

    /// What it says, and each alert's device.
    fn words(&self, about: &[(OutboxMessage, Alert)]) -> (Text, Vec<Option<String>>) {
        let ChannelDelivery { channel, parts, .. } = self.delivery;
        let directory = parts.shared.directory.read();
        let words = MessageText {
            language: channel.language,
            templates: &channel.templates,
            calendar: parts.shared.calendar,
            site_name: &parts.site.name,
            url: parts.site.url.as_deref(),
            directory: &directory,
        };
        let text = match about {
            [] => words.test(),
            [(message, alert)] if !message.is_digest => words.message(message, alert),
            several => words.digest(several),
        };
        let device = |(_, alert): &(OutboxMessage, Alert)| {
            let device = alert.subject.device().and_then(|device| directory.device(device));
            device.map(|device| device.id.to_string())
        };
        (text, about.iter().map(device).collect())
    }

    /// What follows from a try.
    fn settle(&mut self, key: Key, messages: &[OutboxMessage], sent: Result<Delivered, Failure>) {
        let now = self.delivery.now();
        match sent {
            Ok(Delivered { has_reached_somebody, rest, note }) => {
                if has_reached_somebody {
                    self.policy.succeeded(key);
                }
                let result = match rest {
                    Some(error) => DeliveryResult::Later { at: self.policy.put_off(key, now), error },
                    None => {
                        self.policy.forget(key);
                        messages.iter().for_each(|message| self.policy.forget(message.id));
                        DeliveryResult::Sent { note }
                    }
                };
                messages.iter().for_each(|message| self.note(message, result.clone()));
            }
            Err(failure) => {
                let verdict = self.policy.failed(key, &failure, now);
                tracing::warn!(
                    channel = self.delivery.name(),
                    message = key,
                    reason = failure.reason,
                    ?verdict,
                    "a message did not go out"
                );
                for message in messages {
                    let error = failure.reason.clone();
                    match verdict {
                        Verdict::Again(at) => self.note(message, DeliveryResult::Later { at, error }),
                        Verdict::GiveUp => self.give_up(message, error),
                    }
                }
            }
        }
    }

    fn expire(&mut self, id: i64, now: TimestampMs) -> sanimon_store::Result<()> {
        let Some(message) = self.delivery.parts.shared.waiting_message(id)? else { return Ok(()) };
        if message.expires_at < now {
            let last = message.error.as_deref().unwrap_or("it never came to be sent");
            let why = format!("its time was over; the last try failed: {last}");
            self.give_up(&message, why);
        }
        Ok(())
    }

    /// Nobody will be told, or nobody more.
    fn give_up(&mut self, message: &OutboxMessage, error: String) {
        tracing::warn!(channel = self.delivery.name(), message = message.id, error, "a message is given up");
        self.policy.forget(message.id);
        self.delivery.memory().broken_off.remove(&message.id);
        let result = match self.delivery.sender.give_up(message.id) {
            Some(note) => DeliveryResult::Sent { note: Some(note) },
            None => DeliveryResult::Dead { error },
        };
        self.note(message, result);
    }

    fn note(&self, message: &OutboxMessage, result: DeliveryResult) {
        let outcome =
            DeliveryOutcome { id: message.id, attempts: message.attempts, at: self.delivery.now(), result };
        self.delivery.memory().unrecorded.push(outcome);
    }
}
