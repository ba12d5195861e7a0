//! One fixed layout on one port.

use sanimon_domain::Fault;

use super::layout::{Cursor, Field};
use super::{Frame, Layout, bad_frame, once};

#[derive(Debug)]
pub(super) struct OnPort {
    pub(super) port: u8,
    pub(super) is_big_endian: bool,
    pub(super) fields: &'static [Field],
}

impl Layout for OnPort {
    fn measures(&self) -> Vec<&'static str> {
        once(self.fields.iter().filter_map(Field::name))
    }

    fn decode(&self, port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        if port != self.port {
            return Err(bad_frame(format!("this model reports on port {}, not {port}", self.port)));
        }
        let mut cursor = if self.is_big_endian { Cursor::big_endian(bytes) } else { Cursor::new(bytes) };
        let mut frame = Frame::default();
        cursor.fields(self.fields, None, &mut frame)?;
        if cursor.is_empty() { Ok(frame) } else { Err(bad_frame("the frame is longer than this model's")) }
    }
}
