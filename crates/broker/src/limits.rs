//! How much of everything there may be.

use std::num::NonZeroU16;
use std::time::Duration;

use sanimon_net::{AdmissionLimits, Allowance};

use crate::retained::RetainedLimits;
use crate::session::SessionLimits;
use crate::sessions::SessionsLimits;
use crate::wire::WireLimits;

/// All limits. The names are keys of the configuration, `[mqtt.embedded.limits]`; the defaults fit a town's sensors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    pub wire: WireLimits,
    pub session: SessionLimits,
    pub sessions: SessionsLimits,
    pub retained: RetainedLimits,
    /// Connections that have not signed in.
    pub admission: AdmissionLimits,
    /// From the connection to CONNACK, TLS and WebSocket included.
    pub connect_time: Duration,
    pub websocket_head_bytes: usize,
    /// Wrong passwords of an address in a minute; then each answer waits [`Limits::failed_wait`].
    pub failed_per_address: usize,
    pub failed_wait: Duration,
    pub connections_total: usize,
    /// A carrier's address has hundreds of devices. This machine's is free.
    pub connections_per_address: usize,
    /// Of a credential.
    pub connections: usize,
    pub retained_per_subscribe: usize,
    /// From a packet's first byte to its last.
    pub packet_time: Duration,
    /// Of packets that have not come to their end, of all connections.
    pub partial_bytes: usize,
    /// Publishes of QoS 1 and 2 under way, in; told in CONNACK.
    pub receive_max: NonZeroU16,
    pub receive_max_of_gateway: NonZeroU16,
    /// Packets that are no message and no answer: PINGREQ, SUBSCRIBE, ...
    pub control_packets: Allowance,
    /// Of a credential, over all of its connections; a minute's worth at once.
    pub messages_per_s: f64,
    pub bytes_per_s: f64,
    /// How many times more a gateway may, which speaks for many.
    pub gateway_factor: f64,
    /// Of all sessions, in memory.
    pub queue_bytes_total: usize,
    /// Of kept sessions, in the file.
    pub queue_bytes_stored: usize,
    /// Nothing was taken by a socket that has something to take.
    pub slow_reader: Duration,
    pub retained_per_credential: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wire: WireLimits::default(),
            session: SessionLimits::default(),
            sessions: SessionsLimits::default(),
            retained: RetainedLimits::default(),
            admission: AdmissionLimits::default(),
            connect_time: Duration::from_secs(20),
            websocket_head_bytes: 8 * 1024,
            failed_per_address: 30,
            failed_wait: Duration::from_secs(1),
            connections_total: 20_000,
            connections_per_address: 4_096,
            connections: 4,
            retained_per_subscribe: 10_000,
            packet_time: Duration::from_secs(30),
            partial_bytes: 64 * 1024 * 1024,
            receive_max: NonZeroU16::new(64).expect("it is not zero"),
            receive_max_of_gateway: NonZeroU16::new(1_024).expect("it is not zero"),
            control_packets: Allowance { per_s: 50.0, burst: 500.0 },
            messages_per_s: 20.0,
            bytes_per_s: 65_536.0,
            gateway_factor: 100.0,
            queue_bytes_total: 256 * 1024 * 1024,
            queue_bytes_stored: 64 * 1024 * 1024,
            slow_reader: Duration::from_secs(10),
            retained_per_credential: 16,
        }
    }
}

/// A credential may save up so much of its rate: a backlog after an outage.
const BURST_S: f64 = 60.0;

impl Limits {
    fn factor(&self, is_gateway: bool) -> f64 {
        if is_gateway { self.gateway_factor } else { 1.0 }
    }

    pub(crate) fn connections_of(&self, is_gateway: bool) -> usize {
        (self.connections as f64 * self.factor(is_gateway)) as usize
    }

    pub(crate) fn retained_of(&self, is_gateway: bool) -> usize {
        (self.retained_per_credential as f64 * self.factor(is_gateway)) as usize
    }

    pub(crate) const fn receive_max_of(&self, is_gateway: bool) -> NonZeroU16 {
        if is_gateway { self.receive_max_of_gateway } else { self.receive_max }
    }

    /// Messages and bytes.
    pub(crate) fn rates_of(&self, is_gateway: bool) -> (Allowance, Allowance) {
        let allowance = |per_s: f64| {
            let per_s = per_s * self.factor(is_gateway);
            Allowance { per_s, burst: per_s * BURST_S }
        };
        (allowance(self.messages_per_s), allowance(self.bytes_per_s))
    }
}
