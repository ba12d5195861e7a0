//! The registry as a table: CSV in, all or nothing, and the same file out.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sanimon_domain::TimestampMs;
use sanimon_store::{Device, DeviceState, DirectoryState};
use sanimon_writer::{
    AdoptDevices, DEVICES_AT_ONCE_MAX, DiscardImport, Entry, PutDevices, StageDevices, WriteImport,
    try_import,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::entry::{DeviceEntry, EntryFault, KnownModels};
use crate::access::User;
use crate::cells::{Table, uncell};
use crate::error::Problem;
use crate::state::ApiState;
use crate::wire::CalibrationBody;

/// The columns, in the order in which they are written. Only `id` and `kind` are needed; others may be left out.
const COLUMNS: [&str; 21] = [
    "id",
    "name",
    "kind",
    "zone",
    "team",
    "tags",
    "lat",
    "lon",
    "interval_s",
    "gateway",
    "model",
    "hardware_id",
    "empty_mm",
    "full_mm",
    "blind_zone_mm",
    "shape",
    "depth_mm",
    "offset_mm",
    "probe_low_bar",
    "probe_high_bar",
    "volume_l",
];
/// Rows at most: a province's.
const ROWS_MAX: usize = 1_000_000;
/// Faults told at most: who wrote more of them wants to see the first ones.
const FAULTS_MAX: usize = 100;

/// What is wrong in a table, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TableFault {
    /// From 1; the first is the heading.
    pub line: u64,
    /// The column's name; empty for a line as a whole.
    pub column: String,
    pub message: String,
}

impl std::fmt::Display for TableFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, column, message } = self;
        if column.is_empty() {
            write!(f, "line {line}: {message}")
        } else {
            write!(f, "line {line}, column `{column}`: {message}")
        }
    }
}

/// Reads a table; gives every fault of all lines.
pub fn read(
    table: &[u8],
    directory: &DirectoryState,
    models: &KnownModels,
    now: TimestampMs,
) -> Result<Vec<Device>, Vec<TableFault>> {
    // Excel writes a mark of the byte order before UTF-8.
    let table = table.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(table);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(table);
    let at =
        |line: u64, column: &str, message: String| TableFault { line, column: column.to_owned(), message };
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(error) => return Err(vec![at(1, "", error.to_string())]),
    };
    let mut faults: Vec<TableFault> = headers
        .iter()
        .filter(|name| !COLUMNS.contains(name))
        .map(|name| at(1, name, format!("is not known; known are {}", COLUMNS.join(", "))))
        .collect();
    for needed in ["id", "kind"] {
        if !headers.iter().any(|name| name == needed) {
            faults.push(at(1, needed, "is missing".to_owned()));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let (mut devices, mut lines) = (Vec::new(), HashMap::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                faults.push(at(line, "", error.to_string()));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |name: &str| {
            let place = headers.iter().position(|known| known == name)?;
            record.get(place).map(uncell).filter(|text| !text.is_empty())
        };
        match row(&cell, directory, models, now) {
            Ok(device) => {
                if let Some(first) = lines.insert(device.id.clone(), line) {
                    faults.push(at(line, "id", format!("`{}` stands in line {first}, too", device.id)));
                }
                devices.push(device);
            }
            Err(EntryFault { field, message }) => faults.push(at(line, field, message)),
        }
        if devices.len() > ROWS_MAX {
            return Err(vec![at(line, "", format!("a table has at most {ROWS_MAX} devices"))]);
        }
    }
    if devices.is_empty() && faults.is_empty() {
        faults.push(at(1, "", "the table has no device".to_owned()));
    }
    faults.truncate(FAULTS_MAX);
    if faults.is_empty() { Ok(devices) } else { Err(faults) }
}

fn row<'a>(
    cell: &impl Fn(&str) -> Option<&'a str>,
    directory: &DirectoryState,
    models: &KnownModels,
    now: TimestampMs,
) -> Result<Device, EntryFault> {
    let text = |name: &str| cell(name).map(str::to_owned);
    let number = |name: &'static str| match cell(name) {
        None => Ok(None),
        Some(text) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(EntryFault { field: name, message: format!("`{text}` is not a number") }),
        },
    };
    let interval_s = match cell("interval_s").map(str::parse::<i64>) {
        None => None,
        Some(Ok(seconds)) => Some(seconds),
        Some(Err(_)) => {
            let message = "a whole number of seconds".to_owned();
            return Err(EntryFault { field: "interval_s", message });
        }
    };
    let shape = match cell("shape").map(sanimon_domain::Shape::parse) {
        None => Vec::new(),
        Some(Some(shape)) => shape.points().to_vec(),
        Some(None) => {
            let message = "pairs such as `0:0 50:30 100:100`: height and volume in percent".to_owned();
            return Err(EntryFault { field: "shape", message });
        }
    };
    let probe_bar = match (number("probe_low_bar")?, number("probe_high_bar")?) {
        (Some(low), Some(high)) => Some([low, high]),
        (None, None) => None,
        _ => {
            let message = "`probe_low_bar` and `probe_high_bar` go together".to_owned();
            return Err(EntryFault { field: "probe_low_bar", message });
        }
    };
    let entry = DeviceEntry {
        kind: text("kind").unwrap_or_default(),
        name: text("name").unwrap_or_default(),
        zone: text("zone"),
        team: text("team"),
        tags: cell("tags").into_iter().flat_map(str::split_whitespace).map(str::to_owned).collect(),
        lat: number("lat")?,
        lon: number("lon")?,
        interval_s,
        gateway: text("gateway"),
        model: text("model"),
        hardware_id: text("hardware_id"),
        volume_l: number("volume_l")?,
        ..DeviceEntry::default()
    };
    let calibration = CalibrationBody {
        empty_mm: number("empty_mm")?,
        full_mm: number("full_mm")?,
        blind_zone_mm: number("blind_zone_mm")?,
        shape,
        depth_mm: number("depth_mm")?,
        offset_mm: number("offset_mm")?,
        probe_bar,
    };
    let id = cell("id").unwrap_or_default();
    entry.with_calibration(calibration).device(id, directory, models, now)
}

/// Writes the registered devices; what is read back gives the same registry.
pub fn write(directory: &DirectoryState, wanted: impl Fn(&Device) -> bool) -> String {
    let mut table = Table::new(&COLUMNS);
    let registered = |device: &&Arc<Device>| device.state == DeviceState::Registered && wanted(device);
    directory.devices().iter().filter(registered).for_each(|device| table.row(&cells(device)));
    table.finish()
}

fn cells(device: &Device) -> [String; COLUMNS.len()] {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let text = |value: Option<String>| value.unwrap_or_default();
    let calibration = &device.calibration;
    [
        device.id.to_string(),
        device.name.clone(),
        device.kind.to_string(),
        text(device.zone.as_ref().map(ToString::to_string)),
        text(device.team.clone()),
        device.tags.join(" "),
        number(device.place.map(|place| place.lat)),
        number(device.place.map(|place| place.lon)),
        text(device.interval_ms.map(|ms| (ms / 1_000).to_string())),
        text(device.gateway.as_ref().map(ToString::to_string)),
        text(device.model.clone()),
        text(device.hardware_id.as_ref().map(ToString::to_string)),
        number(calibration.empty_mm),
        number(calibration.full_mm),
        number(calibration.blind_zone_mm),
        calibration.shape.to_string(),
        number(calibration.depth_mm),
        number(calibration.offset_mm),
        number(calibration.probe_bar.map(|[low, _]| low)),
        number(calibration.probe_bar.map(|[_, high]| high)),
        number(device.volume_l),
    ]
}

/// What a table brought.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Imported {
    devices: usize,
    /// How many of them are new here.
    new: usize,
    /// How many are known already, and get this entry.
    known: usize,
}

/// How a table is taken.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportQuery {
    /// Only says what would be entered, or what is wrong. False if left out.
    #[serde(default)]
    dry_run: bool,
}

/// Enters the devices of a CSV table, all or none. Devices that are not in it stay as they are.
#[utoipa::path(post, path = "/api/v1/devices/import", tag = "devices", params(ImportQuery), request_body(content = String, content_type = "text/csv"), responses(
    (status = 200, body = Imported), (status = 400, body = Problem, description = "`faults` names each line that has one, and its column"),
    (status = 403, body = Problem),
    (status = 409, body = Problem, description = "another device has a line's hardware; or the table changes more than 10,000 devices that are known already; or another table is still being written. A dry run says the first two"),
))]
pub(crate) async fn import(
    State(state): State<ApiState>,
    user: User,
    query: Result<Query<ImportQuery>, QueryRejection>,
    table: Bytes,
) -> Result<Json<Imported>, Problem> {
    let Query(query) = query?;
    let read = read(&table, &state.shared.directory.read(), &state.site.models, state.now());
    let devices = read.map_err(|faults| {
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        let text = format!("nothing was entered: {} fault(s), the first: {first}", faults.len());
        Problem { faults, ..Problem::bad_request(text) }
    })?;
    let known = {
        let directory = state.shared.directory.read();
        devices.iter().filter(|device| directory.number(&device.id).is_some()).count()
    };
    let imported = Imported { devices: devices.len(), new: devices.len() - known, known };
    if query.dry_run {
        try_import(&state.shared.directory.read(), &devices)?;
    } else {
        let detail = json!({ "devices": imported.devices, "new": imported.new });
        let audit = state.audit(&user, "devices.import", "", &detail);
        // A browser that is closed meanwhile does not halve it.
        let entered = tokio::spawn(enter(state, audit, devices)).await;
        entered.map_err(|_| Problem::internal("an import broke off"))??;
    }
    Ok(Json(imported))
}

/// A large table goes to the writer in steps, so that messages are taken in between. It is seen at once, or not at all.
async fn enter(state: ApiState, audit: Entry, devices: Vec<Device>) -> Result<(), Problem> {
    if devices.len() <= DEVICES_AT_ONCE_MAX {
        return state.change(audit, PutDevices(devices)).await;
    }
    let mut import_no = None;
    let entered = enter_in_steps(&state, &audit, devices, &mut import_no).await;
    if let (Err(_), Some(import_no)) = (&entered, import_no) {
        // A disk that refuses now: the next start takes back what is left.
        while let Ok(1) = state.change(audit.clone(), DiscardImport { import_no }).await {}
    }
    // It is in force; a step that fails is made later.
    while entered.is_ok() && matches!(state.change(audit.clone(), WriteImport).await, Ok(1)) {}
    entered
}

async fn enter_in_steps(
    state: &ApiState,
    audit: &Entry,
    devices: Vec<Device>,
    import_no: &mut Option<i64>,
) -> Result<(), Problem> {
    for step in devices.chunks(DEVICES_AT_ONCE_MAX) {
        let step = StageDevices { import_no: *import_no, devices: step.to_vec() };
        *import_no = Some(state.change(audit.clone(), step).await?);
    }
    let Some(import_no) = *import_no else { return Ok(()) };
    state.change(audit.clone(), AdoptDevices { import_no, devices }).await
}

/// The registered devices as a CSV table, which `import` takes back.
#[utoipa::path(get, path = "/api/v1/devices/export", tag = "devices", responses(
    (status = 200, body = String, content_type = "text/csv"), (status = 401, body = Problem),
))]
pub(crate) async fn export(State(state): State<ApiState>, user: User) -> Response {
    let table = write(&state.shared.directory.read(), |device| user.sees_device(device));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"devices.csv\""),
    ];
    (headers, table).into_response()
}
