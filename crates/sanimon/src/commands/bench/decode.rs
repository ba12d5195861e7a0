//! `sanimon bench decode`: frames a second on one core, by our own tables and through a codec in JavaScript.

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::Args;
use sanimon_codec::device;
use sanimon_codec::script::{Host, Script};
use sanimon_domain::TimestampMs;
use serde_json::{Value, json};

/// Twenty bytes of Milesight's elements: battery, temperature, humidity, motion, light, tVOC (AM308).
const FRAME: [u8; 20] = [
    0x01, 0x75, 0x55, 0x03, 0x67, 0xEE, 0x00, 0x04, 0x68, 0x7C, 0x05, 0x00, 0x01, 0x06, 0xCB, 0x02, 0x07,
    0x7D, 0xA8, 0x03,
];
const MODEL: &str = "am308";
const PORT: u8 = 85;
/// The same in JavaScript, as such codecs are written.
const CODEC: &str = "
function decodeUplink(input) {
  var bytes = input.bytes, decoded = {};
  for (var i = 0; i < bytes.length;) {
    var channel = bytes[i++], type = bytes[i++];
    if (channel === 0x01 && type === 0x75) { decoded.battery = bytes[i]; i += 1; }
    else if (channel === 0x03 && type === 0x67) { decoded.temperature = ((bytes[i + 1] << 8 | bytes[i]) << 16 >> 16) / 10; i += 2; }
    else if (channel === 0x04 && type === 0x68) { decoded.humidity = bytes[i] / 2; i += 1; }
    else if (channel === 0x05 && type === 0x00) { decoded.pir = bytes[i] === 1 ? 'trigger' : 'idle'; i += 1; }
    else if (channel === 0x06 && type === 0xcb) { decoded.light_level = bytes[i]; i += 1; }
    else if (channel === 0x07 && type === 0x7d) { decoded.tvoc = (bytes[i + 1] << 8 | bytes[i]) / 100; i += 2; }
    else break;
  }
  return { data: decoded };
}";
/// Frames between two looks at the clock.
const ROUND: u32 = 1_000;

#[derive(Debug, Args)]
pub(crate) struct DecodeBench {
    /// How long each part takes, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
}

impl DecodeBench {
    pub(super) fn measure(&self) -> anyhow::Result<Value> {
        let frame = device::decode_frame(MODEL, PORT, &FRAME)
            .map_err(|fault| anyhow::anyhow!("the frame to measure with: {}", fault.message))?;
        let native = self.per_second(|| {
            black_box(device::decode_frame(black_box(MODEL), PORT, black_box(&FRAME))).is_ok()
        });
        let script = Script { model: MODEL.into(), source: CODEC.to_owned(), map: Vec::new(), kind: None };
        let mut host = Host::new(script).map_err(|fault| anyhow::anyhow!(fault.message))?;
        let now = TimestampMs(1_772_323_200_000);
        let scripted = self.per_second(|| host.run(PORT, black_box(&FRAME), now).is_ok());
        Ok(json!({
            "frame_bytes": FRAME.len(),
            "readings_per_frame": frame.readings.len(),
            "native_frames_per_s": native.round(),
            "script_frames_per_s": scripted.round(),
            "native_over_script": native / scripted,
        }))
    }

    fn per_second(&self, mut decode: impl FnMut() -> bool) -> f64 {
        let (started, limit) = (Instant::now(), Duration::from_secs(u64::from(self.seconds)));
        let mut frames = 0_u64;
        loop {
            for _ in 0..ROUND {
                assert!(decode(), "the frame to measure with is sound");
            }
            frames += u64::from(ROUND);
            let elapsed = started.elapsed();
            if elapsed >= limit {
                return frames as f64 / elapsed.as_secs_f64();
            }
        }
    }
}
