//! MQTT by its rows: each test stands for the rows of the table in BROKER.md whose numbers begin its name. Over a real socket,
//! against the real binary, with packets written by hand.

mod bytes;
mod clients;
mod connect;
mod credentials;
mod flow;
mod form;
mod keepalive;
mod leaving;
mod limits;
mod parse;
mod properties;
mod publish;
mod qos;
mod raw;
mod restart;
mod retained;
mod rights;
mod session;
mod shared;
mod subscribe;
mod takeover;
mod topics;
mod websocket;
mod wills;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::harness::Site;

static SHARED: Mutex<Weak<Site>> = Mutex::new(Weak::new());

/// One site for all tests that run at the same time: they have client ids and topics of their own. The last one to end ends it.
fn site() -> Arc<Site> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(site) = shared.upgrade() {
        return site;
    }
    let site = Arc::new(Site::started(""));
    *shared = Arc::downgrade(&site);
    site
}
