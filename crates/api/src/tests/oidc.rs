//! Sign-in at an OpenID provider, against one that signs what it is told to.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use openidconnect::core::{
    CoreEdDsaPrivateSigningKey, CoreIdToken, CoreIdTokenClaims, CoreJsonWebKeySet, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    Audience, EmptyAdditionalClaims, EndUserUsername, IssuerUrl, JsonWebKeyId, Nonce, PrivateSigningKey,
    StandardClaims, SubjectIdentifier,
};

use super::*;
use crate::Role;

/// Made for this test, and good for nothing else.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIOe345UrJmDpmXxG4bBB8wUWDLaFo6odUcG/R4nFKWq6\n-----END PRIVATE KEY-----\n";
const CLIENT: &str = "sanimon";

/// What the provider puts into its next ID token.
#[derive(Debug, Clone)]
struct Says {
    nonce: String,
    audience: String,
    subject: String,
    name: String,
    minutes: i64,
}

struct Provider {
    issuer: String,
    says: Arc<Mutex<Says>>,
}

impl Provider {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let says = Says {
            nonce: String::new(),
            audience: CLIENT.to_owned(),
            subject: "subject-1".to_owned(),
            name: "wang.fang".to_owned(),
            minutes: 5,
        };
        let says = Arc::new(Mutex::new(says));
        let (own, told) = (issuer.clone(), says.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = vec![0; 16_384];
                let read = stream.read(&mut request).unwrap_or_default();
                let line = String::from_utf8_lossy(&request[..read]).into_owned();
                let body = answer(&own, line.split(' ').nth(1).unwrap_or_default(), &told);
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        Self { issuer, says }
    }

    fn options(&self, newcomers: Option<Role>) -> OidcOptions {
        OidcOptions {
            label: "Town".to_owned(),
            issuer: self.issuer.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: Some("secret".to_owned()),
            redirect_url: "http://localhost/api/v1/session/oidc/callback".to_owned(),
            newcomers,
        }
    }

    fn say(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says.lock().expect("words"));
    }
}

fn key() -> CoreEdDsaPrivateSigningKey {
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(KEY, Some(JsonWebKeyId::new("k".to_owned()))).expect("a key")
}

fn answer(issuer: &str, path: &str, says: &Mutex<Says>) -> String {
    match path {
        "/.well-known/openid-configuration" => serde_json::json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
        })
        .to_string(),
        "/keys" => {
            serde_json::to_string(&CoreJsonWebKeySet::new(vec![key().as_verification_key()])).expect("keys")
        }
        _ => {
            let says = says.lock().expect("words").clone();
            let now = chrono::Utc::now();
            let person = StandardClaims::new(SubjectIdentifier::new(says.subject))
                .set_preferred_username(Some(EndUserUsername::new(says.name)));
            let claims = CoreIdTokenClaims::new(
                IssuerUrl::new(issuer.to_owned()).expect("an issuer"),
                vec![Audience::new(says.audience)],
                now + chrono::Duration::minutes(says.minutes),
                now,
                person,
                EmptyAdditionalClaims {},
            )
            .set_nonce(Some(Nonce::new(says.nonce)));
            let token = CoreIdToken::new(claims, &key(), CoreJwsSigningAlgorithm::EdDsa, None, None);
            let token = token.expect("a token").to_string();
            serde_json::json!({ "access_token": "a", "token_type": "bearer", "id_token": token }).to_string()
        }
    }
}

/// A value of a URL's query.
fn value<'a>(url: &'a str, name: &str) -> &'a str {
    let query = url.split_once('?').expect("a query").1;
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    pair.expect("a value")
}

/// Leaves for the provider; its cookie and its state.
async fn leave(api: &Api, provider: &Provider) -> (String, String) {
    let response = api.send("GET", "/api/v1/session/oidc", "", "").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let header = |name| response.headers()[name].to_str().expect("text").to_owned();
    let (url, cookie) = (header(header::LOCATION), header(header::SET_COOKIE));
    assert!(url.starts_with(&format!("{}/authorize?", provider.issuer)), "{url}");
    assert_eq!(value(&url, "code_challenge_method"), "S256");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    provider.say(|says| value(&url, "nonce").clone_into(&mut says.nonce));
    (cookie.split(';').next().expect("a pair").to_owned(), value(&url, "state").to_owned())
}

async fn come_back(api: &Api, cookie: &str, state: &str) -> Response {
    api.send("GET", &format!("/api/v1/session/oidc/callback?state={state}&code=c"), cookie, "").await
}

/// The session that an answer begins.
fn session_of(response: &Response) -> String {
    let cookie = response.headers()[header::SET_COOKIE].to_str().expect("text");
    assert!(cookie.starts_with("sanimon_session="), "{cookie}");
    cookie.split(';').next().expect("a pair").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_an_account_and_is_known_by_issuer_and_subject_from_then_on() {
    let provider = Provider::start();
    let api = Api::of(
        // Somebody else has that name.
        |port| port.enter(PutAccount(Account::new("wang.fang", "x".to_owned(), "admin"))),
        Some(provider.options(Some(Role::Viewer))),
    );
    let (cookie, state) = leave(&api, &provider).await;
    let back = come_back(&api, &cookie, &state).await;
    assert_eq!(back.status(), StatusCode::OK);
    let me = api.json(&session_of(&back), "/api/v1/me").await;
    // The name is somebody's already, who is not taken for the newcomer.
    assert_eq!((&me["username"], &me["role"]), (&"wang.fang-2".into(), &"viewer".into()));
    // Another name at the provider is the same person; another subject is not.
    provider.say(|says| says.name = "renamed".to_owned());
    let (cookie, state) = leave(&api, &provider).await;
    let me = api.json(&session_of(&come_back(&api, &cookie, &state).await), "/api/v1/me").await;
    assert_eq!(me["username"], "wang.fang-2");
    provider.say(|says| says.subject = "subject-2".to_owned());
    let (cookie, state) = leave(&api, &provider).await;
    let me = api.json(&session_of(&come_back(&api, &cookie, &state).await), "/api/v1/me").await;
    assert_eq!(me["username"], "renamed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_by_an_answer_that_was_not_asked_for_here() {
    let provider = Provider::start();
    let api = Api::of(|_| {}, Some(provider.options(Some(Role::Viewer))));
    let (cookie, state) = leave(&api, &provider).await;
    for (cookie, state) in [("", state.as_str()), (&cookie, "other"), ("sanimon_oidc=other", "other")] {
        assert_eq!(come_back(&api, cookie, state).await.status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(come_back(&api, &cookie, &state).await.status(), StatusCode::OK);
    // Once.
    assert_eq!(come_back(&api, &cookie, &state).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_another_sign_in_for_somebody_else_or_of_yesterday_is_refused() {
    let changes: [fn(&mut Says); 3] = [
        |says| says.nonce = "of another sign-in".to_owned(),
        |says| says.audience = "another site".to_owned(),
        |says| says.minutes = -5,
    ];
    for change in changes {
        let provider = Provider::start();
        let api = Api::of(|_| {}, Some(provider.options(Some(Role::Viewer))));
        let (cookie, state) = leave(&api, &provider).await;
        provider.say(change);
        let back = come_back(&api, &cookie, &state).await;
        assert_eq!(back.status(), StatusCode::BAD_GATEWAY);
        assert!(!back.headers().contains_key(header::SET_COOKIE));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_may_want_no_newcomers_and_has_no_provider_unless_it_says_so() {
    let provider = Provider::start();
    let api = Api::of(|_| {}, Some(provider.options(None)));
    let (cookie, state) = leave(&api, &provider).await;
    assert_eq!(come_back(&api, &cookie, &state).await.status(), StatusCode::FORBIDDEN);
    let without = Api::of(|_| {}, None);
    assert_eq!(without.send("GET", "/api/v1/session/oidc", "", "").await.status(), StatusCode::NOT_FOUND);
}
