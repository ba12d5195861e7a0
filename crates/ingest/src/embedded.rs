//! The embedded broker: rmqtt as a library, its PUBACK held until the commit.
//!
//! rmqtt awaits `MessagePublishCheckAcl` before it answers a PUBLISH, one after another for each connection, so that
//! hook is where a message waits for its commit. A last will passes only `MessagePublish`. There is no stop call: the
//! future of `run()` is owned here and dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rmqtt::context::ServerContext;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use rmqtt::net::{Builder, Listener};
use rmqtt::server::MqttServer;
use rmqtt::types::{FromType, PublishAclResult, QoS};
use sanimon_store::{Health, SourceState};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::IngestError;
use crate::message::Ack;
use crate::queue::{Arrival, Queue};
use crate::retain::{ALERTS_TOPIC, OpenStates};

/// The name of this source in the quarantine and in `/readyz`.
pub const SOURCE: &str = "embedded";

/// A packet's size at most: a megabyte of backlog and its envelope. A larger one ends the connection.
const PACKET_BYTES_MAX: u32 = 2 << 20;
/// Connections at most on a small box; each costs some tens of kilobytes.
const CONNECTIONS_MAX: usize = 20_000;
/// Messages waiting for one slow subscriber before rmqtt drops them (its own default).
const SUBSCRIBER_QUEUE_MAX: usize = 1_000;
/// How long `stop` waits for sessions to write the acknowledgements that were released.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Where the broker listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddedOptions {
    pub tcp: SocketAddr,
    pub websocket: Option<SocketAddr>,
}

/// The running broker.
#[derive(Debug)]
pub struct Embedded {
    /// The address it really listens on (the port may have been 0).
    pub tcp: SocketAddr,
    pub websocket: Option<SocketAddr>,
    server: JoinHandle<()>,
    gate: Arc<Gate>,
}

/// Shared by all hooks: closed at the stop.
#[derive(Debug, Default)]
struct Gate {
    closed: AtomicBool,
    waiting: AtomicUsize,
}

impl Embedded {
    /// Binds the listeners and serves.
    ///
    /// `own_client` is the client id by which sanimon itself publishes the state of alerts; nobody else may.
    pub async fn start(
        options: EmbeddedOptions,
        own_client: &str,
        queue: Queue,
        health: &Health,
    ) -> Result<Self, IngestError> {
        let tcp = listen(options.tcp, "tcp")?;
        let tcp_address = tcp.local_addr().unwrap_or(options.tcp);
        let websocket = options
            .websocket
            .map(|address| Ok::<_, IngestError>((address, listen(address, "ws")?)))
            .transpose()?;
        let context = ServerContext::new()
            .busy_check_enable(false)
            .mqtt_max_sessions(CONNECTIONS_MAX as isize)
            .build()
            .await;
        let gate = Arc::new(Gate::default());
        let register = context.extends.hook_mgr().register();
        for hook in [Type::MessagePublish, Type::MessagePublishCheckAcl] {
            let (queue, gate) = (queue.clone(), gate.clone());
            let handler = Hook { queue, gate, source: SOURCE.into(), own_client: own_client.into() };
            register.add(hook, Box::new(handler)).await;
        }
        register.start().await;
        *context.extends.retain_mut().await = Box::new(OpenStates::new());

        let refused = |detail: rmqtt::net::Error| IngestError::Listen {
            address: options.tcp,
            detail: detail.to_string(),
        };
        let mut server = MqttServer::new(context).listener_by_id(tcp.tcp().map_err(refused)?, 1);
        let mut websocket_address = None;
        if let Some((address, listener)) = websocket {
            websocket_address = Some(listener.local_addr().unwrap_or(address));
            server = server.listener_by_id(listener.ws().map_err(refused)?, 2);
        }
        let server = server.build();
        let server = tokio::spawn(async move {
            if let Err(error) = server.run().await {
                tracing::error!(%error, "embedded broker ended");
            }
        });
        health.set_source(
            SOURCE,
            SourceState { connected: true, detail: format!("listening on {tcp_address}") },
        );
        Ok(Self { tcp: tcp_address, websocket: websocket_address, server, gate })
    }

    /// Takes no new connection and no new message; messages that wait for their commit keep waiting.
    pub fn close(&self) {
        self.gate.closed.store(true, Ordering::Release);
        self.server.abort();
    }

    /// After the committer has stopped: lets sessions write the acknowledgements that were released.
    pub async fn drained(&self) {
        let deadline = tokio::time::Instant::now() + DRAIN_MAX;
        while self.gate.waiting.load(Ordering::Acquire) > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // A hook that has returned is about to write its PUBACK.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn listen(address: SocketAddr, name: &str) -> Result<Listener, IngestError> {
    Builder::new()
        .name(name)
        .laddr(address)
        .nodelay(true)
        .reuseaddr(Some(true))
        .max_packet_size(PACKET_BYTES_MAX)
        .max_connections(CONNECTIONS_MAX)
        .max_mqueue_len(SUBSCRIBER_QUEUE_MAX)
        .allow_anonymous(true)
        .bind()
        .map_err(|error| IngestError::Listen { address, detail: error.to_string() })
}

struct Hook {
    queue: Queue,
    gate: Arc<Gate>,
    source: Arc<str>,
    own_client: Arc<str>,
}

/// Counts a waiting hook, also when its session is dropped meanwhile.
struct Waiting<'a>(&'a Gate);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[async_trait]
impl Handler for Hook {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        match parameter {
            Parameter::MessagePublishCheckAcl(session, publish) => {
                let result = match self.commit(publish, &session.id.client_id).await {
                    Ok(()) => PublishAclResult::allow(),
                    // For MQTT 3.1.1 a disconnect is the only way to say no.
                    Err(why) => PublishAclResult::rejected(true, Some(why.into())),
                };
                (true, Some(HookResult::PublishAclResult(result)))
            }
            Parameter::MessagePublish(_, from, publish) if matches!(from.typ(), FromType::LastWill) => {
                if let Err(why) = self.commit(publish, &from.client_id).await {
                    tracing::debug!(why, "last will refused");
                }
                (true, acc)
            }
            _ => (true, acc),
        }
    }
}

impl Hook {
    /// Puts the message into the queue and waits for its commit.
    async fn commit(&self, publish: &rmqtt::types::Publish, client_id: &str) -> Result<(), &'static str> {
        const STOPPING: &str = "sanimon is stopping";
        // `$` topics are the broker's own business.
        let is_bound = self.queue.decoder().formats().is_bound(&publish.topic);
        if publish.topic.starts_with('$') && !is_bound {
            return Ok(());
        }
        if publish.topic.starts_with(ALERTS_TOPIC) {
            let is_own = *client_id == *self.own_client;
            return if is_own { Ok(()) } else { Err("sanitation/alerts/ is what sanimon itself says") };
        }
        if self.gate.closed.load(Ordering::Acquire) {
            return Err(STOPPING);
        }
        self.gate.waiting.fetch_add(1, Ordering::AcqRel);
        let _waiting = Waiting(&self.gate);
        let (ack, committed) = match publish.qos {
            QoS::AtMostOnce => (Ack::None, None),
            QoS::AtLeastOnce | QoS::ExactlyOnce => {
                let (sender, receiver) = oneshot::channel();
                (Ack::Embedded(sender), Some(receiver))
            }
        };
        let arrival = Arrival {
            source: self.source.clone(),
            topic: publish.topic.to_string(),
            payload: publish.payload.clone(),
            dup: publish.dup,
            // Here the flag means "please keep it": the device is speaking now.
            retained: false,
            client_id: is_bound.then(|| client_id.into()),
            ack,
        };
        self.queue.message(arrival).await.map_err(|_| STOPPING)?;
        match committed {
            // Dropped unreleased: the committer stopped before it could store the message.
            Some(committed) => committed.await.map_err(|_| STOPPING),
            None => Ok(()),
        }
    }
}
