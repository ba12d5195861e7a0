//! The running site: the writer over a disk that fails, what it holds, its jobs, and the record of what was committed.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Mutex;

use rusqlite::Connection;
use sanimon_domain::{SiteCalendar, TimestampMs};
use sanimon_store::{DeliveryOutcome, Shared, Store};
use sanimon_writer::{
    Answer, Applied, Entry, Input, Job, JobId, JobOutcome, Live, Message, Outputs, Received, Refusal,
    Reloaded, Rest, Stale, Work, Writer,
};
use tempfile::TempDir;

use super::dice::Dice;
use super::disk::{self, Disk, Health};
use super::messages::{self, No, Sent};
use super::model;
use super::people::Deed;
use super::setting::{self, START};

/// What was committed, in order: what a town without failures lives through, too.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Messages(Vec<(No, Message)>),
    Deed(Entry, Box<Deed>),
    /// Time went on.
    Tick,
    /// The disk refused from then until now: nothing was heard.
    Outage {
        from: TimestampMs,
    },
    /// The process ended, and began again now.
    Restart,
    /// What no alert follows from.
    Beside,
}

#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) now: TimestampMs,
    pub(crate) event: Event,
}

/// Events of which nobody knows whether a power cut left them in the file.
#[derive(Debug)]
struct Unsure {
    logged: Vec<Logged>,
    commit_no: u64,
}

enum State {
    Live(Writer<Live>),
    Stale(Writer<Stale>, Rest<No>),
    Down,
}

pub(crate) struct Site {
    state: State,
    folder: TempDir,
    pub(crate) disk: Disk,
    job: Option<Job>,
    reports: VecDeque<(JobId, JobOutcome)>,
    pub(crate) log: Vec<Logged>,
    known: Known,
    unsure: Option<Unsure>,
    /// Who else looks at the file.
    outside: Option<Connection>,
    failed_at: TimestampMs,
    /// The length of the write-ahead log up to which everything is promised.
    synced: u64,
    pub(crate) sealed: u64,
}

/// What an input came to, for those who wait.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) acknowledged: Vec<No>,
    pub(crate) answer: Option<Answer>,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = folder();
        std::fs::write(folder.path().join("sanimon.db"), empty_database(setting::POISON))
            .expect("a database");
        let mut site = Self {
            state: State::Down,
            folder,
            disk: Disk::default(),
            job: None,
            reports: VecDeque::new(),
            log: Vec::new(),
            known: Known::default(),
            unsure: None,
            outside: None,
            failed_at: START,
            synced: 0,
            sealed: 0,
        };
        site.start(START);
        site
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The number of the last commit, as somebody else sees the file.
    fn commit_no(&self) -> u64 {
        let no = |connection: &Connection| {
            connection.prepare_cached("SELECT no FROM commit_no")?.query_row([], |row| row.get::<_, i64>(0))
        };
        self.outside.as_ref().and_then(|connection| no(connection).ok()).map_or(0, |no| no as u64)
    }

    /// `None` while the disk refuses: nobody is told anything new.
    pub(crate) fn live(&self) -> Option<&Writer<Live>> {
        match &self.state {
            State::Live(writer) => Some(writer),
            _ => None,
        }
    }

    pub(crate) fn reader(&self) -> &Shared {
        match &self.state {
            State::Live(writer) => writer.reader(),
            State::Stale(writer, _) => writer.reader(),
            State::Down => unreachable!("it is started again at once"),
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        matches!(self.state, State::Stale(..))
    }

    pub(crate) fn group(&mut self, now: TimestampMs, sent: &[Sent]) -> Told {
        let messages: Vec<(No, Message)> = sent.iter().map(|sent| (sent.no, sent.message(now))).collect();
        self.messages(now, messages)
    }

    fn messages(&mut self, now: TimestampMs, messages: Vec<(No, Message)>) -> Told {
        let received = messages.iter().map(|(no, message)| Received { message: message.clone(), ack: *no });
        let input = Input::Messages(received.collect());
        self.apply(now, input, Event::Messages(messages))
    }

    pub(crate) fn tick(&mut self, now: TimestampMs) -> Told {
        self.apply(now, Input::Tick, Event::Tick)
    }

    pub(crate) fn ask(&mut self, now: TimestampMs, entry: &Entry, deed: &Deed) -> Told {
        let event = Event::Deed(entry.clone(), Box::new(deed.clone()));
        self.apply(now, Input::Command(entry.clone(), deed.command()), event)
    }

    pub(crate) fn deliveries(&mut self, now: TimestampMs, outcomes: Vec<DeliveryOutcome>) -> Told {
        self.apply(now, Input::Deliveries(outcomes), Event::Beside)
    }

    pub(crate) fn tidy(&mut self, now: TimestampMs) -> Told {
        self.apply(now, Input::Tidy, Event::Beside)
    }

    /// Works on the job beside the writer: begins it, commits a step of it, or loses it.
    pub(crate) fn work(&mut self, now: TimestampMs, dice: &mut Dice) {
        if let Some(Job { id, work: Work::Seal(job) }) = self.job.take() {
            let reports = &mut self.reports;
            let ran = job.run(|step| {
                reports.push_back((id, JobOutcome::Sealed(step)));
                true
            });
            if let Err(error) = ran {
                reports.push_back((id, JobOutcome::Failed(error.to_string())));
            }
            if dice.once_in(4) {
                reports.clear();
                reports.push_back((id, JobOutcome::Lost));
            }
            return;
        }
        if let Some((id, outcome)) = self.reports.pop_front() {
            self.apply(now, Input::Maintenance(id, outcome), Event::Beside);
        }
    }

    fn apply(&mut self, now: TimestampMs, input: Input<No>, event: Event) -> Told {
        let State::Live(writer) = std::mem::replace(&mut self.state, State::Down) else {
            panic!("nothing can be applied while the disk refuses")
        };
        let commit_no = self.commit_no();
        let sealed_before =
            writer.reader().health.counters.sealed_points.load(std::sync::atomic::Ordering::Relaxed);
        let (next, told, is_done) = match writer.apply(now, input) {
            Applied::Done { writer, outputs } => {
                let counter = &writer.reader().health.counters.sealed_points;
                self.sealed += counter.load(std::sync::atomic::Ordering::Relaxed) - sealed_before;
                let told = self.take(now, outputs, &event);
                (State::Live(writer), told, true)
            }
            Applied::Held { writer, outputs, rest } => {
                let told = self.take(now, outputs, &event);
                (State::Stale(writer, rest), told, false)
            }
            Applied::Fatal { outputs, .. } => (State::Down, self.take(now, outputs, &event), false),
        };
        self.state = next;
        if is_done {
            self.synced = disk::log_length(self.folder.path());
            match event {
                Event::Messages(messages) if messages.is_empty() => {
                    self.log.push(Logged { now, event: Event::Tick });
                }
                Event::Messages(_) | Event::Beside => {}
                event if matches!(told.answer, Some(Err(_))) => drop(event),
                event => self.log.push(Logged { now, event }),
            }
        } else {
            self.failed_at = now;
            // Who looks at the file from outside knows at once what the writer has to find out.
            let event = without(event, &told.acknowledged);
            let is_unsure =
                !matches!(&told.answer, Some(Err(refusal)) if !matches!(refusal, Refusal::Unsure(_)));
            let file = Store::snapshot(self.folder.path()).expect("an answer").expect("data");
            let is_stored = is_unsure && self.commit_no() > commit_no;
            let stored = self.known.stored_of(&file, event, is_stored);
            self.log.extend(stored.map(|event| Logged { now, event }));
        }
        told
    }

    /// Notes what was committed of messages, in the order of their acknowledgements.
    fn take(&mut self, now: TimestampMs, outputs: Outputs<No>, event: &Event) -> Told {
        let Outputs { acknowledged, answer, job, .. } = outputs;
        self.job = job.or(self.job.take());
        if let Event::Messages(messages) = event
            && !acknowledged.is_empty()
        {
            let committed =
                acknowledged.iter().filter_map(|no| messages.iter().find(|(known, _)| known == no));
            let committed: Vec<(No, Message)> = committed.cloned().collect();
            self.known.add(&committed);
            self.log.push(Logged { now, event: Event::Messages(committed) });
        }
        Told { acknowledged, answer }
    }

    /// The disk is well again; the driver notices. False: it still refuses.
    pub(crate) fn resume(&mut self, now: TimestampMs, is_waited_for: impl Fn(&No) -> bool) -> (bool, Told) {
        let State::Stale(mut writer, mut rest) = std::mem::replace(&mut self.state, State::Down) else {
            panic!("there is nothing to resume")
        };
        rest.retain(is_waited_for);
        if writer.probe().is_err() {
            self.state = State::Stale(writer, rest);
            return (false, Told::default());
        }
        match writer.reload(now, rest) {
            Reloaded::Live { writer, outputs, rest } => {
                self.state = State::Live(writer);
                self.job = None;
                self.log.push(Logged { now, event: Event::Outage { from: self.failed_at } });
                self.synced = disk::log_length(self.folder.path());
                let mut told = Told { acknowledged: outputs.acknowledged, answer: None };
                if rest.is_empty() {
                    self.tick(now);
                } else {
                    let again: Vec<(No, Message)> =
                        rest.messages.into_iter().map(|received| (received.ack, received.message)).collect();
                    let more = self.messages(now, again);
                    told.acknowledged.extend(more.acknowledged);
                }
                (true, told)
            }
            Reloaded::Stale { writer, rest } => {
                self.state = State::Stale(writer, rest);
                (false, Told::default())
            }
            Reloaded::Fatal(failure) => panic!("{failure}"),
        }
    }

    /// The process ends. `cut`: with the power, in the middle of a write.
    pub(crate) fn end(&mut self, dice: &mut Dice, cut: bool) {
        let fresh = folder();
        if cut {
            disk::power_cut(self.folder.path(), fresh.path(), self.synced, dice);
        }
        self.state = State::Down;
        self.outside = None;
        (self.job, self.reports) = (None, VecDeque::new());
        if cut {
            self.folder = fresh;
        }
    }

    /// A group of which nobody hears any more: whether it is stored is seen at the next start.
    pub(crate) fn untold_group(&mut self, now: TimestampMs, sent: &[Sent]) {
        let (place, synced, known) = (self.log.len(), self.synced, self.known.clone());
        let commit_no = self.commit_no();
        self.group(now, sent);
        (self.synced, self.known) = (synced, known);
        self.unsure = Some(Unsure { logged: self.log.split_off(place), commit_no });
    }

    pub(crate) fn start(&mut self, now: TimestampMs) {
        let before = self.unsure.take();
        self.outside = Some(Connection::open(self.folder.path().join("sanimon.db")).expect("a database"));
        let stored_no = self.commit_no();
        let store = Store::open(self.folder.path(), Some(SiteCalendar::utc())).expect("a store");
        let options = setting::options_of(&store.shared);
        let mut writer = Writer::open(store, options, now).expect("a start");
        writer.file_mut().set_faults(self.disk.faults());
        self.disk.set(Health::Sound);
        self.state = State::Live(writer);
        if let Some(Unsure { logged, commit_no: before }) = before {
            for Logged { now, event } in logged {
                let State::Live(writer) = &self.state else { unreachable!("it was opened just now") };
                let is_stored = stored_no > before;
                let stored = self.known.stored_of(writer.reader(), event, is_stored);
                // What of a group was known before changes nothing: time went on.
                let stored = stored.or(is_stored.then_some(Event::Tick));
                self.log.extend(stored.map(|event| Logged { now, event }));
            }
        }
        self.log.push(Logged { now, event: Event::Restart });
        self.tick(now);
    }
}

/// The messages that are known to be stored.
#[derive(Debug, Clone, Default)]
struct Known {
    numbers: HashSet<No>,
    /// Of those without a number, how many of each device.
    frozen: HashMap<String, usize>,
}

fn device_of(message: &Message) -> &str {
    message.topic.split('/').nth(3).unwrap_or_default()
}

fn has_number(message: &Message) -> bool {
    message.payload.windows(5).any(|part| part == b"\"seq\"")
}

impl Known {
    fn add(&mut self, messages: &[(No, Message)]) {
        for (no, message) in messages {
            if self.numbers.insert(*no) && !has_number(message) {
                *self.frozen.entry(device_of(message).to_owned()).or_default() += 1;
            }
        }
    }

    /// What of an event the file has got. Of a group it may be a part.
    fn stored_of(&mut self, file: &Shared, event: Event, is_stored: bool) -> Option<Event> {
        let Event::Messages(messages) = event else { return is_stored.then_some(event) };
        let mut stored = Vec::new();
        for (no, message) in messages {
            let device = device_of(&message);
            let is_new = !self.numbers.contains(&no);
            let is_there = if has_number(&message) {
                model::values(file, device, messages::SEQ).contains(&(no as f64))
            } else {
                let known = self.frozen.get(device).copied().unwrap_or(0);
                model::values(file, device, messages::SAME).len() > known
            };
            if is_new && is_there {
                let one = [(no, message)];
                self.add(&one);
                stored.extend(one);
            }
        }
        (!stored.is_empty()).then_some(Event::Messages(stored))
    }
}

fn without(event: Event, acknowledged: &[No]) -> Event {
    match event {
        Event::Messages(messages) => {
            Event::Messages(messages.into_iter().filter(|(no, _)| !acknowledged.contains(no)).collect())
        }
        other => other,
    }
}

/// A new site's file with these statements carried out: made once, for it takes as long as a third of a town's life.
pub(crate) fn empty_database(statements: &str) -> &'static [u8] {
    static MADE: Mutex<BTreeMap<String, &'static [u8]>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().expect("nobody panics here");
    made.entry(statements.to_owned()).or_insert_with(|| {
        let folder = folder();
        let path = folder.path().join("sanimon.db");
        drop(Store::open(folder.path(), Some(SiteCalendar::utc())).expect("a store"));
        let database = Connection::open(&path).expect("a database");
        database.execute_batch(statements).expect("statements");
        drop(database);
        std::fs::read(&path).expect("a file").leak()
    })
}

/// Memory is quick enough for a thousand towns; where there is none, the disk is.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}
