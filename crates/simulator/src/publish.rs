//! Uplinks over real MQTT: QoS 1, one connection, in order.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tokio::sync::{mpsc, watch};

use crate::simulation::Uplink;

/// Uplinks waiting for the broker at most.
const WAITING_MAX: usize = 256;
/// Unacknowledged publishes at most.
const INFLIGHT_MAX: u16 = 100;

/// By what a publisher signs in to its broker.
#[derive(Clone)]
pub struct Account {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A running publisher. Drop the sender to end it.
#[derive(Debug)]
pub struct Publisher {
    pub uplinks: mpsc::Sender<Uplink>,
    pub task: tokio::task::JoinHandle<u64>,
}

/// Connects to a broker and publishes what is sent. The task ends with the number of uplinks, when the sender is
/// dropped and each of them has its PUBACK.
pub fn start(host: &str, port: u16, client_id: &str, account: Option<&Account>) -> Publisher {
    let mut options = MqttOptions::new(client_id, host, port);
    if let Some(Account { username, password }) = account {
        options.set_credentials(username, password);
    }
    options.set_inflight(INFLIGHT_MAX).set_clean_session(true);
    let (client, event_loop) = AsyncClient::new(options, WAITING_MAX);
    let (uplinks, receiver) = mpsc::channel::<Uplink>(WAITING_MAX);
    let (acknowledged, mut count) = watch::channel(0);
    let task = tokio::spawn(async move {
        // A task of its own: a poll that is cancelled half-way can lose what it was reading.
        let connection = tokio::spawn(count_acknowledgements(event_loop, acknowledged));
        let sent = forward(&client, receiver).await;
        // Fails only when the connection's task has panicked: then there is nothing to wait for.
        let _ = count.wait_for(|count| *count >= sent).await;
        connection.abort();
        sent
    });
    Publisher { uplinks, task }
}

/// Hands uplinks to the client until the sender is dropped; gives their number.
async fn forward(client: &AsyncClient, mut uplinks: mpsc::Receiver<Uplink>) -> u64 {
    let mut sent = 0;
    while let Some(Uplink { topic, payload, .. }) = uplinks.recv().await {
        if client.publish(topic, QoS::AtLeastOnce, false, payload).await.is_err() {
            break;
        }
        sent += 1;
    }
    sent
}

async fn count_acknowledgements(mut event_loop: EventLoop, count: watch::Sender<u64>) {
    loop {
        match event_loop.poll().await {
            Ok(Event::Incoming(Packet::PubAck(_))) => count.send_modify(|count| *count += 1),
            Ok(_) => {}
            // rumqttc connects again at the next poll and sends what was not acknowledged.
            Err(_) => tokio::time::sleep(RECONNECT_AFTER).await,
        }
    }
}

const RECONNECT_AFTER: Duration = Duration::from_millis(200);
