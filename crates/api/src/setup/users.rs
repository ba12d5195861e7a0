//! The people who may sign in.

use std::time::Instant;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use sanimon_domain::ZoneId;
use sanimon_store::Account;
use sanimon_writer::{PutAccount, RemoveAccount};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::access::client::Client;
use crate::access::{ROLES, User};
use crate::error::Problem;
use crate::signin::password::{random_password, sound_password, valid_account_name};
use crate::state::ApiState;

/// A person who may sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserBody {
    name: String,
    /// `viewer`, `crew`, `dispatcher`, `manager`, `admin`
    role: String,
    /// Those that name the person as a member.
    teams: Vec<String>,
    /// All that the person sees; empty: the whole site.
    zones: Vec<String>,
    /// The person signs in at the site's OpenID provider.
    elsewhere: bool,
}

/// What is entered of a person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserEntry {
    role: String,
    /// Left out: a new person gets a random one, which the answer shows once; others keep theirs.
    password: Option<String>,
    /// All that the person sees and does something about; empty: the whole site. Left out: as it is.
    zones: Option<Vec<String>>,
    /// Makes a new random password.
    #[serde(default)]
    new_password: bool,
}

/// What was entered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserEntered {
    name: String,
    role: String,
    /// Shown once: only its hash is kept.
    password: Option<String>,
}

/// A change of one's own password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    old: String,
    new: String,
}

/// Everybody who may sign in.
#[utoipa::path(get, path = "/api/v1/users", tag = "set up", responses(
    (status = 200, body = Vec<UserBody>), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn list(State(state): State<ApiState>) -> Result<Json<Vec<UserBody>>, Problem> {
    let accounts = state.read(sanimon_store::Shared::accounts).await?;
    let body = accounts.into_iter().map(|account| UserBody {
        teams: crate::duties::teams_of(&state, &account.name),
        zones: account.zones.iter().map(ToString::to_string).collect(),
        elsewhere: account.oidc_subject.is_some(),
        name: account.name,
        role: account.role,
    });
    Ok(Json(body.collect()))
}

/// Enters a person, or changes role or password.
#[utoipa::path(put, path = "/api/v1/users/{name}", tag = "set up", params(("name" = String, Path)), request_body = UserEntry, responses(
    (status = 200, body = UserEntered), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 409, body = Problem, description = "The last admin stays one"),
))]
pub(crate) async fn put(
    State(state): State<ApiState>,
    user: User,
    name: Result<Path<String>, PathRejection>,
    entry: Result<Json<UserEntry>, JsonRejection>,
) -> Result<Json<UserEntered>, Problem> {
    let (Path(name), Json(entry)) = (name?, entry?);
    if !valid_account_name(&name) {
        let text = "a name has 1 to 64 letters, digits, `-`, `_`, `.` or `@`";
        return Err(Problem::bad_request(text));
    }
    if !ROLES.contains(&entry.role.as_str()) {
        return Err(Problem::bad_request(format!("`role` is one of {}", ROLES.join(", "))));
    }
    entry.password.as_deref().map_or(Ok(()), sound_password)?;
    let wanted = name.clone();
    let known = state.read(move |shared| shared.account(&wanted)).await?;
    let zones = match (&entry.zones, &known) {
        (Some(zones), _) => zones.iter().map(|zone| zone_id(&state, zone)).collect::<Result<_, _>>()?,
        (None, Some(known)) => known.zones.clone(),
        (None, None) => Vec::new(),
    };
    if entry.role != "admin" || !zones.is_empty() {
        keep_an_admin(&state, &name).await?;
    }
    let oidc_subject = known.as_ref().and_then(|known| known.oidc_subject.clone());
    let was_given = entry.password.is_some();
    let (hash, shown) = match (entry.password, known) {
        (Some(password), _) => (state.passwords.hashed(password).await?, None),
        (None, Some(known)) if !entry.new_password => (known.password_hash, None),
        (None, _) => {
            let password = random_password();
            (state.passwords.hashed(password.clone()).await?, Some(password))
        }
    };
    let detail = json!({
        "role": entry.role,
        "zones": zones.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "password": was_given || shown.is_some(),
    });
    let role = entry.role.clone();
    let account = Account { name: name.clone(), password_hash: hash, role, zones, oidc_subject };
    let audit = state.audit(&user, "user.put", &name, &detail);
    state.change(audit, PutAccount(account)).await?;
    Ok(Json(UserEntered { name, role: entry.role, password: shown }))
}

/// Takes a person's account away; what the person did stays in the histories.
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "set up", params(("name" = String, Path)), responses(
    (status = 204, description = "Removed"), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem, description = "The last admin stays"),
))]
pub(crate) async fn remove(
    State(state): State<ApiState>,
    user: User,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(name) = name?;
    keep_an_admin(&state, &name).await?;
    let audit = state.audit(&user, "user.remove", &name, &json!({}));
    state.change(audit, RemoveAccount { name }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn zone_id(state: &ApiState, zone: &str) -> Result<ZoneId, Problem> {
    let known = ZoneId::new(zone).ok().filter(|id| state.shared.directory.read().zone(id).is_some());
    known.ok_or_else(|| Problem::bad_request(format!("`zones`: there is no zone `{zone}`")))
}

/// Refuses what would leave nobody who may enter people.
async fn keep_an_admin(state: &ApiState, leaving: &str) -> Result<(), Problem> {
    let accounts = state.read(sanimon_store::Shared::accounts).await?;
    // An admin of some zones may not enter people.
    let admins = accounts.iter().filter(|account| account.role == "admin" && account.zones.is_empty());
    let names: Vec<&str> = admins.map(|account| account.name.as_str()).collect();
    if names == [leaving] {
        let text = format!("`{leaving}` is the only admin: make somebody else one first");
        return Err(Problem::new(StatusCode::CONFLICT, text));
    }
    Ok(())
}

/// Changes one's own password. All sessions of the account end.
#[utoipa::path(post, path = "/api/v1/me/password", tag = "session", request_body = PasswordChange, responses(
    (status = 204, description = "Changed: sign in again"), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem, description = "The old password is wrong"),
))]
pub(crate) async fn change_password(
    State(state): State<ApiState>,
    Extension(client): Extension<Client>,
    user: User,
    body: Result<Json<PasswordChange>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(PasswordChange { old, new }) = body?;
    sound_password(&new)?;
    let now = Instant::now();
    if let Some(wait) = state.throttle.wait(&user.name, client.address, now) {
        let text = "too many attempts: wait a moment";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, text).after_s(wait.as_secs() + 1));
    }
    let name = user.name.clone();
    let account = state.read(move |shared| shared.account(&name)).await?;
    let account = state.passwords.matching(account, old).await?;
    let Some(account) = account else {
        state.throttle.failed(&user.name, client.address, now);
        return Err(Problem::new(StatusCode::FORBIDDEN, "the old password is wrong"));
    };
    let account = Account { password_hash: state.passwords.hashed(new).await?, ..account };
    let audit = state.audit(&user, "user.password", &user.name, &json!({}));
    state.change(audit, PutAccount(account)).await?;
    Ok(StatusCode::NO_CONTENT)
}
