//! What rmqtt asks before it lets a client in, takes a message or a subscription.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rmqtt::codec::v5::SubscribeAckReason;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType};
use rmqtt::types::{AuthResult, ConnectInfo, FromType, Publish, PublishAclResult, QoS, SubscribeAclResult};
use sanimon_store::{Counters, Shared};
use sanimon_writer::{Connection, Qos};
use tokio::sync::{Notify, oneshot};

use super::peers::{Client, Peer, Peers};
use super::rights::Rights;
use super::{DeviceLimits, Gate, OwnClient};
use crate::message::AckWay;
use crate::queue::{Arrival, Queue, Share};

/// The numbers of listeners that clients reach without the front begin here.
pub(super) const DIRECT: u16 = 10;
/// In place of a credential's number: a client certificate.
pub(super) const CERTIFICATE: i64 = -1;
/// The longest that a message of a username that speaks too fast has to wait; its connection waits with it.
const WAIT_MAX: Duration = Duration::from_mins(1);

const STOPPING: &str = "sanimon is stopping";
const NOT_YOURS: &str = "this topic is not yours to publish to";

#[derive(Clone)]
pub(super) struct Hook {
    pub(super) queue: Queue,
    pub(super) gate: Arc<Gate>,
    pub(super) source: Arc<str>,
    pub(super) own: Arc<OwnClient>,
    pub(super) peers: Arc<Peers>,
    pub(super) shared: Shared,
    pub(super) limits: DeviceLimits,
    /// Nameless clients are let in where only this machine reaches.
    pub(super) anonymous: bool,
    pub(super) started: Instant,
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
                let result = match self.publish(publish, &session.id.client_id).await {
                    Ok(()) => PublishAclResult::allow(),
                    // For MQTT 3.1.1 a disconnect is the only way to say no.
                    Err(why) => PublishAclResult::rejected(true, Some(why.into())),
                };
                (true, Some(HookResult::PublishAclResult(result)))
            }
            Parameter::MessagePublish(_, from, publish) if matches!(from.typ(), FromType::LastWill) => {
                if let Err(why) = self.publish(publish, &from.client_id).await {
                    tracing::debug!(why, "last will refused");
                }
                (true, acc)
            }
            Parameter::ClientAuthenticate(info) => {
                let result = self.authenticate(info);
                if !matches!(result, AuthResult::Allow(..)) {
                    Counters::add(&self.shared.health.counters.mqtt_refused, 1);
                }
                (false, Some(HookResult::AuthResult(result)))
            }
            Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                let client_id: &str = &session.id.client_id;
                let filter = subscribe_filter(subscribe);
                let client = self.peers.client(client_id);
                if client.is_some_and(|client| client.rights.may_subscribe(&filter, client_id)) {
                    return (true, acc);
                }
                Counters::add(&self.shared.health.counters.mqtt_denied, 1);
                tracing::debug!(client_id, filter, "subscription refused");
                let refused = SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized);
                (false, Some(HookResult::SubscribeAclResult(refused)))
            }
            Parameter::ClientConnected(session) => {
                self.peers.connected(&session.id.client_id, session.id.remote_addr);
                self.count();
                (true, acc)
            }
            Parameter::ClientDisconnected(session, _) => {
                self.peers.disconnected(&session.id.client_id, session.id.remote_addr);
                self.count();
                (true, acc)
            }
            Parameter::SessionTerminated(session, _) => {
                self.peers.forget(&session.id.client_id, session.id.remote_addr);
                (true, acc)
            }
            _ => (true, acc),
        }
    }
}

/// As it was asked for: with the group of a shared subscription.
fn subscribe_filter(subscribe: &rmqtt::types::Subscribe) -> String {
    match subscribe.opts.shared_group() {
        Some(group) => format!("$share/{group}/{}", subscribe.topic_filter),
        None => subscribe.topic_filter.to_string(),
    }
}

/// Who somebody turned out to be.
struct Known {
    name: Arc<str>,
    rights: Rights,
    credential: Option<i64>,
}

impl Hook {
    fn authenticate(&self, info: &ConnectInfo) -> AuthResult {
        // Who did not come through the front is nobody's client.
        let Some(seen_as) = info.id().remote_addr else { return AuthResult::NotAuthorized };
        let is_direct = info.id().lid >= DIRECT;
        let Some(peer) = self.peers.at(seen_as).or_else(|| is_direct.then(|| self.local_peer(seen_as)))
        else {
            return AuthResult::NotAuthorized;
        };
        let known = match self.identify(info, &peer) {
            Ok(known) => known,
            Err(refused) => return refused,
        };
        let Known { name, rights, credential } = known;
        let is_gateway = rights.is_gateway();
        if credential.is_some() && self.peers.count_of(&name) >= self.limits.connections(is_gateway) {
            tracing::debug!(username = &*name, "too many connections");
            return AuthResult::NotAuthorized;
        }
        let pace = credential.map(|_| {
            let (messages, bytes) = (self.limits.messages(is_gateway), self.limits.bytes(is_gateway));
            self.peers.pace(&name, messages, bytes, self.now_ms())
        });
        let client_id: &str = info.client_id();
        let connected = AtomicBool::new(false);
        let share = Share::of_client();
        let session: Arc<str> = client_id.into();
        let owner = if name.is_empty() { session.clone() } else { name.clone() };
        let connection = Connection::Client { owner, session };
        let client =
            Client { name: name.clone(), rights, seen_as, credential, pace, share, connection, connected };
        if !self.peers.sign_in(client_id, client) {
            tracing::debug!(client_id, username = &*name, "the client id is somebody else's");
            return AuthResult::NotAuthorized;
        }
        peer.admitted.notify_one();
        AuthResult::Allow(false, None)
    }

    /// A connection to a listener on this machine, which does not pass the front.
    fn local_peer(&self, address: SocketAddr) -> Arc<Peer> {
        let (certificate, anonymous) = (None, self.anonymous);
        Arc::new(Peer { address, certificate, anonymous, admitted: Notify::new() })
    }

    fn count(&self) {
        let signed_in = self.peers.signed_in() as u64;
        self.shared.health.counters.mqtt_signed_in.store(signed_in, Ordering::Relaxed);
    }

    fn identify(&self, info: &ConnectInfo, peer: &Peer) -> Result<Known, AuthResult> {
        let username = info.username().map(|name| -> &str { name });
        let password = info.password().map(|secret| -> &[u8] { secret });
        let client_id: &str = info.client_id();
        if client_id == self.own.client_id {
            // Nobody can guess it, and who does not know the password is not us.
            let is_own =
                username == Some(OwnClient::USERNAME) && password == Some(self.own.password.as_bytes());
            let known = Known { name: "sanimon itself".into(), rights: Rights::Own, credential: None };
            return if is_own { Ok(known) } else { Err(AuthResult::BadUsernameOrPassword) };
        }
        let certificate = |name: &str| Known {
            name: name.into(),
            rights: Rights::Device(name.to_owned()),
            credential: Some(CERTIFICATE),
        };
        match (username, password, &peer.certificate) {
            (Some(username), Some(password), _) => {
                let found = self.shared.access.credential(username, password, self.queue.now());
                let found = found.ok_or(AuthResult::BadUsernameOrPassword)?;
                let (rights, id) = (Rights::of(&found), found.id);
                Ok(Known { name: username.into(), rights, credential: Some(id) })
            }
            (Some(username), None, Some(name)) if username == name => Ok(certificate(name)),
            (None, _, Some(name)) => Ok(certificate(name)),
            (None, None, None) if peer.anonymous => {
                Ok(Known { name: "".into(), rights: Rights::Anything, credential: None })
            }
            (Some(_), None, _) => Err(AuthResult::BadUsernameOrPassword),
            _ => Err(AuthResult::NotAuthorized),
        }
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Judges a message, puts it into the queue and waits for its commit.
    async fn publish(&self, publish: &Publish, client_id: &str) -> Result<(), &'static str> {
        let client = self.peers.client(client_id).ok_or(NOT_YOURS)?;
        if !client.rights.may_publish(&publish.topic, client_id) {
            if client.rights == Rights::Own {
                // Not ours to store, and never sent: what sanimon publishes is below `sanitation/alerts/`.
                return Err(NOT_YOURS);
            }
            Counters::add(&self.shared.health.counters.mqtt_denied, 1);
            tracing::debug!(client_id, topic = &*publish.topic, "publish refused");
            return Err(NOT_YOURS);
        }
        if client.rights == Rights::Own {
            return Ok(());
        }
        // `$` topics are the broker's own business.
        let is_bound = self.queue.decoder().formats().is_bound(&publish.topic);
        if publish.topic.starts_with('$') && !is_bound {
            return Ok(());
        }
        if let Some(pace) = &client.pace {
            let wait = Duration::from_millis(pace.wait_ms(publish.payload.len(), self.now_ms()));
            if !wait.is_zero() {
                Counters::add(&self.shared.health.counters.mqtt_slowed, 1);
                tokio::time::sleep(wait.min(WAIT_MAX)).await;
            }
        }
        self.commit(publish, &client, client_id, is_bound).await
    }

    async fn commit(
        &self,
        publish: &Publish,
        client: &Client,
        client_id: &str,
        is_bound: bool,
    ) -> Result<(), &'static str> {
        if self.gate.closed.load(Ordering::Acquire) {
            return Err(STOPPING);
        }
        self.gate.waiting.fetch_add(1, Ordering::AcqRel);
        let _waiting = Waiting(&self.gate);
        let (ack, qos, committed) = match publish.qos {
            QoS::AtMostOnce => (AckWay::None, Qos::AtMostOnce, None),
            QoS::AtLeastOnce | QoS::ExactlyOnce => {
                let (sender, receiver) = oneshot::channel();
                let packet_id = publish.packet_id.map_or(0, std::num::NonZeroU16::get);
                let qos = Qos::AtLeastOnce { packet_id, is_dup: publish.dup };
                (AckWay::Embedded(sender), qos, Some(receiver))
            }
        };
        let arrival = Arrival {
            source: self.source.clone(),
            topic: publish.topic.to_string(),
            payload: publish.payload.clone(),
            qos,
            // Here the flag means "please keep it": the device is speaking now.
            is_retained: false,
            connection: client.connection.clone(),
            share: &client.share,
            client_id: is_bound.then_some(client_id),
            ack,
        };
        self.queue.message(arrival).await.map_err(|_| STOPPING)?;
        match committed {
            // Dropped unreleased: the committer stopped before it could store the message.
            Some(committed) => {
                committed.await.map_err(|_| STOPPING)?;
                // The other witness of the promise, besides the writer's count of commits.
                Counters::add(&self.shared.health.counters.acknowledgements_out, 1);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
