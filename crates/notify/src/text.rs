//! What a message says, in the channel's language.

use sanimon_domain::{AlertEvent, Condition, Severity, SiteCalendar, Subject, metric};
use sanimon_store::{Alert, DirectoryState, OutboxMessage};

use crate::channel::Language;

/// What templates may name.
pub const PLACEHOLDERS: [&str; 12] = [
    "event", "severity", "title", "place", "value", "time", "owner", "deadline", "who", "note", "link",
    "number",
];

/// A site's own wording of a message. `None`: sanimon's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Templates {
    pub subject: Option<String>,
    pub body: Option<String>,
}

impl Templates {
    /// The first placeholder of a template that does not exist.
    pub fn unknown_placeholder(template: &str) -> Option<String> {
        let names = template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
        names.into_iter().find(|name| !PLACEHOLDERS.contains(name)).map(str::to_owned)
    }
}

/// A message in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// One line.
    pub(crate) subject: String,
    /// Several lines, each a fact.
    pub(crate) body: String,
}

/// Puts messages into words: what is around them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageText<'a> {
    pub(crate) language: Language,
    pub(crate) templates: &'a Templates,
    pub(crate) calendar: SiteCalendar,
    pub(crate) site_name: &'a str,
    /// Where the console is; `None`: messages have no link.
    pub(crate) url: Option<&'a str>,
    pub(crate) directory: &'a DirectoryState,
}

const SUBJECT: &str = "[{severity}] {event}: {title}, {place}";
const SUBJECT_ZH: &str = "【{severity}】{event}：{title}，{place}";
const BODY: &str = "Value: {value}\nSince: {time}\nResponsible: {owner}\nDeadline: {deadline}\nBy: {who}\nNote: {note}\n{link}";
const BODY_ZH: &str =
    "数值：{value}\n时间：{time}\n负责：{owner}\n时限：{deadline}\n操作：{who}\n备注：{note}\n{link}";

impl MessageText<'_> {
    const fn pick<'t>(&self, en: &'t str, zh: &'t str) -> &'t str {
        match self.language {
            Language::English => en,
            Language::Chinese => zh,
        }
    }

    /// A test that says that it is one.
    pub(crate) fn test(&self) -> Text {
        let subject = self.pick("This is a test from sanimon", "sanimon 测试消息");
        let body = self.pick("If you can read it, the channel works.", "能看到这条消息，说明通道可用。");
        Text { subject: format!("{subject} ({})", self.site_name), body: body.to_owned() }
    }

    pub(crate) fn message(&self, message: &OutboxMessage, alert: &Alert) -> Text {
        let facts = |name: &str| self.fact(name, message, alert);
        let subject = self.templates.subject.as_deref().unwrap_or_else(|| self.pick(SUBJECT, SUBJECT_ZH));
        let body = self.templates.body.as_deref().unwrap_or_else(|| self.pick(BODY, BODY_ZH));
        Text { subject: fill_line(subject, &facts), body: fill(body, &facts) }
    }

    /// Several messages as one.
    pub(crate) fn digest(&self, messages: &[(OutboxMessage, Alert)]) -> Text {
        let line = |(message, alert): &(OutboxMessage, Alert)| {
            let template = match message.value.or(alert.value) {
                Some(_) => self.pick("- {title}, {place}: {value}", "- {title}，{place}：{value}"),
                None => self.pick("- {title}, {place}", "- {title}，{place}"),
            };
            fill_line(template, &|name: &str| self.fact(name, message, alert))
        };
        let count = messages.len();
        let subject = match self.language {
            Language::English => format!("{count} warning(s), {}", self.site_name),
            Language::Chinese => format!("{}：{count} 条提醒", self.site_name),
        };
        let mut lines: Vec<String> = messages.iter().map(line).collect();
        lines.extend(self.url.map(str::to_owned));
        Text { subject, body: lines.join("\n") }
    }

    fn fact(&self, name: &str, message: &OutboxMessage, alert: &Alert) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        match name {
            "event" => self.event(message).to_owned(),
            "severity" => self.severity(message.severity).to_owned(),
            "title" => self.pick(&alert.title_en, &alert.title_zh).to_owned(),
            "place" => self.place(alert),
            "value" => {
                message.value.or(alert.value).map(|value| self.value(alert, value)).unwrap_or_default()
            }
            "time" => self.calendar.text_of(message.at),
            "owner" => text(&alert.assignee),
            "deadline" => self.deadline(alert),
            "who" => text(&message.who),
            "note" => self.note(message),
            "link" => self.url.map(|url| format!("{url}/?alert={}", alert.id.0)).unwrap_or_default(),
            "number" => alert.id.0.to_string(),
            _ => String::new(),
        }
    }

    fn event(&self, message: &OutboxMessage) -> &str {
        match message.event {
            AlertEvent::Raised => self.pick("New alert", "新告警"),
            AlertEvent::Worsened => self.pick("Worse", "告警升级"),
            AlertEvent::Cleared => self.pick("Cleared", "已恢复"),
            AlertEvent::Dispatched => self.pick("Dispatched", "已派遣"),
            AlertEvent::Escalated => self.pick("Deadline missed", "超时督办"),
            AlertEvent::Reopened => self.pick("Reopened", "重新打开"),
            AlertEvent::Closed => self.pick("Closed", "已结案"),
            AlertEvent::Changed => self.pick("Changed", "已更新"),
        }
    }

    fn severity(&self, severity: Severity) -> &str {
        match severity {
            Severity::Critical => self.pick("Critical", "紧急"),
            Severity::Major => self.pick("Major", "重要"),
            Severity::Minor => self.pick("Minor", "次要"),
            Severity::Warning => self.pick("Warning", "提醒"),
        }
    }

    fn place(&self, alert: &Alert) -> String {
        let zone = alert.zone.as_ref().and_then(|zone| self.directory.zone(zone));
        let zone = zone.map(|zone| self.pick(&zone.name_en, &zone.name_zh).to_owned());
        let subject = match &alert.subject {
            Subject::Device(device) => self.directory.device(*device).map(|device| {
                if device.name.is_empty() {
                    device.id.to_string()
                } else {
                    format!("{} ({})", device.name, device.id)
                }
            }),
            Subject::Group(key) if zone.is_none() => Some(key.id.to_string()),
            Subject::Group(_) => None,
        };
        let parts: Vec<String> = subject.into_iter().chain(zone).collect();
        parts.join(self.pick(", ", "，"))
    }

    fn value(&self, alert: &Alert, value: f64) -> String {
        let unit = metric::info(alert.metric).map_or("", |info| info.unit);
        if alert.metric == metric::SILENCE_MIN {
            let (hours, minutes) = ((value / 60.0).floor(), (value % 60.0).floor());
            return match self.language {
                Language::English => format!("silent for {hours} h {minutes} min"),
                Language::Chinese => format!("已 {hours} 小时 {minutes} 分钟无数据"),
            };
        }
        let rounded = (value * 100.0).round() / 100.0;
        format!("{rounded} {unit}").trim().to_owned()
    }

    /// The first deadline that waits for somebody.
    fn deadline(&self, alert: &Alert) -> String {
        if alert.condition == Condition::Cleared {
            return String::new();
        }
        let by = alert.deadlines;
        let next = match (alert.acknowledged_at, alert.arrived_at) {
            (None, _) => by.acknowledge_by.map(|at| (self.pick("acknowledge by", "确认期限"), at)),
            (Some(_), None) => by.arrive_by.map(|at| (self.pick("on site by", "到场期限"), at)),
            (Some(_), Some(_)) => by.resolve_by.map(|at| (self.pick("fixed by", "办结期限"), at)),
        };
        next.map(|(what, at)| format!("{what} {}", self.calendar.text_of(at))).unwrap_or_default()
    }

    fn note(&self, message: &OutboxMessage) -> String {
        let note = message.note.clone().unwrap_or_default();
        if message.event != AlertEvent::Escalated {
            return note;
        }
        let missed = match note.as_str() {
            "acknowledge" => self.pick("nobody acknowledged it in time", "未按时确认"),
            "arrive" => self.pick("nobody was on site in time", "未按时到场"),
            _ => self.pick("it was not fixed in time", "未按时办结"),
        };
        let to = message.escalated_to.as_deref().unwrap_or_default();
        format!("{missed} → {to}")
    }
}

/// Fills a template; lines whose every placeholder is empty are left out.
fn fill(template: &str, fact: &dyn Fn(&str) -> String) -> String {
    let lines = template.lines().filter_map(|line| {
        let names = || line.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
        let says_nothing = names().next().is_some() && names().all(|name| fact(name).is_empty());
        (!says_nothing).then(|| replace(line, fact))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn fill_line(template: &str, fact: &dyn Fn(&str) -> String) -> String {
    replace(template, fact).trim().to_owned()
}

fn replace(template: &str, fact: &dyn Fn(&str) -> String) -> String {
    let mut parts = template.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((name, rest)) => {
                filled.push_str(&fact(name));
                filled.push_str(rest);
            }
            None => {
                filled.push('{');
                filled.push_str(part);
            }
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_anything_to_say_are_left_out() {
        let fact = |name: &str| if name == "value" { "83 %".to_owned() } else { String::new() };
        assert_eq!(fill("Value: {value}\nBy: {who}\nBye", &fact), "Value: 83 %\nBye");
        assert_eq!(fill_line("{value} { and {who}", &fact), "83 % { and");
    }

    #[test]
    fn a_placeholder_that_does_not_exist_is_named() {
        assert_eq!(Templates::unknown_placeholder("{title} at {place}"), None);
        assert_eq!(Templates::unknown_placeholder("{title} by {colour}"), Some("colour".to_owned()));
    }
}
