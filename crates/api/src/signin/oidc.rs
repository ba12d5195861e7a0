//! Sign-in at the site's OpenID provider: authorization code with PKCE, state and nonce.
//!
//! Who comes for the first time gets an account with the role that the site gives to newcomers, or is refused; an admin
//! changes roles and zones afterwards as for everybody. Accounts are bound to issuer and subject, never to a name or an
//! address that somebody could choose at the provider.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use sanimon_store::Account;
use sanimon_writer::PutAccount;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::password::valid_account_name;
use super::session::{begin, cookie, entry, token_digest, with_cookie};
use crate::access::Role;
use crate::access::client::Client;
use crate::error::Problem;
use crate::state::ApiState;

/// Binds the answer of the provider to the browser that asked. Lax: the provider sends the browser here.
const COOKIE: &str = "sanimon_oidc";
const COOKIE_PATH: &str = "/api/v1/session/oidc";
/// How long somebody may take at the provider.
const PENDING_MAX_AGE: Duration = Duration::from_mins(10);
/// Sign-ins under way at most; the oldest are forgotten.
const PENDING_MAX: usize = 1_000;
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Signatures that a provider's key proves; none by a secret that is shared, and never none.
const SIGNED_BY: [CoreJwsSigningAlgorithm; 6] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The site's provider.
#[derive(Clone)]
pub struct OidcOptions {
    /// What the button says.
    pub label: String,
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<String>,
    /// Where the provider sends the browser: the console's address and [`OIDC_CALLBACK_PATH`].
    pub redirect_url: String,
    /// What newcomers get; `None`: only those come in who have an account already.
    pub newcomers: Option<Role>,
}

/// To be entered at the provider.
pub const OIDC_CALLBACK_PATH: &str = "/api/v1/session/oidc/callback";

impl std::fmt::Debug for OidcOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcOptions").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Sign-ins under way.
#[derive(Default)]
pub(crate) struct Pending(Mutex<HashMap<String, Begun>>);

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

struct Begun {
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    at: Instant,
}

impl Pending {
    fn put(&self, state: String, begun: Begun) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, begun| begun.at.elapsed() < PENDING_MAX_AGE);
        if table.len() >= PENDING_MAX {
            let oldest = table.iter().min_by_key(|(_, begun)| begun.at).map(|(state, _)| state.clone());
            oldest.and_then(|state| table.remove(&state));
        }
        table.insert(state, begun);
    }

    /// Once.
    fn take(&self, state: &str) -> Option<Begun> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(state).filter(|begun| begun.at.elapsed() < PENDING_MAX_AGE)
    }
}

/// Asks the provider, which is not followed anywhere else.
fn ask(request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(PROVIDER_TIMEOUT))
        .build()
        .into();
    let response = agent.run(request)?;
    let (parts, mut body) = response.into_parts();
    let bytes = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
    Ok(HttpResponse::from_parts(parts, bytes))
}

/// Something that the provider did; the log says more.
fn provider_failed(what: &'static str, error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(what, %error, "sign-in at the provider failed");
    Problem::new(StatusCode::BAD_GATEWAY, format!("the site's OpenID provider: {what}; the log says more"))
}

fn options(state: &ApiState) -> Result<OidcOptions, Problem> {
    let found = state.site.oidc.clone();
    found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "this site has no OpenID provider"))
}

macro_rules! client {
    ($options:expr) => {{
        let issuer = IssuerUrl::new($options.issuer.clone())
            .map_err(|error| provider_failed("its address is not sound", &error))?;
        let metadata = CoreProviderMetadata::discover(&issuer, &ask)
            .map_err(|error| provider_failed("it does not describe itself", &error))?;
        let redirect = RedirectUrl::new($options.redirect_url.clone())
            .map_err(|error| provider_failed("the address of this site is not sound", &error))?;
        let secret = $options.client_secret.clone().map(ClientSecret::new);
        CoreClient::from_provider_metadata(metadata, ClientId::new($options.client_id.clone()), secret)
            .set_redirect_uri(redirect)
    }};
}

/// Sends the browser to the provider.
#[utoipa::path(get, path = "/api/v1/session/oidc", tag = "session", responses(
    (status = 303, description = "To the provider"), (status = 404, body = Problem, description = "The site has none"),
    (status = 502, body = Problem),
))]
pub(crate) async fn leave(
    State(state): State<ApiState>,
    Extension(client): Extension<Client>,
) -> Result<Response, Problem> {
    let options = options(&state)?;
    let begun = tokio::task::spawn_blocking(move || {
        let provider = client!(options);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, csrf, nonce) = provider
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        Ok::<_, Problem>((url, csrf, Begun { nonce, verifier, at: Instant::now() }))
    });
    let (url, csrf, begun) = begun.await.map_err(Problem::internal)??;
    let secure = if client.is_secure { "; Secure" } else { "" };
    let max_age_s = PENDING_MAX_AGE.as_secs();
    let cookie = format!(
        "{COOKIE}={}; HttpOnly; SameSite=Lax; Path={COOKIE_PATH}; Max-Age={max_age_s}{secure}",
        csrf.secret()
    );
    state.pending.put(csrf.secret().clone(), begun);
    let location = HeaderValue::from_str(url.as_str()).map_err(Problem::internal)?;
    Ok(with_cookie(&cookie, (StatusCode::SEE_OTHER, [(header::LOCATION, location)])))
}

/// What the provider sends along.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Answer {
    state: String,
    code: Option<String>,
    /// Why it refused.
    error: Option<String>,
}

/// The browser comes back from the provider.
#[utoipa::path(get, path = "/api/v1/session/oidc/callback", tag = "session", params(Answer), responses(
    (status = 200, description = "Signed in: a page that leads to the console"), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 502, body = Problem),
))]
pub(crate) async fn come_back(
    State(state): State<ApiState>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    answer: Result<Query<Answer>, QueryRejection>,
) -> Result<Response, Problem> {
    let options = options(&state)?;
    let Query(answer) = answer?;
    let not_begun =
        || Problem::bad_request("this sign-in was not begun in this browser, or took too long: begin anew");
    if cookie(&headers, COOKIE) != Some(&answer.state) {
        return Err(not_begun());
    }
    let begun = state.pending.take(&answer.state).ok_or_else(not_begun)?;
    let Some(code) = answer.code else {
        let why = answer.error.unwrap_or_default();
        tracing::info!(why, "the provider refused a sign-in");
        return Err(Problem::new(StatusCode::FORBIDDEN, "the site's OpenID provider refused the sign-in"));
    };
    let newcomers = options.newcomers;
    let known = tokio::task::spawn_blocking(move || identity(&options, code, begun)).await;
    let identity = known.map_err(Problem::internal)??;
    let account = account(&state, identity, newcomers).await?;
    let cookie = begin(&state, &account, client, token_digest(&headers), "oidc").await?;
    // Not a redirect: the browser would count it to the provider's site and keep the strict cookie back.
    let page = "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0; url=/\">\
                <title>sanimon</title><a href=\"/\">sanimon</a>\n";
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Ok(with_cookie(&cookie, ([kind], page)))
}

/// Who somebody is at the provider.
struct Identity {
    /// `issuer subject`
    subject: String,
    /// As the provider calls the person; not unique, and not to be relied on.
    name: String,
}

fn identity(options: &OidcOptions, code: String, begun: Begun) -> Result<Identity, Problem> {
    let provider = client!(options);
    let tokens = provider
        .exchange_code(AuthorizationCode::new(code))
        .map_err(|error| provider_failed("it names no place to ask for tokens", &error))?
        .set_pkce_verifier(begun.verifier)
        .request(&ask)
        .map_err(|error| provider_failed("it gave no token", &error))?;
    let token = tokens.id_token().ok_or_else(|| provider_failed("it gave no ID token", &"missing"))?;
    let claims = token
        .claims(&provider.id_token_verifier().set_allowed_algs(SIGNED_BY), &begun.nonce)
        .map_err(|error| provider_failed("its ID token is not sound", &error))?;
    let subject = claims.subject().as_str();
    let name = claims.preferred_username().map(|name| name.as_str().to_owned());
    let name = name.or_else(|| claims.email().map(|email| email.as_str().to_owned()));
    Ok(Identity {
        subject: format!("{} {subject}", options.issuer),
        name: name.unwrap_or_else(|| subject.to_owned()),
    })
}

/// The account of somebody; a newcomer gets one, if the site wants that.
async fn account(state: &ApiState, identity: Identity, newcomers: Option<Role>) -> Result<Account, Problem> {
    let subject = identity.subject.clone();
    if let Some(known) = state.read(move |shared| shared.account_of_subject(&subject)).await? {
        return Ok(known);
    }
    let Some(role) = newcomers else {
        let text = "you have no account here: an administrator can let newcomers in ([oidc] newcomers)";
        return Err(Problem::new(StatusCode::FORBIDDEN, text));
    };
    let taken = state.read(sanimon_store::Shared::accounts).await?;
    let is_free = |name: &String| !taken.iter().any(|account| account.name == *name);
    let name = std::iter::once(named(&identity.name))
        .chain((2..1_000).map(|n| format!("{}-{n}", named(&identity.name))))
        .find(is_free)
        .ok_or_else(|| Problem::internal("a thousand people of one name"))?;
    let account =
        Account { oidc_subject: Some(identity.subject), ..Account::new(&name, String::new(), role.as_str()) };
    let detail = json!({ "role": role.as_str(), "by": "oidc" });
    let audit = entry(state, &name, "user.put", &detail);
    let new = account.clone();
    state.change(audit, PutAccount(new)).await?;
    Ok(account)
}

/// A name as accounts have it.
fn named(text: &str) -> String {
    let sound: String =
        text.chars().map(|c| if valid_account_name(&c.to_string()) { c } else { '_' }).take(56).collect();
    if sound.is_empty() { "newcomer".to_owned() } else { sound }
}
