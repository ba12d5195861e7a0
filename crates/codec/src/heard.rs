//! What decoding gives: who spoke, and what was said.

use sanimon_domain::{DeviceId, DeviceKind, Fault, FaultCode, HardwareId, TimestampMs};

use crate::device::Frame;
use crate::sample::{RawReading, Samples};

/// A decoded message: what was understood, by device, and what was not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decoded {
    /// A gateway's message is of many devices.
    pub heard: Vec<Heard>,
    pub faults: Vec<Fault>,
}

/// What a message says of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub speaker: Speaker,
    pub body: Body,
    pub events: Vec<DeviceEvent>,
    /// A device's own binary frame, which its model's codec understands.
    pub frame: Option<Box<RawFrame>>,
}

/// Who speaks. The registry has the last word on everything but the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// The device's id, or a name that its hardware has (a DevEUI, an IMEI).
    pub device: DeviceId,
    pub district: Box<str>,
    /// Envelopes of network servers and platforms do not tell it.
    pub kind: Option<DeviceKind>,
    /// What a network server calls it.
    pub name: Option<Box<str>>,
    /// What the message or its format's binding says of the model.
    pub model: Option<Box<str>>,
}

/// What a message said.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Telemetry(Vec<RawReading>),
    Status { online: bool },
    Nothing,
}

/// Something else that happened to a device: a join, "no target", an error of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEvent {
    /// A metric's name, or `device`.
    pub about: Box<str>,
    /// A word: `joined`, `warming_up`, `powered_on`.
    pub what: Box<str>,
    pub detail: Option<Box<str>>,
}

/// How much of an event's detail is kept.
const DETAIL_CHARS_MAX: usize = 200;

/// A frame before its model's codec has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    pub port: u8,
    pub bytes: Vec<u8>,
    /// The network's time, where it gave one.
    pub at: Option<TimestampMs>,
    /// A LoRaWAN uplink's identity besides device and payload.
    pub uplink: Option<Uplink>,
}

/// The session (its key's id, or the address that the device has in it) and the frame counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    pub session: Box<str>,
    pub counter: u32,
}

impl DeviceEvent {
    pub fn new(about: &str, what: &str, detail: Option<&str>) -> Self {
        let detail = detail.map(|text| text.chars().take(DETAIL_CHARS_MAX).collect::<String>().into());
        Self { about: about.into(), what: what.into(), detail }
    }
}

impl Speaker {
    /// A device known by its hardware's name.
    pub(crate) fn hardware(id: &str) -> Result<Self, Fault> {
        let id =
            HardwareId::new(id).map_err(|error| Fault::new(FaultCode::BadDeviceId, error.to_string()))?;
        Ok(Self { device: id.as_device().clone(), district: "".into(), kind: None, name: None, model: None })
    }

    /// The same for names that people gave on a platform: what no id may have becomes `-`.
    pub(crate) fn named(name: &str) -> Result<Self, Fault> {
        let sound = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':') { c } else { '-' };
        let mut speaker = Self::hardware(&name.trim().chars().map(sound).collect::<String>())?;
        speaker.name = Some(name.trim().into());
        Ok(speaker)
    }
}

impl Decoded {
    pub(crate) fn fault(code: FaultCode, message: impl Into<String>) -> Self {
        Self { heard: Vec::new(), faults: vec![Fault::new(code, message)] }
    }
}

impl Heard {
    pub(crate) fn new(speaker: Speaker) -> Self {
        Self { speaker, body: Body::Nothing, events: Vec::new(), frame: None }
    }

    pub fn readings(&self) -> &[RawReading] {
        match &self.body {
            Body::Telemetry(readings) => readings,
            Body::Status { .. } | Body::Nothing => &[],
        }
    }

    /// Adds what the frame said; its readings without a time of their own get the network's. The raw frame stays, for
    /// its identity.
    pub fn add_frame(&mut self, frame: &Frame, faults: &mut Vec<Fault>) {
        let at = self.frame.as_ref().and_then(|raw| raw.at);
        let mut samples = Samples::default();
        for reading in &frame.readings {
            samples.value(reading.name, reading.value, reading.at.or(at));
        }
        let told = frame.events.iter();
        self.events
            .extend(told.map(|event| DeviceEvent::new(event.about, event.what, event.detail.as_deref())));
        self.add_samples(samples, faults);
    }

    pub(crate) fn add_samples(&mut self, samples: Samples, faults: &mut Vec<Fault>) {
        faults.extend(samples.faults);
        self.events.extend(samples.events);
        match &mut self.body {
            Body::Telemetry(readings) => readings.extend(samples.readings),
            Body::Nothing if !samples.readings.is_empty() => self.body = Body::Telemetry(samples.readings),
            Body::Status { .. } | Body::Nothing => {}
        }
    }
}
