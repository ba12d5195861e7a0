//! What a write's failure means: whether the same lines can still be taken, or never will be.
//!
//! In doubt it passes. Waiting costs disk; refusing takes lines out of the history.

use std::error::Error;
use std::io::ErrorKind;

use influxdb2::RequestError;

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer's HTTP status.
    Status(u16),
    /// Nobody listens, or the way there is not known.
    NotConnected,
    /// Connected, but not to somebody whom we trust; or this sanimon speaks no TLS.
    Tls,
    TimedOut,
    Reset,
    /// The connection ended before the answer did. Whether the lines are stored is not known.
    CutOff,
    Other,
}

/// What to do with lines that were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The same again, later.
    Passing,
    /// At least one of the lines will never be taken. What is alone is refused; more are halved.
    Refused,
}

/// The one table. `None`: it is no failure.
pub(crate) fn failure(outcome: Outcome) -> Option<Failure> {
    match outcome {
        Outcome::Status(204) => None,
        // A line that is no line, too large, of another type than its field, or older than the bucket keeps.
        Outcome::Status(400 | 413 | 422) => Some(Failure::Refused),
        // 401, 403, 404: the token, or the bucket, can be set right. 408, 429, 500 to 507: slow, overloaded, full or
        // away. Another status is not InfluxDB's answer to a write: a proxy's, or a sign-in page's. And whoever was not
        // reached, or not heard to the end, has judged nothing.
        Outcome::Status(_)
        | Outcome::NotConnected
        | Outcome::Tls
        | Outcome::TimedOut
        | Outcome::Reset
        | Outcome::CutOff
        | Outcome::Other => Some(Failure::Passing),
    }
}

impl Outcome {
    pub(crate) fn of(error: &RequestError) -> Self {
        match error {
            RequestError::Http { status, .. } => Self::Status(status.as_u16()),
            RequestError::ReqwestProcessing { source } => Self::of_transport(source),
            RequestError::Serializing { .. } | RequestError::Deserializing { .. } => Self::Other,
        }
    }

    fn of_transport(error: &reqwest::Error) -> Self {
        let kind = io_kind(error);
        if error.is_timeout() {
            Self::TimedOut
        } else if error.is_connect() {
            // What is not the network's fault is that of what was agreed upon over it.
            if kind.is_some() { Self::NotConnected } else { Self::Tls }
        } else if matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)) {
            Self::Reset
        } else if error.is_request() || error.is_body() || error.is_decode() {
            Self::CutOff
        } else {
            Self::Other
        }
    }
}

/// What the operating system said, if it was asked.
fn io_kind(error: &reqwest::Error) -> Option<ErrorKind> {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind).last()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::{Influx, InfluxOptions};

    #[test]
    fn each_status_that_influxdb_answers_a_write_with_passes_or_refuses() {
        for (status, expected) in [
            (204, None),
            (400, Some(Failure::Refused)),
            (401, Some(Failure::Passing)),
            (404, Some(Failure::Passing)),
            (408, Some(Failure::Passing)),
            (413, Some(Failure::Refused)),
            (422, Some(Failure::Refused)),
            (429, Some(Failure::Passing)),
            (500, Some(Failure::Passing)),
            (502, Some(Failure::Passing)),
            (503, Some(Failure::Passing)),
            (504, Some(Failure::Passing)),
            (507, Some(Failure::Passing)),
        ] {
            assert_eq!(failure(Outcome::Status(status)), expected, "{status}");
        }
    }

    #[test]
    fn only_204_is_a_success_and_only_three_statuses_refuse() {
        let of = |expected| (100..600).filter(move |status| failure(Outcome::Status(*status)) == expected);
        assert_eq!(of(None).collect::<Vec<_>>(), [204]);
        assert_eq!(of(Some(Failure::Refused)).collect::<Vec<_>>(), [400, 413, 422]);
    }

    /// What a write to an address ends with.
    fn write_to(url: String) -> Outcome {
        let [org, bucket, token] = ["town", "b", "t"].map(str::to_owned);
        let options = InfluxOptions { url, org, bucket, token, retention_days: None };
        let influx = Influx::with_limit(options, Duration::from_millis(300)).expect("a client");
        let error = influx.send(b"bin,device=d-0 fill_pct=1 1\n".to_vec()).expect_err("no answer");
        let outcome = Outcome::of(&error);
        assert_eq!(failure(outcome), Some(Failure::Passing), "{outcome:?}");
        outcome
    }

    /// An address where each connection is treated so.
    fn server(treat: fn(TcpStream)) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || listener.incoming().flatten().for_each(treat));
        address.to_string()
    }

    fn answer(mut stream: TcpStream, part: &[u8]) {
        let mut request = [0; 4_096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(part);
    }

    #[test]
    fn a_closed_port_is_not_connected() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        assert_eq!(write_to(format!("http://{address}")), Outcome::NotConnected);
    }

    #[test]
    fn a_connection_that_is_closed_upon_unread_bytes_is_reset() {
        let address = server(|stream| {
            let _ = stream.peek(&mut [0]);
        });
        assert_eq!(write_to(format!("http://{address}")), Outcome::Reset);
    }

    #[test]
    fn a_server_that_says_nothing_times_out() {
        let address = server(|stream| {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut std::io::sink()));
        });
        assert_eq!(write_to(format!("http://{address}")), Outcome::TimedOut);
    }

    #[test]
    fn a_server_without_tls_fails_tls() {
        let address = server(|stream| answer(stream, b"HTTP/1.1 400 Bad\r\n\r\n"));
        assert_eq!(write_to(format!("https://{address}")), Outcome::Tls);
    }

    #[test]
    fn an_answer_that_ends_in_its_head_or_its_body_is_cut_off() {
        let address = server(|stream| answer(stream, b"HTTP/1.1 204 No Con"));
        assert_eq!(write_to(format!("http://{address}")), Outcome::CutOff);
        let address =
            server(|stream| answer(stream, b"HTTP/1.1 400 Bad\r\ncontent-length: 99\r\n\r\nunable"));
        assert_eq!(write_to(format!("http://{address}")), Outcome::CutOff);
    }
}
