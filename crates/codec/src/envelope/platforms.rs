//! Platforms whose messages are JSON with values under the device's own names.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sanimon_domain::{Fault, FaultCode, TimestampMs};
use serde_json::Value;

use super::values::Values;
use super::{Context, text, wrong_shape};
use crate::heard::{Decoded, Heard, RawFrame, Speaker};

/// A device with the values that were collected for it.
fn with_values(name: &str, values: Values<'_>) -> Decoded {
    match Speaker::named(name) {
        Err(fault) => Decoded { heard: Vec::new(), faults: vec![fault] },
        Ok(speaker) => {
            let mut heard = Heard::new(speaker);
            let mut faults = Vec::new();
            heard.add_samples(values.samples, &mut faults);
            Decoded { heard: vec![heard], faults }
        }
    }
}

fn unix(value: &Value) -> Option<TimestampMs> {
    value.as_f64().and_then(TimestampMs::from_unix_by_magnitude)
}

/// A time as any platform writes it.
fn any_time(value: &Value) -> Option<TimestampMs> {
    let of_text = |text: &str| {
        TimestampMs::parse_rfc3339(text)
            .or_else(|| TimestampMs::parse_basic_utc(text))
            .or_else(|| text.trim().parse::<f64>().ok().and_then(TimestampMs::from_unix_by_magnitude))
    };
    unix(value).or_else(|| value.as_str().and_then(of_text))
}

/// ThingsBoard: `{k: v}`, `{ts, values}` or a list of them; a gateway's message has such lists by device.
pub(super) fn thingsboard(context: Context<'_>, body: &Value) -> Decoded {
    let is_gateway = context.message.topic.contains("gateway")
        || matches!(body, Value::Object(fields) if !fields.is_empty() && fields.values().all(Value::is_array));
    if is_gateway {
        let Some(devices) = body.as_object() else {
            return wrong_shape("a gateway's message is an object of devices");
        };
        let mut all = Decoded::default();
        for (name, samples) in devices {
            let mut values = Values::new(context.binding);
            thingsboard_values(&mut values, samples);
            let one = with_values(name, values);
            all.heard.extend(one.heard);
            all.faults.extend(one.faults);
        }
        return all;
    }
    let Some(name) = context.device.or(context.message.client_id) else {
        return wrong_shape("the message does not say which device speaks: bind its topic with `{device}`");
    };
    let mut values = Values::new(context.binding);
    thingsboard_values(&mut values, body);
    with_values(name, values)
}

fn thingsboard_values(values: &mut Values<'_>, body: &Value) {
    match body {
        Value::Array(items) => items.iter().for_each(|item| thingsboard_values(values, item)),
        Value::Object(fields) if fields.contains_key("values") => {
            values.put_all("", &body["values"], unix(&body["ts"]));
        }
        plain => values.put_all("", plain, None),
    }
}

/// Huawei IoTDA: `{"services":[{"service_id", "properties":{..}, "event_time"}]}`, a gateway's with `devices` around it.
pub(super) fn huawei(context: Context<'_>, body: &Value) -> Decoded {
    if let Some(devices) = body["devices"].as_array() {
        let mut all = Decoded::default();
        for device in devices {
            let Some(name) = text(device, "device_id") else { continue };
            let one = huawei_services(context, name, device);
            all.heard.extend(one.heard);
            all.faults.extend(one.faults);
        }
        return all;
    }
    match context.device {
        Some(name) => huawei_services(context, name, body),
        None => wrong_shape("the topic does not say which device speaks"),
    }
}

fn huawei_services(context: Context<'_>, name: &str, body: &Value) -> Decoded {
    let Some(services) = body["services"].as_array() else {
        return wrong_shape("a property report of Huawei IoTDA has a list of services");
    };
    let mut values = Values::new(context.binding);
    for service in services {
        let at = any_time(&service["event_time"]);
        let id = text(service, "service_id").unwrap_or_default();
        let Some(properties) = service["properties"].as_object() else { continue };
        for (property, value) in properties {
            // `Temperature` with one `value` is a temperature; with more, names tell them apart.
            let is_named_by_service = property == "value";
            let name = if is_named_by_service { id.to_owned() } else { property.clone() };
            let full = format!("{id}_{property}");
            let is_mapped = values.binding.map.iter().any(|mapping| *mapping.from == *full);
            values.put_all(if is_mapped { &full } else { &name }, value, at);
        }
    }
    with_values(name, values)
}

/// Alink (Aliyun, OneNET and relatives): `{"params":{"name":{"value","time"}}}`, or bare values.
pub(super) fn alink(context: Context<'_>, body: &Value) -> Decoded {
    let (Some(name), Some(params)) = (context.device, body["params"].as_object()) else {
        return wrong_shape("a property post has `params`, and its topic names the device");
    };
    let mut values = Values::new(context.binding);
    for (property, value) in params {
        match value.get("value") {
            Some(inner) => values.put_all(property, inner, any_time(&value["time"])),
            None => values.put_all(property, value, any_time(&body["time"])),
        }
    }
    with_values(name, values)
}

/// China Telecom's CTWing: values, values of a profile, or a device's frame in Base64.
pub(super) fn ctwing(context: Context<'_>, body: &Value) -> Decoded {
    let payload = &body["payload"];
    let data = &payload["serviceData"];
    let imei = text(body, "IMEI").or(text(data, "IMEI"));
    let Some(name) = imei.or(text(body, "deviceId")) else {
        return wrong_shape("a message of CTWing has IMEI or deviceId");
    };
    let at = unix(&body["timestamp"]);
    if let Some(frame) = text(payload, "APPdata") {
        let bytes = match BASE64_STANDARD.decode(frame) {
            Ok(bytes) => bytes,
            Err(error) => {
                return Decoded::fault(FaultCode::WrongType, format!("`APPdata` is not Base64: {error}"));
            }
        };
        return match Speaker::named(name) {
            Ok(speaker) => {
                let frame = Some(Box::new(RawFrame { port: 0, bytes, at, uplink: None }));
                Decoded { heard: vec![Heard { frame, ..Heard::new(speaker) }], faults: Vec::new() }
            }
            Err(fault) => Decoded { heard: Vec::new(), faults: vec![fault] },
        };
    }
    let mut values = Values::new(context.binding);
    let fields = if data.is_object() { data } else { payload };
    // The profile's names of the network's own numbers are no measures.
    for (key, value) in fields.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "IMEI" | "IMSI" | "Cell_ID" | "Cell_ID_Length") {
            values.put_all(key, value, at);
        }
    }
    with_values(name, values)
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
    let at = context.binding.time_field.as_deref().and_then(|path| any_time(at_path(body, path)));
    if let Some(path) = context.binding.time_field.as_deref()
        && at.is_none()
    {
        let message = format!("`{path}` is no time; the time of receipt is used");
        let mut decoded = json_values(context, &name, body, None);
        decoded.faults.push(Fault::new(FaultCode::BadTime, message));
        return decoded;
    }
    json_values(context, &name, body, at)
}

fn json_values(context: Context<'_>, name: &str, body: &Value, at: Option<TimestampMs>) -> Decoded {
    let mut values = Values::new(context.binding);
    match body["metrics"].as_array() {
        Some(metrics) => {
            for metric in metrics {
                let at = any_time(&metric["timestamp"]).or(at);
                values.put_all(text(metric, "name").unwrap_or_default(), &metric["value"], at);
            }
        }
        None => values.put_all("", body, at),
    }
    with_values(name, values)
}
