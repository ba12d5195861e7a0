//! `[map]`: what lies under the town.

use std::path::PathBuf;

use sanimon_api::{MapBackground, MapSource};

use super::reader::Section;

/// Tiles from elsewhere, or an extract of a map that sanimon serves itself: one of the two.
pub(super) fn read(map: &mut Section<'_>) -> Option<MapSource> {
    let tiles = map.parsed("tiles_url", "a URL such as https://host/{z}/{x}/{y}.png", |text| {
        let sound = text.starts_with("https://") || text.starts_with("http://");
        (sound && ["{z}", "{x}", "{y}"].iter().all(|part| text.contains(part))).then(|| text.to_owned())
    });
    let extract = map.text("pmtiles").map(|(name, line)| (map.beside(&name), line));
    let attribution = map.text("attribution").map_or_else(String::new, |(text, _)| text);
    if let Some((path, line)) = &extract
        && let Err(why) = is_extract(path)
    {
        map.fault(*line, format!("`map.pmtiles`: {} {why}", path.display()));
        return None;
    }
    let background = match (tiles, extract) {
        (Some(_), Some((_, line))) => {
            map.fault(
                line,
                "a map has `tiles_url` or `pmtiles`, not both: the second one works without the internet",
            );
            return None;
        }
        (Some(url), None) => MapBackground::Tiles(url),
        (None, Some((path, _))) => MapBackground::Extract(path),
        (None, None) => return None,
    };
    Some(MapSource { background, attribution })
}

/// PMTiles of version 3 begin with their name and the number.
fn is_extract(path: &PathBuf) -> Result<(), String> {
    use std::io::Read;
    let mut head = [0; 8];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if &head == b"PMTiles\x03" { Ok(()) } else { Err("is no PMTiles archive of version 3".to_owned()) }
}
