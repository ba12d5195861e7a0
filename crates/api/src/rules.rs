//! The rules in force: which of them speak for a device and why, their versions, and reading them again.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sanimon_alerting::{Level, Rule, Verdict};
use sanimon_domain::metric;
use sanimon_store::NewRules;
use sanimon_writer::PutRules;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::User;
use crate::alerts::device_number;
use crate::error::Problem;
use crate::setup::source::{Checked, SetupDocument, SetupSource};
use crate::state::ApiState;
use crate::wire::Text;

/// A level of a rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LevelBody {
    severity: String,
    /// Such as `>= 75`.
    raise: String,
    /// Such as `< 60`.
    clear: String,
    /// How long it must hold, in seconds.
    for_s: i64,
}

impl LevelBody {
    fn new(level: &Level) -> Self {
        let [raises, clears] = level.signs();
        Self {
            severity: level.severity.to_string(),
            raise: format!("{raises} {}", level.raise),
            clear: format!("{clears} {}", level.clear),
            for_s: level.for_ms / 1_000,
        }
    }
}

/// A rule in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleBody {
    id: String,
    title: Text,
    /// Null: each kind.
    kind: Option<String>,
    metric: String,
    /// `threshold`, `rate`, `silence`, `stuck`, `count` or `forecast`
    condition: String,
    /// `zone` or `gateway`: one alert for all devices that share it.
    group: Option<String>,
    levels: Vec<LevelBody>,
    overrides: usize,
}

fn rule_body(rule: &Rule) -> RuleBody {
    RuleBody {
        id: rule.id.to_string(),
        title: Text { en: rule.title.en.clone(), zh: rule.title.zh.clone() },
        kind: rule.kind.map(|kind| kind.to_string()),
        metric: metric::info(rule.metric).map_or("", |info| info.name).to_owned(),
        condition: rule.watch.as_str().to_owned(),
        group: rule.group.map(|group| group.to_string()),
        levels: rule.levels.iter().map(LevelBody::new).collect(),
        overrides: rule.overrides.len(),
    }
}

/// The rules in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RulesBody {
    /// Alerts name the version that raised them.
    version: i64,
    rules: Vec<RuleBody>,
}

/// The rules in force, and their version.
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules", responses((status = 200, body = RulesBody), (status = 401, body = Problem)))]
pub(crate) async fn in_force(State(state): State<ApiState>) -> Json<RulesBody> {
    let rules = state.shared.standing.rules();
    Json(RulesBody { version: rules.version(), rules: rules.iter().map(rule_body).collect() })
}

/// What a rule has to do with a device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceRuleBody {
    rule: String,
    title: Text,
    metric: String,
    /// `threshold`, `rate`, `silence`, `stuck`, `count` or `forecast`
    condition: String,
    /// `speaks`, `off` (an override switches it off here) or `not_for`
    verdict: String,
    /// In English.
    why: String,
    /// Those that speak for this device.
    levels: Vec<LevelBody>,
}

/// Every rule's verdict on a device: which speak, with which numbers, and why the others do not.
#[utoipa::path(get, path = "/api/v1/devices/{id}/rules", tag = "rules", params(("id" = String, Path)), responses(
    (status = 200, body = Vec<DeviceRuleBody>), (status = 401, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn of_device(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Vec<DeviceRuleBody>>, Problem> {
    let Path(id) = id?;
    let number = device_number(&state, &id)?;
    let directory = state.shared.directory.read();
    let device = directory.device(number).ok_or_else(|| Problem::not_found("device", &id))?;
    let placement = directory.placement(device);
    let rules = state.shared.standing.rules();
    let explained = rules.explain(&device.id, &placement).map(|explained| {
        let (verdict, levels) = match explained.verdict {
            Verdict::Speaks(variant) => ("speaks", explained.rule.levels_of(variant)),
            Verdict::Off => ("off", &[][..]),
            Verdict::NotFor => ("not_for", &[][..]),
        };
        DeviceRuleBody {
            rule: explained.rule.id.to_string(),
            title: Text { en: explained.rule.title.en.clone(), zh: explained.rule.title.zh.clone() },
            metric: metric::info(explained.rule.metric).map_or("", |info| info.name).to_owned(),
            condition: explained.rule.watch.as_str().to_owned(),
            verdict: verdict.to_owned(),
            why: explained.why,
            levels: levels.iter().map(LevelBody::new).collect(),
        }
    });
    Ok(Json(explained.collect()))
}

/// Rules that are or were in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RulesVersionBody {
    version: i64,
    since: String,
    /// The file, as it was read.
    text: String,
}

/// Every version of the rules that was ever in force, the newest first.
#[utoipa::path(get, path = "/api/v1/rules/versions", tag = "rules", responses(
    (status = 200, body = Vec<RulesVersionBody>), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn versions(State(state): State<ApiState>) -> Result<Json<Vec<RulesVersionBody>>, Problem> {
    let found = state.read(sanimon_store::Shared::rules_versions).await?;
    let body = found.into_iter().map(|version| RulesVersionBody {
        version: version.no,
        since: version.since.to_string(),
        text: version.text,
    });
    Ok(Json(body.collect()))
}

/// Reads the site's rules again; an error names every fault with its line.
pub fn rules_again(setup: &dyn SetupSource) -> Result<NewRules, Vec<String>> {
    let text = setup.text(SetupDocument::Rules, &[]).map_err(|why| vec![why])?;
    match setup.check(SetupDocument::Rules, &text) {
        Ok(Checked::Rules(rules)) => Ok(*rules),
        Ok(_) => Err(vec!["the rules' file holds something else".to_owned()]),
        Err(faults) => {
            let file = setup.name(SetupDocument::Rules);
            Err(faults.iter().map(|fault| format!("{file}:{}: {}", fault.line, fault.message)).collect())
        }
    }
}

/// What came of reading the rules again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reloaded {
    version: i64,
}

/// Reads the rules again and puts them in force. Faulty ones are refused whole; those in force stay.
#[utoipa::path(post, path = "/api/v1/rules/reload", tag = "rules", responses(
    (status = 200, body = Reloaded), (status = 400, body = Problem, description = "Every fault with its line"),
    (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn reload(State(state): State<ApiState>, user: User) -> Result<Json<Reloaded>, Problem> {
    let setup = state.site.setup.clone();
    let read = tokio::task::spawn_blocking(move || rules_again(&*setup)).await.map_err(Problem::internal)?;
    let rules = read.map_err(|faults| Problem::new(StatusCode::BAD_REQUEST, faults.join("\n")))?;
    let audit = state.audit(&user, "rules.reload", "", &serde_json::json!({}));
    let version = state.change(audit, PutRules { new: rules, document: None }).await?;
    tracing::info!(version, who = user.name, "rules were read again");
    Ok(Json(Reloaded { version }))
}
