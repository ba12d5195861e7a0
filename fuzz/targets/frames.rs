//! Any bytes to any model: no panic, and no number that is none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sanimon_codec::device::{self, Model};

fuzz_target!(|input: &[u8]| {
    let [low, high, port, frame @ ..] = input else { return };
    let models: Vec<&Model> = device::models().collect();
    let model = models[usize::from(u16::from_le_bytes([*low, *high])) % models.len()];
    if let Ok(frame) = device::decode_frame(model.name, *port, frame) {
        let measures = model.measures();
        for reading in &frame.readings {
            assert!(reading.value.is_finite(), "{} says {reading:?}", model.name);
            // Buttons and switches are told on Milesight's channel of the device itself, whatever the model.
            let is_own = measures.contains(&reading.name) || model.vendor == "milesight";
            assert!(is_own, "{} does not measure {}", model.name, reading.name);
        }
    }
});
