//! E-mail by SMTP.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials as SmtpCredentials;
use lettre::transport::smtp::client::{Tls as SmtpTls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};

use super::{Parcel, SendError};
use crate::channel::{Credentials, Tls};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A channel's mail server.
#[derive(Debug)]
pub(crate) struct Email {
    transport: SmtpTransport,
    from: String,
    to: Vec<String>,
}

impl Email {
    pub(crate) fn new(
        (host, port): (&str, u16),
        tls: Tls,
        credentials: Option<&Credentials>,
        from: &str,
        to: &[String],
    ) -> Result<Self, SendError> {
        let parameters = || {
            TlsParameters::new(host.to_owned()).map_err(|error| SendError::Passing(format!("TLS: {error}")))
        };
        let tls = match tls {
            Tls::Implicit => SmtpTls::Wrapper(parameters()?),
            Tls::StartTls => SmtpTls::Required(parameters()?),
            Tls::None => SmtpTls::None,
        };
        let mut builder = SmtpTransport::builder_dangerous(host).port(port).tls(tls).timeout(Some(TIMEOUT));
        if let Some(Credentials { username, password }) = credentials {
            builder = builder.credentials(SmtpCredentials::new(username.clone(), password.clone()));
        }
        Ok(Self { transport: builder.build(), from: from.to_owned(), to: to.to_vec() })
    }

    pub(crate) fn send(&self, parcel: &Parcel<'_>) -> Result<(), SendError> {
        let refused = |error: &dyn std::fmt::Display| SendError::Refused(error.to_string());
        let mailbox = |text: &str| text.parse().map_err(|error| refused(&error));
        let mut builder = Message::builder()
            .from(mailbox(&self.from)?)
            .subject(parcel.text.subject.replace(['\r', '\n'], " "))
            // A mail that is sent again has the same id: readers show it once.
            .message_id(Some(format!("<{}@sanimon>", parcel.key)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(mailbox(to)?);
        }
        let mail = builder.body(parcel.text.body.clone()).map_err(|error| refused(&error))?;
        match self.transport.send(&mail) {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => {
                Err(SendError::Refused(format!("the mail server refused it: {error}")))
            }
            Err(error) => Err(SendError::Passing(format!("the mail server: {error}"))),
        }
    }
}
