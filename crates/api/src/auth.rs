//! Sign-in: Argon2id passwords, sessions in an HttpOnly cookie that the store knows by its hash only.

use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rand::Rng;
use sanimon_domain::time::DAY_MS;
use sanimon_store::{Account, Command};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::state::ApiState;

/// OWASP's choice with the largest memory: 46 MiB, 1 pass, 1 lane. An allocation above 32 MiB always gets pages of
/// its own from glibc, which go back when the check is over. With the 19 MiB of the crate's default, each thread
/// that ever checked a password kept them: 8 sign-ins held 140 MB on a small box.
const ARGON2_MEMORY_KIB: u32 = 46 * 1024;
const COOKIE: &str = "sanimon_session";
/// On the site's clock: a demo at 60 times the speed keeps its visitor for half a day.
const SESSION_MS: i64 = 30 * DAY_MS;

/// Roles in the order of what they may do.
pub const ROLES: [&str; 5] = ["viewer", "crew", "dispatcher", "manager", "admin"];

/// Who asks. As a handler's argument it refuses everyone who is not signed in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) role: String,
    token_sha256: [u8; 32],
}

impl User {
    /// Refuses roles below this one.
    pub(crate) fn require(&self, role: &str) -> Result<(), Problem> {
        let rank = |name: &str| ROLES.iter().position(|known| *known == name);
        if rank(&self.role) >= rank(role) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!("this needs the role {role}; yours is {}", self.role),
        ))
    }
}

/// What a person sends to sign in.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Credentials {
    username: String,
    password: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    username: String,
    role: String,
    /// Those that name the person as a member.
    teams: Vec<String>,
}

impl FromRequestParts<ApiState> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let nobody = || Problem::new(StatusCode::UNAUTHORIZED, "sign in first: POST /api/v1/session");
        let token_sha256 = token_digest(&parts.headers).ok_or_else(nobody)?;
        let now = state.now();
        let account = state.read(move |shared| shared.session_account(&token_sha256, now)).await?;
        let Account { name, role, .. } = account.ok_or_else(nobody)?;
        Ok(Self { name, role, token_sha256 })
    }
}

fn token_digest(headers: &HeaderMap) -> Option<[u8; 32]> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let token = cookies.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })?;
    Some(Sha256::digest(token.as_bytes()).into())
}

/// Signs in.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = Credentials, responses(
    (status = 200, description = "Signed in; the session is in the cookie", body = Me),
    (status = 401, description = "Unknown name or wrong password", body = Problem),
))]
pub(crate) async fn sign_in(
    State(state): State<ApiState>,
    credentials: Result<Json<Credentials>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Credentials { username, password }) = credentials?;
    let name = username.clone();
    let account = state.read(move |shared| shared.account(&name)).await?;
    let account = matches_password(&state, account, password).await?;
    let Some(account) = account else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unknown name or wrong password"));
    };
    let token = random_text(43);
    let (token_sha256, now) = (Sha256::digest(token.as_bytes()).into(), state.now());
    let owner = account.name.clone();
    let start = |reply| Command::StartSession {
        token_sha256,
        account: owner,
        now,
        expires_at: now.plus_ms(SESSION_MS),
        reply,
    };
    state.command(start).await?;
    let cookie =
        format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}", SESSION_MS / 1000);
    Ok(with_cookie(&cookie, Json(me_of(&state, account.name, account.role))))
}

/// The account, if this is its password.
pub(crate) async fn matches_password(
    state: &ApiState,
    account: Option<Account>,
    password: String,
) -> Result<Option<Account>, Problem> {
    let permit = state.password_checks.clone().acquire_owned().await.map_err(Problem::internal)?;
    let checked = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        check(account, &password)
    });
    checked.await.map_err(Problem::internal)
}

/// Checks against a hash that nobody has when the name is unknown, so that both take the same time.
fn check(account: Option<Account>, password: &str) -> Option<Account> {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let nobody = || NOBODY.get_or_init(|| hash_password(&random_password()).unwrap_or_default());
    let hash = account.as_ref().map_or_else(nobody, |account| &account.password_hash);
    let parsed = PasswordHash::new(hash).ok()?;
    argon2().verify_password(password.as_bytes(), &parsed).ok()?;
    account
}

fn with_cookie(cookie: &str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// Signs out.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204, description = "Signed out")))]
pub(crate) async fn sign_out(State(state): State<ApiState>, user: User) -> Result<Response, Problem> {
    let token_sha256 = user.token_sha256;
    state.command(|reply| Command::EndSession { token_sha256, reply }).await?;
    let cookie = format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    Ok(with_cookie(&cookie, StatusCode::NO_CONTENT))
}

/// Who is signed in.
#[utoipa::path(get, path = "/api/v1/me", tag = "session", responses(
    (status = 200, body = Me), (status = 401, description = "Nobody is signed in", body = Problem),
))]
pub(crate) async fn me(State(state): State<ApiState>, user: User) -> Json<Me> {
    Json(me_of(&state, user.name, user.role))
}

fn me_of(state: &ApiState, username: String, role: String) -> Me {
    let teams = crate::duties::teams_of(state, &username);
    Me { username, role, teams }
}

fn argon2() -> Argon2<'static> {
    let params =
        Params::new(ARGON2_MEMORY_KIB, 1, 1, None).expect("the parameters are within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The PHC string of a password (Argon2id, OWASP's parameters). Takes tens of milliseconds.
pub fn hash_password(password: &str) -> Result<String, String> {
    argon2()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

/// A password that is shown once: 16 letters and digits that cannot be mistaken for one another.
pub fn random_password() -> String {
    random_text(16)
}

/// An account's name: what fits a log line and a URL.
pub fn valid_account_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'))
}

fn random_text(length: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789";
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
}
