//! What a running site needs for rules that change and messages that go out.

use std::net::SocketAddr;
use std::sync::Arc;

use sanimon_api::RulesSource;
use sanimon_ingest::client::ClientOptions;
use sanimon_notify::{Channel, ChannelKind, Credentials, MqttServer};
use sanimon_store::{Command, NewRules};
use tokio::sync::{mpsc, oneshot};

use crate::config::{ChannelConfig, RulesFile, Target};

/// Reads the site's rules again, with every fault in words.
pub(crate) fn rules_source(file: RulesFile) -> RulesSource {
    RulesSource::new(Arc::new(move || match file.read() {
        Ok((rules, text)) => Ok(NewRules { rules, text }),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
    }))
}

/// `kill -HUP` reads the rules again; faulty ones are refused whole, and those in force stay.
pub(crate) async fn reload_on_hangup(source: RulesSource, commands: mpsc::Sender<Command>) {
    let hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
    let Ok(mut hangup) = hangup else { return };
    while hangup.recv().await.is_some() {
        let reading = source.clone();
        let Ok(read) = tokio::task::spawn_blocking(move || reading.read()).await else { return };
        let rules = match read {
            Ok(rules) => rules,
            Err(faults) => {
                tracing::error!("the rules were not changed:\n{}", faults.join("\n"));
                continue;
            }
        };
        let (reply, answer) = oneshot::channel();
        if commands.send(Command::PutRules(rules, reply)).await.is_err() {
            return;
        }
        match answer.await {
            Ok(Ok(version)) => tracing::info!(version, "the rules were read again"),
            Ok(Err(error)) => tracing::error!(%error, "the rules were not changed"),
            Err(_) => return,
        }
    }
}

/// The brokers that may keep the state of alerts.
pub(crate) struct Brokers<'a> {
    pub(crate) embedded: Option<SocketAddr>,
    /// The client id that may publish it on the embedded one.
    pub(crate) own_client: String,
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
            let (port, client_id) = (address.port(), self.own_client.clone());
            return Some(MqttServer { host, port, client_id, credentials: None });
        };
        let found = self.external.iter().find(|broker| broker.name == name)?;
        let credentials = found
            .credentials
            .as_ref()
            .map(|known| Credentials { username: known.username.clone(), password: known.password.clone() });
        let client_id = format!("{}-alerts", found.client_id);
        Some(MqttServer { host: found.host.clone(), port: found.port, client_id, credentials })
    }
}
