-- What the embedded broker keeps over a restart: sessions, with what they subscribed to and must still get, and retained messages.
-- No row is written by REPLACE: that would take away what hangs on it, and no trigger would see it.

CREATE TABLE mqtt_session (
  id               INTEGER PRIMARY KEY,
  owner            TEXT NOT NULL,         -- a client id belongs to its credential: both are the key
  client_id        TEXT NOT NULL,
  credential       INTEGER,               -- device_credential.id; null: none of those
  incarnation      INTEGER NOT NULL,      -- the next session of the same key has another one
  version          INTEGER NOT NULL,      -- 3, 4, 5
  expiry_s         INTEGER NOT NULL,
  away_since       INTEGER,               -- null: its client was connected when this was written
  will_topic       TEXT,                  -- null: it has no will
  will_payload     BLOB,
  will_properties  BLOB,
  will_received_at INTEGER,
  will_expires_at  INTEGER,
  will_qos         INTEGER,
  will_retain      INTEGER,
  will_delay_s     INTEGER,
  will_due_at      INTEGER,
  UNIQUE (owner, client_id)
) STRICT;
CREATE INDEX mqtt_session_credential ON mqtt_session (credential) WHERE credential IS NOT NULL;

CREATE TABLE mqtt_subscription (
  session_id          INTEGER NOT NULL REFERENCES mqtt_session (id) ON DELETE CASCADE,
  filter              TEXT NOT NULL,
  qos                 INTEGER NOT NULL,
  no_local            INTEGER NOT NULL,
  retain_as_published INTEGER NOT NULL,
  subscription_id     INTEGER,
  PRIMARY KEY (session_id, filter)
) STRICT, WITHOUT ROWID;

-- A message that sessions must get, once for all of them.
CREATE TABLE mqtt_message (
  id          INTEGER PRIMARY KEY,
  topic       TEXT NOT NULL,
  payload     BLOB NOT NULL,
  properties  BLOB,                       -- as the broker encodes them
  received_at INTEGER NOT NULL,
  expires_at  INTEGER
) STRICT;

CREATE TABLE mqtt_outgoing (
  session_id       INTEGER NOT NULL REFERENCES mqtt_session (id) ON DELETE CASCADE,
  order_no         INTEGER NOT NULL,      -- given by the broker; it grows
  message_id       INTEGER NOT NULL REFERENCES mqtt_message (id),
  qos              INTEGER NOT NULL,
  retain           INTEGER NOT NULL,
  subscription_ids BLOB,                  -- u32 LE each; null: none
  packet_id        INTEGER,               -- null: not sent yet
  is_released      INTEGER NOT NULL,      -- QoS 2: PUBREL was sent, and never again the message
  PRIMARY KEY (session_id, order_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX mqtt_outgoing_message ON mqtt_outgoing (message_id);

CREATE TRIGGER mqtt_message_goes_with_its_last_reference AFTER DELETE ON mqtt_outgoing
BEGIN
  DELETE FROM mqtt_message WHERE id = OLD.message_id
    AND NOT EXISTS (SELECT 1 FROM mqtt_outgoing WHERE message_id = OLD.message_id);
END;

-- Packet ids of QoS 2 that a client has not released: a PUBLISH with one of them was seen before.
CREATE TABLE mqtt_incoming (
  session_id INTEGER NOT NULL REFERENCES mqtt_session (id) ON DELETE CASCADE,
  packet_id  INTEGER NOT NULL,
  PRIMARY KEY (session_id, packet_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE mqtt_retained (
  topic       TEXT PRIMARY KEY,
  qos         INTEGER NOT NULL,
  owner       TEXT NOT NULL,
  credential  INTEGER,                    -- device_credential.id; null: none of those
  received_at INTEGER NOT NULL,
  expires_at  INTEGER,
  properties  BLOB,                       -- as the broker encodes them
  payload     BLOB NOT NULL
) STRICT;
CREATE INDEX mqtt_retained_credential ON mqtt_retained (credential) WHERE credential IS NOT NULL;
