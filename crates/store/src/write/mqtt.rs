//! What the embedded broker keeps: a change is one statement, and what is about an unknown row does nothing.

use rusqlite::params;
use sanimon_domain::SessionKey;

use crate::error::Result;
use crate::model::{
    MqttPart, Owed, ReceivedBy, Retain, RetainedRow, SessionChange, SessionRow, StoredMessage,
    SubscriptionRow, WillRow,
};
use crate::sqlite::Tx;

const OUTGOING: &str = "write what an MQTT session must get";
const INCOMING: &str = "write the packet ids of an MQTT session";
const RETAINED: &str = "write a retained message";

impl Tx<'_> {
    /// Makes a change of what the broker keeps.
    pub fn put_session_change(&self, change: &SessionChange) -> Result<()> {
        match change {
            SessionChange::Put(row) => self.put_mqtt_session(row),
            SessionChange::Remove(key) => self.one(
                "remove an MQTT session",
                "DELETE FROM mqtt_session WHERE owner = ?1 AND client_id = ?2",
                params![&*key.owner, &*key.client_id],
            ),
            SessionChange::Subscribe(key, row) => self.put_subscription(key, row),
            SessionChange::Unsubscribe(key, filter) => self.one(
                "remove an MQTT subscription",
                "DELETE FROM mqtt_subscription WHERE filter = ?3 AND session_id =
                   (SELECT id FROM mqtt_session WHERE owner = ?1 AND client_id = ?2)",
                params![&*key.owner, &*key.client_id, &**filter],
            ),
            SessionChange::Owe(row) => self.put_owed(&row.message, std::slice::from_ref(&row.owed)),
            SessionChange::Sent { key, order, packet_id } => self.one(
                OUTGOING,
                "UPDATE mqtt_outgoing SET packet_id = ?4 WHERE order_no = ?3 AND session_id =
                   (SELECT id FROM mqtt_session WHERE owner = ?1 AND client_id = ?2)",
                params![&*key.owner, &*key.client_id, *order as i64, packet_id],
            ),
            SessionChange::Releasing { key, order } => self.one(
                OUTGOING,
                "UPDATE mqtt_outgoing SET is_released = 1 WHERE order_no = ?3 AND session_id =
                   (SELECT id FROM mqtt_session WHERE owner = ?1 AND client_id = ?2)",
                params![&*key.owner, &*key.client_id, *order as i64],
            ),
            SessionChange::Done { key, order } => self.one(
                OUTGOING,
                "DELETE FROM mqtt_outgoing WHERE order_no = ?3 AND session_id =
                   (SELECT id FROM mqtt_session WHERE owner = ?1 AND client_id = ?2)",
                params![&*key.owner, &*key.client_id, *order as i64],
            ),
            SessionChange::Released(key, packet_id) => self.one(
                INCOMING,
                "DELETE FROM mqtt_incoming WHERE packet_id = ?3 AND session_id =
                   (SELECT id FROM mqtt_session WHERE owner = ?1 AND client_id = ?2)",
                params![&*key.owner, &*key.client_id, packet_id],
            ),
            SessionChange::Retain(row) => {
                let RetainedRow { message, qos, owner, credential } = &**row;
                let retain = Retain { qos: *qos, owner: owner.clone(), credential: *credential };
                self.put_retained(message, &retain)
            }
            SessionChange::ForgetRetained(topic) => self.forget_retained(topic),
        }
    }

    /// What a publish brings besides its readings.
    pub fn put_mqtt_part(&self, message: &StoredMessage, part: &MqttPart) -> Result<()> {
        let MqttPart { properties: _, expires_at: _, owed_to, received_by, retained } = part;
        if !owed_to.is_empty() {
            self.put_owed(message, owed_to)?;
        }
        if let Some(ReceivedBy { key, incarnation, packet_id }) = received_by {
            self.one(
                INCOMING,
                "INSERT INTO mqtt_incoming (session_id, packet_id)
                 SELECT id, ?4 FROM mqtt_session WHERE owner = ?1 AND client_id = ?2 AND incarnation = ?3
                 ON CONFLICT (session_id, packet_id) DO NOTHING",
                params![&*key.owner, &*key.client_id, incarnation, packet_id],
            )?;
        }
        retained.as_ref().map_or(Ok(()), |retain| self.put_retained(message, retain))
    }

    /// What came with a credential that is revoked now goes: its sessions with all that hangs on them, what it had kept.
    pub fn remove_mqtt_of_credential(&self, id: i64) -> Result<()> {
        const DOING: &str = "remove the MQTT sessions of a credential";
        self.one(DOING, "DELETE FROM mqtt_session WHERE credential = ?1", [id])?;
        self.one(DOING, "DELETE FROM mqtt_retained WHERE credential = ?1", [id])
    }

    /// A credential that is revoked may still be named by what was on its way meanwhile: that is left out.
    fn put_mqtt_session(&self, row: &SessionRow) -> Result<()> {
        let SessionRow { key, credential, incarnation, version, expiry_s, away_since, will } = row;
        let will = will.as_deref();
        let message = will.map(|will| &will.message);
        // What an earlier session of this key had is not this one's.
        self.one(
            "remove an earlier MQTT session",
            "DELETE FROM mqtt_session WHERE owner = ?1 AND client_id = ?2 AND incarnation <> ?3",
            params![&*key.owner, &*key.client_id, incarnation],
        )?;
        self.one(
            "write an MQTT session",
            "INSERT INTO mqtt_session (owner, client_id, credential, version, expiry_s, away_since, will_topic,
               will_payload, will_properties, will_received_at, will_expires_at, will_qos, will_retain, will_delay_s,
               will_due_at, incarnation)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16
             WHERE ?3 IS NULL OR EXISTS (SELECT 1 FROM device_credential WHERE id = ?3)
             ON CONFLICT (owner, client_id) DO UPDATE SET credential = ?3, version = ?4, expiry_s = ?5, away_since = ?6,
               will_topic = ?7, will_payload = ?8, will_properties = ?9, will_received_at = ?10, will_expires_at = ?11,
               will_qos = ?12, will_retain = ?13, will_delay_s = ?14, will_due_at = ?15, incarnation = ?16",
            params![
                &*key.owner,
                &*key.client_id,
                credential,
                version,
                expiry_s,
                away_since.map(|at| at.0),
                message.map(|message| &*message.topic),
                message.map(|message| &*message.payload),
                message.and_then(|message| message.properties.as_deref()),
                message.map(|message| message.received_at.0),
                message.and_then(|message| message.expires_at).map(|at| at.0),
                will.map(|will| will.qos),
                will.map(|will| will.retain),
                will.map(|will| will.delay_s),
                will.and_then(|WillRow { due_at, .. }| *due_at).map(|at| at.0),
                incarnation,
            ],
        )
    }

    fn put_subscription(&self, key: &SessionKey, row: &SubscriptionRow) -> Result<()> {
        let SubscriptionRow { filter, qos, no_local, retain_as_published, id } = row;
        self.one(
            "write an MQTT subscription",
            "INSERT INTO mqtt_subscription (session_id, filter, qos, no_local, retain_as_published, subscription_id)
             SELECT id, ?3, ?4, ?5, ?6, ?7 FROM mqtt_session WHERE owner = ?1 AND client_id = ?2
             ON CONFLICT (session_id, filter) DO UPDATE SET qos = ?4, no_local = ?5, retain_as_published = ?6,
               subscription_id = ?7",
            params![&*key.owner, &*key.client_id, &**filter, qos, no_local, retain_as_published, id],
        )
    }

    /// The message once, for all sessions that are still there; without any of them not at all.
    fn put_owed(&self, message: &StoredMessage, owed_to: &[Owed]) -> Result<()> {
        let StoredMessage { topic, payload, properties, received_at, expires_at } = message;
        self.one(
            OUTGOING,
            "INSERT INTO mqtt_message (topic, payload, properties, received_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                &**topic,
                &**payload,
                properties.as_deref(),
                received_at.0,
                expires_at.map(|at| at.0)
            ],
        )?;
        let message_id = self.last_id();
        let mut owed = 0;
        for Owed { key, order, qos, retain, subscription_ids } in owed_to {
            let ids: Vec<u8> = subscription_ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            owed += self.run(
                OUTGOING,
                "INSERT INTO mqtt_outgoing (session_id, order_no, message_id, qos, retain, subscription_ids, is_released)
                 SELECT id, ?3, ?4, ?5, ?6, ?7, 0 FROM mqtt_session WHERE owner = ?1 AND client_id = ?2",
                params![
                    &*key.owner,
                    &*key.client_id,
                    *order as i64,
                    message_id,
                    qos,
                    retain,
                    (!ids.is_empty()).then_some(ids)
                ],
            )?;
        }
        if owed == 0 {
            self.one(OUTGOING, "DELETE FROM mqtt_message WHERE id = ?1", [message_id])?;
        }
        Ok(())
    }

    /// As for a session: a credential that is revoked keeps nothing.
    fn put_retained(&self, message: &StoredMessage, retain: &Retain) -> Result<()> {
        let StoredMessage { topic, payload, properties, received_at, expires_at } = message;
        if payload.is_empty() {
            return self.forget_retained(topic);
        }
        self.one(
            RETAINED,
            "INSERT INTO mqtt_retained (topic, qos, owner, credential, received_at, expires_at, properties, payload)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
             WHERE ?4 IS NULL OR EXISTS (SELECT 1 FROM device_credential WHERE id = ?4)
             ON CONFLICT (topic) DO UPDATE SET qos = ?2, owner = ?3, credential = ?4, received_at = ?5, expires_at = ?6,
               properties = ?7, payload = ?8",
            params![
                &**topic,
                retain.qos,
                &*retain.owner,
                retain.credential,
                received_at.0,
                expires_at.map(|at| at.0),
                properties.as_deref(),
                &**payload
            ],
        )
    }

    fn forget_retained(&self, topic: &str) -> Result<()> {
        self.one(RETAINED, "DELETE FROM mqtt_retained WHERE topic = ?1", [topic])
    }

    /// A statement of which it does not matter whether it found its row.
    fn one(&self, doing: &'static str, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        self.run(doing, sql, values).map(|_| ())
    }
}
