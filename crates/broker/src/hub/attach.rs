//! A client comes, and goes.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use sanimon_domain::SessionKey;
use sanimon_domain::mqtt::SessionChange;

use crate::account::Account;
use crate::limit::Limit;
use crate::link::{Link, Stop, Ticket};
use crate::packet::Connect;
use crate::reason::Reason;
use crate::session::will::End;
use crate::sessions::{Attached, Newcomer, lock};

use super::token::{Of, Sender};
use super::{Hub, Pace, Token};

/// Random bits of a client id that we give, as hexadecimal digits.
const ASSIGNED_DIGITS: usize = 32;

/// Who wants to be let in, and was found to be somebody.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) connect: &'a Connect,
    pub(crate) account: Account,
    pub(crate) address: IpAddr,
    pub(crate) link: &'a Arc<Link>,
}

/// A client that is let in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) sender: Sender,
    pub(crate) key: SessionKey,
    pub(crate) address: IpAddr,
    pub(crate) session_present: bool,
    pub(crate) assigned_client_id: Option<String>,
    pub(crate) receive_max: NonZeroU16,
    pub(crate) pace: Option<Arc<Pace>>,
    /// Its row is in the file.
    pub(crate) is_stored: bool,
    /// A Mosquitto that bridges.
    pub(crate) is_bridge: bool,
}

impl Hub {
    /// Gives a client its session. What it is told must wait for the ticket if the session is kept.
    ///
    /// # Errors
    /// A limit is met.
    pub(crate) fn attach(self: &Arc<Self>, claim: Claim<'_>, ticket: Ticket) -> Result<Admitted, Reason> {
        let Claim { connect, account, address, link } = claim;
        let assigned = connect.client_id.is_empty().then(assigned_client_id);
        let client_id = assigned.as_deref().unwrap_or(&connect.client_id);
        let key = SessionKey { owner: account.owner.clone(), client_id: client_id.into() };
        let (account, now_ms) = (Arc::new(account), self.now_ms());
        let mut table = self.table();
        let entered = table.accounts.enter(&self.limits, &account, address, now_ms);
        let refused = |limit, reason| {
            self.met(limit, &key.owner);
            reason
        };
        let pace = entered.map_err(|(limit, reason)| refused(limit, reason))?;
        let newcomer = Newcomer {
            key: key.clone(),
            account: account.clone(),
            is_clean: connect.clean_start,
            link: link.clone(),
        };
        let Ok(attached) = table.sessions.attach(newcomer, now_ms) else {
            table.accounts.leave(&key.owner, address);
            return Err(refused(Limit::Takeovers, Reason::ConnectionRateExceeded));
        };
        self.note_subscriptions(&table);
        let connected = table.accounts.connected();
        drop(table);
        self.ports.notices.connected(connected);
        let Attached { seat, generation, session_present, has_ended, taken_over, will } = attached;
        if let Some(old) = taken_over {
            old.stop(Stop::TakenOver { is_clean: connect.clean_start });
        }
        if has_ended {
            self.ports.intake.change(SessionChange::Remove(key.clone()), None);
        }
        will.into_iter().for_each(|will| self.publish_will(will));
        let sender = Sender { seat, generation, link: link.clone() };
        let expiry_s = connect.session_expiry_s.min(self.limits.session.session_expiry_max_s);
        let is_stored = expiry_s > 0;
        if is_stored {
            let mut row = self.session_row(&key, &lock(&sender.seat), None);
            (row.expiry_s, row.version) = (expiry_s, connect.version.level());
            row.will = connect.will.as_ref().map(|own| Box::new(self.will_row(own, None)));
            let token = Token::new(self, Of::Change(link.clone(), ticket));
            self.ports.intake.change(SessionChange::Put(Box::new(row)), Some(token));
        }
        Ok(Admitted {
            sender,
            key,
            address,
            session_present,
            assigned_client_id: assigned,
            receive_max: self.limits.receive_max_of(account.is_gateway),
            pace,
            is_stored,
            is_bridge: connect.is_bridge,
        })
    }

    /// A connection has ended.
    pub(crate) fn detach(self: &Arc<Self>, client: &Admitted, end: End) {
        let now_ms = self.now_ms();
        let Admitted { sender, key, .. } = client;
        let mut table = self.table();
        table.accounts.leave(&key.owner, client.address);
        let left = table.sessions.detach(key, sender.generation, end, now_ms);
        self.note_subscriptions(&table);
        let connected = table.accounts.connected();
        let row = match &left {
            Some(left) if !left.is_over => Some(self.session_row(key, &lock(&sender.seat), Some(now_ms))),
            _ => None,
        };
        drop(table);
        self.ports.notices.connected(connected);
        let Some(left) = left else { return };
        if let Some(row) = row {
            self.ports.intake.change(SessionChange::Put(Box::new(row)), None);
        } else if client.is_stored {
            self.ports.intake.change(SessionChange::Remove(key.clone()), None);
        }
        left.will.into_iter().for_each(|will| self.publish_will(will));
        if let Some((key, will)) = left.displaced {
            self.met(Limit::SessionsKept, &key.owner);
            self.ports.intake.change(SessionChange::Remove(key), None);
            will.into_iter().for_each(|will| self.publish_will(will));
        }
    }
}

fn assigned_client_id() -> String {
    let bits: u128 = rand::random();
    format!("{bits:0ASSIGNED_DIGITS$x}")
}
