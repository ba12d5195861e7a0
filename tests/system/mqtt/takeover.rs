//! Row 40, and what a take-over does to wills, messages and retained ones.

use super::bytes::{WILL_DELAY, connect, u32_property, v4, v5};
use super::raw::Raw;
use super::site;

#[test]
fn n040_n191_the_same_client_again_the_old_one_goes() {
    let site = site();
    for version in [4, 5] {
        let own = connect(version, &format!("n040-{version}"));
        for newcomer in [own.clone(), own.clone().kept(60), own.clone().kept(60), own.clone()] {
            let mut old = Raw::join(site.mqtt, &own);
            let mut new = Raw::join(site.mqtt, &newcomer);
            old.ends(0x8e);
            new.ping();
            new.leave();
        }
    }
}

#[test]
fn n021_n089_n090_wills_at_a_take_over_and_at_a_return() {
    let site = site();
    // delay, expiry, clean: published at a take-over? after a cut?
    let rows = [
        (5, 0, 0, false, true),
        (5, 0, 60, false, true),
        (5, 30, 0, false, true),
        (5, 30, 60, false, false),
        (5, 30, 60, true, true),
        (5, 0, 60, true, true),
        (4, 0, 60, false, true),
        (4, 0, 0, true, true),
    ];
    for (n, (version, delay_s, expiry_s, is_clean, is_published)) in rows.into_iter().enumerate() {
        for is_cut in [false, true] {
            let topic = format!("n090/{n}/{is_cut}");
            let mut hears = Raw::join(site.mqtt, &v4(&format!("n090-hears-{n}-{is_cut}")));
            hears.subscribe(&[(&topic, 1)]);
            let base = connect(version, &format!("n090-{n}-{is_cut}"));
            let kept = if expiry_s > 0 { base.clone().kept(expiry_s) } else { base.clone() };
            let delay = u32_property(WILL_DELAY, delay_s);
            let old = Raw::join(site.mqtt, &kept.clone().will_with(0, &delay, &topic, "will"));
            let newcomer = match (is_clean, version) {
                (true, 5) => base.anew(expiry_s),
                (true, _) => base,
                (false, _) => kept,
            };
            if is_cut {
                old.cut();
            }
            let mut new = Raw::join(site.mqtt, &newcomer);
            new.publish(1, &topic, "after");
            // Which of them is first is nobody's promise when the end and the newcomer come at the same time.
            let mut told = vec![hears.take().payload];
            if is_published {
                told.push(hears.take().payload);
                told.sort();
                assert_eq!(told, ["after", "will"], "{n} {is_cut}");
            } else {
                assert_eq!(told, ["after"], "{n} {is_cut}");
            }
            new.publish(1, &topic, "end");
            assert_eq!(hears.take().payload, "end", "{n} {is_cut}");
        }
    }
}

#[test]
fn trap_2_messages_that_come_while_a_session_is_handed_over_are_not_lost() {
    let site = site();
    let own = v5("trap2").kept(60);
    let mut raw = Raw::join(site.mqtt, &own);
    raw.subscribe(&[("trap2", 1)]);
    let port = site.mqtt;
    let says = std::thread::spawn(move || {
        let mut says = Raw::join(port, &v4("trap2-says"));
        (0..200).for_each(|n| says.publish(1, "trap2", &n.to_string()));
    });
    let mut seen = std::collections::BTreeSet::new();
    let mut last = -1;
    for round in 0..20 {
        for _ in 0..5 {
            let message = raw.take();
            let n: i32 = message.payload.parse().unwrap();
            assert!(message.dup || n > last, "new ones in order: {n} after {last}");
            last = last.max(n);
            seen.insert(n);
        }
        // The newcomer comes while messages are under way, over the old one or after it.
        let new = Raw::join(port, &own);
        if round % 2 == 0 { drop(std::mem::replace(&mut raw, new)) } else { raw = new }
    }
    says.join().unwrap();
    while seen.len() < 200 {
        seen.insert(raw.take().payload.parse().unwrap());
    }
}

#[test]
fn trap_3_the_old_connections_end_changes_nothing_for_the_newcomer() {
    let site = site();
    let mut hears = Raw::join(site.mqtt, &v4("trap3-hears"));
    hears.subscribe(&[("trap3/will", 0)]);
    let own = |payload| v5("trap3").kept(60).will("trap3/will", payload);
    let old = Raw::join(site.mqtt, &own("old"));
    let mut new = Raw::join(site.mqtt, &own("new"));
    assert_eq!(hears.message().payload, "old");
    new.subscribe(&[("trap3/x", 1)]);
    old.cut();
    let mut says = Raw::join(site.mqtt, &v4("trap3-says"));
    says.publish(1, "trap3/x", "still here");
    assert_eq!(new.take().payload, "still here");
    new.cut();
    assert_eq!(hears.message().payload, "new");
}

#[test]
fn trap_4_retained_messages_come_only_with_a_subscribe() {
    let site = site();
    let own = v5("trap4").kept(60);
    let mut raw = Raw::join(site.mqtt, &own);
    raw.retain(1, "trap4/x", "kept");
    raw.subscribe(&[("trap4/#", 1)]);
    assert_eq!(raw.take().brief(), ("kept", 1, true));
    raw.ping();
    let mut over = Raw::join(site.mqtt, &own);
    over.send_publish((0, 0), "trap4/y", &[], "live");
    raw.ends(0x8e);
    assert_eq!(over.message().payload, "live");
    over.cut();
    let mut back = Raw::join(site.mqtt, &own);
    back.send_publish((0, 0), "trap4/y", &[], "again");
    assert_eq!(back.message().payload, "again");
}
