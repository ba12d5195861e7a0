//! What the broker asks of the product: who may what, and the way to the commit.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use sanimon_domain::SessionKey;
use sanimon_domain::mqtt::{MqttPart, SessionChange};

use crate::account::Account;
use crate::limit::Limit;
use crate::packet::{PacketId, Qos};
use crate::reason::Reason;
use crate::topics::Topic;

use super::token::Token;

/// What somebody says of itself in a CONNECT, and what the listener knows.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    pub client_id: &'a str,
    pub username: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    /// The name in its client certificate, which was verified.
    pub certificate_name: Option<&'a str>,
    /// The listener lets clients in that have no name.
    pub may_be_nameless: bool,
}

/// Who may what. Answers come from memory: nobody waits.
pub trait Permissions: Send + Sync + 'static {
    /// # Errors
    /// Who is not let in, and why: a wrong password ([`Reason::BadUsernameOrPassword`]), or no right.
    fn sign_in(&self, who: &SignIn<'_>) -> Result<Account, Reason>;

    /// What somebody may do now who signed in before, perhaps before a restart; `None`: its credential was revoked, or is over.
    fn now(&self, owner: &Arc<str>, credential: Option<i64>, client_id: &str) -> Option<Account>;

    /// Whether a topic that begins with `$` is one that devices speak by.
    fn is_bound(&self, topic: &str) -> bool;
}

/// A publish on its way to the writer.
#[derive(Debug)]
pub struct Published {
    pub topic: Topic,
    pub payload: Bytes,
    pub qos: Qos,
    pub packet_id: Option<PacketId>,
    pub dup: bool,
    /// What else is stored with it.
    pub part: Option<Arc<MqttPart>>,
    /// The sender may not publish this, and would send it again for ever: it is set aside.
    pub is_denied: bool,
}

/// Resolves when there is room again, or a slow decoder has come to its end.
pub type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection's own line to the writer: what it offers is committed in its order.
pub trait Line: Send {
    /// Takes a publish. `Some`: nothing more is to be offered before that resolves. The token comes back by
    /// [`Token::settle`] after the commit; dropped, the publish was not stored.
    fn offer(&mut self, published: Published, token: Token) -> Option<Waiting>;

    /// What was offered may be taken: a connection says it once for all that came together.
    fn flush(&mut self);
}

/// The way to the writer.
pub trait Intake: Send + Sync + 'static {
    fn open(&self, client: &SessionKey) -> Box<dyn Line>;

    /// A change of what is stored of sessions, in the next group. Without a token nobody waits for it.
    fn change(&self, change: SessionChange, token: Option<Token>);

    /// So many changes wait for their commit that no client may cause more: none is read before there are fewer.
    fn is_crowded(&self) -> bool;

    /// The wall's time, UTC milliseconds.
    fn wall_ms(&self) -> i64;
}

/// What is counted, and shown to operators.
pub trait Notices: Send + Sync + 'static {
    /// Somebody met a limit: which, and who.
    fn limit(&self, limit: Limit, who: &str);
    /// A CONNECT was refused.
    fn refused(&self, who: &str, reason: Reason);
    /// A publish or a subscription was not allowed.
    fn denied(&self, who: &str, topic: &str);
    /// So many clients are connected.
    fn connected(&self, number: usize);
    /// An acknowledgement was sent to a client.
    fn acknowledged(&self, number: usize);
}

/// All that the broker is given.
#[derive(Clone)]
pub struct Ports {
    pub intake: Arc<dyn Intake>,
    pub permissions: Arc<dyn Permissions>,
    pub notices: Arc<dyn Notices>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}
