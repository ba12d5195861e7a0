//! Times as devices, loggers and platforms write them.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use crate::calendar::SiteCalendar;
use crate::time::{HOUR_MS, MINUTE_MS, SECOND_MS, TimestampMs};

/// The longest known form (RFC 3339 with nanoseconds and an offset) has 35 bytes: a longer text is no time.
const TEXT_BYTES_MAX: usize = 64;
/// `20260301081500` has so many digits. As Unix milliseconds such numbers are of the year 2286 and later.
const COMPACT_DIGITS: usize = 14;
/// The smallest number of that many digits, and the first that has one more.
const COMPACT_FROM: f64 = 1e13;
const COMPACT_BELOW: f64 = 1e14;
/// A compact number of an earlier year is none: no device has a clock from before 1970.
const COMPACT_YEAR_MIN: i32 = 1970;
/// The largest offset from UTC that is in use is 14 hours.
const OFFSET_HOURS_MAX: u32 = 14;

/// Reads a device's time. What has no zone is the site's wall clock.
#[derive(Debug, Clone, Copy)]
pub struct TimeReader {
    calendar: SiteCalendar,
    received: TimestampMs,
}

impl TimeReader {
    /// The receipt decides between the two instants of a wall clock that is put back.
    pub const fn new(calendar: SiteCalendar, received: TimestampMs) -> Self {
        Self { calendar, received }
    }

    /// When the message was received.
    pub const fn received(self) -> TimestampMs {
        self.received
    }

    /// Unix time in seconds, milliseconds, microseconds or nanoseconds, or `20260301081500`.
    pub fn number(self, number: f64) -> Option<TimestampMs> {
        let is_compact = (COMPACT_FROM..COMPACT_BELOW).contains(&number) && number.fract() == 0.0;
        let compact = if is_compact { self.compact(&format!("{number:.0}")) } else { None };
        compact.or_else(|| TimestampMs::from_unix_by_magnitude(number))
    }

    /// RFC 3339 and what is near it (no zone, `+0800`, `+08`, a space, `/`, the basic form), or a number as text.
    pub fn text(self, text: &str) -> Option<TimestampMs> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let is_number =
            text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
        if is_number {
            return text.parse().ok().and_then(|number| self.number(number));
        }
        TimestampMs::parse_rfc3339(text).or_else(|| self.written(text))
    }

    fn compact(self, digits: &str) -> Option<TimestampMs> {
        let mut scan = Scan(digits.as_bytes());
        let local = scan.date()?.and_time(scan.time()?.0);
        let is_whole = digits.len() == COMPACT_DIGITS && scan.0.is_empty();
        let is_plausible = chrono::Datelike::year(&local) >= COMPACT_YEAR_MIN;
        (is_whole && is_plausible).then(|| self.calendar.at_wall_clock(local, self.received))
    }

    fn written(self, text: &str) -> Option<TimestampMs> {
        let mut scan = Scan(text.as_bytes());
        let date = scan.date()?;
        if scan.any_of(b"Tt").is_none() && scan.spaces() == 0 {
            return None;
        }
        let (time, leap_ms) = scan.time()?;
        let local = date.and_time(time);
        scan.spaces();
        let at = if scan.0.is_empty() {
            self.calendar.at_wall_clock(local, self.received)
        } else {
            utc(local).minus_ms(scan.offset_ms()?)
        };
        scan.0.is_empty().then(|| at.plus_ms(leap_ms))
    }
}

fn utc(local: NaiveDateTime) -> TimestampMs {
    TimestampMs(local.and_utc().timestamp_millis())
}

/// The rest of a text that is being read.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    /// A number of `min` to `max` digits.
    fn digits(&mut self, min: usize, max: usize) -> Option<u32> {
        let count = self.0.iter().take(max).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let number = digits.iter().fold(0, |all, digit| all * 10 + u32::from(digit - b'0'));
        (count >= min).then_some(number)
    }

    fn any_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn spaces(&mut self) -> usize {
        let before = self.0.len();
        self.0 = self.0.trim_ascii_start();
        before - self.0.len()
    }

    /// `2026-03-01`, `2026/3/1` or `20260301`.
    fn date(&mut self) -> Option<NaiveDate> {
        let year = self.digits(4, 4)?;
        let (month, day) = match self.any_of(b"-/") {
            Some(separator) => {
                let month = self.digits(1, 2)?;
                self.any_of(&[separator])?;
                (month, self.digits(1, 2)?)
            }
            None => (self.digits(2, 2)?, self.digits(2, 2)?),
        };
        NaiveDate::from_ymd_opt(year as i32, month, day)
    }

    /// `8:15`, `08:15:00.250` or `081500`; a leap second is a second to be added.
    fn time(&mut self) -> Option<(NaiveTime, i64)> {
        let hour = self.digits(1, 2)?;
        let has_colons = self.any_of(b":").is_some();
        let minute = self.digits(2, 2)?;
        let has_seconds = if has_colons {
            self.any_of(b":").is_some()
        } else {
            self.0.first().is_some_and(u8::is_ascii_digit)
        };
        let second = if has_seconds { self.digits(2, 2)? } else { 0 };
        let ms = if has_seconds && self.any_of(b".,").is_some() { self.fraction_ms()? } else { 0 };
        let leap_ms = if second == 60 { SECOND_MS } else { 0 };
        let time = NaiveTime::from_hms_milli_opt(hour, minute, second - u32::from(leap_ms > 0), ms)?;
        Some((time, leap_ms))
    }

    /// The digits behind the point; what is finer than a millisecond is dropped.
    fn fraction_ms(&mut self) -> Option<u32> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let padded = digits.iter().copied().chain([b'0'; 3]).take(3);
        (count > 0).then(|| padded.fold(0, |ms, digit| ms * 10 + u32::from(digit - b'0')))
    }

    /// `Z`, `UTC`, `+08`, `+0800` or `+08:00`.
    fn offset_ms(&mut self) -> Option<i64> {
        for utc in [&b"Z"[..], b"z", b"UTC", b"GMT"] {
            if let Some(rest) = self.0.strip_prefix(utc) {
                self.0 = rest;
                return Some(0);
            }
        }
        let sign = if self.any_of(b"+-")? == b'+' { 1 } else { -1 };
        let hours = self.digits(2, 2)?;
        let has_minutes = self.any_of(b":").is_some() || !self.0.is_empty();
        let minutes = if has_minutes { self.digits(2, 2)? } else { 0 };
        let is_sound = hours <= OFFSET_HOURS_MAX && minutes < 60;
        is_sound.then(|| sign * (i64::from(hours) * HOUR_MS + i64::from(minutes) * MINUTE_MS))
    }
}

#[cfg(test)]
mod tests;
