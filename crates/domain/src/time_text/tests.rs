//! The forms of times, as tables.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> TimestampMs {
    TimestampMs::parse_rfc3339(text).expect("a time")
}

fn reader(zone: &str, received: &str) -> TimeReader {
    TimeReader::new(SiteCalendar::named(zone).expect("a zone"), at(received))
}

#[test]
fn every_form_that_devices_write_is_the_same_instant() {
    let reader = reader("Asia/Shanghai", "2026-03-01T00:20:00Z");
    for text in [
        "2026-03-01T08:15:00+08:00",
        "2026-03-01T00:15:00Z",
        "2026-03-01T00:15:00.000Z",
        "2026-03-01 00:15:00Z",
        "2026-03-01T08:15:00",
        "2026-03-01 08:15:00",
        "2026-03-01 08:15",
        "2026-03-01 8:15:00",
        "2026-03-01T08:15:00.000",
        "2026-03-01 08:15:00,000",
        "2026-03-01T08:15:00+0800",
        "2026-03-01T08:15:00+08",
        "2026-03-01 08:15:00 +0800",
        "2026-02-28T19:15:00-0500",
        "2026-03-01 00:15:00 UTC",
        "2026/03/01 08:15:00",
        "2026/3/1 8:15:00",
        "2026/03/01T08:15:00+0800",
        "20260301T001500Z",
        "20260301T081500",
        "20260301T0815",
        "20260301 081500",
        "20260301081500",
        "1772324100",
        " 1772324100.0 ",
        "1772324100000",
        "1772324100000000",
        "1772324100000000000",
    ] {
        assert_eq!(reader.text(text), Some(at("2026-03-01T00:15:00Z")), "{text}");
    }
}

#[test]
fn a_number_is_unix_time_by_its_magnitude_or_a_date_in_digits() {
    let reader = reader("Asia/Shanghai", "2026-03-01T00:20:00Z");
    for number in [1_772_324_100.0, 1_772_324_100e3, 1_772_324_100e6, 1_772_324_100e9, 20_260_301_081_500.0] {
        assert_eq!(reader.number(number), Some(at("2026-03-01T00:15:00Z")), "{number}");
    }
    assert_eq!(reader.number(1_772_324_100.25), Some(at("2026-03-01T00:15:00.250Z")));
}

#[test]
fn what_is_no_time_is_none() {
    let reader = reader("Asia/Shanghai", "2026-03-01T00:20:00Z");
    let long = format!("2026-03-01T08:15:00.{}Z", "0".repeat(100));
    for text in [
        "",
        "yesterday",
        "08:15:00",
        "2026-03-01",
        "2026-13-01T08:15:00",
        "2026-02-30 08:15:00",
        "2026-03/01 08:15:00",
        "2026-03-01T25:00:00",
        "2026-03-01T08:61:00",
        "2026-03-01T08:15:00+99",
        "2026-03-01T08:15:00+08:00x",
        "2026-03-01T08:15:00.Z",
        "2026-03-0108:15:00",
        "01.03.2026 08:15",
        "1e300",
        "nan",
        "inf",
        "é026-03-01T08:15:00",
        long.as_str(),
    ] {
        assert_eq!(reader.text(text), None, "{text}");
    }
    assert_eq!(reader.number(f64::NAN), None);
}

#[test]
fn an_hour_that_comes_twice_is_the_one_nearer_to_the_receipt() {
    // Berlin puts its clocks back at 01:00 UTC.
    for (received, expected) in [
        ("2026-10-25T00:31:00Z", "2026-10-25T00:30:00Z"),
        ("2026-10-25T01:31:00Z", "2026-10-25T01:30:00Z"),
        ("2026-10-26T00:00:00Z", "2026-10-25T01:30:00Z"),
    ] {
        let reader = reader("Europe/Berlin", received);
        assert_eq!(reader.text("2026-10-25 02:30:00"), Some(at(expected)), "{received}");
    }
}

#[test]
fn an_hour_that_does_not_exist_is_moved_forward_and_its_samples_stay_apart() {
    let reader = reader("Europe/Berlin", "2026-03-29T02:00:00Z");
    for (text, expected) in [
        ("2026-03-29 02:00:00", "2026-03-29T03:00:00+02:00"),
        ("2026-03-29 02:10:00", "2026-03-29T03:10:00+02:00"),
        ("2026-03-29 02:50:00", "2026-03-29T03:50:00+02:00"),
    ] {
        assert_eq!(reader.text(text), Some(at(expected)), "{text}");
    }
}

#[test]
fn a_leap_second_is_the_next_second() {
    let reader = reader("UTC", "2026-03-01T00:00:00Z");
    assert_eq!(reader.text("2016-12-31 23:59:60"), Some(at("2017-01-01T00:00:00Z")));
}

proptest! {
    #[test]
    fn no_text_panics(text in r"[0-9TtZz:/ .,+-]{0,40}|\PC{0,40}") {
        let _ = reader("Europe/Berlin", "2026-03-29T02:00:00Z").text(&text);
    }

    #[test]
    fn a_wall_clock_that_is_neither_doubled_nor_left_out_reads_back(ms in 0_i64..4_000_000_000_000) {
        let calendar = SiteCalendar::named("Asia/Shanghai").expect("a zone");
        // No summer time there since 1991.
        let instant = TimestampMs((ms / 1_000 * 1_000).max(700_000_000_000));
        let wall = instant.plus_ms(8 * HOUR_MS).to_string();
        let text = &wall[..19];
        prop_assert_eq!(TimeReader::new(calendar, instant).text(text), Some(instant));
    }
}
