//! Limits of the embedded broker that somebody has met.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Problem;
use crate::state::ApiState;

/// A limit that somebody has met since the start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MetLimit {
    /// As in `sanimon_mqtt_limit_total` and, but for what a client itself says, a key of `[mqtt.embedded.limits]`.
    name: &'static str,
    count: u64,
    /// Who met it last: a user name, or an address; null: a client without a name.
    last_by: Option<String>,
    last_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MetLimits {
    /// The last first.
    items: Vec<MetLimit>,
}

/// Limits of the embedded broker that were met, and who met them last.
#[utoipa::path(get, path = "/api/v1/mqtt/limits", tag = "data health", responses(
    (status = 200, body = MetLimits), (status = 401, body = Problem),
))]
pub(crate) async fn limits(State(state): State<ApiState>) -> Json<MetLimits> {
    let health = &state.shared.health;
    let counts = health.mqtt_limits.all();
    let mut met: Vec<_> = health.mqtt_offenders().into_iter().collect();
    met.sort_by_key(|(name, last)| (std::cmp::Reverse(last.at), *name));
    let items = met.into_iter().map(|(name, last)| MetLimit {
        name,
        count: counts.get(name).copied().unwrap_or_default(),
        last_by: Some(last.who).filter(|who| !who.is_empty()),
        last_at: last.at.to_string(),
    });
    Json(MetLimits { items: items.collect() })
}
