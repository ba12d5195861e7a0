//! One message to one receiver. All of it blocks: the worker calls it off the async threads.

mod email;
mod mqtt;
mod robot;
mod webhook;

use std::time::Duration;

use sanimon_store::{Alert, OutboxMessage};
use ureq::Agent;

pub(crate) use email::Email;
pub(crate) use mqtt::Mirror;
pub(crate) use robot::send as to_robot;
pub(crate) use webhook::send as to_webhook;

use crate::text::Text;

/// A receiver that takes longer is tried again later.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How much of an answer is looked at.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Why a message did not go out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The receiver may take it later.
    #[error("{0}")]
    Passing(String),
    /// The receiver will never take this one.
    #[error("{0}")]
    Refused(String),
}

/// What is sent at once: one message, or the warnings of a day.
#[derive(Debug)]
pub(crate) struct Parcel<'a> {
    /// The same for each try.
    pub(crate) key: &'a str,
    pub(crate) site_name: &'a str,
    pub(crate) text: &'a Text,
    /// Empty: a test.
    pub(crate) about: &'a [(OutboxMessage, Alert)],
    /// Each alert's place, in words.
    pub(crate) devices: &'a [Option<String>],
}

/// The HTTP client of a channel.
pub(crate) fn agent() -> Agent {
    let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("sanimon/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls);
    config.build().into()
}

/// Posts JSON; gives the status and the beginning of the answer.
fn post(
    agent: &Agent,
    url: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Result<(u16, String), SendError> {
    let mut request = agent.post(url).header("Content-Type", "application/json; charset=utf-8");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    // The address may hold a key: an error names what went wrong, not where.
    let mut answer = request.send(body).map_err(|error| SendError::Passing(error.to_string()))?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().unwrap_or_default();
    Ok((status, text))
}

/// What a status means for the message.
fn by_status(status: u16, answer: &str) -> Result<(), SendError> {
    let beginning: String = answer.chars().take(200).collect();
    let said = format!("the receiver answered {status}: {beginning}");
    match status {
        200..=299 => Ok(()),
        // For what it is, not for when it came.
        400 | 404 | 405 | 410 | 413 | 415 | 422 => Err(SendError::Refused(said)),
        _ => Err(SendError::Passing(said)),
    }
}
