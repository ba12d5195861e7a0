//! Who is responsible: teams and who of them is on duty.

use axum::Json;
use axum::extract::State;
use sanimon_operations::Teams;
use sanimon_operations::teams::Facts;
use sanimon_store::{Device, DirectoryState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Problem;
use crate::state::ApiState;
use crate::wire::Text;

/// A team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamBody {
    id: String,
    name: Text,
    members: Vec<String>,
    /// Who of them is on duty now; all, when the team has no shifts or nobody is.
    on_duty: Vec<String>,
}

/// All teams: to whom an alert can go.
#[utoipa::path(get, path = "/api/v1/teams", tag = "site", responses((status = 200, body = Vec<TeamBody>), (status = 401, body = Problem)))]
pub(crate) async fn teams(State(state): State<ApiState>) -> Json<Vec<TeamBody>> {
    let Some(operations) = state.shared.standing.operations() else { return Json(Vec::new()) };
    let now = state.now();
    let duties = &operations.teams;
    let body = duties.teams.iter().map(|team| TeamBody {
        id: team.id.clone(),
        name: Text { en: team.name.en.clone(), zh: team.name.zh.clone() },
        members: team.members.clone(),
        on_duty: duties.on_duty(&team.id, now).into_iter().map(str::to_owned).collect(),
    });
    Json(body.collect())
}

/// The teams that name a person as a member.
pub(crate) fn teams_of(state: &ApiState, name: &str) -> Vec<String> {
    let Some(operations) = state.shared.standing.operations() else { return Vec::new() };
    let own = operations.teams.teams.iter().filter(|team| team.members.iter().any(|member| member == name));
    own.map(|team| team.id.clone()).collect()
}

/// Who is responsible for a device today.
pub(crate) fn team_of<'a>(device: &'a Device, directory: &DirectoryState, duties: &'a Teams) -> &'a str {
    let zone_class = directory.placement(device).zone_class;
    let (kind, zone, team) = (Some(device.kind), device.zone.as_ref(), device.team.as_deref());
    duties.team_for(Facts { kind, zone, zone_class, team })
}
