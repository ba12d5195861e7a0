//! Who may do what: accounts, sessions, programs' keys, devices' credentials.

use rusqlite::params;
use sanimon_domain::{TimestampMs, ZoneId};

use crate::error::Result;
use crate::model::{Account, Credential, NewCredential, NewSession, NewToken};
use crate::read;
use crate::sqlite::Tx;

fn json(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    serde_json::to_string(&texts).expect("texts become JSON")
}

impl Tx<'_> {
    /// Enters an account or changes it. Another password or other rights end what was begun with the old ones.
    pub fn put_account(&self, account: &Account, now: TimestampMs) -> Result<()> {
        const DOING: &str = "write an account";
        let Account { name, password_hash, role, zones, oidc_subject } = account;
        let zones = json(&zones.iter().map(ZoneId::as_str).collect::<Vec<_>>());
        self.run(
            DOING,
            "DELETE FROM session WHERE account = ?1 AND EXISTS (SELECT 1 FROM account
               WHERE name = ?1 AND (password_hash <> ?2 OR role <> ?3 OR zones <> ?4))",
            params![name, password_hash, role, zones],
        )?;
        self.run(
            DOING,
            "INSERT INTO account (name, password_hash, role, zones, oidc_subject, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (name) DO UPDATE SET password_hash = ?2, role = ?3, zones = ?4, oidc_subject = ?5",
            params![name, password_hash, role, zones, oidc_subject, now.0],
        )?;
        Ok(())
    }

    /// Takes an account away, with its sessions and keys. False: there is none of this name.
    pub fn remove_account(&self, name: &str) -> Result<bool> {
        let removed = self.run("remove an account", "DELETE FROM account WHERE name = ?1", [name])?;
        Ok(removed > 0)
    }

    /// Begins a session; those that have expired go.
    pub fn insert_session(&self, session: &NewSession) -> Result<()> {
        const DOING: &str = "write a session";
        self.run(DOING, "DELETE FROM session WHERE expires_at <= ?1", [session.now.0])?;
        self.run(
            DOING,
            "INSERT INTO session (token_sha256, account, created_at, expires_at, signed_in_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                session.token_sha256.as_slice(),
                session.account,
                session.now.0,
                session.expires_at.0,
                session.signed_in_at.0
            ],
        )?;
        Ok(())
    }

    /// A session's token is good until this time at most: another one takes its place.
    pub fn shorten_session(&self, token_sha256: &[u8; 32], until: TimestampMs) -> Result<()> {
        self.run(
            "shorten a session",
            "UPDATE session SET expires_at = MIN(expires_at, ?2) WHERE token_sha256 = ?1",
            params![token_sha256.as_slice(), until.0],
        )?;
        Ok(())
    }

    pub fn remove_session(&self, token_sha256: &[u8; 32]) -> Result<()> {
        let sql = "DELETE FROM session WHERE token_sha256 = ?1";
        self.run("end a session", sql, [token_sha256.as_slice()])?;
        Ok(())
    }

    /// Makes a program's key; gives its number. Those that have expired go.
    pub fn insert_token(&self, token: &NewToken) -> Result<i64> {
        const DOING: &str = "write a token";
        self.run(DOING, "DELETE FROM api_token WHERE expires_at <= ?1", [token.now.0])?;
        self.run(
            DOING,
            "INSERT INTO api_token (token_sha256, account, name, scopes, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                token.token_sha256.as_slice(),
                token.account,
                token.name,
                json(&token.scopes),
                token.now.0,
                token.expires_at.0
            ],
        )?;
        Ok(self.last_id())
    }

    /// Revokes a program's key; with an account only one of its own. False: there is none.
    pub fn remove_token(&self, id: i64, account: Option<&str>) -> Result<bool> {
        let sql = "DELETE FROM api_token WHERE id = ?1 AND (?2 IS NULL OR account = ?2)";
        Ok(self.run("revoke a token", sql, params![id, account])? > 0)
    }

    /// Makes a device's credential; gives its number. Those that the username has already may become valid for less long.
    pub fn insert_credential(&self, new: &NewCredential, now: TimestampMs) -> Result<i64> {
        const DOING: &str = "write a device's credential";
        if let Some(until) = new.others_until {
            let sql = "UPDATE device_credential SET expires_at = MIN(COALESCE(expires_at, ?2), ?2) WHERE username = ?1";
            self.run(DOING, sql, params![new.username, until.0])?;
        }
        self.run(
            DOING,
            "INSERT INTO device_credential (username, salt, secret_sha256, publish, subscribe, created_at, created_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                new.username,
                new.salt.as_slice(),
                new.secret_sha256.as_slice(),
                json(&new.publish),
                json(&new.subscribe),
                now.0,
                new.created_by
            ],
        )?;
        Ok(self.last_id())
    }

    /// Removes credentials that have expired.
    pub fn remove_expired_credentials(&self, now: TimestampMs) -> Result<()> {
        let sql = "DELETE FROM device_credential WHERE expires_at <= ?1";
        self.run("remove expired credentials", sql, [now.0])?;
        Ok(())
    }

    /// Revokes a device's credential. False: there is none of this number.
    pub fn remove_credential(&self, id: i64) -> Result<bool> {
        Ok(self.run("revoke a credential", "DELETE FROM device_credential WHERE id = ?1", [id])? > 0)
    }

    /// All credentials, as the transaction leaves them.
    pub fn credentials(&self) -> Result<Vec<Credential>> {
        self.read("read devices' credentials", read::credentials)
    }
}
