//! A client comes, and goes.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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
use super::{Hub, Pace, Token, WILLS_MAX};

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
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own")]
pub(crate) struct Admitted {
    pub(crate) sender: Sender,
    pub(crate) key: SessionKey,
    pub(crate) address: IpAddr,
    pub(crate) session_present: bool,
    pub(crate) assigned_client_id: Option<String>,
    pub(crate) receive_max: NonZeroU16,
    pub(crate) pace: Option<Arc<Pace>>,
    /// Of its session.
    pub(crate) incarnation: i64,
    /// Its row is in the file.
    pub(crate) is_stored: bool,
    /// What it is told waits for a commit.
    pub(crate) is_awaited: bool,
    /// A Mosquitto that bridges.
    pub(crate) is_bridge: bool,
}

impl Hub {
    /// Gives a client its session. What it is told must wait for the ticket if the file is to change.
    ///
    /// # Errors
    /// A limit is met.
    pub(crate) fn attach(self: &Arc<Self>, claim: Claim<'_>, ticket: Ticket) -> Result<Admitted, Reason> {
        let Claim { connect, account, address, link } = claim;
        let assigned = connect.client_id.is_empty().then(assigned_client_id);
        let client_id = assigned.as_deref().unwrap_or(&connect.client_id);
        let key = SessionKey { owner: account.owner.clone(), client_id: client_id.into() };
        let now_ms = self.now_ms();
        if connect.will.is_some() && self.wills.load(Ordering::Relaxed) >= WILLS_MAX {
            return Err(Reason::ServerBusy);
        }
        let mut table = self.table();
        // Revoked since it signed in: who takes rights away looks for sessions after this, and finds them.
        let account = self.ports.permissions.now(&account.owner, account.credential, client_id);
        let account = table.accounts.shared(account.ok_or(Reason::NotAuthorized)?);
        // Who comes again takes the place of its old connection.
        let is_again = table.sessions.is_here(&key);
        let entered = table.accounts.enter(&self.limits, (&account, address), is_again, now_ms);
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
        let Attached { seat, generation, session_present, has_ended, taken_over, will } = attached;
        let expiry_s = connect.session_expiry_s.min(self.limits.session.session_expiry_max_s);
        let is_stored = expiry_s > 0;
        let mut own = lock(&seat);
        let was_stored = has_ended || own.is_stored;
        own.is_stored = is_stored;
        let incarnation = own.session.incarnation;
        (own.session.expiry_s, own.session.version) = (expiry_s, connect.version);
        let token = || Some(Token::new(self, Of::Change(link.clone(), ticket)));
        // The file changes as the table does: a change that overtakes another would bring back what has ended.
        if has_ended || was_stored && !is_stored {
            // What it is told must not come back with a crash, either.
            let token = if is_stored { None } else { token() };
            self.ports.intake.change(SessionChange::Remove(key.clone()), token);
        }
        if is_stored {
            let mut row = self.session_row(&key, &own, None);
            row.will = connect.will.as_ref().map(|own| Box::new(self.will_row(own, None)));
            self.ports.intake.change(SessionChange::Put(Box::new(row)), token());
        }
        drop(own);
        self.sessions_changed(&mut table);
        let connected = table.accounts.connected();
        drop(table);
        self.ports.notices.connected(connected);
        if let Some(old) = taken_over {
            old.stop(Stop::TakenOver { is_clean: connect.clean_start });
        }
        will.into_iter().for_each(|will| self.publish_will(will));
        let sender = Sender { seat, generation, link: link.clone() };
        Ok(Admitted {
            sender,
            key,
            address,
            session_present,
            assigned_client_id: assigned,
            receive_max: self.limits.receive_max_of(account.is_gateway),
            pace,
            incarnation,
            is_stored,
            is_awaited: is_stored || was_stored,
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
        self.sessions_changed(&mut table);
        let connected = table.accounts.connected();
        match &left {
            Some(left) if !left.is_over => {
                let mut row = self.session_row(key, &lock(&sender.seat), Some(now_ms));
                // It stays until it is published.
                let will = left.will.as_ref().map(|due| Box::new(self.will_row(&due.will, Some(now_ms))));
                row.will = row.will.or(will);
                self.change(SessionChange::Put(Box::new(row)));
            }
            Some(_) if client.is_stored => self.change(SessionChange::Remove(key.clone())),
            _ => {}
        }
        if let Some((key, _)) = left.as_ref().and_then(|left| left.displaced.as_ref()) {
            self.change(SessionChange::Remove(key.clone()));
        }
        drop(table);
        self.ports.notices.connected(connected);
        let Some(left) = left else { return };
        left.will.into_iter().for_each(|will| self.publish_will(will));
        if let Some((key, will)) = left.displaced {
            self.met(Limit::SessionsKept, &key.owner);
            will.into_iter().for_each(|will| self.publish_will(will));
        }
    }
}

fn assigned_client_id() -> String {
    let bits: u128 = rand::random();
    format!("{bits:0ASSIGNED_DIGITS$x}")
}
