//! InfluxDB in these tests: a server that answers as it is told.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sanimon_domain::TimestampMs;
use sanimon_store::{DeliveryJob, InfluxOptions};
use sanimon_writer::{Input, Job, JobId, JobOutcome, Work};

use crate::http::serve;
use crate::say::START;
use crate::site::Site;

/// What the server does with a write. `None` ends the connection without a word.
pub(crate) type Answer = fn(nth: usize, body: &str) -> Option<(u16, &'static str)>;

/// Keeps the lines that it accepted, in order.
pub(crate) struct Bucket {
    url: String,
    accepted: Arc<Mutex<Vec<String>>>,
}

impl Bucket {
    pub(crate) fn answering(answer: Answer) -> Self {
        let accepted: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, asked) = (accepted.clone(), AtomicUsize::new(0));
        let url = serve(move |request| {
            if !request.path.starts_with("/api/v2/write") {
                return Some((401, r#"{"message":"unauthorized access"}"#.to_owned()));
            }
            let (status, text) = answer(asked.fetch_add(1, Ordering::Relaxed), &request.body)?;
            if status == 204 {
                kept.lock().expect("no panic").extend(request.body.lines().map(str::to_owned));
            }
            Some((status, text.to_owned()))
        });
        Self { url, accepted }
    }

    pub(crate) fn accepting() -> Self {
        Self::answering(|_, _| Some((204, "")))
    }

    pub(crate) fn accepted(&self) -> Vec<String> {
        self.accepted.lock().expect("no panic").clone()
    }

    /// The devices of which it has anything.
    pub(crate) fn devices(&self) -> BTreeSet<String> {
        let device = |line: String| Some(line.split_once("device=")?.1.split([',', ' ']).next()?.to_owned());
        self.accepted().into_iter().filter_map(device).collect()
    }

    fn options(&self) -> InfluxOptions {
        InfluxOptions {
            url: self.url.clone(),
            org: "town".to_owned(),
            bucket: "b".to_owned(),
            token: "secret-token".to_owned(),
            retention_days: None,
        }
    }
}

impl Site {
    pub(crate) fn with_bucket(bucket: &Bucket) -> Self {
        let mut site = Self::new();
        site.delivers_to(bucket, START);
        site
    }

    /// Restarts with this InfluxDB behind it.
    pub(crate) fn delivers_to(&mut self, bucket: &Bucket, now: TimestampMs) {
        self.influx = Some(bucket.options());
        self.restarts(now);
    }

    /// The delivery that has begun, or else one of what waits; `None`: nothing waits.
    pub(crate) fn delivery(&mut self, now: TimestampMs) -> Option<(JobId, DeliveryJob)> {
        let begun = self.job.take();
        match begun.or_else(|| self.writer_mut().begin_delivery(now))? {
            Job { id, work: Work::Deliver(job) } => Some((id, job)),
            Job { work: Work::Seal(_), .. } => panic!("a seal is due"),
        }
    }

    /// Delivers until nothing waits; says of each step whether the next one followed at once.
    pub(crate) fn delivers(&mut self, now: TimestampMs) -> Vec<bool> {
        const STEPS_MAX: usize = 20;
        let mut follows_at_once = Vec::new();
        while let Some((id, job)) = self.delivery(now) {
            let step = job.run(|| now).expect("sent").expect("not void");
            self.apply(now, Input::Maintenance(id, JobOutcome::Delivered(step)));
            follows_at_once.push(self.job.is_some());
            assert!(follows_at_once.len() < STEPS_MAX, "the delivery goes round in a circle");
        }
        follows_at_once
    }

    /// Points that are neither in blocks nor delivered.
    pub(crate) fn unsealed_points(&self) -> usize {
        self.shared().hot.read().unsealed_points()
    }
}
