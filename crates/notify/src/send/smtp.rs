//! One conversation with a mail server: each recipient is asked for by itself, so that one bad mailbox costs one mailbox.

use std::error::Error as _;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials as SmtpCredentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};

use crate::channel::{Credentials, Tls};
use crate::failure::Failure;

/// For each answer of the server.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A mail server, and how it is spoken to.
#[derive(Debug)]
pub(super) struct MailServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) credentials: Option<Credentials>,
}

/// What the server said of each recipient. `taken` have the mail.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) taken: Vec<Address>,
    /// For good, with the server's reason.
    pub(super) refused: Vec<(Address, String)>,
    /// For now.
    pub(super) later: Vec<(Address, String)>,
}

impl MailServer {
    /// Mails to those whom the server takes. An error: nobody has got it.
    pub(super) fn mail(&self, from: &Address, to: &[Address], mail: &[u8]) -> Result<Receipt, Failure> {
        let mut connection = self.connect()?;
        let outcome = converse(&mut connection, from, to, mail);
        let _ = connection.quit();
        outcome
    }

    /// Whatever goes wrong here, nothing of the mail was judged.
    fn connect(&self) -> Result<SmtpConnection, Failure> {
        let passing = |error: Error| Failure::passing(format!("the mail server: {}", said(&error)));
        let name = ClientId::default();
        let parameters = || TlsParameters::new(self.host.clone()).map_err(passing);
        let wrapper = match self.tls {
            Tls::Implicit => Some(parameters()?),
            Tls::StartTls | Tls::None => None,
        };
        let address = (self.host.as_str(), self.port);
        let mut connection = SmtpConnection::connect(address, Some(TIMEOUT), &name, wrapper.as_ref(), None)
            .map_err(passing)?;
        if self.tls == Tls::StartTls {
            connection.starttls(&parameters()?, &name).map_err(passing)?;
        }
        if let Some(Credentials { username, password }) = &self.credentials {
            let credentials = SmtpCredentials::new(username.clone(), password.clone());
            connection.auth(DEFAULT_MECHANISMS, &credentials).map_err(passing)?;
        }
        Ok(connection)
    }
}

fn converse(
    connection: &mut SmtpConnection,
    from: &Address,
    to: &[Address],
    mail: &[u8],
) -> Result<Receipt, Failure> {
    let speaks_utf8 = connection.server_info().supports_feature(Extension::SmtpUtfEight);
    let mut parameters = Vec::new();
    if speaks_utf8 && std::iter::once(from).chain(to).any(|address| !is_plain(address)) {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !mail.is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    connection.command(Mail::new(Some(from.clone()), parameters)).map_err(|error| {
        Failure::passing(format!("the mail server does not take the sender: {}", said(&error)))
    })?;
    let mut receipt = Receipt::default();
    for address in to {
        if !is_plain(address) && !speaks_utf8 {
            receipt.refused.push((address.clone(), "the mail server cannot write this address".to_owned()));
            continue;
        }
        match connection.command(Rcpt::new(address.clone(), Vec::new())) {
            Ok(_) => receipt.taken.push(address.clone()),
            Err(error) if error.is_permanent() => receipt.refused.push((address.clone(), said(&error))),
            Err(error) if error.is_transient() => receipt.later.push((address.clone(), said(&error))),
            Err(error) => return Err(Failure::passing(format!("the mail server: {}", said(&error)))),
        }
    }
    if !receipt.taken.is_empty() {
        hand_over(connection, mail)?;
    }
    Ok(receipt)
}

fn hand_over(connection: &mut SmtpConnection, mail: &[u8]) -> Result<(), Failure> {
    connection
        .command(Data)
        .map_err(|error| Failure::undecided(format!("the mail server does not begin: {}", said(&error))))?;
    match connection.message(mail) {
        Ok(_) => Ok(()),
        Err(error) if error.is_permanent() => {
            Err(Failure::content(format!("the mail server refused the mail: {}", said(&error))))
        }
        Err(error) if error.is_transient() => {
            Err(Failure::passing(format!("the mail server does not take the mail now: {}", said(&error))))
        }
        // Nobody knows whether it has it: it is sent again under the same id.
        Err(error) => Err(Failure::undecided(format!("the mail server: {}", said(&error)))),
    }
}

fn is_plain(address: &Address) -> bool {
    <Address as AsRef<str>>::as_ref(address).is_ascii()
}

/// `550 5.1.1 no such mailbox`
fn said(error: &Error) -> String {
    match (error.status(), error.source()) {
        (Some(code), Some(text)) => format!("{code} {text}"),
        _ => error.to_string(),
    }
}
