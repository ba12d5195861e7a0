//! The writer as a specification: what comes in, what is stored, raised and told; the test moves the clock.

mod bucket;
mod commands;
mod culprits;
mod damaged;
mod delivery;
mod device_import;
mod disk;
#[path = "../../../store/src/tests/http.rs"]
#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "InfluxDB is a server beside the writer"
)]
mod http;
mod in_force;
mod limits;
mod look;
mod mqtt;
mod say;
mod site;
mod stale;
mod time;
mod uplink;

mod pipeline;
mod redelivery;
mod reports;
mod sensors;
mod silence;
mod upkeep;
