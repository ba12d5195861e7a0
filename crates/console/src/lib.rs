//! The web console, built from `dashboards/console` and embedded.
//!
//! [`page`] is the one page of the console (or, when it was built without Node.js, one that says how to get it);
//! [`file`] is everything that the page loads. It knows no HTTP and no API.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use rust_embed::RustEmbed;

/// The bundler's output; empty when there was no Node.js.
#[derive(Debug, RustEmbed)]
#[folder = "$SANIMON_CONSOLE_DIST"]
#[allow_missing = true]
struct Files;

/// A file of the console.
#[derive(Debug)]
pub struct File {
    pub bytes: Cow<'static, [u8]>,
    pub mime: &'static str,
}

/// A file by its path without the leading slash.
pub fn file(path: &str) -> Option<File> {
    let bytes = Files::get(path)?.data;
    Some(File { bytes, mime: mime(path) })
}

/// The page.
pub fn page() -> Cow<'static, [u8]> {
    file("index.html").map_or(Cow::Borrowed(MISSING.as_bytes()), |file| file.bytes)
}

/// Whether the console was built in.
pub fn is_built() -> bool {
    Files::get("index.html").is_some()
}

fn mime(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

const MISSING: &str = include_str!("missing.html");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_always_there() {
        let page = page();
        let text = String::from_utf8_lossy(&page);
        assert!(text.contains("<html"), "{text}");
        assert_eq!(is_built(), !text.contains("was built without"));
    }

    #[test]
    fn paths_do_not_lead_out_of_the_console() {
        for path in ["../Cargo.toml", "/etc/passwd", "assets/../../x", ""] {
            assert!(file(path).is_none(), "{path}");
        }
    }
}
