//! Any other device by its published codec: JavaScript with The Things Stack's or ChirpStack's signature.
//!
//! A [`Host`] belongs to one thread and runs one codec in a QuickJS of its own. What bounds it: memory, stack, steps (counted,
//! not timed, so the same frame ends the same way on every machine) and the size of its answer. It has no input and output,
//! the message's time for a clock, and always the same chance. After a codec broke a bound its world is made anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rquickjs::{CatchResultExt, Context, Ctx, Function, Persistent, Runtime};
use sanimon_domain::{DeviceKind, Fault, FaultCode, TimeReader, TimestampMs};
use serde_json::{Map, Value};

use crate::budget::{self, Budget, joined};
use crate::formats::{Mapping, name_here};
use crate::report::RawFrame;
use crate::sample::{SampleTime, Samples, number_in_text};
use crate::tree::{self, Outermost};

const PRELUDE: &str = include_str!("prelude.js");
const ENTRY: &str = include_str!("entry.js");

/// A codec's whole world: the largest published ones need less than two megabytes.
const MEMORY_BYTES_MAX: usize = 16 << 20;
const STACK_BYTES_MAX: usize = 256 << 10;
/// QuickJS asks after each 10,000 steps whether to go on: a million steps take about 20 ms.
const INTERRUPTS_MAX: u32 = 100;
/// Text that a codec may answer with.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Bytes of an error that a codec throws or answers with, in a fault.
const ERROR_BYTES_MAX: usize = 200;
/// Fields with the time of the object that they are in: a record of a device's history.
const TIME_NAMES: [&str; 3] = ["ts", "time", "timestamp"];
/// A smaller number is a duration or a counter: the year 2001.
const TIME_FROM: f64 = 1e9;
/// A codec's file at most; published ones reach 200 kB.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;

/// A codec as the configuration names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// The model that devices of the registry name.
    pub model: Box<str>,
    pub source: String,
    /// The codec's names for values, and ours.
    pub map: Vec<Mapping>,
    /// For devices that are report for the first time.
    pub kind: Option<DeviceKind>,
}

type Entry = Persistent<Function<'static>>;

/// A codec, ready to run on this thread.
pub struct Host {
    script: Script,
    world: Option<World>,
}

struct World {
    // Dropped before the runtime that owns it.
    entry: Entry,
    context: Context,
    _runtime: Runtime,
    interrupts: Arc<AtomicU32>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("model", &self.script.model).finish_non_exhaustive()
    }
}

fn bad(message: impl Into<String>) -> Fault {
    Fault::new(FaultCode::BadScript, message)
}

impl Host {
    /// Reads the codec; the fault says what is wrong with it.
    pub fn new(script: Script) -> Result<Self, Fault> {
        if script.source.len() > SOURCE_BYTES_MAX {
            return Err(bad(format!("the codec is longer than {SOURCE_BYTES_MAX} bytes")));
        }
        let world = World::new(&script)?;
        Ok(Self { script, world: Some(world) })
    }

    pub fn model(&self) -> &str {
        &self.script.model
    }

    /// Runs the codec on a frame; [`crate::Decoded::add_samples`] takes what it says. One fault at most if it fails: what a
    /// codec that failed half-way said is not believed.
    pub fn decode(&mut self, frame: &RawFrame, times: TimeReader) -> Samples {
        let mut samples = Samples::default();
        match self.answer(frame.port, &frame.bytes, frame.at.given().unwrap_or(times.received())) {
            Ok((data, budget)) => {
                samples.budget = budget;
                let mut answer = Answer { map: &self.script.map, times, samples };
                answer.put("", &data, frame.at);
                samples = answer.samples;
            }
            Err(fault) => samples.fault(fault.code, fault.message),
        }
        samples
    }

    /// The codec's `data` for a frame.
    pub fn run(&mut self, port: u8, bytes: &[u8], now: TimestampMs) -> Result<Value, Fault> {
        self.answer(port, bytes, now).map(|(data, _)| data)
    }

    /// The codec's `data`, and what was left out of it.
    fn answer(&mut self, port: u8, bytes: &[u8], now: TimestampMs) -> Result<(Value, Budget), Fault> {
        crate::device::check_length(bytes)?;
        let world = match self.world.take() {
            Some(world) => world,
            None => World::new(&self.script)?,
        };
        let outcome = world.call(port, bytes, now);
        let is_whole = world.interrupts.load(Ordering::Relaxed) < INTERRUPTS_MAX;
        // A world in which a bound was broken may be in any state.
        if is_whole && !matches!(outcome, Err(Failed::Broken(_))) {
            self.world = Some(world);
        }
        let answer = outcome.map_err(|failed| {
            let (Failed::Thrown(why) | Failed::Broken(why)) = failed;
            let why = if is_whole { why } else { "it did not come to an end".to_owned() };
            bad(format!("the codec of `{}` failed: {why}", self.script.model))
        })?;
        self.data(&answer)
    }

    /// Errors are the codec's own word that the frame is none of its device.
    fn data(&self, answer: &str) -> Result<(Value, Budget), Fault> {
        let model = &self.script.model;
        let tree::Tree { mut body, budget, .. } = tree::read(answer.as_bytes(), Outermost::Fields)
            .map_err(|error| bad(format!("the codec of `{model}` gave no JSON: {error}")))?;
        if let Some(error) = body["errors"].as_array().and_then(|errors| errors.first()) {
            let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            let short = budget::shortened(&text, ERROR_BYTES_MAX);
            return Err(Fault::new(
                FaultCode::BadFrame,
                format!("the codec of `{model}` refuses it: {short}"),
            ));
        }
        match body.get_mut("data").map(Value::take) {
            Some(data @ Value::Object(_)) => Ok((data, budget)),
            _ => Err(bad(format!("the codec of `{model}` gave no object of data"))),
        }
    }
}

/// A codec's answer on its way to readings.
struct Answer<'a> {
    map: &'a [Mapping],
    times: TimeReader,
    samples: Samples,
}

impl Answer<'_> {
    fn put(&mut self, prefix: &str, data: &Value, at: SampleTime) {
        match data {
            Value::Object(fields) => {
                let own = self.own_time(prefix, fields);
                let at = own.map_or(at, |(_, own)| SampleTime::Given(own));
                for (key, value) in fields {
                    if own.is_none_or(|(time, _)| time != key) {
                        self.put(&joined(prefix, key), value, at);
                    }
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    self.put(&joined(prefix, &(index + 1).to_string()), value, at);
                }
            }
            leaf => self.put_leaf(prefix, leaf, at),
        }
    }

    fn put_leaf(&mut self, name: &str, leaf: &Value, at: SampleTime) {
        if !self.samples.next_field() {
            return;
        }
        let (name, scale) = name_here(self.map, name);
        match (number(leaf), leaf) {
            (Some(value), _) => self.samples.value(&name, scale.apply(value), at),
            (None, Value::String(text)) => self.samples.event(&name, "text", Some(text)),
            _ => {}
        }
    }

    /// The field with the time of all the others, if it is certainly one: the site has no other name for it, and it is a
    /// date or a Unix time.
    fn own_time<'f>(&self, prefix: &str, fields: &'f Map<String, Value>) -> Option<(&'f str, TimestampMs)> {
        TIME_NAMES.into_iter().find_map(|name| {
            let (name, value) = fields.get_key_value(name)?;
            let is_mapped = || self.map.iter().any(|mapping| *mapping.from == *joined(prefix, name));
            let at = match value {
                Value::Number(number) => {
                    number.as_f64().filter(|at| *at >= TIME_FROM).and_then(|at| self.times.number(at))
                }
                Value::String(text) => number_in_text(text).map_or_else(
                    || self.times.text(text),
                    |number| Some(number).filter(|at| *at >= TIME_FROM).and_then(|at| self.times.number(at)),
                ),
                _ => None,
            };
            at.filter(|_| !is_mapped()).map(|at| (name.as_str(), at))
        })
    }
}

fn number(leaf: &Value) -> Option<f64> {
    match leaf {
        Value::Number(number) => number.as_f64(),
        Value::Bool(is) => Some(f64::from(u8::from(*is))),
        Value::String(text) => number_in_text(text),
        _ => None,
    }
}

/// How a call ended badly.
enum Failed {
    /// The codec threw: its own business, its world is as before.
    Thrown(String),
    /// Something that leaves the world in doubt.
    Broken(String),
}

impl World {
    fn new(script: &Script) -> Result<Self, Fault> {
        let engine = |error: rquickjs::Error| bad(format!("cannot start JavaScript: {error}"));
        let runtime = Runtime::new().map_err(engine)?;
        runtime.set_memory_limit(MEMORY_BYTES_MAX);
        runtime.set_max_stack_size(STACK_BYTES_MAX);
        let interrupts = Arc::new(AtomicU32::new(0));
        let count = interrupts.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed) + 1 >= INTERRUPTS_MAX
        })));
        let context = Context::full(&runtime).map_err(engine)?;
        let entry = context.with(|ctx| load(&ctx, script))?;
        interrupts.store(0, Ordering::Relaxed);
        Ok(Self { entry, context, _runtime: runtime, interrupts })
    }

    fn call(&self, port: u8, bytes: &[u8], now: TimestampMs) -> Result<String, Failed> {
        self.interrupts.store(0, Ordering::Relaxed);
        self.context.with(|ctx| {
            let broken = |error: rquickjs::Error| Failed::Broken(error.to_string());
            let entry = self.entry.clone().restore(&ctx).map_err(broken)?;
            let called: Result<Option<String>, _> =
                entry.call((bytes.to_vec(), port, now.0 as f64)).catch(&ctx);
            match called {
                Ok(Some(answer)) if answer.len() <= ANSWER_BYTES_MAX => Ok(answer),
                Ok(Some(_)) => {
                    Err(Failed::Thrown(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes")))
                }
                Ok(None) => Err(Failed::Thrown("it gave nothing".to_owned())),
                Err(error) => Err(thrown(&error)),
            }
        })
    }
}

/// An exception in one line; running out of memory or stack leaves the world in doubt.
fn thrown(error: &rquickjs::CaughtError<'_>) -> Failed {
    let text = match error {
        rquickjs::CaughtError::Exception(exception) => exception.message().unwrap_or_default(),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    let short = budget::shortened(&text, ERROR_BYTES_MAX);
    let in_doubt = ["out of memory", "stack overflow", "interrupted"].iter().any(|word| short.contains(word));
    if in_doubt || short.is_empty() { Failed::Broken(short) } else { Failed::Thrown(short) }
}

fn load(ctx: &Ctx<'_>, script: &Script) -> Result<Entry, Fault> {
    let model = &script.model;
    ctx.eval::<(), _>(PRELUDE).map_err(|error| bad(format!("cannot prepare JavaScript: {error}")))?;
    let options = || {
        let mut options = rquickjs::context::EvalOptions::default();
        // Published codecs are sloppy: they set variables that they never declare.
        options.strict = false;
        options
    };
    ctx.eval_with_options::<rquickjs::Value<'_>, _>(script.source.as_str(), options()).catch(ctx).map_err(
        |error| {
            let (Failed::Thrown(why) | Failed::Broken(why)) = thrown(&error);
            bad(format!("the codec of `{model}` cannot be read: {why}"))
        },
    )?;
    let entry: Option<Function<'_>> = ctx
        .eval_with_options(ENTRY, options())
        .map_err(|error| bad(format!("the codec of `{model}` cannot be called: {error}")))?;
    let entry = entry.ok_or_else(|| {
        bad(format!("the codec of `{model}` has none of the functions decodeUplink, Decode and Decoder"))
    })?;
    Ok(Persistent::save(ctx, entry))
}

#[cfg(test)]
mod tests;
