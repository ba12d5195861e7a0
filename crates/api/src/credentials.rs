//! Credentials of devices on the embedded broker: made here, shown once, replaced with an overlap, revoked at once.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sanimon_broker::Asked;
use sanimon_domain::TimestampMs;
use sanimon_domain::time::{DAY_MS, HOUR_MS};
use sanimon_store::{NewCredential, secret_digest};
use sanimon_writer::{PutCredentials, RevokeCredential};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::access::User;
use crate::cells::Table;
use crate::error::Problem;
use crate::signin::password::random_text;
use crate::state::ApiState;

/// 32 letters of 55: 185 bits, and short enough for a module's AT command.
const SECRET_CHARS: usize = 32;
/// A secret that somebody brings: a fast hash keeps it, so it must be long.
const OWN_SECRET_CHARS_MIN: usize = 20;
const SECRET_CHARS_MAX: usize = 128;
const USERNAME_CHARS_MAX: usize = 128;
const FILTERS_MAX: usize = 16;
/// How long the old credential is good when a new one is made: a crew needs days to reach all devices.
const OVERLAP_HOURS_DEFAULT: u32 = 7 * 24;
const OVERLAP_HOURS_MAX: u32 = 366 * 24;
/// Lines of a table at most: a province's devices.
const LINES_MAX: usize = 200_000;

/// A credential without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialBody {
    id: i64,
    /// The device's id, or a gateway's name.
    username: String,
    /// Topic filters; empty: the device's own topics, `sanitation/+/+/{username}/#`.
    publish: Vec<String>,
    subscribe: Vec<String>,
    created_at: String,
    created_by: String,
    /// Null: until it is revoked.
    expires_at: Option<String>,
}

/// A credential that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialEntry {
    /// The device's id (or its client certificate's common name); a gateway's or a program's name.
    username: String,
    /// Topic filters; left out: the device's own topics. A LoRaWAN server: `application/+/device/+/event/+`.
    #[serde(default)]
    publish: Vec<String>,
    /// Topic filters; left out: the device's own topics.
    #[serde(default)]
    subscribe: Vec<String>,
    /// Left out: a random one. A secret of one's own has 20 to 128 characters.
    secret: Option<String>,
    /// How long credentials that the username has already stay valid; 168 if left out, 0: they end now.
    overlap_hours: Option<u32>,
}

/// A new credential.
#[derive(Serialize, ToSchema)]
pub(crate) struct CredentialMade {
    id: i64,
    username: String,
    /// Shown once: only its hash is kept.
    secret: String,
}

/// How a table is taken.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProvisionQuery {
    /// How long credentials that the usernames have already stay valid; 168 if left out.
    overlap_hours: Option<u32>,
}

/// All credentials, by username.
#[utoipa::path(get, path = "/api/v1/credentials", tag = "devices", responses(
    (status = 200, body = Vec<CredentialBody>), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn list(State(state): State<ApiState>) -> Json<Vec<CredentialBody>> {
    let access = &state.shared.access;
    let all = access.usernames().into_iter().flat_map(|name| access.credentials_of(&name));
    let body = all.map(|known| CredentialBody {
        id: known.id,
        username: known.username.clone(),
        publish: known.publish.clone(),
        subscribe: known.subscribe.clone(),
        created_at: known.created_at.to_string(),
        created_by: known.created_by.clone(),
        expires_at: known.expires_at.map(|at| at.to_string()),
    });
    Json(body.collect())
}

/// Makes a credential for a device or a gateway; the secret is in the answer, once.
#[utoipa::path(post, path = "/api/v1/credentials", tag = "devices", request_body = CredentialEntry, responses(
    (status = 201, body = CredentialMade), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn make(
    State(state): State<ApiState>,
    user: User,
    entry: Result<Json<CredentialEntry>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(entry) = entry?;
    let until = others_until(entry.overlap_hours, state.now())?;
    let wanted = Wanted {
        username: entry.username,
        publish: entry.publish,
        subscribe: entry.subscribe,
        secret: entry.secret,
    };
    let (new, secret) = wanted.credential(&user.name, until).map_err(Problem::bad_request)?;
    let username = new.username.clone();
    let detail = json!({ "publish": new.publish, "subscribe": new.subscribe });
    let audit = state.audit(&user, "credential.make", &username, &detail);
    let ids = state.change(audit, PutCredentials(vec![new])).await?;
    let id = ids.first().copied().unwrap_or_default();
    let made = Json(CredentialMade { id, username, secret });
    Ok((StatusCode::CREATED, [NO_STORE], made).into_response())
}

/// Makes credentials for a CSV table (`username`, and if wanted `publish`, `subscribe`: filters parted by spaces, `secret`),
/// all or none. The answer is the same table with the secrets, once.
#[utoipa::path(post, path = "/api/v1/credentials/provision", tag = "devices", params(ProvisionQuery), request_body(content = String, content_type = "text/csv"), responses(
    (status = 200, body = String, content_type = "text/csv", description = "`username,secret`"),
    (status = 400, body = Problem, description = "Names the line"), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn provision(
    State(state): State<ApiState>,
    user: User,
    query: Result<Query<ProvisionQuery>, QueryRejection>,
    table: Bytes,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let until = others_until(query.overlap_hours, state.now())?;
    let (credentials, table) = provisioned(&table, &user.name, until).map_err(Problem::bad_request)?;
    let detail = json!({ "credentials": credentials.len() });
    let audit = state.audit(&user, "credentials.provision", "", &detail);
    state.change(audit, PutCredentials(credentials)).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"credentials.csv\"")),
        NO_STORE,
    ];
    Ok((headers, table).into_response())
}

/// Revokes a credential: who is connected with it is cut off.
#[utoipa::path(delete, path = "/api/v1/credentials/{id}", tag = "devices", params(("id" = i64, Path)), responses(
    (status = 204, description = "Revoked"), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn revoke(
    State(state): State<ApiState>,
    user: User,
    id: Result<Path<i64>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    let audit = state.audit(&user, "credential.revoke", &id.to_string(), &json!({}));
    state.change(audit, RevokeCredential { id }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What holds a secret is kept by no cache.
const NO_STORE: (header::HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

fn others_until(overlap_hours: Option<u32>, now: TimestampMs) -> Result<TimestampMs, Problem> {
    let hours = overlap_hours.unwrap_or(OVERLAP_HOURS_DEFAULT);
    if hours > OVERLAP_HOURS_MAX {
        return Err(Problem::bad_request(format!("`overlap_hours` is at most {}", 366 * DAY_MS / HOUR_MS)));
    }
    Ok(now.plus_ms(i64::from(hours) * HOUR_MS))
}

/// What somebody asks for, not judged yet.
struct Wanted {
    username: String,
    publish: Vec<String>,
    subscribe: Vec<String>,
    secret: Option<String>,
}

impl Wanted {
    /// The credential and its secret, or what is wrong.
    fn credential(self, by: &str, others_until: TimestampMs) -> Result<(NewCredential, String), String> {
        let Self { username, publish, subscribe, secret } = self;
        let is_name = |c: char| c.is_ascii_graphic() && !matches!(c, '+' | '#' | '/' | '$');
        if username.is_empty() || username.len() > USERNAME_CHARS_MAX || !username.chars().all(is_name) {
            return Err(format!(
                "`username` is `{username}`: 1 to 128 letters, digits and marks, without / + # $"
            ));
        }
        publish.iter().try_for_each(|filter| sound_filter(filter, false))?;
        subscribe.iter().try_for_each(|filter| sound_filter(filter, true))?;
        if publish.len() > FILTERS_MAX || subscribe.len() > FILTERS_MAX {
            return Err(format!("`{username}`: at most {FILTERS_MAX} filters"));
        }
        let secret = secret.unwrap_or_else(|| random_text(SECRET_CHARS));
        let length = secret.chars().count();
        if !(OWN_SECRET_CHARS_MIN..=SECRET_CHARS_MAX).contains(&length) {
            let range = format!("{OWN_SECRET_CHARS_MIN} to {SECRET_CHARS_MAX}");
            return Err(format!("`{username}`: a secret has {range} characters; leave it out to get one"));
        }
        let salt: [u8; 16] = rand::random();
        let new = NewCredential {
            secret_sha256: secret_digest(&salt, secret.as_bytes()),
            salt,
            username,
            publish,
            subscribe,
            created_by: by.to_owned(),
            others_until: Some(others_until),
        };
        Ok((new, secret))
    }
}

/// As the broker takes it: a filter, for subscriptions also with the group that shares it.
fn sound_filter(filter: &str, may_be_shared: bool) -> Result<(), String> {
    let fault = |why: &dyn std::fmt::Display| format!("`{filter}` is no topic filter: {why}");
    match Asked::parse(filter) {
        Err(why) => Err(fault(&why)),
        Ok(Asked::Shared(..)) if !may_be_shared => Err(fault(&"nobody publishes to a shared one")),
        Ok(_) if filter.contains(char::is_whitespace) => Err(fault(&"it has a blank")),
        Ok(_) => Ok(()),
    }
}

/// Credentials of a table, and the table with the secrets.
///
/// # Errors
/// One line that says what is wrong and where; nothing is made then.
pub fn provisioned(
    table: &[u8],
    by: &str,
    others_until: TimestampMs,
) -> Result<(Vec<NewCredential>, String), String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(table);
    let columns = reader.headers().map_err(|error| format!("line 1: {error}"))?.clone();
    let column = |name: &str| columns.iter().position(|column| column.eq_ignore_ascii_case(name));
    // A table of devices will do: its ids are the usernames.
    let username = column("username").or_else(|| column("id"));
    let username = username.ok_or("line 1: there is no column `username` (or `id`)")?;
    let (publish, subscribe, secret) = (column("publish"), column("subscribe"), column("secret"));
    let (mut credentials, mut out) = (Vec::new(), Table::new(&["username", "secret"]));
    for (index, record) in reader.records().enumerate() {
        let line = index + 2;
        let record = record.map_err(|error| format!("line {line}: {error}"))?;
        let cell = |column: Option<usize>| column.and_then(|column| record.get(column)).unwrap_or_default();
        let filters = |column| cell(column).split_whitespace().map(str::to_owned).collect();
        let wanted = Wanted {
            username: cell(Some(username)).to_owned(),
            publish: filters(publish),
            subscribe: filters(subscribe),
            secret: Some(cell(secret).to_owned()).filter(|secret| !secret.is_empty()),
        };
        if credentials.len() >= LINES_MAX {
            return Err(format!("line {line}: a table has at most {LINES_MAX} lines"));
        }
        let (new, secret) =
            wanted.credential(by, others_until).map_err(|why| format!("line {line}: {why}"))?;
        out.row(&[&new.username, &secret]);
        credentials.push(new);
    }
    if credentials.is_empty() {
        return Err("the table has no line below its head".to_owned());
    }
    Ok((credentials, out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: TimestampMs = TimestampMs(1);

    #[test]
    fn a_table_of_devices_becomes_credentials_with_secrets_of_their_own() {
        let (made, table) =
            provisioned(b"id,name\nb-1,Bin\nb-2,Bin\n", "chen", LATER).expect("a sound table");
        assert_eq!(made.len(), 2);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "username,secret");
        let secret = lines[1].strip_prefix("b-1,").expect("the first device");
        assert_eq!(secret.len(), SECRET_CHARS);
        assert_eq!(secret_digest(&made[0].salt, secret.as_bytes()), made[0].secret_sha256);
        assert_ne!(made[0].secret_sha256, made[1].secret_sha256);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_nothing_is_made() {
        for (table, expected) in [
            ("name\nx\n", "line 1: there is no column"),
            ("username\n", "no line below"),
            ("username\nb/1\n", "line 2: `username` is `b/1`"),
            ("username,publish\nlns,a/#/b\n", "line 2: `a/#/b` is no topic filter"),
            ("username,secret\nb-1,short\n", "line 2: `b-1`: a secret has 20 to 128"),
        ] {
            let why = provisioned(table.as_bytes(), "chen", LATER).expect_err(table);
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn filters_are_judged_as_mqtt_does() {
        for (filter, is_sound) in [
            ("a/+/b", true),
            ("#", true),
            ("a/#", true),
            ("a/b+", false),
            ("a#", false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(sound_filter(filter, true).is_ok(), is_sound, "{filter}");
        }
    }
}
