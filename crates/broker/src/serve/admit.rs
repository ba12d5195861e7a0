//! A CONNECT is judged, and its client let in or told why not.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::hub::Claim;
use crate::hub::ports::SignIn;
use crate::limit::Limit;
use crate::packet::{Connect, Version};
use crate::reason::Reason;
use crate::session::Admission;
use crate::sessions::lock;
use crate::topics::Topic;

use super::client::Client;
use super::effects::Awaited;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    /// Who is it, and may it?
    pub(super) fn admit(&mut self, connect: &Connect, has_waited: bool) {
        let address = self.peer.address.ip().to_canonical();
        let who = SignIn {
            client_id: &connect.client_id,
            username: connect.username.as_deref(),
            password: connect.password.as_deref(),
            certificate_name: self.peer.certificate_name.as_deref(),
            may_be_nameless: self.may_be_nameless,
        };
        let account = self.hub.ports.permissions.sign_in(&who).and_then(|account| {
            let will = connect.will.as_ref().and_then(|will| Topic::parse(&will.topic).ok());
            let is_quiet = connect.version != Version::V5 || connect.is_bridge;
            match will {
                // Nobody hears it, as nobody hears a publish of 3.1.1 to such a topic: it is dropped when it is due. A Mosquitto
                // that bridges with its defaults has such a will.
                Some(topic) if is_quiet && topic.is_reserved() && !self.hub.is_bound(&topic) => Ok(account),
                // A will is a publish that comes later.
                Some(topic) if !self.hub.may_publish(&account, &topic) => Err(Reason::NotAuthorized),
                _ => Ok(account),
            }
        });
        let account = match account {
            Ok(account) => account,
            // Only who is refused waits: an honest device may come from the address of who guesses.
            Err(_) if !has_waited && self.hub.has_failed_too_often(address) => {
                self.hub.met(Limit::FailedPerAddress, &self.owner());
                self.held_connect = Some(Box::new(connect.clone()));
                self.waiting = Some(Box::pin(tokio::time::sleep(self.hub.limits.failed_wait)));
                return;
            }
            Err(reason) => {
                self.hub.note_failed(address);
                return self
                    .refuse(connect, if has_waited { Reason::ConnectionRateExceeded } else { reason });
            }
        };
        if let Some(will) = connect.will.as_ref().filter(|_| !has_waited) {
            // It is a message as others: who comes and goes with one each time is slowed as who sends them.
            let wait_ms =
                self.hub.pace_of(&account).map_or(0, |pace| pace.wait_ms(will.payload.len(), self.now_ms));
            if wait_ms > 0 {
                self.hub.met(Limit::MessagesPerS, &account.owner);
                self.held_connect = Some(Box::new(connect.clone()));
                self.waiting = Some(Box::pin(tokio::time::sleep(Duration::from_millis(wait_ms))));
                return;
            }
        }
        let ticket = self.ticket();
        let claim = Claim { connect, account, address, link: &self.link };
        let admitted = match self.hub.attach(claim, ticket) {
            Ok(admitted) => admitted,
            Err(reason) => return self.refuse(connect, reason),
        };
        let admission = Admission {
            session_present: admitted.session_present,
            assigned_client_id: admitted.assigned_client_id.clone(),
            receive_max: admitted.receive_max,
        };
        self.line = Some(self.hub.ports.intake.open(&admitted.key));
        let is_awaited = admitted.is_awaited;
        self.admitted = Some(Box::new(admitted));
        let effects = self.answer_after(is_awaited, ticket, Awaited::Connack(admission));
        self.apply(effects);
    }

    fn refuse(&mut self, connect: &Connect, reason: Reason) {
        let who = connect.username.clone().unwrap_or_else(|| self.owner());
        self.hub.ports.notices.refused(&who, reason);
        let mut effects = Vec::new();
        self.machine.refused(reason, &mut effects);
        self.apply(effects);
    }

    pub(super) fn let_in(&mut self, admission: &Admission) {
        let Some(client) = &self.admitted else { return };
        let mut effects = Vec::new();
        let room = self.room();
        if let Some(session) = lock(&client.sender.seat).of(client.sender.generation) {
            self.machine.set_room(room);
            self.machine.admitted(session, self.now_ms, admission, &mut effects);
        }
        self.place = None;
        self.apply(effects);
    }
}
