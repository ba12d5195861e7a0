//! Messages to people: which of them is next, and what became of them.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use sanimon_domain::{AlertId, Severity, TimestampMs};
use sanimon_operations::routing::Event;

use super::Page;
use super::rows::{optional_time, time, word};
use crate::error::{Result, StoreError};
use crate::model::{MessageState, OutboxMessage, WaitingMessage};

/// The most urgent message first: the worst severity, then the oldest. Nothing else says in which order messages go out.
const MOST_URGENT_FIRST: &str = "severity_rank, id";

/// A message that was tried stays in view before it is due again: when that is, is for who delivers it to say.
const IN_VIEW: &str = "state = 'waiting' AND channel = ?1 AND (due_at <= ?2 OR attempts > 0)";

fn message(row: &Row<'_>) -> rusqlite::Result<OutboxMessage> {
    Ok(OutboxMessage {
        id: row.get("id")?,
        channel: row.get("channel")?,
        alert: row.get::<_, Option<i64>>("alert_id")?.map(|id| AlertId(id as u64)),
        event: word(row, "event", Event::parse)?,
        at: time(row, "at")?,
        severity: word(row, "severity", Severity::parse)?,
        value: row.get("value")?,
        who: row.get("who")?,
        note: row.get("note")?,
        escalated_to: row.get("escalated_to")?,
        is_digest: row.get("is_digest")?,
        due_at: time(row, "due_at")?,
        expires_at: time(row, "expires_at")?,
        attempts: row.get("attempts")?,
        state: word(row, "state", MessageState::parse)?,
        error: row.get("error")?,
        done_at: optional_time(row, "done_at")?,
    })
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<WaitingMessage> {
    Ok(WaitingMessage {
        id: row.get("id")?,
        due_at: time(row, "due_at")?,
        expires_at: time(row, "expires_at")?,
        attempts: row.get("attempts")?,
        is_digest: row.get("is_digest")?,
    })
}

/// Shows the messages of a channel whose time has come, and those that were tried, the most urgent first, until `visit`
/// has seen enough.
pub(crate) fn visit_waiting(
    connection: &Connection,
    channel: &str,
    now: TimestampMs,
    visit: &mut dyn FnMut(&WaitingMessage) -> ControlFlow<()>,
) -> Result<()> {
    let doing = || StoreError::doing("look for the next message");
    let sql = format!(
        "SELECT id, due_at, expires_at, attempts, is_digest FROM outbox WHERE {IN_VIEW} ORDER BY {MOST_URGENT_FIRST}"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(doing())?;
    let rows = statement.query_map(params![channel, now.0], waiting).map_err(doing())?;
    for row in rows {
        if visit(&row.map_err(doing())?).is_break() {
            break;
        }
    }
    Ok(())
}

/// When the first message of a channel that was never tried comes due after this time.
pub(crate) fn next_message_due(
    connection: &Connection,
    channel: &str,
    after: TimestampMs,
) -> Result<Option<TimestampMs>> {
    connection
        .prepare_cached(
            "SELECT min(due_at) FROM outbox WHERE state = 'waiting' AND channel = ?1 AND due_at > ?2 AND attempts = 0",
        )
        .and_then(|mut statement| {
            statement.query_row(params![channel, after.0], |row| row.get::<_, Option<i64>>(0))
        })
        .map(|at| at.map(TimestampMs))
        .map_err(StoreError::doing("look when the next message is due"))
}

/// A message that still waits.
pub(crate) fn waiting_message(connection: &Connection, id: i64) -> Result<Option<OutboxMessage>> {
    connection
        .prepare_cached("SELECT * FROM outbox WHERE id = ?1 AND state = 'waiting'")
        .and_then(|mut statement| statement.query_row([id], message).optional())
        .map_err(StoreError::doing("read a message"))
}

/// The warnings that go out as one message now, in the order of what they tell.
pub(crate) fn digest_messages(
    connection: &Connection,
    channel: &str,
    now: TimestampMs,
) -> Result<Vec<OutboxMessage>> {
    let sql = format!("SELECT * FROM outbox WHERE {IN_VIEW} AND is_digest ORDER BY id");
    all(connection, &sql, params![channel, now.0])
}

/// What a channel still has to be told of an alert from before this message, the oldest first.
pub(crate) fn earlier_messages(
    connection: &Connection,
    channel: &str,
    alert: AlertId,
    before: i64,
) -> Result<Vec<OutboxMessage>> {
    let sql = "SELECT * FROM outbox WHERE state = 'waiting' AND channel = ?1 AND alert_id = ?2 AND id < ?3 ORDER BY id";
    all(connection, sql, params![channel, alert.0 as i64, before])
}

/// Messages in this state, or in any, the newest first.
pub(crate) fn messages(
    connection: &Connection,
    state: Option<MessageState>,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<OutboxMessage>> {
    let sql = "SELECT * FROM outbox WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3";
    let items = all(connection, sql, params![state.map(MessageState::as_str), before, limit as i64 + 1])?;
    Ok(Page::of(items, limit, |message: &OutboxMessage| message.id))
}

fn all(connection: &Connection, sql: &str, values: impl Params) -> Result<Vec<OutboxMessage>> {
    let doing = || StoreError::doing("read the outbox");
    let mut statement = connection.prepare_cached(sql).map_err(doing())?;
    let rows = statement.query_map(values, message).map_err(doing())?;
    rows.collect::<rusqlite::Result<_>>().map_err(doing())
}

/// How many messages wait, and how many were given up.
pub(crate) fn message_counts(connection: &Connection) -> Result<(i64, i64)> {
    let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let doing = || StoreError::doing("count the outbox");
    let waiting = count("SELECT count(*) FROM outbox WHERE state = 'waiting'").map_err(doing())?;
    let dead = count("SELECT count(*) FROM outbox WHERE state = 'dead'").map_err(doing())?;
    Ok((waiting, dead))
}
