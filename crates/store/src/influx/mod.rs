//! InfluxDB 2 behind the store: the journal is its outbox.
//!
//! A reading is committed to the journal, acknowledged, and waits there until InfluxDB has it ([`deliver`]). While
//! InfluxDB is away the waiting points fill the memory's tail, then blocks, and go on waiting. A query merges what
//! InfluxDB has with what still waits ([`read`], [`windows`]). Writing a point again changes nothing there, so a batch whose answer
//! was lost is simply sent again.
//!
//! Measurement: the device's kind. Tags: `device`, `zone`, `team`. Fields: metrics, as numbers. Times: milliseconds.
//!
//! The client library's own parsing panics on answers that it does not expect, and its `write` sends a chunk a point:
//! see `rows` and `lines` for the ways around.

pub(crate) mod deliver;
mod failure;
mod flux;
pub(crate) mod lines;
mod read;
mod setup;
mod spans;
pub(crate) mod windows;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use fallible_iterator::FallibleIterator;
use influxdb2::api::query::FluxRecord;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::models::Query;
use influxdb2::{Client, ClientBuilder, RequestError};
use tokio::runtime::{self, Runtime};

use crate::error::{Result, StoreError};

use failure::{Failure, Outcome, failure};
pub use setup::{BucketState, Setup};

/// A write or a query that takes longer has failed: InfluxDB is stuck, and the batch will be sent again.
const REQUEST_WITHIN: Duration = Duration::from_mins(1);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Where InfluxDB is, and what is ours there.
#[derive(Clone, PartialEq, Eq)]
pub struct InfluxOptions {
    /// `http://HOST:PORT`, without a path: the client library drops one.
    pub url: String,
    pub org: String,
    pub bucket: String,
    pub token: String,
    /// How long the bucket keeps points; `None`: for ever.
    pub retention_days: Option<u32>,
}

impl fmt::Debug for InfluxOptions {
    /// Never the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InfluxOptions")
            .field("url", &self.url)
            .field("org", &self.org)
            .field("bucket", &self.bucket)
            .field("retention_days", &self.retention_days)
            .finish_non_exhaustive()
    }
}

/// A bucket of a server. Its calls block: make them off the async threads.
#[derive(Debug)]
pub struct Influx {
    client: Client,
    options: InfluxOptions,
    /// Its own: calls come from threads that outlive the caller's runtime. Always there but for the drop.
    runtime: Option<Runtime>,
}

impl Drop for Influx {
    /// The last owner may be an async task, where a runtime must not be waited for.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Why lines were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WriteFault {
    /// Sending the same again later can help: it is away, slow, overloaded, or does not know us (yet).
    Later(String),
    /// It will never take at least one of these lines.
    Refused(String),
}

impl Influx {
    /// Makes the client; nothing is sent yet.
    pub fn new(options: InfluxOptions) -> Result<Self> {
        Self::with_limit(options, REQUEST_WITHIN)
    }

    fn with_limit(options: InfluxOptions, request_within: Duration) -> Result<Self> {
        let failed = |detail: String| StoreError::Influx { doing: "be set up", detail };
        if reqwest::Url::parse(&options.url).is_err() {
            // The client library panics on these.
            return Err(failed(format!("`{}` is no URL", options.url)));
        }
        let http = reqwest::Client::builder().timeout(request_within).connect_timeout(CONNECT_WITHIN);
        let client = ClientBuilder::with_builder(http, &options.url, &options.org, &options.token)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        Ok(Self { client, options, runtime: Some(runtime) })
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("it is there until the drop").block_on(future)
    }

    pub fn options(&self) -> &InfluxOptions {
        &self.options
    }

    /// Sends lines; what was accepted is stored there.
    pub(crate) fn write(&self, lines: Vec<u8>) -> std::result::Result<(), WriteFault> {
        self.send(lines).map_err(|error| match failure(Outcome::of(&error)) {
            Some(Failure::Refused) => WriteFault::Refused(said(&error)),
            // The client library fails with every status that is none.
            Some(Failure::Passing) | None => WriteFault::Later(said(&error)),
        })
    }

    fn send(&self, lines: Vec<u8>) -> std::result::Result<(), RequestError> {
        let InfluxOptions { org, bucket, .. } = &self.options;
        let precision = TimestampPrecision::Milliseconds;
        self.wait(self.client.write_line_protocol_with_precision(org, bucket, lines, precision))
    }

    /// Runs a query and hands each row over.
    fn rows(&self, flux: String, mut take: impl FnMut(&FluxRecord) -> Result<()>) -> Result<()> {
        let failed = |detail: String| StoreError::Influx { doing: "answer a query", detail };
        let answer = self
            .wait(self.client.query_raw_iter(Some(Query::new(flux))))
            .map_err(|error| failed(said(&error)))?;
        let mut rows = answer.result();
        loop {
            // The library unwraps what it parses; our queries never ask for the nulls that it cannot read, but what
            // a server answers is not ours to promise.
            let next = catch_unwind(AssertUnwindSafe(|| rows.next()))
                .map_err(|_| failed("an answer that cannot be read".to_owned()))?;
            match next.map_err(|error| failed(said(&error)))? {
                Some(row) => take(&row)?,
                None => return Ok(()),
            }
        }
    }
}

/// An error in one line, without the end of a long answer.
fn said(error: &RequestError) -> String {
    const LONGEST: usize = 300;
    let text = match error {
        RequestError::Http { status, text } => {
            // `{"code":"...","message":"..."}`: the message is for people.
            let message = serde_json::from_str::<serde_json::Value>(text)
                .ok()
                .and_then(|body| Some(body.get("message").or(body.get("error"))?.as_str()?.to_owned()));
            format!("{status}: {}", message.unwrap_or_else(|| text.clone()))
        }
        RequestError::ReqwestProcessing { source } => {
            // Its own text stops at "error sending request"; the cause says what is wrong.
            let mut text = source.to_string();
            let mut cause = std::error::Error::source(source);
            while let Some(inner) = cause {
                text.push_str(&format!(": {inner}"));
                cause = inner.source();
            }
            text
        }
        other => other.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}
