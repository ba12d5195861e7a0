//! Uplinks over real MQTT: QoS 1, one connection, in order.

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::sync::mpsc;

use crate::simulation::Uplink;

/// Uplinks waiting for the broker at most.
const WAITING_MAX: usize = 256;
/// Unacknowledged publishes at most.
const INFLIGHT_MAX: u16 = 100;

/// A running publisher. Drop the sender to end it.
#[derive(Debug)]
pub struct Publisher {
    pub uplinks: mpsc::Sender<Uplink>,
    pub task: tokio::task::JoinHandle<u64>,
}

/// Connects to a broker and publishes what is sent; the task ends with the number of acknowledged uplinks.
pub fn start(host: &str, port: u16, client_id: &str) -> Publisher {
    let mut options = MqttOptions::new(client_id, host, port);
    options.set_inflight(INFLIGHT_MAX).set_clean_session(true);
    let (client, mut event_loop) = AsyncClient::new(options, WAITING_MAX);
    let (sender, mut receiver) = mpsc::channel::<Uplink>(WAITING_MAX);
    let forward = tokio::spawn(async move {
        let mut sent = 0_u64;
        while let Some(uplink) = receiver.recv().await {
            if client.publish(uplink.topic, QoS::AtLeastOnce, false, uplink.payload).await.is_err() {
                break;
            }
            sent += 1;
        }
        (client, sent)
    });
    let task = tokio::spawn(async move {
        let mut forward = Some(forward);
        let mut expected = None;
        let mut acknowledged = 0;
        loop {
            // All were handed over: stay until the last one is acknowledged.
            if forward.as_ref().is_some_and(tokio::task::JoinHandle::is_finished)
                && let Some(Ok((client, sent))) = futures_now(forward.take()).await
            {
                expected = Some((client, sent));
            }
            if expected.as_ref().is_some_and(|(_, sent)| acknowledged >= *sent) {
                return acknowledged;
            }
            match tokio::time::timeout(POLL_AT_MOST, event_loop.poll()).await {
                Ok(Ok(Event::Incoming(Packet::PubAck(_)))) => acknowledged += 1,
                Ok(Ok(_)) | Err(_) => {}
                // rumqttc connects again at the next poll and sends what was not acknowledged.
                Ok(Err(_)) => tokio::time::sleep(POLL_AT_MOST).await,
            }
        }
    });
    Publisher { uplinks: sender, task }
}

/// How often the publisher looks whether its work is over.
const POLL_AT_MOST: std::time::Duration = std::time::Duration::from_millis(200);

async fn futures_now<T>(
    handle: Option<tokio::task::JoinHandle<T>>,
) -> Option<Result<T, tokio::task::JoinError>> {
    match handle {
        Some(handle) => Some(handle.await),
        None => None,
    }
}
