//! What a running site needs for rules that change and messages that go out.

use std::net::SocketAddr;
use std::sync::Arc;

use sanimon_api::{SetupSource, rules_again};
use sanimon_domain::Heartbeat;
use sanimon_ingest::Queue;
use sanimon_ingest::broker::OwnClient;
use sanimon_ingest::client::ClientOptions;
use sanimon_notify::{Channel, ChannelKind, Credentials, MqttServer};
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
    pub(crate) embedded: Option<SocketAddr>,
    /// By what it is published on the embedded one.
    pub(crate) own: OwnClient,
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

    fn server(&self, name: Option<&str>) -> Option<MqttServer> {
        let Some(name) = name else {
            let address = self.embedded?;
            let host = match address.ip() {
                ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
                ip => ip.to_string(),
            };
            let OwnClient { client_id, password } = self.own.clone();
            let credentials = Some(Credentials { username: OwnClient::USERNAME.to_owned(), password });
            return Some(MqttServer { host, port: address.port(), client_id, credentials, tls: None });
        };
        let found = self.external.iter().find(|broker| broker.name == name)?;
        let credentials = found
            .credentials
            .as_ref()
            .map(|known| Credentials { username: known.username.clone(), password: known.password.clone() });
        let client_id = format!("{}-alerts", found.client_id);
        let tls = found.tls.as_ref().map(|tls| sanimon_notify::BrokerTls(tls.0.clone()));
        Some(MqttServer { host: found.host.clone(), port: found.port, client_id, credentials, tls })
    }
}
