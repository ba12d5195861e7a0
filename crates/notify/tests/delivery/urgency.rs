//! The most severe first, always; and trouble stays where it belongs.

use std::sync::atomic::Ordering;

use sanimon_domain::time::{DAY_MS, HOUR_MS};
use sanimon_store::MessageState;

use crate::http_receiver::{HttpReceiver, Reply, status};
use crate::town::{Entry, Town, at_once, entry, pass, within};

#[tokio::test(start_paused = true)]
async fn a_critical_one_that_comes_while_others_go_out_is_next() {
    let (town, hook) = (Town::new(), HttpReceiver::start(|_| status(200)));
    town.put(&[entry("minor", "leaf"); 30]);
    hook.hold();
    let running = town.start("c", hook.webhook());
    at_once("the first of them is under way", || hook.told().len() == 1).await;
    town.put(&[entry("major", "smoke"), entry("critical", "flood"), entry("critical", "fire")]);
    hook.release();
    at_once("all are told", || town.count("sent") == 33).await;
    let order = hook.took(&["leaf", "smoke", "flood", "fire"]);
    assert_eq!(order[..5], ["leaf", "flood", "fire", "smoke", "leaf"]);
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_channels_of_which_one_hangs_the_other_goes_on() {
    let town = Town::new();
    let (deaf, well) = (HttpReceiver::start(|_| status(200)), HttpReceiver::start(|_| status(200)));
    deaf.hold();
    town.put(&[Entry { channel: "deaf", ..entry("major", "smoke") }]);
    let first = town.start("deaf", deaf.webhook());
    at_once("one hangs", || deaf.told().len() == 1).await;
    let second = town.start("c", well.webhook());
    town.put(&[entry("major", "smoke"); 50]);
    at_once("the other has told all", || well.told().len() == 50).await;
    assert_eq!(deaf.told().len(), 1);
    deaf.release();
    at_once("both are done", || town.count("sent") == 51).await;
    town.stop(first).await;
    town.stop(second).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_while_others_pass_is_given_up_with_the_receivers_word() {
    for (answer, tries) in [(400, 2), (413, 2), (403, 3), (404, 3), (500, 3), (503, 3)] {
        let hook = HttpReceiver::start(move |body| status(if body.contains("curse") { answer } else { 200 }));
        let town = Town::new();
        let bad = town.put(&[entry("critical", "curse"), entry("minor", "leaf"), entry("minor", "leaf")])[0];
        let running = town.start("c", hook.webhook());
        at_once("the others are told", || town.count("sent") == 2).await;
        for n in 3..12 {
            town.put(&[entry("minor", "leaf")]);
            within(3, "another one passes", || town.count("sent") == n).await;
            pass(5).await;
        }
        let message = town.message(bad);
        assert_eq!((message.state, hook.times("curse")), (MessageState::Dead, tries), "{answer}");
        assert!(message.error.unwrap().contains(&format!("the receiver answered {answer}")));
        town.stop(running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_of_passing_trouble_never_costs_a_message() {
    let hook = HttpReceiver::start(|body| status(if body.contains("smoke") { 429 } else { 200 }));
    let town = Town::new();
    let slow = town.put(&[entry("major", "smoke")])[0];
    let running = town.start("c", hook.webhook());
    for n in 1..20 {
        town.put(&[entry("minor", "leaf")]);
        within(60, "another one passes", || town.count("sent") == n).await;
        pass(60).await;
    }
    assert_eq!(town.message(slow).state, MessageState::Waiting);
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn when_everything_fails_nothing_is_given_up_and_all_go_out_when_it_is_over() {
    for answer in [400, 401, 404, 410, 429, 500, 503] {
        let town = Town::new();
        let (hook, is_down) = HttpReceiver::that_fails(answer);
        town.put(&[
            entry("minor", "leaf"),
            entry("critical", "flood"),
            entry("major", "smoke"),
            entry("minor", "leaf"),
        ]);
        let running = town.start("c", hook.webhook());
        pass(HOUR_MS as u64 / 1_000).await;
        assert_eq!(town.count("waiting"), 4, "{answer}");
        let in_vain = hook.told().len();
        assert!((8..=80).contains(&in_vain), "{answer}: {in_vain} tries in an hour");
        is_down.store(false, Ordering::SeqCst);
        within(605, "all are told", || town.count("sent") == 4).await;
        town.stop(running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_message_ends_the_rest_of_a_receiver_that_is_well_again() {
    let (town, (hook, is_down)) = (Town::new(), HttpReceiver::that_fails(502));
    town.put(&[entry("minor", "leaf"); 5]);
    let running = town.start("c", hook.webhook());
    pass(3_000).await;
    is_down.store(false, Ordering::SeqCst);
    town.put(&[entry("critical", "flood")]);
    within(2, "all are told", || town.count("sent") == 6).await;
    assert_eq!(hook.took(&["flood", "leaf"])[0], "flood");
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_a_pause_gets_it() {
    let busy = Reply { status: 503, head: "retry-after: 300\r\n", body: "{}" };
    let hook = HttpReceiver::start(move |_| busy.clone());
    let town = Town::new();
    town.put(&[entry("major", "smoke"), entry("major", "smoke")]);
    let running = town.start("c", hook.webhook());
    at_once("both were tried", || hook.told().len() == 2).await;
    pass(250).await;
    town.put(&[entry("critical", "flood")]);
    pass(45).await;
    assert_eq!(hook.told().len(), 2);
    within(10, "it is asked again", || hook.told().len() > 2).await;
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_lone_message_is_tried_until_its_time_is_over() {
    let hook = HttpReceiver::start(|_| status(400));
    let town = Town::new();
    let id = town.put(&[entry("major", "smoke")])[0];
    let running = town.start("c", hook.webhook());
    pass(DAY_MS as u64 / 1_000 - 700).await;
    assert_eq!(town.message(id).state, MessageState::Waiting);
    let tries = hook.told().len();
    assert!((140..160).contains(&tries), "{tries}");
    within(1_400, "it is given up", || town.message(id).state == MessageState::Dead).await;
    let error = town.message(id).error.unwrap();
    assert!(error.starts_with("its time was over") && error.contains("answered 400"), "{error}");
    town.stop(running).await;
}
