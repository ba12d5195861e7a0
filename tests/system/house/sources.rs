//! Sources as the house reads them: without comments and without what only tests see.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::root;

/// A file of a crate's `src`.
pub(super) struct Source {
    /// As in `admit/clock.rs`.
    pub(super) path: String,
    pub(super) text: String,
}

pub(super) fn crates() -> Vec<String> {
    let folders = std::fs::read_dir(root().join("crates")).unwrap();
    let mut names: Vec<_> = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The sources of a crate, without tests.
pub(super) fn of_crate(name: &str) -> Vec<Source> {
    let src = root().join("crates").join(name).join("src");
    let (mut files, mut sources, mut of_tests) = (Vec::new(), Vec::new(), BTreeSet::new());
    collect(&src, &mut files);
    for file in files {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let (text, test_modules) = without_tests(&std::fs::read_to_string(&file).unwrap());
        let folder = module(&path).join("/");
        of_tests.extend(
            test_modules.into_iter().map(|name| format!("{folder}/{name}").trim_matches('/').to_owned()),
        );
        sources.push(Source { path, text });
    }
    sources.retain(|source| {
        let path = module(&source.path);
        (1..=path.len()).all(|length| !of_tests.contains(&path[..length].join("/")))
    });
    assert!(!sources.is_empty(), "{name} has sources");
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The module that a file holds: `[admit, clock]`; empty: the crate's root.
pub(super) fn module(path: &str) -> Vec<&str> {
    let parts = path.trim_end_matches(".rs").split('/');
    let mut parts: Vec<&str> = parts.collect();
    parts.pop_if(|last| matches!(*last, "mod" | "lib" | "main"));
    parts
}

/// A text without comments and items behind `#[cfg(test)]`, and the names of modules that are only for tests.
fn without_tests(text: &str) -> (String, Vec<String>) {
    let (mut kept, mut test_modules) = (String::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push_str(line.split("//").next().unwrap());
            kept.push('\n');
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let Some(first) = lines.find(|line| !line.trim_start().starts_with("#[")) else { break };
        if let Some((_, name)) = first.trim_end().strip_suffix(';').and_then(|item| item.split_once("mod ")) {
            test_modules.push(name.to_owned());
        } else if !first.trim_end().ends_with([';', '}', ',']) {
            lines.find(|line| line.starts_with(&end));
        }
    }
    (kept, test_modules)
}

#[test]
fn what_only_tests_see_is_left_out() {
    let text = "use a; // b\n#[cfg(test)]\nmod tests;\nfn c() {}\n#[cfg(test)]\nmod more {\n    fn d() {}\n}\nfn e() {}\n";
    let (kept, tests) = without_tests(text);
    assert_eq!(kept, "use a; \nfn c() {}\nfn e() {}\n");
    assert_eq!(tests, ["tests"]);
    assert_eq!(module("admit/clock.rs"), ["admit", "clock"]);
    assert_eq!(module("admit/mod.rs"), ["admit"]);
    assert!(module("lib.rs").is_empty());
}
