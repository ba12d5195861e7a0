//! Messages that come again: each is stored once, and no two are taken for one.

use proptest::prelude::*;
use sanimon_domain::time::SECOND_MS;
use sanimon_domain::{Calibration, TimestampMs};
use sanimon_store::Device;
use sanimon_writer::Message;

use crate::say::{START, TOPIC, again, client, fill, message, minutes, published};
use crate::site::Site;

/// Three undated publishes in flight, two of them with the same payload.
fn three_in_flight(site: &mut Site) -> [Message; 3] {
    let said = [50.0, 50.0, 51.0].map(|percent| fill("b-1", percent, START));
    let sent: Vec<Message> = said.iter().zip(1..).map(|(said, id)| published(said.clone(), id)).collect();
    site.hear(&sent);
    said
}

fn later(said: &Message, minute: i64) -> Message {
    Message { received_at: minutes(minute), known_at: minutes(minute), ..said.clone() }
}

#[test]
fn publishes_in_flight_are_stored_once_in_whatever_order_they_come_again() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut site = Site::new();
        let said = three_in_flight(&mut site);
        for n in order {
            site.hear(&[again(later(&said[n], 1), n as u16 + 1)]);
        }
        assert_eq!(site.values("b-1", "fill_pct"), [50.0, 50.0, 51.0], "{order:?}");
        // And once more, all in one group.
        let group: Vec<Message> = order.iter().map(|n| again(later(&said[*n], 2), *n as u16 + 1)).collect();
        site.hear(&group);
        assert_eq!(site.values("b-1", "fill_pct"), [50.0, 50.0, 51.0], "{order:?}");
    }
}

#[test]
fn a_new_session_of_the_client_sends_them_again_under_the_numbers_that_they_had() {
    let mut site = Site::new();
    let said = three_in_flight(&mut site);
    // The broker remembers nothing of it: what is new has other numbers, and may say the same.
    let group = [(2, 3), (0, 1), (1, 2)].map(|(n, packet_id)| again(later(&said[n], 1), packet_id));
    site.hear(&[&group[..], &[published(later(&said[0], 1), 4)]].concat());
    assert_eq!(site.values("b-1", "fill_pct"), [50.0, 50.0, 51.0, 50.0]);
    site.hear(&[again(later(&said[0], 2), 4), again(later(&said[0], 2), 1)]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0, 50.0, 51.0, 50.0]);
}

#[test]
fn a_message_that_says_the_same_and_never_arrived_before_is_stored_when_it_comes_again() {
    let mut site = Site::new();
    let said = |minute| fill("b-1", 50.0, minutes(minute));
    site.hear(&[published(said(0), 1)]);
    // The connection broke while it was sent: the first of it that arrives says DUP.
    site.hear(&[again(said(1), 2), again(said(1), 1)]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0, 50.0]);
}

#[test]
fn another_client_s_message_is_another_message() {
    let mut site = Site::new();
    let said = three_in_flight(&mut site);
    site.hear(&[Message { connection: client("b-1", "spare"), ..again(later(&said[0], 1), 1) }]);
    assert_eq!(site.values("b-1", "fill_pct"), [50.0, 50.0, 51.0, 50.0]);
}

#[test]
fn a_sensor_that_says_the_same_every_minute_is_heard_every_time() {
    let mut site = Site::new();
    for n in 0..30_u16 {
        site.hear(&[published(fill("b-1", 50.0, minutes(i64::from(n))), n + 1)]);
    }
    assert_eq!(site.values("b-1", "fill_pct").len(), 30);
}

#[test]
fn two_messages_with_one_payload_are_two_and_both_again_are_none() {
    let mut site = Site::new();
    let said = |minute| fill("b-1", 50.0, minutes(minute));
    site.hear(&[published(said(0), 1), published(said(0), 2)]);
    site.hear(&[again(said(1), 2), again(said(1), 1)]);
    assert_eq!(site.points("b-1", "fill_pct"), [(minutes(0), 50.0), (minutes(0).plus_ms(1), 50.0)]);
}

#[test]
fn a_redelivery_is_known_after_a_restart_whether_the_journal_was_sealed_or_not() {
    for is_sealed in [false, true] {
        let mut site = Site::new();
        let said = three_in_flight(&mut site);
        if is_sealed {
            site.seals(minutes(1));
        }
        site.restarts(minutes(2));
        for (n, minute) in [(2, 3), (0, 9), (1, 10)] {
            site.hear(&[again(later(&said[n], minute), n as u16 + 1)]);
        }
        assert_eq!(site.values("b-1", "fill_pct"), [50.0, 50.0, 51.0], "sealed: {is_sealed}");
        site.hear(&[again(later(&said[0], 11), 1)]);
        assert_eq!(site.values("b-1", "fill_pct").len(), 4, "after ten minutes it is a new one");
    }
}

#[test]
fn a_message_that_arrives_while_a_seal_runs_is_known_after_a_restart_and_stands_for_itself_only() {
    let mut site = Site::sealing_at(1);
    let said = |minute| fill("b-1", 50.0, minutes(minute));
    site.hear(&[fill("b-1", 10.0, minutes(0))]);
    let seal = site.job.take();
    site.hear(&[published(said(1), 1)]);
    site.job = seal;
    site.works(minutes(1));
    site.restarts(minutes(2));
    // The first one comes again, then one that never came before, though it says the same.
    site.hear(&[again(said(3), 1), again(said(3), 2)]);
    assert_eq!(site.values("b-1", "fill_pct"), [10.0, 50.0, 50.0]);
}

#[test]
fn a_suspect_reading_that_comes_again_after_a_seal_and_a_restart_does_not_confirm_itself() {
    let mut site = Site::new();
    site.hear(&[message(TOPIC, r#"{"distance_mm":1000}"#, minutes(0))]);
    site.put(Device { calibration: Calibration::distances(1_200.0, 200.0), ..site.device("b-1") });
    site.seals(minutes(14));
    let jump = |minute| message(TOPIC, r#"{"distance_mm":300}"#, minutes(minute));
    site.hear(&[published(jump(15), 7)]);
    assert_eq!(site.doubts("b-1"), [(300.0, "spike", true)]);
    // Of others: of this device there is nothing to seal.
    site.hear(&[fill("b-2", 10.0, minutes(16))]);
    site.seals(minutes(17));
    site.restarts(minutes(18));
    site.hear(&[again(jump(19), 7)]);
    assert_eq!(site.values("b-1", "distance_mm"), [1_000.0]);
    assert_eq!(site.doubts("b-1"), [(300.0, "spike", true)]);
}

/// What happens between a client and the site. All of it takes five seconds.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// A message is sent; its acknowledgement does not arrive, so it stays in flight. Nor does it, if it is lost.
    Publish {
        percent: u8,
        is_lost: bool,
    },
    /// The acknowledgement of one that is in flight arrives, if the message itself did.
    Acknowledged {
        which: usize,
    },
    /// The connection breaks: all that is in flight comes again, this one first.
    Reconnects {
        first: usize,
    },
    /// What arrived so far is one group.
    Commit,
    Seals,
    Restarts,
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::{Acknowledged, Commit, Publish, Reconnects, Restarts, Seals};
    prop_oneof![
        6 => (0..3_u8, prop::bool::weighted(0.2)).prop_map(|(percent, is_lost)| Publish { percent, is_lost }),
        2 => any::<usize>().prop_map(|which| Acknowledged { which }),
        3 => any::<usize>().prop_map(|first| Reconnects { first }),
        3 => Just(Commit),
        1 => Just(Seals),
        1 => Just(Restarts),
    ]
}

struct InFlight {
    percent: u8,
    packet_id: u16,
    has_arrived: bool,
}

#[derive(Default)]
struct Client {
    in_flight: Vec<InFlight>,
    last_packet_id: u16,
    group: Vec<Message>,
    /// What must be stored, in the order in which it arrived first.
    arrived: Vec<f64>,
}

impl Client {
    fn publishes(&mut self, percent: u8, is_lost: bool, now: TimestampMs) {
        self.last_packet_id += 1;
        let (packet_id, has_arrived) = (self.last_packet_id, !is_lost);
        self.in_flight.push(InFlight { percent, packet_id, has_arrived });
        if has_arrived {
            self.arrived.push(f64::from(percent));
            self.group.push(published(fill("b-1", f64::from(percent), now), packet_id));
        }
    }

    fn is_told(&mut self, which: usize) {
        let length = self.in_flight.len().max(1);
        if self.in_flight.get(which % length).is_some_and(|sent| sent.has_arrived) {
            self.in_flight.remove(which % length);
        }
    }

    fn reconnects(&mut self, first: usize, now: TimestampMs) {
        let length = self.in_flight.len().max(1);
        self.in_flight.rotate_left(first % length);
        for sent in &mut self.in_flight {
            if !std::mem::replace(&mut sent.has_arrived, true) {
                self.arrived.push(f64::from(sent.percent));
            }
            self.group.push(again(fill("b-1", f64::from(sent.percent), now), sent.packet_id));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_again_within_ten_minutes_is_stored_once(
        happenings in proptest::collection::vec(happening(), 1..40),
    ) {
        let mut site = Site::new();
        let mut client = Client::default();
        let mut now = START;
        for happening in happenings {
            now = now.plus_ms(5 * SECOND_MS);
            match happening {
                Happening::Publish { percent, is_lost } => client.publishes(percent, is_lost, now),
                Happening::Acknowledged { which } => client.is_told(which),
                Happening::Reconnects { first } => client.reconnects(first, now),
                Happening::Commit => site.hear(&std::mem::take(&mut client.group)),
                Happening::Seals => site.seals(now),
                Happening::Restarts => site.restarts(now),
            }
        }
        site.hear(&client.group);
        prop_assert_eq!(site.values("b-1", "fill_pct"), client.arrived);
    }
}
