//! Who may do what. Each change makes void what was remembered of it.

use sanimon_domain::TimestampMs;
use sanimon_store::{Account, NewCredential, NewSession, NewToken};

use super::{Done, Execution, Stopped, found};

/// Enters an account or changes it. Another password or other rights end what was begun with the old ones.
#[derive(Debug, Clone)]
pub struct PutAccount(pub Account);

/// Takes an account away, with its sessions and tokens.
#[derive(Debug, Clone)]
pub struct RemoveAccount {
    pub name: String,
}

/// Begins a session, in place of another where there was one.
#[derive(Debug, Clone)]
pub struct StartSession {
    pub session: NewSession,
    /// The token that it replaces, and until when that is still good.
    pub replaces: Option<([u8; 32], TimestampMs)>,
}

#[derive(Debug, Clone)]
pub struct EndSession {
    pub token_sha256: [u8; 32],
}

/// Makes a program's key; answers its number.
#[derive(Debug, Clone)]
pub struct PutToken(pub NewToken);

#[derive(Debug, Clone)]
pub struct RevokeToken {
    pub id: i64,
    /// Whose it must be; `None`: anybody's.
    pub account: Option<String>,
}

/// Makes devices' credentials, all or none; answers their numbers.
#[derive(Debug, Clone)]
pub struct PutCredentials(pub Vec<NewCredential>);

/// Revokes a device's credential: who is connected with it is cut off, and what the broker keeps for it goes.
#[derive(Debug, Clone)]
pub struct RevokeCredential {
    pub id: i64,
}

/// Nothing but an entry of the audit log: somebody was refused.
#[derive(Debug, Clone)]
pub struct NoteOnly;

impl PutAccount {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        work.tx.put_account(&self.0, work.now)?;
        changed(work)
    }
}

impl RemoveAccount {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        found(work.tx.remove_account(&self.name)?, "account", &self.name)?;
        changed(work)
    }
}

impl StartSession {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        if let Some((token_sha256, until)) = &self.replaces {
            work.tx.shorten_session(token_sha256, *until)?;
        }
        work.tx.insert_session(&self.session)?;
        changed(work)
    }
}

impl EndSession {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        work.tx.remove_session(&self.token_sha256)?;
        changed(work)
    }
}

impl PutToken {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let id = work.tx.insert_token(&self.0)?;
        changed(work)?;
        Ok(Done::Number(id))
    }
}

impl RevokeToken {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        found(work.tx.remove_token(self.id, self.account.as_deref())?, "token", &self.id)?;
        changed(work)
    }
}

impl PutCredentials {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        work.tx.remove_expired_credentials(work.now)?;
        let mut ids = Vec::with_capacity(self.0.len());
        for new in &self.0 {
            ids.push(work.tx.insert_credential(new, work.now)?);
        }
        credentials_changed(work)?;
        Ok(Done::Numbers(ids))
    }
}

impl RevokeCredential {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        found(work.tx.remove_credential(self.id)?, "credential", &self.id)?;
        work.tx.remove_mqtt_of_credential(self.id)?;
        credentials_changed(work)
    }
}

impl NoteOnly {
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "all commands are carried out alike")]
    pub(super) fn carry_out(&self, _work: &mut Execution<'_>) -> Result<Done, Stopped> {
        Ok(Done::Nothing)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is the end of those that can fail")]
fn changed(work: &mut Execution<'_>) -> Result<Done, Stopped> {
    work.after.is_access_changed = true;
    Ok(Done::Nothing)
}

/// They are read before the commit: after it nothing may fail.
fn credentials_changed(work: &mut Execution<'_>) -> Result<Done, Stopped> {
    work.after.credentials = Some(work.tx.credentials()?);
    changed(work)
}
