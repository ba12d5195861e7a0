//! rmqtt itself: on sockets that only this machine reaches.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;

use rmqtt::context::ServerContext;
use rmqtt::hook::Type;
use rmqtt::net::{Builder, Listener};
use rmqtt::server::MqttServer;
use rmqtt::types::Id;

use super::hooks::{DIRECT, Hook};
use super::retain::OpenStates;
use super::{CONNECTIONS_MAX, EmbeddedOptions};
use crate::error::IngestError;

/// A packet's size at most: a megabyte of backlog and its envelope. A larger one ends the connection.
const PACKET_BYTES_MAX: u32 = 2 << 20;
/// Messages waiting for one slow subscriber before rmqtt drops them (its own default).
const SUBSCRIBER_QUEUE_MAX: usize = 1_000;
const SUBSCRIPTIONS_OF_CLIENT_MAX: usize = 64;
const CLIENT_ID_BYTES_MAX: usize = 256;
const TOPIC_LEVELS_MAX: usize = 32;

/// The running rmqtt.
pub(super) struct Inner {
    pub(super) context: ServerContext,
    /// Where the front hands connections over.
    pub(super) tcp: SocketAddr,
    pub(super) websocket: SocketAddr,
    /// Where clients of this machine come without it.
    pub(super) direct_tcp: Option<SocketAddr>,
    pub(super) direct_websocket: Option<SocketAddr>,
    /// Serves until it is dropped.
    pub(super) serve: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Inner {
    pub(super) async fn start(options: &EmbeddedOptions, hook: &Hook) -> Result<Self, IngestError> {
        let context = ServerContext::new()
            .busy_check_enable(false)
            .mqtt_max_sessions(CONNECTIONS_MAX as isize)
            .build()
            .await;
        let register = context.extends.hook_mgr().register();
        for kind in [
            Type::ClientAuthenticate,
            Type::ClientConnected,
            Type::ClientDisconnected,
            Type::ClientSubscribeCheckAcl,
            Type::MessagePublish,
            Type::MessagePublishCheckAcl,
            Type::SessionTerminated,
        ] {
            register.add(kind, Box::new(hook.clone())).await;
        }
        register.start().await;
        *context.extends.retain_mut().await = Box::new(OpenStates::new());

        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let direct = |address: Option<SocketAddr>| address.filter(|address| address.ip().is_loopback());
        let (tcp, websocket) = (listen(anywhere)?, listen(anywhere)?);
        let direct_tcp = direct(Some(options.tcp)).map(listen).transpose()?;
        let direct_websocket = direct(options.websocket).map(listen).transpose()?;
        let at = |listener: &Listener| listener.local_addr().map_err(|error| refused(anywhere, &error));
        let addresses = (at(&tcp)?, at(&websocket)?);
        let direct =
            (direct_tcp.as_ref().map(at).transpose()?, direct_websocket.as_ref().map(at).transpose()?);
        let mut server = MqttServer::new(context.clone());
        for (listener, is_websocket, number) in [
            (Some(tcp), false, 1),
            (Some(websocket), true, 2),
            (direct_tcp, false, DIRECT),
            (direct_websocket, true, DIRECT + 1),
        ] {
            let Some(listener) = listener else { continue };
            let listener = if is_websocket { listener.ws() } else { listener.tcp() };
            server = server.listener_by_id(listener.map_err(|error| refused(anywhere, &error))?, number);
        }
        let server = server.build();
        let serve = Box::pin(async move {
            if let Err(error) = server.run().await {
                tracing::error!(%error, "embedded broker ended");
            }
        });
        let (tcp, websocket) = addresses;
        Ok(Self { context, tcp, websocket, direct_tcp: direct.0, direct_websocket: direct.1, serve })
    }
}

fn refused(address: SocketAddr, detail: &rmqtt::net::Error) -> IngestError {
    IngestError::Listen { address, detail: detail.to_string() }
}

fn listen(address: SocketAddr) -> Result<Listener, IngestError> {
    Builder::new()
        .name("sanimon")
        .laddr(address)
        .nodelay(true)
        .reuseaddr(Some(true))
        .max_packet_size(PACKET_BYTES_MAX)
        .max_connections(CONNECTIONS_MAX)
        .max_mqueue_len(SUBSCRIBER_QUEUE_MAX)
        .max_subscriptions(SUBSCRIPTIONS_OF_CLIENT_MAX)
        .max_clientid_len(CLIENT_ID_BYTES_MAX)
        .max_topic_levels(TOPIC_LEVELS_MAX)
        // Each client passes the hook, the nameless ones too.
        .allow_anonymous(false)
        .bind()
        .map_err(|error| refused(address, &error))
}

/// Ends a client's session, wherever it came from.
pub(super) async fn kick(context: &ServerContext, client_id: &str) {
    let id = Id::new(context.node.id(), 0, None, None, client_id.into(), None);
    let entry = context.extends.shared().await.entry(id);
    let kicked = match entry.try_lock().await {
        Ok(mut entry) => entry.kick(true, true, true).await.map(|_| ()),
        Err(error) => Err(error),
    };
    match kicked {
        Ok(()) => tracing::info!(client_id, "connection cut: its credential was revoked or has expired"),
        // It is looked at again with the next change, or soon.
        Err(error) => tracing::warn!(client_id, %error, "a connection could not be cut"),
    }
}
