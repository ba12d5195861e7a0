//! Windows of time: `15m` to `1mo`, calendar units in the site's zone.

use std::fmt;
use std::str::FromStr;

use crate::calendar::{LocalDay, SiteCalendar};
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, TimestampMs};

/// The length of a window. Below a day it divides the day and starts anew at each midnight of the site, so that a
/// daylight-saving day ends with a shorter or an additional window and the next day is as usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// Divides 24 hours.
    Fixed {
        length_ms: i64,
    },
    Days(u32),
    /// From Monday (ISO 8601).
    Weeks(u32),
    Months(u32),
}

/// Why a text is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error("a window is a number and a unit (s, m, h, d, w, mo, y), such as 15m, 1h, 1d, 1w or 1mo")]
    Syntax,
    #[error("a window below a day must divide it, such as 5m, 15m, 1h, 6h or 12h")]
    DividesNoDay,
}

/// Windows that an answer falls back to when it would have too many points, ascending.
pub const COARSER: [Window; 14] = [
    Window::Fixed { length_ms: MINUTE_MS },
    Window::Fixed { length_ms: 5 * MINUTE_MS },
    Window::Fixed { length_ms: 15 * MINUTE_MS },
    Window::Fixed { length_ms: 30 * MINUTE_MS },
    Window::Fixed { length_ms: HOUR_MS },
    Window::Fixed { length_ms: 3 * HOUR_MS },
    Window::Fixed { length_ms: 6 * HOUR_MS },
    Window::Fixed { length_ms: 12 * HOUR_MS },
    Window::Days(1),
    Window::Weeks(1),
    Window::Months(1),
    Window::Months(3),
    Window::Months(12),
    Window::Months(120),
];

const COUNT_MAX: u32 = 10_000;
/// 1970-01-01 was a Thursday, three days after a Monday.
const MONDAY_OFFSET: i32 = 3;

impl Window {
    /// About how long it is, in milliseconds: for the number of points to expect.
    pub fn approximate_ms(self) -> i64 {
        match self {
            Self::Fixed { length_ms } => length_ms,
            Self::Days(days) => i64::from(days) * DAY_MS,
            Self::Weeks(weeks) => i64::from(weeks) * 7 * DAY_MS,
            Self::Months(months) => i64::from(months) * 30 * DAY_MS,
        }
    }

    /// Whether it is made of whole days of the site.
    pub fn is_whole_days(self) -> bool {
        !matches!(self, Self::Fixed { .. })
    }

    /// The window that holds this instant: its start, and the start of the next one.
    pub fn around(self, calendar: SiteCalendar, at: TimestampMs) -> (TimestampMs, TimestampMs) {
        let day = calendar.day_of(at);
        let (first, next) = match self {
            Self::Fixed { length_ms } => {
                let midnight = calendar.start_of(day);
                let start = midnight.plus_ms(at.since_ms(midnight) / length_ms * length_ms);
                return (start, start.plus_ms(length_ms).min(calendar.start_of(day.plus(1))));
            }
            Self::Days(days) => counted_days(day.0, days, 0),
            Self::Weeks(weeks) => counted_days(day.0, weeks.saturating_mul(7), MONDAY_OFFSET),
            Self::Months(months) => {
                let months = months as i32;
                let month = day.month().div_euclid(months) * months;
                (LocalDay::first_of_month(month), LocalDay::first_of_month(month + months))
            }
        };
        (calendar.start_of(first), calendar.start_of(next))
    }

    pub fn start(self, calendar: SiteCalendar, at: TimestampMs) -> TimestampMs {
        self.around(calendar, at).0
    }
}

fn counted_days(day: i32, length: u32, offset: i32) -> (LocalDay, LocalDay) {
    let length = length as i32;
    let first = (day + offset).div_euclid(length) * length - offset;
    (LocalDay(first), LocalDay(first + length))
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let count: u32 = number.parse().map_err(|_| WindowError::Syntax)?;
        if !(1..=COUNT_MAX).contains(&count) {
            return Err(WindowError::Syntax);
        }
        let unit_ms = match unit {
            "s" => SECOND_MS,
            "m" => MINUTE_MS,
            "h" => HOUR_MS,
            "d" => return Ok(Self::Days(count)),
            "w" => return Ok(Self::Weeks(count)),
            "mo" => return Ok(Self::Months(count)),
            "y" => return Ok(Self::Months(count.saturating_mul(12))),
            _ => return Err(WindowError::Syntax),
        };
        match i64::from(count) * unit_ms {
            length_ms if length_ms % DAY_MS == 0 => Ok(Self::Days((length_ms / DAY_MS) as u32)),
            length_ms if DAY_MS % length_ms == 0 => Ok(Self::Fixed { length_ms }),
            _ => Err(WindowError::DividesNoDay),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Fixed { length_ms } if length_ms % HOUR_MS == 0 => write!(f, "{}h", length_ms / HOUR_MS),
            Self::Fixed { length_ms } if length_ms % MINUTE_MS == 0 => {
                write!(f, "{}m", length_ms / MINUTE_MS)
            }
            Self::Fixed { length_ms } => write!(f, "{}s", length_ms / SECOND_MS),
            Self::Days(days) => write!(f, "{days}d"),
            Self::Weeks(weeks) => write!(f, "{weeks}w"),
            Self::Months(months) if months % 12 == 0 => write!(f, "{}y", months / 12),
            Self::Months(months) => write!(f, "{months}mo"),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn at(text: &str) -> TimestampMs {
        TimestampMs::parse_rfc3339(text).expect("a time")
    }

    #[test]
    fn windows_are_written_as_a_number_and_a_unit() {
        for text in ["15m", "1h", "6h", "30s", "1d", "2w", "1mo", "1y"] {
            assert_eq!(text.parse::<Window>().expect(text).to_string(), text);
        }
        for (text, same) in [("60m", "1h"), ("24h", "1d"), ("48h", "2d"), ("12mo", "1y")] {
            assert_eq!(text.parse::<Window>().expect(text).to_string(), same);
        }
        for text in ["", "m", "0m", "-1h", "1.5h", "1x", "99999999999d", "1µ", "1 h"] {
            assert_eq!(text.parse::<Window>(), Err(WindowError::Syntax), "{text}");
        }
        for text in ["7h", "25h", "7m"] {
            assert_eq!(text.parse::<Window>(), Err(WindowError::DividesNoDay), "{text}");
        }
    }

    #[test]
    fn calendar_windows_follow_the_site() {
        let shanghai = SiteCalendar::new(Tz::Asia__Shanghai);
        let instant = at("2026-03-11T10:20:30+08:00");
        for (window, start, next) in [
            ("15m", "2026-03-11T10:15:00+08:00", "2026-03-11T10:30:00+08:00"),
            ("6h", "2026-03-11T06:00:00+08:00", "2026-03-11T12:00:00+08:00"),
            ("1d", "2026-03-11T00:00:00+08:00", "2026-03-12T00:00:00+08:00"),
            ("1w", "2026-03-09T00:00:00+08:00", "2026-03-16T00:00:00+08:00"),
            ("1mo", "2026-03-01T00:00:00+08:00", "2026-04-01T00:00:00+08:00"),
            ("3mo", "2026-01-01T00:00:00+08:00", "2026-04-01T00:00:00+08:00"),
            ("1y", "2026-01-01T00:00:00+08:00", "2027-01-01T00:00:00+08:00"),
        ] {
            let window: Window = window.parse().expect(window);
            assert_eq!(window.around(shanghai, instant), (at(start), at(next)), "{window}");
        }
    }

    #[test]
    fn windows_below_a_day_start_anew_at_midnight_on_daylight_saving_days() {
        let berlin = SiteCalendar::new(Tz::Europe__Berlin);
        let six: Window = "6h".parse().expect("a window");
        // 25 hours: a fifth window of one hour, and the next day as usual.
        assert_eq!(
            six.around(berlin, at("2026-10-25T23:30:00+01:00")),
            (at("2026-10-25T23:00:00+01:00"), at("2026-10-26T00:00:00+01:00"))
        );
        assert_eq!(six.start(berlin, at("2026-10-26T01:00:00+01:00")), at("2026-10-26T00:00:00+01:00"));
        // 23 hours: the last window is an hour short.
        assert_eq!(
            six.around(berlin, at("2026-03-29T23:30:00+02:00")),
            (at("2026-03-29T19:00:00+02:00"), at("2026-03-30T00:00:00+02:00"))
        );
    }
}
