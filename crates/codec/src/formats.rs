//! Which format a topic's messages have: the native contract, and what a site has bound to other topics.

use sanimon_domain::units::{self, Scale};
use sanimon_domain::{DeviceKind, FaultCode, SiteCalendar, TimeReader, TimestampMs};

use crate::decoded::Decoded;
use crate::envelope;
use crate::native;
use crate::sample::Samples;
use crate::topic::{self, Channel};

macro_rules! formats {
    ($($(#[$doc:meta])* $variant:ident => $word:literal),+ $(,)?) => {
        /// Formats that can be bound to topics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Format { $($(#[$doc])* $variant),+ }

        impl Format {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

formats! {
    /// ChirpStack v4, JSON.
    Chirpstack => "chirpstack",
    /// The Things Stack v3.
    Tts => "tts",
    /// ThingsBoard's device and gateway API.
    Thingsboard => "thingsboard",
    /// Huawei Cloud IoTDA's property reports.
    Huawei => "huawei",
    /// Aliyun's Alink property posts.
    Aliyun => "aliyun",
    /// OneNET Studio and its relatives: the same body as Alink.
    Onenet => "onenet",
    Tasmota => "tasmota",
    /// China Telecom's CTWing, pushed through a bridge.
    Ctwing => "ctwing",
    /// T-Mobile IoT Creators, through a bridge.
    Iotcreators => "iotcreators",
    /// Any JSON object: nested names are joined by `_`.
    Json => "json",
    /// A binary frame as hexadecimal digits.
    Hex => "hex",
    Base64 => "base64",
    /// A binary frame as it is.
    Binary => "binary",
}

impl Format {
    /// Where its messages usually are; `{device}` stands for the level that names the device.
    pub const fn default_topics(self) -> &'static [&'static str] {
        match self {
            Self::Chirpstack => &["application/+/device/{device}/event/+"],
            Self::Tts => &["v3/+/devices/{device}/#"],
            Self::Thingsboard => &["v1/devices/me/telemetry", "v2/t", "v1/gateway/telemetry"],
            Self::Huawei => &[
                "$oc/devices/{device}/sys/properties/report",
                "$oc/devices/{device}/sys/gateway/sub_devices/properties/report",
            ],
            Self::Aliyun => &["/sys/+/{device}/thing/event/property/post"],
            Self::Onenet => &["$sys/+/{device}/thing/property/post", "sys/+/{device}/thing/properties/up"],
            Self::Tasmota => &["tele/{device}/SENSOR", "tele/{device}/LWT"],
            Self::Ctwing | Self::Iotcreators | Self::Json | Self::Hex | Self::Base64 | Self::Binary => &[],
        }
    }

    /// Whether the topic must say which device speaks, for the message does not.
    pub const fn needs_device_in_topic(self) -> bool {
        matches!(
            self,
            Self::Huawei
                | Self::Aliyun
                | Self::Onenet
                | Self::Tasmota
                | Self::Hex
                | Self::Base64
                | Self::Binary
        )
    }
}

/// Stands for the level that names the device.
const DEVICE: &str = "{device}";

/// What a topic that a pattern matches says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Matched<'a> {
    device: Option<&'a str>,
}

/// An MQTT topic filter in which one level may be `{device}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    levels: Vec<Box<str>>,
    device: Option<usize>,
}

impl TopicPattern {
    /// `None` for a filter that MQTT does not allow, or with two `{device}`.
    pub fn new(text: &str) -> Option<Self> {
        let levels: Vec<Box<str>> = text.split('/').map(Into::into).collect();
        let is_sound = |(index, level): (usize, &str)| match level {
            "#" => index == levels.len() - 1,
            "+" | DEVICE => true,
            level => !level.contains(['+', '#', '{', '}', '\0']),
        };
        let names: Vec<usize> = (0..levels.len()).filter(|index| &*levels[*index] == DEVICE).collect();
        let sound = !text.is_empty()
            && text.len() <= 256
            && levels.iter().map(|level| &**level).enumerate().all(is_sound);
        (sound && names.len() <= 1).then(|| Self { device: names.first().copied(), levels })
    }

    /// As a broker understands it.
    pub fn filter(&self) -> String {
        let levels = self.levels.iter().map(|level| if &**level == DEVICE { "+" } else { &**level });
        levels.collect::<Vec<_>>().join("/")
    }

    pub fn names_device(&self) -> bool {
        self.device.is_some()
    }

    /// `None` if the topic is another.
    fn matches<'a>(&self, topic: &'a str) -> Option<Matched<'a>> {
        let mut levels = topic.split('/');
        let mut device = None;
        for wanted in &self.levels {
            if &**wanted == "#" {
                return Some(Matched { device });
            }
            let level = levels.next()?;
            match &**wanted {
                "+" => {}
                DEVICE => device = Some(level),
                exact if exact == level => {}
                _ => return None,
            }
        }
        levels.next().is_none().then_some(Matched { device })
    }
}

/// What a foreign name is called here: one of our metrics, perhaps in another unit, or another name.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    pub from: Box<str>,
    pub to: Box<str>,
    pub factor: f64,
}

impl Mapping {
    /// `fill_pct`, `distance_cm` or `flow_m3h * 0.001`; `None` for something else.
    pub fn parse(from: &str, text: &str) -> Option<Self> {
        let (to, factor) = match text.split_once('*') {
            Some((to, factor)) => (to.trim(), factor.trim().parse::<f64>().ok().filter(|f| f.is_finite())?),
            None => (text.trim(), 1.0),
        };
        let sound = sanimon_domain::metric::is_keepable_name(to) && factor != 0.0;
        sound.then(|| Self { from: from.into(), to: to.into(), factor })
    }
}

/// Topics and their format.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    pub topics: Vec<TopicPattern>,
    pub format: Format,
    /// For devices of which the registry knows no model.
    pub model: Option<Box<str>>,
    /// For devices that are heard for the first time.
    pub kind: Option<DeviceKind>,
    pub map: Vec<Mapping>,
    /// Where a JSON message names its device and its time: `Message.IMEI`.
    pub device_field: Option<Box<str>>,
    pub time_field: Option<Box<str>>,
}

impl Binding {
    /// A format on its usual topics.
    pub fn usual(format: Format) -> Self {
        let topics = format.default_topics().iter().filter_map(|text| TopicPattern::new(text)).collect();
        Self {
            topics,
            format,
            model: None,
            kind: None,
            map: Vec::new(),
            device_field: None,
            time_field: None,
        }
    }

    /// What a foreign name is here: the site's own word, else what the name most likely means, else itself.
    pub(crate) fn named(&self, name: &str) -> (String, Scale) {
        name_here(&self.map, name)
    }
}

/// What a foreign name is here, and how its numbers become ours.
pub(crate) fn name_here(map: &[Mapping], name: &str) -> (String, Scale) {
    if let Some(mapping) = map.iter().find(|mapping| &*mapping.from == name) {
        return (mapping.to.to_string(), Scale { factor: mapping.factor, offset: 0.0 });
    }
    if let Some(conversion) = units::likely(name) {
        let known = sanimon_domain::metric::info(conversion.metric).map_or("", |info| info.name);
        return (known.to_owned(), conversion.scale);
    }
    let keepable = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '_' };
    (name.chars().map(keepable).collect(), Scale::SAME)
}

/// A message on its way in.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub received: TimestampMs,
    /// MQTT's client id, where the source knows it: a device's name on ThingsBoard's `me` topics.
    pub client_id: Option<&'a str>,
}

/// The formats of a site.
#[derive(Debug, Clone)]
pub struct Formats {
    bindings: Vec<Binding>,
    calendar: SiteCalendar,
}

impl Default for Formats {
    fn default() -> Self {
        Self::new(Vec::new(), SiteCalendar::utc())
    }
}

impl Formats {
    /// The calendar is for devices that tell the wall clock's time.
    pub fn new(bindings: Vec<Binding>, calendar: SiteCalendar) -> Self {
        Self { bindings, calendar }
    }

    /// What a broker must be asked for, besides the native topics.
    pub fn topic_filters(&self) -> Vec<String> {
        self.bindings.iter().flat_map(|binding| &binding.topics).map(TopicPattern::filter).collect()
    }

    /// Whether a topic is bound, for topics that brokers keep for themselves otherwise.
    pub fn is_bound(&self, topic: &str) -> bool {
        self.find(topic).is_some()
    }

    fn find<'a>(&self, topic: &'a str) -> Option<(&Binding, Option<&'a str>)> {
        self.bindings.iter().find_map(|binding| {
            let device = binding.topics.iter().find_map(|pattern| pattern.matches(topic))?;
            Some((binding, device.device))
        })
    }

    /// Reads times of devices that were heard at this time.
    pub fn times(&self, received: TimestampMs) -> TimeReader {
        TimeReader::new(self.calendar, received)
    }

    /// Decodes a message. Binary frames stay as they are: their models are the registry's.
    pub fn decode(&self, message: Incoming<'_>) -> Decoded {
        let times = self.times(message.received);
        match self.find(message.topic) {
            Some((binding, device)) => {
                let mut decoded = envelope::decode(binding, device, message, times);
                for report in &mut decoded.reports {
                    report.sender.kind = report.sender.kind.or(binding.kind);
                    if report.sender.model.is_none() {
                        report.sender.model.clone_from(&binding.model);
                    }
                }
                decoded
            }
            None => native_message(message, times),
        }
    }
}

fn native_message(message: Incoming<'_>, times: TimeReader) -> Decoded {
    let (sender, channel) = match topic::parse(message.topic) {
        Ok(parsed) => parsed,
        Err(fault) => return Decoded::of(Err(fault), Samples::default()),
    };
    let status = match channel {
        Channel::Telemetry => return Decoded::of(Ok(sender), native::telemetry(message.payload, times)),
        Channel::Status => message.payload.trim_ascii(),
    };
    let mut decoded = Decoded::default();
    match status {
        b"online" => decoded.add_status(sender, true),
        b"offline" => decoded.add_status(sender, false),
        _ => {
            let mut samples = Samples::default();
            samples.fault(FaultCode::BadStatus, "a status is the text `online` or `offline`");
            decoded.add(Ok(sender), samples);
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_mqtt_does_and_finds_the_device() {
        let found = |pattern: &str, topic| TopicPattern::new(pattern).expect(pattern).matches(topic);
        for (pattern, topic, expected) in [
            ("a/{device}/c", "a/b/c", Some("b")),
            ("a/{device}/c", "a/b/d", None),
            ("a/{device}/c", "a/b/c/d", None),
            ("a/{device}/#", "a/b/c/d", Some("b")),
            ("a/+", "a/b", Some("")),
            ("a/#", "a", Some("")),
            ("/sys/+/{device}/x", "/sys/key/d-1/x", Some("d-1")),
        ] {
            let device = found(pattern, topic).map(|matched| matched.device.unwrap_or_default());
            assert_eq!(device, expected, "{pattern} {topic}");
        }
        for wrong in ["", "a/#/b", "a+/b", "{device}/{device}", "a/b{device}"] {
            assert_eq!(TopicPattern::new(wrong), None, "{wrong}");
        }
        assert_eq!(
            TopicPattern::new("a/{device}/#").map(|pattern| pattern.filter()),
            Some("a/+/#".to_owned())
        );
    }

    #[test]
    fn a_mapping_has_a_name_and_a_factor() {
        let mapping = Mapping::parse("WF", "flow_m3h * 0.001").expect("a mapping");
        assert_eq!((&*mapping.to, mapping.factor), ("flow_m3h", 0.001));
        for wrong in ["", "a b", "fill_pct * x", "fill_pct * 0"] {
            assert_eq!(Mapping::parse("x", wrong), None, "{wrong}");
        }
    }
}
