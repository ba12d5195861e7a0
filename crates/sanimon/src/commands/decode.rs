//! `sanimon decode`: what a device's binary frame says.

use std::io::{BufRead, BufWriter, Write};

use anyhow::{Context, ensure};
use clap::Args;
use sanimon_codec::device::{self, Frame};
use sanimon_domain::Fault;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::screen;

#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// The device's model; `--list` shows all.
    #[arg(long, required_unless_present_any = ["jsonl", "list"])]
    model: Option<String>,
    /// The LoRaWAN port.
    #[arg(long, default_value_t = 1)]
    port: u8,
    /// The frame as hexadecimal digits.
    #[arg(required_unless_present_any = ["jsonl", "list"])]
    hex: Option<String>,
    /// Reads `{"model":..,"port":..,"hex":..}` a line from the standard input, and prints an answer for each.
    #[arg(long, conflicts_with = "hex")]
    jsonl: bool,
    /// Lists the models and what each measures.
    #[arg(long, conflicts_with_all = ["hex", "jsonl"])]
    list: bool,
}

/// A line of `--jsonl`.
#[derive(Debug, Deserialize)]
struct Case {
    model: String,
    port: Option<u8>,
    hex: String,
}

impl Decode {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if self.list {
            list();
            return Ok(());
        }
        if self.jsonl {
            return decode_lines();
        }
        let (model, hex) = (self.model.unwrap_or_default(), self.hex.unwrap_or_default());
        let bytes = bytes_of(&hex).context("the frame is written as pairs of hexadecimal digits")?;
        let outcome = device::decode_frame(&model, self.port, &bytes);
        screen::print(&format!("{}\n", body(&outcome)));
        ensure!(outcome.is_ok(), "the frame was not decoded");
        Ok(())
    }
}

fn list() {
    let mut models: Vec<_> = device::models().collect();
    models.sort_unstable_by_key(|model| (model.vendor, model.name));
    for model in models {
        screen::print(&format!("{:<12} {:<16} {}\n", model.vendor, model.name, model.measures().join(" ")));
    }
}

fn decode_lines() -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line.context("cannot read the standard input")?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str::<Case>(&line) {
            Ok(case) => match bytes_of(&case.hex) {
                Some(bytes) => body(&device::decode_frame(&case.model, case.port.unwrap_or(1), &bytes)),
                None => error("not_hex", "`hex` is written as pairs of hexadecimal digits"),
            },
            Err(fault) => error("not_json", &format!("a line is {{\"model\",\"port\",\"hex\"}}: {fault}")),
        };
        writeln!(out, "{answer}").context("cannot write the answer")?;
    }
    out.flush().context("cannot write the answers")
}

fn body(outcome: &Result<Frame, Fault>) -> Value {
    let frame = match outcome {
        Ok(frame) => frame,
        Err(fault) => return error(fault.code.as_str(), &fault.message),
    };
    let readings = frame.readings.iter().map(|reading| {
        json!({ "metric": reading.name, "value": reading.value, "at": reading.at.map(|at| at.to_string()) })
    });
    let events = frame
        .events
        .iter()
        .map(|event| json!({ "about": event.about, "event": event.what, "detail": event.detail }));
    json!({ "readings": readings.collect::<Vec<_>>(), "events": events.collect::<Vec<_>>() })
}

fn error(code: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

/// Spaces between the pairs are no harm.
fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len() % 2 == 1 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    digits.chunks(2).map(pair).collect()
}
