//! Devices' own binary frames.
//!
//! [`decode_frame`] takes a model, a port and bytes. What a frame measures becomes [`FrameReading`]s: under our metric
//! where the quantity has one, in its unit; else under the vendor's own name with its unit. Everything else that a frame
//! says (joins, serial numbers, "no target", "warming up") becomes a [`FrameEvent`]: never a reading of zero.
//!
//! One file a family; a layout that is a table is written as one ([`layout`]).

mod air;
mod bins;
mod browan;
mod decentlab;
mod dingtek;
mod dragino;
mod elsys;
mod layout;
mod milesight;
mod netvox;
mod on_port;
mod water;

use std::collections::HashMap;
use std::sync::LazyLock;

use sanimon_domain::{Fault, FaultCode, TimestampMs};

use crate::budget::FRAME_BYTES_MAX;
use crate::topic::shown;

/// A measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameReading {
    /// One of [`sanimon_domain::metric::METRICS`], or the vendor's own name.
    pub name: &'static str,
    pub value: f64,
    /// When it was measured, where the frame says so: a record of a device's history.
    pub at: Option<TimestampMs>,
}

/// Something else that a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameEvent {
    /// What it is about: a metric, or `device`.
    pub about: &'static str,
    /// What happened, in words without spaces: `no_target`, `warming_up`, `powered_on`.
    pub what: &'static str,
    /// More of it, where there is more: a serial number, a version.
    pub detail: Option<String>,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frame {
    pub readings: Vec<FrameReading>,
    pub events: Vec<FrameEvent>,
}

/// A model that can be decoded.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    pub vendor: &'static str,
    /// In small letters, as the vendors' public codecs are named.
    pub name: &'static str,
    layout: &'static dyn Layout,
}

/// How a model's frames are built.
trait Layout: Sync + std::fmt::Debug {
    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault>;

    /// The names of its readings, each once.
    fn measures(&self) -> Vec<&'static str>;

    /// The range in bar that its pressure is read with, if the model is sold with several.
    fn probe_bar(&self) -> Option<[f64; 2]> {
        None
    }
}

/// Each name once, in the order of its first appearance.
fn once(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

/// Bytes as people write them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// A frame that is not of the model, or not on this port.
fn bad_frame(message: impl Into<String>) -> Fault {
    Fault::new(FaultCode::BadFrame, message)
}

const fn model_of(vendor: &'static str, name: &'static str, layout: &'static dyn Layout) -> Model {
    Model { vendor, name, layout }
}

/// Every model, by vendor and name.
pub fn models() -> impl Iterator<Item = &'static Model> {
    let families: [&'static [Model]; 10] = [
        &air::MODELS,
        &bins::MODELS,
        &browan::MODELS,
        &decentlab::MODELS,
        &dingtek::MODELS,
        &dragino::MODELS,
        &elsys::MODELS,
        &milesight::MODELS,
        netvox::MODELS,
        &water::MODELS,
    ];
    families.into_iter().flatten()
}

/// By name: hundreds of models, and each frame asks.
static BY_NAME: LazyLock<HashMap<&'static str, &'static Model>> =
    LazyLock::new(|| models().map(|model| (model.name, model)).collect());

/// The model of this name, whatever its letters' case.
pub fn model(name: &str) -> Option<&'static Model> {
    if let Some(model) = BY_NAME.get(name) {
        return Some(model);
    }
    BY_NAME.get(name.to_ascii_lowercase().as_str()).copied()
}

impl Model {
    /// What it can measure, each once, in the order of its layout.
    pub fn measures(&self) -> Vec<&'static str> {
        self.layout.measures()
    }

    /// The range in bar that its pressure is read with, if the model is sold with several.
    pub fn probe_bar(&self) -> Option<[f64; 2]> {
        self.layout.probe_bar()
    }
}

impl Frame {
    /// A pressure that was read with the model's range, by the range of this very probe.
    pub fn rescale_probe(&mut self, nominal_bar: [f64; 2], own_bar: [f64; 2]) {
        let ([low, high], [own_low, own_high]) = (nominal_bar, own_bar);
        for reading in self.readings.iter_mut().filter(|reading| reading.name == "pressure_bar") {
            reading.value = own_low + (reading.value - low) / (high - low) * (own_high - own_low);
        }
    }
}

/// Decodes a frame of a model. A frame that is cut, or of something else, is a fault as a whole: the part that could be
/// read may be as wrong as the rest.
pub fn decode_frame(model_name: &str, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
    let Some(model) = model(model_name) else {
        return Err(Fault::new(
            FaultCode::UnknownModel,
            format!("the model `{}` is not known: `sanimon decode --list` shows all", shown(model_name)),
        ));
    };
    if bytes.is_empty() {
        return Err(Fault::new(FaultCode::Empty, "the frame is empty"));
    }
    check_length(bytes)?;
    model.layout.decode(port, bytes)
}

/// What a frame costs is bounded by its length.
pub(crate) fn check_length(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() <= FRAME_BYTES_MAX {
        return Ok(());
    }
    Err(bad_frame(format!(
        "a frame of {} bytes is longer than any device's ({FRAME_BYTES_MAX})",
        bytes.len()
    )))
}

#[cfg(test)]
mod tests;
