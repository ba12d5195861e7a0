//! What a person enters of a device, checked.

use sanimon_domain::{Calibration, DeviceId, DeviceKind, GatewayId, HardwareId, Shape, TimestampMs, ZoneId};
use sanimon_store::{Device, DeviceState, DirectoryState, LatLon};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::wire::CalibrationBody;

const NAME_CHARS_MAX: usize = 200;
const LABEL_CHARS_MAX: usize = 64;
const TAGS_MAX: usize = 16;
const INTERVAL_S_MAX: i64 = 31_536_000;
/// The largest containers hold some 40 cubic metres.
const VOLUME_L_MAX: f64 = 100_000.0;

/// What a person enters of a device. What is left out is emptied.
#[derive(Debug, Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceEntry {
    /// `bin`, `drain` or `toilet`
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) zone: Option<String>,
    /// Who looks after it.
    pub(crate) team: Option<String>,
    /// Words to sort devices by, without spaces.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) lat: Option<f64>,
    pub(crate) lon: Option<f64>,
    /// How often it is expected to report, in seconds.
    pub(crate) interval_s: Option<i64>,
    /// What its uplinks come through: devices of one gateway are silent together.
    pub(crate) gateway: Option<String>,
    /// What decodes its frames: see `/api/v1/models`.
    pub(crate) model: Option<String>,
    /// What its messages call it, if not its id: a DevEUI, an IMEI, a platform's name.
    pub(crate) hardware_id: Option<String>,
    /// What a bin holds, in litres.
    pub(crate) volume_l: Option<f64>,
    /// What the sensor measures when empty, in millimetres.
    pub(crate) empty_mm: Option<f64>,
    /// What it measures when full, in millimetres.
    pub(crate) full_mm: Option<f64>,
    /// Nearer than this it cannot measure, in millimetres.
    pub(crate) blind_zone_mm: Option<f64>,
    /// `[height %, volume %]` from `[0, 0]` to `[100, 100]`.
    #[serde(default)]
    #[schema(value_type = Vec<Vec<f64>>)]
    pub(crate) shape: Vec<[f64; 2]>,
    /// A drain's depth from the invert to the crown, in millimetres.
    pub(crate) depth_mm: Option<f64>,
    /// How high above the invert a level probe hangs, in millimetres.
    pub(crate) offset_mm: Option<f64>,
    /// The range of this very pressure probe, in bar.
    #[schema(value_type = Option<Vec<f64>>)]
    pub(crate) probe_bar: Option<[f64; 2]>,
}

/// What is wrong with a field of an entry, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {message}")]
pub struct EntryFault {
    pub field: &'static str,
    pub message: String,
}

/// The models that sanimon can decode: built in, and those of the configuration.
#[derive(Debug, Clone, Default)]
pub struct KnownModels(pub Vec<crate::site::ModelInfo>);

impl KnownModels {
    /// The model's name as it is written here.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().map(|model| model.name.as_str()).find(|known| known.eq_ignore_ascii_case(name))
    }
}

fn fault<T>(field: &'static str, message: impl Into<String>) -> Result<T, EntryFault> {
    Err(EntryFault { field, message: message.into() })
}

fn is_label(text: &str) -> bool {
    (1..=LABEL_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

impl DeviceEntry {
    /// The device that the entry makes; what people do not enter is taken from what is known.
    pub(crate) fn device(
        &self,
        id: &str,
        directory: &DirectoryState,
        models: &KnownModels,
        now: TimestampMs,
    ) -> Result<Device, EntryFault> {
        let id = match DeviceId::new(id) {
            Ok(id) => id,
            Err(error) => return fault("id", error.to_string()),
        };
        let known = directory.number(&id).and_then(|no| directory.device(no));
        let Some(kind) = DeviceKind::parse(&self.kind) else {
            return fault("kind", format!("`{}` is none of bin, drain and toilet", self.kind));
        };
        if self.name.chars().count() > NAME_CHARS_MAX || self.name.chars().any(char::is_control) {
            return fault("name", "at most 200 characters and no control characters");
        }
        if self.team.as_deref().is_some_and(|team| !is_label(team)) {
            return fault("team", "1 to 64 characters and no control characters");
        }
        let is_tag = |tag: &String| is_label(tag) && !tag.contains(char::is_whitespace);
        if self.tags.len() > TAGS_MAX || !self.tags.iter().all(is_tag) {
            return fault("tags", "at most 16 words of at most 64 characters, without spaces");
        }
        if self.interval_s.is_some_and(|seconds| !(1..=INTERVAL_S_MAX).contains(&seconds)) {
            return fault("interval_s", "between 1 second and a year");
        }
        if self.volume_l.is_some_and(|litres| !(1.0..=VOLUME_L_MAX).contains(&litres)) {
            return fault("volume_l", "between 1 and 100000 litres");
        }
        Ok(Device {
            no: known.map_or(sanimon_domain::DeviceNo(0), |device| device.no),
            name: self.name.clone(),
            zone: self.zone(directory)?,
            team: self.team.clone(),
            district: known.map(|device| device.district.clone()).unwrap_or_default(),
            tags: self.tags.clone(),
            state: DeviceState::Registered,
            model: self.model(models)?,
            hardware_id: self.hardware_id()?,
            place: self.place()?,
            gateway: self.gateway()?,
            interval_ms: self.interval_s.map(|seconds| seconds * 1_000),
            volume_l: self.volume_l,
            calibration: self.calibration()?,
            calibrate_next: known.and_then(|device| device.calibrate_next),
            online: known.and_then(|device| device.online),
            ..Device::new(id, kind, known.map_or(now, |device| device.first_seen_at))
        })
    }

    fn zone(&self, directory: &DirectoryState) -> Result<Option<ZoneId>, EntryFault> {
        let Some(zone) = self.zone.as_deref() else { return Ok(None) };
        match ZoneId::new(zone).ok().filter(|zone| directory.zone(zone).is_some()) {
            Some(known) => Ok(Some(known)),
            None => fault("zone", format!("there is no zone `{zone}`")),
        }
    }

    fn model(&self, models: &KnownModels) -> Result<Option<String>, EntryFault> {
        let Some(model) = self.model.as_deref() else { return Ok(None) };
        match models.find(model) {
            Some(known) => Ok(Some(known.to_owned())),
            None => fault("model", format!("`{model}` is not known: GET /api/v1/models lists all")),
        }
    }

    fn hardware_id(&self) -> Result<Option<HardwareId>, EntryFault> {
        match self.hardware_id.as_deref().map(HardwareId::new).transpose() {
            Ok(hardware) => Ok(hardware),
            Err(error) => fault("hardware_id", error.to_string()),
        }
    }

    fn gateway(&self) -> Result<Option<GatewayId>, EntryFault> {
        match self.gateway.as_deref().map(GatewayId::new).transpose() {
            Ok(gateway) => Ok(gateway),
            Err(error) => fault("gateway", error.to_string()),
        }
    }

    fn place(&self) -> Result<Option<LatLon>, EntryFault> {
        match (self.lat, self.lon) {
            (None, None) => Ok(None),
            (Some(lat), Some(lon)) if lat.abs() <= 90.0 && lon.abs() <= 180.0 => {
                Ok(Some(LatLon { lat, lon }))
            }
            (Some(_), _) => fault("lat", "`lat` (-90..90) and `lon` (-180..180) go together"),
            (None, _) => fault("lon", "`lat` (-90..90) and `lon` (-180..180) go together"),
        }
    }

    fn calibration(&self) -> Result<Calibration, EntryFault> {
        let Some(shape) = Shape::new(self.shape.clone()) else {
            return fault(
                "shape",
                "pairs of height and volume in percent that rise from 0 and 0 to 100 and 100",
            );
        };
        let calibration = Calibration {
            empty_mm: self.empty_mm,
            full_mm: self.full_mm,
            blind_zone_mm: self.blind_zone_mm,
            shape,
            depth_mm: self.depth_mm,
            offset_mm: self.offset_mm,
            probe_bar: self.probe_bar,
        };
        match calibration.check() {
            Ok(()) => Ok(calibration),
            Err(wrong) => fault(wrong.field, wrong.message),
        }
    }

    /// An entry with a calibration; for tables.
    pub(crate) fn with_calibration(self, body: CalibrationBody) -> Self {
        let CalibrationBody { empty_mm, full_mm, blind_zone_mm, shape, depth_mm, offset_mm, probe_bar } =
            body;
        Self { empty_mm, full_mm, blind_zone_mm, shape, depth_mm, offset_mm, probe_bar, ..self }
    }
}
