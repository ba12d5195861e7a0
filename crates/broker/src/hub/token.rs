//! By what the writer says that something is on disk.

use std::sync::Arc;

use sanimon_domain::SessionKey;

use crate::link::{Link, Stop, Ticket};
use crate::message::Message;
use crate::packet::{PacketId, Qos};
use crate::session::{Ordinal, ToStore};
use crate::sessions::{Choice, Generation, SharedSeat, lock};

use super::{Hub, Owner};

/// A publish or a change on its way to its commit. Settled after it; dropped before, it was not stored, and whoever waits for
/// it is told to go.
#[derive(Debug)]
pub struct Token(Option<Box<Inner>>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) hub: Arc<Hub>,
    pub(super) of: Of,
}

/// What is committed.
#[derive(Debug)]
pub(super) enum Of {
    /// A publish of a connection, and perhaps who is to hear it.
    Publish {
        from: Sender,
        ordinal: Ordinal,
        is_awaited: bool,
        /// Its id, where it is QoS 2.
        qos2: Option<PacketId>,
        /// Its sender wanted it to be kept for its topic, and there is no room.
        is_not_kept: bool,
        tell: Option<Box<Tell>>,
    },
    /// Something else that stands in a connection's line.
    Place { from: Sender, ordinal: Ordinal },
    /// How far a message to a client has come: it goes on, whichever connection its session has by then.
    Stage(Sender, ToStore),
    /// A change that a connection waits for.
    Change(Arc<Link>, Ticket),
    /// A will, and whose: its connection has gone.
    Will(Option<Box<Tell>>, SessionKey),
    /// A message of the product itself, and who waits for it.
    Own(Box<Tell>, Arc<Link>),
}

/// A connection, for as long as it has its session.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) seat: SharedSeat,
    pub(crate) generation: Generation,
    pub(crate) link: Arc<Link>,
}

/// A message that is given to who asked for it.
#[derive(Debug)]
pub(super) struct Tell {
    pub(super) message: Message,
    pub(super) qos: Qos,
    /// To be kept for its topic, and whose it is.
    pub(super) retain: Option<Owner>,
    /// Whether the publisher set the flag.
    pub(super) is_retained: bool,
    pub(super) publisher: Option<SessionKey>,
    /// What is in its transaction: who is owed it, under which order and QoS, and whose turn it was in groups.
    pub(super) owed: Vec<(SessionKey, u64, Qos)>,
    pub(super) chosen: Vec<Choice>,
    /// The order of copies for kept sessions that were not found before the commit.
    pub(super) late: u64,
}

impl Token {
    pub(super) fn new(hub: &Arc<Hub>, of: Of) -> Self {
        Self(Some(Box::new(Inner { hub: hub.clone(), of })))
    }

    pub(super) fn into_inner(mut self) -> Option<Box<Inner>> {
        self.0.take()
    }

    /// What these stand for is on disk, in this order. Does not block.
    pub fn settle(tokens: Vec<Self>) {
        let Some(committed) = tokens.first().and_then(|token| token.0.as_ref()) else { return };
        let committed = committed.hub.committed.clone();
        // At the end of the process nobody takes them any more.
        let _ = committed.send(tokens);
    }

    /// Whether it is a publish that its client gets an acknowledgement for.
    pub fn is_awaited(&self) -> bool {
        self.0.as_ref().is_some_and(|own| matches!(&own.of, Of::Publish { is_awaited: true, .. }))
    }

    /// Nobody waits for it any more: its connection has gone, and the client will send it again.
    pub fn is_gone(&self) -> bool {
        match self.0.as_ref().map(|own| &own.of) {
            Some(Of::Publish { from, .. } | Of::Place { from, .. } | Of::Stage(from, _)) => {
                from.link.is_stopped()
            }
            Some(Of::Change(link, _)) => link.is_stopped(),
            Some(Of::Will(..) | Of::Own(..)) | None => false,
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let Some(own) = self.0.take() else { return };
        match own.of {
            Of::Publish { from, qos2, .. } => {
                from.link.stop(Stop::CannotStore);
                let Some(id) = qos2 else { return };
                let mut seat = lock(&from.seat);
                seat.session.incoming.lost(id);
                seat.link().into_iter().for_each(|link| link.wake());
            }
            Of::Place { from, .. } | Of::Stage(from, _) => from.link.stop(Stop::CannotStore),
            Of::Change(link, _) | Of::Own(_, link) => link.stop(Stop::CannotStore),
            Of::Will(..) => own.hub.will_settled(),
        }
    }
}
