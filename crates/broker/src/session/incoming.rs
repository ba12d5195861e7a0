//! A client's publishes on their way to the commit, and the answers that it is owed, in the order of receipt.
//!
//! ```text
//! PUBLISH ──▶ the line: waits ── committed ──▶ done ──▶ at the front: PUBACK, PUBREC
//! PUBREL  ──▶ the line: waits for its removal ──▶ done ──▶ at the front: PUBCOMP
//! ```
//!
//! An answer goes out only when all before it have gone: acknowledgements are in order (4.6.0-2 to -4). What was offered is
//! known by its place ([`Ordinal`]), which never comes again in a session.

use std::collections::{BTreeMap, VecDeque};

use crate::packet::{Ack, PacketId, Qos, ToClient};
use crate::reason::Reason;

/// The place of a publish, or of a release, among all of a session.
pub type Ordinal = u64;

/// What becomes of a packet that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It waits for a commit: tell [`Incoming::committed`] with this.
    Offer(Ordinal),
    /// Nothing is to be committed; its answer stands in the line.
    Answered,
    /// More under way than the client was allowed (5.0, 3.3.4-7).
    Exceeded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// QoS 0: its place in the order is all that it has.
    None,
    Puback(PacketId),
    Pubrec(PacketId),
    Pubcomp(PacketId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    answer: Answer,
    /// `None`: it waits for its commit.
    outcome: Option<Reason>,
    text: Option<String>,
    /// It was offered: a repeat counts for nothing.
    is_offer: bool,
    /// Answered as if it were stored, and dropped.
    is_dropped: bool,
}

/// How far a QoS 2 publish has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Offered,
    /// Its connection has gone, and its commit is on its way.
    Left,
    /// Committed: until it is released the same id is the same message, however often it comes (4.3.3-10).
    Received,
    Releasing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Received {
    stage: Stage,
    /// It was counted against the receive maximum on this connection.
    is_counted: bool,
}

/// One session's line.
#[derive(Debug, Clone, Default)]
pub struct Incoming {
    line: VecDeque<Entry>,
    /// The ordinal of the line's front.
    front: Ordinal,
    received: BTreeMap<PacketId, Received>,
    /// QoS 1 and 2 under way: until PUBACK, until PUBCOMP.
    under_way: usize,
    /// QoS 0 in the line.
    bare: usize,
    /// Offered on a connection that has gone, and not decided. Nothing is read before they are: sent again they would be
    /// other messages.
    left: usize,
    acknowledged: usize,
}

impl Incoming {
    /// Packet ids that are between PUBREC and PUBREL, as they were stored.
    pub fn restored(ids: impl IntoIterator<Item = PacketId>) -> Self {
        let received = Received { stage: Stage::Received, is_counted: false };
        Self { received: ids.into_iter().map(|id| (id, received)).collect(), ..Self::default() }
    }

    /// A new connection: nothing of the old one is answered any more, and the count begins anew (4.9). The client sends again
    /// what was not; of QoS 2 only when it is decided what became of it before.
    pub fn reconnect(&mut self) {
        self.front += self.line.len() as u64;
        self.line.clear();
        self.left = 0;
        for own in self.received.values_mut() {
            let stage = match own.stage {
                Stage::Offered | Stage::Left => Stage::Left,
                // A release that was asked for is carried out, or asked for again: both end it.
                Stage::Received | Stage::Releasing => Stage::Received,
            };
            self.left += usize::from(stage == Stage::Left);
            *own = Received { stage, is_counted: false };
        }
        (self.under_way, self.bare) = (0, 0);
    }

    /// A commit that came too late for its connection: the packet id is stored with it.
    pub fn received_before(&mut self, id: PacketId) {
        let received = Received { stage: Stage::Received, is_counted: false };
        let before = self.received.insert(id, received);
        self.left -= usize::from(before.is_some_and(|own| own.stage == Stage::Left));
    }

    /// A QoS 2 publish was not stored after all: what comes under its id is new.
    pub fn lost(&mut self, id: PacketId) {
        let is_undecided = |own: &Received| matches!(own.stage, Stage::Offered | Stage::Left);
        if self.received.get(&id).is_some_and(is_undecided) {
            let before = self.received.remove(&id);
            self.left -= usize::from(before.is_some_and(|own| own.stage == Stage::Left));
        }
    }

    /// A publish. `receive_max`: how many of QoS 1 and 2 the client may have under way; for 3.1.1, which has no such word,
    /// reading stops instead.
    pub fn publish(&mut self, qos: Qos, id: Option<PacketId>, receive_max: usize) -> Taken {
        let answer = match (qos, id) {
            (Qos::AtLeastOnce, Some(id)) => Answer::Puback(id),
            (Qos::ExactlyOnce, Some(id)) => {
                if let Some(known) = self.received.get(&id) {
                    // Not delivered again. While the first one waits, its fate is this one's.
                    let outcome = (known.stage != Stage::Offered).then_some(Reason::Success);
                    let answer = Answer::Pubrec(id);
                    self.line.push_back(Entry {
                        answer,
                        outcome,
                        text: None,
                        is_offer: false,
                        is_dropped: false,
                    });
                    return Taken::Answered;
                }
                Answer::Pubrec(id)
            }
            _ => {
                self.bare += 1;
                return Taken::Offer(self.push(Answer::None, None));
            }
        };
        if self.under_way >= receive_max {
            return Taken::Exceeded;
        }
        self.under_way += 1;
        if let Answer::Pubrec(id) = answer {
            self.received.insert(id, Received { stage: Stage::Offered, is_counted: true });
        }
        Taken::Offer(self.push(answer, None))
    }

    fn push(&mut self, answer: Answer, outcome: Option<Reason>) -> Ordinal {
        let is_offer = outcome.is_none();
        self.line.push_back(Entry { answer, outcome, text: None, is_offer, is_dropped: false });
        self.front + self.line.len() as u64 - 1
    }

    /// Whether a QoS 2 message is here whose id waits for its release.
    pub fn has_received(&self, id: PacketId) -> bool {
        self.received.get(&id).is_some_and(|known| known.stage == Stage::Received)
    }

    /// A PUBREL. `is_kept`: the id is stored, and PUBCOMP waits until it no longer is; else a crash after it would take the
    /// id's next message for the old one.
    pub fn release(&mut self, id: PacketId, is_kept: bool) -> Taken {
        match self.received.get_mut(&id).filter(|known| known.stage == Stage::Received) {
            None => {
                self.push(Answer::Pubcomp(id), Some(Reason::PacketIdNotFound));
                Taken::Answered
            }
            Some(known) if is_kept => {
                known.stage = Stage::Releasing;
                Taken::Offer(self.push(Answer::Pubcomp(id), None))
            }
            Some(known) => {
                // Released again it is unknown: its second PUBCOMP must not end the next message under the id.
                known.stage = Stage::Releasing;
                self.push(Answer::Pubcomp(id), Some(Reason::Success));
                Taken::Answered
            }
        }
    }

    /// What became of an offer: it is on disk, or refused, then perhaps with words. One that is no longer in the line
    /// belonged to a connection that has gone.
    pub fn committed(&mut self, ordinal: Ordinal, reason: Reason, text: Option<String>) {
        let Some(place) = ordinal.checked_sub(self.front).map(|place| place as usize) else { return };
        let Some(entry) = self.line.get_mut(place) else { return };
        (entry.outcome, entry.text) = (Some(reason), text);
        let Answer::Pubrec(id) = entry.answer else { return };
        if !reason.is_failure()
            && let Some(known) = self.received.get_mut(&id)
        {
            known.stage = Stage::Received;
        }
        let repeated = |entry: &&mut Entry| {
            entry.answer == Answer::Pubrec(id) && entry.outcome.is_none() && !entry.is_offer
        };
        self.line.iter_mut().skip(place + 1).filter(repeated).for_each(|entry| entry.outcome = Some(reason));
        if reason.is_failure() {
            // What comes under this id is new (4.3.3-9); its count ends with its answer.
            self.received.remove(&id);
        }
    }

    /// An offer is not stored, and answered as if it were: its client would send it again for ever.
    pub fn drop_offer(&mut self, ordinal: Ordinal) {
        self.committed(ordinal, Reason::Success, None);
        let place = ordinal.checked_sub(self.front).and_then(|place| self.line.get_mut(place as usize));
        place.into_iter().for_each(|entry| entry.is_dropped = true);
    }

    /// Acknowledgements of what is stored that were taken since this was asked.
    pub const fn take_acknowledged(&mut self) -> usize {
        std::mem::replace(&mut self.acknowledged, 0)
    }

    /// The next answer that is due: from the front of the line only.
    pub fn answer(&mut self) -> Option<ToClient> {
        while let Some(reason) = self.line.front().and_then(|entry| entry.outcome) {
            let Entry { answer, text, is_offer, is_dropped, .. } = self.line.pop_front()?;
            self.front += 1;
            let is_publish = matches!(answer, Answer::Puback(_) | Answer::Pubrec(_));
            let is_stored = is_offer && !is_dropped && !reason.is_failure();
            self.acknowledged += usize::from(is_publish && is_stored);
            let ack = |packet_id| Ack { packet_id, reason, text: text.clone() };
            return Some(match answer {
                Answer::None => {
                    self.bare -= 1;
                    continue;
                }
                Answer::Puback(id) => {
                    self.under_way -= 1;
                    ToClient::Puback(ack(id))
                }
                Answer::Pubrec(id) => {
                    self.under_way -= usize::from(is_offer && reason.is_failure());
                    ToClient::Pubrec(ack(id))
                }
                Answer::Pubcomp(id) => {
                    if !reason.is_failure()
                        && let Some(own) = self.received.remove(&id)
                    {
                        self.under_way -= usize::from(own.is_counted);
                    }
                    ToClient::Pubcomp(ack(id))
                }
            });
        }
        None
    }

    /// Whether nothing more is to be read. 5.0 tells the client its maximum, and a client that exceeds it must be seen to;
    /// only QoS 0, for which no maximum is told, waits.
    pub fn is_full(&self, receive_max: usize, is_told: bool) -> bool {
        // A client that keeps to its maximum has each of its packets in the line twice at most, and as many of QoS 0: who
        // releases without an end what it never published would fill the memory.
        let is_flooded = self.line.len() >= 4 * receive_max;
        let has_too_many = if is_told { self.bare >= receive_max } else { self.line.len() >= receive_max };
        self.left > 0 || is_flooded || has_too_many
    }

    /// How many of QoS 1 and 2 are under way.
    pub const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Nothing waits, and nothing is owed.
    pub fn is_at_rest(&self) -> bool {
        self.line.is_empty() && self.under_way == 0
    }
}

#[cfg(test)]
mod tests;
