-- What the registry knows of the hardware, and how much of it is trusted.
ALTER TABLE device ADD COLUMN model TEXT;
ALTER TABLE device ADD COLUMN hardware_id TEXT;          -- DevEUI, IMEI, client id: small letters
ALTER TABLE device ADD COLUMN tags TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN blind_zone_mm REAL;
ALTER TABLE device ADD COLUMN shape TEXT;                -- "0:0 50:30 100:100": height and volume in percent
ALTER TABLE device ADD COLUMN depth_mm REAL;
ALTER TABLE device ADD COLUMN offset_mm REAL;
ALTER TABLE device ADD COLUMN probe_low_bar REAL;
ALTER TABLE device ADD COLUMN probe_high_bar REAL;
ALTER TABLE device ADD COLUMN calibrate_next TEXT;       -- empty | full: what the next distance will be taken for
CREATE UNIQUE INDEX device_hardware_id ON device (hardware_id) WHERE hardware_id IS NOT NULL;

-- Hardware that a device had before: its history stays the place's.
CREATE TABLE replaced_hardware (
  device_no   INTEGER NOT NULL,
  hardware_id TEXT NOT NULL,
  model       TEXT,
  replaced_at INTEGER NOT NULL,
  PRIMARY KEY (device_no, replaced_at, hardware_id)
) STRICT, WITHOUT ROWID;

-- What devices say besides readings, once for each device and word: bounded by both.
CREATE TABLE device_event (
  device_no INTEGER NOT NULL,
  about     TEXT NOT NULL,            -- a metric, or 'device'
  what      TEXT NOT NULL,
  detail    TEXT,
  count     INTEGER NOT NULL,
  first_at  INTEGER NOT NULL,
  last_at   INTEGER NOT NULL,
  PRIMARY KEY (device_no, about, what)
) STRICT, WITHOUT ROWID;

-- Readings that are not simply believed: beside telemetry, so that nothing sums them up.
CREATE TABLE doubted (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  device_no   INTEGER NOT NULL,
  metric_no   INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  value       REAL NOT NULL,
  quality     TEXT NOT NULL,          -- suspect | bad
  reason      TEXT NOT NULL,
  held        INTEGER NOT NULL,       -- 1: the next reading decides
  UNIQUE (device_no, metric_no, at)
) STRICT;
CREATE INDEX doubted_held ON doubted (held) WHERE held = 1;

-- Since when a series' newest value has not changed.
ALTER TABLE latest ADD COLUMN unchanged_since INTEGER;
