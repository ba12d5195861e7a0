//! From the embedded broker to the writer's queue.

use std::sync::Arc;

use sanimon_broker::{Intake, Published, Token, Waiting};
use sanimon_domain::SessionKey;
use sanimon_store::SessionChange;
use sanimon_writer::{Connection, Qos};

use crate::message::{Ack, AckWay};
use crate::queue::{Arrival, Line, Queue};

use super::SOURCE;

const NOT_YOURS: &str =
    "its sender may not publish to this topic: give its credential a right to it, or correct the device";

/// The writer's queue, as the broker sees it.
#[derive(Debug)]
pub(super) struct Writing {
    queue: Queue,
    source: Arc<str>,
}

impl Writing {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue, source: SOURCE.into() }
    }
}

/// A client's own line.
struct Own {
    queue: Queue,
    line: Line,
    source: Arc<str>,
    client_id: Arc<str>,
    connection: Connection,
}

impl Intake for Writing {
    fn open(&self, client: &SessionKey) -> Box<dyn sanimon_broker::Line> {
        let SessionKey { owner, client_id } = client;
        // A client without a name has only its client id.
        let owner = if owner.is_empty() { client_id.clone() } else { owner.clone() };
        Box::new(Own {
            line: self.queue.line(),
            queue: self.queue.clone(),
            source: self.source.clone(),
            client_id: client_id.clone(),
            connection: Connection::Client { owner, session: client_id.clone() },
        })
    }

    fn change(&self, change: SessionChange, token: Option<Token>) {
        self.queue.change(change, token.map_or_else(Ack::none, Ack::embedded));
    }

    fn is_crowded(&self) -> bool {
        self.queue.is_crowded()
    }

    fn wall_ms(&self) -> i64 {
        wall_ms()
    }
}

/// Sessions run by the wall's time, also where the site's is simulated.
pub(super) fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

impl sanimon_broker::Line for Own {
    fn offer(&mut self, published: Published, token: Token) -> Option<Waiting> {
        let Published { topic, payload, qos, packet_id, dup, part, is_denied } = published;
        let qos = match (qos, packet_id) {
            (sanimon_broker::packet::Qos::AtMostOnce, _) => Qos::AtMostOnce,
            (_, id) => Qos::AtLeastOnce { packet_id: id.map_or(0, std::num::NonZeroU16::get), is_dup: dup },
        };
        let is_bound = self.queue.decoder().formats().is_bound(topic.as_str());
        let arrival = Arrival {
            source: self.source.clone(),
            topic: topic.shared(),
            payload,
            qos,
            // Here the flag means "please keep it": the device is speaking now.
            is_retained: false,
            connection: self.connection.clone(),
            client_id: is_bound.then(|| self.client_id.clone()),
            mqtt: part,
            refused: is_denied.then_some(NOT_YOURS),
            ack: AckWay::Embedded(token),
        };
        // What cannot be put in any more has dropped its token: the connection hears of it.
        let waiting = self.line.offer(arrival).err()?;
        Some(Box::pin(async move {
            let _ = waiting.await;
        }))
    }

    fn flush(&mut self) {
        // What cannot be put in any more has dropped its token.
        let _ = self.line.flush();
    }
}
