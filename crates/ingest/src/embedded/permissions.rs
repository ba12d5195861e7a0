//! Who may what: credentials become accounts with rights.
//!
//! A device's credential is good for the device's own native topics, and for ThingsBoard's `v1/devices/me/`, where the
//! client id says who speaks. A gateway or a platform that speaks for many has a credential that names its topic filters.

use std::sync::Arc;

use sanimon_broker::account::Account;
use sanimon_broker::rights::Rights;
use sanimon_broker::{Asked, Filter, Permissions, Reason, SignIn};
use sanimon_store::{Credential, Shared};

use crate::queue::Queue;

/// ThingsBoard's topics name no device: the client id does.
const ME: &str = "v1/devices/me/#";
/// What a client certificate's name is called as an owner: no username has a slash.
const CERTIFICATE: &str = "certificate/";

#[derive(Debug)]
pub(super) struct Credentials {
    shared: Shared,
    queue: Queue,
    /// Some listener lets clients in that have no name.
    has_nameless: bool,
}

impl Credentials {
    pub(super) const fn new(shared: Shared, queue: Queue, has_nameless: bool) -> Self {
        Self { shared, queue, has_nameless }
    }
}

impl Permissions for Credentials {
    fn sign_in(&self, who: &SignIn<'_>) -> Result<Account, Reason> {
        match (who.username, who.password, who.certificate_name) {
            (Some(username), Some(password), _) => {
                let found = self.shared.access.credential(username, password, self.queue.now());
                found.map(|own| account(&own, who.client_id)).ok_or(Reason::BadUsernameOrPassword)
            }
            (Some(username), None, Some(name)) if username == name => Ok(certified(name, who.client_id)),
            (None, _, Some(name)) => Ok(certified(name, who.client_id)),
            (None, None, None) if who.may_be_nameless => Ok(Account::nameless()),
            (Some(_), None, _) => Err(Reason::BadUsernameOrPassword),
            _ => Err(Reason::NotAuthorized),
        }
    }

    fn now(&self, owner: &Arc<str>, credential: Option<i64>, client_id: &str) -> Option<Account> {
        if let Some(id) = credential {
            let found = self.shared.access.valid_credential(owner, id, self.queue.now())?;
            return Some(account(&found, client_id));
        }
        match owner.strip_prefix(CERTIFICATE) {
            // Whether a certificate was revoked is asked at its next handshake.
            Some(name) => Some(certified(name, client_id)),
            None => (self.has_nameless && owner.is_empty()).then(Account::nameless),
        }
    }

    fn is_bound(&self, topic: &str) -> bool {
        self.queue.decoder().formats().is_bound(topic)
    }
}

fn account(credential: &Credential, client_id: &str) -> Account {
    let Credential { id, username, publish, subscribe, expires_at, .. } = credential;
    let (own_publish, own_subscribe) = own(username, client_id);
    let named = |texts: &[String], own: Vec<Filter>| -> Vec<Filter> {
        // A filter that an earlier version took, and that is none, gives no right.
        if texts.is_empty() {
            own
        } else {
            texts.iter().filter_map(|text| Filter::parse(text).ok()).collect()
        }
    };
    let asked: Vec<Asked> = if subscribe.is_empty() {
        own_subscribe
    } else {
        subscribe.iter().filter_map(|text| Asked::parse(text).ok()).collect()
    };
    Account {
        owner: username.as_str().into(),
        credential: Some(*id),
        rights: Rights::new(named(publish, own_publish), asked),
        is_gateway: !(publish.is_empty() && subscribe.is_empty()),
        may_expire: expires_at.is_some(),
    }
}

fn certified(name: &str, client_id: &str) -> Account {
    let (publish, subscribe) = own(name, client_id);
    Account {
        owner: format!("{CERTIFICATE}{name}").into(),
        credential: None,
        rights: Rights::new(publish, subscribe),
        is_gateway: false,
        may_expire: false,
    }
}

/// What is below `sanitation/{district}/{kind}/{device}/`, and ThingsBoard's topics for the client that is called so. A name
/// that is no level of a topic has none.
fn own(name: &str, client_id: &str) -> (Vec<Filter>, Vec<Asked>) {
    let is_level = !name.is_empty() && !name.contains(['/', '+', '#']);
    let native = is_level.then(|| format!("sanitation/+/+/{name}/+/#"));
    let texts = native.into_iter().chain((client_id == name).then(|| ME.to_owned()));
    let filters: Vec<Filter> = texts.filter_map(|text| Filter::parse(&text).ok()).collect();
    let subscribe = filters.iter().cloned().map(Asked::Plain);
    // A device may also ask for all below its name.
    let all = is_level.then(|| format!("sanitation/+/+/{name}/#")).and_then(|text| Asked::parse(&text).ok());
    let subscribe = subscribe.chain(all).collect();
    (filters, subscribe)
}

#[cfg(test)]
mod tests {
    use sanimon_broker::Topic;
    use sanimon_domain::TimestampMs;

    use super::*;

    fn topic(text: &str) -> Topic {
        Topic::parse(text).expect(text)
    }

    fn asked(text: &str) -> Asked {
        Asked::parse(text).expect(text)
    }

    fn device(client_id: &str) -> Rights {
        certified("b-1", client_id).rights
    }

    fn gateway(publish: &[&str], subscribe: &[&str]) -> Rights {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let credential = Credential {
            id: 1,
            username: "gw".to_owned(),
            salt: [0; 16],
            secret_sha256: [0; 32],
            publish: texts(publish),
            subscribe: texts(subscribe),
            created_at: TimestampMs(0),
            created_by: String::new(),
            expires_at: None,
        };
        account(&credential, "x").rights
    }

    #[test]
    fn a_device_publishes_below_its_own_topics_only() {
        for (text, may) in [
            ("sanitation/east/bin/b-1/telemetry", true),
            ("sanitation/west/drain/b-1/status", true),
            ("sanitation/east/bin/b-2/telemetry", false),
            ("sanitation/east/bin/b-1", false),
            ("sanitation/east/b-1/b-2/telemetry", false),
            ("sanitation/east/bin/b-1x/telemetry", false),
            ("sanitation/alerts/b-1/b-1/b-1", false),
            ("other/east/bin/b-1/telemetry", false),
            ("v1/devices/me/telemetry", false),
            ("$SYS/b-1", false),
        ] {
            assert_eq!(device("client").may_publish(&topic(text)), may, "{text}");
        }
        assert!(device("b-1").may_publish(&topic("v1/devices/me/telemetry")));
    }

    #[test]
    fn a_device_hears_nothing_that_is_not_its_own() {
        for (text, may) in [
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
            ("v1/devices/me/#", false),
        ] {
            assert_eq!(device("client").may_subscribe(&asked(text)), may, "{text}");
        }
    }

    #[test]
    fn a_device_that_is_called_as_an_alert_hears_nothing_of_it() {
        let own = certified("19", "19").rights;
        assert!(!own.may_subscribe(&asked("sanitation/alerts/+/19/#")));
        assert!(!own.may_hear(&topic("sanitation/alerts/z/19")));
    }

    #[test]
    fn a_gateway_has_what_its_credential_names() {
        let gateway = gateway(&["application/+/device/+/event/+"], &["application/#", "sanitation/alerts/#"]);
        assert!(gateway.may_publish(&topic("application/1/device/ff/event/up")));
        assert!(!gateway.may_publish(&topic("application/1/device/ff/event/up/x")));
        assert!(!gateway.may_publish(&topic("sanitation/east/bin/b-1/telemetry")));
        assert!(gateway.may_subscribe(&asked("application/1/#")));
        assert!(gateway.may_subscribe(&asked("sanitation/alerts/+/+")));
        assert!(!gateway.may_subscribe(&asked("sanitation/#")));
        assert!(!gateway.may_subscribe(&asked("$share/g/application/#")));
    }

    #[test]
    fn a_certificates_name_and_a_username_are_two_owners_and_a_name_with_a_slash_has_no_topics() {
        assert_ne!(&*certified("b-1", "x").owner, "b-1");
        for name in ["a/b", "+", "#", ""] {
            let rights = certified(name, "x").rights;
            assert!(!rights.may_publish(&topic("sanitation/z/bin/a/b/telemetry")), "{name}");
            assert!(!rights.may_publish(&topic("sanitation/z/bin/other/telemetry")), "{name}");
        }
    }
}
