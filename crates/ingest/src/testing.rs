//! What the tests of this crate begin with.

use std::sync::Arc;

use sanimon_codec::Formats;
use sanimon_domain::{Clock, SiteCalendar, TimestampMs};
use sanimon_store::{Shared, Store};

use crate::decode::Decoder;
use crate::queue::Queue;

/// A clock that stands.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> TimestampMs {
        TimestampMs(0)
    }
}

/// A queue without a driver, its store, and the folder of that.
pub(crate) fn queue() -> (Queue, Shared, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let shared = Store::open(folder.path(), None).expect("a store").shared;
    let decoder = Decoder::new(Formats::new(Vec::new(), SiteCalendar::utc()), Vec::new(), &shared);
    (Queue::new(Arc::new(Stopped), decoder), shared, folder)
}
