//! LoRaWAN uplinks in ChirpStack's envelope, as the decoder beside the sources understands them.

use bytes::Bytes;
use sanimon_codec::{Binding, Decoded, Format, Formats, Incoming, device};
use sanimon_domain::{DeviceKind, Fault, SiteCalendar, TimestampMs};
use sanimon_writer::Message;

use crate::site::Site;

pub(crate) const EUI: &str = "24e124136b502217";
pub(crate) const UP: &str = "application/a/device/24E124136B502217/event/up";

/// An uplink of a distance sensor (EM310-UDL: `03 82`, millimetres).
pub(crate) fn uplink(at: TimestampMs, counter: u32, hex: &str) -> String {
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect();
    let data = base64(&bytes);
    format!(
        r#"{{"time":"{at}","deviceInfo":{{"devEui":"24E124136B502217","deviceName":"Bin 7"}},"devAddr":"01","fCnt":{counter},"fPort":85,"data":"{data}","rxInfo":[{{"rssi":-90,"snr":7}},{{"rssi":-60,"snr":9}}]}}"#
    )
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |chunk: &[u8]| {
        let whole = chunk.iter().chain(&[0; 3]).take(3).fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let sixes = (0..4).map(move |n| DIGITS[(whole >> (18 - 6 * n) & 63) as usize] as char);
        sixes.take(chunk.len() + 1).chain("==".chars()).take(4).collect::<String>()
    };
    bytes.chunks(3).map(digits).collect()
}

pub(crate) fn distance(mm: u16) -> String {
    let [low, high] = mm.to_le_bytes();
    format!("0382{low:02x}{high:02x}")
}

impl Site {
    /// Hears an uplink as a source does: by its envelope, then by the model that the registry knows.
    pub(crate) fn hear_uplink(&mut self, topic: &str, payload: &str, at: TimestampMs) {
        let kind = Some(DeviceKind::Bin);
        let binding = Binding { model: Some("em310-udl".into()), kind, ..Binding::usual(Format::Chirpstack) };
        let incoming = Incoming { topic, payload: payload.as_bytes(), received: at, client_id: None };
        let mut decoded = Formats::new(vec![binding], SiteCalendar::utc()).decode(incoming);
        for index in 0..decoded.reports.len() {
            self.decode_frame(&mut decoded, index);
        }
        let native = Message::native("test".into(), topic.to_owned(), Bytes::from(payload.to_owned()), at);
        self.hear(&[Message { decoded, ..native }]);
    }

    fn decode_frame(&self, decoded: &mut Decoded, index: usize) {
        let report = &decoded.reports[index];
        let Some(raw) = report.frame.clone() else { return };
        let entered = {
            let directory = self.shared().directory.read();
            let known = directory.find(&report.sender.device).and_then(|no| directory.device(no));
            known.and_then(|device| device.model.clone())
        };
        let model = entered.unwrap_or_else(|| report.sender.model.as_deref().expect("a model").to_owned());
        match device::decode_frame(&model, raw.port, &raw.bytes) {
            Ok(frame) => decoded.add_frame(index, &frame),
            Err(fault) => decoded.add_fault(Fault::new(fault.code, format!("{model}: {}", fault.message))),
        }
    }
}
