//! No circles of `use` between the modules of a crate: whoever reads one from below never has to begin above.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{self, Source};

/// Crates that still have circles: later issues mend them. None is added; one that has none any more is taken from here.
const STILL_WITH_CIRCLES: [&str; 7] = ["alerting", "api", "codec", "notify", "sanimon", "simulator", "store"];

/// Who uses whom, by the names of a crate's top modules.
type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_of_a_crate_use_each_other_without_circles() {
    let mut wrong = Vec::new();
    for name in sources::crates() {
        let arrows = arrows(&sources::of_crate(&name));
        let circles = on_circles(&arrows);
        match (circles.is_empty(), STILL_WITH_CIRCLES.contains(&name.as_str())) {
            (false, false) => wrong.push(format!("{name} has circles: {}", described(&circles, &arrows))),
            (true, true) => wrong.push(format!("{name} has no circles any more: take it from the list")),
            (true, false) | (false, true) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_circle_is_seen_however_it_is_written() {
    let circles = |files: &[(&str, &str)]| {
        let source =
            |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
        let sources: Vec<Source> = files.iter().map(source).collect();
        on_circles(&arrows(&sources)).into_iter().collect::<Vec<_>>()
    };
    let root = ("lib.rs", "mod a;\nmod b;\nmod c;\npub use b::{Bee, inner::Wasp};");
    assert!(
        circles(&[root, ("a.rs", "use crate::b::Bee;"), ("b.rs", ""), ("c.rs", "use crate::a;")]).is_empty()
    );
    let back = ("b.rs", "use crate::a::A;");
    assert_eq!(circles(&[root, ("a.rs", "use crate::b::Bee;"), back]), ["a", "b"]);
    assert_eq!(circles(&[root, ("a.rs", "use super::b::Bee;"), back]), ["a", "b"]);
    assert_eq!(circles(&[root, ("a/mod.rs", ""), ("a/x.rs", "use super::super::b;"), back]), ["a", "b"]);
    assert_eq!(circles(&[root, ("a.rs", "use crate::{c::{X, Y}, Wasp};"), back]), ["a", "b"]);
    assert_eq!(circles(&[root, ("a.rs", "fn f() -> crate::b::Bee {}"), back]), ["a", "b"]);
    let three = [root, ("a.rs", "use crate::b;"), ("b.rs", "use crate::c;"), ("c.rs", "use crate::a;")];
    assert_eq!(circles(&three), ["a", "b", "c"]);
    // A module's own parts may know each other.
    assert!(
        circles(&[root, ("a/mod.rs", "use x::X;"), ("a/x.rs", "use super::y; use crate::a::z;")]).is_empty()
    );
}

fn arrows(sources: &[Source]) -> Arrows {
    let modules: BTreeSet<&str> =
        sources.iter().filter_map(|source| sources::module(&source.path).first().copied()).collect();
    let is_root = |source: &&Source| sources::module(&source.path).is_empty();
    let at_root: String = sources.iter().filter(is_root).map(|source| source.text.as_str()).collect();
    let shown = shown_at_root(&at_root, &modules);
    let mut arrows = Arrows::new();
    for source in sources {
        let path = sources::module(&source.path);
        let Some(from) = path.first() else { continue };
        for name in names_of_root(&source.text, path.len()) {
            let to = modules.get(name).copied().or_else(|| shown.get(name).copied());
            if let Some(to) = to.filter(|to| to != from) {
                arrows.entry((*from).to_owned()).or_default().insert(to.to_owned());
            }
        }
    }
    arrows
}

/// Names that the crate's root shows for its modules: `pub use b::Bee`.
fn shown_at_root<'a>(text: &'a str, modules: &BTreeSet<&'a str>) -> BTreeMap<&'a str, &'a str> {
    let mut shown = BTreeMap::new();
    for statement in text.split(';').filter_map(|statement| Some(statement.rsplit_once("use ")?.1)) {
        let mut names = statement.split(|c: char| !is_of_name(c)).filter(|name| !name.is_empty());
        let of = names.by_ref().find(|name| !matches!(*name, "crate" | "self"));
        if let Some(module) = of.and_then(|name| modules.get(name)) {
            shown.extend(names.map(|name| (name, *module)));
        }
    }
    shown
}

/// What a file takes from its crate's root: the names behind `crate::`, and behind as many `super::` as it is deep.
fn names_of_root(text: &str, depth: usize) -> Vec<&str> {
    let mut names = Vec::new();
    for way in ["crate::".to_owned(), "super::".repeat(depth)] {
        for (place, _) in text.match_indices(&way) {
            let is_whole = !text[..place].ends_with(|c: char| is_of_name(c) || c == ':');
            if is_whole {
                names.extend(first_names(&text[place + way.len()..]));
            }
        }
    }
    names
}

/// `a::b` gives `a`; `{a::{b, c}, d}` gives `a` and `d`.
fn first_names(text: &str) -> Vec<&str> {
    let name = |text: &'_ str| text.find(|c: char| !is_of_name(c)).unwrap_or(text.len());
    let Some(group) = text.strip_prefix('{') else { return vec![&text[..name(text)]] };
    let (mut names, mut depth, mut is_begin) = (Vec::new(), 1, true);
    for (place, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' => is_begin = depth == 1,
            c if is_begin && is_of_name(c) => {
                names.push(&group[place..place + name(&group[place..])]);
                is_begin = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Modules from which a way leads back to themselves.
fn on_circles(arrows: &Arrows) -> BTreeSet<String> {
    arrows.keys().filter(|module| reached(module, arrows).contains(module.as_str())).cloned().collect()
}

fn reached<'a>(from: &'a str, arrows: &'a Arrows) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        let next = arrows.get(module).into_iter().flatten().map(String::as_str);
        open.extend(next.filter(|next| seen.insert(*next)));
    }
    seen
}

fn described(circles: &BTreeSet<String>, arrows: &Arrows) -> String {
    let uses = circles.iter().map(|module| {
        let others = arrows[module].iter().filter(|other| circles.contains(*other));
        format!("{module} uses {}", others.cloned().collect::<Vec<_>>().join(", "))
    });
    uses.collect::<Vec<_>>().join("; ")
}
