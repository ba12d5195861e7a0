//! What webhooks and chat bots share: a POST of JSON, and what its answer means.

use std::io::ErrorKind;
use std::time::Duration;

use sanimon_domain::time::SECOND_MS;
use ureq::{Agent, Error, Timeout};

use crate::failure::{Cause, Failure};

/// A receiver that takes longer is tried again later.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How much of an answer is looked at.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// How much of it people are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// The HTTP client of a channel.
pub(super) fn agent() -> Agent {
    let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("sanimon/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls);
    config.build().into()
}

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The beginning of it.
    pub(super) text: String,
    pub(super) retry_after_ms: Option<i64>,
}

pub(super) fn post(
    agent: &Agent,
    url: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Result<Answer, Failure> {
    let mut request = agent.post(url).header("Content-Type", "application/json; charset=utf-8");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    // The address may hold a key: an error names what went wrong, not where.
    let mut answer = request.send(body).map_err(|error| by_error(&error))?;
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after_ms = retry_after.and_then(seconds).map(|seconds| seconds.saturating_mul(SECOND_MS));
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().unwrap_or_default();
    Ok(Answer { status, text, retry_after_ms })
}

/// `Retry-After` in seconds. Its other form, a date, would need a clock that the receiver shares.
fn seconds(text: &str) -> Option<i64> {
    text.trim().parse::<u32>().ok().map(i64::from)
}

/// No answer came.
fn by_error(error: &Error) -> Failure {
    // Before a connection stands nothing of the message was judged. A connection that breaks later may be the doing of a
    // filter that does not like the text.
    let is_before_the_message = match error {
        Error::Timeout(timeout) => matches!(timeout, Timeout::Resolve | Timeout::Connect),
        Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::NetworkDown
                | ErrorKind::AddrNotAvailable
        ),
        Error::HostNotFound | Error::ConnectionFailed | Error::Tls(_) | Error::Rustls(_) => true,
        _ => false,
    };
    let cause = if is_before_the_message { Cause::Passing } else { Cause::Undecided };
    Failure { cause, reason: error.to_string(), retry_after_ms: None }
}

/// What a status says of whose trouble it is; `None`: it went out.
pub(super) fn by_status(status: u16) -> Option<Cause> {
    match status {
        200..=299 => None,
        // The receiver says that it does not take this body.
        400 | 413 | 415 | 422 => Some(Cause::Content),
        // It says that it is a matter of time.
        408 | 425 | 429 => Some(Cause::Passing),
        _ => Some(Cause::Undecided),
    }
}

impl Answer {
    /// The failure that it tells of, for people to read.
    pub(super) fn failure(&self, cause: Cause) -> Failure {
        let shown: String = self.text.chars().take(SHOWN_CHARS_MAX).collect();
        let reason = format!("the receiver answered {}: {shown}", self.status);
        Failure { cause, reason, retry_after_ms: self.retry_after_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_about_the_body_is_held_against_a_message_by_itself() {
        let statuses =
            |wanted| (100..=599).filter(|status| by_status(*status) == Some(wanted)).collect::<Vec<_>>();
        assert_eq!(statuses(Cause::Content), [400, 413, 415, 422]);
        assert_eq!(statuses(Cause::Passing), [408, 425, 429]);
        let undecided = statuses(Cause::Undecided);
        for status in [302, 401, 403, 404, 405, 410, 500, 502, 503, 504] {
            assert!(undecided.contains(&status), "{status}");
        }
        assert!((200..300).all(|status| by_status(status).is_none()));
    }

    #[test]
    fn a_pause_that_the_receiver_asks_for_is_a_number_of_seconds() {
        assert_eq!(seconds(" 120 "), Some(120));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(seconds("-1"), None);
    }

    #[test]
    fn what_fails_before_a_connection_stands_says_nothing_of_the_message() {
        let io = |kind| by_error(&Error::Io(std::io::Error::from(kind))).cause;
        assert_eq!(io(ErrorKind::ConnectionRefused), Cause::Passing);
        assert_eq!(io(ErrorKind::ConnectionReset), Cause::Undecided);
        assert_eq!(by_error(&Error::HostNotFound).cause, Cause::Passing);
        assert_eq!(by_error(&Error::Timeout(Timeout::Connect)).cause, Cause::Passing);
        assert_eq!(by_error(&Error::Timeout(Timeout::Global)).cause, Cause::Undecided);
    }
}
