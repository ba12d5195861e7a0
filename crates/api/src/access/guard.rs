//! The one door: each request to an endpoint passes here before its handler sees it.

use axum::RequestPartsExt;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sanimon_domain::{AlertId, DeviceId, ZoneId};
use sanimon_store::{Alert, Session};
use sha2::{Digest, Sha256};

use super::client::{Client, check_host, check_origin};
use super::table::{self, Access, Scope, TokenScope};
use super::{Kind, Proof, Role, User};
use crate::error::Problem;
use crate::signin::session;
use crate::state::ApiState;
use crate::windows::zone_of;

/// How a program's key begins, so that people and scanners of leaked secrets know it.
pub(crate) const TOKEN_PREFIX: &str = "sanimon_";

/// Of the windows that are over; older ones cannot be ended anyway.
const WINDOWS_LOOKED_AT: usize = 1_000;

pub(crate) fn nobody() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "sign in first: POST /api/v1/session")
}

/// Asks who it is, whether the role suffices, and whether the zone is theirs.
pub(crate) async fn layer(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let client = Client::of(&request, &state.site.reached);
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(client);
    match pass(&state, &mut parts, client).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn pass(state: &ApiState, parts: &mut Parts, client: Client) -> Result<(), Problem> {
    check_host(&parts.headers, &state.site.reached)?;
    check_origin(&parts.method, &parts.headers)?;
    let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let Some(access) = path.and_then(|path| table::find(parts.method.as_str(), path)) else {
        // A method that no endpoint takes is answered as such; all the rest of what does not stand in the table is shut.
        let is_known = path.is_some_and(|path| table::ACCESS.iter().any(|access| access.path == path));
        let is_api = path.is_some_and(|path| path.starts_with("/api/v1/"));
        return if is_known || !is_api { Ok(()) } else { Err(nobody()) };
    };
    state.limits.admit_request(client.address)?;
    let Some(role) = access.role else { return Ok(()) };
    let user = who(state, &parts.headers).await?.ok_or_else(nobody)?;
    user.require(role)?;
    check_token(&user, access)?;
    check_zone(state, parts, &user, access.scope).await?;
    parts.extensions.insert(user);
    Ok(())
}

/// Who sent the request; `None`: nobody that is known.
async fn who(state: &ApiState, headers: &HeaderMap) -> Result<Option<User>, Problem> {
    if let Some(token) = bearer(headers) {
        return known(state, Sha256::digest(token.as_bytes()).into(), Kind::Token).await;
    }
    match session::token_digest(headers) {
        Some(digest) => known(state, digest, Kind::Session).await,
        None => Ok(None),
    }
}

/// Whose this session's or token's digest is.
async fn known(state: &ApiState, digest: [u8; 32], kind: Kind) -> Result<Option<User>, Problem> {
    let now = state.now();
    // Before the file is asked: a change after that makes what is remembered void.
    let version = state.shared.access.version();
    if let Some(user) = state.remembered.find(&(kind, digest), &state.shared.access, now) {
        return Ok(Some(user));
    }
    let found = match kind {
        Kind::Token => {
            let found = state.read(move |shared| shared.token(&digest, now)).await?;
            found.map(|(account, token)| {
                let proof = Proof::Token { token_sha256: digest, scopes: token.scopes.into() };
                (account, proof, token.expires_at)
            })
        }
        Kind::Session => {
            let found = state.read(move |shared| shared.session(&digest, now)).await?;
            found.map(|Session { account, created_at, signed_in_at, expires_at }| {
                (account, Proof::Session { token_sha256: digest, created_at, signed_in_at }, expires_at)
            })
        }
    };
    let Some((account, proof, expires_at)) = found else { return Ok(None) };
    let user = User::new(account, proof);
    if let Some(user) = &user {
        state.remembered.put((kind, digest), user.clone(), expires_at, version);
    }
    Ok(user)
}

/// Whether somebody who was let in would be let in again, with the same rights.
pub(crate) async fn is_still(state: &ApiState, user: &User) -> bool {
    let found = match &user.proof {
        Proof::Session { token_sha256, .. } => known(state, *token_sha256, Kind::Session).await,
        Proof::Token { token_sha256, .. } => known(state, *token_sha256, Kind::Token).await,
    };
    matches!(found, Ok(Some(now)) if now.role == user.role && now.zones == user.zones)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(TOKEN_PREFIX)).then(|| token.trim())
}

fn check_token(user: &User, access: &Access) -> Result<(), Problem> {
    let Proof::Token { scopes, .. } = &user.proof else { return Ok(()) };
    let needed = access.token;
    if needed != TokenScope::Never && scopes.iter().any(|scope| scope == needed.as_str()) {
        return Ok(());
    }
    let text = match needed {
        TokenScope::Never => "this needs a person who is signed in, not a token".to_owned(),
        _ => format!("this needs a token with the scope `{}`", needed.as_str()),
    };
    Err(Problem::new(StatusCode::FORBIDDEN, text))
}

/// What is in another zone does not exist for an account that is limited to some.
async fn check_zone(state: &ApiState, parts: &mut Parts, user: &User, scope: Scope) -> Result<(), Problem> {
    if user.sees_whole_site() || matches!(scope, Scope::Free | Scope::Filtered) {
        return Ok(());
    }
    if scope == Scope::Site {
        let text = "this is about the whole site; your account is limited to some zones";
        return Err(Problem::new(StatusCode::FORBIDDEN, text));
    }
    let params = parts.extract::<RawPathParams>().await.map_err(Problem::internal)?;
    let id = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value.to_owned());
    let id = id.unwrap_or_default();
    let zones = zones_of(state, scope, &id).await?;
    // A round stops in several zones: one of them suffices.
    if zones.iter().any(|zone| user.sees(Some(zone))) {
        return Ok(());
    }
    let what = match scope {
        Scope::Device => "device",
        Scope::Alert => "alert",
        Scope::Report => "photo of a report",
        Scope::Round => "round",
        _ => "maintenance window",
    };
    Err(Problem::not_found(what, &id))
}

/// The zones of something; empty: it does not exist, or is in none.
async fn zones_of(state: &ApiState, scope: Scope, id: &str) -> Result<Vec<ZoneId>, Problem> {
    let device_zone = |no| state.shared.directory.read().device(no).and_then(|device| device.zone.clone());
    let number: Option<i64> = id.parse().ok();
    let now = state.now();
    Ok(match (scope, number) {
        (Scope::Device, _) => {
            let no = DeviceId::new(id).ok().and_then(|id| state.shared.directory.read().number(&id));
            no.and_then(device_zone).into_iter().collect()
        }
        (Scope::Alert, Some(number)) => {
            let alert = AlertId(number as u64);
            let found = state.read(move |shared| shared.alert(alert)).await?;
            found.and_then(|(alert, _): (Alert, _)| alert.zone).into_iter().collect()
        }
        (Scope::Report, Some(number)) => {
            let zone = state.read(move |shared| shared.zone_of_report(number)).await?;
            zone.into_iter().collect()
        }
        (Scope::Round, Some(number)) => {
            let round = state.read(move |shared| shared.round(number)).await?;
            let stops = round.map(|round| round.stops).unwrap_or_default();
            stops.iter().filter_map(|stop| device_zone(stop.planned.device)).collect()
        }
        (Scope::Window, Some(number)) => {
            let known = state.read(move |shared| shared.maintenance_windows(now, WINDOWS_LOOKED_AT)).await?;
            let window = known.into_iter().map(|entry| entry.window).find(|window| window.id == number);
            let directory = state.shared.directory.read();
            let zone = window.and_then(|window| zone_of(window.device, window.zone.as_ref(), &directory));
            zone.into_iter().collect()
        }
        _ => Vec::new(),
    })
}

/// The role of a step of an alert's life.
impl From<sanimon_operations::lifecycle::Role> for Role {
    fn from(role: sanimon_operations::lifecycle::Role) -> Self {
        match role {
            sanimon_operations::lifecycle::Role::Crew => Self::Crew,
            sanimon_operations::lifecycle::Role::Dispatcher => Self::Dispatcher,
        }
    }
}
