//! The measures as tables for a spreadsheet: CSV and XLSX.

use rust_xlsxwriter::{Format, Workbook, XlsxError};

use super::{MeasureAnswer, MeasuredDay, MeasuredGroup, QuantilesBody};
use crate::cells::Table;

/// A cell of a table.
enum Cell {
    Text(String),
    /// `None`: there was nothing to measure.
    Number(Option<f64>),
}

const COLUMNS: [&str; 21] = [
    "group",
    "devices",
    "score",
    "score_before",
    "alerts",
    "overflow_h",
    "overflow_share",
    "flood_min",
    "odour_kept",
    "available",
    "acknowledge_median_min",
    "acknowledge_p90_min",
    "arrive_median_min",
    "arrive_p90_min",
    "resolve_median_min",
    "resolve_p90_min",
    "deadlines_kept",
    "reopened",
    "wasted",
    "reports",
    "reports_per_1000",
];
const DAY_COLUMNS: [&str; 4] = ["day", "alerts", "overflow_h", "acknowledge_median_min"];

fn row(group: &MeasuredGroup, name: &str) -> [Cell; 21] {
    let now = &group.now;
    let number = |value: f64| Cell::Number(Some(value));
    let median = |found: &Option<QuantilesBody>| Cell::Number(found.as_ref().map(|found| found.median_min));
    let p90 = |found: &Option<QuantilesBody>| Cell::Number(found.as_ref().map(|found| found.p90_min));
    [
        Cell::Text(name.to_owned()),
        number(group.devices as f64),
        Cell::Number(group.score),
        Cell::Number(group.score_before),
        number(now.alerts as f64),
        Cell::Number(now.overflow_h),
        Cell::Number(now.overflow_share),
        Cell::Number(now.flood_min),
        Cell::Number(now.odour_kept),
        Cell::Number(now.available),
        median(&now.acknowledge),
        p90(&now.acknowledge),
        median(&now.arrive),
        p90(&now.arrive),
        median(&now.resolve),
        p90(&now.resolve),
        Cell::Number(now.deadlines_kept),
        Cell::Number(now.reopened),
        Cell::Number(now.wasted),
        number(now.reports as f64),
        Cell::Number(now.reports_per_1000),
    ]
}

/// A line a group, and all as one in the last.
fn rows(answer: &MeasureAnswer) -> Vec<[Cell; 21]> {
    let groups = answer.groups.iter().map(|group| row(group, group.group.as_deref().unwrap_or_default()));
    groups.chain([row(&answer.all, "*")]).collect()
}

fn day_row(day: &MeasuredDay) -> [Cell; 4] {
    [
        Cell::Text(day.day.clone()),
        Cell::Number(Some(day.alerts as f64)),
        Cell::Number(Some(day.overflow_h)),
        Cell::Number(day.acknowledge_min),
    ]
}

pub(super) fn csv(answer: &MeasureAnswer) -> String {
    let mut table = Table::new(&COLUMNS);
    for cells in rows(answer) {
        let text = |cell: &Cell| match cell {
            Cell::Text(text) => text.clone(),
            Cell::Number(value) => value.map(|value| value.to_string()).unwrap_or_default(),
        };
        table.row(&cells.each_ref().map(text));
    }
    table.finish()
}

/// A workbook with a sheet for the groups and one for the days.
pub(super) fn xlsx(answer: &MeasureAnswer) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let heading = Format::new().set_bold().set_border_bottom(rust_xlsxwriter::FormatBorder::Thin);
    let span = format!("{} .. {}", answer.from, answer.to);
    sheet(&mut book, ("Measures", &span), &heading, &COLUMNS, &rows(answer))?;
    let days: Vec<[Cell; 4]> = answer.days.iter().map(day_row).collect();
    sheet(&mut book, ("Days", &span), &heading, &DAY_COLUMNS, &days)?;
    book.save_to_buffer()
}

fn sheet<const N: usize>(
    book: &mut Workbook,
    (name, span): (&str, &str),
    heading: &Format,
    columns: &[&str; N],
    rows: &[[Cell; N]],
) -> Result<(), XlsxError> {
    let sheet = book.add_worksheet();
    sheet.set_name(name)?;
    for (column, title) in columns.iter().enumerate() {
        sheet.write_with_format(0, column as u16, *title, heading)?;
    }
    for (line, cells) in rows.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let (line, column) = (line as u32 + 1, column as u16);
            match cell {
                Cell::Text(text) => sheet.write(line, column, text.as_str())?,
                Cell::Number(Some(value)) => sheet.write(line, column, *value)?,
                Cell::Number(None) => continue,
            };
        }
    }
    sheet.write(rows.len() as u32 + 2, 0, span)?;
    sheet.set_freeze_panes(1, 1)?;
    sheet.autofit();
    Ok(())
}
