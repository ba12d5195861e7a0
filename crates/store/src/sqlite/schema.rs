//! The file's layout, version by version. A released migration is never changed; a new one is added.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::error::{Result, StoreError};

#[path = "migrations/blocks_to_v3.rs"]
mod blocks_to_v3;

/// One step from a data version to the next.
struct Migration {
    sql: &'static str,
    /// What SQL alone cannot do, afterwards in the same transaction.
    convert: Option<fn(&Connection) -> rusqlite::Result<()>>,
}

/// Migration `n` leads from data version `n` to `n + 1`.
const MIGRATIONS: &[Migration] = &[
    Migration { sql: include_str!("migrations/0001_initial.sql"), convert: None },
    Migration { sql: include_str!("migrations/0002_accounts.sql"), convert: None },
    Migration { sql: include_str!("migrations/0003_days.sql"), convert: Some(blocks_to_v3::convert) },
    Migration { sql: include_str!("migrations/0004_sensors.sql"), convert: None },
    Migration { sql: include_str!("migrations/0005_handling.sql"), convert: None },
    Migration { sql: include_str!("migrations/0006_responsibility.sql"), convert: None },
    Migration { sql: include_str!("migrations/0007_console.sql"), convert: None },
    Migration { sql: include_str!("migrations/0008_access.sql"), convert: None },
    Migration { sql: include_str!("migrations/0009_writer.sql"), convert: None },
    Migration { sql: include_str!("migrations/0010_mqtt.sql"), convert: None },
];

/// The data version that this sanimon writes.
pub const DATA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Another process (`sanimon user add`) may hold the lock for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the file for writing, creates it if needed and brings it to [`DATA_VERSION`].
pub(crate) fn open_writer(path: &Path) -> Result<Connection> {
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(open)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(open)?;
    // Only takes effect in a new file: freed pages can later be given back without a full VACUUM.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(open)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    // FULL: the WAL is synced at each commit. An acknowledgement stands on it.
    connection.pragma_update(None, "synchronous", "FULL").map_err(open)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(open)?;
    // Checkpoints run beside the writer (sqlite::checkpoint), not inside a commit that a sensor waits for.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(open)?;
    keep_plans(&connection).map_err(open)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Prepared statements that a connection keeps: all that the writer has in a busy minute.
const STATEMENTS_KEPT: usize = 80;

/// Opens the file for reading only.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    let connection = Connection::open(path).map_err(open)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(open)?;
    connection.pragma_update(None, "query_only", true).map_err(open)?;
    // A reader of a small box: 1 MiB of page cache each.
    connection.pragma_update(None, "cache_size", -1_024).map_err(open)?;
    keep_plans(&connection).map_err(open)?;
    Ok(connection)
}

/// Statements are planned once. Otherwise SQLite looks at each bound value and plans anew, which took a third of the time of a
/// query over blocks; and no plan here depends on a value.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(open)?;
    if found > DATA_VERSION {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known: DATA_VERSION });
    }
    for (version, migration) in MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        let transaction = connection.transaction().map_err(open)?;
        transaction.execute_batch(migration.sql).map_err(open)?;
        if let Some(convert) = migration.convert {
            convert(&transaction).map_err(open)?;
        }
        transaction.pragma_update(None, "user_version", version as i64 + 1).map_err(open)?;
        transaction.commit().map_err(open)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::params;
    use rusqlite::types::Value;
    use sanimon_domain::{DeviceNo, MetricNo, TimestampMs, Window};

    use super::*;
    use crate::block::Block;
    use crate::model::Point;

    /// The schema as text, for comparison: whatever way a file came to the newest version, it looks the same.
    fn layout(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
            .expect("sql");
        statement
            .query_map([], |row| row.get(0))
            .expect("rows")
            .collect::<std::result::Result<_, _>>()
            .expect("text")
    }

    #[test]
    fn every_earlier_version_reaches_the_newest_with_its_data() {
        let folder = tempfile::tempdir().expect("a folder");
        let fresh = open_writer(&folder.path().join("fresh.db")).expect("a new file");
        for from in 1..=MIGRATIONS.len() {
            let path = folder.path().join(format!("from-{from}.db"));
            let old = Connection::open(&path).expect("a file");
            for migration in &MIGRATIONS[..from] {
                old.execute_batch(migration.sql).expect("an old schema");
                if let Some(convert) = migration.convert {
                    convert(&old).expect("a conversion");
                }
            }
            old.pragma_update(None, "user_version", from as i64).expect("a version");
            // Each row is as it is, and belongs to no other one.
            old.pragma_update(None, "foreign_keys", false).expect("a pragma");
            let before: Vec<Row> = tables(&old).iter().map(|table| fill(&old, table)).collect();
            drop(old);

            let migrated = open_writer(&path).expect("the migration");
            assert_eq!(layout(&migrated), layout(&fresh), "from version {from}");
            for row in before {
                assert_eq!(again(&migrated, &row), row, "from version {from}");
            }
        }
    }

    /// A row of a table: its columns and their values.
    #[derive(Debug, PartialEq)]
    struct Row {
        table: String,
        values: Vec<(String, Value)>,
    }

    /// All tables but those of points, whose rows are no free text and change their form (the next tests have them),
    /// and what was known of the last ten minutes' messages in another way.
    fn tables(file: &Connection) -> Vec<String> {
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '%block%'
                     AND name NOT IN ('day', 'journal', 'meta', 'payload_digest', 'commit_no') ORDER BY name";
        let mut statement = file.prepare(sql).expect("sql");
        statement
            .query_map([], |row| row.get(0))
            .expect("rows")
            .collect::<rusqlite::Result<_>>()
            .expect("names")
    }

    /// Enters a row with a value in every column.
    fn fill(file: &Connection, table: &str) -> Row {
        let mut statement = file.prepare("SELECT name, type FROM pragma_table_info(?1)").expect("sql");
        let columns =
            statement.query_map([table], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).expect("columns");
        let values: Vec<(String, Value)> = columns
            .map(|column| {
                let (name, kind): (String, String) = column.expect("a column");
                let value = match kind.as_str() {
                    "INTEGER" => Value::Integer(1),
                    "REAL" => Value::Real(1.5),
                    "TEXT" => Value::Text(format!("{table}.{name}")),
                    _ => Value::Blob(vec![1]),
                };
                (name, value)
            })
            .collect();
        let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let sql = format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "));
        file.execute(&sql, rusqlite::params_from_iter(values.iter().map(|(_, value)| value))).expect(table);
        Row { table: table.to_owned(), values }
    }

    /// The same columns of the only row of that table.
    fn again(file: &Connection, row: &Row) -> Row {
        let names: Vec<&str> = row.values.iter().map(|(name, _)| name.as_str()).collect();
        let sql = format!("SELECT {} FROM {}", names.join(", "), row.table);
        let values = file
            .query_row(&sql, [], |found| {
                row.values
                    .iter()
                    .enumerate()
                    .map(|(n, (name, _))| Ok((name.clone(), found.get(n)?)))
                    .collect()
            })
            .unwrap_or_else(|error| panic!("{}: {error}", row.table));
        Row { table: row.table.clone(), values }
    }

    #[test]
    fn blocks_of_data_version_2_become_blocks_and_days() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sanimon.db");
        let old = Connection::open(&path).expect("a file");
        MIGRATIONS[..2].iter().for_each(|migration| old.execute_batch(migration.sql).expect("an old schema"));
        old.pragma_update(None, "user_version", 2).expect("a version");
        let points: Vec<Point> =
            (0..100).map(|n| Point { at: TimestampMs(n * 3_600_000), value: n as f64 / 4.0 }).collect();
        for day in points.chunk_by(|a, b| a.at.utc_day() == b.at.utc_day()) {
            let block = Block::closed(day).expect("points");
            // Without today's checksum in front.
            let (first, last, columns) = (block.first_at.0, block.last_at.0, &block.points[4..]);
            old.execute(
                "INSERT INTO block VALUES (3, 0, ?1, ?2, ?3, ?4, 0, 0, 0, 0, 0, ?5)",
                params![day[0].at.utc_day(), first, last, block.count, columns],
            )
            .expect("an old block");
        }
        drop(old);

        let store = crate::Store::open(folder.path(), None).expect("the migration");
        let all = store.shared.telemetry(DeviceNo(3), MetricNo(0), TimestampMs(0), TimestampMs(i64::MAX / 2));
        assert_eq!(all.expect("points"), points);
        let query = crate::WindowQuery {
            metric: MetricNo(0),
            from: TimestampMs(0),
            to: TimestampMs(400 * 3_600_000),
            window: Window::Days(1),
            function: crate::Function::Count,
        };
        let days = store.shared.windows(query, &[vec![DeviceNo(3)]]).expect("days").remove(0);
        assert_eq!(days.iter().map(|point| point.value).collect::<Vec<_>>(), [24.0, 24.0, 24.0, 24.0, 4.0]);
    }

    #[test]
    fn a_file_of_a_newer_sanimon_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.db");
        open_writer(&path).expect("a file").pragma_update(None, "user_version", 999).expect("a version");
        let error = open_writer(&path).expect_err("too new").to_string();
        assert!(error.contains("999") && error.contains("newer sanimon"), "{error}");
    }

    #[test]
    fn a_commit_is_synced_and_pages_can_be_given_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = open_writer(&folder.path().join("s.db")).expect("a file");
        for (pragma, expected) in [("synchronous", "2"), ("journal_mode", "wal"), ("auto_vacuum", "2")] {
            let value: rusqlite::types::Value =
                connection.pragma_query_value(None, pragma, |row| row.get(0)).expect("a pragma");
            let text = match value {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => panic!("{other:?}"),
            };
            assert_eq!(text, expected, "{pragma}");
        }
    }
}
