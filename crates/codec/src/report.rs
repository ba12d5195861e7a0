//! What a message says of one device: who spoke, and what was said.

use sanimon_domain::{DeviceId, DeviceKind, Fault, FaultCode, HardwareId};

use crate::budget;
use crate::sample::{RawReading, SampleTime};

/// What a message says of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceReport {
    pub sender: Sender,
    pub body: Body,
    pub events: Vec<DeviceEvent>,
    /// A device's own binary frame, which its model's codec understands.
    pub frame: Option<Box<RawFrame>>,
}

/// Who speaks. The registry has the last word on everything but the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
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
    /// The network's time.
    pub at: SampleTime,
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

impl Sender {
    /// A device known by its hardware's name.
    pub(crate) fn hardware(id: &str) -> Result<Self, Fault> {
        let id =
            HardwareId::new(id).map_err(|error| Fault::new(FaultCode::BadDeviceId, error.to_string()))?;
        Ok(Self { device: id.as_device().clone(), district: "".into(), kind: None, name: None, model: None })
    }

    /// The same for names that people gave on a platform: what no id may have becomes `-`.
    pub(crate) fn named(name: &str) -> Result<Self, Fault> {
        let sound = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':') { c } else { '-' };
        let mut sender = Self::hardware(&name.trim().chars().map(sound).collect::<String>())?;
        sender.set_name(Some(name.trim()));
        Ok(sender)
    }

    /// What people call it, as far as a list shows it.
    pub(crate) fn set_name(&mut self, name: Option<&str>) {
        self.name = name.map(|name| budget::cut(name, budget::TITLE_BYTES_MAX).into());
    }
}

impl DeviceReport {
    pub(crate) fn new(sender: Sender) -> Self {
        Self { sender, body: Body::Nothing, events: Vec::new(), frame: None }
    }

    pub fn readings(&self) -> &[RawReading] {
        match &self.body {
            Body::Telemetry(readings) => readings,
            Body::Status { .. } | Body::Nothing => &[],
        }
    }
}
