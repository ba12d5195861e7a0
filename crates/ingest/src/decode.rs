//! From a message to what was said: the format of its topic, then the codec of the device's model.

use std::sync::Arc;

use sanimon_codec::script::Script;
use sanimon_codec::{Decoded, DeviceReport, Formats, Incoming, RawFrame, device};
use sanimon_domain::{DeviceKind, Fault, FaultCode, TimestampMs};
use sanimon_store::{Device, Directory, Shared};

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

/// How far a message is decoded.
#[derive(Debug)]
pub(crate) enum Begun {
    Done(Decoded),
    Scripted(Box<Decoded>, Vec<Scripted>),
}

/// A frame that a script is to read.
#[derive(Debug)]
pub(crate) struct Scripted {
    /// The report that it is of.
    index: usize,
    script: usize,
    frame: RawFrame,
}

impl Decoder {
    pub fn new(formats: Formats, scripts: Vec<Script>, shared: &Shared) -> Self {
        let scripts = Scripts::new(scripts, shared.health.parts.part("codecs"));
        Self(Arc::new(Inner { formats, scripts, directory: shared.directory.clone() }))
    }

    pub fn formats(&self) -> &Formats {
        &self.0.formats
    }

    /// Decodes a message, binary frames by the models that the registry knows; what scripts have to do is left to
    /// [`Decoder::finish`].
    pub(crate) fn begin(&self, message: Incoming<'_>) -> Begun {
        let mut decoded = self.0.formats.decode(message);
        let mut scripted = Vec::new();
        for index in 0..decoded.reports.len() {
            if let Some(frame) = decoded.reports[index].frame.clone() {
                self.frame(&mut decoded, (index, *frame), &mut scripted);
            }
        }
        if scripted.is_empty() { Begun::Done(decoded) } else { Begun::Scripted(Box::new(decoded), scripted) }
    }

    /// Waits for scripts.
    pub(crate) async fn finish(&self, begun: Begun, received: TimestampMs) -> Decoded {
        let (mut decoded, scripted) = match begun {
            Begun::Done(decoded) => return decoded,
            Begun::Scripted(decoded, scripted) => (*decoded, scripted),
        };
        for Scripted { index, script, frame } in scripted {
            let times = self.0.formats.times(received);
            match self.0.scripts.decode(script, frame, times).await {
                Ok(samples) => decoded.add_samples(index, samples),
                Err(fault) => decoded.add_fault(fault),
            }
        }
        decoded
    }

    fn frame(&self, decoded: &mut Decoded, (index, frame): (usize, RawFrame), scripted: &mut Vec<Scripted>) {
        let report = &mut decoded.reports[index];
        let known = self.known(report);
        let model = known.as_ref().and_then(|device| device.model.as_deref());
        let Some(model) = model.or(report.sender.model.as_deref()) else {
            let message = format!(
                "`{}` sends frames, and its model is not known: accept the device with its model",
                report.sender.device
            );
            return decoded.add_fault(Fault::new(FaultCode::UnknownModel, message));
        };
        if let Some(script) = self.0.scripts.find(model) {
            report.sender.kind = report.sender.kind.or(self.0.scripts.script(script).kind);
            scripted.push(Scripted { index, script, frame });
            return;
        }
        let model = model.to_owned();
        report.sender.kind = report.sender.kind.or_else(|| likely_kind(&model));
        native(decoded, (index, &frame), &model, known.as_deref());
    }

    fn known(&self, report: &DeviceReport) -> Option<Arc<Device>> {
        let directory = self.0.directory.read();
        directory.device(directory.find(&report.sender.device)?).cloned()
    }
}

fn native(decoded: &mut Decoded, (index, raw): (usize, &RawFrame), model: &str, known: Option<&Device>) {
    let port = raw.port;
    match device::decode_frame(model, port, &raw.bytes) {
        Ok(mut frame) => {
            let range = known.and_then(|device| device.calibration.probe_bar);
            if let (Some(own), Some(nominal)) =
                (range, device::model(model).and_then(device::Model::probe_bar))
            {
                frame.rescale_probe(nominal, own);
            }
            decoded.add_frame(index, &frame);
        }
        Err(fault) => {
            let message = format!("{model}, port {port}: {}", fault.message);
            decoded.add_fault(Fault::new(fault.code, message));
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
