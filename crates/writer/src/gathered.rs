//! What is committed together: messages, and changes of what the embedded broker keeps.

use sanimon_store::SessionChange;

use crate::message::Received;

/// What waited when the writer came around. Changes of sessions are written first, in their order.
#[derive(Debug)]
pub struct Group<A> {
    pub messages: Vec<Received<A>>,
    pub sessions: Vec<Changed<A>>,
}

/// A change of what the embedded broker keeps, with the token by which the broker waits. Dropped, the token is a refusal.
#[derive(Debug)]
pub struct Changed<A> {
    pub change: SessionChange,
    pub ack: A,
}

impl<A> Default for Group<A> {
    fn default() -> Self {
        Self { messages: Vec::new(), sessions: Vec::new() }
    }
}

impl<A> From<Vec<Received<A>>> for Group<A> {
    fn from(messages: Vec<Received<A>>) -> Self {
        Self { messages, sessions: Vec::new() }
    }
}

impl<A> FromIterator<Received<A>> for Group<A> {
    fn from_iter<I: IntoIterator<Item = Received<A>>>(messages: I) -> Self {
        messages.into_iter().collect::<Vec<_>>().into()
    }
}

impl<A> Group<A> {
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.sessions.is_empty()
    }

    /// Messages and changes.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.messages.len()
    }

    /// Leaves the first `at` here, in the order in which they are written; gives the others.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let sessions = self.sessions.split_off(at.min(self.sessions.len()));
        let messages = self.messages.split_off(at - self.sessions.len().min(at));
        Self { messages, sessions }
    }

    /// Adds what comes after it.
    pub(crate) fn extend(&mut self, later: Self) {
        self.sessions.extend(later.sessions);
        self.messages.extend(later.messages);
    }

    pub(crate) fn into_acks(self) -> impl Iterator<Item = A> {
        let sessions = self.sessions.into_iter().map(|changed| changed.ack);
        sessions.chain(self.messages.into_iter().map(|received| received.ack))
    }
}
