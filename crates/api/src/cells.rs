//! Tables that a spreadsheet opens: what people and devices wrote must not become a formula there.

/// What a spreadsheet takes as the beginning of a formula (OWASP, CSV injection).
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A text as a cell: an apostrophe before what would be a formula. Numbers stay as they are.
pub(crate) fn cell(text: &str) -> std::borrow::Cow<'_, str> {
    if text.starts_with(FORMULA) && text.parse::<f64>().is_err() {
        return format!("'{text}").into();
    }
    text.into()
}

/// A cell as it was before [`cell`].
pub(crate) fn uncell(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA) => rest,
        _ => text,
    }
}

/// A table in the making.
#[derive(Debug)]
pub(crate) struct Table(csv::Writer<Vec<u8>>);

impl Table {
    pub(crate) fn new<T: AsRef<str>>(columns: &[T]) -> Self {
        let mut table = Self(csv::Writer::from_writer(Vec::new()));
        table.row(columns);
        table
    }

    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        let cells = cells.iter().map(|text| cell(text.as_ref()).into_owned());
        self.0.write_record(cells).expect("a table in memory takes every row");
    }

    pub(crate) fn finish(self) -> String {
        let bytes = self.0.into_inner().expect("a table in memory takes every byte");
        String::from_utf8(bytes).expect("texts make a text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_somebody_wrote_is_a_formula() {
        for (text, expected) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(1)", "'@SUM(1)"),
            ("+1+1", "'+1+1"),
            ("-2+3", "'-2+3"),
            ("-12.5", "-12.5"),
            ("Bin 7", "Bin 7"),
            ("'quoted'", "'quoted'"),
        ] {
            assert_eq!(cell(text), expected);
            assert_eq!(uncell(&cell(text)), text);
        }
    }
}
