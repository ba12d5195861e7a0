-- Alerts about groups, clocks beyond the acknowledgement, messages, maintenance windows, versions of the rules, reports.

ALTER TABLE device ADD COLUMN gateway TEXT;           -- what its uplinks come through

CREATE TABLE alert_6 (
  id              INTEGER PRIMARY KEY,
  device_no       INTEGER,              -- null: a group's
  group_kind      TEXT,                 -- zone | gateway
  group_id        TEXT,
  rule_id         TEXT NOT NULL,
  rules_version   INTEGER,              -- rules_version.no; null: raised before versions were kept, or by a person
  title_en        TEXT NOT NULL,
  title_zh        TEXT NOT NULL,
  metric_no       INTEGER NOT NULL,
  zone            TEXT,                 -- where it was raised: a device may move
  severity        TEXT NOT NULL,
  condition       TEXT NOT NULL,
  handling        TEXT NOT NULL,
  value           REAL NOT NULL,        -- at the last transition
  raised_at       INTEGER NOT NULL,
  changed_at      INTEGER NOT NULL,
  cleared_at      INTEGER,
  replaced_by     INTEGER,              -- the wider alert that stands for it
  assignee        TEXT,
  acknowledge_by  INTEGER,              -- null: no clock
  acknowledged_at INTEGER,
  arrive_by       INTEGER,
  arrived_at      INTEGER,
  resolve_by      INTEGER,
  handled_by      TEXT,
  handled_at      INTEGER,
  closed_at       INTEGER,
  escalations     INTEGER NOT NULL DEFAULT 0,
  escalated_at    INTEGER,
  escalated_to    TEXT,
  escalate_at     INTEGER,              -- when the next missed promise is told; null: no clock runs
  report_token    TEXT                  -- of the resident's report that opened it
) STRICT;
INSERT INTO alert_6 (id, device_no, rule_id, title_en, title_zh, metric_no, zone, severity, condition, handling, value,
    raised_at, changed_at, cleared_at, assignee, acknowledge_by, acknowledged_at, handled_by, handled_at, closed_at)
  SELECT id, device_no, rule_id, title_en, title_zh, metric_no, (SELECT zone FROM device WHERE no = device_no), severity,
    condition, handling, value, raised_at, changed_at, cleared_at, assignee, acknowledge_by, acknowledged_at, handled_by,
    handled_at, closed_at
  FROM alert;
DROP TABLE alert;
ALTER TABLE alert_6 RENAME TO alert;
CREATE INDEX alert_open ON alert (condition, handling) WHERE condition = 'active';
CREATE INDEX alert_device ON alert (device_no, raised_at);
CREATE INDEX alert_raised ON alert (raised_at);
CREATE INDEX alert_escalate ON alert (escalate_at) WHERE escalate_at IS NOT NULL;

CREATE TABLE rule_level_6 (
  device_no  INTEGER NOT NULL,           -- -1: a group's
  group_kind TEXT NOT NULL,
  group_id   TEXT NOT NULL,
  rule_id    TEXT NOT NULL,
  level_key  TEXT NOT NULL,
  state      TEXT NOT NULL,              -- pending | active
  since      INTEGER NOT NULL,
  PRIMARY KEY (device_no, group_kind, group_id, rule_id, level_key)
) STRICT, WITHOUT ROWID;
INSERT INTO rule_level_6 SELECT device_no, '', '', rule_id, level_key, state, since FROM rule_level;
DROP TABLE rule_level;
ALTER TABLE rule_level_6 RENAME TO rule_level;

-- Each rules.toml that was ever in force.
CREATE TABLE rules_version (
  no        INTEGER PRIMARY KEY,
  sha256    BLOB NOT NULL,
  text      TEXT NOT NULL,
  since     INTEGER NOT NULL
) STRICT;

-- Times in which nobody wants to be told. Kept when they are over.
CREATE TABLE maintenance_window (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  device_no       INTEGER,
  zone            TEXT,
  rule_id         TEXT,
  from_at         INTEGER NOT NULL,
  to_at           INTEGER NOT NULL,
  reason          TEXT NOT NULL,
  who             TEXT NOT NULL,
  created_at      INTEGER NOT NULL,
  ended_by        TEXT,
  suppressed      INTEGER NOT NULL DEFAULT 0,
  last_suppressed_at INTEGER
) STRICT;
CREATE INDEX maintenance_window_to ON maintenance_window (to_at);

-- Messages to be delivered, written with what they are about.
CREATE TABLE outbox (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  channel    TEXT NOT NULL,
  alert_id   INTEGER,                    -- null: a test
  event      TEXT NOT NULL,
  at         INTEGER NOT NULL,
  severity   TEXT NOT NULL,
  value      REAL,
  who        TEXT,
  note       TEXT,
  escalated_to TEXT,
  is_digest  INTEGER NOT NULL,
  due_at     INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  state      TEXT NOT NULL,              -- waiting | sent | dead
  error      TEXT,
  done_at    INTEGER
) STRICT;
CREATE INDEX outbox_due ON outbox (channel, due_at) WHERE state = 'waiting';
CREATE INDEX outbox_done ON outbox (done_at) WHERE state <> 'waiting';

-- Places at which residents report, by the code on their sign.
CREATE TABLE place_code (
  code       TEXT PRIMARY KEY,
  device_no  INTEGER UNIQUE,
  zone       TEXT UNIQUE,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE report (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  token        TEXT NOT NULL UNIQUE,
  code         TEXT NOT NULL,
  alert_id     INTEGER NOT NULL,
  at           INTEGER NOT NULL,
  language     TEXT NOT NULL,
  category     TEXT NOT NULL,
  text         TEXT,                     -- with the photo deleted after the site's time
  photo        BLOB,
  satisfaction INTEGER,
  rated_at     INTEGER,
  forgotten_at INTEGER
) STRICT;
CREATE INDEX report_alert ON report (alert_id);
CREATE INDEX report_kept ON report (at) WHERE forgotten_at IS NULL;
