//! A client's packets, decoded, in types of ours.

use std::num::NonZeroU16;

use bytes::BytesMut;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::{types, v3, v5};
use tokio_util::codec::Decoder as _;

use crate::packet::{
    Ack, Connect, Disconnect, FromClient, Properties, Publish, Qos, RetainHandling, Subscribe,
    SubscriptionOptions, Unsubscribe, Version, Will,
};
use crate::reason::Reason;

use super::Fault;

/// Decodes a whole packet that is no CONNECT.
pub(super) fn decode(version: Version, frame: BytesMut) -> Result<FromClient, Fault> {
    match version {
        Version::V31 | Version::V311 => from_v3(decode_v3(frame)?),
        Version::V5 => from_v5(decode_v5(frame)?),
    }
}

pub(super) fn decode_connect(version: Version, frame: BytesMut) -> Result<Connect, Fault> {
    match version {
        Version::V31 | Version::V311 => match decode_v3(frame)? {
            v3::Packet::Connect(connect) => Ok(connect_v3(version, *connect)),
            _ => Err(Fault::SILENT),
        },
        Version::V5 => match decode_v5(frame)? {
            v5::Packet::Connect(connect) => Ok(connect_v5(*connect)),
            _ => Err(Fault::SILENT),
        },
    }
}

fn decode_v3(mut frame: BytesMut) -> Result<v3::Packet, Fault> {
    match v3::Codec::new(0).decode(&mut frame) {
        Ok(Some((packet, _))) => Ok(packet),
        Ok(None) => Err(Fault::MALFORMED),
        Err(error) => Err(fault(&error)),
    }
}

fn decode_v5(mut frame: BytesMut) -> Result<v5::Packet, Fault> {
    match v5::Codec::new(0, 0).decode(&mut frame) {
        Ok(Some((packet, _))) => Ok(packet),
        Ok(None) => Err(Fault::MALFORMED),
        Err(error) => Err(fault(&error)),
    }
}

/// The codec has one word for several faults; those that differ were found in the bytes before.
fn fault(error: &DecodeError) -> Fault {
    match error {
        // No filter at all, or an empty one (3.1.1, 3.8.3-3).
        DecodeError::InvalidTopicFilter => Fault::PROTOCOL,
        _ => Fault::MALFORMED,
    }
}

fn from_v3(packet: v3::Packet) -> Result<FromClient, Fault> {
    use v3::Packet as P;
    let ack = |packet_id| Ack::new(packet_id, Reason::Success);
    Ok(match packet {
        P::Publish(publish) => FromClient::Publish(from_publish(*publish)),
        P::PublishAck { packet_id } => FromClient::Puback(ack(packet_id)),
        P::PublishReceived { packet_id } => FromClient::Pubrec(ack(packet_id)),
        P::PublishRelease { packet_id } => FromClient::Pubrel(ack(packet_id)),
        P::PublishComplete { packet_id } => FromClient::Pubcomp(ack(packet_id)),
        P::Subscribe { packet_id, topic_filters } => {
            let options = |qos| SubscriptionOptions {
                qos: from_qos(qos),
                no_local: false,
                retain_as_published: false,
                retained: RetainHandling::Send,
            };
            let filters = topic_filters.iter().map(|(filter, qos)| (filter.to_string(), options(*qos)));
            FromClient::Subscribe(Subscribe {
                packet_id,
                id: None,
                filters: checked(filters, |(text, _)| text)?,
            })
        }
        P::Unsubscribe { packet_id, topic_filters } => {
            let filters = topic_filters.iter().map(ToString::to_string);
            FromClient::Unsubscribe(Unsubscribe { packet_id, filters: checked(filters, |text| text)? })
        }
        P::PingRequest => FromClient::Pingreq,
        P::Disconnect => {
            FromClient::Disconnect(Disconnect { reason: Reason::Success, session_expiry_s: None })
        }
        P::Connect(_)
        | P::ConnectAck(_)
        | P::SubscribeAck { .. }
        | P::UnsubscribeAck { .. }
        | P::PingResponse => {
            return Err(Fault::PROTOCOL);
        }
    })
}

fn from_v5(packet: v5::Packet) -> Result<FromClient, Fault> {
    use v5::Packet as P;
    Ok(match packet {
        P::Publish(publish) => FromClient::Publish(from_publish(*publish)),
        P::PublishAck(own) => FromClient::Puback(ack(own.packet_id, own.reason_code as u8)?),
        P::PublishReceived(own) => FromClient::Pubrec(ack(own.packet_id, own.reason_code as u8)?),
        P::PublishRelease(own) => FromClient::Pubrel(ack(own.packet_id, own.reason_code as u8)?),
        P::PublishComplete(own) => FromClient::Pubcomp(ack(own.packet_id, own.reason_code as u8)?),
        P::Subscribe(subscribe) => {
            let filters = subscribe
                .topic_filters
                .iter()
                .map(|(filter, options)| (filter.to_string(), from_options(*options)));
            FromClient::Subscribe(Subscribe {
                packet_id: subscribe.packet_id,
                id: subscribe.id,
                filters: checked(filters, |(text, _)| text)?,
            })
        }
        P::Unsubscribe(unsubscribe) => {
            let filters = unsubscribe.topic_filters.iter().map(ToString::to_string);
            let filters = checked(filters, |text| text)?;
            FromClient::Unsubscribe(Unsubscribe { packet_id: unsubscribe.packet_id, filters })
        }
        P::PingRequest => FromClient::Pingreq,
        P::Disconnect(disconnect) => {
            let reason = Reason::of_code(disconnect.reason_code as u8).ok_or(Fault::PROTOCOL)?;
            if !reason.is_of_clients_disconnect() {
                return Err(Fault::PROTOCOL);
            }
            let session_expiry_s = disconnect.session_expiry_interval_secs;
            FromClient::Disconnect(Disconnect { reason, session_expiry_s })
        }
        P::Auth(_) => FromClient::Auth,
        P::Connect(_) | P::ConnectAck(_) | P::SubscribeAck(_) | P::UnsubscribeAck(_) | P::PingResponse => {
            return Err(Fault::PROTOCOL);
        }
    })
}

/// Filters without U+0000 (1.5.4-2).
fn checked<T>(filters: impl Iterator<Item = T>, text: impl Fn(&T) -> &String) -> Result<Vec<T>, Fault> {
    filters
        .map(|filter| if text(&filter).contains('\0') { Err(Fault::MALFORMED) } else { Ok(filter) })
        .collect()
}

fn ack(packet_id: NonZeroU16, code: u8) -> Result<Ack, Fault> {
    Ok(Ack::new(packet_id, Reason::of_code(code).ok_or(Fault::PROTOCOL)?))
}

const fn from_qos(qos: types::QoS) -> Qos {
    match qos {
        types::QoS::AtMostOnce => Qos::AtMostOnce,
        types::QoS::AtLeastOnce => Qos::AtLeastOnce,
        types::QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}

const fn from_options(options: v5::SubscriptionOptions) -> SubscriptionOptions {
    SubscriptionOptions {
        qos: from_qos(options.qos),
        no_local: options.no_local,
        retain_as_published: options.retain_as_published,
        retained: match options.retain_handling {
            v5::RetainHandling::AtSubscribe => RetainHandling::Send,
            v5::RetainHandling::AtSubscribeNew => RetainHandling::SendIfNew,
            v5::RetainHandling::NoAtSubscribe => RetainHandling::DoNotSend,
        },
    }
}

fn from_publish(publish: types::Publish) -> Publish {
    let types::Publish { dup, retain, qos, topic, packet_id, payload, properties } = publish;
    let (alias, properties) = properties.map_or((None, None), |own| (own.topic_alias, from_properties(own)));
    Publish {
        topic: (&*topic).into(),
        alias,
        qos: from_qos(qos),
        packet_id,
        dup,
        retain,
        payload,
        properties,
    }
}

/// `None`: it says nothing, as nearly all messages of sensors.
fn from_properties(own: v5::PublishProperties) -> Option<Box<Properties>> {
    let properties = Properties {
        is_utf8: own.is_utf8_payload,
        expiry_s: own.message_expiry_interval,
        content_type: own.content_type.map(|text| text.to_string()),
        response_topic: own.response_topic.map(|text| text.to_string()),
        correlation: own.correlation_data,
        user: from_user(&own.user_properties),
    };
    (properties != Properties::default()).then(|| Box::new(properties))
}

fn from_user(own: &v5::UserProperties) -> Vec<(String, String)> {
    own.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn connect_v3(version: Version, connect: v3::Connect) -> Connect {
    let will = |own: v3::LastWill| Will {
        topic: (&*own.topic).into(),
        qos: from_qos(own.qos),
        retain: own.retain,
        payload: own.message,
        properties: None,
        delay_s: 0,
    };
    Connect {
        version,
        is_bridge: false,
        client_id: connect.client_id.to_string(),
        clean_start: connect.clean_session,
        keep_alive_s: connect.keep_alive,
        username: connect.username.map(|name| name.to_string()),
        password: connect.password,
        will: connect.last_will.map(|own| Box::new(will(own))),
        session_expiry_s: 0,
        receive_max: NonZeroU16::MAX,
        packet_bytes_max: None,
        topic_alias_max: 0,
        wants_problem_information: false,
        names_authentication_method: false,
    }
}

fn connect_v5(connect: v5::Connect) -> Connect {
    let will = |own: v5::LastWill| Will {
        topic: (&*own.topic).into(),
        qos: from_qos(own.qos),
        retain: own.retain,
        payload: own.message,
        delay_s: own.will_delay_interval_sec.unwrap_or(0),
        properties: from_properties(v5::PublishProperties {
            correlation_data: own.correlation_data,
            message_expiry_interval: own.message_expiry_interval,
            content_type: own.content_type,
            user_properties: own.user_properties,
            is_utf8_payload: own.is_utf8_payload.unwrap_or(false),
            response_topic: own.response_topic,
            ..v5::PublishProperties::default()
        }),
    };
    Connect {
        version: Version::V5,
        is_bridge: false,
        client_id: connect.client_id.to_string(),
        clean_start: connect.clean_start,
        keep_alive_s: connect.keep_alive,
        username: connect.username.map(|name| name.to_string()),
        password: connect.password,
        will: connect.last_will.map(|own| Box::new(will(own))),
        session_expiry_s: connect.session_expiry_interval_secs,
        receive_max: connect.receive_max.unwrap_or(NonZeroU16::MAX),
        packet_bytes_max: connect.max_packet_size,
        topic_alias_max: connect.topic_alias_max,
        wants_problem_information: connect.request_problem_info,
        names_authentication_method: connect.auth_method.is_some(),
    }
}
