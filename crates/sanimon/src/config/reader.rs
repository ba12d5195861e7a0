//! Reading TOML so that every fault is named with its line, not only the first.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// One fault of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigFault {
    pub(crate) file: PathBuf,
    /// From 1; 0 when the fault is of the file as a whole.
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, message } = self;
        match line {
            0 => write!(f, "{}: {message}", file.display()),
            line => write!(f, "{}:{line}: {message}", file.display()),
        }
    }
}

/// A file's text and the faults found in it so far.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
    pub(crate) faults: Vec<ConfigFault>,
}

impl Document {
    pub(crate) fn read(file: &Path) -> Self {
        let mut document = Self { file: file.to_owned(), text: String::new(), faults: Vec::new() };
        match std::fs::read_to_string(file) {
            Ok(text) => document.text = text,
            Err(error) => document.fault(0, format!("cannot be read: {error}")),
        }
        document
    }

    pub(crate) fn of(file: &str, text: &str) -> Self {
        Self { file: file.into(), text: text.to_owned(), faults: Vec::new() }
    }

    /// The whole text, as it was read.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn fault(&mut self, line: usize, message: String) {
        self.faults.push(ConfigFault { file: self.file.clone(), line, message });
    }

    /// Parses the text and hands the root to `read`; afterwards `self.faults` holds everything that is wrong.
    pub(crate) fn parse<T>(&mut self, read: impl FnOnce(&mut Section<'_>) -> T) -> Option<T> {
        let text = std::mem::take(&mut self.text);
        let (root, errors) = DeTable::parse_recoverable(&text);
        for error in &errors {
            let line = error.span().map_or(0, |span| line_of(&text, span.start));
            self.fault(line, error.message().lines().next().unwrap_or("not valid TOML").to_owned());
        }
        let mut value = None;
        if errors.is_empty() && self.faults.is_empty() {
            let mut faults = Vec::new();
            let mut section = Section {
                folder: self.file.parent().unwrap_or(Path::new("")),
                text: &text,
                path: String::new(),
                line: 1,
                table: root.get_ref(),
                used: Vec::new(),
                faults: &mut faults,
            };
            value = Some(read(&mut section));
            section.finish();
            faults.sort();
            for (line, message) in faults {
                self.fault(line, message);
            }
        }
        self.text = text;
        value
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

/// A table being read: what is asked for is used up; what is left at the end is unknown, and said so.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    /// Where the file is.
    folder: &'a Path,
    text: &'a str,
    /// `http.` for the keys of `[http]`.
    path: String,
    pub(crate) line: usize,
    table: &'a DeTable<'a>,
    used: Vec<String>,
    faults: &'a mut Vec<(usize, String)>,
}

impl<'a> Section<'a> {
    pub(crate) fn fault(&mut self, line: usize, message: impl Into<String>) {
        self.faults.push((line, message.into()));
    }

    fn line(&self, span: &Range<usize>) -> usize {
        line_of(self.text, span.start)
    }

    fn take(&mut self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.used.push(key.to_owned());
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// The environment's word for a single value, if it has one.
    fn environment_value(&self, key: &str) -> Option<String> {
        let name: String = format!("SANIMON_{}{key}", self.path)
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        std::env::var(name).ok()
    }

    fn wrong_type(&mut self, key: &str, expected: &str, value: &Spanned<DeValue<'a>>) {
        let line = self.line(&value.span());
        let message =
            format!("`{}{key}` must be {expected}, not a {}", self.path, value.get_ref().type_str());
        self.fault(line, message);
    }

    /// A text with its line; the environment's value counts as line 0.
    pub(crate) fn text(&mut self, key: &str) -> Option<(String, usize)> {
        let value = self.take(key);
        if let Some(text) = self.environment_value(key) {
            return Some((text, 0));
        }
        let value = value?;
        match value.get_ref().as_str() {
            Some(text) => Some((text.to_owned(), self.line(&value.span()))),
            None => {
                self.wrong_type(key, "a text in quotes", value);
                None
            }
        }
    }

    pub(crate) fn text_required(&mut self, key: &str) -> Option<(String, usize)> {
        let known = self.table.iter().any(|(name, _)| name.get_ref() == key);
        let text = self.text(key);
        if text.is_none() && !known {
            let (line, message) = (self.line, format!("`{}{key}` is missing", self.path));
            self.fault(line, message);
        }
        text
    }

    /// A file that a text names, relative to the configuration's folder.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The first line of the file that a text names, relative to the configuration's folder.
    pub(crate) fn file_text(&mut self, key: &str) -> Option<String> {
        let (name, line) = self.text(key)?;
        let path = self.folder.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Some(text.lines().next().unwrap_or_default().trim().to_owned()),
            Err(error) => {
                let message = format!("`{}{key}`: {} cannot be read: {error}", self.path, path.display());
                self.fault(line, message);
                None
            }
        }
    }

    /// The whole file that a text names, of at most so many bytes, relative to the configuration's folder.
    pub(crate) fn file_whole(&mut self, key: &str, bytes_max: usize) -> Option<String> {
        let (name, line) = self.text(key)?;
        let path = self.folder.join(name);
        let why = match std::fs::read(&path) {
            Ok(bytes) if bytes.len() > bytes_max => format!("is longer than {bytes_max} bytes"),
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => return Some(text),
                Err(_) => "is not written in UTF-8".to_owned(),
            },
            Err(error) => format!("cannot be read: {error}"),
        };
        let message = format!("`{}{key}`: {} {why}", self.path, path.display());
        self.fault(line, message);
        None
    }

    /// Every key of this table with its text and line.
    pub(crate) fn all_texts(&mut self) -> Vec<(String, String, usize)> {
        let keys: Vec<String> = self.table.iter().map(|(key, _)| key.get_ref().to_string()).collect();
        let texts = keys.into_iter().filter_map(|key| {
            let (text, line) = self.text(&key)?;
            Some((key, text, line))
        });
        texts.collect()
    }

    /// A text that `parse` understands; `expected` says what it must look like.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (text, line) = self.text(key)?;
        let value = parse(&text);
        if value.is_none() {
            let message = format!("`{}{key}` is `{text}`: write {expected}", self.path);
            self.fault(line, message);
        }
        value
    }

    /// `true` or `false`; in the environment also `yes` and `no`.
    pub(crate) fn boolean(&mut self, key: &str) -> Option<bool> {
        const EXPECTED: &str = "true or false";
        let value = self.take(key);
        let (found, line) = match self.environment_value(key) {
            Some(text) => (text_as_boolean(&text), 0),
            None => {
                let value = value?;
                let line = self.line(&value.span());
                let found = match value.get_ref() {
                    DeValue::Boolean(found) => Some(*found),
                    other => other.as_str().and_then(text_as_boolean),
                };
                (found, line)
            }
        };
        if found.is_none() {
            self.fault(line, format!("`{}{key}` must be {EXPECTED}", self.path));
        }
        found
    }

    /// A whole number in a range.
    pub(crate) fn integer(&mut self, key: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let value = self.take(key);
        let (number, line) = match self.environment_value(key) {
            Some(text) => (text.parse::<i64>().ok(), 0),
            None => {
                let value = value?;
                let line = self.line(&value.span());
                let Some(integer) = value.get_ref().as_integer() else {
                    self.wrong_type(key, "a whole number", value);
                    return None;
                };
                (i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok(), line)
            }
        };
        let inside = number.filter(|number| range.contains(number));
        if inside.is_none() {
            let message =
                format!("`{}{key}` must be between {} and {}", self.path, range.start(), range.end());
            self.fault(line, message);
        }
        inside
    }

    /// A list of texts, each with its line.
    pub(crate) fn texts(&mut self, key: &str) -> Vec<(String, usize)> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, "a list of texts", value);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for element in array {
            match element.get_ref().as_str() {
                Some(text) => texts.push((text.to_owned(), self.line(&element.span()))),
                None => self.wrong_type(key, "a list of texts", element),
            }
        }
        texts
    }

    /// A list of texts, each understood by `parse`.
    pub(crate) fn all_parsed<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for (text, line) in self.texts(key) {
            match parse(&text) {
                Some(value) => values.push(value),
                None => {
                    let message = format!("`{text}` in `{}{key}`: write {expected}", self.path);
                    self.fault(line, message);
                }
            }
        }
        values
    }

    /// Corners as `[number, number]`.
    pub(crate) fn pairs(&mut self, key: &str) -> Vec<[f64; 2]> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let number = |value: &DeValue<'_>| match value {
            DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
            DeValue::Integer(integer) => integer.as_str().replace('_', "").parse().ok(),
            _ => None,
        };
        let pair = |value: &DeArray<'_>| match value.iter().collect::<Vec<_>>()[..] {
            [x, y] => Some([number(x.get_ref())?, number(y.get_ref())?]),
            _ => None,
        };
        let corners = value.get_ref().as_array().and_then(|corners| {
            corners
                .iter()
                .map(|corner| corner.get_ref().as_array().and_then(pair))
                .collect::<Option<Vec<[f64; 2]>>>()
        });
        corners.unwrap_or_else(|| {
            self.wrong_type(key, "a list of [longitude, latitude] pairs", value);
            Vec::new()
        })
    }

    /// A table inside this one, if it is there.
    pub(crate) fn table<T>(&mut self, key: &str, read: impl FnOnce(&mut Section<'_>) -> T) -> Option<T> {
        let value = self.take(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(key, "a table", value);
            return None;
        };
        Some(self.inner(format!("{}{key}.", self.path), &value.span(), table, read))
    }

    /// The tables of `[[key]]`. `name` gives the word that stands for one in the environment's names.
    pub(crate) fn tables<T>(&mut self, key: &str, mut read: impl FnMut(&mut Section<'_>) -> T) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let tables: Option<Vec<_>> = value.get_ref().as_array().and_then(|array| {
            array.iter().map(|element| Some((element.span(), element.get_ref().as_table()?))).collect()
        });
        let Some(tables) = tables else {
            self.wrong_type(key, "a list of tables", value);
            return Vec::new();
        };
        let mut values = Vec::new();
        for (span, table) in tables {
            let name = table
                .iter()
                .find(|(key, _)| key.get_ref() == "name")
                .and_then(|(_, value)| value.get_ref().as_str());
            let path = match name {
                Some(name) => format!("{}{key}.{name}.", self.path),
                None => format!("{}{key}.", self.path),
            };
            values.push(self.inner(path, &span, table, &mut read));
        }
        values
    }

    fn inner<T>(
        &mut self,
        path: String,
        span: &Range<usize>,
        table: &'a DeTable<'a>,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let line = self.line(span);
        let mut section = Section {
            folder: self.folder,
            text: self.text,
            path,
            line,
            table,
            used: Vec::new(),
            faults: &mut *self.faults,
        };
        let value = read(&mut section);
        section.finish();
        value
    }

    fn finish(&mut self) {
        let unknown: Vec<(usize, String)> = self
            .table
            .iter()
            .filter(|(key, _)| !self.used.iter().any(|used| used == key.get_ref()))
            .map(|(key, _)| {
                let known = self.used.join("`, `");
                let message =
                    format!("`{}{}` is not known here; known are `{known}`", self.path, key.get_ref());
                (self.line(&key.span()), message)
            })
            .collect();
        self.faults.extend(unknown);
    }
}

fn text_as_boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        _ => None,
    }
}

/// A duration in words: `30s`, `10m`, `4h`, `30d`; in milliseconds.
pub(crate) fn duration_ms(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number
        .parse::<i64>()
        .ok()
        .filter(|number| (0..=1_000_000).contains(number))
        .map(|number| number * unit_ms)
}
