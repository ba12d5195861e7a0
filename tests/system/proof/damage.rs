//! Configurations that are no configuration, and databases with damaged pages: one clear line, no panic, and nothing
//! that is wrong is told as right.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::{Dice, scale, told};
use crate::harness::{BINARY, Process, Site, publish, wait_for};

/// Runs `serve` for as long as it takes to say no; `None`: it serves.
fn refused(site: &Site) -> Option<(i32, String)> {
    let log = site.folder.path().join("refused");
    let file = fs::File::create(&log).expect("a file");
    let child = Command::new(BINARY)
        .args(["serve", "--config"])
        .arg(site.config())
        .stdout(file.try_clone().expect("a file"))
        .stderr(file)
        .spawn()
        .expect("a process");
    let mut process = Process(child);
    wait_for("it serves, or says why not", || {
        if let Some(status) = process.0.try_wait().expect("a status") {
            return Some(Some((status.code().unwrap_or(-1), fs::read_to_string(&log).expect("a log"))));
        }
        site.get("/healthz").is_some().then_some(None)
    })
}

#[test]
fn a_configuration_that_is_none_is_refused_in_clear_words() {
    let mut dice = Dice::new();
    let (seed, rounds) = (dice.0, scale(60, 2_000));
    let site = Site::new("");
    let sound = fs::read(site.config()).expect("the configuration");
    let mut refusals = 0;
    for round in 0..rounds {
        let mut bytes = sound.clone();
        match round % 4 {
            0 => bytes.truncate(dice.below(bytes.len() as u64) as usize),
            1 => (0..=dice.below(8)).for_each(|_| {
                let place = dice.below(bytes.len() as u64) as usize;
                bytes[place] = dice.below(256) as u8;
            }),
            2 => bytes = (0..dice.below(400)).map(|_| dice.below(256) as u8).collect(),
            _ => bytes = bytes.iter().flat_map(|byte| [*byte, 0]).collect(),
        }
        fs::write(site.config(), &bytes).expect("the configuration");
        let output =
            Command::new(BINARY).args(["check", "--config"]).arg(site.config()).output().expect("a process");
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!said.contains("panicked"), "seed {seed}, round {round}: {said}");
        assert!(matches!(output.status.code(), Some(0 | 1)), "seed {seed}, round {round}: {said}");
        if output.status.code() == Some(1) {
            refusals += 1;
            assert!(said.contains("sanimon.toml") || said.contains("data"), "{said}");
        }
    }
    told(
        "corrupt-configuration",
        &json!({ "tried": rounds, "refused": refusals, "panics": 0, "seed": seed }),
    );
}

/// Starts it once more and reads everything: each point is one that was stored, or the answer is an error. False when the
/// account itself is what was damaged.
fn tells_only_what_was_stored(site: &mut Site, start: i64) -> bool {
    site.start();
    let is_in = site.try_sign_in().is_ok();
    if is_in {
        for device in 0..20 {
            for (at, value) in site.points(&format!("b-{device}"), "fill_pct") {
                let n = (at - start) / 60_000;
                assert!(
                    (0..400).contains(&n) && at == start + n * 60_000 && value == (n % 100) as f64,
                    "{at} {value}"
                );
            }
        }
    }
    assert!(!site.log().contains("panicked"), "{}", site.log());
    site.kill();
    is_in
}

#[test]
fn a_database_with_damaged_pages_is_told_and_what_is_not_damaged_answers() {
    let mut site = Site::started("");
    let start = crate::sources::now_ms() - 86_400_000;
    for device in 0..20 {
        let readings: Vec<String> =
            (0..400).map(|n| format!(r#"{{"ts":{},"fill_pct":{}}}"#, start + n * 60_000, n % 100)).collect();
        let topic = format!("sanitation/east/bin/b-{device}/telemetry");
        assert!(publish(site.mqtt, &topic, &format!("[{}]", readings.join(","))));
    }
    assert_eq!(site.stop(), 0);
    let path = site.data().join("sanimon.db");
    // All of it into the one file.
    let database = rusqlite::Connection::open(&path).expect("a database");
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
    drop(database);
    let sound = fs::read(&path).expect("the database");
    let mut dice = Dice::new();
    let (seed, rounds) = (dice.0, scale(12, 300));
    let (mut told_at_start, mut told_by_check, mut harmless, mut served) = (0, 0, 0, 0);
    for round in 0..rounds {
        let mut bytes = sound.clone();
        let page = 4096 * dice.below(bytes.len() as u64 / 4096) as usize;
        let (from, length) = (page + dice.below(4_000) as usize, 1 + dice.below(96) as usize);
        bytes[from..from + length].iter_mut().for_each(|byte| *byte ^= 1 + dice.below(255) as u8);
        for rest in ["sanimon.db-wal", "sanimon.db-shm"] {
            let _ = fs::remove_file(site.data().join(rest));
        }
        fs::write(&path, &bytes).expect("a damaged database");
        let checked =
            Command::new(BINARY).args(["check", "--config"]).arg(site.config()).output().expect("a process");
        let said =
            String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
        assert!(!said.contains("panicked"), "seed {seed}, round {round}: {said}");
        if checked.status.code() == Some(1) {
            told_by_check += 1;
        }
        match refused(&site) {
            Some((code, said)) => {
                told_at_start += 1;
                assert!(
                    code == 1 && !said.contains("panicked"),
                    "seed {seed}, round {round}: {code}: {said}"
                );
                assert!(said.contains("database") || said.contains("damaged"), "{said}");
            }
            None => {
                served += usize::from(tells_only_what_was_stored(&mut site, start));
                harmless += usize::from(checked.status.code() == Some(0));
            }
        }
    }
    let result = json!({
        "damaged_places": rounds, "told_by_check": told_by_check, "refused_at_start": told_at_start,
        "in_unused_bytes": harmless, "served_and_compared": served, "told_wrong": 0, "panics": 0, "seed": seed,
    });
    told("damaged-database", &result);
    fs::write(&path, &sound).expect("the sound one");
}
