//! What a LoRaWAN server knows of an uplink besides its frame.

use serde_json::Value;

use crate::sample::{SampleTime, Samples};

/// The best gateway's signal, the number of gateways and the frame counter. `snr` is left out by servers when it is 0.
pub(super) fn signal(samples: &mut Samples, gateways: &Value, counter: u32, at: SampleTime) {
    let gateways = gateways.as_array().map_or(&[][..], Vec::as_slice);
    let strongest = gateways.iter().filter_map(|gateway| Some((gateway["rssi"].as_f64()?, gateway)));
    if let Some((rssi, best)) = strongest.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        samples.value("rssi_dbm", rssi, at);
        // ChirpStack v3 has another name for it.
        let snr = best["snr"].as_f64().or(best["loRaSNR"].as_f64());
        samples.value("snr_db", snr.unwrap_or(0.0), at);
        samples.value("gateway_count", gateways.len() as f64, at);
    }
    samples.value("frame_counter", f64::from(counter), at);
}
