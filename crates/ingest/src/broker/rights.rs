//! What a client of the embedded broker may publish and subscribe to.
//!
//! A device's credential is good for the device's own native topics, and for ThingsBoard's `v1/devices/me/`, where the
//! client id says who speaks. A gateway or a platform that speaks for many has a credential that names its topic filters.

use sanimon_store::Credential;

use super::retain::ALERTS_TOPIC;

/// ThingsBoard's topics name no device: the client id does.
const ME: &str = "v1/devices/me/";

/// The rights of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rights {
    /// sanimon itself: it publishes the state of alerts.
    Own,
    /// On this machine, where the site allows it: everything but what sanimon itself says.
    Anything,
    /// The device's own topics.
    Device(String),
    /// What a credential names; where it names nothing, the topics of the device of that name.
    Named { username: String, publish: Vec<String>, subscribe: Vec<String> },
}

impl Rights {
    pub(crate) fn of(credential: &Credential) -> Self {
        let Credential { username, publish, subscribe, .. } = credential;
        if publish.is_empty() && subscribe.is_empty() {
            return Self::Device(username.clone());
        }
        Self::Named { username: username.clone(), publish: publish.clone(), subscribe: subscribe.clone() }
    }

    /// Whether the client speaks for many.
    pub(crate) const fn is_gateway(&self) -> bool {
        matches!(self, Self::Named { .. })
    }

    pub(crate) fn may_publish(&self, topic: &str, client_id: &str) -> bool {
        if topic.starts_with(ALERTS_TOPIC) {
            return *self == Self::Own;
        }
        match self {
            Self::Own => false,
            Self::Anything => true,
            Self::Device(name) => is_own(name, topic, client_id),
            Self::Named { username, publish, .. } => match publish.as_slice() {
                [] => is_own(username, topic, client_id),
                filters => filters.iter().any(|filter| matches(filter, topic)),
            },
        }
    }

    pub(crate) fn may_subscribe(&self, filter: &str, client_id: &str) -> bool {
        match self {
            Self::Own | Self::Anything => true,
            Self::Device(name) => is_own_filter(name, filter, client_id),
            Self::Named { username, subscribe, .. } => match subscribe.as_slice() {
                [] => is_own_filter(username, filter, client_id),
                // A shared subscription takes messages away from others of its group: only what is named exactly.
                allowed if filter.starts_with('$') => allowed.iter().any(|own| own == filter),
                allowed => allowed.iter().any(|own| covers(own, filter)),
            },
        }
    }
}

/// `sanitation/{district}/{kind}/{device}/...`, without wildcards.
fn is_own(name: &str, topic: &str, client_id: &str) -> bool {
    let mut levels = topic.split('/');
    let is_native =
        levels.next() == Some("sanitation") && levels.nth(2) == Some(name) && levels.next().is_some();
    is_native || (topic.starts_with(ME) && client_id == name)
}

/// A filter below the device's own topics; the levels before its name may be wildcards, its name may not.
fn is_own_filter(name: &str, filter: &str, client_id: &str) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    let is_native = levels.len() >= 5
        && levels[0] == "sanitation"
        && levels[1..3].iter().all(|level| *level != "#")
        && levels[3] == name;
    is_native || (filter.starts_with(ME) && client_id == name)
}

/// Whether a topic is one of a filter's (MQTT 5, 4.7). A wildcard at the beginning does not match `$` topics.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        return false;
    }
    let mut topic = topic.split('/');
    for level in filter.split('/') {
        match (level, topic.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(own)) if level == own => {}
            _ => return false,
        }
    }
    topic.next().is_none()
}

/// Whether a filter asks for nothing that another one does not allow.
fn covers(allowed: &str, asked: &str) -> bool {
    let mut asked = asked.split('/');
    for level in allowed.split('/') {
        match (level, asked.next()) {
            ("#", _) => return true,
            ("+", Some(own)) if own != "#" => {}
            (level, Some(own)) if level == own => {}
            _ => return false,
        }
    }
    asked.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device() -> Rights {
        Rights::Device("b-1".to_owned())
    }

    fn gateway(publish: &[&str], subscribe: &[&str]) -> Rights {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Rights::Named { username: "gw".to_owned(), publish: texts(publish), subscribe: texts(subscribe) }
    }

    #[test]
    fn a_device_publishes_below_its_own_topics_only() {
        for (topic, may) in [
            ("sanitation/east/bin/b-1/telemetry", true),
            ("sanitation/west/drain/b-1/status", true),
            ("sanitation/east/bin/b-2/telemetry", false),
            ("sanitation/east/bin/b-1", false),
            ("sanitation/east/b-1/b-2/telemetry", false),
            ("sanitation/b-1/bin/b-2/b-1", false),
            ("sanitation/east/bin/b-1x/telemetry", false),
            ("sanitation/alerts/b-1/b-1/b-1", false),
            ("other/east/bin/b-1/telemetry", false),
            ("v1/devices/me/telemetry", false),
            ("$SYS/b-1", false),
            ("", false),
        ] {
            assert_eq!(device().may_publish(topic, "client"), may, "{topic}");
        }
        assert!(device().may_publish("v1/devices/me/telemetry", "b-1"));
    }

    #[test]
    fn a_device_hears_nothing_that_is_not_its_own() {
        for (filter, may) in [
            ("sanitation/+/+/b-1/command", true),
            ("sanitation/east/bin/b-1/#", true),
            ("sanitation/+/+/+/command", false),
            ("sanitation/+/+/#", false),
            ("sanitation/#", false),
            ("#", false),
            ("+/+/+/+/+", false),
            ("$share/g/sanitation/+/+/b-1/command", false),
            ("$share/g/#", false),
            ("$SYS/#", false),
            ("sanitation/alerts/#", false),
            ("/sanitation/+/+/b-1/command", false),
        ] {
            assert_eq!(device().may_subscribe(filter, "client"), may, "{filter}");
        }
    }

    #[test]
    fn a_gateway_has_what_its_credential_names() {
        let gateway = gateway(&["application/+/device/+/event/+"], &["application/#", "sanitation/alerts/#"]);
        assert!(gateway.may_publish("application/1/device/ff/event/up", "x"));
        assert!(!gateway.may_publish("application/1/device/ff/event/up/x", "x"));
        assert!(!gateway.may_publish("sanitation/east/bin/b-1/telemetry", "x"));
        assert!(!gateway.may_publish("sanitation/alerts/z/1", "x"));
        assert!(gateway.may_subscribe("application/1/#", "x"));
        assert!(gateway.may_subscribe("sanitation/alerts/+/+", "x"));
        assert!(!gateway.may_subscribe("sanitation/#", "x"));
        assert!(!gateway.may_subscribe("$share/g/application/#", "x"));
    }

    #[test]
    fn wildcards_do_not_reach_the_brokers_own_topics() {
        assert!(!gateway(&["#"], &["#"]).may_publish("$SYS/x", "x"));
        assert!(!gateway(&["#"], &["#"]).may_publish("sanitation/alerts/z/1", "x"));
        assert!(!gateway(&["#"], &["#"]).may_subscribe("$SYS/#", "x"));
    }

    fn level() -> impl Strategy<Value = String> {
        prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("+".to_owned()), Just(String::new())]
    }

    fn filter() -> impl Strategy<Value = String> {
        (prop::collection::vec(level(), 1..5), any::<bool>()).prop_map(|(mut levels, all)| {
            if all {
                levels.push("#".to_owned());
            }
            levels.join("/")
        })
    }

    proptest! {
        /// What a filter covers matches nothing that the covering one does not.
        #[test]
        fn covering_is_sound(
            allowed in filter(),
            asked in filter(),
            topic in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("")], 1..6),
        ) {
            let topic = topic.join("/");
            if covers(&allowed, &asked) && matches(&asked, &topic) {
                prop_assert!(matches(&allowed, &topic), "{} {} {}", allowed, asked, topic);
            }
        }
    }
}
