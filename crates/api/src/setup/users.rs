//! The people who may sign in.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sanimon_store::{Account, Command, SetupCommand};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::auth::{ROLES, User, hash_password, matches_password, random_password, valid_account_name};
use crate::error::Problem;
use crate::state::ApiState;

/// NIST SP 800-63B asks for at least 8 characters of a password that a person chooses.
const PASSWORD_CHARS_MIN: usize = 8;
const PASSWORD_CHARS_MAX: usize = 256;

/// A person who may sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserBody {
    name: String,
    /// `viewer`, `crew`, `dispatcher`, `manager`, `admin`
    role: String,
    /// Those that name the person as a member.
    teams: Vec<String>,
}

/// What is entered of a person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserEntry {
    role: String,
    /// Left out: a new person gets a random one, which the answer shows once; others keep theirs.
    password: Option<String>,
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

fn sound_password(password: &str) -> Result<(), Problem> {
    let length = password.chars().count();
    if (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&length) {
        return Ok(());
    }
    let text = format!("a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters");
    Err(Problem::bad_request(text))
}

async fn hashed(state: &ApiState, password: String) -> Result<String, Problem> {
    let permit = state.password_checks.clone().acquire_owned().await.map_err(Problem::internal)?;
    let hash = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        hash_password(&password)
    });
    hash.await.map_err(Problem::internal)?.map_err(Problem::internal)
}

/// Everybody who may sign in.
#[utoipa::path(get, path = "/api/v1/users", tag = "set up", responses(
    (status = 200, body = Vec<UserBody>), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn list(State(state): State<ApiState>, user: User) -> Result<Json<Vec<UserBody>>, Problem> {
    user.require("admin")?;
    let accounts = state.read(sanimon_store::Shared::account_names).await?;
    let body = accounts.into_iter().map(|(name, role)| {
        let teams = crate::duties::teams_of(&state, &name);
        UserBody { name, role, teams }
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
    user.require("admin")?;
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
    if entry.role != "admin" {
        keep_an_admin(&state, &name).await?;
    }
    let (hash, shown) = match (entry.password, known) {
        (Some(password), _) => (hashed(&state, password).await?, None),
        (None, Some(known)) if !entry.new_password => (known.password_hash, None),
        (None, _) => {
            let password = random_password();
            (hashed(&state, password.clone()).await?, Some(password))
        }
    };
    let account = Account { name: name.clone(), password_hash: hash, role: entry.role.clone() };
    let detail = json!({ "role": entry.role, "password": shown.is_some() });
    let (audit, now) = (state.audit(&user, "user.put", &name, &detail), state.now());
    state.change(audit, |reply| Command::PutAccount(account, now, reply)).await?;
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
    user.require("admin")?;
    let Path(name) = name?;
    keep_an_admin(&state, &name).await?;
    let audit = state.audit(&user, "user.remove", &name, &json!({}));
    state.change(audit, |reply| Command::Setup(SetupCommand::RemoveAccount { name, reply })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses what would leave nobody who may enter people.
async fn keep_an_admin(state: &ApiState, leaving: &str) -> Result<(), Problem> {
    let accounts = state.read(sanimon_store::Shared::account_names).await?;
    let is_admin = |(name, role): &&(String, String)| role == "admin" && name != leaving;
    let leaves = accounts.iter().any(|(name, role)| name == leaving && role == "admin");
    if leaves && !accounts.iter().any(|account| is_admin(&account)) {
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
    user: User,
    body: Result<Json<PasswordChange>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(PasswordChange { old, new }) = body?;
    sound_password(&new)?;
    let name = user.name.clone();
    let account = state.read(move |shared| shared.account(&name)).await?;
    let account = matches_password(&state, account, old).await?;
    let wrong = || Problem::new(StatusCode::FORBIDDEN, "the old password is wrong");
    let account = Account { password_hash: hashed(&state, new).await?, ..account.ok_or_else(wrong)? };
    let (audit, now) = (state.audit(&user, "user.password", &user.name, &json!({})), state.now());
    state.change(audit, |reply| Command::PutAccount(account, now, reply)).await?;
    Ok(StatusCode::NO_CONTENT)
}
