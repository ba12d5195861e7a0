//! Deliveries as a site has them: the outbox of a real store, receivers on loopback, and a clock that runs as fast as
//! nothing happens.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod broker;
mod chat;
mod http_receiver;
mod life;
mod mail;
mod mail_receiver;
mod recording;
mod state;
mod town;
mod urgency;
