-- Times are UTC milliseconds. Words (kind, severity, ...) are those of sanimon-domain.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE zone (
  id      TEXT PRIMARY KEY,
  name_en TEXT NOT NULL,
  name_zh TEXT NOT NULL,
  class   TEXT NOT NULL,
  outline TEXT NOT NULL               -- a GeoJSON ring: [[lon, lat], ...]
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
  no          INTEGER PRIMARY KEY,    -- dense from 0: an index into the tables in memory
  id          TEXT NOT NULL UNIQUE,
  name        TEXT NOT NULL,
  kind        TEXT NOT NULL,
  zone        TEXT,
  district    TEXT NOT NULL,          -- what the topic said when the device was first heard
  state       TEXT NOT NULL,          -- registered | discovered | retired
  lat         REAL,
  lon         REAL,
  interval_ms INTEGER,
  empty_mm    REAL,
  full_mm     REAL,
  first_seen_at INTEGER NOT NULL,
  online      INTEGER,                -- what the status topic said last, if it ever did
  online_at   INTEGER
) STRICT;

-- Names that devices brought with them; the known ones are in the code.
CREATE TABLE metric (
  no   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- The log of telemetry: one row a group, readings packed (journal.rs). Rows leave when they are sealed.
CREATE TABLE journal (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  committed_at INTEGER NOT NULL,
  readings     INTEGER NOT NULL,
  records      BLOB NOT NULL
) STRICT;

-- Sealed telemetry: a series' UTC day, in parts that do not overlap in time (block.rs).
CREATE TABLE block (
  device_no INTEGER NOT NULL,
  metric_no INTEGER NOT NULL,
  utc_day   INTEGER NOT NULL,
  first_at  INTEGER NOT NULL,
  last_at   INTEGER NOT NULL,
  count     INTEGER NOT NULL,
  min       REAL NOT NULL,
  max       REAL NOT NULL,
  sum       REAL NOT NULL,
  first     REAL NOT NULL,
  last      REAL NOT NULL,
  points    BLOB NOT NULL,
  PRIMARY KEY (device_no, metric_no, utc_day, first_at)
) STRICT, WITHOUT ROWID;

-- The newest reading of each series and the newest undated payload of each device, as of the last seal;
-- the journal's rows go on from there.
CREATE TABLE latest (
  device_no   INTEGER NOT NULL,
  metric_no   INTEGER NOT NULL,
  observed_at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  value       REAL NOT NULL,
  PRIMARY KEY (device_no, metric_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE payload_digest (
  device_no   INTEGER PRIMARY KEY,
  digest      BLOB NOT NULL,
  received_at INTEGER NOT NULL
) STRICT;

-- Retained messages without a time: old news of unknown age, never a reading.
CREATE TABLE last_known (
  device_no   INTEGER NOT NULL,
  metric_no   INTEGER NOT NULL,
  value       REAL NOT NULL,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (device_no, metric_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert (
  id              INTEGER PRIMARY KEY,
  device_no       INTEGER NOT NULL,
  rule_id         TEXT NOT NULL,
  title_en        TEXT NOT NULL,
  title_zh        TEXT NOT NULL,
  metric_no       INTEGER NOT NULL,
  severity        TEXT NOT NULL,
  condition       TEXT NOT NULL,
  handling        TEXT NOT NULL,
  value           REAL NOT NULL,      -- at the last transition
  raised_at       INTEGER NOT NULL,
  changed_at      INTEGER NOT NULL,
  cleared_at      INTEGER,
  acknowledge_by  INTEGER,            -- null: no clock
  acknowledged_at INTEGER
) STRICT;
CREATE INDEX alert_open ON alert (condition, handling) WHERE condition = 'active';
CREATE INDEX alert_device ON alert (device_no, raised_at);
CREATE INDEX alert_raised ON alert (raised_at);

-- Append only: no statement of sanimon updates or deletes here.
CREATE TABLE alert_step (
  alert_id INTEGER NOT NULL,
  n        INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  who      TEXT,                      -- null: the engine
  severity TEXT NOT NULL,
  value    REAL,
  note     TEXT,
  PRIMARY KEY (alert_id, n)
) STRICT, WITHOUT ROWID;

-- What the engine must remember across a restart. Idle levels have no row.
CREATE TABLE rule_level (
  device_no INTEGER NOT NULL,
  rule_id   TEXT NOT NULL,
  level_key TEXT NOT NULL,
  state     TEXT NOT NULL,            -- pending | active
  since     INTEGER NOT NULL,
  PRIMARY KEY (device_no, rule_id, level_key)
) STRICT, WITHOUT ROWID;

-- What could not be decoded, once for each topic and cause, with its newest payload.
CREATE TABLE quarantine (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  topic         TEXT NOT NULL,
  source        TEXT NOT NULL,
  code          TEXT NOT NULL,
  message       TEXT NOT NULL,
  payload       BLOB NOT NULL,
  payload_bytes INTEGER NOT NULL,     -- of the whole payload; the stored one may be cut
  count         INTEGER NOT NULL,
  first_at      INTEGER NOT NULL,
  last_at       INTEGER NOT NULL,
  UNIQUE (topic, code, message)
) STRICT;
CREATE INDEX quarantine_last ON quarantine (last_at);
