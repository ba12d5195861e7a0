CREATE TABLE account (
  name          TEXT PRIMARY KEY,
  password_hash TEXT NOT NULL,        -- Argon2id, PHC string
  role          TEXT NOT NULL,        -- viewer | crew | dispatcher | manager | admin
  created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A session is known by the SHA-256 of its token: the file alone signs nobody in.
CREATE TABLE session (
  token_sha256 BLOB PRIMARY KEY,
  account      TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
