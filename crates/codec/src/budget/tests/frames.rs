//! Devices' own frames and codecs' answers.

use super::*;
use crate::device;
use crate::script::{Host, Script};

#[test]
fn half_a_frame_is_never_read_as_a_frame() {
    let long = "AXVk".repeat(TEXT_BYTES_MAX);
    for (format, payload) in [
        (Format::Chirpstack, format!(r#"{{"deviceInfo":{{"devEui":"1000000000000001"}},"data":"{long}"}}"#)),
        (
            Format::Tts,
            format!(
                r#"{{"end_device_ids":{{"dev_eui":"1000000000000001"}},"uplink_message":{{"frm_payload":"{long}"}}}}"#
            ),
        ),
        (Format::Hex, format!(r#"{{"hex":"{}"}}"#, "01".repeat(TEXT_BYTES_MAX))),
        (Format::Ctwing, format!(r#"{{"IMEI":"1","payload":{{"APPdata":"{long}"}}}}"#)),
    ] {
        let decoded = decode(Some(format), payload.as_bytes());
        assert!(decoded.reports.iter().all(|report| report.frame.is_none()), "{format:?}");
        let codes: Vec<FaultCode> = decoded.faults.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, [FaultCode::WrongType, FaultCode::TooMuch], "{format:?}");
        assert_eq!(decoded.limits.texts, 1, "{format:?}");
    }
}

#[test]
fn the_frames_of_a_gateway_s_devices_share_the_limits_of_the_message() {
    let report = |n: usize| format!(r#"{{"serialNumber":"IMEI:{n}","value":"00"}}"#);
    let reports: Vec<String> = (0..DEVICES_MAX).map(report).collect();
    let payload = format!(r#"{{"reports":[{}]}}"#, reports.join(","));
    let mut decoded = decode(Some(Format::Iotcreators), payload.as_bytes());
    assert_eq!((decoded.reports.len(), decoded.limits), (DEVICES_MAX, LimitCounts::default()));
    let reading = device::FrameReading { name: "fill_pct", value: 1.0, at: None };
    let event = device::FrameEvent { about: "device", what: "powered_on", detail: None };
    let frame = device::Frame { readings: vec![reading; 100], events: vec![event] };
    for index in 0..DEVICES_MAX {
        decoded.add_frame(index, &frame);
        decoded.add_fault(Fault::new(FaultCode::BadFrame, format!("the frame of {index}")));
    }
    check(&decoded, payload.len() + DEVICES_MAX * 100, "frames");
    let expected = LimitCounts {
        readings: beyond(100 * DEVICES_MAX as u32, READINGS_MAX),
        events: beyond(DEVICES_MAX as u32, EVENTS_MAX),
        faults: beyond(DEVICES_MAX as u32, FAULTS_MAX - 1),
        ..LimitCounts::default()
    };
    assert_eq!((decoded.limits, readings(&decoded)), (expected, READINGS_MAX));
}

#[test]
fn a_frame_that_is_longer_than_any_device_s_is_not_decoded() {
    // Battery levels, one after the other.
    let levels = [0x01, 0x75, 0x64].repeat(FRAME_BYTES_MAX / 3 + 1);
    let decode = |bytes| device::decode_frame("em310-udl", 85, bytes);
    let longest = decode(&levels[..FRAME_BYTES_MAX / 3 * 3]).expect("a frame");
    assert_eq!(longest.readings.len(), FRAME_BYTES_MAX / 3);
    assert_eq!(decode(&levels).expect_err("a fault").code, FaultCode::BadFrame);
}

#[test]
fn a_codec_s_answer_is_read_to_the_same_limits() {
    let source = "function decodeUplink(i) {
        const data = {};
        if (i.bytes[0] === 1) for (let n = 0; n < 2000; n++) data['k' + n] = n;
        if (i.bytes[0] === 2) { data.list = []; for (let n = 0; n < 2000; n++) data.list.push({ k: n }); }
        if (i.bytes[0] === 3) { let at = data; for (let n = 0; n < 100; n++) at = at.in = { k: n }; }
        if (i.bytes[0] === 4) for (let n = 0; n < 10; n++) data['k' + n] = 'x'.repeat(5000);
        if (i.bytes[0] === 5) for (let n = 0; n < 10; n++) data['k'.repeat(100) + n] = n;
        if (i.bytes[0] === 6) for (let n = 0; n < 200; n++) data['k' + n] = 'word';
        return { data };
    }";
    let script = Script { model: "acme".into(), source: source.to_owned(), map: Vec::new(), kind: None };
    let mut host = Host::new(script).expect("a codec");
    let zero = LimitCounts::default();
    for (first, kept, events, left_out) in [
        (1, FIELDS_MAX, 0, LimitCounts { fields: 2_000 - FIELDS_MAX as u32, ..zero }),
        (2, FIELDS_MAX, 0, LimitCounts { fields: 2_000 - FIELDS_MAX as u32, ..zero }),
        (3, NESTING_MAX - 2, 0, LimitCounts { nested: 1, ..zero }),
        (4, 0, 10, LimitCounts { texts: 10, ..zero }),
        (5, 0, 0, LimitCounts { names: 10, ..zero }),
        (6, 0, EVENTS_MAX, LimitCounts { events: 200 - EVENTS_MAX as u32, ..zero }),
    ] {
        let mut decoded = decode(Some(Format::Binary), &[first]);
        let frame = decoded.reports[0].frame.clone().expect("a frame");
        let times = Formats::default().times(RECEIVED);
        decoded.add_samples(0, host.decode(&frame, times));
        check(&decoded, 64 << 10, "an answer");
        assert_eq!(decoded.limits, left_out, "{first}");
        assert_eq!((readings(&decoded), decoded.reports[0].events.len()), (kept, events), "{first}");
    }
    assert!(host.run(1, &[0; FRAME_BYTES_MAX + 1], RECEIVED).is_err());
}
