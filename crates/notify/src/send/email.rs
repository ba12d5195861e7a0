//! E-mail: who gets it, who does not, and who gets it later.

use std::collections::BTreeMap;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::{Address, Message};

use super::smtp::{MailServer, Receipt};
use super::{Delivered, OutgoingMessage};
use crate::channel::{Credentials, Tls};
use crate::failure::Failure;

/// Mails that some have got and others not yet, at most; one more is not tried again for those who are left. Each holds a
/// few addresses.
const PARTLY_MAILED_MAX: usize = 1_000;

/// A channel's sender and recipients.
#[derive(Debug)]
pub(super) struct Email {
    server: MailServer,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// Words in the configuration that are no addresses.
    unreadable: Vec<String>,
}

/// Mails that some recipients have and others not yet. It is kept in memory only: after a restart all get the mail once
/// more, under the same id, by which readers show it once.
#[derive(Debug, Default)]
pub(crate) struct PartlyMailed {
    by_messages: BTreeMap<Vec<i64>, Progress>,
}

/// How far a mail has come.
#[derive(Debug, Default, Clone)]
struct Progress {
    taken: Vec<Address>,
    refused: Vec<(Address, String)>,
    later: Vec<(Address, String)>,
}

impl PartlyMailed {
    /// A message is given up. When some have got it: whom it did not reach.
    pub(super) fn give_up(&mut self, message: i64) -> Option<String> {
        let ids = self.by_messages.keys().find(|ids| ids.contains(&message))?.clone();
        // Those that went out together with it still ask for it.
        let is_last = ids.last() == Some(&message);
        let progress = self.by_messages.get(&ids)?.clone();
        if is_last {
            self.by_messages.remove(&ids);
        }
        named("not to", progress.refused.iter().chain(&progress.later))
    }
}

impl Email {
    pub(super) fn new(
        (host, port): (&str, u16),
        tls: Tls,
        credentials: Option<&Credentials>,
        from: &str,
        to: &[String],
    ) -> Result<Self, Failure> {
        let from = from.parse().map_err(|error| Failure::passing(format!("the sender {from}: {error}")))?;
        let (to, unreadable): (Vec<_>, Vec<_>) =
            to.iter().map(|text| text.parse::<Mailbox>().map_err(|_| text.clone())).partition(Result::is_ok);
        Ok(Self {
            server: MailServer { host: host.to_owned(), port, tls, credentials: credentials.cloned() },
            from,
            to: to.into_iter().flatten().collect(),
            unreadable: unreadable.into_iter().filter_map(Result::err).collect(),
        })
    }

    /// Mails to those who have not got it yet.
    pub(super) fn send(
        &self,
        outgoing: &OutgoingMessage<'_>,
        partly_mailed: &mut PartlyMailed,
    ) -> Result<Delivered, Failure> {
        let known = partly_mailed.by_messages.get(outgoing.ids);
        let mut progress = known.cloned().unwrap_or_default();
        let addresses = self.to.iter().map(|mailbox| &mailbox.email);
        let wanted: Vec<Address> =
            addresses.filter(|address| !progress.is_settled(address)).cloned().collect();
        let receipt = self.server.mail(&self.from.email, &wanted, &self.write(outgoing)?)?;
        let has_reached_somebody = !receipt.taken.is_empty();
        progress.add(receipt);
        if progress.taken.is_empty() {
            return Err(self.nobody(&progress));
        }
        let is_full = known.is_none() && partly_mailed.by_messages.len() >= PARTLY_MAILED_MAX;
        if progress.later.is_empty() || is_full {
            partly_mailed.by_messages.remove(outgoing.ids);
            let note = self.note(progress.refused.iter().chain(&progress.later));
            return Ok(Delivered { has_reached_somebody, rest: None, note });
        }
        let rest = named("not yet to", &progress.later);
        partly_mailed.by_messages.insert(outgoing.ids.to_vec(), progress);
        Ok(Delivered { has_reached_somebody, rest, note: None })
    }

    fn write(&self, outgoing: &OutgoingMessage<'_>) -> Result<Vec<u8>, Failure> {
        let head = Message::builder()
            .from(self.from.clone())
            .subject(outgoing.text.subject.replace(['\r', '\n'], " "))
            // A mail that is sent again has the same id: readers show it once.
            .message_id(Some(format!("<{}@sanimon>", outgoing.key)))
            .header(ContentType::TEXT_PLAIN);
        let head = self.to.iter().cloned().fold(head, MessageBuilder::to);
        let mail = head.body(outgoing.text.body.clone());
        mail.map(|mail| mail.formatted()).map_err(|error| Failure::content(error.to_string()))
    }

    fn nobody(&self, progress: &Progress) -> Failure {
        let all = progress.refused.iter().chain(&progress.later);
        let reason = self.note(all).unwrap_or_else(|| "there is no recipient".to_owned());
        if progress.later.is_empty() { Failure::undecided(reason) } else { Failure::passing(reason) }
    }

    /// Whom it does not reach, with the words that are no addresses.
    fn note<'a>(&self, who: impl IntoIterator<Item = &'a (Address, String)>) -> Option<String> {
        let unreadable = self.unreadable.iter().map(|text| format!("not to {text}: this is no address"));
        let parts: Vec<String> = named("not to", who).into_iter().chain(unreadable).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

impl Progress {
    fn is_settled(&self, address: &Address) -> bool {
        self.taken.contains(address) || self.refused.iter().any(|(refused, _)| refused == address)
    }

    fn add(&mut self, receipt: Receipt) {
        self.taken.extend(receipt.taken);
        self.refused.extend(receipt.refused);
        self.later = receipt.later;
    }
}

/// `not to gone@town.example: 550 no such mailbox; not to …`
fn named<'a>(how: &str, who: impl IntoIterator<Item = &'a (Address, String)>) -> Option<String> {
    let parts: Vec<String> =
        who.into_iter().map(|(address, why)| format!("{how} {address}: {why}")).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
