//! The place: six zones around a river, and devices where such a town would put them.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sanimon_domain::time::MINUTE_MS;
use sanimon_domain::{DeviceKind, ZoneClass};

/// The middle of the imaginary township of Qingxi (清溪), in the hills of Zhejiang; no real place is meant.
const CENTRE: [f64; 2] = [119.6480, 30.2310];

/// A zone of the town.
#[derive(Debug, Clone, PartialEq)]
pub struct TownZone {
    pub id: &'static str,
    pub name_en: &'static str,
    pub name_zh: &'static str,
    pub class: ZoneClass,
    /// `[lon, lat]` corners, the first repeated at the end.
    pub outline: Vec<[f64; 2]>,
}

/// A device of the town.
#[derive(Debug, Clone, PartialEq)]
pub struct TownDevice {
    pub id: String,
    pub name: String,
    pub kind: DeviceKind,
    /// Index into [`Town::zones`].
    pub zone: usize,
    pub gateway: usize,
    pub lat: f64,
    pub lon: f64,
    pub interval_ms: i64,
    /// Distances of an ultrasonic sensor that leaves the percentage to its reader.
    pub distances_mm: Option<(f64, f64)>,
}

/// Zones and devices, made from a seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Town {
    pub seed: u64,
    pub zones: Vec<TownZone>,
    pub devices: Vec<TownDevice>,
    pub gateways: usize,
}

/// Corners as offsets from the centre in thousandths of a degree: two banks of a river that runs from west to east.
fn zones() -> Vec<TownZone> {
    let zone = |id, name_en, name_zh, class, corners: &[[f64; 2]]| {
        let mut outline: Vec<[f64; 2]> =
            corners.iter().map(|[x, y]| [CENTRE[0] + x / 1000.0, CENTRE[1] + y / 1000.0]).collect();
        outline.push(outline[0]);
        TownZone { id, name_en, name_zh, class, outline }
    };
    vec![
        zone(
            "market",
            "East Market",
            "东门农贸市场",
            ZoneClass::Market,
            &[[0.6, 0.8], [5.2, 1.3], [5.6, 4.9], [2.8, 5.6], [0.3, 4.6]],
        ),
        zone(
            "old-town",
            "Old Town",
            "老城区",
            ZoneClass::OldResidential,
            &[[-5.6, 0.4], [0.2, 0.8], [-0.1, 4.6], [-2.4, 5.8], [-6.0, 4.4]],
        ),
        zone(
            "new-town",
            "New Town",
            "新城社区",
            ZoneClass::Dense,
            &[[-5.4, -0.9], [0.5, -0.5], [0.9, -5.0], [-3.0, -6.0], [-6.2, -4.2]],
        ),
        zone(
            "main-street",
            "Main Street",
            "人民路",
            ZoneClass::Street,
            &[[0.9, -0.5], [6.4, 0.1], [6.9, -3.0], [4.0, -4.6], [1.3, -4.4]],
        ),
        zone(
            "school",
            "School Quarter",
            "学府片区",
            ZoneClass::School,
            &[[5.7, 0.5], [10.2, 1.6], [10.6, 5.0], [7.6, 6.0], [6.0, 4.8]],
        ),
        zone(
            "lakeside",
            "Lakeside Village",
            "湖滨村",
            ZoneClass::Village,
            &[[-11.6, -2.9], [-6.4, -1.2], [-6.6, 3.9], [-9.5, 5.0], [-12.4, 1.8]],
        ),
    ]
}

impl Town {
    /// A town with this many devices: seven bins to two drains to one toilet, as a small town has.
    pub fn new(seed: u64, devices: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let zones = zones();
        let gateways = 3;
        let mut counts = [0_usize; 3];
        let devices = (0..devices)
            .map(|index| {
                let kind = match index % 10 {
                    0..7 => DeviceKind::Bin,
                    7 | 8 => DeviceKind::Drain,
                    _ => DeviceKind::Toilet,
                };
                let count = &mut counts[kind as usize];
                *count += 1;
                device(&mut rng, &zones, gateways, kind, *count)
            })
            .collect();
        Self { seed, zones, devices, gateways }
    }
}

fn device(
    rng: &mut ChaCha8Rng,
    zones: &[TownZone],
    gateways: usize,
    kind: DeviceKind,
    number: usize,
) -> TownDevice {
    // More of everything where people are.
    const SHARES: [f64; 6] = [0.22, 0.20, 0.22, 0.16, 0.10, 0.10];
    let zone = weighted(rng, &SHARES);
    let [lon, lat] = inside(rng, &zones[zone].outline);
    let (prefix, en, minutes): (_, _, &[i64]) = match kind {
        DeviceKind::Bin => ("bin", "Bin", &[20, 30, 30, 60]),
        DeviceKind::Drain => ("drain", "Drain", &[10, 15, 20]),
        DeviceKind::Toilet => ("toilet", "Toilet", &[10, 15]),
    };
    let interval_ms = minutes[rng.random_range(0..minutes.len())] * MINUTE_MS;
    let by_distance = kind == DeviceKind::Bin && rng.random_bool(0.35);
    TownDevice {
        id: format!("{prefix}-{number:04}"),
        name: format!("{en} {number}, {}", zones[zone].name_en),
        kind,
        zone,
        gateway: rng.random_range(0..gateways),
        lat,
        lon,
        interval_ms,
        distances_mm: by_distance.then(|| (f64::from(rng.random_range(10..14)) * 100.0, 200.0)),
    }
}

fn weighted(rng: &mut ChaCha8Rng, shares: &[f64]) -> usize {
    let mut left = rng.random_range(0.0..shares.iter().sum());
    for (index, share) in shares.iter().enumerate() {
        left -= share;
        if left < 0.0 {
            return index;
        }
    }
    shares.len() - 1
}

/// A point inside the outline, not too near its edge's corners: by rejection from the bounding box.
fn inside(rng: &mut ChaCha8Rng, outline: &[[f64; 2]]) -> [f64; 2] {
    let bound = |axis: usize, pick: fn(f64, f64) -> f64| {
        outline.iter().map(|c| c[axis]).reduce(pick).unwrap_or_default()
    };
    let (west, east) = (bound(0, f64::min), bound(0, f64::max));
    let (south, north) = (bound(1, f64::min), bound(1, f64::max));
    loop {
        let point = [rng.random_range(west..east), rng.random_range(south..north)];
        if contains(outline, point) {
            return point;
        }
    }
}

/// Even-odd rule.
fn contains(outline: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    outline.windows(2).filter(|edge| crosses(edge[0], edge[1], x, y)).count() % 2 == 1
}

fn crosses([ax, ay]: [f64; 2], [bx, by]: [f64; 2], x: f64, y: f64) -> bool {
    (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax
}
