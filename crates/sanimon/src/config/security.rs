//! `[tls]`, `[oidc]`, and what `[http]` and `[mqtt.embedded]` say about who may come in.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sanimon_api::{OIDC_CALLBACK_PATH, OidcOptions, REQUESTS_PER_S, Reached, Role};
use sanimon_broker::Limits;
use sanimon_ingest::client::BrokerTls;
use sanimon_net::{Minimum, TlsFiles, certificates};

use super::broker_limits::broker_limits;
use super::reader::Section;
use super::{DEFAULT_MQTT, address};

const ADDRESS: &str = "an address with a port, such as 127.0.0.1:8080";

/// `[http]`
#[derive(Debug, Clone)]
pub(crate) struct HttpConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) tls_listen: Option<SocketAddr>,
    pub(crate) reached: Reached,
    pub(crate) requests_per_s: f64,
}

impl HttpConfig {
    pub(crate) fn at(listen: SocketAddr) -> Self {
        Self { listen, tls_listen: None, reached: Reached::default(), requests_per_s: REQUESTS_PER_S }
    }
}

/// `[mqtt.embedded]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EmbeddedConfig {
    pub(crate) tcp: SocketAddr,
    pub(crate) websocket: Option<SocketAddr>,
    pub(crate) tls_tcp: Option<SocketAddr>,
    pub(crate) tls_websocket: Option<SocketAddr>,
    pub(crate) anonymous: bool,
    pub(crate) limits: Limits,
}

impl EmbeddedConfig {
    pub(crate) fn at(tcp: SocketAddr) -> Self {
        Self {
            tcp,
            websocket: None,
            tls_tcp: None,
            tls_websocket: None,
            anonymous: false,
            limits: Limits::default(),
        }
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let others = [self.websocket, self.tls_tcp, self.tls_websocket];
        std::iter::once(self.tcp).chain(others.into_iter().flatten())
    }
}

/// `[http]`
pub(super) fn http(section: &mut Section<'_>, default: SocketAddr) -> HttpConfig {
    let listen = section.parsed("listen", ADDRESS, address).unwrap_or(default);
    let tls_listen = section.parsed("tls_listen", ADDRESS, address);
    let hosts = section.all_parsed("hosts", "names such as sanimon.example", |name| {
        let is_name = !name.is_empty() && !name.contains(['/', ':', ' ']);
        is_name.then(|| name.to_ascii_lowercase())
    });
    let trusted_proxies = section
        .all_parsed("trusted_proxies", "addresses such as 10.0.0.2", |text| text.parse::<IpAddr>().ok());
    let requests_per_s = section.integer("requests_per_s", 1..=100_000).map_or(REQUESTS_PER_S, |n| n as f64);
    HttpConfig { listen, tls_listen, reached: Reached { hosts, trusted_proxies }, requests_per_s }
}

/// `[mqtt.embedded]`
pub(super) fn embedded(section: &mut Section<'_>) -> EmbeddedConfig {
    let tcp = section.parsed("listen", ADDRESS, address);
    let config = EmbeddedConfig {
        tcp: tcp.unwrap_or_else(|| address(DEFAULT_MQTT).expect("the default address is sound")),
        websocket: section.parsed("websocket", ADDRESS, address),
        tls_tcp: section.parsed("tls_listen", ADDRESS, address),
        tls_websocket: section.parsed("tls_websocket", ADDRESS, address),
        anonymous: section.boolean("anonymous").unwrap_or(false),
        limits: section.table("limits", broker_limits).unwrap_or_default(),
    };
    let outside = config.addresses().find(|address| !address.ip().is_loopback());
    if let Some(outside) = outside.filter(|_| config.anonymous) {
        let text = format!(
            "`anonymous` is for listeners on this machine, but {outside} is reached from elsewhere: give devices \
             credentials (`sanimon device provision`) and leave `anonymous` out"
        );
        section.fault(section.line, text);
    }
    config
}

/// `[tls]`; the files are judged at once.
pub(super) fn tls(section: &mut Section<'_>) -> Option<TlsFiles> {
    let path =
        |found: Option<(String, usize)>, section: &Section<'_>| found.map(|(name, _)| section.beside(&name));
    let certificate = section.text_required("certificate");
    let certificate = path(certificate, section);
    let key = section.text_required("key");
    let key = path(key, section);
    let client_ca = section.text("client_ca");
    let client_ca = path(client_ca, section);
    let client_crl = section.text("client_crl");
    let client_crl = path(client_crl, section);
    let required = section.parsed("client_certificate", "\"optional\" or \"required\"", |text| match text {
        "optional" => Some(false),
        "required" => Some(true),
        _ => None,
    });
    let minimum = section.parsed("minimum", "\"1.2\" or \"1.3\"", Minimum::parse);
    if client_ca.is_none() && (client_crl.is_some() || required == Some(true)) {
        section.fault(section.line, "clients' certificates need `client_ca`: the file of who signs them");
    }
    let files = TlsFiles {
        certificate: certificate?,
        key: key?,
        client_ca,
        client_crl,
        client_required: required.unwrap_or(false),
        minimum: minimum.unwrap_or(Minimum::Tls13),
    };
    if let Err(fault) = files.load() {
        section.fault(section.line, format!("`tls`: {fault}"));
    }
    Some(files)
}

/// Doors over TLS without certificates.
pub(super) fn check_tls(root: &mut Section<'_>, line: usize, is_there: bool, wanted: bool) {
    if wanted && !is_there {
        root.fault(line, "a `tls_listen` needs `[tls]` with `certificate` and `key`");
    }
}

/// `[oidc]`; the site's address says where the provider sends people back to.
pub(super) fn oidc(section: &mut Section<'_>, url: Option<&str>) -> Option<OidcOptions> {
    let issuer = section.text_required("issuer");
    let is_url = |text: &str| text.starts_with("https://") || text.starts_with("http://127.0.0.1");
    if let Some((issuer, line)) = issuer.as_ref().filter(|(text, _)| !is_url(text)) {
        section.fault(*line, format!("`oidc.issuer` is `{issuer}`: it begins with https://"));
    }
    let client_id = section.text_required("client_id").map(|(text, _)| text);
    let from_file = section.file_text("client_secret_file");
    let client_secret = section.text("client_secret").map(|(text, _)| text).or(from_file);
    let label = section.text("label").map_or_else(|| "OpenID".to_owned(), |(text, _)| text);
    let newcomers = section.parsed("newcomers", "a role such as \"viewer\", or \"no\"", |text| match text {
        "no" => Some(None),
        role => Role::parse(role).map(Some),
    });
    let Some(url) = url else {
        section.fault(section.line, "`[oidc]` needs `[site] url`: where the provider sends people back to");
        return None;
    };
    Some(OidcOptions {
        label,
        issuer: issuer?.0,
        client_id: client_id?,
        client_secret,
        redirect_url: format!("{url}{OIDC_CALLBACK_PATH}"),
        newcomers: newcomers.unwrap_or(Some(Role::Viewer)),
    })
}

/// The files of a broker's TLS, as they are named.
pub(super) struct BrokerFiles {
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

pub(super) fn broker_files(section: &mut Section<'_>) -> BrokerFiles {
    let mut path = |key: &str| {
        let name = section.text(key);
        name.map(|(name, _)| section.beside(&name))
    };
    BrokerFiles { ca: path("ca"), certificate: path("certificate"), key: path("key") }
}

/// Whom to trust as a broker (`ca`; left out: the system's authorities), and our own certificate if it wants one.
pub(super) fn broker_tls(section: &mut Section<'_>, files: &BrokerFiles) -> Option<BrokerTls> {
    match client_config(files) {
        Ok(config) => Some(BrokerTls(Arc::new(config))),
        Err(why) => {
            section.fault(section.line, format!("`mqtt.broker`: {why}"));
            None
        }
    }
}

fn client_config(files: &BrokerFiles) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match &files.ca {
        Some(ca) => {
            for certificate in certificates(ca).map_err(|why| format!("`ca`: {}: {why}", ca.display()))? {
                roots.add(certificate).map_err(|error| format!("`ca`: {}: {error}", ca.display()))?;
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    match (&files.certificate, &files.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)
                .map_err(|why| format!("`certificate`: {}: {why}", certificate.display()))?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("`key`: {}: {error}", key.display()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("`certificate` and `key`: {error}"))
        }
        _ => Err("`certificate` and `key` go together".to_owned()),
    }
}
