//! A session with who has it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::Account;
use crate::link::Link;
use crate::session::Session;

/// One connection of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub(super) u64);

/// A session with who has it. Its connection and the deliveries share it; nobody takes the table's lock while holding this one.
#[derive(Debug)]
pub struct Seat {
    pub session: Session,
    /// Who the client signed in as, the last time.
    pub account: Arc<Account>,
    /// It has a row in the file, or one on its way there.
    pub is_stored: bool,
    /// The session has ended: what is given to it now is lost.
    pub is_over: bool,
    pub(super) generation: Option<Generation>,
    pub(super) link: Option<Arc<Link>>,
}

/// The same, shared.
pub type SharedSeat = Arc<Mutex<Seat>>;

/// Takes a seat's lock.
pub fn lock(seat: &SharedSeat) -> MutexGuard<'_, Seat> {
    seat.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    /// The session, if the connection still has it.
    pub fn of(&mut self, generation: Generation) -> Option<&mut Session> {
        (self.generation == Some(generation)).then_some(&mut self.session)
    }

    /// The connection that has it.
    pub const fn link(&self) -> Option<&Arc<Link>> {
        self.link.as_ref()
    }

    /// Nobody has it any more. Gives who had it.
    pub(super) fn leave(&mut self) -> Option<Arc<Link>> {
        self.generation = None;
        self.link.take()
    }
}
