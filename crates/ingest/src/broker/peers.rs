//! Who is connected: what the front knows of a connection, and what a client was signed in as.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sanimon_domain::{Allowance, Bucket};
use tokio::sync::Notify;

use super::rights::Rights;

/// A connection that the front handed to rmqtt, known by the address that rmqtt sees.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Where it really comes from.
    pub(crate) address: SocketAddr,
    /// The name in its client certificate, which was verified.
    pub(crate) certificate: Option<String>,
    /// Its client may be anonymous: the listener is on this machine, and the site allows it.
    pub(crate) anonymous: bool,
    /// Told when somebody has signed in.
    pub(crate) admitted: Notify,
    /// Told when it must end.
    pub(crate) cut: Notify,
    /// The credential that it signed in with: (username, id).
    pub(crate) credential: Mutex<Option<(String, i64)>>,
}

/// Somebody who signed in under a client id; kept as long as the session, for a last will comes after the connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Who may take the client id over: nobody else.
    pub(crate) name: Arc<str>,
    pub(crate) rights: Rights,
    /// The connection that signed in last.
    pub(crate) seen_as: SocketAddr,
    /// `None`: not limited.
    pub(crate) pace: Option<Arc<Pace>>,
}

/// How fast a username may speak, over all of its connections.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(crate) messages: Allowance,
    pub(crate) bytes: Allowance,
    taken: Mutex<(Bucket, Bucket)>,
}

impl Pace {
    fn new(messages: Allowance, bytes: Allowance, now_ms: u64) -> Self {
        let taken = (Bucket::full(messages, now_ms), Bucket::full(bytes, now_ms));
        Self { messages, bytes, taken: Mutex::new(taken) }
    }

    /// How long the speaker has to wait before this message is taken, in milliseconds.
    pub(crate) fn wait_ms(&self, bytes: usize, now_ms: u64) -> u64 {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (messages, octets) = &mut *taken;
        messages.borrow(self.messages, 1.0, now_ms).max(octets.borrow(self.bytes, bytes as f64, now_ms))
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    by_address: RwLock<HashMap<SocketAddr, Arc<Peer>>>,
    by_client: RwLock<HashMap<String, Arc<Client>>>,
    paces: Mutex<HashMap<Arc<str>, Arc<Pace>>>,
    /// Connections by username.
    counts: Mutex<HashMap<Arc<str>, usize>>,
}

impl Peers {
    pub(crate) fn enter(&self, address: SocketAddr, peer: Arc<Peer>) {
        self.by_address.write().unwrap_or_else(PoisonError::into_inner).insert(address, peer);
    }

    /// The connection has ended.
    pub(crate) fn leave(&self, address: SocketAddr) {
        let gone = self.by_address.write().unwrap_or_else(PoisonError::into_inner).remove(&address);
        let name = gone.and_then(|peer| {
            let credential = peer.credential.lock().unwrap_or_else(PoisonError::into_inner);
            credential.as_ref().map(|(name, _)| name.clone())
        });
        let Some(name) = name else { return };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(name.as_str()) {
            *count -= 1;
            if *count == 0 {
                counts.remove(name.as_str());
            }
        }
    }

    pub(crate) fn at(&self, address: SocketAddr) -> Option<Arc<Peer>> {
        self.by_address.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }

    /// Counts a connection of this name; false when there are too many.
    pub(crate) fn count(&self, peer: &Peer, name: &str, credential: i64, max: usize) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name.into()).or_default();
        if *count >= max {
            return false;
        }
        *count += 1;
        *peer.credential.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.to_owned(), credential));
        true
    }

    pub(crate) fn client(&self, client_id: &str) -> Option<Arc<Client>> {
        self.by_client.read().unwrap_or_else(PoisonError::into_inner).get(client_id).cloned()
    }

    /// Somebody signed in under a client id; false when it is somebody else's.
    pub(crate) fn sign_in(&self, client_id: &str, client: Client) -> bool {
        let mut table = self.by_client.write().unwrap_or_else(PoisonError::into_inner);
        match table.get(client_id) {
            Some(known) if known.name != client.name => false,
            _ => {
                table.insert(client_id.to_owned(), Arc::new(client));
                true
            }
        }
    }

    /// A session has ended for good; one that another connection has taken over meanwhile stays.
    pub(crate) fn forget(&self, client_id: &str, seen_as: Option<SocketAddr>) {
        let mut table = self.by_client.write().unwrap_or_else(PoisonError::into_inner);
        if table.get(client_id).is_some_and(|client| Some(client.seen_as) == seen_as) {
            table.remove(client_id);
        }
    }

    pub(crate) fn pace(
        &self,
        name: &Arc<str>,
        messages: Allowance,
        bytes: Allowance,
        now_ms: u64,
    ) -> Arc<Pace> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let known = paces.get(name).filter(|pace| pace.messages == messages && pace.bytes == bytes);
        if let Some(known) = known {
            return known.clone();
        }
        let pace = Arc::new(Pace::new(messages, bytes, now_ms));
        paces.insert(name.clone(), pace.clone());
        pace
    }

    /// Cuts the connections off whose credential is no longer good.
    pub(crate) fn cut_unless(&self, is_good: impl Fn(&str, i64) -> bool) {
        let peers = self.by_address.read().unwrap_or_else(PoisonError::into_inner);
        for peer in peers.values() {
            let credential = peer.credential.lock().unwrap_or_else(PoisonError::into_inner);
            if credential.as_ref().is_some_and(|(name, id)| !is_good(name, *id)) {
                tracing::info!(username = credential.as_ref().map(|(name, _)| name), address = %peer.address,
                    "connection cut: its credential was revoked or has expired");
                peer.cut.notify_one();
            }
        }
    }
}
