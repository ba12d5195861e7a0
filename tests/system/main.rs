//! Whole-system tests: the real binary, a real Mosquitto, a real browser.
//!
//! Each test starts its own `sanimon serve` in a folder of its own on free ports, and ends only what it started.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod alerts;
mod attacks;
mod browser;
mod decode;
mod devices;
mod faults;
mod grafana;
mod harness;
mod house;
mod influx;
mod influxd;
mod live;
mod messages;
mod moving;
mod mqtt;
mod proof;
mod rules;
mod sealing;
mod sensor;
mod sensors;
mod service;
mod setup;
mod sources;
mod supervision;
mod tls;
