//! `sanimon serve`: a site from its configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use sanimon_domain::Clock;
use sanimon_domain::SiteCalendar;
use sanimon_writer::Options;

use super::check::refused;
use crate::clock::RealClock;
use crate::config::{self, Config};
use crate::doors::Doors;
use crate::setup::at_start::reconcile;
use crate::site::{self, Site, SiteParts};
use crate::{screen, service};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        screen::start_log("info");
        let config = config::load(&self.config).map_err(|faults| refused(&faults))?;
        site::run(serve(config))
    }
}

async fn serve(mut config: Config) -> anyhow::Result<()> {
    let clock = Arc::new(RealClock);
    let mut store = site::open_store(&config.data, Some(SiteCalendar::new(config.time_zone)))?;
    config.telemetry.apply_to(&mut store)?;
    let on_record = reconcile(&config.files, &store.shared, clock.now())?;
    // A save that a crash broke off may have changed them.
    config.read_setup_again().map_err(|faults| refused(&faults))?;
    let doors = Doors::open(&config.http, config.tls, config.oidc, config.embedded).await?;
    let first_start = store.shared.accounts()?.is_empty();
    let parts = SiteParts {
        name: config.site_name,
        time_zone: config.time_zone,
        simulation_speed: None,
        map: config.map,
        store,
        writer: Options {
            rules_text: Some(config.rules_text),
            zones: (!config.files.zones.is_missing()).then_some(config.zones),
            acceptance: config.acceptance,
            retention: config.telemetry.retention.clone(),
            reports_kept_ms: config.reports_kept_ms,
            ..Options::new(Arc::new(config.rules), Arc::new(config.operations))
        },
        clock,
        formats: config.formats,
        scripts: config.scripts,
        on_record,
        doors,
        brokers: config.brokers,
        channels: config.channels,
        url: config.url,
        files: config.files,
    };
    warn_of_plain_doors(&parts);
    let site = Site::start(parts).await?;
    if first_start {
        let password = sanimon_api::random_password();
        site.put_account("admin", password.clone(), "admin").await?;
        // Shown once; only its hash is kept.
        screen::step("account", &format!("admin / {password}   (shown once: keep it)"));
    }
    if let Some(embedded) = &site.embedded {
        screen::step("mqtt", &format!("mqtt://{}", embedded.tcp));
        if let Some(websocket) = embedded.websocket {
            screen::step("mqtt", &format!("ws://{websocket}"));
        }
        if let Some(address) = embedded.tls_tcp {
            screen::step("mqtt", &format!("mqtts://{address}"));
        }
        if let Some(address) = embedded.tls_websocket {
            screen::step("mqtt", &format!("wss://{address}"));
        }
    }
    screen::step("console", &format!("http://{}", site.http));
    if let Some(https) = site.https {
        screen::step("console", &format!("https://{https}"));
    }
    let watchdog = service::ready(&site.shared());
    let failed = site.until_stopped().await;
    service::stopping(watchdog);
    screen::step("stopping", "finishing the running group");
    site.stop().await;
    failed
}

/// Secrets that cross a network in the clear are somebody's decision, and said at each start.
fn warn_of_plain_doors(parts: &SiteParts) {
    let is_outside = |address: SocketAddr| !address.ip().is_loopback();
    let http = parts.doors.http.plain_address().filter(|address| is_outside(*address));
    let embedded = parts.doors.embedded.as_ref();
    let mqtt = embedded.map(|embedded| embedded.tcp).filter(|address| is_outside(*address));
    for (what, address) in [("http", http), ("mqtt", mqtt)] {
        if let Some(address) = address {
            tracing::warn!(what, %address, "secrets cross the network in the clear here: docs/SECURITY-OPERATION.md");
        }
    }
}
