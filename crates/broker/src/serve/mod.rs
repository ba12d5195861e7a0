//! Where clients come in: a task for each connection, the same for TCP, TLS and WebSocket.

mod admit;
mod client;
mod effects;
mod offer;
mod scratch;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use sanimon_domain::mqtt::StoredSessions;
use sanimon_net::{Anonymous, Door, serve};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::hub::ports::Ports;
use crate::hub::{Hub, Token, UPKEEP_EVERY, settle};
use crate::limits::Limits;

use client::Client;

/// How MQTT is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Tcp,
    WebSocket,
}

/// One listener.
#[derive(Debug)]
pub struct Listener {
    pub door: Door,
    pub carrier: Carrier,
    /// Clients without a name are let in.
    pub may_be_nameless: bool,
}

/// The running broker.
#[derive(Debug)]
pub struct Broker {
    hub: Arc<Hub>,
    tasks: JoinSet<()>,
    aborts: Vec<AbortHandle>,
}

impl Broker {
    /// Puts in what was stored; nobody is let in before [`Broker::listen`]. `stopped_ms`: when the product was last alive, by the
    /// wall's clock.
    pub fn new(limits: Limits, ports: Ports, stored: StoredSessions, stopped_ms: i64) -> Self {
        let (hub, committed): (_, mpsc::UnboundedReceiver<Vec<Token>>) = Hub::new(limits, ports);
        hub.restore(stored, stopped_ms);
        let mut tasks = JoinSet::new();
        tasks.spawn(settle(committed));
        Self { hub, tasks, aborts: Vec::new() }
    }

    pub const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Opens the listeners. `rights`: changes when anybody's rights do.
    pub fn listen(&mut self, listeners: Vec<Listener>, rights: watch::Receiver<u64>) {
        for Listener { door, carrier, may_be_nameless } in listeners {
            let hub = self.hub.clone();
            let handle = move |anonymous: Anonymous| {
                let hub = hub.clone();
                async move {
                    match carrier {
                        Carrier::Tcp => {
                            let Anonymous { stream, peer, place, deadline } = anonymous;
                            Client::new(&hub, stream, (peer, place, deadline), may_be_nameless).run().await;
                        }
                        // In a box: it is larger than a plain connection's whole task.
                        Carrier::WebSocket => {
                            Box::pin(websocket::serve(&hub, anonymous, may_be_nameless)).await;
                        }
                    }
                }
            };
            self.aborts.push(self.tasks.spawn(serve(door, std::future::pending::<()>(), handle)));
        }
        self.aborts.push(self.tasks.spawn(upkeep(self.hub.clone())));
        self.aborts.push(self.tasks.spawn(judge(self.hub.clone(), rights)));
    }

    /// The broker's tasks, for who watches them: none may end before [`Broker::close`]. Dropped, they end.
    pub fn take_tasks(&mut self) -> JoinSet<()> {
        std::mem::take(&mut self.tasks)
    }

    /// Takes no new connection. What was offered is still committed and acknowledged.
    pub fn close(&self) {
        self.aborts.iter().for_each(AbortHandle::abort);
    }

    /// Before the last commit: whoever has a kept session is noted as away from now on.
    pub fn leave(&self) {
        self.hub.note_all_away();
    }

    /// After the last commit: everybody is told that the product stops. Resolves when all have gone.
    pub async fn drained(&self) {
        self.hub.stop_all();
        while self.hub.connected() > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }
}

/// Serves one connection over any stream, as a listener does: the simulated town has no sockets.
#[cfg(test)]
pub(crate) async fn serve_stream<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send>(
    hub: &Arc<Hub>,
    stream: S,
    who: (sanimon_net::Peer, sanimon_net::Place, tokio::time::Instant),
    may_be_nameless: bool,
) {
    Client::new(hub, stream, who, may_be_nameless).run().await;
}

/// How often it is looked whether all have gone.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

async fn upkeep(hub: Arc<Hub>) {
    let mut interval = tokio::time::interval(UPKEEP_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        hub.upkeep();
    }
}

/// How often credentials are looked at that end by their own time.
const EXPIRY_LOOK: Duration = Duration::from_secs(10);

async fn judge(hub: Arc<Hub>, mut rights: watch::Receiver<u64>) {
    loop {
        let have_changed = match tokio::time::timeout(EXPIRY_LOOK, rights.changed()).await {
            Ok(Ok(())) => true,
            // Nobody changes them any more.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => false,
        };
        hub.judge_again(have_changed);
    }
}

#[cfg(test)]
mod tests {
    use super::client::Client;

    /// An idle connection is its client's state and a small task around it.
    #[test]
    fn a_connections_own_state_is_small() {
        assert!(size_of::<Client<sanimon_net::Stream>>() <= 768);
    }
}
