//! An external broker as a source: rumqttc with manual acknowledgements and a persistent session.
//!
//! Each connection gets a client and an event loop of its own. That makes "an acknowledgement belongs to its
//! connection" true by construction: after a reconnect, those of the old one go into a channel that nobody reads. The
//! broker sends the unacknowledged messages again, and the pipeline knows them.
//!
//! The event loop is polled in its own task and never awaits a request there. It does await the queue: that is the
//! backpressure, and it cannot deadlock, because the committer's acknowledgements never wait (the request channel
//! holds more than MQTT has packet ids).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectReturnCode, Event, MqttOptions, Outgoing, Packet, Publish, QoS, SubscribeReasonCode,
    TlsConfiguration, Transport,
};
use sanimon_domain::Heartbeat;
use sanimon_store::{Counters, Health, SourceState};
use sanimon_writer::Qos;
use tokio::sync::watch;
use tokio_rustls::rustls::ClientConfig;

use crate::message::{AckWay, Connection};
use crate::queue::{Arrival, Line, Queue};

/// A packet from a broker that somebody else configured: generous, for one that is too large comes again for ever.
const PACKET_BYTES_MAX: usize = 16 << 20;
/// More than the 65,535 packet ids that can be unacknowledged, and some subscriptions.
const REQUESTS_MAX: usize = 70_000;
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How to reach a broker.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The source's name in the quarantine and in `/readyz`.
    pub name: String,
    pub host: String,
    pub port: u16,
    /// Stable: the broker keeps the session under it.
    pub client_id: String,
    pub credentials: Option<Credentials>,
    pub topic_filters: Vec<String>,
    pub keep_alive: Duration,
    /// Whom to trust, and who we are; `None`: plain.
    pub tls: Option<BrokerTls>,
}

/// How TLS is spoken to a broker.
#[derive(Debug, Clone)]
pub struct BrokerTls(pub Arc<ClientConfig>);

/// A user name and its password, which no debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why a connection ended.
enum Ended {
    Stopped,
    Lost(String),
}

/// Follows the broker until `stop` becomes true.
pub async fn run(
    options: ClientOptions,
    queue: Queue,
    (health, heartbeat): (Arc<Health>, Arc<Heartbeat>),
    mut stop: watch::Receiver<bool>,
) {
    let mut backoff = BACKOFF_MIN;
    // The session may be from a run with other filters: subscribe once in any case.
    let mut must_subscribe = true;
    let mut line = queue.line_of_broker();
    while !*stop.borrow() {
        let (client, event_loop) = AsyncClient::new(mqtt_options(&options), REQUESTS_MAX);
        let connection = Arc::new(Connection { client, alive: AtomicBool::new(true) });
        let mut session = Session {
            options: &options,
            health: &health,
            heartbeat: &heartbeat,
            connection: connection.clone(),
            connected: false,
            line: &mut line,
            must_subscribe: &mut must_subscribe,
        };
        let ended = session.follow(event_loop, &mut stop).await;
        let connected = session.connected;
        connection.alive.store(false, Ordering::Release);
        let Ended::Lost(why) = ended else { return };
        if connected {
            backoff = BACKOFF_MIN;
        }
        tracing::warn!(
            broker = options.name,
            why,
            retry_in_ms = backoff.as_millis() as u64,
            "broker connection lost"
        );
        health.set_source(&options.name, SourceState { connected: false, detail: why });
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            _ = stop.changed() => return,
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

fn mqtt_options(options: &ClientOptions) -> MqttOptions {
    let mut mqtt = MqttOptions::new(&options.client_id, &options.host, options.port);
    mqtt.set_clean_session(false)
        .set_manual_acks(true)
        .set_keep_alive(options.keep_alive)
        .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    if let Some(Credentials { username, password }) = &options.credentials {
        mqtt.set_credentials(username, password);
    }
    if let Some(BrokerTls(config)) = &options.tls {
        mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config.clone())));
    }
    mqtt
}

struct Session<'a> {
    options: &'a ClientOptions,
    health: &'a Health,
    heartbeat: &'a Heartbeat,
    connection: Arc<Connection>,
    connected: bool,
    line: &'a mut Line,
    must_subscribe: &'a mut bool,
}

impl Session<'_> {
    async fn follow(
        &mut self,
        mut event_loop: rumqttc::EventLoop,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let source: Arc<str> = self.options.name.as_str().into();
        loop {
            self.heartbeat.waiting();
            let event = tokio::select! {
                event = event_loop.poll() => event,
                // The connection ends here, so a poll that is cut off half-way does no harm.
                _ = stop.changed() => return self.finish(event_loop).await,
            };
            self.heartbeat.working();
            match event {
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    if self.hand_over(&source, publish).await.is_err() {
                        return Ended::Stopped;
                    }
                }
                Ok(Event::Incoming(Packet::ConnAck(answer))) => {
                    if answer.code != ConnectReturnCode::Success {
                        return Ended::Lost(format!("the broker refused the connection: {:?}", answer.code));
                    }
                    if let Err(why) = self.welcome(answer.session_present) {
                        return Ended::Lost(why);
                    }
                }
                Ok(Event::Incoming(Packet::SubAck(answer))) => {
                    if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                        tracing::error!(
                            broker = self.options.name,
                            "broker refused a subscription: check its access list"
                        );
                    }
                }
                Ok(event) => self.count_acknowledgement(&event),
                Err(error) => return Ended::Lost(error.to_string()),
            }
        }
    }

    /// Keeps the connection until the acknowledgements of what was handed over have gone out, then leaves.
    async fn finish(&mut self, mut event_loop: rumqttc::EventLoop) -> Ended {
        const LEAVE_WITHIN: Duration = Duration::from_secs(2);
        // Dropped by the run's owner when the committer has stopped: nothing more will be acknowledged.
        let connection = self.connection.clone();
        let leave = async {
            // Each unreleased acknowledgement holds the connection.
            while Arc::strong_count(&connection) > 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let _ = connection.client.try_disconnect();
        };
        let poll = async {
            while let Ok(event) = event_loop.poll().await {
                self.count_acknowledgement(&event);
                if matches!(event, Event::Outgoing(Outgoing::Disconnect)) {
                    break;
                }
                // A publish that arrives now is left unacknowledged: the broker keeps it for the next run.
            }
        };
        let _ = tokio::time::timeout(LEAVE_WITHIN, async { tokio::join!(leave, poll) }).await;
        Ended::Stopped
    }

    /// What goes out is the other witness of the promise, besides the writer's count of commits.
    fn count_acknowledgement(&self, event: &Event) {
        if let Event::Outgoing(Outgoing::PubAck(_) | Outgoing::PubRec(_)) = event {
            Counters::add(&self.health.counters.acknowledgements_out, 1);
        }
    }

    fn welcome(&mut self, session_present: bool) -> Result<(), String> {
        self.connected = true;
        let detail = format!("connected to {}:{}", self.options.host, self.options.port);
        tracing::info!(broker = self.options.name, session_present, "broker connected");
        self.health.set_source(&self.options.name, SourceState { connected: true, detail });
        if session_present && !*self.must_subscribe {
            return Ok(());
        }
        for filter in &self.options.topic_filters {
            let subscribed = self.connection.client.try_subscribe(filter, QoS::AtLeastOnce);
            subscribed.map_err(|error| error.to_string())?;
        }
        *self.must_subscribe = false;
        Ok(())
    }

    async fn hand_over(&mut self, source: &Arc<str>, publish: Publish) -> Result<(), crate::queue::Stopped> {
        let (ack, qos) = match publish.qos {
            QoS::AtMostOnce => (AckWay::None, Qos::AtMostOnce),
            qos => {
                let (packet_id, is_dup) = (publish.pkid, publish.dup);
                let ack = AckWay::Client { connection: self.connection.clone(), packet_id, qos };
                (ack, Qos::AtLeastOnce { packet_id, is_dup })
            }
        };
        let arrival = Arrival {
            source: source.clone(),
            topic: publish.topic.into(),
            payload: publish.payload,
            qos,
            is_retained: publish.retain,
            connection: sanimon_writer::Connection::Broker,
            client_id: None,
            mqtt: None,
            refused: None,
            ack,
        };
        // A full queue is no fault of this source's.
        self.heartbeat.waiting();
        self.line.message(arrival).await
    }
}
