//! The data of each released version: the real binary brings them to its own, keeps what they hold, and goes on.

use rusqlite::Connection;
use serde_json::json;

use super::told;
use crate::harness::{Site, publish};

/// What leads from one version to the next, as it was released: this sanimon's own version is the one after them.
const MIGRATIONS: [&str; 9] = [
    include_str!("../../../crates/store/src/sqlite/migrations/0001_initial.sql"),
    include_str!("../../../crates/store/src/sqlite/migrations/0002_accounts.sql"),
    include_str!("../../../crates/store/src/sqlite/migrations/0003_days.sql"),
    include_str!("../../../crates/store/src/sqlite/migrations/0004_sensors.sql"),
    include_str!("../../../crates/store/src/sqlite/migrations/0005_handling.sql"),
    include_str!("../../../crates/store/src/sqlite/migrations/0006_responsibility.sql"),
    include_str!("../../../crates/store/src/sqlite/migrations/0007_console.sql"),
    include_str!("../../../crates/store/src/sqlite/migrations/0008_access.sql"),
    include_str!("../../../crates/store/src/sqlite/migrations/0009_writer.sql"),
];

/// A device with an alert that somebody has acknowledged, and (from version 2 on) an account.
fn fill(database: &Connection, version: usize) {
    let device = "INSERT INTO device (no, id, name, kind, district, state, first_seen_at) \
                  VALUES (0, 'old-1', 'Old bin', 'bin', 'east', 'registered', 1700000000000)";
    database.execute(device, []).expect("a device");
    database
        .execute("INSERT INTO zone (id, name_en, name_zh, class, outline) VALUES ('z', 'Zone', '区', 'street', '[]')", [])
        .expect("a zone");
    // From version 9 on an alert says when it was known.
    let (known, at) = if version >= 9 { (", known_at", ", 1700000000000") } else { ("", "") };
    let alert = format!(
        "INSERT INTO alert (id, device_no, rule_id, title_en, title_zh, metric_no, severity, condition, handling, \
         value, raised_at, changed_at{known}) VALUES (1, 0, 'bin_fill', 'Bin full', '满', 0, 'major', 'active', \
         'acknowledged', 91.0, 1700000000000, 1700000000000{at})"
    );
    database.execute(&alert, []).expect("an alert");
    for (n, kind, who) in [(0, "raised", None), (1, "acknowledged", Some("wang"))] {
        let step = "INSERT INTO alert_step (alert_id, n, at, kind, who, severity, value, note) \
                    VALUES (1, ?1, 1700000000000, ?2, ?3, 'major', 91.0, NULL)";
        database.execute(step, rusqlite::params![n, kind, who]).expect("a step");
    }
    if version >= 2 {
        let account =
            "INSERT INTO account (name, password_hash, role, created_at) VALUES ('wang', 'x', 'crew', 1)";
        database.execute(account, []).expect("an account");
    }
}

#[test]
fn data_of_every_released_version_are_brought_up_to_date_by_the_real_binary() {
    for version in 1..=MIGRATIONS.len() {
        let mut site = Site::new("");
        std::fs::create_dir_all(site.data()).expect("a folder");
        let path = site.data().join("sanimon.db");
        let database = Connection::open(&path).expect("a database");
        database.pragma_update(None, "auto_vacuum", "INCREMENTAL").expect("a setting");
        MIGRATIONS[..version].iter().for_each(|sql| database.execute_batch(sql).expect("an old schema"));
        fill(&database, version);
        database.pragma_update(None, "user_version", version as i64).expect("a version");
        drop(database);
        site.prepare();
        let alert = site.json("/api/v1/alerts/1");
        assert_eq!(alert["device"]["id"], "old-1", "version {version}: {alert}");
        let steps: Vec<&str> = alert["history"]
            .as_array()
            .expect("a history")
            .iter()
            .filter_map(|step| step["kind"].as_str())
            .collect();
        // Its rule remembers nothing of it, so it clears; what people did stays.
        assert_eq!(steps[..2], ["raised", "acknowledged"], "version {version}");
        if version >= 2 {
            assert!(site.json("/api/v1/users").to_string().contains("wang"), "version {version}");
        }
        assert!(publish(site.mqtt, "sanitation/east/bin/old-1/telemetry", r#"{"fill_pct":20}"#));
        assert_eq!(site.points("old-1", "fill_pct").len(), 1, "version {version}");
        assert_eq!(site.stop(), 0);
        let database = Connection::open(&path).expect("a database");
        let now: i64 =
            database.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
        assert_eq!(now, MIGRATIONS.len() as i64 + 1, "from version {version}");
        let sound: String =
            database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
        assert_eq!(sound, "ok");
    }
    told("upgrades", &json!({ "from_versions": MIGRATIONS.len(), "lost": 0 }));
}
