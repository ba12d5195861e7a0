//! The state of open alerts as retained messages: `sanitation/alerts/{zone}/{alert}`.
//!
//! A broker keeps the newest for each alert, so who subscribes sees all open alerts at once; an alert that is over leaves
//! no retained message behind.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rumqttc::{Client, Event, MqttOptions, Outgoing, Packet, QoS, TlsConfiguration, Transport};
use sanimon_domain::{Condition, Handling};
use sanimon_store::{Alert, OutboxMessage};

use super::OutgoingMessage;
use super::webhook::event;
use crate::channel::{BrokerTls, Credentials, MqttServer, PublishState};
use crate::failure::Failure;

/// Where the state of alerts is.
const TOPIC: &str = "sanitation/alerts";
/// Alerts that are in no zone.
const NO_ZONE: &str = "-";
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The connection to the broker that keeps the state.
pub(super) struct StatePublisher {
    client: Client,
    /// One for each PUBACK; an error when the connection broke.
    answers: Receiver<Result<(), String>>,
}

impl StatePublisher {
    pub(super) fn connect(server: &MqttServer) -> Self {
        let mut options = MqttOptions::new(&server.client_id, &server.host, server.port);
        options.set_keep_alive(Duration::from_secs(30));
        if let Some(Credentials { username, password }) = &server.credentials {
            options.set_credentials(username, password);
        }
        if let Some(BrokerTls(config)) = &server.tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config.clone())));
        }
        let (client, mut connection) = Client::new(options, 16);
        let (told, answers) = channel();
        std::thread::spawn(move || {
            for notice in connection.iter() {
                let answer = match notice {
                    Ok(Event::Incoming(Packet::PubAck(_))) => Ok(()),
                    Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
                    Ok(_) => continue,
                    Err(error) => Err(error.to_string()),
                };
                let is_broken = answer.is_err();
                // A broken connection is made anew with the next message.
                if told.send(answer).is_err() || is_broken {
                    return;
                }
            }
        });
        Self { client, answers }
    }

    /// Publishes the newest state of each alert and waits for the broker's word.
    pub(super) fn send(&self, outgoing: &OutgoingMessage<'_>) -> Result<(), Failure> {
        send_states(outgoing, |topic, payload, retain| {
            let published = self.client.publish(topic, QoS::AtLeastOnce, retain, payload);
            published.map_err(|error| Failure::undecided(format!("the broker: {error}")))?;
            self.answered()
        })
    }

    fn answered(&self) -> Result<(), Failure> {
        match self.answers.recv_timeout(ANSWER_WITHIN) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Failure::undecided(format!("the broker: {why}"))),
            Err(RecvTimeoutError::Timeout) => Err(Failure::undecided("the broker does not answer")),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Failure::undecided("the connection to the broker broke"))
            }
        }
    }
}

/// The same by the broker in this process.
pub(super) fn send_embedded(
    broker: &dyn PublishState,
    outgoing: &OutgoingMessage<'_>,
) -> Result<(), Failure> {
    send_states(outgoing, |topic, payload, retain| {
        broker
            .publish(topic, payload, retain)
            .map_err(|why| Failure::undecided(format!("the embedded broker: {why}")))
    })
}

fn send_states(
    outgoing: &OutgoingMessage<'_>,
    publish: impl Fn(&str, &[u8], bool) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if outgoing.about.is_empty() {
        return publish(&format!("{TOPIC}/test"), outgoing.text.subject.as_bytes(), false);
    }
    for ((message, alert), device) in outgoing.about.iter().zip(outgoing.devices) {
        let zone = alert.zone.as_ref().map_or(NO_ZONE, sanimon_domain::ZoneId::as_str);
        let topic = format!("{TOPIC}/{zone}/{}", alert.id.0);
        publish(&topic, state(message, alert, device.as_deref()).as_bytes(), true)?;
    }
    Ok(())
}

impl std::fmt::Debug for StatePublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StatePublisher")
    }
}

impl Drop for StatePublisher {
    fn drop(&mut self) {
        let _ = self.client.try_disconnect();
    }
}

/// Empty when nobody has to care any more: that removes the retained message.
fn state(message: &OutboxMessage, alert: &Alert, device: Option<&str>) -> String {
    let is_closed = matches!(alert.handling, Handling::Verified | Handling::Dismissed);
    let is_over = alert.condition == Condition::Cleared && (is_closed || alert.handling == Handling::New);
    if is_over { String::new() } else { event(message, alert, device).to_string() }
}
