//! What the console must know of the site before it can draw anything.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono_tz::Tz;
use sanimon_domain::collection::{RoundTask, Route};
use sanimon_domain::metric;
use sanimon_writer::RemoveMetric;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::access::User;
use crate::access::client::Reached;
use crate::devices::KnownModels;
use crate::error::Problem;
use crate::setup::source::SetupSource;
use crate::signin::oidc::OidcOptions;
use crate::state::ApiState;

/// Where the map's background comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapBackground {
    /// Raster tiles: `https://host/{z}/{x}/{y}.png`.
    Tiles(String),
    /// A PMTiles archive on this machine: it works without the internet.
    Extract(PathBuf),
}

/// The map's background. Left out: a plain one with the zones' outlines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapSource {
    pub background: MapBackground,
    pub attribution: String,
}

/// Where the site serves its own extract of a map.
pub const MAP_EXTRACT_PATH: &str = "/map/base.pmtiles";

/// Who makes an order of stops.
#[derive(Debug, Clone, Copy)]
pub struct Planner {
    /// A short order of the visits, with a bound.
    pub plan: fn(&RoundTask) -> Route,
    /// An order made by hand, reckoned.
    pub follow: fn(&RoundTask, &[usize]) -> Route,
}

/// The site's own facts, from the configuration.
#[derive(Debug, Clone)]
pub struct SiteInfo {
    pub name: String,
    pub time_zone: Tz,
    /// How many times faster than life the clock runs; `None`: it is the real one.
    pub simulation_speed: Option<f64>,
    pub map: Option<MapSource>,
    /// What can be decoded.
    pub models: KnownModels,
    /// The files that rules, zones and teams are read from.
    pub setup: Arc<dyn SetupSource>,
    pub planner: Planner,
    /// Where the console is, as people outside reach it.
    pub url: Option<String>,
    /// Names and proxies that are believed.
    pub reached: Reached,
    /// From one address, on average; [`crate::REQUESTS_PER_S`] if the site says nothing.
    pub requests_per_s: f64,
    pub oidc: Option<OidcOptions>,
}

/// A model whose frames are decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelInfo {
    pub vendor: String,
    pub name: String,
    /// Names of what it can measure; empty for a codec of the configuration, which says so only by its answers.
    pub measures: Vec<String>,
}

/// The models that a device can have: those built in, and codecs of the configuration.
#[utoipa::path(get, path = "/api/v1/models", tag = "site", responses((status = 200, body = Vec<ModelInfo>), (status = 401, body = Problem)))]
pub(crate) async fn models(State(state): State<ApiState>) -> Json<Vec<ModelInfo>> {
    Json(state.site.models.0.clone())
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MapBody {
    /// Raster tiles from elsewhere.
    tiles_url: Option<String>,
    /// A PMTiles archive that the site serves.
    pmtiles_url: Option<String>,
    attribution: String,
}

impl MapBody {
    fn new(map: &MapSource) -> Self {
        let (tiles_url, pmtiles_url) = match &map.background {
            MapBackground::Tiles(url) => (Some(url.clone()), None),
            MapBackground::Extract(_) => (None, Some(MAP_EXTRACT_PATH.to_owned())),
        };
        Self { tiles_url, pmtiles_url, attribution: map.attribution.clone() }
    }
}

/// The site.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SiteBody {
    name: String,
    /// IANA name.
    time_zone: String,
    /// The site's clock, RFC 3339.
    now: String,
    /// Set when this is a simulation: how many times faster than life.
    simulation_speed: Option<f64>,
    map: Option<MapBody>,
    /// What the button of the OpenID provider says; null: the site has none.
    oidc: Option<String>,
    version: String,
}

/// The site and its clock.
#[utoipa::path(get, path = "/api/v1/site", tag = "site", responses((status = 200, body = SiteBody)))]
pub(crate) async fn site(State(state): State<ApiState>) -> Json<SiteBody> {
    let site = &state.site;
    Json(SiteBody {
        name: site.name.clone(),
        time_zone: site.time_zone.to_string(),
        now: state.now().to_string(),
        simulation_speed: site.simulation_speed,
        map: site.map.as_ref().map(MapBody::new),
        oidc: site.oidc.as_ref().map(|oidc| oidc.label.clone()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// A zone with its outline.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ZoneBody {
    id: String,
    name: crate::wire::Text,
    class: String,
    /// `[lon, lat]` corners, the first repeated at the end.
    #[schema(value_type = Vec<Vec<f64>>)]
    outline: Vec<[f64; 2]>,
    /// Who live there; null: nobody has said.
    inhabitants: Option<u32>,
}

/// All zones.
#[utoipa::path(get, path = "/api/v1/zones", tag = "site", responses((status = 200, body = Vec<ZoneBody>), (status = 401, body = Problem)))]
pub(crate) async fn zones(State(state): State<ApiState>, user: User) -> Result<Json<Vec<ZoneBody>>, Problem> {
    let directory = state.shared.directory.read();
    let body = directory.zones().iter().filter(|zone| user.sees(Some(&zone.id))).map(|zone| ZoneBody {
        id: zone.id.to_string(),
        name: crate::wire::Text { en: zone.name_en.clone(), zh: zone.name_zh.clone() },
        class: zone.class.to_string(),
        outline: zone.outline.clone(),
        inhabitants: zone.inhabitants,
    });
    Ok(Json(body.collect()))
}

/// A metric of the contract.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MetricBody {
    name: String,
    unit: String,
}

/// Every metric that has a unit and limits; others are kept under their own names.
#[utoipa::path(get, path = "/api/v1/metrics", tag = "site", responses((status = 200, body = Vec<MetricBody>), (status = 401, body = Problem)))]
pub(crate) async fn metrics() -> Json<Vec<MetricBody>> {
    let body = metric::METRICS
        .iter()
        .map(|info| MetricBody { name: info.name.to_owned(), unit: info.unit.to_owned() });
    Json(body.collect())
}

/// Takes the name of a metric away that a device brought: its place is free for another one. Readings under that name stay stored
/// and are not shown any more. A name that is sent again comes back, as another metric.
#[utoipa::path(delete, path = "/api/v1/metrics/{name}", tag = "site", params(("name" = String, Path)), responses(
    (status = 204, description = "Taken away"), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn remove_metric(
    State(state): State<ApiState>,
    user: User,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(name) = name?;
    let audit = state.audit(&user, "metric.remove", &name, &json!({}));
    state.change(audit, RemoveMetric(name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
