//! Milesight's NB-IoT frame: who speaks, then the same elements as over LoRaWAN.
//!
//! ```text
//! 02, id u16, length u16, flag, frame counter u16, protocol version, firmware 4, hardware 4, serial number 16, IMEI 15,
//! IMSI 15, ICCID 20 (these as ASCII), CSQ, length of the elements u16, elements                            big-endian
//! ```

use sanimon_domain::Fault;

use super::Tlv;
use crate::device::layout::Cursor;
use crate::device::{Frame, FrameEvent, FrameReading, Layout, bad_frame};

const START: u8 = 0x02;

/// The elements' tables of the LoRaWAN model.
#[derive(Debug)]
pub(super) struct NbIot(pub(super) &'static Tlv);

impl Layout for NbIot {
    fn measures(&self) -> Vec<&'static str> {
        let mut names = self.0.measures();
        names.push("csq");
        names
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::big_endian(bytes);
        if cursor.u8()? != START {
            return Err(bad_frame("an NB-IoT frame of Milesight begins with 02"));
        }
        // Id, length, flag, frame counter, protocol version.
        cursor.take(2 + 2 + 1 + 2 + 1)?;
        let mut frame = Frame::default();
        for (what, length) in [
            ("firmware_version", 4),
            ("hardware_version", 4),
            ("serial_number", 16),
            ("imei", 15),
            ("imsi", 15),
            ("iccid", 20),
        ] {
            let text = cursor.take(length)?;
            if !text.iter().all(u8::is_ascii_graphic) {
                return Err(bad_frame(format!("its {what} is no text")));
            }
            let detail = Some(String::from_utf8_lossy(text).into_owned());
            frame.events.push(FrameEvent { about: "device", what, detail });
        }
        let csq = f64::from(cursor.u8()?);
        frame.readings.push(FrameReading { name: "csq", value: csq, at: None });
        let length = usize::from(cursor.u16_be()?);
        let elements = cursor.take(length)?;
        let inner = self.0.decode(port, elements)?;
        frame.readings.extend(inner.readings);
        frame.events.extend(inner.events);
        if cursor.is_empty() { Ok(frame) } else { Err(bad_frame("the frame is longer than it says")) }
    }
}
