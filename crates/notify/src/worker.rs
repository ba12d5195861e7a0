//! One task a channel: takes what is due, sends it, tells what became of it.

use std::sync::Arc;
use std::time::Duration;

use sanimon_domain::time::{HOUR_MS, SECOND_MS};
use sanimon_domain::{Clock, TimestampMs};
use sanimon_store::{Alert, Command, DeliveryOutcome, DeliveryResult, OutboxMessage, Shared};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use ureq::Agent;

use crate::channel::{Channel, ChannelKind};
use crate::send::{Email, Mirror, Parcel, SendError, agent, to_robot, to_webhook};
use crate::text::{Text, Wording};

/// Messages looked at together.
const BATCH_MAX: usize = 100;
/// How often the outbox is looked at when no bell rings: for messages that were put off.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a failure: this long, doubled with each further one.
const BACKOFF_FIRST_MS: i64 = 5 * SECOND_MS;
const BACKOFF_MAX_MS: i64 = HOUR_MS;

/// What messages say about the site.
#[derive(Debug, Clone)]
pub struct Site {
    pub name: String,
    /// Where the console is, for links.
    pub url: Option<String>,
}

/// The running deliveries.
#[derive(Debug)]
pub struct Notifier {
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a task for each channel. They end when `stop` becomes true, after the message that is under way.
pub fn start(
    channels: Vec<Channel>,
    site: &Site,
    shared: &Shared,
    clock: &Arc<dyn Clock>,
    commands: &mpsc::Sender<Command>,
    stop: &watch::Receiver<bool>,
) -> Notifier {
    let tasks = channels.into_iter().map(|channel| {
        let desk = Arc::new(Desk {
            channel,
            site: site.clone(),
            shared: shared.clone(),
            clock: clock.clone(),
            agent: agent(),
            mirror: std::sync::Mutex::new(None),
        });
        tokio::spawn(deliver(desk, commands.clone(), stop.clone()))
    });
    Notifier { tasks: tasks.collect() }
}

impl Notifier {
    /// Waits for the deliveries to end; `stop` must have been told before.
    pub async fn ended(self) {
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// What a channel's deliveries need.
struct Desk {
    channel: Channel,
    site: Site,
    shared: Shared,
    clock: Arc<dyn Clock>,
    agent: Agent,
    /// The connection to a broker stays between messages.
    mirror: std::sync::Mutex<Option<Mirror>>,
}

async fn deliver(desk: Arc<Desk>, commands: mpsc::Sender<Command>, mut stop: watch::Receiver<bool>) {
    let mut bell = desk.shared.outbox_bell.subscribe();
    let mut failures = 0_u32;
    let mut rests_until = TimestampMs(i64::MIN);
    while !*stop.borrow() {
        if desk.clock.now() >= rests_until {
            let at_desk = desk.clone();
            let failures_before = failures;
            let round = tokio::task::spawn_blocking(move || at_desk.round(failures_before)).await;
            let Ok(Round { outcomes, failed, is_more }) = round else { return };
            failures = if failed { failures.saturating_add(1) } else { 0 };
            if failed {
                rests_until = desk.clock.now().plus_ms(backoff_ms(failures));
            }
            if !outcomes.is_empty() && !report(&commands, outcomes).await {
                return;
            }
            if is_more && !failed {
                continue;
            }
        }
        tokio::select! {
            _ = bell.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// False when the writer has gone.
async fn report(commands: &mpsc::Sender<Command>, outcomes: Vec<DeliveryOutcome>) -> bool {
    let (reply, answer) = oneshot::channel();
    if commands.send(Command::Delivered(outcomes, reply)).await.is_err() {
        return false;
    }
    match answer.await {
        Ok(Ok(())) => true,
        // The messages are sent again: at least once.
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot remember what became of messages");
            true
        }
        Err(_) => false,
    }
}

fn backoff_ms(failures: u32) -> i64 {
    (BACKOFF_FIRST_MS << failures.saturating_sub(1).min(20)).min(BACKOFF_MAX_MS)
}

/// What came of a look at the outbox.
#[derive(Default)]
struct Round {
    outcomes: Vec<DeliveryOutcome>,
    /// The receiver is not well: it is left alone for a while.
    failed: bool,
    is_more: bool,
}

impl Desk {
    /// Sends what is due, in order, until something fails.
    fn round(&self, failures: u32) -> Round {
        let now = self.clock.now();
        let due = match self.shared.due_messages(&self.channel.name, now, BATCH_MAX) {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "cannot read the outbox");
                return Round { failed: true, ..Round::default() };
            }
        };
        let mut round = Round { is_more: due.len() == BATCH_MAX, ..Round::default() };
        let (digest, single): (Vec<_>, Vec<_>) = due.into_iter().partition(|message| message.is_digest);
        let parcels =
            single.into_iter().map(|message| vec![message]).chain((!digest.is_empty()).then_some(digest));
        for messages in parcels {
            let at = self.clock.now();
            let (expired, fresh): (Vec<_>, Vec<_>) =
                messages.into_iter().partition(|message| message.expires_at < at && message.attempts > 0);
            round.outcomes.extend(expired.iter().map(|message| dead(message, at, &expiry(message))));
            if fresh.is_empty() {
                continue;
            }
            match self.send(&fresh) {
                Ok(()) => round.outcomes.extend(fresh.iter().map(|message| sent(message, at))),
                Err(SendError::Refused(why)) => {
                    tracing::warn!(channel = self.channel.name, why, "a message was refused and is given up");
                    round.outcomes.extend(fresh.iter().map(|message| dead(message, at, &why)));
                }
                Err(SendError::Passing(why)) => {
                    tracing::warn!(
                        channel = self.channel.name,
                        why,
                        "a message did not go out, will be tried again"
                    );
                    let again = at.plus_ms(backoff_ms(failures + 1));
                    round.outcomes.extend(fresh.iter().map(|message| later(message, at, again, &why)));
                    round.failed = true;
                    break;
                }
            }
        }
        round
    }

    fn send(&self, messages: &[OutboxMessage]) -> Result<(), SendError> {
        let now = self.clock.now();
        let about = self.about(messages)?;
        let directory = self.shared.directory.read();
        let wording = Wording {
            language: self.channel.language,
            templates: &self.channel.templates,
            calendar: self.shared.calendar,
            site_name: &self.site.name,
            url: self.site.url.as_deref(),
            directory: &directory,
        };
        let text: Text = match &about[..] {
            [] => wording.test(),
            [(message, alert)] if !message.is_digest => wording.message(message, alert),
            several => wording.digest(several),
        };
        let device = |(_, alert): &(OutboxMessage, Alert)| {
            let device = alert.subject.device().and_then(|device| directory.device(device));
            device.map(|device| device.id.to_string())
        };
        let devices: Vec<Option<String>> = about.iter().map(device).collect();
        drop(directory);
        let key = format!("{}-{}", self.channel.name, messages.first().map_or(0, |message| message.id));
        let parcel =
            Parcel { key: &key, site_name: &self.site.name, text: &text, about: &about, devices: &devices };
        match &self.channel.kind {
            ChannelKind::Webhook { url, secret } => {
                to_webhook(&self.agent, url, secret.as_deref(), now, &parcel)
            }
            ChannelKind::Robot { robot, url, secret } => {
                to_robot(&self.agent, (*robot, url, secret.as_deref()), now, &parcel)
            }
            ChannelKind::Email { host, port, tls, credentials, from, to } => {
                Email::new((host, *port), *tls, credentials.as_ref(), from, to)?.send(&parcel)
            }
            ChannelKind::Mqtt(server) => {
                let mut mirror = self.mirror.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let outcome = mirror.get_or_insert_with(|| Mirror::connect(server)).send(&parcel);
                if outcome.is_err() {
                    *mirror = None;
                }
                outcome
            }
        }
    }

    /// The alerts that messages are about, as they stand now. A test is about none.
    fn about(&self, messages: &[OutboxMessage]) -> Result<Vec<(OutboxMessage, Alert)>, SendError> {
        let mut about = Vec::new();
        for message in messages {
            let Some(id) = message.alert else { continue };
            match self.shared.alert(id) {
                Ok(Some((alert, _))) => about.push((message.clone(), alert)),
                Ok(None) => return Err(SendError::Refused(format!("there is no alert #{} any more", id.0))),
                Err(error) => return Err(SendError::Passing(error.to_string())),
            }
        }
        Ok(about)
    }
}

fn expiry(message: &OutboxMessage) -> String {
    let last = message.error.as_deref().unwrap_or("it never came to be sent");
    format!("its time was over; the last try failed: {last}")
}

fn sent(message: &OutboxMessage, at: TimestampMs) -> DeliveryOutcome {
    DeliveryOutcome { id: message.id, at, result: DeliveryResult::Sent }
}

fn dead(message: &OutboxMessage, at: TimestampMs, why: &str) -> DeliveryOutcome {
    DeliveryOutcome { id: message.id, at, result: DeliveryResult::Dead { error: why.to_owned() } }
}

fn later(message: &OutboxMessage, at: TimestampMs, again: TimestampMs, why: &str) -> DeliveryOutcome {
    DeliveryOutcome { id: message.id, at, result: DeliveryResult::Later { at: again, error: why.to_owned() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_fails_is_left_alone_for_longer_and_longer_up_to_an_hour() {
        let pauses: Vec<i64> = [1, 2, 3, 10, 100].map(|n| backoff_ms(n) / SECOND_MS).to_vec();
        assert_eq!(pauses, [5, 10, 20, 2_560, 3_600]);
    }
}
