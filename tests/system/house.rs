//! The house's rules that a compiler does not know: who may know whom, and how long a file gets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn crates_know_only_whom_they_may() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("domain", &[][..]),
        ("codec", &["domain"]),
        ("alerting", &["domain"]),
        ("operations", &["domain"]),
        ("store", &["alerting", "operations", "domain"]),
        ("ingest", &["codec", "alerting", "operations", "store", "domain"]),
        ("notify", &["store", "domain"]),
        ("api", &["alerting", "operations", "store", "domain"]),
        ("planning", &["domain"]),
        ("simulator", &["domain"]),
        ("console", &[]),
    ]);
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut seen = 0;
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
