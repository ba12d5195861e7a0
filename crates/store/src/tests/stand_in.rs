//! A stand-in for InfluxDB that lets a test act between two questions. It keeps the lines that it is sent, and answers
//! the Flux that our code writes: as much of the language as that needs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sanimon_domain::{SiteCalendar, TimestampMs, Window};

use super::http::{Request, serve};
use crate::*;

/// Values by field, device and time.
type Stored = BTreeMap<(String, String), BTreeMap<i64, f64>>;
/// Told the number of the question before it is answered.
type Before = Box<dyn FnMut(usize) + Send>;

#[derive(Default)]
struct State {
    stored: Mutex<Stored>,
    before: Mutex<Option<Before>>,
    /// The Flux texts that were asked, in order.
    asked: Mutex<Vec<String>>,
}

pub(super) struct StandIn {
    url: String,
    state: Arc<State>,
}

impl StandIn {
    pub(super) fn start() -> Self {
        let state = Arc::<State>::default();
        let (kept, hears) = (state.clone(), state.clone());
        let url = serve(move |request: &Request| {
            if request.path.starts_with("/api/v2/write") {
                write(&mut kept.stored.lock().expect("no panic"), &request.body);
                return Some((204, String::new()));
            }
            let body: serde_json::Value = serde_json::from_str(&request.body).ok()?;
            let flux = body["query"].as_str()?.to_owned();
            let nth = {
                let mut asked = hears.asked.lock().expect("no panic");
                asked.push(flux.clone());
                asked.len() - 1
            };
            // Not held while it is acted: what is done may send lines.
            if let Some(before) = hears.before.lock().expect("no panic").as_mut() {
                before(nth);
            }
            Some((200, answer(&hears.stored.lock().expect("no panic"), &flux)))
        });
        Self { url, state }
    }

    pub(super) fn options(&self) -> InfluxOptions {
        InfluxOptions {
            url: self.url.clone(),
            org: "town".to_owned(),
            bucket: "b".to_owned(),
            token: "t".to_owned(),
            retention_days: None,
        }
    }

    /// Counts the questions anew, and acts before each.
    pub(super) fn before_each(&self, before: impl FnMut(usize) + Send + 'static) {
        self.state.asked.lock().expect("no panic").clear();
        *self.state.before.lock().expect("no panic") = Some(Box::new(before));
    }

    pub(super) fn act_no_more(&self) {
        *self.state.before.lock().expect("no panic") = None;
    }

    /// The questions since [`StandIn::before_each`].
    pub(super) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().expect("no panic").clone()
    }

    /// How many rows a text is answered with.
    pub(super) fn rows(&self, flux: &str) -> usize {
        let csv = answer(&self.state.stored.lock().expect("no panic"), flux);
        csv.lines().filter(|line| line.starts_with(",,0,")).count()
    }
}

/// `kind,device=ID[,tag=..] field=value[,field=value] time`
fn write(stored: &mut Stored, lines: &str) {
    for line in lines.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let [key, fields, at] = parts[..] else { panic!("a line: {line}") };
        let device = key.split(',').find_map(|tag| tag.strip_prefix("device=")).expect("a device");
        for field in fields.split(',') {
            let (name, value) = field.split_once('=').expect("a field");
            let series = stored.entry((name.to_owned(), device.to_owned())).or_default();
            series.insert(at.parse().expect("a time"), value.parse().expect("a number"));
        }
    }
}

/// A table of a stream: rows of one device, of one window once there are windows.
#[derive(Clone, Default)]
struct Table {
    device: String,
    start: i64,
    rows: Vec<(i64, f64)>,
}

#[derive(Clone, Default)]
struct Stream {
    tables: Vec<Table>,
    range: (i64, i64),
    counts: bool,
}

/// Runs a text; gives the CSV of everything that it yields.
fn answer(stored: &Stored, flux: &str) -> String {
    let mut calendar = SiteCalendar::utc();
    let mut streams: BTreeMap<String, Stream> = BTreeMap::new();
    let mut csv = String::new();
    for line in flux.replace("\n  |>", " |>").lines().map(str::trim) {
        if let Some(zone) = line.strip_prefix("option location = timezone.location(name: ") {
            calendar = SiteCalendar::named(&unquoted(zone).replace("\\x2f", "/")).expect("a zone");
        } else if line.is_empty() || line.starts_with("import ") {
        } else if let Some((name, pipe)) = line.split_once(" = ").filter(|(name, _)| !name.contains('(')) {
            let (stream, _) = run(stored, &streams, calendar, pipe);
            streams.insert(name.to_owned(), stream);
        } else {
            let (stream, name) = run(stored, &streams, calendar, line);
            print(&mut csv, &stream, &name);
        }
    }
    csv
}

fn unquoted(text: &str) -> String {
    text.split('"').nth(1).expect("a literal").to_owned()
}

fn number(text: &str, before: &str) -> i64 {
    let rest = text.split(before).nth(1).expect("an argument");
    rest.split([')', 'm', ',']).next().expect("a number").parse().expect("a number")
}

fn run(
    stored: &Stored,
    streams: &BTreeMap<String, Stream>,
    calendar: SiteCalendar,
    pipe: &str,
) -> (Stream, String) {
    let mut stages = pipe.split(" |> ");
    let first = stages.next().expect("a source");
    let (mut stream, mut name) = (streams.get(first).cloned().unwrap_or_default(), "_result".to_owned());
    for stage in stages {
        let (function, arguments) = stage.split_once('(').expect("a call");
        match function {
            "range" => {
                let start = arguments.split("stop").next().expect("a start");
                let stop = arguments.split("stop").nth(1).expect("a stop");
                let ms = |text: &str| number(text, "time(v: ").div_euclid(1_000_000);
                stream.range = (ms(start), ms(stop));
            }
            "filter" if arguments.contains("_field") => {
                let (from, to) = stream.range;
                let wanted = unquoted(arguments);
                let series = stored.iter().filter(|((field, _), _)| *field == wanted);
                stream.tables = series
                    .map(|((_, device), rows)| Table {
                        device: device.clone(),
                        start: from,
                        rows: rows.range(from..to.max(from)).map(|(at, value)| (*at, *value)).collect(),
                    })
                    .filter(|table| !table.rows.is_empty())
                    .collect();
            }
            "filter" => {
                let wanted = devices(arguments);
                stream.tables.retain(|table| wanted.contains(&table.device));
            }
            "window" => window(&mut stream, arguments, calendar),
            "aggregateWindow" => {
                window(&mut stream, arguments, calendar);
                let of = arguments.split("fn: ").nth(1).expect("a function").split(',').next();
                choose(&mut stream, of.expect("a name"));
                for table in &mut stream.tables {
                    table.rows.iter_mut().for_each(|row| row.0 = table.start);
                }
            }
            // Neither changes what is answered here: rows are in order, and their device is printed beside them.
            "keep" | "group" | "sort" => {}
            "yield" => name = unquoted(arguments),
            other => choose(&mut stream, other),
        }
    }
    (stream, name)
}

/// The names in `r.device == "a" or r.device == "b"`, or in `r.device =~ /^(a|b)$/`.
fn devices(arguments: &str) -> Vec<String> {
    match arguments.split_once("/^(") {
        Some((_, names)) => {
            names.split(")$/").next().expect("an end").split('|').map(str::to_owned).collect()
        }
        None => arguments.split('"').skip(1).step_by(2).map(str::to_owned).collect(),
    }
}

/// Cuts the tables at the windows; the first one begins with the range.
fn window(stream: &mut Stream, arguments: &str, calendar: SiteCalendar) {
    let start_of = |at: i64| match arguments {
        days if days.starts_with("every: 1d") => Window::Days(1).start(calendar, TimestampMs(at)).0,
        months if months.starts_with("every: 1mo") => Window::Months(1).start(calendar, TimestampMs(at)).0,
        fixed => {
            let (every, offset) = (number(fixed, "every: "), number(fixed, "offset: "));
            (at - offset).div_euclid(every) * every + offset
        }
    };
    let from = stream.range.0;
    let cut = stream.tables.iter().flat_map(|table| {
        table.rows.chunk_by(|a, b| start_of(a.0) == start_of(b.0)).map(|rows| Table {
            device: table.device.clone(),
            start: start_of(rows[0].0).max(from),
            rows: rows.to_vec(),
        })
    });
    stream.tables = cut.collect();
}

/// Leaves one row of each table.
fn choose(stream: &mut Stream, function: &str) {
    stream.counts |= function == "count";
    for table in &mut stream.tables {
        let values = || table.rows.iter().map(|row| row.1);
        let (first, last) = (table.rows[0], table.rows[table.rows.len() - 1]);
        table.rows = vec![match function {
            "first" => first,
            "last" => last,
            "count" => (first.0, table.rows.len() as f64),
            "sum" => (first.0, values().sum()),
            "min" => (first.0, values().fold(f64::INFINITY, f64::min)),
            "max" => (first.0, values().fold(f64::NEG_INFINITY, f64::max)),
            other => panic!("a function that nobody asks for: {other}"),
        }];
    }
}

/// Annotated CSV, as InfluxDB writes it.
fn print(csv: &mut String, stream: &Stream, name: &str) {
    if stream.tables.is_empty() {
        return;
    }
    let number = if stream.counts { "long" } else { "double" };
    csv.push_str(&format!("#datatype,string,long,dateTime:RFC3339,{number},string\r\n"));
    csv.push_str("#group,false,false,false,false,false\r\n");
    csv.push_str(&format!("#default,{name},,,,\r\n,result,table,_time,_value,device\r\n"));
    for table in &stream.tables {
        for (at, value) in &table.rows {
            csv.push_str(&format!(",,0,{},{value},{}\r\n", TimestampMs(*at), table.device));
        }
    }
    csv.push_str("\r\n");
}
