//! `zones.toml`.

use sanimon_domain::{ZoneClass, ZoneId};
use sanimon_store::Zone;

use super::reader::{ConfigFault, Document, Section};

pub(crate) fn read(mut document: Document) -> Result<Vec<Zone>, Vec<ConfigFault>> {
    let zones = document.parse(|root| root.tables("zone", zone));
    if document.faults.is_empty() {
        Ok(zones.unwrap_or_default().into_iter().flatten().collect())
    } else {
        Err(document.faults)
    }
}

fn zone(section: &mut Section<'_>) -> Option<Zone> {
    section.text_required("id");
    section.text_required("class");
    let id = section.parsed("id", "letters, digits, '-', '_' or '.'", |text| ZoneId::new(text).ok());
    let names = section.table("name", |name| {
        let en = name.text_required("en").map(|(text, _)| text);
        let zh = name.text_required("zh").map(|(text, _)| text);
        Some((en?, zh?))
    });
    if names.is_none() {
        section.fault(section.line, "`name` is missing: write name = { en = \"...\", zh = \"...\" }");
    }
    let classes = "market, old_residential, dense, street, school, scenic or village";
    let class = section.parsed("class", classes, ZoneClass::parse);
    let mut outline = section.pairs("outline");
    if outline.iter().any(|[lon, lat]| lon.abs() > 180.0 || lat.abs() > 90.0) {
        section.fault(
            section.line,
            "`outline`: a corner is [longitude, latitude], within -180..180 and -90..90",
        );
    }
    if let Some(first) = outline.first().copied()
        && outline.last() != Some(&first)
    {
        outline.push(first);
    }
    let inhabitants = section.integer("inhabitants", 1..=100_000_000).map(|number| number as u32);
    let (name_en, name_zh) = names??;
    Some(Zone { id: id?, name_en, name_zh, class: class?, outline, inhabitants })
}
