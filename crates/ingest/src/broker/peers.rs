//! Who is connected: what the front knows of a connection, and what a client was signed in as.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sanimon_net::{Allowance, Bucket};
use sanimon_writer::Connection;
use tokio::sync::Notify;

use super::rights::Rights;
use crate::queue::Share;

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
}

/// Somebody who signed in under a client id; kept as long as the session, for a last will comes after the connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Who may take the client id over: nobody else.
    pub(crate) name: Arc<str>,
    pub(crate) rights: Rights,
    /// The connection that signed in last.
    pub(crate) seen_as: SocketAddr,
    /// The number of the credential; `None`: sanimon itself, or nobody in particular.
    pub(crate) credential: Option<i64>,
    /// `None`: not limited.
    pub(crate) pace: Option<Arc<Pace>>,
    /// What it may take of the queue.
    pub(crate) share: Share,
    /// By what the writer knows it: whose share its messages take, and in which session they were sent.
    pub(crate) connection: Connection,
    /// Signed in, and not gone: counted.
    pub(crate) connected: AtomicBool,
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

    /// How long the sender has to wait before this message is taken, in milliseconds.
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
        self.by_address.write().unwrap_or_else(PoisonError::into_inner).remove(&address);
    }

    pub(crate) fn at(&self, address: SocketAddr) -> Option<Arc<Peer>> {
        self.by_address.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }

    /// How many connections a username has.
    pub(crate) fn count_of(&self, name: &str) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or_default()
    }

    /// A client that signed in is there.
    pub(crate) fn connected(&self, client_id: &str, seen_as: Option<SocketAddr>) {
        let Some(client) = self.client(client_id).filter(|client| Some(client.seen_as) == seen_as) else {
            return;
        };
        if !client.connected.swap(true, Ordering::AcqRel) {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(client.name.clone()).or_default() += 1;
        }
    }

    /// It is gone. One that another connection has taken over was counted off then.
    pub(crate) fn disconnected(&self, client_id: &str, seen_as: Option<SocketAddr>) {
        if let Some(client) = self.client(client_id).filter(|client| Some(client.seen_as) == seen_as) {
            self.count_off(&client);
        }
    }

    fn count_off(&self, client: &Client) {
        if !client.connected.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&client.name) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&client.name);
            }
        }
    }

    /// All clients that are there.
    pub(crate) fn signed_in(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    pub(crate) fn client(&self, client_id: &str) -> Option<Arc<Client>> {
        self.by_client.read().unwrap_or_else(PoisonError::into_inner).get(client_id).cloned()
    }

    /// Somebody signed in under a client id; false when it is somebody else's.
    pub(crate) fn sign_in(&self, client_id: &str, client: Client) -> bool {
        let mut table = self.by_client.write().unwrap_or_else(PoisonError::into_inner);
        if table.get(client_id).is_some_and(|known| known.name != client.name) {
            return false;
        }
        if let Some(before) = table.insert(client_id.to_owned(), Arc::new(client)) {
            self.count_off(&before);
        }
        true
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

    /// The client ids of those whose credential is no longer good.
    pub(crate) fn without_right(&self, is_good: impl Fn(&str, i64) -> bool) -> Vec<String> {
        let table = self.by_client.read().unwrap_or_else(PoisonError::into_inner);
        let is_bad = |client: &Client| client.credential.is_some_and(|id| !is_good(&client.name, id));
        table.iter().filter(|(_, client)| is_bad(client)).map(|(client_id, _)| client_id.clone()).collect()
    }
}
