-- Who may do what: zones of accounts, rotating sessions, tokens of programs, credentials of devices, and histories that
-- nobody rewrites.

ALTER TABLE account ADD COLUMN zones TEXT NOT NULL DEFAULT '[]';  -- JSON array of zone ids; empty: the whole site
ALTER TABLE account ADD COLUMN oidc_subject TEXT;                 -- "issuer subject" of who signs in elsewhere
CREATE UNIQUE INDEX account_oidc_subject ON account (oidc_subject) WHERE oidc_subject IS NOT NULL;

-- When the person signed in; the token itself is replaced now and then. Null: with the token.
ALTER TABLE session ADD COLUMN signed_in_at INTEGER;

-- A program's key, known by the SHA-256 of its secret.
CREATE TABLE api_token (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  token_sha256 BLOB NOT NULL UNIQUE,
  account      TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,
  name         TEXT NOT NULL,         -- what it is for
  scopes       TEXT NOT NULL,         -- JSON array: read, alerts, devices, setup
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL
) STRICT;

-- What lets a device publish to the embedded broker. While one is replaced, two are valid.
CREATE TABLE device_credential (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  username      TEXT NOT NULL,        -- the device's id, or a gateway's name
  salt          BLOB NOT NULL,
  secret_sha256 BLOB NOT NULL,        -- of salt and secret
  publish       TEXT NOT NULL,        -- JSON array of topic filters; empty: the device's own topics
  subscribe     TEXT NOT NULL,
  created_at    INTEGER NOT NULL,
  created_by    TEXT NOT NULL,
  expires_at    INTEGER               -- null: until it is revoked
) STRICT;
CREATE INDEX device_credential_username ON device_credential (username);

CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END;
CREATE TRIGGER alert_step_is_not_rewritten BEFORE UPDATE ON alert_step
BEGIN SELECT RAISE(ABORT, 'an alert''s history is append only'); END;
CREATE TRIGGER alert_step_is_not_deleted BEFORE DELETE ON alert_step
BEGIN SELECT RAISE(ABORT, 'an alert''s history is append only'); END;
