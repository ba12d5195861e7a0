//! Devices, zones, metrics of devices' own, and what is known of devices besides readings.

use rusqlite::params;
use sanimon_domain::{DeviceNo, GatewayId, HardwareId, MetricNo, TimestampMs, ZoneId};

use crate::error::Result;
use crate::model::{CalibrationPoint, Device, DeviceEvent, Zone};
use crate::sqlite::Tx;

/// Different events of a device that are kept. A device that has more words than this has no use for them.
pub const DEVICE_EVENTS_MAX: i64 = 200;

impl Tx<'_> {
    /// Enters a device or changes it.
    pub fn put_device(&self, device: &Device) -> Result<()> {
        let calibration = &device.calibration;
        let shape = calibration.shape.to_string();
        self.run(
            "write a device",
            "INSERT INTO device (no, id, name, kind, zone, district, state, lat, lon, interval_ms, empty_mm, full_mm,
               first_seen_at, online, online_at, team, model, hardware_id, tags, blind_zone_mm, shape, depth_mm, offset_mm,
               probe_low_bar, probe_high_bar, calibrate_next, gateway, volume_l)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
               ?23, ?24, ?25, ?26, ?27, ?28)
             ON CONFLICT (no) DO UPDATE SET name = ?3, kind = ?4, zone = ?5, district = ?6, state = ?7, lat = ?8, lon = ?9,
               interval_ms = ?10, empty_mm = ?11, full_mm = ?12, team = ?16, model = ?17, hardware_id = ?18, tags = ?19,
               blind_zone_mm = ?20, shape = ?21, depth_mm = ?22, offset_mm = ?23, probe_low_bar = ?24, probe_high_bar = ?25,
               calibrate_next = ?26, gateway = ?27, volume_l = ?28, import_no = NULL,
               import_hardware_id = NULL",
            params![
                device.no.0,
                device.id.as_str(),
                device.name,
                device.kind.as_str(),
                device.zone.as_ref().map(ZoneId::as_str),
                device.district,
                device.state.as_str(),
                device.place.map(|place| place.lat),
                device.place.map(|place| place.lon),
                device.interval_ms,
                calibration.empty_mm,
                calibration.full_mm,
                device.first_seen_at.0,
                device.online.map(|(online, _)| online),
                device.online.map(|(_, at)| at.0),
                device.team,
                device.model,
                device.hardware_id.as_ref().map(HardwareId::as_str),
                device.tags.join(" "),
                calibration.blind_zone_mm,
                Some(shape).filter(|shape| !shape.is_empty()),
                calibration.depth_mm,
                calibration.offset_mm,
                calibration.probe_bar.map(|[low, _]| low),
                calibration.probe_bar.map(|[_, high]| high),
                device.calibrate_next.map(CalibrationPoint::as_str),
                device.gateway.as_ref().map(GatewayId::as_str),
                device.volume_l,
            ],
        )?;
        Ok(())
    }

    /// Takes a device's hardware from it, so that another one may have it.
    pub fn free_hardware(&self, device: DeviceNo) -> Result<()> {
        self.run("write a device", "UPDATE device SET hardware_id = NULL WHERE no = ?1", [device.0])?;
        Ok(())
    }

    /// Remembers the hardware that a device had until now.
    pub fn put_replaced_hardware(&self, before: &Device, now: TimestampMs) -> Result<()> {
        let hardware = before.hardware_id.as_ref().map(HardwareId::as_str);
        self.run(
            "remember replaced hardware",
            "INSERT OR REPLACE INTO replaced_hardware VALUES (?1, ?2, ?3, ?4)",
            params![before.no.0, hardware, before.model, now.0],
        )?;
        Ok(())
    }

    /// What the status topic says of a device.
    pub fn put_status(&self, device: DeviceNo, is_online: bool, at: TimestampMs) -> Result<()> {
        self.run(
            "write a device's status",
            "UPDATE device SET online = ?2, online_at = ?3 WHERE no = ?1",
            params![device.0, is_online, at.0],
        )?;
        Ok(())
    }

    /// A metric of devices' own, and who brought it.
    pub fn put_metric(&self, no: MetricNo, name: &str, device: Option<DeviceNo>) -> Result<()> {
        self.run(
            "write a metric",
            "INSERT INTO metric (no, name, device_no) VALUES (?1, ?2, ?3)",
            params![no.0, name, device.map(|device| device.0)],
        )?;
        Ok(())
    }

    /// Takes the name of a metric of devices' own away. Its readings stay, and nobody can ask for them any more.
    pub fn remove_metric(&self, no: MetricNo) -> Result<()> {
        self.run("remove a metric", "DELETE FROM metric WHERE no = ?1", [no.0])?;
        Ok(())
    }

    /// A value from a retained message without a time: old news of unknown age.
    pub fn put_last_known(
        &self,
        (device, metric): (DeviceNo, MetricNo),
        value: f64,
        received_at: TimestampMs,
    ) -> Result<()> {
        self.run(
            "write a last known value",
            "INSERT OR REPLACE INTO last_known VALUES (?1, ?2, ?3, ?4)",
            params![device.0, metric.0, value, received_at.0],
        )?;
        Ok(())
    }

    /// Counts something that a device said besides readings. False: the device has too many different ones.
    pub fn put_event(&self, event: &DeviceEvent) -> Result<bool> {
        const DOING: &str = "write a device's event";
        let DeviceEvent { device, about, what, detail, count, first_at, last_at } = event;
        let counted = self.run(
            DOING,
            "UPDATE device_event SET detail = ?4, count = count + ?5, last_at = max(last_at, ?6)
             WHERE device_no = ?1 AND about = ?2 AND what = ?3",
            params![device.0, about, what, detail, count, last_at.0],
        )?;
        if counted > 0 {
            return Ok(true);
        }
        let kept: Option<i64> =
            self.row(DOING, "SELECT count(*) FROM device_event WHERE device_no = ?1", [device.0], |row| {
                row.get(0)
            })?;
        if kept.unwrap_or(0) >= DEVICE_EVENTS_MAX {
            return Ok(false);
        }
        self.run(
            DOING,
            "INSERT INTO device_event (device_no, about, what, detail, count, first_at, last_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![device.0, about, what, detail, count, first_at.0, last_at.0],
        )?;
        Ok(true)
    }

    /// How far a device's clock is behind the site's; `None`: it is right again.
    pub fn put_device_clock(
        &self,
        device: DeviceNo,
        behind_ms: Option<i64>,
        since: TimestampMs,
    ) -> Result<()> {
        const DOING: &str = "write a device's clock";
        match behind_ms {
            Some(behind_ms) => self.run(
                DOING,
                "INSERT OR REPLACE INTO device_clock VALUES (?1, ?2, ?3)",
                params![device.0, behind_ms, since.0],
            )?,
            None => self.run(DOING, "DELETE FROM device_clock WHERE device_no = ?1", [device.0])?,
        };
        Ok(())
    }

    /// Takes all zones away. Devices and alerts keep their names.
    pub fn remove_zones(&self) -> Result<()> {
        self.run("write the zones", "DELETE FROM zone", [])?;
        Ok(())
    }

    /// Enters a zone or changes it.
    pub fn put_zone(&self, zone: &Zone) -> Result<()> {
        let corners: Vec<String> = zone.outline.iter().map(|[lon, lat]| format!("[{lon},{lat}]")).collect();
        self.run(
            "write a zone",
            "INSERT OR REPLACE INTO zone VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                zone.id.as_str(),
                zone.name_en,
                zone.name_zh,
                zone.class.as_str(),
                format!("[{}]", corners.join(",")),
                zone.inhabitants
            ],
        )?;
        Ok(())
    }

    /// A word remembered about the site as a whole.
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        self.read("read the site's memory", |connection| crate::read::meta(connection, key))
    }

    /// A word to remember about the site as a whole, such as where a demo's clock stood.
    pub fn put_meta(&self, key: &str, value: &str) -> Result<()> {
        self.run("remember a word", "INSERT OR REPLACE INTO meta VALUES (?1, ?2)", [key, value])?;
        Ok(())
    }
}
