//! `[[mqtt.format]]` and `[[codec]]`: what messages on other topics mean, and devices that no table knows.

use chrono_tz::Tz;
use sanimon_codec::script::{Host, SOURCE_BYTES_MAX, Script};
use sanimon_codec::{Binding, Format, Formats, Mapping, TopicPattern, device};
use sanimon_domain::{DeviceKind, SiteCalendar};

use super::reader::Section;

const KINDS: &str = "bin, drain or toilet";
const METRIC: &str = "a metric such as \"fill_pct\", another unit of it such as \"distance_cm\", or with a factor: \"flow_m3h * 0.001\"";

/// A format on its topics, with the line of its model for a check when all codecs are known.
#[derive(Debug)]
pub(super) struct BoundFormat {
    pub(super) binding: Binding,
    pub(super) line: usize,
}

fn all_texts(section: &mut Section<'_>) -> Vec<(String, String, usize)> {
    section.all_texts()
}

fn mapping(section: &mut Section<'_>) -> Vec<Mapping> {
    let pairs = section.table("map", all_texts).unwrap_or_default();
    let mut mappings = Vec::new();
    for (from, to, line) in pairs {
        match Mapping::parse(&from, &to) {
            Some(mapping) => mappings.push(mapping),
            None => section.fault(line, format!("`{from}` is mapped to `{to}`: write {METRIC}")),
        }
    }
    mappings
}

pub(super) fn format(section: &mut Section<'_>) -> Option<BoundFormat> {
    let words: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
    section.text_required("format");
    let format = section.parsed("format", &format!("one of {}", words.join(", ")), Format::parse);
    let topics = section.all_parsed(
        "topics",
        "an MQTT topic filter, in which one level may be {device}",
        TopicPattern::new,
    );
    let kind = section.parsed("kind", KINDS, DeviceKind::parse);
    let model = section.text("model").map(|(text, _)| text.into());
    let device_field = section.text("device_field").map(|(text, _)| text.into());
    let time_field = section.text("time_field").map(|(text, _)| text.into());
    let map = mapping(section);
    let format = format?;
    let usual = Binding::usual(format);
    let topics = if topics.is_empty() { usual.topics } else { topics };
    if topics.is_empty() {
        let text = format!(
            "`topics` is missing: `{}` has no usual ones; name the device's level {{device}}",
            format.as_str()
        );
        section.fault(section.line, text);
    }
    if format.needs_device_in_topic() && !topics.iter().all(TopicPattern::names_device) {
        let text = format!(
            "`topics`: a message of `{}` does not say whose it is: put {{device}} in the place of the level that does",
            format.as_str()
        );
        section.fault(section.line, text);
    }
    let binding = Binding { topics, format, model, kind, map, device_field, time_field };
    Some(BoundFormat { binding, line: section.line })
}

/// A codec, read and tried.
fn codec(section: &mut Section<'_>) -> Option<Script> {
    let model = section.text_required("model");
    section.text_required("file");
    let source = section.file_whole("file", SOURCE_BYTES_MAX);
    let kind = section.parsed("kind", KINDS, DeviceKind::parse);
    let map = mapping(section);
    let ((model, line), source) = (model?, source?);
    if model.is_empty() || model.len() > 64 || model.chars().any(|c| c.is_control() || c.is_whitespace()) {
        section.fault(line, "`model` is a word of at most 64 characters");
    }
    let script = Script { model: model.into(), source, map, kind };
    if let Err(fault) = Host::new(script.clone()) {
        section.fault(section.line, fault.message);
        return None;
    }
    Some(script)
}

/// The codecs, and the formats with them.
pub(super) fn read(
    root: &mut Section<'_>,
    bound: Vec<Option<BoundFormat>>,
    time_zone: Tz,
) -> (Formats, Vec<Script>) {
    let scripts: Vec<Script> = root.tables("codec", codec).into_iter().flatten().collect();
    let bound: Vec<BoundFormat> = bound.into_iter().flatten().collect();
    check_models(root, &bound, &scripts);
    let bindings = bound.into_iter().map(|format| format.binding).collect();
    (Formats::new(bindings, SiteCalendar::new(time_zone)), scripts)
}

/// Models that formats name must be known.
fn check_models(root: &mut Section<'_>, formats: &[BoundFormat], scripts: &[Script]) {
    for BoundFormat { binding, line } in formats {
        let Some(model) = binding.model.as_deref() else { continue };
        let is_codec = scripts.iter().any(|script| script.model.eq_ignore_ascii_case(model));
        if !is_codec && device::model(model).is_none() {
            root.fault(
                *line,
                format!("`model` is `{model}`, which nobody decodes: `sanimon decode --list` shows all, [[codec]] adds one"),
            );
        }
    }
    for (index, script) in scripts.iter().enumerate() {
        if scripts[..index].iter().any(|earlier| earlier.model.eq_ignore_ascii_case(&script.model)) {
            root.fault(root.line, format!("two codecs are for the model `{}`", script.model));
        }
    }
}
