//! Hours and calendars, as the files write them.

use sanimon_domain::hours::{parse_span, parse_weekdays};
use sanimon_domain::{Days, Hours, LocalDay, Span};

use super::reader::Section;

/// The named lists of days of a file: market days, holidays.
#[derive(Debug, Default)]
pub(super) struct Calendars(Vec<(String, Days)>);

impl Calendars {
    /// `[[calendar]]` with an `id` and `weekdays`, `month_days` or `dates`.
    pub(super) fn read(root: &mut Section<'_>) -> Self {
        let entries = root.tables("calendar", |section| {
            let id = section.text_required("id").map(|(id, _)| id);
            let days = days(section);
            if days == Days::default() {
                let message =
                    "the calendar has no day: write dates = [\"2026-10-01\"], weekdays or month_days";
                section.fault(section.line, message);
            }
            Some((id?, days))
        });
        Self(entries.into_iter().flatten().collect())
    }

    fn named(&self, section: &mut Section<'_>, key: &str) -> Option<Days> {
        let (name, line) = section.text(key)?;
        let found = self.0.iter().find(|(id, _)| *id == name).map(|(_, days)| days.clone());
        if found.is_none() {
            let known: Vec<&str> = self.0.iter().map(|(id, _)| id.as_str()).collect();
            let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
            section.fault(line, format!("`{key}` names no [[calendar]] of this file ({known})"));
        }
        found
    }

    /// `hours`, `days`, `calendar` and `not_on` of a section; `None`: it says nothing about them.
    pub(super) fn hours(&self, section: &mut Section<'_>) -> Option<Hours> {
        let spans = section.all_parsed("hours", "a time such as 07:00-19:00", parse_span);
        let weekdays = weekdays(section, "days");
        let calendar = self.named(section, "calendar");
        let except = self.named(section, "not_on");
        if spans.is_empty() && weekdays == 0 && calendar.is_none() && except.is_none() {
            return None;
        }
        let mut days = calendar.unwrap_or_default();
        days.weekdays |= weekdays;
        let days = if days == Days::default() { Days::EVERY } else { days };
        let spans = if spans.is_empty() { vec![(0, 24 * 60)] } else { spans };
        let span = |(from_min, to_min)| Span { days: days.clone(), from_min, to_min };
        Some(Hours { spans: spans.into_iter().map(span).collect(), except: except.unwrap_or_default() })
    }
}

fn days(section: &mut Section<'_>) -> Days {
    let month_days = section.all_parsed("month_days", "a day of the month such as \"6\"", |text| {
        text.parse::<u32>().ok().filter(|day| (1..=31).contains(day))
    });
    Days {
        weekdays: weekdays(section, "weekdays"),
        month_days: month_days.into_iter().fold(0, |bits, day| bits | 1 << day),
        dates: section.all_parsed("dates", "a date such as 2026-10-01", LocalDay::parse_iso),
    }
}

fn weekdays(section: &mut Section<'_>, key: &str) -> u8 {
    let found = section.all_parsed(key, "a day such as mon, or days such as mon-fri", parse_weekdays);
    found.into_iter().fold(0, |bits, days| bits | days)
}
