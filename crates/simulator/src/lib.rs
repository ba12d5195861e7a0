//! A township whose truth is known, and load generation.
//!
//! [`Town`] is the place: zones, devices, gateways, made from a seed. [`Simulation`] lets it live: an endless iterator
//! of [`Uplink`]s in the order of time, with what really happened kept beside it as [`Truth`]. The same seed gives the
//! same town, the same uplinks and the same truth. [`publish`] sends uplinks over MQTT; [`load`] is a bare-bones
//! publisher for measuring.
//!
//! It encodes with its own code and does *not* know `codec`, so that it stays a judge of it.

#![forbid(unsafe_code)]

mod bin;
mod drain;
mod encode;
pub mod history;
pub mod hostile;
pub mod load;
pub mod publish;
mod simulation;
mod toilet;
mod town;
mod truth;
mod weather;

pub use simulation::{Simulation, Uplink};
pub use town::{Town, TownDevice, TownZone};
pub use truth::{Truth, TruthKind};

#[cfg(test)]
mod tests;
