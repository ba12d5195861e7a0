//! `kill -9` while points are committed, sealed, and blocks are opened again by what comes twice: no point is lost, none
//! is doubled.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use sanimon_domain::TimestampMs;
use sanimon_simulator::history::{History, METRICS};

use crate::harness::{BINARY, Process, wait_for};

const DEVICES: u32 = 20;
const INTERVAL_MS: i64 = 60_000;
const DAYS: u32 = 4;
const NANOSECONDS_PER_MS: i64 = 1_000_000;

/// More with `SANIMON_SLOW=1`.
fn kills() -> u64 {
    if std::env::var_os("SANIMON_SLOW").is_some() { 60 } else { 8 }
}

/// A history as line protocol, enough for a seal, and its readings one by one.
fn write_history(file: &Path) -> Vec<String> {
    let (mut text, mut readings) = (String::new(), Vec::new());
    for report in History::new(DEVICES, TimestampMs(1_772_323_200_000), DAYS, INTERVAL_MS, 3) {
        let time = report.at.0 * NANOSECONDS_PER_MS;
        let fields: Vec<String> =
            METRICS.iter().zip(report.values).map(|(metric, value)| format!("{metric}={value}")).collect();
        writeln!(text, "bin,device=k-{} {} {time}", report.device, fields.join(",")).unwrap();
        readings.extend(fields.iter().map(|field| format!("bin,device=k-{} {field} {time}", report.device)));
    }
    std::fs::write(file, text).unwrap();
    readings.sort_unstable();
    readings
}

fn import(file: &Path, data: &Path) -> Process {
    let child = Command::new(BINARY)
        .arg("import")
        .arg(file)
        .arg("--data")
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Process(child.unwrap())
}

/// A number that grows while the process works: rows ever written to the journal and blocks ever written.
fn progress(data: &Path) -> u64 {
    let sum = || {
        let database = rusqlite::Connection::open_with_flags(
            data.join("sanimon.db"),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        )?;
        database
            .query_row("SELECT coalesce(sum(seq), 0) FROM sqlite_sequence", [], |row| row.get::<_, i64>(0))
    };
    sum().unwrap_or(0).unsigned_abs()
}

#[test]
fn kills_while_points_are_sealed_lose_nothing_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("history.line"), folder.path().join("data"));
    let expected = write_history(&file);
    assert!(expected.len() > 500_000, "a seal begins at 400,000 points: {}", expected.len());

    let mut seed = 0x5EED_u64;
    for _ in 0..kills() {
        let before = progress(&data);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // A whole import makes 57 rows and some hundred blocks.
        let target = before + 1 + (seed >> 33) % 180;
        let mut process = import(&file, &data);
        wait_for("the import gets on", || {
            let has_ended = process.0.try_wait().unwrap().is_some();
            (has_ended || progress(&data) >= target).then_some(())
        });
        drop(process);
    }
    let mut process = import(&file, &data);
    assert!(process.0.wait().unwrap().success());

    let checked =
        Command::new(BINARY).args(["export", "--format", "line", "--data"]).arg(&data).output().unwrap();
    assert!(checked.status.success());
    let text = String::from_utf8(checked.stdout).unwrap();
    let mut stored: Vec<&str> = text.lines().collect();
    stored.sort_unstable();
    assert_eq!(stored.len(), expected.len());
    let different = stored.iter().zip(&expected).find(|(stored, expected)| *stored != expected);
    assert_eq!(different, None);
}
