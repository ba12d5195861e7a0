//! Live events (server-sent): what was committed, as it is committed.
//!
//! Event ids are `run-number`. A client that comes back with `Last-Event-ID` gets what it missed; one of another run
//! of the process, or that was away too long, gets `reset` and loads everything anew. What gathers while a client is
//! written to is sent as one event: a slow client gets fewer and larger events, never a growing queue.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::Stream;
use sanimon_domain::DeviceNo;
use sanimon_store::{Event, FeedReading};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use utoipa::{IntoParams, ToSchema};

use crate::access::{User, guard};
use crate::devices::trust::Faults;
use crate::error::Problem;
use crate::state::ApiState;
use crate::wire::{AlertBody, DeviceBody};

/// When nothing happens, the time is told this often: a page that hears nothing knows that it is cut off, for a network that is
/// gone ends no connection.
const BEAT_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// Commits joined into one event at most.
const JOINED_MAX: usize = 256;
/// Devices told of in one event. After more (a table was imported) a page loads everything anew, page by page.
const DEVICES_PER_EVENT_MAX: usize = 1_000;
const KEEP_ALIVE: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Only `alerts`, only `readings`, or both (if left out), separated by a comma.
    topics: Option<String>,
    /// As `Last-Event-ID`, for pages that connect anew by themselves.
    last_event_id: Option<String>,
}

/// A reading in an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadingBody {
    device: String,
    metric: String,
    /// Unix milliseconds.
    at: i64,
    value: f64,
}

/// The data of a `change` event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Change {
    alerts: Vec<AlertBody>,
    devices: Vec<DeviceBody>,
    readings: Vec<ReadingBody>,
    /// The site's clock, RFC 3339.
    now: String,
}

#[derive(Debug, Clone, Copy)]
struct Topics {
    alerts: bool,
    readings: bool,
}

/// The stream. `hello` first, then `change` for each commit or several at once; `reset` means: load everything anew; `time` tells the time when nothing else does.
#[utoipa::path(get, path = "/api/v1/events", tag = "live", params(EventQuery, ("Last-Event-ID" = Option<String>, Header)), responses(
    (status = 200, description = "text/event-stream of `hello`, `time`, `change` (see Change), `reset`", body = Change, content_type = "text/event-stream"),
    (status = 401, body = Problem),
))]
pub(crate) async fn events(
    State(state): State<ApiState>,
    user: User,
    headers: HeaderMap,
    query: Result<Query<EventQuery>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    let Query(query) = query?;
    let wants =
        |topic: &str| query.topics.as_deref().is_none_or(|topics| topics.split(',').any(|t| t == topic));
    let topics = Topics { alerts: wants("alerts"), readings: wants("readings") };
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    // A browser sends the header only when it reconnects by itself.
    let last = last.or(query.last_event_id.as_deref());
    let follower = Follower::new(&state, user, last, topics);
    let stream = futures_util::stream::unfold(follower, Follower::next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Follower {
    state: ApiState,
    user: User,
    /// When it was last looked whether the user is still who they are.
    access_version: u64,
    stop: watch::Receiver<bool>,
    topics: Topics,
    receiver: broadcast::Receiver<Arc<Event>>,
    waiting: std::collections::VecDeque<SseEvent>,
    seen: u64,
}

impl Follower {
    fn new(state: &ApiState, user: User, last_event_id: Option<&str>, topics: Topics) -> Self {
        let seen = last_event_id.map(|id| {
            // An id of another run is one that was never given: must_reload follows.
            id.split_once('-')
                .filter(|(run, _)| *run == &*state.run_id)
                .and_then(|(_, n)| n.parse().ok())
                .unwrap_or(u64::MAX - 1)
        });
        let subscription = state.shared.feed.subscribe(seen);
        let mut follower = Self {
            access_version: state.shared.access.version(),
            state: state.clone(),
            user,
            stop: state.stop.clone(),
            topics,
            receiver: subscription.receiver,
            waiting: std::collections::VecDeque::new(),
            seen: subscription.last_number,
        };
        let hello = SseEvent::default().event("hello").data(follower.state.now().to_string());
        // A client whose line breaks now comes back with the last id that it was given: it must not skip what follows.
        let hello = match seen {
            None => follower.numbered(hello),
            Some(_) if subscription.must_reload => hello,
            Some(seen) => hello.id(follower.id(seen)),
        };
        follower.waiting.push_back(hello);
        if subscription.must_reload {
            follower.push_reset();
        }
        follower.tell_missed(&subscription.missed);
        follower
    }

    fn numbered(&self, event: SseEvent) -> SseEvent {
        event.id(self.id(self.seen))
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.state.run_id)
    }

    /// Events that were kept, each with the number of its own last one.
    fn tell_missed(&mut self, missed: &[Arc<Event>]) {
        let newest = self.seen;
        for chunk in missed.chunks(JOINED_MAX) {
            self.seen = chunk.last().map_or(newest, |event| event.number);
            self.waiting.extend(self.change(chunk));
        }
        self.seen = newest;
    }

    fn reset(&self) -> SseEvent {
        self.numbered(SseEvent::default().event("reset").data("load everything anew"))
    }

    fn push_reset(&mut self) {
        self.waiting.push_back(self.reset());
    }

    async fn next(mut self) -> Option<(Result<SseEvent, Infallible>, Self)> {
        loop {
            // Before anything is told.
            if *self.stop.borrow() || !self.is_still_known().await {
                return None;
            }
            if let Some(event) = self.waiting.pop_front() {
                return Some((Ok(event), self));
            }
            let first = tokio::select! {
                first = self.receiver.recv() => first,
                () = tokio::time::sleep(BEAT_EVERY) => {
                    let beat = SseEvent::default().event("time").data(self.state.now().to_string());
                    return Some((Ok(self.numbered(beat)), self));
                }
                _ = self.stop.changed() => return None,
            };
            match first {
                Ok(first) => {
                    let joined = self.join(first);
                    self.waiting.extend(self.change(&joined));
                }
                Err(RecvError::Lagged(_)) => self.catch_up(),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// A stream ends with the session or the token that began it, and with the rights that it was begun with.
    async fn is_still_known(&mut self) -> bool {
        let version = self.state.shared.access.version();
        if version == self.access_version {
            return true;
        }
        self.access_version = version;
        guard::is_still(&self.state, &self.user).await
    }

    /// Takes what has gathered beside the first one.
    fn join(&mut self, first: Arc<Event>) -> Vec<Arc<Event>> {
        let mut joined = vec![first];
        while joined.len() < JOINED_MAX {
            match self.receiver.try_recv() {
                Ok(event) => joined.push(event),
                // Lagging is met at the next receive.
                Err(TryRecvError::Empty | TryRecvError::Closed | TryRecvError::Lagged(_)) => break,
            }
        }
        self.seen = joined.last().map_or(self.seen, |event| event.number);
        joined
    }

    /// Too slow for the channel: from the kept events, or by a reset.
    fn catch_up(&mut self) {
        let subscription = self.state.shared.feed.subscribe(Some(self.seen));
        self.receiver = subscription.receiver;
        self.seen = subscription.last_number;
        if subscription.must_reload {
            return self.push_reset();
        }
        self.tell_missed(&subscription.missed);
    }

    /// Several commits as one event; `None` when nothing in them is wanted.
    fn change(&self, events: &[Arc<Event>]) -> Option<SseEvent> {
        let directory = self.state.shared.directory.read();
        let devices: usize = events.iter().map(|event| event.committed.devices.len()).sum();
        if devices > DEVICES_PER_EVENT_MAX || events.iter().any(|event| event.committed.is_incomplete) {
            return Some(self.reset());
        }
        // Of an alert or device that changed twice, the last state counts.
        let mut alerts = BTreeMap::new();
        let mut devices: BTreeMap<DeviceNo, DeviceBody> = BTreeMap::new();
        let mut readings = Vec::new();
        for event in events {
            if self.topics.alerts {
                alerts.extend(
                    event
                        .committed
                        .alerts
                        .iter()
                        .filter(|alert| self.user.sees(alert.zone.as_ref()))
                        .map(|alert| (alert.id, AlertBody::new(alert, &directory))),
                );
            }
            if self.topics.readings {
                let name = |r: &FeedReading| {
                    let device = directory.device(r.device).filter(|device| self.user.sees_device(device))?;
                    let device = device.id.to_string();
                    let metric = directory.metric_name(r.metric)?.to_owned();
                    Some(ReadingBody { device, metric, at: r.at.0, value: r.value })
                };
                readings.extend(event.committed.readings.iter().filter_map(name));
            }
            let hot = self.state.shared.hot.read();
            for no in &event.committed.devices {
                if let Some(device) = directory.device(*no).filter(|device| self.user.sees_device(device)) {
                    // Without what it said of being broken, which only the file knows: who asks for it is told.
                    let health = Faults::default().health(device, &directory, &hot, self.state.now());
                    devices.insert(*no, DeviceBody::new(device, &directory, &hot, None, health.into()));
                }
            }
        }
        if alerts.is_empty() && devices.is_empty() && readings.is_empty() {
            return None;
        }
        let change = Change {
            alerts: alerts.into_values().collect(),
            devices: devices.into_values().collect(),
            readings,
            now: self.state.now().to_string(),
        };
        let data = serde_json::to_string(&change).expect("texts and finite numbers become JSON");
        Some(self.numbered(SseEvent::default().event("change").data(data)))
    }
}
