//! The broker's packets, as bytes.

use bytes::BytesMut;
use rmqtt_codec::error::EncodeError;
use rmqtt_codec::{types, v3, v5};
use tokio_util::codec::Encoder as _;

use crate::packet::{Ack, Connack, Delivery, Qos, ToClient, Version};
use crate::reason::Reason;

use super::{TooLarge, Wire};

impl Wire {
    /// Writes a packet behind what is in `output`. Reason texts go where the client asks for them, and as long as the packet
    /// stays within what it takes.
    ///
    /// # Errors
    /// The client does not take a packet of that size; nothing was written.
    pub fn write(&self, packet: &ToClient, output: &mut BytesMut) -> Result<(), TooLarge> {
        let begin = output.len();
        let written = match self.version {
            // Nobody knows what is spoken.
            None => return Ok(()),
            Some(Version::V31 | Version::V311) => {
                let Some(packet) = to_v3(packet) else { return Ok(()) };
                v3::Codec::new(0).encode(packet, output)
            }
            Some(Version::V5) => {
                let encoded = self.encode_v5(packet, true, output);
                let is_too_large = output.len() - begin > self.packet_bytes_max;
                if is_too_large && has_text(packet) {
                    output.truncate(begin);
                    self.encode_v5(packet, false, output)
                } else {
                    encoded
                }
            }
        };
        if written.is_err() || output.len() - begin > self.packet_bytes_max {
            output.truncate(begin);
            return Err(TooLarge);
        }
        Ok(())
    }

    fn encode_v5(
        &self,
        packet: &ToClient,
        with_text: bool,
        output: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        // Told in CONNACK and DISCONNECT whether it was asked for or not (3.1.2-29).
        let is_always_told = matches!(packet, ToClient::Connack(_) | ToClient::Disconnect(..));
        let with_text = with_text && (is_always_told || self.wants_problem_information);
        v5::Codec::new(0, 0).encode(to_v5(packet, with_text)?, output)
    }
}

const fn has_text(packet: &ToClient) -> bool {
    match packet {
        ToClient::Connack(own) => own.text.is_some(),
        ToClient::Puback(own) | ToClient::Pubrec(own) | ToClient::Pubrel(own) | ToClient::Pubcomp(own) => {
            own.text.is_some()
        }
        ToClient::Disconnect(_, text) => text.is_some(),
        ToClient::Publish(_) | ToClient::Suback(..) | ToClient::Unsuback(..) | ToClient::Pingresp => false,
    }
}

const fn qos(own: Qos) -> types::QoS {
    match own {
        Qos::AtMostOnce => types::QoS::AtMostOnce,
        Qos::AtLeastOnce => types::QoS::AtLeastOnce,
        Qos::ExactlyOnce => types::QoS::ExactlyOnce,
    }
}

/// `None`: 3.1.1 has no such packet.
fn to_v3(packet: &ToClient) -> Option<v3::Packet> {
    use v3::Packet as P;
    Some(match packet {
        ToClient::Connack(own) => P::ConnectAck(v3::ConnectAck {
            return_code: v3::ConnectAckReason::try_from(own.reason.return_code()).ok()?,
            session_present: own.session_present,
        }),
        ToClient::Publish(delivery) => P::Publish(Box::new(publish(delivery, None))),
        ToClient::Puback(own) => P::PublishAck { packet_id: own.packet_id },
        ToClient::Pubrec(own) => P::PublishReceived { packet_id: own.packet_id },
        ToClient::Pubrel(own) => P::PublishRelease { packet_id: own.packet_id },
        ToClient::Pubcomp(own) => P::PublishComplete { packet_id: own.packet_id },
        ToClient::Suback(packet_id, reasons) => P::SubscribeAck {
            packet_id: *packet_id,
            status: reasons.iter().copied().map(granted_v3).collect(),
        },
        ToClient::Unsuback(packet_id, _) => P::UnsubscribeAck { packet_id: *packet_id },
        ToClient::Pingresp => P::PingResponse,
        ToClient::Disconnect(..) => return None,
    })
}

const fn granted_v3(reason: Reason) -> v3::SubscribeReturnCode {
    match reason {
        Reason::Success => v3::SubscribeReturnCode::Success(types::QoS::AtMostOnce),
        Reason::GrantedQos1 => v3::SubscribeReturnCode::Success(types::QoS::AtLeastOnce),
        Reason::GrantedQos2 => v3::SubscribeReturnCode::Success(types::QoS::ExactlyOnce),
        _ => v3::SubscribeReturnCode::Failure,
    }
}

fn publish(delivery: &Delivery, properties: Option<v5::PublishProperties>) -> types::Publish {
    types::Publish {
        dup: delivery.dup,
        retain: delivery.retain,
        qos: qos(delivery.qos),
        topic: delivery.topic.as_ref().map_or("", |topic| topic.as_str()).into(),
        packet_id: delivery.packet_id,
        payload: delivery.payload.clone(),
        properties,
    }
}

fn properties(delivery: &Delivery) -> v5::PublishProperties {
    let mut properties = v5::PublishProperties {
        topic_alias: delivery.alias,
        message_expiry_interval: delivery.expiry_s,
        subscription_ids: delivery.subscription_ids.clone(),
        ..v5::PublishProperties::default()
    };
    if let Some(own) = delivery.properties.as_deref() {
        properties.is_utf8_payload = own.is_utf8;
        properties.content_type = own.content_type.as_deref().map(Into::into);
        properties.response_topic = own.response_topic.as_deref().map(Into::into);
        properties.correlation_data.clone_from(&own.correlation);
        let pair = |(name, value): &(String, String)| (name.as_str().into(), value.as_str().into());
        properties.user_properties = own.user.iter().map(pair).collect();
    }
    properties
}

fn to_v5(packet: &ToClient, with_text: bool) -> Result<v5::Packet, EncodeError> {
    use v5::Packet as P;
    let text = |text: &Option<String>| text.as_deref().filter(|_| with_text).map(Into::into);
    let first = |own: &Ack| {
        Ok::<_, EncodeError>(v5::PublishAck {
            packet_id: own.packet_id,
            reason_code: code(own.reason)?,
            properties: Vec::new(),
            reason_string: text(&own.text),
        })
    };
    let second = |own: &Ack| {
        Ok::<_, EncodeError>(v5::PublishAck2 {
            packet_id: own.packet_id,
            reason_code: code(own.reason)?,
            properties: Vec::new(),
            reason_string: text(&own.text),
        })
    };
    Ok(match packet {
        ToClient::Connack(own) => {
            P::ConnectAck(Box::new(v5::ConnectAck { reason_string: text(&own.text), ..connack(own)? }))
        }
        ToClient::Publish(delivery) => P::Publish(Box::new(publish(delivery, Some(properties(delivery))))),
        ToClient::Puback(own) => P::PublishAck(first(own)?),
        ToClient::Pubrec(own) => P::PublishReceived(first(own)?),
        ToClient::Pubrel(own) => P::PublishRelease(second(own)?),
        ToClient::Pubcomp(own) => P::PublishComplete(second(own)?),
        ToClient::Suback(packet_id, reasons) => P::SubscribeAck(v5::SubscribeAck {
            packet_id: *packet_id,
            properties: Vec::new(),
            reason_string: None,
            status: reasons.iter().map(|reason| code(*reason)).collect::<Result<_, _>>()?,
        }),
        ToClient::Unsuback(packet_id, reasons) => P::UnsubscribeAck(v5::UnsubscribeAck {
            packet_id: *packet_id,
            properties: Vec::new(),
            reason_string: None,
            status: reasons.iter().map(|reason| code(*reason)).collect::<Result<_, _>>()?,
        }),
        ToClient::Pingresp => P::PingResponse,
        ToClient::Disconnect(reason, said) => P::Disconnect(v5::Disconnect {
            reason_code: code(*reason)?,
            // Never in one of ours (3.14.2-2).
            session_expiry_interval_secs: None,
            server_reference: None,
            reason_string: text(said),
            user_properties: Vec::new(),
        }),
    })
}

/// A reason as one that the packet may carry.
fn code<T: TryFrom<u8>>(reason: Reason) -> Result<T, EncodeError> {
    T::try_from(reason.code()).map_err(|_| EncodeError::MalformedPacket)
}

fn connack(own: &Connack) -> Result<v5::ConnectAck, EncodeError> {
    Ok(v5::ConnectAck {
        session_present: own.session_present,
        reason_code: code(own.reason)?,
        session_expiry_interval_secs: own.session_expiry_s,
        receive_max: own.receive_max,
        max_qos: types::QoS::ExactlyOnce,
        max_packet_size: Some(own.packet_bytes_max),
        assigned_client_id: own.assigned_client_id.as_deref().map(Into::into),
        topic_alias_max: own.topic_alias_max,
        retain_available: true,
        wildcard_subscription_available: true,
        subscription_identifiers_available: true,
        shared_subscription_available: true,
        server_keepalive_sec: own.keep_alive_s,
        response_info: None,
        server_reference: None,
        auth_method: None,
        auth_data: None,
        reason_string: None,
        user_properties: Vec::new(),
    })
}
