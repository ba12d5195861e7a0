//! What a distance means in this bin or this drain.

/// Distances from the sensor's head, in millimetres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// What the sensor measures when the bin is empty or the drain dry: the far end.
    pub empty_mm: f64,
    /// What it measures at 100 %: the near end.
    pub full_mm: f64,
}

impl Calibration {
    /// Both must be finite and `empty_mm` must be the larger, or the percentage would be nonsense.
    pub fn new(empty_mm: f64, full_mm: f64) -> Option<Self> {
        (empty_mm.is_finite() && full_mm.is_finite() && full_mm >= 0.0 && empty_mm > full_mm)
            .then_some(Self { empty_mm, full_mm })
    }

    /// Percent full at this distance, clamped to 0..100 and rounded to a tenth: no ultrasonic sensor knows more.
    pub fn percent(self, distance_mm: f64) -> f64 {
        let share = (self.empty_mm - distance_mm) / (self.empty_mm - self.full_mm);
        ((share * 1000.0).round() / 10.0).clamp(0.0, 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_becomes_percent_and_is_clamped() {
        let bin = Calibration::new(1200.0, 200.0).expect("a sound calibration");
        for (distance_mm, percent) in
            [(1200.0, 0.0), (200.0, 100.0), (700.0, 50.0), (1500.0, 0.0), (20.0, 100.0), (695.0, 50.5)]
        {
            assert!((bin.percent(distance_mm) - percent).abs() < 1e-9, "{distance_mm}");
        }
    }

    #[test]
    fn an_upside_down_calibration_is_refused() {
        for (empty_mm, full_mm) in [(200.0, 1200.0), (500.0, 500.0), (f64::NAN, 1.0), (100.0, -1.0)] {
            assert_eq!(Calibration::new(empty_mm, full_mm), None);
        }
    }
}
