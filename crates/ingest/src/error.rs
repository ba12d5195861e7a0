//! What can go wrong when sources start.

use std::net::SocketAddr;

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error(
        "cannot listen for MQTT on {address}: {detail}: is another broker using this port? choose another with --mqtt or [mqtt] in the configuration"
    )]
    Listen { address: SocketAddr, detail: String },
    #[error("cannot start the {what} thread: {source}")]
    Thread { what: &'static str, source: std::io::Error },
    #[error("the broker address `{url}` is not understood: write mqtt://HOST:PORT")]
    BrokerUrl { url: String },
    #[error("the stored MQTT sessions cannot be read: {0}: run `sanimon check`")]
    Sessions(sanimon_store::StoreError),
    #[error("the data cannot be put in order: {0}")]
    Writer(sanimon_writer::Failure),
}
