//! Changes of who may do what, each in one transaction with its entry in the audit log.

use rusqlite::{Transaction, params};
use sanimon_domain::TimestampMs;

use super::Writer;
use crate::command::{AccessCommand, CommandError};
use crate::error::{Result, StoreError};
use crate::model::{Account, NewCredential, NewSession, NewToken};
use crate::read;

type Outcome<T> = std::result::Result<T, CommandError>;

fn json(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    serde_json::to_string(&texts).expect("texts become JSON")
}

impl Writer {
    /// Carries out a command and answers it. The asker may have gone; the change was made all the same.
    pub fn access(&mut self, command: AccessCommand, now: TimestampMs) {
        match command {
            AccessCommand::PutAccount(account, reply) => {
                let _ = reply.send(self.put_account(&account, now).map_err(Into::into));
            }
            AccessCommand::RemoveAccount { name, reply } => {
                let _ = reply.send(self.remove_account(&name));
            }
            AccessCommand::StartSession { session, replaces, reply } => {
                let _ = reply.send(self.start_session(&session, replaces).map_err(Into::into));
            }
            AccessCommand::EndSession { token_sha256, reply } => {
                let _ = reply.send(self.end_session(&token_sha256).map_err(Into::into));
            }
            AccessCommand::PutToken(token, reply) => {
                let _ = reply.send(self.put_token(&token).map_err(Into::into));
            }
            AccessCommand::RevokeToken { id, account, reply } => {
                let _ = reply.send(self.revoke_token(id, account.as_deref()));
            }
            AccessCommand::PutCredentials(credentials, reply) => {
                let _ = reply.send(self.put_credentials(&credentials, now).map_err(Into::into));
            }
            AccessCommand::RevokeCredential { id, reply } => {
                let _ = reply.send(self.revoke_credential(id));
            }
            AccessCommand::Note(reply) => {
                let noted = self.transaction().and_then(|transaction| {
                    transaction.commit().map_err(StoreError::doing("write the audit log"))
                });
                let _ = reply.send(noted.map_err(Into::into));
            }
        }
    }

    /// One transaction, after which what was remembered of who may do what is void.
    fn change_access<T>(
        &mut self,
        doing: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let transaction = self.transaction()?;
        let changed = change(&transaction)?;
        transaction.commit().map_err(StoreError::doing(doing))?;
        self.shared.access.changed();
        Ok(changed)
    }

    /// Enters an account or changes it. Another password or fewer rights end what was begun with the old ones.
    pub fn put_account(&mut self, account: &Account, now: TimestampMs) -> Result<()> {
        let doing = || StoreError::doing("write an account");
        let zones = json(&account.zones.iter().map(sanimon_domain::ZoneId::as_str).collect::<Vec<_>>());
        let changed = self.change_access("commit an account", |transaction| {
            let ended = "DELETE FROM session WHERE account = ?1 AND EXISTS (SELECT 1 FROM account \
                         WHERE name = ?1 AND (password_hash <> ?2 OR role <> ?3 OR zones <> ?4))";
            let values = params![account.name, account.password_hash, account.role, zones];
            transaction.execute(ended, values).map_err(doing())?;
            let sql = "INSERT INTO account (name, password_hash, role, zones, oidc_subject, created_at)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                       ON CONFLICT (name) DO UPDATE
                       SET password_hash = ?2, role = ?3, zones = ?4, oidc_subject = ?5";
            let values = params![
                account.name,
                account.password_hash,
                account.role,
                zones,
                account.oidc_subject,
                now.0
            ];
            transaction.execute(sql, values).map_err(doing())?;
            Ok(())
        });
        changed.map_err(store_error)
    }

    /// Takes an account away, with its sessions and tokens.
    pub fn remove_account(&mut self, name: &str) -> Outcome<()> {
        self.change_access("commit the removal of an account", |transaction| {
            let sql = "DELETE FROM account WHERE name = ?1";
            let removed = transaction.execute(sql, [name]).map_err(StoreError::doing("remove an account"))?;
            some(removed, "account", name)
        })
    }

    /// Begins a session, in place of another where there was one; those that have expired go.
    pub fn start_session(
        &mut self,
        session: &NewSession,
        replaces: Option<([u8; 32], TimestampMs)>,
    ) -> Result<()> {
        let doing = || StoreError::doing("write a session");
        let changed = self.change_access("commit a session", |transaction| {
            let expired = "DELETE FROM session WHERE expires_at <= ?1";
            transaction.execute(expired, [session.now.0]).map_err(doing())?;
            if let Some((old, until)) = replaces {
                let sql = "UPDATE session SET expires_at = MIN(expires_at, ?2) WHERE token_sha256 = ?1";
                transaction.execute(sql, params![old.as_slice(), until.0]).map_err(doing())?;
            }
            let sql = "INSERT INTO session (token_sha256, account, created_at, expires_at, signed_in_at)
                       VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = params![
                session.token_sha256.as_slice(),
                session.account,
                session.now.0,
                session.expires_at.0,
                session.signed_in_at.0
            ];
            transaction.execute(sql, values).map_err(doing())?;
            Ok(())
        });
        changed.map_err(store_error)
    }

    pub fn end_session(&mut self, token_sha256: &[u8; 32]) -> Result<()> {
        let ended = self.change_access("commit the end of a session", |transaction| {
            let sql = "DELETE FROM session WHERE token_sha256 = ?1";
            transaction
                .execute(sql, [token_sha256.as_slice()])
                .map_err(StoreError::doing("end a session"))?;
            Ok(())
        });
        ended.map_err(store_error)
    }

    /// Makes a program's key; gives its number. Those that have expired go.
    pub fn put_token(&mut self, token: &NewToken) -> Result<i64> {
        let doing = || StoreError::doing("write a token");
        let made = self.change_access("commit a token", |transaction| {
            let expired = "DELETE FROM api_token WHERE expires_at <= ?1";
            transaction.execute(expired, [token.now.0]).map_err(doing())?;
            let sql = "INSERT INTO api_token (token_sha256, account, name, scopes, created_at, expires_at)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let values = params![
                token.token_sha256.as_slice(),
                token.account,
                token.name,
                json(&token.scopes),
                token.now.0,
                token.expires_at.0
            ];
            transaction.execute(sql, values).map_err(doing())?;
            Ok(transaction.last_insert_rowid())
        });
        made.map_err(store_error)
    }

    /// Revokes a program's key; with an account only one of its own.
    pub fn revoke_token(&mut self, id: i64, account: Option<&str>) -> Outcome<()> {
        self.change_access("commit the end of a token", |transaction| {
            let sql = "DELETE FROM api_token WHERE id = ?1 AND (?2 IS NULL OR account = ?2)";
            let removed = transaction
                .execute(sql, params![id, account])
                .map_err(StoreError::doing("revoke a token"))?;
            some(removed, "token", &id.to_string())
        })
    }

    /// Makes credentials, all or none; gives their numbers.
    pub fn put_credentials(&mut self, all: &[NewCredential], now: TimestampMs) -> Result<Vec<i64>> {
        let doing = || StoreError::doing("write a device's credential");
        let made = self.change_access("commit devices' credentials", |transaction| {
            let expired = "DELETE FROM device_credential WHERE expires_at <= ?1";
            transaction.execute(expired, [now.0]).map_err(doing())?;
            let mut ids = Vec::with_capacity(all.len());
            for new in all {
                if let Some(until) = new.others_until {
                    let sql = "UPDATE device_credential SET expires_at = MIN(COALESCE(expires_at, ?2), ?2)
                               WHERE username = ?1";
                    transaction.execute(sql, params![new.username, until.0]).map_err(doing())?;
                }
                let sql = "INSERT INTO device_credential
                             (username, salt, secret_sha256, publish, subscribe, created_at, created_by)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
                let values = params![
                    new.username,
                    new.salt.as_slice(),
                    new.secret_sha256.as_slice(),
                    json(&new.publish),
                    json(&new.subscribe),
                    now.0,
                    new.created_by
                ];
                transaction.execute(sql, values).map_err(doing())?;
                ids.push(transaction.last_insert_rowid());
            }
            Ok(ids)
        });
        let ids = made.map_err(store_error)?;
        self.load_credentials()?;
        Ok(ids)
    }

    /// Revokes a device's credential: who is connected with it is cut off.
    pub fn revoke_credential(&mut self, id: i64) -> Outcome<()> {
        self.change_access("commit the end of a credential", |transaction| {
            let sql = "DELETE FROM device_credential WHERE id = ?1";
            let removed = transaction.execute(sql, [id]).map_err(StoreError::doing("revoke a credential"))?;
            some(removed, "credential", &id.to_string())
        })?;
        Ok(self.load_credentials()?)
    }

    fn load_credentials(&mut self) -> Result<()> {
        let all = read::credentials(&self.connection)?;
        self.shared.access.set_credentials(all);
        self.shared.access.changed();
        Ok(())
    }
}

fn some(changed: usize, what: &'static str, id: &str) -> Outcome<()> {
    if changed == 0 { Err(CommandError::NotFound { what, id: id.to_owned() }) } else { Ok(()) }
}

/// For changes that only the store can refuse.
fn store_error(error: CommandError) -> StoreError {
    match error {
        CommandError::Store(error) => error,
        other => StoreError::Damaged { what: "an account", detail: other.to_string() },
    }
}
