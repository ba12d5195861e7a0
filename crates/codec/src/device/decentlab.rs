//! Decentlab: `version 2, device id u16, flags u16`, then for each flag that is set a sensor's 16-bit words, big-endian.
//!
//! The last sensor is the battery, alone in reports whose measurement failed. A word is `(raw + offset) * scale + plus`.
//! Sources: `shared/sensors/README.md` and the published cases in `tests/data`. Pressure probes need their own range;
//! each range that is sold under a name of its own is a model here.

use sanimon_domain::Fault;

use super::layout::Cursor;
use super::{Frame, FrameEvent, FrameReading, Layout, Model, bad_frame, model_of, once};

const VERSION: u8 = 2;
const SIGNED: f64 = -32_768.0;

/// What a word says.
#[derive(Debug, Clone, Copy)]
enum Word {
    Value {
        name: &'static str,
        offset: f64,
        scale: f64,
        plus: f64,
    },
    /// The high half of the word before.
    High {
        name: &'static str,
        scale: f64,
    },
    /// How many samples the words before it stand for: with none, they are no reading.
    Samples {
        about: &'static str,
    },
    Skip,
}

const fn word(name: &'static str, scale: f64) -> Word {
    Word::Value { name, offset: 0.0, scale, plus: 0.0 }
}

/// Around 32768.
const fn signed(name: &'static str, scale: f64) -> Word {
    Word::Value { name, offset: SIGNED, scale, plus: 0.0 }
}

/// The sensors in the order of their flags.
#[derive(Debug)]
struct Words(&'static [&'static [Word]]);

const BATTERY: &[Word] = &[word("battery_v", 0.001)];
const DISTANCE: &[Word] = &[word("distance_mm", 1.0), Word::Samples { about: "distance_mm" }];
const LIDAR: &[Word] = &[
    word("distance_mm", 1.0),
    word("distance_minimum_mm", 1.0),
    word("distance_maximum_mm", 1.0),
    word("distance_median_mm", 1.0),
    word("distance_10th_percentile_mm", 1.0),
    word("distance_25th_percentile_mm", 1.0),
    word("distance_75th_percentile_mm", 1.0),
    word("distance_90th_percentile_mm", 1.0),
    word("distance_most_frequent_mm", 1.0),
    word("samples", 1.0),
    word("acquisition_time_ms", 1.0 / 1.024),
];
const DEPTH: &[Word] = &[
    signed("level_mm", 1.0),
    signed("temperature_c", 0.1),
    word("conductivity_uscm", 1.0),
    word("freezing", 1.0),
];
/// This one's conductivity counts in twos.
const DEPTH_B: &[Word] = &[
    signed("level_mm", 1.0),
    signed("temperature_c", 0.1),
    word("conductivity_uscm", 2.0),
    word("freezing", 1.0),
];
const ROAD: &[Word] = &[
    signed("surface_temperature_c", 0.01),
    signed("temperature_c", 0.01),
    signed("humidity_pct", 0.01),
    signed("dew_point_c", 0.01),
    signed("angle_deg", 1.0),
    signed("sensor_temperature_c", 0.01),
];
const TURBIDITY: &[Word] = &[
    word("status", 1.0),
    signed("temperature_c", 0.01),
    word("turbidity_ntu", 0.1),
    word("turbidity_fnu", 0.1),
    word("turbidity_mgl", 0.1),
];
const PH: &[Word] = &[
    word("status", 1.0),
    signed("temperature_c", 0.01),
    signed("ph", 0.01),
    signed("redox_mv", 0.1),
    signed("ph_mv", 0.1),
];
const RAIN: &[Word] = &[
    word("rain_mm", 0.1),
    word("rain_interval_s", 1.0),
    word("rain_total_mm", 0.1),
    Word::High { name: "rain_total_mm", scale: 0.1 },
];
const PROBE_TEMPERATURE: Word =
    Word::Value { name: "temperature_c", offset: -384.0, scale: 0.003_125, plus: -50.0 };

/// A probe over its range in bar.
const fn probe([low_bar, high_bar]: [f64; 2]) -> Word {
    Word::Value {
        name: "pressure_bar",
        offset: -16_384.0,
        scale: (high_bar - low_bar) / 32_768.0,
        plus: low_bar,
    }
}

const RANGE_0_1: [f64; 2] = [0.0, 1.0];
const RANGE_1_10: [f64; 2] = [-1.0, 10.0];
const PROBE_0_1: &[Word] = &[probe(RANGE_0_1), PROBE_TEMPERATURE];
const PROBE_1_10: &[Word] = &[probe(RANGE_1_10), PROBE_TEMPERATURE];
const PROBE_36: &[Word] = &[signed("pressure_bar", 1.0 / 8_192.0), signed("temperature_c", 1.0 / 256.0)];
const PROBE_36_CTD: &[Word] = &[
    signed("pressure_bar", 1.0 / 8_192.0),
    signed("temperature_electronics_c", 1.0 / 256.0),
    signed("temperature_c", 1.0 / 256.0),
    signed("conductivity_mscm", 1.0 / 1_024.0),
];
const AMBIENT: &[Word] = &[
    Word::Value { name: "temperature_c", offset: 0.0, scale: 175.0 / 65_535.0, plus: -45.0 },
    word("humidity_pct", 100.0 / 65_535.0),
];
const LIGHT: &[Word] = &[word("light_visible_infrared", 1.0), word("light_infrared", 1.0)];

static MBX: Words = Words(&[DISTANCE, BATTERY]);
static LID: Words = Words(&[LIDAR, BATTERY]);
static CTD10: Words = Words(&[DEPTH, BATTERY]);
static CTD10B: Words = Words(&[DEPTH_B, BATTERY]);
static CWS: Words = Words(&[ROAD, BATTERY]);
static NTU: Words = Words(&[TURBIDITY, BATTERY]);
static PHEHT: Words = Words(&[PH, BATTERY]);
static TBRG: Words = Words(&[RAIN, BATTERY]);
static PR21: Words = Words(&[PROBE_1_10, BATTERY]);
static PR26: Words = Words(&[PROBE_0_1, BATTERY]);
static PR36: Words = Words(&[PROBE_36, BATTERY]);
static PR36CTD: Words = Words(&[PROBE_36_CTD, BATTERY]);
static DLR2: Words = Words(&[&[word("input", 1.0)], BATTERY]);
static IAM: Words = Words(&[
    BATTERY,
    AMBIENT,
    &[word("pressure_pa", 2.0)],
    LIGHT,
    &[signed("co2_ppm", 1.0), Word::Skip, Word::Skip],
    &[word("activity", 1.0)],
    &[word("tvoc_ppb", 1.0)],
]);

const fn model(name: &'static str, layout: &'static Words) -> Model {
    model_of("decentlab", name, layout)
}

pub(super) static MODELS: [Model; 18] = [
    model("dl-ctd10", &CTD10),
    model("dl-ctd10b", &CTD10B),
    model("dl-cws", &CWS),
    model("dl-dlr2-003", &DLR2),
    model("dl-iam", &IAM),
    model("dl-lid", &LID),
    model("dl-mbx", &MBX),
    model("dl-ntu", &NTU),
    model("dl-pheht", &PHEHT),
    model("dl-pr21", &PR21),
    model("dl-pr21-1-10", &PR21),
    model("dl-pr26", &PR26),
    model("dl-pr26-0-1", &PR26),
    model("dl-pr36", &PR36),
    model("dl-pr36-8192", &PR36),
    model("dl-pr36ctd", &PR36CTD),
    model("dl-tbrg", &TBRG),
    model("dl-tbrg-01", &TBRG),
];

impl Words {
    fn sensor(words: &[Word], cursor: &mut Cursor<'_>, frame: &mut Frame) -> Result<(), Fault> {
        let first = frame.readings.len();
        for word in words {
            let raw = f64::from(cursor.u16_be()?);
            match *word {
                Word::Skip => {}
                Word::Value { name, offset, scale, plus } => {
                    let value = (raw + offset) * scale + plus;
                    frame.readings.push(FrameReading { name, value, at: None });
                }
                Word::High { name, scale } => {
                    if let Some(low) = frame.readings.iter_mut().rev().find(|reading| reading.name == name) {
                        low.value += raw * 65_536.0 * scale;
                    }
                }
                Word::Samples { about } if raw == 0.0 => {
                    frame.readings.truncate(first);
                    frame.events.push(FrameEvent { about, what: "no_target", detail: None });
                }
                Word::Samples { .. } => {
                    frame.readings.push(FrameReading { name: "samples", value: raw, at: None });
                }
            }
        }
        Ok(())
    }
}

impl Layout for Words {
    fn measures(&self) -> Vec<&'static str> {
        once(self.0.iter().flat_map(|words| words.iter()).filter_map(|word| match word {
            Word::Value { name, .. } => Some(*name),
            Word::Samples { .. } => Some("samples"),
            Word::High { .. } | Word::Skip => None,
        }))
    }

    fn probe_bar(&self) -> Option<[f64; 2]> {
        if std::ptr::eq(self, &raw const PR26) {
            Some(RANGE_0_1)
        } else if std::ptr::eq(self, &raw const PR21) {
            Some(RANGE_1_10)
        } else {
            None
        }
    }

    fn decode(&self, _port: u8, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut cursor = Cursor::new(bytes);
        let version = cursor.u8()?;
        if version != VERSION {
            return Err(bad_frame(format!("a frame of Decentlab begins with 02, not {version:02x}")));
        }
        let id = cursor.u16_be()?;
        let flags = cursor.u16_be()?;
        let mut frame = Frame::default();
        frame.events.push(FrameEvent {
            about: "device",
            what: "serial_number",
            detail: Some(id.to_string()),
        });
        for (sensor, words) in self.0.iter().enumerate() {
            if flags >> sensor & 1 == 1 {
                Self::sensor(words, &mut cursor, &mut frame)?;
            }
        }
        if flags >> self.0.len() != 0 || !cursor.is_empty() {
            return Err(bad_frame("the frame has more sensors than this model"));
        }
        Ok(frame)
    }
}
