//! Platforms whose messages are JSON with values under the device's own names.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sanimon_domain::{Fault, FaultCode};
use serde_json::Value;

use super::values::Values;
use super::{Context, text, wrong_shape};
use crate::budget::{Budget, LimitCounts, joined};
use crate::decoded::Decoded;
use crate::report::{RawFrame, Sender};
use crate::sample::{SampleTime, Samples};
use crate::topic::shown;

/// ThingsBoard: `{k: v}`, `{ts, values}` or a list of them; a gateway's message has such lists by device.
pub(super) fn thingsboard(context: Context<'_>, body: &Value) -> Decoded {
    let is_gateway = context.message.topic.contains("gateway")
        || matches!(body, Value::Object(fields) if !fields.is_empty() && fields.values().all(Value::is_array));
    let (fields, devices) = if is_gateway { (0, context.left_out) } else { (context.left_out, 0) };
    let met = LimitCounts { fields, devices, ..LimitCounts::default() };
    let mut all = Decoded::default();
    all.add_budget(Budget { met, ..Budget::default() });
    if is_gateway {
        let Some(devices) = body.as_object() else {
            return wrong_shape("a gateway's message is an object of devices");
        };
        for (name, samples) in devices {
            let mut values = Values::new(context.binding);
            thingsboard_values(context, &mut values, samples);
            all.add(Sender::named(name), values.samples);
        }
        return all;
    }
    let Some(name) = context.device.or(context.message.client_id) else {
        return wrong_shape("the message does not say which device speaks: bind its topic with `{device}`");
    };
    let mut values = Values::new(context.binding);
    thingsboard_values(context, &mut values, body);
    all.add(Sender::named(name), values.samples);
    all
}

fn thingsboard_values(context: Context<'_>, values: &mut Values<'_>, body: &Value) {
    match body {
        Value::Array(items) => {
            for item in items {
                // Lists of lists are one list.
                if item.is_array() || values.samples.next_sample() {
                    thingsboard_values(context, values, item);
                }
            }
        }
        Value::Object(fields) if fields.contains_key("values") => {
            let at = values.samples.time("ts", context.time(&body["ts"]));
            values.put_all("", &body["values"], at);
        }
        plain => values.put_all("", plain, SampleTime::Missing),
    }
}

/// Huawei IoTDA: `{"services":[{"service_id", "properties":{..}, "event_time"}]}`, a gateway's with `devices` around it.
pub(super) fn huawei(context: Context<'_>, body: &Value) -> Decoded {
    let mut all = Decoded::default();
    match (body["devices"].as_array(), context.device) {
        (Some(devices), _) => {
            for device in devices {
                if let Some(name) = text(device, "device_id")
                    && all.has_room_for_device()
                {
                    huawei_services(context, name, device, &mut all);
                }
            }
        }
        (None, Some(name)) => huawei_services(context, name, body, &mut all),
        (None, None) => return wrong_shape("the topic does not say which device speaks"),
    }
    all
}

fn huawei_services(context: Context<'_>, name: &str, body: &Value, all: &mut Decoded) {
    let Some(services) = body["services"].as_array() else {
        let message = "a property report of Huawei IoTDA has a list of services";
        return all.add_fault(Fault::new(FaultCode::WrongShape, message));
    };
    let mut values = Values::new(context.binding);
    for service in services {
        let Some(properties) = service["properties"].as_object() else { continue };
        if !values.samples.next_sample() {
            continue;
        }
        let at = values.samples.time("event_time", context.time(&service["event_time"]));
        let id = text(service, "service_id").unwrap_or_default();
        for (property, value) in properties {
            // `Temperature` with one `value` is a temperature; with more, names tell them apart.
            let name = if property == "value" { id } else { property };
            let full = joined(id, property);
            let is_mapped = values.binding.map.iter().any(|mapping| *mapping.from == *full);
            values.put_all(if is_mapped { &full } else { name }, value, at);
        }
    }
    all.add(Sender::named(name), values.samples);
}

/// Alink (Aliyun, OneNET and relatives): `{"params":{"name":{"value","time"}}}`, or bare values.
pub(super) fn alink(context: Context<'_>, body: &Value) -> Decoded {
    let (Some(name), Some(params)) = (context.device, body["params"].as_object()) else {
        return wrong_shape("a property post has `params`, and its topic names the device");
    };
    let mut values = Values::new(context.binding);
    for (property, value) in params {
        let (inner, time) = match value.get("value") {
            Some(inner) => (inner, &value["time"]),
            None => (value, &body["time"]),
        };
        let at = values.samples.time("time", context.time(time));
        values.put_all(property, inner, at);
    }
    Decoded::of(Sender::named(name), values.samples)
}

/// China Telecom's CTWing: values, values of a profile, or a device's frame in Base64.
pub(super) fn ctwing(context: Context<'_>, body: &Value) -> Decoded {
    let payload = &body["payload"];
    let data = &payload["serviceData"];
    let imei = text(body, "IMEI").or(text(data, "IMEI"));
    let Some(name) = imei.or(text(body, "deviceId")) else {
        return wrong_shape("a message of CTWing has IMEI or deviceId");
    };
    let mut values = Values::new(context.binding);
    let at = values.samples.time("timestamp", context.time(&body["timestamp"]));
    if let Some(frame) = text(payload, "APPdata") {
        return match BASE64_STANDARD.decode(frame) {
            Ok(bytes) => {
                values.samples.frame(RawFrame { port: 0, bytes, at, uplink: None });
                Decoded::of(Sender::named(name), values.samples)
            }
            Err(error) => Decoded::fault(FaultCode::WrongType, format!("`APPdata` is not Base64: {error}")),
        };
    }
    let fields = if data.is_object() { data } else { payload };
    // The profile's names of the network's own numbers are no measures.
    for (key, value) in fields.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "IMEI" | "IMSI" | "Cell_ID" | "Cell_ID_Length") {
            values.put_all(key, value, at);
        }
    }
    Decoded::of(Sender::named(name), values.samples)
}

/// A value by its path: `Message.IMEI`.
fn at_path<'a>(body: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(body, |inner, key| &inner[key])
}

/// Any object. Lists of `{name, value, timestamp}` (Sparkplug's form in JSON) are values by name.
pub(super) fn any_json(context: Context<'_>, body: &Value) -> Decoded {
    let by_field = context.binding.device_field.as_deref().map(|path| match at_path(body, path) {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    });
    let by_field = by_field.filter(|name| !name.is_empty());
    let by_topic = context.device.map(str::to_owned);
    let Some(name) = by_field.or(by_topic).or(context.message.client_id.map(str::to_owned)) else {
        return wrong_shape(
            "the message does not say which device speaks: write `device_field` or `{device}`",
        );
    };
    let mut values = Values::new(context.binding);
    let at = match context.binding.time_field.as_deref() {
        None => SampleTime::Missing,
        Some(path) => own_time(context, path, body, &mut values.samples),
    };
    match body["metrics"].as_array() {
        Some(metrics) => {
            for metric in metrics {
                let name = text(metric, "name").unwrap_or_default();
                if values.samples.next_record(name) {
                    let own = values.samples.time("timestamp", context.time(&metric["timestamp"]));
                    values.put_all(name, &metric["value"], own.or(at));
                }
            }
        }
        None => values.put_all("", body, at),
    }
    Decoded::of(Sender::named(&name), values.samples)
}

/// The time where the site says that it is; that it is not there is a fault, too.
fn own_time(context: Context<'_>, path: &str, body: &Value, samples: &mut Samples) -> SampleTime {
    let at = context.time(at_path(body, path));
    if at == SampleTime::Missing {
        let message = format!("the message has no `{}`; the time of receipt is used", shown(path));
        samples.fault(FaultCode::BadTime, message);
    }
    samples.time(path, at)
}
