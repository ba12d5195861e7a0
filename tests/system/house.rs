//! The house's rules that a compiler does not know: who may know whom, what stays outside, and how long a file gets.

mod circles;
mod sources;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn metadata() -> serde_json::Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn crates_know_only_whom_they_may() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("domain", &[][..]),
        ("net", &["domain"]),
        ("broker", &["net", "domain"]),
        ("codec", &["domain"]),
        ("alerting", &["domain"]),
        ("operations", &["domain"]),
        ("store", &["alerting", "operations", "domain"]),
        ("writer", &["codec", "alerting", "operations", "store", "domain"]),
        ("ingest", &["broker", "writer", "codec", "store", "net", "domain"]),
        ("notify", &["store", "domain"]),
        ("api", &["broker", "writer", "alerting", "operations", "store", "net", "domain"]),
        ("planning", &["domain"]),
        ("simulator", &["domain"]),
        ("console", &[]),
    ]);
    let mut seen = 0;
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let Some(name) = package["name"].as_str().unwrap().strip_prefix("sanimon-") else { continue };
        let may_know =
            allowed.get(name).unwrap_or_else(|| panic!("sanimon-{name} is not in the list of arrows"));
        seen += 1;
        for dependency in package["dependencies"].as_array().unwrap() {
            let Some(other) = dependency["name"].as_str().unwrap().strip_prefix("sanimon-") else { continue };
            assert!(may_know.contains(&other), "sanimon-{name} must not know sanimon-{other}");
        }
    }
    assert_eq!(seen, allowed.len());
}

#[test]
fn the_writer_and_what_it_asks_have_no_clock_no_thread_and_no_socket() {
    const OUTSIDE: [&str; 6] =
        ["std::time::Instant", "Instant::now", "SystemTime", "std::thread", "std::net", "tokio"];
    let metadata = metadata();
    for name in ["writer", "operations"] {
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages.iter().find(|package| package["name"] == format!("sanimon-{name}")).unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            assert!(!other.starts_with("tokio"), "sanimon-{name} must not know {other}");
        }
        for source in sources::of_crate(name) {
            let found = OUTSIDE.into_iter().find(|outside| source.text.contains(outside));
            assert_eq!(found, None, "{name}/src/{}: that is the driver's", source.path);
        }
    }
}

#[test]
fn no_source_file_passes_500_lines() {
    let listed = Command::new("git")
        .args(["ls-files", "*.rs", "*.ts", "*.svelte", "*.mjs"])
        .current_dir(root())
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert!(listed.lines().count() > 50, "git lists the sources");
    for file in listed.lines().filter(|file| !file.ends_with("schema.d.ts")) {
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        assert!(
            text.lines().count() <= 500,
            "{file} has {} lines: does it have one subject?",
            text.lines().count()
        );
    }
}

#[test]
fn every_crate_forbids_unsafe_code_in_its_own_words() {
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let source = entry.unwrap().path().join("src");
        let file = ["lib.rs", "main.rs"].map(|name| source.join(name)).into_iter().find(|file| file.exists());
        let text = std::fs::read_to_string(file.unwrap()).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{}", source.display());
    }
}
