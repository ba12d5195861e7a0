//! Who is told of what, and when: the pure half of messages. Delivery is `notify`'s.

use sanimon_domain::time::DAY_MS;
use sanimon_domain::{Hours, Severity, SiteCalendar, TimestampMs, ZoneId};

pub use sanimon_domain::AlertEvent as Event;

/// What a channel is told.
#[derive(Debug, Clone, PartialEq)]
pub struct NotificationRule {
    /// The channel's name: unique in a site.
    pub channel: String,
    pub events: Vec<Event>,
    /// This severity and worse ones.
    pub min_severity: Severity,
    /// Empty: every zone, and what is in none.
    pub zones: Vec<ZoneId>,
    /// Empty: whoever's. Otherwise alerts of these teams or persons, and what is escalated to them.
    pub teams: Vec<String>,
    /// Warnings are gathered and told once a day at this minute.
    pub digest_at_min: Option<u16>,
    /// Hours in which only critical alerts are told; the rest waits for their end.
    pub quiet_hours: Option<Hours>,
    /// It holds the state of each open alert: every change goes there, at once and in order.
    pub publishes_state: bool,
    /// A message that could not be delivered for so long is given up.
    pub expires_ms: i64,
}

/// Something to be told.
#[derive(Debug, Clone, Copy)]
pub struct Notification<'a> {
    pub event: Event,
    pub severity: Severity,
    pub zone: Option<&'a ZoneId>,
    /// Whose the alert is.
    pub owner: Option<&'a str>,
    /// To whom it was escalated.
    pub to: Option<&'a str>,
    pub at: TimestampMs,
}

/// When a message goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub at: TimestampMs,
    /// Together with the other warnings of the day.
    pub is_digest: bool,
}

impl NotificationRule {
    /// Tells of these events of every alert, at once. What could not be delivered for a day is given up.
    pub fn new(channel: impl Into<String>, events: Vec<Event>) -> Self {
        Self {
            channel: channel.into(),
            events,
            min_severity: Severity::Warning,
            zones: Vec::new(),
            teams: Vec::new(),
            digest_at_min: None,
            quiet_hours: None,
            publishes_state: false,
            expires_ms: DAY_MS,
        }
    }

    /// When the channel is to be told; `None`: it is not its business.
    pub fn due(&self, calendar: SiteCalendar, notification: &Notification<'_>) -> Option<Due> {
        let at_once = Due { at: notification.at, is_digest: false };
        let wants_event = self.publishes_state || self.events.contains(&notification.event);
        let wants_zone =
            self.zones.is_empty() || notification.zone.is_some_and(|zone| self.zones.contains(zone));
        let is_theirs = |who: Option<&str>| who.is_some_and(|who| self.teams.iter().any(|team| team == who));
        let wants_owner =
            self.teams.is_empty() || is_theirs(notification.owner) || is_theirs(notification.to);
        if !(wants_event && wants_zone && wants_owner && notification.severity >= self.min_severity) {
            return None;
        }
        if self.publishes_state || notification.severity == Severity::Critical {
            return Some(at_once);
        }
        if let Some(minute) = self.digest_at_min.filter(|_| notification.severity == Severity::Warning) {
            return Some(Due { at: next_minute(calendar, minute, notification.at), is_digest: true });
        }
        let after_quiet = self
            .quiet_hours
            .as_ref()
            .map_or(notification.at, |quiet_hours| end_of(quiet_hours, calendar, notification.at));
        Some(Due { at: after_quiet, is_digest: false })
    }
}

/// The next time that the clock shows this minute of the day.
fn next_minute(calendar: SiteCalendar, minute: u16, at: TimestampMs) -> TimestampMs {
    let today = calendar.day_of(at);
    let instants = (0..3).map(|ahead| calendar.instant(today.plus(ahead), minute));
    instants.into_iter().find(|instant| *instant > at).unwrap_or(at)
}

/// The first instant outside: hours are looked through by the quarter, for a day.
fn end_of(hours: &Hours, calendar: SiteCalendar, at: TimestampMs) -> TimestampMs {
    const QUARTER_MS: i64 = 15 * sanimon_domain::time::MINUTE_MS;
    if !hours.contains(calendar, at) {
        return at;
    }
    let next = at.plus_ms(QUARTER_MS - at.0.rem_euclid(QUARTER_MS));
    let quarters = (0..24 * 4 * 7).map(|n| next.plus_ms(n * QUARTER_MS));
    quarters.into_iter().find(|instant| !hours.contains(calendar, *instant)).unwrap_or(next)
}

#[cfg(test)]
mod tests {
    use sanimon_domain::{Days, Span};

    use super::*;

    fn at(text: &str) -> TimestampMs {
        TimestampMs::parse_rfc3339(text).expect("a time")
    }

    fn rule() -> NotificationRule {
        let night = Hours {
            spans: vec![Span { days: Days::EVERY, from_min: 19 * 60, to_min: 7 * 60 }],
            except: Days::default(),
        };
        NotificationRule {
            channel: "chat".to_owned(),
            events: vec![Event::Raised, Event::Escalated],
            min_severity: Severity::Warning,
            zones: Vec::new(),
            teams: Vec::new(),
            digest_at_min: Some(8 * 60),
            quiet_hours: Some(night),
            publishes_state: false,
            expires_ms: 0,
        }
    }

    fn notification(severity: Severity, time: &str) -> Notification<'static> {
        Notification {
            event: Event::Raised,
            severity,
            zone: None,
            owner: Some("east"),
            to: None,
            at: at(time),
        }
    }

    fn due(rule: &NotificationRule, notification: Notification<'_>) -> Option<(String, bool)> {
        let calendar = SiteCalendar::named("Asia/Shanghai").expect("a zone");
        rule.due(calendar, &notification).map(|due| (due.at.to_string(), due.is_digest))
    }

    #[test]
    fn only_critical_alerts_page_at_night_and_warnings_come_once_a_day() {
        let night = "2026-03-05T23:10:00+08:00";
        let told = |severity| due(&rule(), notification(severity, night));
        assert_eq!(told(Severity::Critical), Some(("2026-03-05T15:10:00.000Z".to_owned(), false)));
        assert_eq!(told(Severity::Major), Some(("2026-03-05T23:00:00.000Z".to_owned(), false)));
        assert_eq!(told(Severity::Warning), Some(("2026-03-06T00:00:00.000Z".to_owned(), true)));
        let day = notification(Severity::Major, "2026-03-05T12:00:00+08:00");
        assert_eq!(due(&rule(), day), Some(("2026-03-05T04:00:00.000Z".to_owned(), false)));
    }

    #[test]
    fn a_channel_hears_what_is_its_business() {
        let noon = notification(Severity::Major, "2026-03-05T12:00:00+08:00");
        let theirs = NotificationRule { teams: vec!["west".to_owned()], ..rule() };
        assert_eq!(due(&theirs, noon), None);
        assert!(due(&theirs, Notification { to: Some("west"), ..noon }).is_some());
        let worse = NotificationRule { min_severity: Severity::Critical, ..rule() };
        assert_eq!(due(&worse, noon), None);
        assert_eq!(due(&rule(), Notification { event: Event::Cleared, ..noon }), None);
        let zone = NotificationRule { zones: vec![ZoneId::new("market").expect("an id")], ..rule() };
        assert_eq!(due(&zone, noon), None);
        let mirror = NotificationRule { publishes_state: true, ..rule() };
        assert!(due(&mirror, Notification { event: Event::Changed, ..noon }).is_some());
    }
}
