//! A site as the specifications drive it: a store in a folder of its own, inputs one after another.
//!
//! What is not asked for is a failure: an input that is held or fatal ends the test, unless the test says that it must be.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;
use sanimon_alerting::{Rule, RuleSet};
use sanimon_domain::{SiteCalendar, TimestampMs};
use sanimon_operations::OperationsSettings;
use sanimon_store::{Durability, File, Influx, InfluxOptions, Shared, Store};
use sanimon_writer::{
    Answer, Applied, Ask, Author, Entry, Failure, Group, Input, Job, Live, Message, Options, Outputs,
    Received, Reloaded, Rest, Stale, Writer,
};
use tempfile::TempDir;

use crate::say::START;

/// The token of a message: its place among all that were ever handed in.
pub(crate) type Ack = usize;

enum State {
    Live(Writer<Live>),
    Held(Writer<Stale>, Rest<Ack>),
    /// The file was found to be damaged, or the writer is being exchanged.
    Ended,
}

pub(crate) struct Site {
    state: State,
    pub(crate) options: Options,
    /// InfluxDB behind it, from the next start on.
    pub(crate) influx: Option<InfluxOptions>,
    folder: TempDir,
    /// Messages that were handed in so far.
    pub(crate) received: Ack,
    /// Those of them that were acknowledged, in the order in which they were.
    pub(crate) acknowledged: Vec<Ack>,
    /// Messages that a reload gave back.
    rest: Group<Ack>,
    /// The job that was begun last, until somebody does it.
    pub(crate) job: Option<Job>,
}

pub(crate) fn options(rules: Vec<Rule>) -> Options {
    let operations = OperationsSettings::standard(SiteCalendar::utc());
    Options::new(Arc::new(RuleSet::new(rules).expect("sound rules")), Arc::new(operations))
}

/// How an input ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Held,
    Fatal,
}

impl Site {
    /// A site without rules.
    pub(crate) fn new() -> Self {
        Self::with(options(Vec::new()))
    }

    pub(crate) fn with_rules(rules: Vec<Rule>) -> Self {
        Self::with(options(rules))
    }

    pub(crate) fn with(options: Options) -> Self {
        Self::copy_of(empty_store(), options, START)
    }

    /// A site that has the file of another one.
    pub(crate) fn copy_of(other: &Path, options: Options, now: TimestampMs) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        copy(other, folder.path());
        let (received, acknowledged, rest) = (0, Vec::new(), Group::default());
        let (state, influx, job) = (State::Ended, None, None);
        let mut site = Self { state, options, influx, folder, received, acknowledged, rest, job };
        site.open(now);
        site
    }

    fn open(&mut self, now: TimestampMs) {
        let mut store = Store::open(self.folder.path(), None).expect("a store");
        // The machine does not lose its power in these tests.
        store.file.set_durability(Durability::Rebuildable).expect("a pragma");
        if let Some(options) = &self.influx {
            store.use_influx(Influx::new(options.clone()).expect("a client"));
        }
        self.state = State::Live(Writer::open(store, self.options.clone(), now).expect("a start"));
    }

    /// Ends the writer and starts another one on the same file.
    pub(crate) fn restarts(&mut self, now: TimestampMs) {
        self.close();
        self.open(now);
    }

    /// Ends the site; its file is left.
    pub(crate) fn ended(mut self) -> TempDir {
        self.close();
        self.folder
    }

    fn close(&mut self) {
        self.job = None;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Live(writer) => drop(writer.close()),
            State::Held(writer, _) => drop(writer.close()),
            State::Ended => {}
        }
    }

    pub(crate) fn writer(&self) -> &Writer<Live> {
        let State::Live(writer) = &self.state else { panic!("the site is held") };
        writer
    }

    pub(crate) fn writer_mut(&mut self) -> &mut Writer<Live> {
        let State::Live(writer) = &mut self.state else { panic!("the site is held") };
        writer
    }

    /// The writing connection, to let it fail.
    pub(crate) fn file_mut(&mut self) -> &mut File {
        match &mut self.state {
            State::Live(writer) => writer.file_mut(),
            State::Held(writer, _) => writer.file_mut(),
            State::Ended => panic!("the writer has ended"),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        match &self.state {
            State::Live(writer) => writer.reader(),
            State::Held(writer, _) => writer.reader(),
            State::Ended => panic!("the writer has ended"),
        }
    }

    pub(crate) fn cause(&self) -> Option<&Failure> {
        match &self.state {
            State::Held(writer, _) => Some(writer.cause()),
            State::Live(_) | State::Ended => None,
        }
    }

    /// Applies an input, however it ends; gives the answer to a command.
    pub(crate) fn try_apply(&mut self, now: TimestampMs, input: Input<Ack>) -> (End, Option<Answer>) {
        let State::Live(writer) = std::mem::replace(&mut self.state, State::Ended) else {
            panic!("the site is held")
        };
        let (state, end, outputs) = match writer.apply(now, input) {
            Applied::Done { writer, outputs } => (State::Live(writer), End::Done, outputs),
            Applied::Held { writer, outputs, rest } => (State::Held(writer, rest), End::Held, outputs),
            Applied::Fatal { outputs, .. } => (State::Ended, End::Fatal, outputs),
        };
        self.state = state;
        (end, self.take(outputs))
    }

    fn take(&mut self, outputs: Outputs<Ack>) -> Option<Answer> {
        let Outputs { acknowledged, answer, job, .. } = outputs;
        self.acknowledged.extend(acknowledged);
        self.job = job.or(self.job.take());
        answer
    }

    /// Applies an input that must be carried out.
    pub(crate) fn apply(&mut self, now: TimestampMs, input: Input<Ack>) -> Option<Answer> {
        let (end, answer) = self.try_apply(now, input);
        assert_eq!(end, End::Done, "{:?}", self.cause());
        answer
    }

    /// Applies an input that the disk refuses.
    pub(crate) fn is_held_at(&mut self, now: TimestampMs, input: Input<Ack>) -> Option<Answer> {
        let (end, answer) = self.try_apply(now, input);
        assert_eq!(end, End::Held);
        answer
    }

    /// Messages with their tokens, as an input.
    pub(crate) fn group(&mut self, messages: &[Message]) -> Input<Ack> {
        let first = self.received;
        self.received += messages.len();
        let received =
            |(n, message): (usize, &Message)| Received { message: message.clone(), ack: first + n };
        Input::Messages(messages.iter().enumerate().map(received).collect())
    }

    /// A group of messages, at the time of the newest one. All are acknowledged.
    pub(crate) fn hear(&mut self, messages: &[Message]) {
        let now = messages.iter().map(|message| message.received_at).max().unwrap_or(START);
        let input = self.group(messages);
        self.apply(now, input);
        self.is_all_acknowledged_once();
    }

    pub(crate) fn is_all_acknowledged_once(&self) {
        let mut acknowledged = self.acknowledged.clone();
        acknowledged.sort_unstable();
        assert!(
            acknowledged.into_iter().eq(0..self.received),
            "{:?} of {}",
            self.acknowledged,
            self.received
        );
    }

    /// Time passes, and nothing is heard.
    pub(crate) fn waits_until(&mut self, now: TimestampMs) {
        self.apply(now, Input::Tick);
    }

    pub(crate) fn try_ask(&mut self, now: TimestampMs, command: impl Ask) -> Answer {
        let input = Input::Command(entry(now), command.command());
        self.apply(now, input).expect("a command is always answered")
    }

    /// Asks for a change that must be made.
    pub(crate) fn ask<C: Ask>(&mut self, now: TimestampMs, command: C) -> C::Answer {
        let done = self.try_ask(now, command).expect("a change");
        C::answer(done).expect("an answer of its kind")
    }

    pub(crate) fn probe(&mut self) -> Result<(), Failure> {
        let State::Held(writer, _) = &mut self.state else { panic!("the site is not held") };
        writer.probe()
    }

    /// Reads memory from the file again, and applies what was left over. It must succeed.
    pub(crate) fn recovers(&mut self, now: TimestampMs) {
        self.probe().expect("the disk takes something");
        assert!(self.try_reload(now), "the file can be read");
        let end = self.applies_the_rest(now);
        assert_eq!(end, End::Done, "{:?}", self.cause());
    }

    /// The same, as the driver does it: each step of it may fail.
    pub(crate) fn tries_again(&mut self, now: TimestampMs) -> End {
        if self.probe().is_err() || !self.try_reload(now) { End::Held } else { self.applies_the_rest(now) }
    }

    fn applies_the_rest(&mut self, now: TimestampMs) -> End {
        match std::mem::take(&mut self.rest) {
            rest if rest.is_empty() => End::Done,
            rest => self.try_apply(now, Input::Messages(rest)).0,
        }
    }

    /// False: the file cannot be read yet.
    pub(crate) fn try_reload(&mut self, now: TimestampMs) -> bool {
        let State::Held(writer, rest) = std::mem::replace(&mut self.state, State::Ended) else {
            panic!("the site is not held")
        };
        match writer.reload(now, rest) {
            Reloaded::Live { writer, outputs, rest } => {
                self.state = State::Live(writer);
                self.take(outputs);
                self.rest = rest;
                true
            }
            Reloaded::Stale { writer, rest } => {
                self.state = State::Held(writer, rest);
                false
            }
            Reloaded::Fatal(failure) => panic!("{failure}"),
        }
    }

    /// Seals everything that waits; a job that has begun ends.
    pub(crate) fn seals(&mut self, now: TimestampMs) {
        self.job = None;
        let State::Live(writer) = std::mem::replace(&mut self.state, State::Ended) else {
            panic!("the site is held")
        };
        self.state = State::Live(writer.seal_all(now).expect("a seal"));
    }

    /// Changes the file behind the writer's back.
    pub(crate) fn by_hand(&self, sql: &str) {
        self.connection().execute_batch(sql).expect("sound SQL");
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection::open(self.folder().join("sanimon.db")).expect("the file")
    }
}

/// Who asks in these tests.
pub(crate) fn entry(now: TimestampMs) -> Entry {
    Entry::new(now, Author::Person("lin".to_owned()), "test.change").about("it").with_detail(r#"{"n":1}"#)
}

/// An empty file, made once: most of a store's start is the making of its tables.
fn empty_store() -> &'static Path {
    static EMPTY: OnceLock<TempDir> = OnceLock::new();
    let folder = EMPTY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Store::open(folder.path(), None).expect("a store"));
        folder
    });
    folder.path()
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}
