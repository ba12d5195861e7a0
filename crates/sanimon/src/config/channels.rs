//! `[[channel]]`: to whom alerts are told.

use sanimon_domain::Severity;
use sanimon_domain::hours::parse_span;
use sanimon_domain::time::DAY_MS;
use sanimon_notify::{ChannelKind, ChatBot, Credentials, Language, PLACEHOLDERS, Templates, Tls};
use sanimon_operations::routing::{Event, NotificationRule};

use super::hours::Calendars;
use super::reader::{Section, duration_ms};
use super::rules::zones;

/// The embedded broker's name as a channel's `broker`.
const EMBEDDED: &str = "embedded";
/// What a channel is told if it does not say.
const DEFAULT_EVENTS: [Event; 5] =
    [Event::Raised, Event::Worsened, Event::Escalated, Event::Reopened, Event::Cleared];

/// A channel: what it is told, and how.
#[derive(Debug, Clone)]
pub(crate) struct ChannelConfig {
    pub(crate) route: NotificationRule,
    pub(crate) language: Language,
    pub(crate) target: Target,
    pub(crate) templates: Templates,
}

/// Where it is.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Ready(ChannelKind),
    /// A broker by its name, or the embedded one.
    Broker(Option<String>),
}

pub(super) fn read(root: &mut Section<'_>) -> Vec<ChannelConfig> {
    let line = root.line;
    let channels: Vec<Option<ChannelConfig>> = root.tables("channel", channel);
    let channels: Vec<ChannelConfig> = channels.into_iter().flatten().collect();
    for (index, channel) in channels.iter().enumerate() {
        if channels[..index].iter().any(|earlier| earlier.route.channel == channel.route.channel) {
            let name = &channel.route.channel;
            root.fault(line, format!("two channels are named `{name}`: give each a name of its own"));
        }
    }
    channels
}

fn channel(section: &mut Section<'_>) -> Option<ChannelConfig> {
    let name = section.text_required("name").map(|(name, _)| name);
    let language = section.parsed("language", "en or zh", Language::parse).unwrap_or(Language::Chinese);
    let target = target(section);
    let publishes_state = matches!(target, Some(Target::Broker(_)));
    let events = section.all_parsed("events", &events_known(), Event::parse);
    let min_severity = section.parsed("severity", "critical, major, minor or warning", Severity::parse);
    let digest_at_min = section.parsed("digest", "a time of day such as 08:00", |text| {
        parse_span(&format!("{text}-24:00")).map(|(minute, _)| minute)
    });
    let quiet_hours = section.table("quiet", |section| Calendars::default().hours(section)).flatten();
    let expires_ms = section.parsed("expires", "a duration such as 24h", duration_ms).unwrap_or(DAY_MS);
    let teams = section.texts("teams").into_iter().map(|(team, _)| team).collect();
    let route = NotificationRule {
        channel: name?,
        events: if events.is_empty() { DEFAULT_EVENTS.to_vec() } else { events },
        min_severity: min_severity.unwrap_or(Severity::Warning),
        zones: zones(section),
        teams,
        digest_at_min,
        quiet_hours,
        publishes_state,
        expires_ms,
    };
    let templates = Templates { subject: template(section, "subject"), body: template(section, "body") };
    Some(ChannelConfig { route, language, target: target?, templates })
}

fn events_known() -> String {
    Event::ALL.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(", ")
}

fn template(section: &mut Section<'_>, key: &str) -> Option<String> {
    let (text, line) = section.text(key)?;
    if let Some(unknown) = Templates::unknown_placeholder(&text) {
        let known = PLACEHOLDERS.join("}, {");
        section.fault(line, format!("`{key}` names {{{unknown}}}, which is nothing: there are {{{known}}}"));
    }
    Some(text)
}

/// A secret from the file, from a file that it names, or from the environment.
fn secret(section: &mut Section<'_>, key: &str) -> Option<String> {
    let from_file = section.file_text(&format!("{key}_file"));
    section.text(key).map(|(secret, _)| secret).or(from_file)
}

fn target(section: &mut Section<'_>) -> Option<Target> {
    const KINDS: &str = "webhook, email, wecom, dingtalk, feishu or mqtt";
    section.text_required("kind");
    let kind = section.parsed("kind", KINDS, |text| {
        ["webhook", "email", "wecom", "dingtalk", "feishu", "mqtt"].iter().find(|known| **known == text)
    })?;
    let chat_bot = |bot, section: &mut Section<'_>| {
        let (url, secret) = (url(section), secret(section, "secret"));
        Some(Target::Ready(ChannelKind::ChatBot { bot, url: url?, secret }))
    };
    match *kind {
        "webhook" => {
            let (url, secret) = (url(section), secret(section, "secret"));
            Some(Target::Ready(ChannelKind::Webhook { url: url?, secret }))
        }
        "wecom" => chat_bot(ChatBot::WeCom, section),
        "dingtalk" => chat_bot(ChatBot::DingTalk, section),
        "feishu" => chat_bot(ChatBot::Feishu, section),
        "email" => email(section).map(Target::Ready),
        _ => {
            let broker = section.text("broker").map(|(name, _)| name);
            Some(Target::Broker(broker.filter(|name| name != EMBEDDED)))
        }
    }
}

/// The address of a chat bot or a webhook holds a key more often than not: it may stand in a file.
fn url(section: &mut Section<'_>) -> Option<String> {
    let from_file = section.file_text("url_file");
    let is_url = |text: &str| text.starts_with("https://") || text.starts_with("http://");
    let written = section.parsed("url", "an address that begins with https:// or http://", |text| {
        is_url(text).then(|| text.to_owned())
    });
    let url = written.or(from_file);
    if url.is_none() {
        section.fault(section.line, "`url` is missing: write it here or give a `url_file`");
    }
    url
}

fn email(section: &mut Section<'_>) -> Option<ChannelKind> {
    let host = section.text_required("host").map(|(host, _)| host);
    let tls = section.parsed("tls", "implicit, starttls or none", |text| match text {
        "implicit" => Some(Tls::Implicit),
        "starttls" => Some(Tls::StartTls),
        "none" => Some(Tls::None),
        _ => None,
    });
    let tls = tls.unwrap_or(Tls::StartTls);
    let default_port = match tls {
        Tls::Implicit => 465,
        Tls::StartTls => 587,
        Tls::None => 25,
    };
    let port = section.integer("port", 1..=65_535).map_or(default_port, |port| port as u16);
    let username = section.text("username").map(|(name, _)| name);
    let password = secret(section, "password");
    let credentials =
        username.map(|username| Credentials { username, password: password.unwrap_or_default() });
    let from = section.text_required("from").map(|(from, _)| from);
    let to = section.all_parsed("to", "an address such as chief@town.example", |text| {
        text.contains('@').then(|| text.to_owned())
    });
    if to.is_empty() {
        section.fault(section.line, "`to` is missing: write to = [\"chief@town.example\"]");
        return None;
    }
    Some(ChannelKind::Email { host: host?, port, tls, credentials, from: from?, to })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reader::Document;

    fn channels(text: &str) -> Result<Vec<ChannelConfig>, Vec<String>> {
        let mut document = Document::of("s.toml", text);
        let channels = document.parse(read);
        let faults: Vec<String> = document.faults.iter().map(ToString::to_string).collect();
        if faults.is_empty() { Ok(channels.unwrap_or_default()) } else { Err(faults) }
    }

    #[test]
    fn a_channel_says_what_it_is_told_and_how() {
        let text = "[[channel]]\nname = \"chat\"\nkind = \"wecom\"\nurl = \"https://q.example/key\"\nseverity = \"major\"\n\
                    digest = \"08:30\"\n[channel.quiet]\nhours = [\"19:00-07:00\"]\n\
                    [[channel]]\nname = \"state\"\nkind = \"mqtt\"\n";
        let found = channels(text).expect("sound channels");
        assert_eq!(found[0].route.digest_at_min, Some(510));
        assert_eq!(found[0].route.min_severity, Severity::Major);
        assert!(found[0].route.quiet_hours.is_some());
        assert!(matches!(found[1].target, Target::Broker(None)) && found[1].route.publishes_state);
    }

    #[test]
    fn faults_are_named_with_what_to_write() {
        let text = "[[channel]]\nname = \"a\"\nkind = \"pigeon\"\n[[channel]]\nname = \"b\"\nkind = \"webhook\"\n\
                    body = \"{colour}\"\n[[channel]]\nname = \"c\"\nkind = \"email\"\nhost = \"h\"\nfrom = \"a@b\"\n";
        let faults = channels(text).expect_err("faults");
        for expected in [
            "s.toml:3: ",
            "s.toml:4: `url` is missing",
            "s.toml:7: `body` names {colour}",
            "s.toml:8: `to` is missing",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected} in {faults:#?}");
        }
    }
}
