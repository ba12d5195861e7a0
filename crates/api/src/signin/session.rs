//! Sessions of people, in an HttpOnly cookie that the store knows by its hash only.
//!
//! A sign-in always gives a new token and ends the session that the browser had, so nobody can lay a token of theirs
//! under somebody's sign-in. A token that is older than an hour is replaced when the console asks who is signed in; the
//! session itself ends after 30 days, whatever was replaced meanwhile.

use std::time::Instant;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sanimon_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use sanimon_domain::{TimestampMs, ZoneId};
use sanimon_store::{Account, NewSession};
use sanimon_writer::{Author, EndSession, Entry, NoteOnly, StartSession};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::password::{random_text, valid_account_name};
use crate::access::client::Client;
use crate::access::{Proof, User};
use crate::error::Problem;
use crate::state::ApiState;

const COOKIE: &str = "sanimon_session";
/// 43 letters of 55: 248 bits.
pub(crate) const SECRET_CHARS: usize = 43;
/// On the site's clock: a demo at 60 times the speed keeps its visitor for half a day.
const SESSION_MS: i64 = 30 * DAY_MS;
const RENEW_AFTER_MS: i64 = HOUR_MS;
/// How long a replaced token is still good: for requests that were under way.
const REPLACED_GRACE_MS: i64 = MINUTE_MS;

/// What a person sends to sign in.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Credentials {
    username: String,
    password: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    username: String,
    /// `viewer`, `crew`, `dispatcher`, `manager`, `admin`
    role: String,
    /// Those that name the person as a member.
    teams: Vec<String>,
    /// All that the person sees; empty: the whole site.
    zones: Vec<String>,
}

pub(crate) fn token_digest(headers: &HeaderMap) -> Option<[u8; 32]> {
    Some(Sha256::digest(cookie(headers, COOKIE)?.as_bytes()).into())
}

pub(super) fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == wanted).then_some(value)
    })
}

pub(super) fn with_cookie(cookie: &str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn session_cookie(token: &str, max_age_s: i64, client: Client) -> String {
    let secure = if client.is_secure { "; Secure" } else { "" };
    format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age_s}{secure}")
}

/// Signs in.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = Credentials, responses(
    (status = 200, description = "Signed in; the session is in the cookie", body = Me),
    (status = 401, description = "Unknown name or wrong password", body = Problem),
    (status = 429, description = "Too many failures: `Retry-After` says how long to wait", body = Problem),
    (status = 503, description = "Too many people are signing in", body = Problem),
))]
pub(crate) async fn sign_in(
    State(state): State<ApiState>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    credentials: Result<Json<Credentials>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Credentials { username, password }) = credentials?;
    let now = Instant::now();
    if let Some(wait) = state.throttle.wait(&username, client.address, now) {
        let seconds = wait.as_secs() + 1;
        let text = format!("too many attempts: wait {seconds} s");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, text).after_s(seconds));
    }
    let name = username.clone();
    let account = state.read(move |shared| shared.account(&name)).await?;
    let Some(account) = state.passwords.matching(account, password).await? else {
        state.throttle.failed(&username, client.address, Instant::now());
        note_refusal(&state, &username, client).await?;
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unknown name or wrong password"));
    };
    state.throttle.succeeded(&username, client.address);
    let cookie = begin(&state, &account, client, token_digest(&headers), "password").await?;
    let me = me_of(&state, &account.name, &account.role, &account.zones);
    Ok(with_cookie(&cookie, Json(me)))
}

/// A refused sign-in is remembered, too. What is no account's name may be a password in the wrong field.
async fn note_refusal(state: &ApiState, username: &str, client: Client) -> Result<(), Problem> {
    let who = if valid_account_name(username) { username } else { "?" };
    let detail = json!({ "address": client.address.to_string() });
    let audit = entry(state, who, "session.refused", &detail);
    state.change(audit, NoteOnly).await
}

pub(super) fn entry(state: &ApiState, who: &str, action: &'static str, detail: &serde_json::Value) -> Entry {
    let author = Author::Person(who.to_owned());
    Entry::new(state.now(), author, action).about(who).with_detail(detail.to_string())
}

/// Begins a session in place of the one that the browser had; gives the cookie.
pub(super) async fn begin(
    state: &ApiState,
    account: &Account,
    client: Client,
    replaces: Option<[u8; 32]>,
    by: &'static str,
) -> Result<String, Problem> {
    let token = random_text(SECRET_CHARS);
    let now = state.now();
    let session = new_session(&token, &account.name, now, now);
    let detail = json!({ "address": client.address.to_string(), "by": by });
    let audit = entry(state, &account.name, "session.start", &detail);
    let replaces = replaces.map(|old| (old, now));
    state.change(audit, StartSession { session, replaces }).await?;
    Ok(session_cookie(&token, SESSION_MS / 1_000, client))
}

fn new_session(token: &str, account: &str, now: TimestampMs, signed_in_at: TimestampMs) -> NewSession {
    NewSession {
        token_sha256: Sha256::digest(token.as_bytes()).into(),
        account: account.to_owned(),
        now,
        signed_in_at,
        expires_at: signed_in_at.plus_ms(SESSION_MS),
    }
}

/// Signs out.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses(
    (status = 204, description = "Signed out"), (status = 401, body = Problem),
))]
pub(crate) async fn sign_out(
    State(state): State<ApiState>,
    Extension(client): Extension<Client>,
    user: User,
) -> Result<Response, Problem> {
    if let Proof::Session { token_sha256, .. } = user.proof {
        let audit = entry(&state, &user.name, "session.end", &json!({}));
        state.change(audit, EndSession { token_sha256 }).await?;
    }
    Ok(with_cookie(&session_cookie("", 0, client), StatusCode::NO_CONTENT))
}

/// Who is signed in. A session's token that is older than an hour is replaced.
#[utoipa::path(get, path = "/api/v1/me", tag = "session", responses(
    (status = 200, body = Me), (status = 401, description = "Nobody is signed in", body = Problem),
))]
pub(crate) async fn me(
    State(state): State<ApiState>,
    Extension(client): Extension<Client>,
    user: User,
) -> Result<Response, Problem> {
    let body = Json(me_of(&state, &user.name, user.role.as_str(), &user.zones));
    let now = state.now();
    let Proof::Session { token_sha256, created_at, signed_in_at } = user.proof else {
        return Ok(body.into_response());
    };
    if now.since_ms(created_at) < RENEW_AFTER_MS {
        return Ok(body.into_response());
    }
    let token = random_text(SECRET_CHARS);
    let session = new_session(&token, &user.name, now, signed_in_at);
    // In a simulation the clock runs faster than the browser.
    let grace_ms = (REPLACED_GRACE_MS as f64 * state.site.simulation_speed.unwrap_or(1.0).max(1.0)) as i64;
    let left_s = session.expires_at.since_ms(now) / 1_000;
    let replaces = Some((token_sha256, now.plus_ms(grace_ms)));
    let audit = entry(&state, &user.name, "session.renew", &json!({}));
    state.change(audit, StartSession { session, replaces }).await?;
    Ok(with_cookie(&session_cookie(&token, left_s, client), body))
}

fn me_of(state: &ApiState, name: &str, role: &str, zones: &[ZoneId]) -> Me {
    Me {
        username: name.to_owned(),
        role: role.to_owned(),
        teams: crate::duties::teams_of(state, name),
        zones: zones.iter().map(ToString::to_string).collect(),
    }
}
