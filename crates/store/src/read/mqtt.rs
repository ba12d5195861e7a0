//! What the embedded broker begins with.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, Row};
use sanimon_domain::SessionKey;

use super::rows::{optional_time, time};
use crate::error::{Result, StoreError};
use crate::model::{
    OutgoingRow, Owed, RetainedRow, SessionRow, StoredMessage, StoredSessions, SubscriptionRow, WillRow,
};

/// All of it, of one moment. A row that cannot be understood is told and left out: it stops no other.
pub(crate) fn stored_sessions(
    connection: &Connection,
    fault: &mut dyn FnMut(String),
) -> Result<StoredSessions> {
    let doing = || StoreError::doing("read MQTT sessions");
    let snapshot = connection.unchecked_transaction().map_err(doing())?;
    let mut rows = Rows { connection: &snapshot, fault };
    let numbered: Vec<(i64, SessionRow)> =
        rows.each("SELECT * FROM mqtt_session ORDER BY id", |row| Ok((row.get("id")?, session(row)?)))?;
    let keys: HashMap<i64, SessionKey> = numbered.iter().map(|(id, row)| (*id, row.key.clone())).collect();
    let messages: HashMap<i64, Arc<StoredMessage>> = rows
        .each("SELECT * FROM mqtt_message", |row| Ok((row.get("id")?, Arc::new(message(row)?))))?
        .into_iter()
        .collect();
    // What hangs on a row that was told is left out with it.
    let key = |row: &Row<'_>| -> rusqlite::Result<Option<SessionKey>> {
        Ok(keys.get(&row.get("session_id")?).cloned())
    };
    let subscriptions = rows.each("SELECT * FROM mqtt_subscription ORDER BY session_id, filter", |row| {
        Ok(key(row)?.zip(Some(subscription(row)?)))
    })?;
    let outgoing = rows.each("SELECT * FROM mqtt_outgoing ORDER BY session_id, order_no", |row| {
        let message = messages.get(&row.get("message_id")?).cloned();
        key(row)?.zip(message).map(|(key, message)| outgoing(row, key, message)).transpose()
    })?;
    let incoming = rows.each("SELECT * FROM mqtt_incoming ORDER BY session_id, packet_id", |row| {
        Ok(key(row)?.zip(Some(row.get("packet_id")?)))
    })?;
    let retained = rows.each("SELECT * FROM mqtt_retained ORDER BY topic", retained)?;
    let last_order: i64 = snapshot
        .query_row("SELECT coalesce(max(order_no), 0) FROM mqtt_outgoing", [], |row| row.get(0))
        .map_err(doing())?;
    Ok(StoredSessions {
        sessions: numbered.into_iter().map(|(_, row)| row).collect(),
        subscriptions: subscriptions.into_iter().flatten().collect(),
        outgoing: outgoing.into_iter().flatten().collect(),
        incoming: incoming.into_iter().flatten().collect(),
        retained,
        last_order: last_order as u64,
    })
}

struct Rows<'a> {
    connection: &'a Connection,
    fault: &'a mut dyn FnMut(String),
}

impl Rows<'_> {
    fn each<T>(&mut self, sql: &str, read: impl Fn(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
        let doing = || StoreError::doing("read MQTT sessions");
        let mut statement = self.connection.prepare(sql).map_err(doing())?;
        let mut rows = statement.query([]).map_err(doing())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(doing())? {
            match read(row) {
                Ok(read) => found.push(read),
                Err(error) => (self.fault)(format!("a row of MQTT sessions ({sql}): {error}")),
            }
        }
        Ok(found)
    }
}

fn text(row: &Row<'_>, column: &str) -> rusqlite::Result<Arc<str>> {
    row.get::<_, String>(column).map(Into::into)
}

fn bytes(row: &Row<'_>, column: &str) -> rusqlite::Result<Bytes> {
    row.get::<_, Vec<u8>>(column).map(Into::into)
}

fn optional_bytes(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Bytes>> {
    Ok(row.get::<_, Option<Vec<u8>>>(column)?.map(Into::into))
}

fn session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let has_will = row.get::<_, Option<String>>("will_topic")?.is_some();
    Ok(SessionRow {
        key: SessionKey { owner: text(row, "owner")?, client_id: text(row, "client_id")? },
        credential: row.get("credential")?,
        incarnation: row.get("incarnation")?,
        version: row.get("version")?,
        expiry_s: row.get("expiry_s")?,
        away_since: optional_time(row, "away_since")?,
        will: if has_will { Some(Box::new(will(row)?)) } else { None },
    })
}

fn will(row: &Row<'_>) -> rusqlite::Result<WillRow> {
    Ok(WillRow {
        message: StoredMessage {
            topic: text(row, "will_topic")?,
            payload: bytes(row, "will_payload")?,
            properties: optional_bytes(row, "will_properties")?,
            received_at: time(row, "will_received_at")?,
            expires_at: optional_time(row, "will_expires_at")?,
        },
        qos: row.get("will_qos")?,
        retain: row.get("will_retain")?,
        delay_s: row.get("will_delay_s")?,
        due_at: optional_time(row, "will_due_at")?,
    })
}

fn subscription(row: &Row<'_>) -> rusqlite::Result<SubscriptionRow> {
    Ok(SubscriptionRow {
        filter: text(row, "filter")?,
        qos: row.get("qos")?,
        no_local: row.get("no_local")?,
        retain_as_published: row.get("retain_as_published")?,
        id: row.get("subscription_id")?,
    })
}

fn message(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    Ok(StoredMessage {
        topic: text(row, "topic")?,
        payload: bytes(row, "payload")?,
        properties: optional_bytes(row, "properties")?,
        received_at: time(row, "received_at")?,
        expires_at: optional_time(row, "expires_at")?,
    })
}

fn outgoing(row: &Row<'_>, key: SessionKey, message: Arc<StoredMessage>) -> rusqlite::Result<OutgoingRow> {
    let ids = row.get::<_, Option<Vec<u8>>>("subscription_ids")?.unwrap_or_default();
    let (ids, []) = ids.as_chunks() else {
        let detail = "subscription ids of an odd length".into();
        return Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, detail));
    };
    Ok(OutgoingRow {
        owed: Owed {
            key,
            order: row.get::<_, i64>("order_no")? as u64,
            qos: row.get("qos")?,
            retain: row.get("retain")?,
            subscription_ids: ids.iter().map(|id| u32::from_le_bytes(*id)).collect(),
        },
        packet_id: row.get("packet_id")?,
        is_released: row.get("is_released")?,
        message,
    })
}

fn retained(row: &Row<'_>) -> rusqlite::Result<RetainedRow> {
    Ok(RetainedRow {
        message: message(row)?,
        qos: row.get("qos")?,
        owner: text(row, "owner")?,
        credential: row.get("credential")?,
    })
}
