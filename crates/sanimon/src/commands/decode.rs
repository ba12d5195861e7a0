//! `sanimon decode`: what a device's binary frame says.

use std::io::{BufRead, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use sanimon_codec::device::{self, Frame};
use sanimon_codec::script::{Host, Script};
use sanimon_domain::{Clock, Fault};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::RealClock;
use crate::screen;

#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// The device's model; `--list` shows all.
    #[arg(long, required_unless_present_any = ["jsonl", "list", "script"])]
    model: Option<String>,
    /// A published codec in JavaScript, instead of a model.
    #[arg(long, value_name = "FILE.js", conflicts_with_all = ["model", "jsonl", "list"])]
    script: Option<PathBuf>,
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
        let hex = self.hex.unwrap_or_default();
        let bytes = bytes_of(&hex).context("the frame is written as pairs of hexadecimal digits")?;
        if let Some(file) = self.script {
            return by_script(&file, self.port, &bytes);
        }
        let outcome = device::decode_frame(&self.model.unwrap_or_default(), self.port, &bytes);
        screen::print(&format!("{}\n", body(&outcome)));
        ensure!(outcome.is_ok(), "the frame was not decoded");
        Ok(())
    }
}

/// Runs a codec on a frame and prints its `data`, as its author named it.
fn by_script(file: &std::path::Path, port: u8, bytes: &[u8]) -> anyhow::Result<()> {
    let source = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let model = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let script = Script { model: model.into(), source, map: Vec::new(), kind: None };
    let outcome = Host::new(script).and_then(|mut host| host.run(port, bytes, RealClock.now()));
    let (answer, is_decoded) = match outcome {
        Ok(data) => (json!({ "data": data }), true),
        Err(fault) => (error(fault.code.as_str(), &fault.message), false),
    };
    screen::print(&format!("{answer}\n"));
    ensure!(is_decoded, "the frame was not decoded");
    Ok(())
}

fn list() {
    for model in crate::models::known(&[]).0 {
        screen::print(&format!("{:<15} {:<22} {}\n", model.vendor, model.name, model.measures.join(" ")));
    }
}

fn decode_lines() -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut input = std::io::stdin().lock();
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line).context("cannot read the standard input")? == 0 {
            break;
        }
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
    sanimon_codec::bytes_from_hex(hex)
}
