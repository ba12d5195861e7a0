//! Accounts, sessions, tokens and credentials as rows.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sanimon_domain::{TimestampMs, ZoneId};

use super::rows::{optional_time, time};
use crate::error::{Result, StoreError};
use crate::model::{Account, Credential, Session, Token};

const ACCOUNT: &str = "a.name, a.password_hash, a.role, a.zones, a.oidc_subject";

fn texts(row: &Row<'_>, column: &str) -> rusqlite::Result<Vec<String>> {
    let json: String = row.get(column)?;
    // Only sanimon writes it; what cannot be read gives no right to anybody: see `account_row`.
    Ok(serde_json::from_str(&json).unwrap_or_else(|_| vec![String::new()]))
}

fn account_row(row: &Row<'_>) -> rusqlite::Result<Account> {
    // A zone that is no id is one that nothing is in: fewer rights, never more.
    let nowhere = || ZoneId::new("-").expect("a sound id");
    let zones = texts(row, "zones")?.into_iter().map(|zone| ZoneId::new(&zone).unwrap_or_else(|_| nowhere()));
    Ok(Account {
        name: row.get("name")?,
        password_hash: row.get("password_hash")?,
        role: row.get("role")?,
        zones: zones.collect(),
        oidc_subject: row.get("oidc_subject")?,
    })
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: row.get("id")?,
        account: row.get("account")?,
        name: row.get("token_name")?,
        scopes: texts(row, "scopes")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
    })
}

pub(crate) fn account(connection: &Connection, name: &str) -> Result<Option<Account>> {
    connection
        .prepare_cached(&format!("SELECT {ACCOUNT} FROM account a WHERE a.name = ?1"))
        .and_then(|mut statement| statement.query_row([name], account_row).optional())
        .map_err(StoreError::doing("read an account"))
}

pub(crate) fn account_of_subject(connection: &Connection, subject: &str) -> Result<Option<Account>> {
    connection
        .prepare_cached(&format!("SELECT {ACCOUNT} FROM account a WHERE a.oidc_subject = ?1"))
        .and_then(|mut statement| statement.query_row([subject], account_row).optional())
        .map_err(StoreError::doing("read an account"))
}

pub(crate) fn accounts(connection: &Connection) -> Result<Vec<Account>> {
    let doing = || StoreError::doing("read accounts");
    let mut statement =
        connection.prepare(&format!("SELECT {ACCOUNT} FROM account a ORDER BY a.name")).map_err(doing())?;
    let rows = statement.query_map([], account_row);
    rows.and_then(Iterator::collect).map_err(doing())
}

/// A session that has not expired.
pub(crate) fn session(
    connection: &Connection,
    token_sha256: &[u8; 32],
    now: TimestampMs,
) -> Result<Option<Session>> {
    let sql = format!(
        "SELECT {ACCOUNT}, s.created_at, COALESCE(s.signed_in_at, s.created_at) AS signed_in_at, s.expires_at
         FROM session s JOIN account a ON a.name = s.account
         WHERE s.token_sha256 = ?1 AND s.expires_at > ?2"
    );
    let read = |row: &Row<'_>| {
        Ok(Session {
            account: account_row(row)?,
            created_at: time(row, "created_at")?,
            signed_in_at: time(row, "signed_in_at")?,
            expires_at: time(row, "expires_at")?,
        })
    };
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement.query_row(params![token_sha256.as_slice(), now.0], read).optional()
        })
        .map_err(StoreError::doing("read a session"))
}

/// A token that has not expired, with whose it is.
pub(crate) fn token(
    connection: &Connection,
    token_sha256: &[u8; 32],
    now: TimestampMs,
) -> Result<Option<(Account, Token)>> {
    let sql = format!(
        "SELECT {ACCOUNT}, t.id, t.account, t.name AS token_name, t.scopes, t.created_at, t.expires_at
         FROM api_token t JOIN account a ON a.name = t.account
         WHERE t.token_sha256 = ?1 AND t.expires_at > ?2"
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            let read = |row: &Row<'_>| Ok((account_row(row)?, token_row(row)?));
            statement.query_row(params![token_sha256.as_slice(), now.0], read).optional()
        })
        .map_err(StoreError::doing("read a token"))
}

/// An account's tokens, or everybody's.
pub(crate) fn tokens(connection: &Connection, account: Option<&str>) -> Result<Vec<Token>> {
    let doing = || StoreError::doing("read tokens");
    let sql = "SELECT id, account, name AS token_name, scopes, created_at, expires_at FROM api_token
               WHERE ?1 IS NULL OR account = ?1 ORDER BY id";
    let mut statement = connection.prepare_cached(sql).map_err(doing())?;
    let rows = statement.query_map([account], token_row);
    rows.and_then(Iterator::collect).map_err(doing())
}

/// All credentials of devices, the oldest first.
pub(crate) fn credentials(connection: &Connection) -> Result<Vec<Credential>> {
    let doing = || StoreError::doing("read devices' credentials");
    let mut statement = connection.prepare("SELECT * FROM device_credential ORDER BY id").map_err(doing())?;
    let rows = statement.query_map([], |row| {
        Ok(Credential {
            id: row.get("id")?,
            username: row.get("username")?,
            salt: row.get("salt")?,
            secret_sha256: row.get("secret_sha256")?,
            publish: texts(row, "publish")?,
            subscribe: texts(row, "subscribe")?,
            created_at: time(row, "created_at")?,
            created_by: row.get("created_by")?,
            expires_at: optional_time(row, "expires_at")?,
        })
    });
    rows.and_then(Iterator::collect).map_err(doing())
}
