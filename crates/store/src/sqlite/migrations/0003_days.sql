-- Sealed telemetry: closed blocks (block.rs), written once; a series' blocks do not overlap in time.
CREATE TABLE closed_block (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  device_no INTEGER NOT NULL,
  metric_no INTEGER NOT NULL,
  first_at  INTEGER NOT NULL,
  last_at   INTEGER NOT NULL,
  count     INTEGER NOT NULL,
  points    BLOB NOT NULL
) STRICT;
CREATE INDEX closed_block_series ON closed_block (device_no, metric_no, first_at);

-- The newest sealed points of a series, until they fill a closed block.
CREATE TABLE open_block (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  device_no INTEGER NOT NULL,
  metric_no INTEGER NOT NULL,
  first_at  INTEGER NOT NULL,
  last_at   INTEGER NOT NULL,
  count     INTEGER NOT NULL,
  points    BLOB NOT NULL,
  UNIQUE (device_no, metric_no)
) STRICT;

-- What each day of the site says of a series, packed by the month (days.rs). Stays when blocks go.
CREATE TABLE day_month (
  metric_no INTEGER NOT NULL,
  device_no INTEGER NOT NULL,
  month     INTEGER NOT NULL,         -- months since January 1970
  days      BLOB NOT NULL,
  PRIMARY KEY (metric_no, device_no, month)
) STRICT, WITHOUT ROWID;

ALTER TABLE device ADD COLUMN team TEXT;
