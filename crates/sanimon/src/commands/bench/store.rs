//! `sanimon bench store`: points into the journal, from there into blocks, and their bytes on disk.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::fill::{Shape, bytes_in, peak_rss_mb};
use super::influxdb::InfluxDb;

#[derive(Debug, Args)]
pub(crate) struct StoreBench {
    #[command(flatten)]
    shape: Shape,
}

impl StoreBench {
    pub(super) fn measure(&self) -> anyhow::Result<Value> {
        super::in_folder(self.shape.data.as_deref(), |folder| self.measure_in(folder))
    }

    fn measure_in(&self, folder: &Path) -> anyhow::Result<Value> {
        let data = folder.join("embedded");
        anyhow::ensure!(
            !data.exists(),
            "{} holds data already: choose another --data, for filling it is what is measured",
            data.display()
        );
        let (store, filled) = self.shape.open(&data)?;
        // Closed first: the write-ahead log becomes part of the file.
        drop(store);
        let bytes = bytes_in(&data)?;
        let points = filled.points.max(1) as f64;
        let beside = if self.shape.influxdb { Some(self.influxdb(&folder.join("influxdb"))?) } else { None };
        Ok(json!({
            "points_per_s": (points / filled.commit.as_secs_f64()).round(),
            "seal_points_per_s": (filled.sealed_points as f64 / filled.seal.as_secs_f64()).round(),
            "bytes_per_point": bytes as f64 / points,
            "peak_rss_mb": peak_rss_mb()?,
            "influxdb": beside,
            "points": filled.points,
            "bytes": bytes,
            "devices": self.shape.devices,
            "days": self.shape.days,
            "interval_s": self.shape.interval_s,
        }))
    }

    fn influxdb(&self, folder: &Path) -> anyhow::Result<Value> {
        let (server, is_new) = InfluxDb::start(folder)?;
        anyhow::ensure!(is_new, "{} holds data already: choose another --data", folder.display());
        let loaded = server.load(&self.shape, folder)?;
        Ok(json!({
            "points_per_s": loaded.points_per_s.round(),
            "bytes_per_point": loaded.bytes_per_point,
            "peak_rss_mb": loaded.peak_rss_mb,
        }))
    }
}
