//! Rows 76, 81, 93, 130, 132 and 134 over `kill -9` and over a stop: what is in the file.

use super::bytes::{
    MESSAGE_EXPIRY, PUBCOMP, PUBREC, PUBREL, SESSION_EXPIRY, SUBSCRIPTION_ID, USER, WILL_DELAY, ack,
    disconnect_with, u32_property, user, v4, v5,
};
use super::raw::Raw;
use crate::harness::{Site, wait_for};

fn end(site: &mut Site, is_kill: bool) {
    if is_kill {
        site.kill();
    } else {
        assert_eq!(site.stop(), 0);
    }
}

fn again(site: &mut Site, is_kill: bool) {
    end(site, is_kill);
    site.start();
}

#[test]
fn n076_n077_n081_n130_n132_a_session_with_all_that_it_holds_survives() {
    for is_kill in [true, false] {
        let mut site = Site::started("");
        let mut says = Raw::join(site.mqtt, &v5("says").kept(600));
        let own = v5("n081").kept(600);
        let mut raw = Raw::join(site.mqtt, &own);
        assert_eq!(raw.subscribe_with(&[SUBSCRIPTION_ID, 5], &[("n081/#", 2)]), [2]);
        assert_eq!(raw.subscribe(&[("gone/#", 1)]), [1]);
        assert_eq!(raw.unsubscribe(&["gone/#"]), [0]);
        let more = [u32_property(MESSAGE_EXPIRY, 600), user("k", "v")].concat();
        for (qos, payload) in [(1, "one"), (2, "two"), (1, "three"), (0, "zero"), (2, "four")] {
            says.publish_with((qos, 0), "n081/x", &more, payload);
        }
        let sent: Vec<_> = (0..5).map(|_| raw.message()).collect();
        raw.send(&ack(PUBREC, sent[1].id.unwrap()));
        assert_eq!(raw.ack(PUBREL).0, sent[1].id.unwrap());
        raw.acknowledge(&sent[2]);
        // What the client has said is written with the next group: one that is answered comes after it.
        raw.publish(1, "other", "a group");
        says.retain(1, "kept/x", "kept");
        says.retain(1, "kept/y", "removed");
        says.retain(1, "kept/y", "");
        // A QoS 2 message that is received and not released, and one that is.
        says.send(&says.publish_bytes((2, 0), 900, "n081/in", &[], "in"));
        assert_eq!(says.ack(PUBREC), (900, 0));
        let last = raw.message();
        says.publish(2, "n132/free", "x");
        let free = says.next_id() - 1;

        again(&mut site, is_kill);
        let (mut raw, connack) = Raw::try_join(site.mqtt, &own);
        assert!(connack.is_present, "kill {is_kill}");
        let one = raw.message();
        assert_eq!((&one.payload[..], one.dup, one.id), ("one", true, sent[0].id));
        assert_eq!(one.all(USER), [b"k=v"]);
        assert_eq!(one.all(SUBSCRIPTION_ID), [[5]]);
        assert!(one.property(MESSAGE_EXPIRY).is_some());
        assert_eq!(raw.ack(PUBREL), (sent[1].id.unwrap(), 0));
        let four = raw.message();
        assert_eq!((&four.payload[..], four.dup, four.id), ("four", true, sent[4].id));
        let incoming = raw.message();
        assert_eq!((&incoming.payload[..], incoming.dup, incoming.id), ("in", true, last.id));
        raw.send(&ack(PUBCOMP, sent[1].id.unwrap()));
        [one, four, incoming].iter().for_each(|message| raw.acknowledge(message));

        let (mut says, connack) = Raw::try_join(site.mqtt, &v5("says").kept(600));
        assert!(connack.is_present);
        says.send(&says.publish_bytes((2, 8), 900, "n081/in", &[], "in"));
        assert_eq!(says.ack(PUBREC), (900, 0), "not delivered again");
        says.send(&ack(PUBREL, 900));
        assert_eq!(says.ack(PUBCOMP), (900, 0));
        says.send(&ack(PUBREL, free));
        assert_eq!(says.ack(PUBCOMP), (free, 0x92), "n134: its removal is on disk before PUBCOMP");
        says.publish(1, "gone/x", "nobody's");
        says.publish(1, "n081/x", "new");
        assert_eq!(raw.take().payload, "new");
        raw.subscribe(&[("kept/#", 0)]);
        assert_eq!(raw.take().brief(), ("kept", 0, true));
        says.publish(0, "n081/x", "fence");
        assert_eq!(raw.take().payload, "fence", "and nothing removed comes back");
        raw.leave();
        // At rest nothing of it comes a second time.
        again(&mut site, is_kill);
        let mut raw = Raw::join(site.mqtt, &own);
        raw.send_publish((0, 0), "n081/x", &[], "rest");
        assert_eq!(raw.take().payload, "rest");
    }
}

#[test]
fn n024_n061_trap_9_who_is_away_gets_what_came_before_it_is_back_also_after_a_kill() {
    let mut site = Site::started("");
    let own = v4("n024").kept(0);
    let mut raw = Raw::join(site.mqtt, &own);
    raw.subscribe(&[("n024", 1)]);
    raw.leave();
    let mut says = Raw::join(site.mqtt, &v4("says"));
    says.publish(1, "n024", "before");
    again(&mut site, true);
    let mut says = Raw::join(site.mqtt, &v4("says"));
    says.publish(1, "n024", "after");
    let (mut raw, connack) = Raw::try_join(site.mqtt, &own);
    assert!(connack.is_present);
    assert_eq!([raw.take().payload, raw.take().payload], ["before", "after"]);
}

#[test]
fn n076_trap_15_a_sessions_time_runs_while_the_product_is_down() {
    for is_kill in [true, false] {
        let mut site = Site::started("");
        let mut raw = Raw::join(site.mqtt, &v5("short").kept(2));
        raw.subscribe(&[("n076", 1)]);
        let mut long = Raw::join(site.mqtt, &v5("long").kept(600));
        long.subscribe(&[("n076", 1)]);
        raw.leave();
        long.leave();
        // It is in the file that they are away when something later is.
        Raw::join(site.mqtt, &v4("says")).publish(1, "other", "x");
        end(&mut site, is_kill);
        let down = std::time::Instant::now();
        wait_for("longer than its session is kept", || (down.elapsed().as_secs_f64() > 2.1).then_some(()));
        site.start();
        assert!(!Raw::try_join(site.mqtt, &v5("short").kept(2)).1.is_present, "kill {is_kill}");
        assert!(Raw::try_join(site.mqtt, &v5("long").kept(600)).1.is_present);
    }
}

#[test]
fn n093_a_kept_sessions_will_waits_for_the_restart_and_is_taken_back_by_a_return() {
    for is_kill in [true, false] {
        let mut site = Site::started("");
        let with_will = |id: &str, delay_s| {
            v5(id).kept(600).will_with(0x08, &u32_property(WILL_DELAY, delay_s), "n093", id)
        };
        let mut hears = Raw::join(site.mqtt, &v5("hears").kept(600));
        hears.subscribe(&[("n093", 1)]);
        let _back = Raw::join(site.mqtt, &with_will("back", 30));
        let _lost = Raw::join(site.mqtt, &with_will("lost", 0));
        let mut left = Raw::join(site.mqtt, &with_will("left", 0));
        left.send(&disconnect_with(0, &u32_property(SESSION_EXPIRY, 600)));
        assert_eq!(left.end(), None);
        Raw::join(site.mqtt, &v4("says")).publish(1, "other", "x");
        again(&mut site, is_kill);
        let mut back = Raw::join(site.mqtt, &v5("back").kept(600));
        let mut hears = Raw::join(site.mqtt, &v5("hears").kept(600));
        assert_eq!(hears.take().payload, "lost", "kill {is_kill}");
        back.publish(1, "n093", "fence");
        assert_eq!(hears.take().payload, "fence", "and no other will");
    }
}
