//! A town of clients over the broker that runs in production, with a seed and virtual time.
//!
//! ```text
//! person ══ duplex ══ Client ── Hub ── desk (a model of the writer) ── file (a model of what is on disk)
//! ```
//!
//! People connect, publish, subscribe, fall silent, are cut, come again and take their own sessions over; the desk commits
//! when chance says so, holds, refuses, crashes before and after its commit, and the broker begins again from the file. What
//! each client hears is judged at once ([`oracle`]); in the end everybody comes back, and nothing may be owed ([`rest`]).
//! `SANIMON_TOWNS` says how many towns, `SANIMON_TOWN_SEED` runs one and tells what happens.

mod desk;
mod file;
mod hearing;
mod limits;
mod oracle;
mod person;
mod rest;
mod steps;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sanimon_net::{Admission, AdmissionLimits, Peer};
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::hub::ports::{Intake, Ports};
use crate::hub::{Hub, Token};
use crate::limits::Limits;
use crate::serve::{Broker, serve_stream};

use super::dice::Dice;
use super::number;
use desk::CROWDS;
pub(super) use desk::{Desk, Registry};
use file::File;
use limits::EXPIRY_MAX_S;
use oracle::Oracle;
use person::Person;
use words::Known;

/// Towns where nobody says how many.
const TOWNS: u64 = 80;
const STEPS: usize = 700;
/// [`Limits::slow_reader`]
const SLOW_MS: i64 = 10_000;

struct Town {
    dice: Dice,
    limits: Limits,
    registry: Arc<Registry>,
    file: File,
    desk: Desk,
    broker: Broker,
    rights: watch::Sender<u64>,
    admission: Arc<Admission>,
    connections: JoinSet<()>,
    people: Vec<Person>,
    oracle: Oracle,
    began: Instant,
    next_credential: i64,
    is_held: bool,
    /// When the file was written last.
    alive_ms: i64,
    /// The most that a session had in the file when the broker began.
    restored: usize,
    tells: bool,
    /// Of all that happened, to see that a seed is a run.
    trace: u64,
}

impl Town {
    fn new(seed: u64, tells: bool) -> Self {
        let mut dice = Dice::new(seed);
        let limits = limits::limits(&mut dice);
        let registry = Arc::new(Registry::default());
        let (began, rights) = (Instant::now(), watch::channel(0).0);
        let (desk, file) = (Desk::new(began), File::default());
        let broker = Self::broker((limits, &registry, &desk, &file, &rights), desk.wall_ms());
        let names = ["", "", "", "gw", "gw", "dev", "dev", ""];
        let people = names.iter().enumerate().map(|(place, owner)| {
            let owner = (!owner.is_empty()).then(|| (*owner).to_owned());
            Person::new(format!("p{place}"), owner, dice.once_in(2))
        });
        let people: Vec<Person> = people.collect();
        let oracle = Oracle::new(people.len());
        let mut town = Self {
            dice,
            limits,
            registry,
            file,
            desk,
            broker,
            rights,
            admission: Arc::new(Admission::new(AdmissionLimits::default())),
            connections: JoinSet::new(),
            people,
            oracle,
            began,
            next_credential: 0,
            is_held: false,
            alive_ms: 0,
            restored: 0,
            tells,
            trace: 0,
        };
        town.allow("gw");
        town.allow("dev");
        town
    }

    fn broker(
        (limits, registry, desk, file, rights): (Limits, &Arc<Registry>, &Desk, &File, &watch::Sender<u64>),
        stopped_ms: i64,
    ) -> Broker {
        let intake = Arc::new(desk.clone());
        let ports = Ports { intake, permissions: registry.clone(), notices: registry.clone() };
        let mut broker = Broker::new(limits, ports, file.stored(), stopped_ms);
        broker.listen(Vec::new(), rights.subscribe());
        broker
    }

    fn hub(&self) -> &Arc<Hub> {
        self.broker.hub()
    }

    fn now_ms(&self) -> i64 {
        self.began.elapsed().as_millis() as i64
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        let what = what();
        if self.tells {
            eprintln!("{:>9} {what}", self.now_ms());
        }
        for byte in what.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    /// A credential of this name is good from now on.
    fn allow(&mut self, owner: &str) {
        self.next_credential += 1;
        self.file.credentials.insert(self.next_credential);
        self.registry.allow(owner, self.next_credential);
    }

    /// A new line to the broker.
    fn open(&mut self, place: usize) -> DuplexStream {
        let (own, other) = tokio::io::duplex(*self.dice.pick(&[64, 300, 4_096]));
        let address = SocketAddr::from(([127, 0, 0, place as u8 + 1], 1_883));
        let (waiting, _) = self.admission.enter(address.ip());
        let peer = Peer { address, certificate_name: None, is_tls: false };
        let deadline = Instant::now() + self.limits.connect_time;
        let hub = self.hub().clone();
        self.connections
            .spawn(async move { serve_stream(&hub, other, (peer, waiting, deadline), true).await });
        own
    }

    /// The desk commits. Gives what is to be settled.
    fn commit(&mut self, max: usize) -> Vec<Token> {
        self.alive_ms = self.now_ms();
        self.desk.commit(&mut self.file, &mut self.dice, max)
    }

    /// The process is killed, and begins again some time later.
    async fn crash(&mut self) {
        let stopped_ms = self.desk.wall_ms() - self.now_ms() + self.alive_ms;
        for own in &mut self.people {
            if self.desk.removes(&oracle::key(own)) {
                // It was told that its session is gone, but the file was not.
                (own.known, own.knew, own.is_adrift) = (Known::Unsure, Known::Unsure, true);
            }
        }
        self.desk.die();
        drop(self.broker.take_tasks());
        self.connections.shutdown().await;
        self.note_lost();
        let down_ms = if self.dice.once_in(3) { self.dice.below(20_000) } else { 1 };
        tokio::time::sleep(Duration::from_millis(down_ms as u64)).await;
        self.desk = Desk::new(self.began);
        self.is_held = false;
        self.restored = self.file.sessions.values().map(|own| own.outgoing.len()).max().unwrap_or(0);
        let parts = (self.limits, &self.registry, &self.desk, &self.file, &self.rights);
        self.broker = Self::broker(parts, stopped_ms);
    }

    /// The product is stopped as it should be, and begins again.
    async fn stop(&mut self) {
        self.broker.close();
        self.broker.leave();
        while !self.desk.is_empty() {
            let tokens = self.commit(usize::MAX);
            Token::settle(tokens);
            tokio::task::yield_now().await;
        }
        self.broker.drained().await;
        self.crash().await;
    }

    /// Connections are gone since now.
    fn note_lost(&mut self) {
        let now_ms = self.now_ms();
        for own in &mut self.people {
            own.looked_ms = own.looked_ms.min(self.alive_ms);
            note_away(own, now_ms);
            // What it still reads may tell of an end, but not of its own.
            own.was_told = true;
        }
        self.oracle.crashed(&self.file);
    }

    /// No task of the broker's has panicked.
    fn look_at_tasks(&mut self) {
        while let Some(ended) = self.connections.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

/// A client's connection is gone: since then at the latest, and at the earliest since it was looked at.
fn note_away(own: &mut Person, latest_ms: i64) {
    // It may have ended before: what was still to be written is written for so long.
    let looked_ms = own.looked_ms - SLOW_MS;
    match &mut own.known {
        Known::Kept { expiry_s: 0, .. } => own.known = Known::Absent,
        Known::Kept { since_ms, .. } => {
            let (earliest_ms, before_ms) = since_ms.unwrap_or((looked_ms, i64::MAX));
            *since_ms = Some((earliest_ms.min(looked_ms), before_ms.min(latest_ms)));
        }
        Known::Absent | Known::Unsure => {}
    }
}

/// One town. Gives what happened, as a number.
fn run(seed: u64, tells: bool) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.expect("a runtime").block_on(async {
            let mut town = Town::new(seed, tells);
            for _ in 0..STEPS {
                town.step().await;
            }
            town.rest().await;
            town.trace
        })
    }));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
        panic!("SANIMON_TOWN_SEED={seed}: {text}")
    })
}

#[test]
fn n077_n081_n123_to_n141_a_town_of_clients_loses_nothing_and_comes_to_rest() {
    if let Some(seed) = number("SANIMON_TOWN_SEED") {
        run(seed, true);
        return;
    }
    let (began, towns) = (std::time::Instant::now(), number("SANIMON_TOWNS").unwrap_or(TOWNS));
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        let each = |first: u64| {
            (first..towns).step_by(threads as usize).for_each(|seed| {
                run(seed, false);
            });
        };
        let all: Vec<_> = (0..threads).map(|first| scope.spawn(move || each(first))).collect();
        // The panic of a town names its seed.
        let failed = all.into_iter().find_map(|own| own.join().err());
        if let Some(panic) = failed {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(CROWDS.load(Ordering::Relaxed) > 0, "in some town nobody was read for a while");
    eprintln!("proof broker-towns {{towns: {towns}, s: {}}}", began.elapsed().as_secs());
}

#[test]
fn a_seed_is_a_run() {
    assert_eq!(run(7, false), run(7, false));
}
