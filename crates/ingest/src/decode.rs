//! From a message to what was said: the format of its topic, then the codec of the device's model.

use std::sync::Arc;

use sanimon_codec::script::Script;
use sanimon_codec::{Decoded, Formats, Heard, Incoming, device};
use sanimon_domain::{DeviceKind, Fault, FaultCode};
use sanimon_store::{Device, Directory};

use crate::scripts::Scripts;

/// How a site's messages are understood; cheap to clone.
#[derive(Debug, Clone)]
pub struct Decoder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    formats: Formats,
    scripts: Scripts,
    directory: Arc<Directory>,
}

impl Decoder {
    pub fn new(formats: Formats, scripts: Vec<Script>, directory: Arc<Directory>) -> Self {
        Self(Arc::new(Inner { formats, scripts: Scripts::new(scripts), directory }))
    }

    pub fn formats(&self) -> &Formats {
        &self.0.formats
    }

    /// Decodes a message, binary frames by the models that the registry knows.
    pub async fn decode(&self, message: Incoming<'_>) -> Decoded {
        let mut decoded = self.0.formats.decode(message);
        for heard in &mut decoded.heard {
            if heard.frame.is_some() {
                self.frame(heard, message, &mut decoded.faults).await;
            }
        }
        decoded
    }

    async fn frame(&self, heard: &mut Heard, message: Incoming<'_>, faults: &mut Vec<Fault>) {
        let known = self.known(heard);
        let model = known.as_ref().and_then(|device| device.model.as_deref());
        let Some(model) = model.or(heard.speaker.model.as_deref()) else {
            faults.push(Fault::new(
                FaultCode::UnknownModel,
                format!(
                    "`{}` sends frames, and its model is not known: accept the device with its model",
                    heard.speaker.device
                ),
            ));
            return;
        };
        if let Some(script) = self.0.scripts.find(model) {
            heard.speaker.kind = heard.speaker.kind.or(self.0.scripts.script(script).kind);
            *heard = self.0.scripts.decode(script, heard.clone(), message.received, faults).await;
            return;
        }
        let model = model.to_owned();
        heard.speaker.kind = heard.speaker.kind.or_else(|| likely_kind(&model));
        native(heard, &model, known.as_deref(), faults);
    }

    fn known(&self, heard: &Heard) -> Option<Arc<Device>> {
        let directory = self.0.directory.read();
        directory.device(directory.find(&heard.speaker.device)?).cloned()
    }
}

fn native(heard: &mut Heard, model: &str, known: Option<&Device>, faults: &mut Vec<Fault>) {
    let Some(frame) = &heard.frame else { return };
    let port = frame.port;
    match device::decode_frame(model, port, &frame.bytes) {
        Ok(mut frame) => {
            let range = known.and_then(|device| device.calibration.probe_bar);
            if let (Some(own), Some(nominal)) =
                (range, device::model(model).and_then(device::Model::probe_bar))
            {
                frame.rescale_probe(nominal, own);
            }
            heard.add_frame(&frame, faults);
        }
        Err(fault) => {
            let message = format!("{model}, port {port}: {}", fault.message);
            faults.push(Fault::new(fault.code, message));
        }
    }
}

/// What a device of this model most likely watches; only for the form of one that is not known yet.
fn likely_kind(model: &str) -> Option<DeviceKind> {
    let measures = device::model(model)?.measures();
    let any = |names: &[&str]| measures.iter().any(|name| names.contains(name));
    Some(match () {
        () if any(&["nh3_ppm", "paper_pct", "soap_pct", "occupied", "visitors_in", "visitors_total"]) => {
            DeviceKind::Toilet
        }
        () if any(&["total_in", "tvoc_ppb", "call_button"]) => DeviceKind::Toilet,
        () if any(&["level_mm", "pressure_bar", "leak", "turbidity_ntu", "ph", "moved"]) => DeviceKind::Drain,
        () if any(&["distance_mm", "fill_pct"]) => DeviceKind::Bin,
        () => DeviceKind::Toilet,
    })
}
