//! Readings as line protocol.

use influxdb_line_protocol::LineProtocolBuilder;
use sanimon_domain::{DeviceNo, MetricNo, TimestampMs};

use crate::directory::DirectoryState;
use crate::journal::JournalMessage;
use crate::model::{Device, Point};

/// Lines, each with its end in the text: a batch that can be cut.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) text: Vec<u8>,
    pub(crate) ends: Vec<usize>,
    pub(crate) points: usize,
}

impl Lines {
    /// A line for each observation time of a message; metrics side by side.
    pub(crate) fn message(&mut self, message: &JournalMessage, directory: &DirectoryState) {
        let mut readings = message.readings.clone();
        readings.sort_by_key(|reading| reading.at);
        for together in readings.chunk_by(|a, b| a.at == b.at) {
            let fields = together.iter().map(|reading| (reading.metric, reading.value));
            self.line(message.device, together[0].at, fields, directory);
        }
    }

    /// A line for each point of a series.
    pub(crate) fn points(
        &mut self,
        device: DeviceNo,
        metric: MetricNo,
        points: &[Point],
        directory: &DirectoryState,
    ) {
        for point in points {
            self.line(device, point.at, std::iter::once((metric, point.value)), directory);
        }
    }

    fn line(
        &mut self,
        device: DeviceNo,
        at: TimestampMs,
        fields: impl Iterator<Item = (MetricNo, f64)>,
        directory: &DirectoryState,
    ) {
        let Some(device) = directory.device(device) else { return };
        let fields = fields.filter_map(|(metric, value)| Some((directory.metric_name(metric)?, value)));
        let written = line(&mut self.text, device, fields, at.0);
        self.points += written;
        if written > 0 {
            self.ends.push(self.text.len());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Some of the lines.
    pub(crate) fn part(&self, lines: std::ops::Range<usize>) -> &[u8] {
        let start = if lines.start == 0 { 0 } else { self.ends[lines.start - 1] };
        let end = if lines.end == 0 { 0 } else { self.ends[lines.end - 1] };
        &self.text[start..end]
    }
}

/// Writes a line of line protocol behind a text, with the time as it is given. Gives the number of its fields: without
/// fields there is no line.
pub fn line<'a>(
    text: &mut Vec<u8>,
    device: &Device,
    mut fields: impl Iterator<Item = (&'a str, f64)>,
    time: i64,
) -> usize {
    let Some((metric, value)) = fields.next() else { return 0 };
    let line = LineProtocolBuilder::new_with(std::mem::take(text))
        .measurement(device.kind.as_str())
        .tag("device", device.id.as_str());
    let line = match &device.zone {
        Some(zone) => line.tag("zone", zone.as_str()),
        None => line,
    };
    let line = match &device.team {
        Some(team) => line.tag("team", &tag_value(team)),
        None => line,
    };
    let mut line = line.field(metric, value);
    let mut written = 1;
    for (metric, value) in fields {
        line = line.field(metric, value);
        written += 1;
    }
    *text = line.timestamp(time).close_line().build();
    written
}

/// InfluxDB reads a backslash before a comma, a space or the end as an escape and keeps all others: there is no way to
/// write one that means itself everywhere, so it becomes a slash.
fn tag_value(text: &str) -> String {
    text.replace('\\', "/")
}
