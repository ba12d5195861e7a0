//! What a distance, a level or a pressure means in this bin or this drain.

/// One metre of water is 9.80665 kPa (at 4 °C): a bar carries this many millimetres.
pub const WATER_MM_PER_BAR: f64 = 10_197.16;
/// Corners of a level/volume table at most: a drawing of a container has no more.
pub const SHAPE_POINTS_MAX: usize = 32;

/// A device's own calibration. Distances are from the sensor's head, in millimetres; what is `None` is not known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Calibration {
    /// What the sensor measures when the bin is empty or the drain dry: the far end.
    pub empty_mm: Option<f64>,
    /// What it measures at 100 %: the near end.
    pub full_mm: Option<f64>,
    /// Nearer than this the sensor cannot measure (its transducer still rings).
    pub blind_zone_mm: Option<f64>,
    /// How much of the volume a height stands for; empty: as much as of the height.
    pub shape: Shape,
    /// A drain's depth from the invert to the crown: 100 %.
    pub depth_mm: Option<f64>,
    /// Added to what a level probe says: how high above the invert it hangs.
    pub offset_mm: Option<f64>,
    /// The range of this very probe in bar, where the model is sold with several.
    pub probe_bar: Option<[f64; 2]>,
}

/// Pairs of `(height %, volume %)`, both rising from 0 to 100.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shape(Vec<[f64; 2]>);

/// What is wrong with a calibration, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {message}")]
pub struct CalibrationFault {
    pub field: &'static str,
    pub message: &'static str,
}

impl Shape {
    /// Checks that heights and volumes rise from 0 to 100.
    pub fn new(points: Vec<[f64; 2]>) -> Option<Self> {
        let rises = points.windows(2).all(|pair| matches!(pair, [[h0, v0], [h1, v1]] if h0 < h1 && v0 <= v1));
        let spans = points.first() == Some(&[0.0, 0.0]) && points.last() == Some(&[100.0, 100.0]);
        let sound = points.is_empty() || (spans && rises && points.len() <= SHAPE_POINTS_MAX);
        sound.then_some(Self(points))
    }

    pub fn points(&self) -> &[[f64; 2]] {
        &self.0
    }

    /// `0:0 50:30 100:100`, as files and the database keep it.
    pub fn parse(text: &str) -> Option<Self> {
        let pair = |word: &str| {
            let (height, volume) = word.split_once(':')?;
            Some([height.parse().ok()?, volume.parse().ok()?])
        };
        Self::new(text.split_whitespace().map(pair).collect::<Option<_>>()?)
    }

    /// Percent of the volume at a percent of the height.
    fn volume(&self, height_pct: f64) -> f64 {
        let corner = self.0.windows(2).find(|pair| height_pct <= pair[1][0]);
        match corner {
            Some([[h0, v0], [h1, v1]]) => v0 + (v1 - v0) * (height_pct - h0) / (h1 - h0),
            _ => height_pct,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, [height, volume]) in self.0.iter().enumerate() {
            write!(f, "{}{height}:{volume}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// To a tenth: no ultrasonic sensor knows more.
fn tenth(percent: f64) -> f64 {
    ((percent * 10.0).round() / 10.0).clamp(0.0, 100.0)
}

impl Calibration {
    /// A sensor that looks down from the top.
    pub fn distances(empty_mm: f64, full_mm: f64) -> Self {
        Self { empty_mm: Some(empty_mm), full_mm: Some(full_mm), ..Self::default() }
    }

    /// Every field in its limits, and together a container that can exist.
    pub fn check(&self) -> Result<(), CalibrationFault> {
        const LONGEST_MM: f64 = 50_000.0;
        let fault = |field, message| Err(CalibrationFault { field, message });
        let lengths = [
            ("empty_mm", self.empty_mm),
            ("full_mm", self.full_mm),
            ("blind_zone_mm", self.blind_zone_mm),
            ("depth_mm", self.depth_mm),
        ];
        for (field, length) in lengths {
            if length.is_some_and(|mm| !(0.0..=LONGEST_MM).contains(&mm)) {
                return fault(field, "write millimetres between 0 and 50000");
            }
        }
        if self.offset_mm.is_some_and(|mm| !(-LONGEST_MM..=LONGEST_MM).contains(&mm)) {
            return fault("offset_mm", "write millimetres between -50000 and 50000");
        }
        if let (Some(empty), Some(full)) = (self.empty_mm, self.full_mm)
            && empty <= full
        {
            return fault("empty_mm", "must be larger than `full_mm`: the sensor looks down from the top");
        }
        if let (Some(full), Some(blind)) = (self.full_mm, self.blind_zone_mm)
            && full < blind
        {
            return fault("full_mm", "must not lie in the blind zone: a full bin would never be seen");
        }
        if self.depth_mm == Some(0.0) {
            return fault("depth_mm", "a drain has a depth: write it, or leave it out");
        }
        match self.probe_bar {
            Some([low, high]) if !(low.is_finite() && high.is_finite() && low < high) => {
                fault("probe_bar", "write the lower end of the range, then the higher one, in bar")
            }
            _ => Ok(()),
        }
    }

    /// Percent full at this distance, clamped to 0..100 and rounded to a tenth; `None` while one end is not known.
    pub fn percent(&self, distance_mm: f64) -> Option<f64> {
        let (empty, full) = (self.empty_mm?, self.full_mm?);
        let height_pct = (empty - distance_mm) / (empty - full) * 100.0;
        Some(tenth(self.shape.volume(height_pct.clamp(0.0, 100.0))))
    }

    /// How high it stands at this distance, in millimetres above the far end, and no lower.
    pub fn level_mm(&self, distance_mm: f64) -> Option<f64> {
        Some((self.empty_mm? - distance_mm).max(0.0))
    }

    /// Percent of a drain's depth.
    pub fn depth_percent(&self, level_mm: f64) -> Option<f64> {
        Some(tenth(level_mm / self.depth_mm? * 100.0))
    }

    /// What a level probe's word means above the invert.
    pub fn probe_level_mm(&self, probe_mm: f64) -> f64 {
        probe_mm + self.offset_mm.unwrap_or(0.0)
    }

    /// Water above a probe under this pressure.
    pub fn pressure_level_mm(&self, bar: f64) -> f64 {
        self.probe_level_mm((bar * WATER_MM_PER_BAR).round())
    }

    /// The span between the two ends, for the judgement of jumps.
    pub fn span_mm(&self) -> Option<f64> {
        match (self.empty_mm, self.full_mm, self.depth_mm) {
            (Some(empty), Some(full), _) => Some(empty - full),
            (_, _, depth) => depth,
        }
    }

    pub fn is_blind(&self, distance_mm: f64) -> bool {
        self.blind_zone_mm.is_some_and(|blind| distance_mm < blind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_becomes_percent_and_is_clamped() {
        let bin = Calibration::distances(1200.0, 200.0);
        for (distance_mm, percent) in
            [(1200.0, 0.0), (200.0, 100.0), (700.0, 50.0), (1500.0, 0.0), (20.0, 100.0), (695.0, 50.5)]
        {
            assert_eq!(bin.percent(distance_mm), Some(percent), "{distance_mm}");
        }
        assert_eq!(Calibration { empty_mm: Some(1.0), ..Calibration::default() }.percent(1.0), None);
    }

    #[test]
    fn a_cone_is_half_full_of_volume_long_before_half_its_height_is_missing() {
        let shape = Shape::parse("0:0 50:20 100:100").expect("a sound shape");
        assert_eq!(shape.to_string(), "0:0 50:20 100:100");
        let bin = Calibration { shape, ..Calibration::distances(1000.0, 0.0) };
        for (distance_mm, percent) in [(1000.0, 0.0), (500.0, 20.0), (250.0, 60.0), (0.0, 100.0)] {
            assert_eq!(bin.percent(distance_mm), Some(percent), "{distance_mm}");
        }
        for wrong in ["0:0", "0:0 50:60 40:70 100:100", "10:0 100:100", "0:0 100:90", "0:0 50 100:100"] {
            assert_eq!(Shape::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_container_that_cannot_exist_is_refused_by_its_field() {
        let sound = Calibration::distances(1200.0, 300.0);
        assert_eq!(sound.check(), Ok(()));
        for (wrong, field) in [
            (Calibration::distances(200.0, 1200.0), "empty_mm"),
            (Calibration::distances(500.0, 500.0), "empty_mm"),
            (Calibration::distances(f64::NAN, 1.0), "empty_mm"),
            (Calibration::distances(100.0, -1.0), "full_mm"),
            (Calibration { blind_zone_mm: Some(400.0), ..sound.clone() }, "full_mm"),
            (Calibration { depth_mm: Some(0.0), ..sound.clone() }, "depth_mm"),
            (Calibration { probe_bar: Some([1.0, 1.0]), ..sound.clone() }, "probe_bar"),
        ] {
            assert_eq!(wrong.check().expect_err(field).field, field);
        }
    }

    #[test]
    fn a_bar_carries_ten_metres_of_water_and_the_probe_hangs_above_the_invert() {
        let drain = Calibration { depth_mm: Some(2_000.0), offset_mm: Some(100.0), ..Calibration::default() };
        assert_eq!(drain.pressure_level_mm(0.1), 1_120.0);
        assert_eq!(drain.depth_percent(1_120.0), Some(56.0));
    }
}
