//! What residents report: a public page for each place, its code on a sign, and the state of a report by its link.
//!
//! No account, and as little about a person as possible: a category, a text and a photo if they like, no address and no
//! name. Text and photo are forgotten after the site's time; the photo is decoded and encoded anew, so that nothing
//! that a phone wrote into it (where, when, whose) is kept.

mod guard;
mod page;
mod photo;
pub(crate) mod signs;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Extension, Multipart, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use rand::Rng;
use sanimon_domain::{AlertId, DeviceKind, ReportCategory};
use sanimon_store::{Alert, NewReport, Place, PlaceCode, Report};
use sanimon_writer::{Author, Entry, MakePlaceCodes, RateReport, TakeReport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use guard::Guard;
pub(crate) use photo::clean as clean_photo;
pub(crate) use signs::signs;

use self::page::{Language, Shown};
use crate::access::User;
use crate::access::client::Client;
use crate::error::Problem;
use crate::state::ApiState;

/// A photo as phones take them, and the form around it.
pub(crate) const FORM_BYTES_MAX: usize = 12 << 20;
const TEXT_CHARS_MAX: usize = 500;
/// A code on a sign: 31 letters and digits that nobody mixes up, 8 of them.
const CODE_LETTERS: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const CODE_LENGTH: usize = 8;
const TOKEN_LENGTH: usize = 26;
/// Nothing but this page and its own style and pictures.
const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page's language; left out: the browser's.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PageQuery {
    lang: Option<String>,
}

/// What a resident may report about a kind of place.
fn categories(kind: Option<DeviceKind>) -> &'static [ReportCategory] {
    use ReportCategory::{Blocked, Damaged, Litter, Other, Overflow, Smell, Supplies};
    match kind {
        Some(DeviceKind::Bin) => &[Overflow, Smell, Litter, Damaged, Other],
        Some(DeviceKind::Drain) => &[Blocked, Smell, Damaged, Other],
        Some(DeviceKind::Toilet) => &[Smell, Supplies, Blocked, Damaged, Other],
        None => &[Litter, Overflow, Smell, Blocked, Damaged, Other],
    }
}

/// A place in words: English, Chinese, and its kind.
struct PlaceWords {
    name: [String; 2],
    kind: Option<DeviceKind>,
}

fn place_words(state: &ApiState, place: &Place) -> PlaceWords {
    let directory = state.shared.directory.read();
    let zone_names = |id: &sanimon_domain::ZoneId| match directory.zone(id) {
        Some(zone) => [zone.name_en.clone(), zone.name_zh.clone()],
        None => [id.to_string(), id.to_string()],
    };
    match place {
        Place::Zone(zone) => PlaceWords { name: zone_names(zone), kind: None },
        Place::Device(number) => {
            let Some(device) = directory.device(*number) else {
                return PlaceWords { name: [String::new(), String::new()], kind: None };
            };
            let own = if device.name.is_empty() { device.id.to_string() } else { device.name.clone() };
            let zone = device.zone.as_ref().map(zone_names);
            let with_zone = |language: usize, joint: &str| match &zone {
                Some(names) if !own.contains(&names[language]) => format!("{own}{joint}{}", names[language]),
                _ => own.clone(),
            };
            PlaceWords { name: [with_zone(0, ", "), with_zone(1, "，")], kind: Some(device.kind) }
        }
    }
}

async fn find_place(state: &ApiState, code: &str) -> Result<Place, Response> {
    let wanted = code.to_owned();
    let found =
        state.read(move |shared| shared.place_of(&wanted)).await.map_err(IntoResponse::into_response)?;
    found.ok_or_else(|| public(StatusCode::NOT_FOUND, page::no_such_place()))
}

/// A public page with its headers.
fn public(status: StatusCode, html: String) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (status, headers, Html(html)).into_response()
}

fn language(query: &PageQuery, headers: &HeaderMap) -> Language {
    let wanted = query.lang.as_deref().or_else(|| headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok());
    if wanted.is_some_and(|text| text.trim_start().to_lowercase().starts_with("zh")) {
        Language::Chinese
    } else {
        Language::English
    }
}

/// The page of a place: what is wrong?
pub(crate) async fn form(
    State(state): State<ApiState>,
    Path(code): Path<String>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Response {
    let place = match find_place(&state, &code).await {
        Ok(place) => place,
        Err(response) => return response,
    };
    let words = place_words(&state, &place);
    let shown = Shown { language: language(&query, &headers), site: &state.site.name, code: &code };
    let stamp = state.reports.stamp(&code);
    public(StatusCode::OK, page::form(&shown, &words.name, categories(words.kind), &stamp, None))
}

/// The style of the public pages.
pub(crate) async fn style() -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    ([kind, (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"))], page::STYLE)
        .into_response()
}

/// What the form said.
#[derive(Default)]
struct Filled {
    category: Option<ReportCategory>,
    text: Option<String>,
    stamp: String,
    /// A field that people do not see.
    trap: String,
    language: Option<String>,
    photo: Option<Vec<u8>>,
}

async fn read_form(mut form: Multipart) -> Result<Filled, StatusCode> {
    let mut filled = Filled::default();
    let unreadable = |_| StatusCode::BAD_REQUEST;
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "photo" {
            let bytes = field.bytes().await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
            filled.photo = Some(bytes.to_vec()).filter(|bytes| !bytes.is_empty());
            continue;
        }
        let text = field.text().await.map_err(unreadable)?;
        match name.as_str() {
            "category" => filled.category = ReportCategory::parse(&text),
            "text" => {
                let text: String = text.trim().chars().take(TEXT_CHARS_MAX).collect();
                filled.text = Some(text).filter(|text| !text.is_empty());
            }
            "stamp" => filled.stamp = text,
            "website" => filled.trap = text,
            "lang" => filled.language = Some(text),
            _ => {}
        }
    }
    Ok(filled)
}

/// Takes a report in and leads to its own page.
pub(crate) async fn submit(
    State(state): State<ApiState>,
    Path(code): Path<String>,
    Extension(Client { address, .. }): Extension<Client>,
    headers: HeaderMap,
    form: Multipart,
) -> Response {
    let place = match find_place(&state, &code).await {
        Ok(place) => place,
        Err(response) => return response,
    };
    let words = place_words(&state, &place);
    let filled = match read_form(form).await {
        Ok(filled) => filled,
        Err(status) => return public(status, page::sorry(&words.name)),
    };
    let query = PageQuery { lang: filled.language.clone() };
    let language = language(&query, &headers);
    let shown = Shown { language, site: &state.site.name, code: &code };
    let again = |status: StatusCode, why| {
        let stamp = state.reports.stamp(&code);
        public(status, page::form(&shown, &words.name, categories(words.kind), &stamp, Some(why)))
    };
    if !filled.trap.is_empty() || !state.reports.is_genuine(&code, &filled.stamp) {
        return again(StatusCode::BAD_REQUEST, page::Fault::Stale);
    }
    let Some(category) = filled.category.filter(|category| categories(words.kind).contains(category)) else {
        return again(StatusCode::BAD_REQUEST, page::Fault::NoCategory);
    };
    if !state.reports.admit(address, &code) {
        return again(StatusCode::TOO_MANY_REQUESTS, page::Fault::TooMany);
    }
    let photo = match filled.photo {
        None => None,
        Some(bytes) => match photo::clean(bytes).await {
            Some(photo) => Some(photo.into()),
            None => return again(StatusCode::BAD_REQUEST, page::Fault::Photo),
        },
    };
    let token = random(TOKEN_LENGTH);
    let report = NewReport {
        token: token.clone(),
        code: code.clone(),
        language: language.as_str().to_owned(),
        category,
        text: filled.text,
        photo,
        title: page::titles(category),
    };
    let entry = Entry::new(state.now(), Author::Resident, "report.take").about(code.clone());
    match state.change(entry, TakeReport(report)).await {
        Ok(_) => Redirect::to(&format!("/r/{code}/{token}?lang={}", language.as_str())).into_response(),
        Err(problem) => {
            tracing::error!(detail = problem.detail, "a resident's report was not taken");
            public(StatusCode::SERVICE_UNAVAILABLE, page::sorry(&words.name))
        }
    }
}

/// A report with its alert, by the link that the resident has.
async fn find_report(state: &ApiState, code: &str, token: &str) -> Result<(Report, Alert), Response> {
    let wanted = token.to_owned();
    let found = state.read(move |shared| {
        let Some(report) = shared.report(&wanted)? else { return Ok(None) };
        Ok(shared.alert(report.alert)?.map(|(alert, _)| (report, alert)))
    });
    let found = found.await.map_err(IntoResponse::into_response)?;
    let not_found = || public(StatusCode::NOT_FOUND, page::no_such_place());
    found.filter(|(report, _)| report.code == code).ok_or_else(not_found)
}

/// What becomes of a report.
pub(crate) async fn state_of(
    State(state): State<ApiState>,
    Path((code, token)): Path<(String, String)>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Response {
    let (report, alert) = match find_report(&state, &code, &token).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let place = match find_place(&state, &code).await {
        Ok(place) => place,
        Err(response) => return response,
    };
    let words = place_words(&state, &place);
    let shown = Shown { language: language(&query, &headers), site: &state.site.name, code: &code };
    public(StatusCode::OK, page::state(&shown, &words.name, &report, &alert, state.shared.calendar))
}

/// The form with the stars.
#[derive(Debug, Deserialize)]
pub(crate) struct Rating {
    satisfaction: u8,
    #[serde(default)]
    lang: String,
}

/// How satisfied the resident is.
pub(crate) async fn rate(
    State(state): State<ApiState>,
    Path((code, token)): Path<(String, String)>,
    axum::Form(rating): axum::Form<Rating>,
) -> Response {
    if let Err(response) = find_report(&state, &code, &token).await {
        return response;
    }
    if (1..=5).contains(&rating.satisfaction) {
        let (token, satisfaction) = (token.clone(), rating.satisfaction);
        // Said already, or not closed yet: the page shows what is.
        let entry = Entry::new(state.now(), Author::Resident, "report.rate").about(code.clone());
        let _ = state.change(entry, RateReport { token, satisfaction }).await;
    }
    let lang = if rating.lang.starts_with("zh") { "zh" } else { "en" };
    Redirect::to(&format!("/r/{code}/{token}?lang={lang}")).into_response()
}

fn random(length: usize) -> String {
    let mut rng = rand::rng();
    let mut letter = || char::from(CODE_LETTERS[rng.random_range(0..CODE_LETTERS.len())]);
    std::iter::repeat_with(&mut letter).take(length).collect()
}

/// A resident's report, as the staff sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportBody {
    id: i64,
    at: String,
    /// `overflow`, `smell`, `litter`, `blocked`, `supplies`, `damaged`, `other`
    category: String,
    /// Null: nothing was written, or it was forgotten after the site's time.
    text: Option<String>,
    /// Where its photo is; null: there is none.
    photo: Option<String>,
    /// 1 to 5; null: not said.
    satisfaction: Option<u8>,
}

/// What residents said about an alert.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/reports", tag = "reports", params(("id" = u64, Path)), responses(
    (status = 200, body = Vec<ReportBody>), (status = 401, body = Problem),
))]
pub(crate) async fn of_alert(
    State(state): State<ApiState>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Json<Vec<ReportBody>>, Problem> {
    let Path(id) = id?;
    let reports = state.read(move |shared| shared.reports_of(AlertId(id))).await?;
    let body = reports.into_iter().map(|report| ReportBody {
        id: report.id,
        at: report.at.to_string(),
        category: report.category.to_string(),
        text: report.text,
        photo: report.has_photo.then(|| format!("/api/v1/reports/{}/photo", report.id)),
        satisfaction: report.satisfaction,
    });
    Ok(Json(body.collect()))
}

/// The photo of a report, as JPEG.
#[utoipa::path(get, path = "/api/v1/reports/{id}/photo", tag = "reports", params(("id" = i64, Path)), responses(
    (status = 200, description = "image/jpeg"), (status = 401, body = Problem), (status = 404, body = Problem),
))]
pub(crate) async fn photo_of(
    State(state): State<ApiState>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) = id?;
    let photo = state.read(move |shared| shared.report_photo(id)).await?;
    let photo = photo.ok_or_else(|| Problem::not_found("photo of a report", &id.to_string()))?;
    Ok(crate::photos::jpeg(photo))
}

/// Which places get a code.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodesRequest {
    /// Device kinds; left out: toilets and bins.
    kinds: Option<Vec<String>>,
    /// Zones as a whole, too.
    #[serde(default)]
    zones: bool,
}

/// How many places have a code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodesMade {
    places: usize,
}

/// Gives each place a code for its sign; a place that has one keeps it.
#[utoipa::path(post, path = "/api/v1/places/codes", tag = "reports", request_body = Option<CodesRequest>, responses(
    (status = 200, body = CodesMade), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
))]
pub(crate) async fn make_codes(
    State(state): State<ApiState>,
    user: User,
    request: Result<Option<Json<CodesRequest>>, JsonRejection>,
) -> Result<Json<CodesMade>, Problem> {
    let request = request?.map(|Json(request)| request).unwrap_or_default();
    let kinds = match request.kinds {
        None => vec![DeviceKind::Bin, DeviceKind::Toilet],
        Some(words) => words
            .iter()
            .map(|word| {
                DeviceKind::parse(word).ok_or_else(|| Problem::bad_request(format!("`{word}` is no kind")))
            })
            .collect::<Result<_, _>>()?,
    };
    let places: Vec<Place> = {
        let directory = state.shared.directory.read();
        let devices = directory.devices().iter().filter(|device| {
            kinds.contains(&device.kind) && device.state == sanimon_store::DeviceState::Registered
        });
        let zones = directory.zones().iter().filter(|_| request.zones);
        let zones = zones.map(|zone| Place::Zone(zone.id.clone()));
        devices.map(|device| Place::Device(device.no)).chain(zones).collect()
    };
    let codes: Vec<PlaceCode> =
        places.into_iter().map(|place| PlaceCode { code: random(CODE_LENGTH), place }).collect();
    let audit = state.audit(&user, "codes.make", "", &serde_json::json!({ "places": codes.len() }));
    state.change(audit, MakePlaceCodes(codes)).await?;
    let places = state.read(sanimon_store::Shared::place_codes).await?.len();
    Ok(Json(CodesMade { places }))
}
