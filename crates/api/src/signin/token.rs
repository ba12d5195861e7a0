//! Keys of programs: shown once, stored hashed, with scopes and an end. A key may do what its owner may, within its
//! scopes, and never more: its owner's role and zones are looked up anew when they change.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sanimon_domain::time::DAY_MS;
use sanimon_store::{NewToken, Token};
use sanimon_writer::{PutToken, RevokeToken};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::password::random_text;
use super::session::SECRET_CHARS;
use crate::access::guard::TOKEN_PREFIX;
use crate::access::table::TOKEN_SCOPES;
use crate::access::{Role, User};
use crate::error::Problem;
use crate::state::ApiState;

const DAYS_DEFAULT: u32 = 90;
const DAYS_MAX: u32 = 366;
const NAME_CHARS_MAX: usize = 64;
/// Keys of one person at most.
const TOKENS_MAX: usize = 50;

/// A key without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenBody {
    id: i64,
    /// Whose rights it has.
    account: String,
    /// What it is for.
    name: String,
    /// `read`, `alerts` (steps, photos, rounds, maintenance), `devices` (the registry), `setup` (rules, zones, teams, channels)
    scopes: Vec<String>,
    created_at: String,
    expires_at: String,
}

/// A key that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenEntry {
    name: String,
    scopes: Vec<String>,
    /// 1 to 366; 90 if left out.
    days: Option<u32>,
}

/// A new key.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenMade {
    id: i64,
    /// Shown once: only its hash is kept. `Authorization: Bearer ...`
    token: String,
    expires_at: String,
}

/// One's own keys; an admin sees everybody's.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "session", responses(
    (status = 200, body = Vec<TokenBody>), (status = 401, body = Problem),
))]
pub(crate) async fn list(State(state): State<ApiState>, user: User) -> Result<Json<Vec<TokenBody>>, Problem> {
    let own = (!sees_all(&user)).then(|| user.name.clone());
    let found = state.read(move |shared| shared.tokens(own.as_deref())).await?;
    let body =
        found.into_iter().map(|Token { id, account, name, scopes, created_at, expires_at }| TokenBody {
            id,
            account,
            name,
            scopes,
            created_at: created_at.to_string(),
            expires_at: expires_at.to_string(),
        });
    Ok(Json(body.collect()))
}

fn sees_all(user: &User) -> bool {
    user.role == Role::Admin && user.sees_whole_site()
}

/// Makes a key for a program.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "session", request_body = TokenEntry, responses(
    (status = 201, body = TokenMade), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn make(
    State(state): State<ApiState>,
    user: User,
    entry: Result<Json<TokenEntry>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(TokenEntry { name, scopes, days }) = entry?;
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Problem::bad_request("`name` says what the token is for, in 1 to 64 characters"));
    }
    if let Some(unknown) = scopes.iter().find(|scope| !TOKEN_SCOPES.contains(&scope.as_str())) {
        let text = format!("`scopes`: `{unknown}` is none of {}", TOKEN_SCOPES.join(", "));
        return Err(Problem::bad_request(text));
    }
    if scopes.is_empty() {
        return Err(Problem::bad_request("`scopes` names one at least"));
    }
    let days = days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Problem::bad_request("`days` is between 1 and 366"));
    }
    let owner = user.name.clone();
    if state.read(move |shared| shared.tokens(Some(&owner))).await?.len() >= TOKENS_MAX {
        return Err(Problem::new(StatusCode::CONFLICT, "you have 50 tokens: revoke one first"));
    }
    let token = format!("{TOKEN_PREFIX}{}", random_text(SECRET_CHARS));
    let now = state.now();
    let expires_at = now.plus_ms(i64::from(days) * DAY_MS);
    let detail = json!({ "name": name, "scopes": scopes, "expires_at": expires_at.to_string() });
    let audit = state.audit(&user, "token.make", &user.name, &detail);
    let new = NewToken {
        token_sha256: Sha256::digest(token.as_bytes()).into(),
        account: user.name,
        name,
        scopes,
        now,
        expires_at,
    };
    let id = state.change(audit, PutToken(new)).await?;
    let made = Json(TokenMade { id, token, expires_at: expires_at.to_string() });
    let secret = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, secret, made).into_response())
}

/// Revokes a key: one's own, or anybody's for an admin.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "session", params(("id" = i64, Path)), responses(
    (status = 204, description = "Revoked"), (status = 401, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn revoke(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<i64>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    let audit = state.audit(&user, "token.revoke", &id.to_string(), &json!({}));
    let account = (!sees_all(&user)).then_some(user.name);
    state.change(audit, RevokeToken { id, account }).await?;
    Ok(StatusCode::NO_CONTENT)
}
