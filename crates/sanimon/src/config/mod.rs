//! The configuration: read and checked once, handed down in parts.

mod broker_limits;
mod channels;
mod collection;
mod files;
mod formats;
mod hours;
mod map;
mod reader;
mod rules;
mod security;
mod teams;
mod telemetry;
mod zones;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;
use sanimon_alerting::RuleSet;
use sanimon_api::{MapSource, OidcOptions};
use sanimon_codec::Formats;
use sanimon_codec::script::Script;
use sanimon_domain::time::{DAY_MS, PlausibleWindow};
use sanimon_ingest::client::{ClientOptions, Credentials};
use sanimon_net::TlsFiles;
use sanimon_operations::OperationsSettings;
use sanimon_operations::lifecycle::Policy;
use sanimon_store::Zone;
use sanimon_writer::{AcceptanceLimits, SiteLimits};

pub(crate) use channels::{ChannelConfig, Target};
pub(crate) use files::{NamedFiles, SetupFile, SetupFiles, Staged, rules_in};
pub(crate) use reader::ConfigFault;
use reader::{Document, Section, duration_ms};
pub(crate) use rules::default_rules;
pub(crate) use security::{EmbeddedConfig, HttpConfig};
pub(crate) use telemetry::Telemetry;

pub(crate) const DEFAULT_HTTP: &str = "127.0.0.1:8080";
pub(crate) const DEFAULT_MQTT: &str = "127.0.0.1:1883";
const DEFAULT_TOPICS: [&str; 2] = ["sanitation/+/+/+/telemetry", "sanitation/+/+/+/status"];

/// Everything that `serve` needs to know.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) site_name: String,
    pub(crate) time_zone: Tz,
    pub(crate) data: PathBuf,
    pub(crate) http: HttpConfig,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) oidc: Option<OidcOptions>,
    pub(crate) embedded: Option<EmbeddedConfig>,
    pub(crate) brokers: Vec<ClientOptions>,
    pub(crate) rules: RuleSet,
    /// As they are written.
    pub(crate) rules_text: String,
    pub(crate) zones: Vec<Zone>,
    pub(crate) acceptance: AcceptanceLimits,
    pub(crate) map: Option<MapSource>,
    pub(crate) telemetry: Telemetry,
    pub(crate) formats: Formats,
    pub(crate) scripts: Vec<Script>,
    pub(crate) operations: OperationsSettings,
    pub(crate) channels: Vec<ChannelConfig>,
    /// Where the console is, for links in messages and on signs.
    pub(crate) url: Option<String>,
    pub(crate) files: SetupFiles,
    /// How long what residents write and show is kept.
    pub(crate) reports_kept_ms: i64,
}

impl Config {
    /// Reads rules, zones and teams again.
    pub(crate) fn read_setup_again(&mut self) -> Result<(), Vec<ConfigFault>> {
        (self.rules, self.rules_text) = self.files.read_rules()?;
        self.zones = self.files.read_zones()?;
        self.operations.teams = self.files.read_teams()?;
        Ok(())
    }
}

/// The single values; the files that they name are read afterwards.
struct Main {
    site_name: String,
    time_zone: Tz,
    data: String,
    rules: Option<(String, usize)>,
    zones: Option<(String, usize)>,
    http: HttpConfig,
    tls: Option<TlsFiles>,
    oidc: Option<OidcOptions>,
    embedded: Option<EmbeddedConfig>,
    brokers: Vec<ClientOptions>,
    acceptance: AcceptanceLimits,
    map: Option<MapSource>,
    telemetry: Telemetry,
    formats: Formats,
    scripts: Vec<Script>,
    policy: Policy,
    teams: Option<(String, usize)>,
    channels: Vec<ChannelConfig>,
    url: Option<String>,
    reports_kept_ms: i64,
}

/// Reads the file and those that it names; gives every fault of all of them.
pub(crate) fn load(file: &Path) -> Result<Config, Vec<ConfigFault>> {
    let mut document = Document::read(file);
    let main = document.parse(main);
    let mut faults = std::mem::take(&mut document.faults);
    let Some(main) = main else { return Err(faults) };
    let folder = file.parent().unwrap_or(Path::new(""));
    let path = |named: &Option<(String, usize)>| named.as_ref().map(|(name, _)| folder.join(name));
    let named = NamedFiles { rules: path(&main.rules), zones: path(&main.zones), teams: path(&main.teams) };
    let files = SetupFiles::new(&folder.join(&main.data), named, main.time_zone);
    let (rules, zones, duties) = (files.read_rules(), files.read_zones(), files.read_teams());
    let ((rules, rules_text), zones, duties) = match (rules, zones, duties) {
        (Ok(rules), Ok(zones), Ok(duties)) if faults.is_empty() => (rules, zones, duties),
        (rules, zones, duties) => {
            faults.extend(rules.err().into_iter().flatten());
            faults.extend(zones.err().into_iter().flatten());
            faults.extend(duties.err().into_iter().flatten());
            return Err(faults);
        }
    };
    let Main {
        site_name,
        time_zone,
        data,
        http,
        tls,
        oidc,
        embedded,
        brokers,
        acceptance,
        map,
        telemetry,
        formats,
        scripts,
        policy,
        channels,
        url,
        reports_kept_ms,
        ..
    } = main;
    let routes = channels.iter().map(|channel| channel.route.clone()).collect();
    let operations = OperationsSettings { policy, teams: duties, notification_rules: routes };
    Ok(Config {
        site_name,
        time_zone,
        data: folder.join(data),
        http,
        tls,
        oidc,
        embedded,
        brokers,
        rules,
        rules_text,
        zones,
        acceptance,
        map,
        telemetry,
        formats,
        scripts,
        operations,
        channels,
        url,
        files,
        reports_kept_ms,
    })
}

/// A duration on the command line, in milliseconds.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    duration_ms(text).ok_or_else(|| "write it like 30m, 12h or 7d".to_owned())
}

fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

fn main(root: &mut Section<'_>) -> Main {
    let default_http = address(DEFAULT_HTTP).expect("the default address is sound");
    let site = root.table("site", |site| {
        let name = site.text("name").map_or_else(|| "sanimon".to_owned(), |(text, _)| text);
        let zone =
            site.parsed("time_zone", "an IANA name such as Asia/Shanghai", |text| text.parse::<Tz>().ok());
        let data = site.text("data").map_or_else(|| "data".to_owned(), |(text, _)| text);
        let url = site.parsed("url", "the console's address, such as https://sanimon.example", |text| {
            let is_sound = text.starts_with("https://") || text.starts_with("http://");
            is_sound.then(|| text.trim_end_matches('/').to_owned())
        });
        let files = [site.text("rules"), site.text("zones"), site.text("teams")];
        (name, zone.unwrap_or(Tz::Asia__Shanghai), data, url, files)
    });
    let nothing = || ("sanimon".to_owned(), Tz::Asia__Shanghai, "data".to_owned(), None, [None, None, None]);
    let (site_name, time_zone, data, url, [rules, zones, teams]) = site.unwrap_or_else(nothing);
    let default_http_config = HttpConfig::at(default_http);
    let mut http =
        root.table("http", |http| security::http(http, default_http)).unwrap_or(default_http_config);
    // The console's own address is one of its names.
    http.reached.hosts.extend(url.as_deref().and_then(host_in));
    let tls = root.table("tls", security::tls).flatten();
    let oidc = root.table("oidc", |oidc| security::oidc(oidc, url.as_deref())).flatten();
    let mqtt_line = root.line;
    let (embedded, brokers, bound) = root
        .table("mqtt", |mqtt| {
            let embedded = mqtt.table("embedded", security::embedded);
            (embedded, mqtt.tables("broker", broker), mqtt.tables("format", formats::format))
        })
        .unwrap_or_default();
    if embedded.is_none() && brokers.is_empty() {
        root.fault(mqtt_line, "there is no source of messages: add `[mqtt.embedded]` or a `[[mqtt.broker]]`");
    }
    let (formats, scripts) = formats::read(root, bound, time_zone);
    let mut brokers: Vec<ClientOptions> = brokers.into_iter().flatten().collect();
    // A broker whose topics nobody has named is asked for everything that is understood.
    for broker in brokers.iter_mut().filter(|broker| broker.topic_filters.is_empty()) {
        broker.topic_filters = DEFAULT_TOPICS.map(str::to_owned).to_vec();
        broker.topic_filters.extend(formats.topic_filters());
    }
    name_each_once(root, mqtt_line, &brokers);
    let acceptance = root.table("limits", limits).unwrap_or_default();
    let map = root.table("map", map::read);
    let telemetry = root.table("telemetry", telemetry::read).unwrap_or_default();
    let is_over_tls = |embedded: &EmbeddedConfig| embedded.tls_tcp.or(embedded.tls_websocket).is_some();
    let wanted = http.tls_listen.is_some() || embedded.as_ref().is_some_and(is_over_tls);
    security::check_tls(root, mqtt_line, tls.is_some(), wanted);
    Main {
        site_name,
        time_zone,
        data,
        rules,
        zones,
        http,
        tls,
        oidc,
        embedded,
        brokers,
        acceptance,
        map: map.flatten(),
        telemetry,
        formats,
        scripts,
        policy: root.table("handling", policy).unwrap_or_default(),
        teams,
        channels: channels::read(root),
        url,
        reports_kept_ms: root.table("reports", reports_kept_ms).unwrap_or(REPORTS_KEPT_MS),
    }
}

/// The host of an address such as `https://sanimon.example:8443/path`.
fn host_in(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    Some(host.to_ascii_lowercase())
}

fn name_each_once(root: &mut Section<'_>, mqtt_line: usize, brokers: &[ClientOptions]) {
    for (index, broker) in brokers.iter().enumerate() {
        if brokers[..index].iter().any(|earlier| earlier.name == broker.name) {
            root.fault(
                mqtt_line,
                format!("two brokers are named `{}`: give each a name of its own", broker.name),
            );
        }
    }
}

/// What residents write and show is kept for so long, unless the site says otherwise.
pub(crate) const REPORTS_KEPT_MS: i64 = 90 * DAY_MS;

/// `[reports]`
fn reports_kept_ms(section: &mut Section<'_>) -> i64 {
    section.parsed("keep", "a duration such as 90d", duration_ms).unwrap_or(REPORTS_KEPT_MS)
}

/// `[handling]`: what the site has decided about the life of an alert.
fn policy(section: &mut Section<'_>) -> Policy {
    let same = section.parsed("same_person_verifies", "\"yes\" or \"no\"", |text| match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    });
    Policy { another_verifies: same != Some(true) }
}

fn broker(section: &mut Section<'_>) -> Option<ClientOptions> {
    let name = section.text_required("name").map(|(text, _)| text);
    section.text_required("url");
    let url = section.parsed("url", "mqtt://HOST:PORT or mqtts://HOST:PORT", parse_broker_url);
    let files = security::broker_files(section);
    let client_id = section.text("client_id").map_or_else(|| "sanimon".to_owned(), |(text, _)| text);
    let username = section.text("username").map(|(text, _)| text);
    let password = section.text("password").map(|(text, _)| text);
    let credentials =
        username.map(|username| Credentials { username, password: password.unwrap_or_default() });
    let topic_filters: Vec<String> = section.texts("topics").into_iter().map(|(text, _)| text).collect();
    let keep_alive_ms = section.parsed("keep_alive", "a duration such as 30s, 5s at least", |text| {
        duration_ms(text).filter(|ms| (5_000..=65_535_000).contains(ms))
    });
    let keep_alive = Duration::from_millis(keep_alive_ms.unwrap_or(30_000) as u64);
    let (host, port, is_tls) = url?;
    let tls = if is_tls { security::broker_tls(section, &files) } else { None };
    Some(ClientOptions { name: name?, host, port, client_id, credentials, topic_filters, keep_alive, tls })
}

/// `mqtt://HOST:PORT` or `mqtts://HOST:PORT`, and whether it is TLS; the port is 1883 or 8883 if left out.
pub(crate) fn parse_broker_url(text: &str) -> Option<(String, u16, bool)> {
    let plain = text.strip_prefix("mqtt://").or_else(|| text.strip_prefix("tcp://"));
    let secure = text.strip_prefix("mqtts://").or_else(|| text.strip_prefix("ssl://"));
    let is_tls = secure.is_some();
    let rest = plain.or(secure)?.trim_end_matches('/');
    let default_port = if is_tls { 8883 } else { 1883 };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (rest, default_port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let sound = !host.is_empty() && !host.contains(['/', '@', ' ']);
    sound.then(|| (host.to_owned(), port, is_tls))
}

fn limits(section: &mut Section<'_>) -> AcceptanceLimits {
    const DURATION: &str = "a duration such as 5m, 12h or 30d";
    let mut acceptance = AcceptanceLimits::default();
    let SiteLimits {
        discovered_devices_max,
        discovered_by_connection_max,
        custom_metrics_max,
        custom_metrics_of_device_max,
        custom_metrics_of_discovered_max,
    } = &mut acceptance.site;
    let PlausibleWindow { ahead_ms, behind_ms } = &mut acceptance.window;
    for (limit, key, most) in [
        (discovered_devices_max, "discovered_devices", 1_000_000),
        (discovered_by_connection_max, "discovered_by_connection", 1_000_000),
        (custom_metrics_max, "custom_metrics", 50_000),
        (custom_metrics_of_device_max, "custom_metrics_of_device", 50_000),
        (custom_metrics_of_discovered_max, "custom_metrics_of_discovered", 50_000),
    ] {
        *limit = section.integer(key, 0..=most).map_or(*limit, |n| n as usize);
    }
    *ahead_ms = section.parsed("clock_ahead", DURATION, duration_ms).unwrap_or(*ahead_ms);
    *behind_ms = section.parsed("clock_behind", DURATION, duration_ms).unwrap_or(*behind_ms);
    acceptance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<String> {
        let folder =
            std::env::temp_dir().join(format!("sanimon-config-{}-{}", std::process::id(), text.len()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("sanimon.toml");
        std::fs::write(&file, text).expect("a file");
        let faults = load(&file).err().unwrap_or_default();
        std::fs::remove_dir_all(&folder).expect("cleaned up");
        faults.iter().map(|fault| format!("{}: {}", fault.line, fault.message)).collect()
    }

    #[test]
    fn the_example_configuration_is_sound() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/sanimon.toml");
        let config = load(&file).expect("a sound configuration");
        assert_eq!(config.zones.len(), 2);
        assert!(config.embedded.is_some());
    }

    #[test]
    fn every_fault_is_named_with_its_line_and_what_to_write() {
        let found = check(
            "[site]\ntime_zone = \"Mars\"\n[http]\nlisten = 8080\n[mqtt.embedded]\nlisten = \"localhost\"\n[https]\n",
        );
        for expected in [
            "2: `site.time_zone` is `Mars`",
            "4: `http.listen` must be a text",
            "6: `mqtt.embedded.listen`",
            "7: `https` is not known",
        ] {
            assert!(found.iter().any(|fault| fault.starts_with(expected)), "{expected} in {found:#?}");
        }
    }

    #[test]
    fn a_site_without_a_source_is_refused() {
        assert!(
            check("[http]\nlisten = \"127.0.0.1:1\"\n")
                .iter()
                .any(|fault| fault.contains("no source of messages"))
        );
    }

    #[test]
    fn broker_addresses_are_understood() {
        for (url, expected) in [
            ("mqtt://h:1", Some(("h", 1))),
            ("mqtt://h", Some(("h", 1883))),
            ("mqtts://h", Some(("h", 8883))),
            ("mqtt://[::1]:1884", Some(("::1", 1884))),
            ("mqtt://[::1]", Some(("::1", 1883))),
            ("http://h", None),
            ("mqtt://", None),
            ("mqtt://user@h", None),
            ("mqtt://h:99999", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port, url.starts_with("mqtts")));
            assert_eq!(parse_broker_url(url), expected, "{url}");
        }
    }
}
