//! Changes of a TOML text that leave everything else as it is written, comments included.

use sanimon_api::Edit;
use serde_json::{Map, Value as Json};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

/// The text after the edits.
pub(super) fn edited(text: &str, edits: &[Edit]) -> Result<String, String> {
    if edits.is_empty() {
        return Ok(text.to_owned());
    }
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error| format!("the text is no TOML, so nothing can be changed in it: {error}"))?;
    edits.iter().try_for_each(|edit| apply(&mut document, edit))?;
    Ok(document.to_string())
}

fn apply(document: &mut DocumentMut, edit: &Edit) -> Result<(), String> {
    let key = edit.table.as_str();
    if let Some(entries) = &edit.entries {
        let tables: ArrayOfTables = entries.iter().map(table).collect();
        document.remove(key);
        if !tables.is_empty() {
            document.insert(key, Item::ArrayOfTables(tables));
        }
        return Ok(());
    }
    let Some(id) = &edit.id else {
        document.remove(key);
        if let Some(entry) = &edit.entry {
            document.insert(key, Item::Table(table(entry)));
        }
        return Ok(());
    };
    let tables = document.entry(key).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let tables = tables
        .as_array_of_tables_mut()
        .ok_or_else(|| format!("`{key}` is no list of [[{key}]] in this text"))?;
    let mut orphaned = String::new();
    let place = tables.iter().position(|table| table.get("id").and_then(Item::as_str) == Some(id));
    match (place, &edit.entry) {
        (Some(place), Some(entry)) => {
            let old = tables.get(place).map(|old| (old.decor().clone(), old.position()));
            let mut new = table(entry);
            if let Some((decor, position)) = old {
                *new.decor_mut() = decor;
                new.set_position(position);
            }
            if let Some(known) = tables.get_mut(place) {
                *known = new;
            }
        }
        (Some(place), None) => {
            let prefix =
                tables.get(place).and_then(|gone| gone.decor().prefix()?.as_str().map(str::to_owned));
            tables.remove(place);
            orphaned = prefix.map(|prefix| heading(&prefix, place == 0)).unwrap_or_default();
            if let Some(next) = tables.get_mut(place) {
                let own = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                let joined = format!("{}{own}", std::mem::take(&mut orphaned));
                next.decor_mut().set_prefix(joined);
            }
        }
        (None, Some(entry)) => tables.push(table(entry)),
        (None, None) => return Err(format!("there is no [[{key}]] with the id `{id}`")),
    }
    if tables.is_empty() {
        document.remove(key);
    }
    if !orphaned.is_empty() {
        let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing(format!("{orphaned}{trailing}"));
    }
    Ok(())
}

/// What of the comments before an entry is not about it alone: all of it before the first entry, and what a blank line parts from it.
fn heading(prefix: &str, is_first: bool) -> String {
    if is_first {
        return prefix.to_owned();
    }
    prefix.rfind("\n\n").map(|end| prefix[..=end].to_owned()).unwrap_or_default()
}

/// Keys that say what an entry is come first.
const FIRST: [&str; 5] = ["id", "severity", "title", "name", "team"];

/// Null stands for nothing.
fn table(entry: &Map<String, Json>) -> Table {
    let mut table = Table::new();
    let mut keys: Vec<&String> = entry.keys().collect();
    keys.sort_by_key(|key| FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()));
    for key in keys {
        let value = &entry[key];
        match value {
            Json::Null => {}
            Json::Array(items) if !items.is_empty() && items.iter().all(Json::is_object) => {
                let inner = items.iter().filter_map(Json::as_object).map(self::table).collect();
                table.insert(key, Item::ArrayOfTables(inner));
            }
            other => {
                if let Some(value) = scalar(other) {
                    table.insert(key, Item::Value(value));
                }
            }
        }
    }
    table
}

fn scalar(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(said) => Value::from(*said),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None => Value::from(number.as_f64()?),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().filter_map(scalar).collect::<Array>()),
        Json::Object(entry) => {
            let pairs = entry.iter().filter_map(|(key, value)| Some((key.as_str(), scalar(value)?)));
            Value::InlineTable(pairs.collect::<InlineTable>())
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "# The rules\n\n# Bins\n[[rule]]\nid = \"a\"\nkind = \"bin\" # P\n[[rule.level]]\nraise = \">= 75\"\n\n\
                        # Drains\n[[rule]]\nid = \"b\"\nkind = \"drain\"\n\n[goals]\nx = \"1\"\n";

    fn edit(value: Json) -> Edit {
        serde_json::from_value(value).expect("an edit")
    }

    #[test]
    fn a_changed_entry_keeps_its_place_and_the_comments_around_it() {
        let entry = json!({ "table": "rule", "id": "a", "entry": {
            "id": "a", "title": { "en": "A" }, "kind": "bin", "zones": ["m"], "gap": null,
            "level": [{ "raise": ">= 80" }, { "raise": ">= 90" }] } });
        let text = edited(TEXT, &[edit(entry)]).expect("edited");
        let expected = "# The rules\n\n# Bins\n[[rule]]\nid = \"a\"\ntitle = { en = \"A\" }\nkind = \"bin\"\nzones = [\"m\"]\n\n\
                        [[rule.level]]\nraise = \">= 80\"\n\n[[rule.level]]\nraise = \">= 90\"\n\n\
                        # Drains\n[[rule]]\nid = \"b\"\nkind = \"drain\"\n\n[goals]\nx = \"1\"\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn entries_come_and_go() {
        let added = edited(TEXT, &[edit(json!({ "table": "rule", "id": "c", "entry": { "id": "c" } }))]);
        assert!(added.expect("edited").contains("[[rule]]\nid = \"c\"\n"));
        let removed = edited(TEXT, &[edit(json!({ "table": "rule", "id": "a" }))]).expect("edited");
        assert!(!removed.contains("id = \"a\"") && removed.starts_with("# The rules\n\n"), "{removed}");
        assert!(removed.contains("# Drains\n[[rule]]\nid = \"b\""), "{removed}");
        assert!(edited(TEXT, &[edit(json!({ "table": "rule", "id": "z" }))]).is_err());
        let goals = json!({ "table": "goals", "entry": { "y": "2" } });
        assert!(edited(TEXT, &[edit(goals)]).expect("edited").ends_with("[goals]\ny = \"2\"\n"));
        let all = json!({ "table": "responsible", "entries": [{ "team": "t" }, { "team": "u" }] });
        assert_eq!(edited("", &[edit(all)]).expect("edited").matches("[[responsible]]").count(), 2);
    }

    #[test]
    fn a_text_that_is_no_toml_is_refused_and_no_edit_changes_nothing() {
        assert!(edited("[[rule", &[edit(json!({ "table": "rule", "id": "a" }))]).is_err());
        assert_eq!(edited("[[rule", &[]).as_deref(), Ok("[[rule"));
    }
}
