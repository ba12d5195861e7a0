-- What people set up and plan in the console: who changed what, how large places are, rounds of collection, photos of work.

ALTER TABLE zone ADD COLUMN inhabitants INTEGER;
ALTER TABLE device ADD COLUMN volume_l REAL;          -- what a bin holds

-- Append only: no statement of sanimon updates or deletes here.
CREATE TABLE audit (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  at     INTEGER NOT NULL,
  who    TEXT NOT NULL,
  what   TEXT NOT NULL,                -- device.put, rules.save, user.remove, ...
  about  TEXT NOT NULL,                -- the id of what was changed; empty: the site
  detail TEXT NOT NULL                 -- JSON, without secrets
) STRICT;
CREATE INDEX audit_at ON audit (at);

-- Photos that crews add to an alert: how it was found, what was done.
CREATE TABLE alert_photo (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  alert_id INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  who      TEXT NOT NULL,
  photo    BLOB NOT NULL
) STRICT;
CREATE INDEX alert_photo_alert ON alert_photo (alert_id);

-- A round: which bins a vehicle empties in a shift, and in which order.
CREATE TABLE round (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  vehicle   TEXT NOT NULL,             -- of teams.toml
  team      TEXT,
  from_at   INTEGER NOT NULL,
  to_at     INTEGER NOT NULL,
  length_m  INTEGER NOT NULL,          -- as it was planned
  made_by   TEXT NOT NULL,
  made_at   INTEGER NOT NULL,
  ended_by  TEXT,
  ended_at  INTEGER
) STRICT;
CREATE INDEX round_to ON round (to_at);

CREATE TABLE round_stop (
  round_id  INTEGER NOT NULL,
  n         INTEGER NOT NULL,
  device_no INTEGER NOT NULL,
  trip      INTEGER NOT NULL,          -- the vehicle returns to its depot between trips
  planned_at INTEGER NOT NULL,
  fill_pct  REAL NOT NULL,             -- as it was expected at that time
  state     TEXT NOT NULL,             -- open | done | skipped
  state_at  INTEGER,
  state_by  TEXT,                      -- null: nobody has said anything
  note      TEXT,
  PRIMARY KEY (round_id, n)
) STRICT, WITHOUT ROWID;
