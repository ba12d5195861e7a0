//! What a running site needs for rules that change and messages that go out.

use std::sync::Arc;

use sanimon_api::{SetupSource, rules_again};
use sanimon_broker::{Hub, Topic};
use sanimon_domain::Heartbeat;
use sanimon_ingest::Queue;
use sanimon_ingest::client::ClientOptions;
use sanimon_notify::{Channel, ChannelKind, Credentials, MqttServer, PublishState, StateBroker};
use sanimon_writer::{Author, Entry, PutRules};

use crate::config::{ChannelConfig, Target};

/// `kill -HUP` reads the rules again; faulty ones are refused whole, and those in force stay.
pub(crate) async fn reload_on_hangup(setup: Arc<dyn SetupSource>, queue: Queue, heartbeat: Arc<Heartbeat>) {
    let hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
    let Ok(mut hangup) = hangup else { return };
    loop {
        heartbeat.waiting();
        if hangup.recv().await.is_none() {
            return;
        }
        heartbeat.working();
        let reading = setup.clone();
        let Ok(read) = tokio::task::spawn_blocking(move || rules_again(&*reading)).await else { return };
        let rules = match read {
            Ok(rules) => rules,
            Err(faults) => {
                tracing::error!("the rules were not changed:\n{}", faults.join("\n"));
                continue;
            }
        };
        let entry = Entry::new(queue.now(), Author::Site("hangup"), "rules.reload");
        heartbeat.waiting();
        match queue.ask_for(entry, PutRules { new: rules, document: None }).await {
            Ok(version) => tracing::info!(version, "the rules were read again"),
            Err(error) => tracing::error!(%error, "the rules were not changed"),
        }
    }
}

/// The brokers that may keep the state of alerts.
pub(crate) struct Brokers<'a> {
    pub(crate) embedded: Option<Arc<Hub>>,
    pub(crate) external: &'a [ClientOptions],
}

impl Brokers<'_> {
    /// Those of the configuration whose broker is there.
    pub(crate) fn channels(&self, configured: Vec<ChannelConfig>) -> Vec<Channel> {
        configured.into_iter().filter_map(|config| self.channel(config)).collect()
    }

    /// A channel with its broker found; `None`, with a word in the log: there is none of this name.
    fn channel(&self, config: ChannelConfig) -> Option<Channel> {
        let name = config.route.channel;
        let kind = match config.target {
            Target::Ready(kind) => kind,
            Target::Broker(broker) => {
                let Some(server) = self.server(broker.as_deref()) else {
                    let broker = broker.as_deref().unwrap_or("embedded");
                    tracing::error!(channel = name, broker, "there is no such broker: nothing is published");
                    return None;
                };
                ChannelKind::Mqtt(server)
            }
        };
        Some(Channel { name, language: config.language, kind, templates: config.templates })
    }

    fn server(&self, name: Option<&str>) -> Option<StateBroker> {
        let Some(name) = name else {
            let hub = self.embedded.clone()?;
            let runtime = tokio::runtime::Handle::current();
            return Some(StateBroker::Embedded(Arc::new(OwnStates { hub, runtime })));
        };
        let found = self.external.iter().find(|broker| broker.name == name)?;
        let credentials = found
            .credentials
            .as_ref()
            .map(|known| Credentials { username: known.username.clone(), password: known.password.clone() });
        let client_id = format!("{}-alerts", found.client_id);
        let tls = found.tls.as_ref().map(|tls| sanimon_notify::BrokerTls(tls.0.clone()));
        let (host, port) = (found.host.clone(), found.port);
        Some(StateBroker::External(MqttServer { host, port, client_id, credentials, tls }))
    }
}

/// The embedded broker, which keeps the state of alerts without a connection.
#[derive(Debug)]
struct OwnStates {
    hub: Arc<Hub>,
    runtime: tokio::runtime::Handle,
}

impl PublishState for OwnStates {
    fn publish(&self, topic: &str, payload: &[u8], retain: bool) -> Result<(), String> {
        let topic = Topic::parse(topic).map_err(|error| format!("`{topic}` is no topic: {error}"))?;
        let published = self.hub.publish_own(topic, payload.to_vec().into(), retain);
        if self.runtime.block_on(published) { Ok(()) } else { Err("it cannot be stored now".to_owned()) }
    }
}
