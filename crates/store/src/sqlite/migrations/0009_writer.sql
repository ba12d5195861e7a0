-- One writer: transactions are numbered, alerts know when they were known, and nobody uses up what others need.

-- The number of the last committed transaction: it tells whether a commit that answered with an error is stored.
CREATE TABLE commit_no (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  no  INTEGER NOT NULL
) STRICT;
INSERT INTO commit_no VALUES (1, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0));

-- A row's number is that of its transaction.
CREATE TABLE journal_9 (
  seq          INTEGER PRIMARY KEY,
  committed_at INTEGER NOT NULL,
  readings     INTEGER NOT NULL,
  records      BLOB NOT NULL
) STRICT;
INSERT INTO journal_9 SELECT seq, committed_at, readings, records FROM journal;
DROP TABLE journal;
ALTER TABLE journal_9 RENAME TO journal;

CREATE TABLE alert_9 (
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
  severity_rank   INTEGER NOT NULL      -- 0: the worst
    AS (CASE severity WHEN 'critical' THEN 0 WHEN 'major' THEN 1 WHEN 'minor' THEN 2 ELSE 3 END) VIRTUAL,
  condition       TEXT NOT NULL,
  handling        TEXT NOT NULL,
  value           REAL,                 -- at the last transition; null: there was none to tell
  raised_at       INTEGER NOT NULL,     -- when the condition began to hold, by the time of the readings
  known_at        INTEGER NOT NULL,     -- when sanimon knew: deadlines and messages count from here
  changed_at      INTEGER NOT NULL,
  cleared_at      INTEGER,
  replaced_by     INTEGER,              -- the wider alert that stands for it
  assignee        TEXT,
  acknowledge_by  INTEGER,              -- null: no deadline
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
  escalate_at     INTEGER,              -- when the next missed deadline is told; null: nothing is waited for
  report_token    TEXT                  -- of the resident's report that opened it
) STRICT;
INSERT INTO alert_9 (id, device_no, group_kind, group_id, rule_id, rules_version, title_en, title_zh, metric_no, zone,
    severity, condition, handling, value, raised_at, known_at, changed_at, cleared_at, replaced_by, assignee,
    acknowledge_by, acknowledged_at, arrive_by, arrived_at, resolve_by, handled_by, handled_at, closed_at, escalations,
    escalated_at, escalated_to, escalate_at, report_token)
  SELECT id, device_no, group_kind, group_id, rule_id, rules_version, title_en, title_zh, metric_no, zone,
    severity, condition, handling, value, raised_at, raised_at, changed_at, cleared_at, replaced_by, assignee,
    acknowledge_by, acknowledged_at, arrive_by, arrived_at, resolve_by, handled_by, handled_at, closed_at, escalations,
    escalated_at, escalated_to, escalate_at, report_token
  FROM alert;
DROP TABLE alert;
ALTER TABLE alert_9 RENAME TO alert;
CREATE INDEX alert_open ON alert (condition, handling) WHERE condition = 'active';
CREATE INDEX alert_device ON alert (device_no, raised_at);
CREATE INDEX alert_raised ON alert (raised_at);
CREATE INDEX alert_escalate ON alert (escalate_at) WHERE escalate_at IS NOT NULL;
-- The board asks for the open alerts by urgency: the worst first, then those that wait longest. The first column is always the
-- same; it stands there because SQLite otherwise takes `alert_open` and sorts all of them for each page. What follows `id` is
-- what counts need: they are asked for often in a storm, and then no alert has to be looked up for them.
CREATE INDEX alert_urgent ON alert (
  condition, severity_rank, raised_at, id, zone, handling, acknowledge_by, arrive_by, arrived_at, resolve_by
) WHERE condition = 'active';

-- Messages to people: the most severe first. 0: critical, 3: a warning.
ALTER TABLE outbox ADD COLUMN severity_rank INTEGER NOT NULL
  AS (CASE severity WHEN 'critical' THEN 0 WHEN 'major' THEN 1 WHEN 'minor' THEN 2 ELSE 3 END) VIRTUAL;
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (channel, severity_rank, id) WHERE state = 'waiting';

-- Who sent what was put into the quarantine: nobody pushes out the rows of others.
ALTER TABLE quarantine ADD COLUMN sender TEXT NOT NULL DEFAULT '';
CREATE INDEX quarantine_sender ON quarantine (sender, last_at);

-- Who brought a metric of its own: nobody takes all that the site has room for.
ALTER TABLE metric ADD COLUMN device_no INTEGER;         -- null: before that was kept

-- What of a device would go with the journal's rows: when it was heard last, and the messages by which a redelivery is
-- known, of the last minutes (recent.rs). In place of payload_digest.
DROP TABLE payload_digest;
CREATE TABLE device_memory (
  device_no       INTEGER PRIMARY KEY,
  heard_at        INTEGER NOT NULL,
  recent_messages BLOB NOT NULL
) STRICT;

-- Devices whose clock is off by a constant time.
CREATE TABLE device_clock (
  device_no INTEGER PRIMARY KEY,
  behind_ms INTEGER NOT NULL,          -- positive: behind the site's clock
  since     INTEGER NOT NULL
) STRICT;

-- What people save in the console: the text that is in force, and whether its file says the same already.
CREATE TABLE setup_document (
  name         TEXT PRIMARY KEY,       -- rules | zones | teams
  sha256       BLOB NOT NULL,
  text         TEXT NOT NULL,
  saved_at     INTEGER NOT NULL,
  replaces     BLOB,                   -- the SHA-256 of what the file said before; null: there was none
  is_in_file   INTEGER NOT NULL        -- 0: the file is still to be written
) STRICT, WITHOUT ROWID;

-- Delivery to InfluxDB goes on beside what a disk has damaged.

-- When delivery could not read the block; null: it is delivered in its turn. What is set aside stays for whoever repairs it.
ALTER TABLE closed_block ADD COLUMN undeliverable_since INTEGER;
ALTER TABLE open_block ADD COLUMN undeliverable_since INTEGER;

-- Rows of the journal that could not be read, as they were.
CREATE TABLE damaged_journal (
  seq          INTEGER PRIMARY KEY,   -- the journal's
  committed_at INTEGER NOT NULL,
  records      BLOB NOT NULL,
  found_at     INTEGER NOT NULL,
  why          TEXT NOT NULL
) STRICT;

-- A large table of devices is entered in steps, out of sight, and comes into force at once: of which import a row waits to be
-- written as it is, and the hardware that it has then. In force is what meta calls `import_in_force`.
ALTER TABLE device ADD COLUMN import_no INTEGER;
ALTER TABLE device ADD COLUMN import_hardware_id TEXT;
CREATE INDEX device_import_no ON device (import_no) WHERE import_no IS NOT NULL;
