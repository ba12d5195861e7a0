//! Where messages go.

use std::sync::Arc;

use rumqttc::tokio_rustls::rustls::ClientConfig;

use crate::text::Templates;

/// The language of a channel's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Chinese,
}

impl Language {
    /// `en` or `zh`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, ...)", self.username)
    }
}

/// How an e-mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte (port 465).
    Implicit,
    /// After asking for it (port 587); refused without.
    StartTls,
    /// Not at all: for a server on the same machine.
    None,
}

/// Whose group chat a bot writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatBot {
    WeCom,
    DingTalk,
    Feishu,
}

/// How TLS is spoken to a broker.
#[derive(Debug, Clone)]
pub struct BrokerTls(pub Arc<ClientConfig>);

/// A broker that keeps the state of open alerts.
#[derive(Debug, Clone)]
pub struct MqttServer {
    pub host: String,
    pub port: u16,
    pub client_id: String,
    pub credentials: Option<Credentials>,
    /// `None`: plain.
    pub tls: Option<BrokerTls>,
}

/// What kind of receiver it is.
#[derive(Debug, Clone)]
pub enum ChannelKind {
    /// A POST of JSON, signed with HMAC-SHA256 if there is a secret.
    Webhook { url: String, secret: Option<String> },
    /// The bot's address holds its key; DingTalk and Feishu may want a signature besides.
    ChatBot { bot: ChatBot, url: String, secret: Option<String> },
    Email {
        host: String,
        port: u16,
        tls: Tls,
        credentials: Option<Credentials>,
        from: String,
        to: Vec<String>,
    },
    /// `sanitation/alerts/{zone}/{alert}`, retained while the alert is open.
    Mqtt(StateBroker),
}

/// Who keeps the state of alerts.
#[derive(Debug, Clone)]
pub enum StateBroker {
    /// The broker in this process.
    Embedded(Arc<dyn PublishState>),
    External(MqttServer),
}

/// The broker in this process, as this crate sees it.
pub trait PublishState: Send + Sync + std::fmt::Debug {
    /// Blocks until it is on disk.
    ///
    /// # Errors
    /// Why it cannot be kept now, in one line.
    fn publish(&self, topic: &str, payload: &[u8], retain: bool) -> Result<(), String>;
}

/// A receiver of messages.
#[derive(Debug, Clone)]
pub struct Channel {
    /// The name by which routes and people call it.
    pub name: String,
    pub language: Language,
    pub kind: ChannelKind,
    /// The site's own wording, where it has one.
    pub templates: Templates,
}
