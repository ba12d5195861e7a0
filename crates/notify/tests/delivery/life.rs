//! A message's life: digests, retries, its time, and what a channel does when nothing happens.

use sanimon_domain::HeartbeatState;
use sanimon_domain::time::HOUR_MS;
use sanimon_store::MessageState;

use crate::http_receiver::{HttpReceiver, status};
use crate::town::{Entry, Town, at_once, entry, pass, within};

#[tokio::test(start_paused = true)]
async fn the_warnings_of_a_day_go_out_as_one_message_behind_what_is_worse() {
    let (town, hook) = (Town::new(), HttpReceiver::start(|_| status(200)));
    let warning = |title| Entry { is_digest: true, ..entry("warning", title) };
    let later = Entry { due_in_ms: HOUR_MS, ..warning("tomorrow") };
    let ids = town.put(&[warning("leaf"), warning("dust"), later, entry("minor", "smoke")]);
    let running = town.start("c", hook.webhook());
    at_once("they are told", || town.count("sent") == 3).await;
    let told = hook.told();
    assert_eq!(told.len(), 2);
    assert!(told[0].body.contains("smoke"));
    assert!(
        told[1].body.contains("leaf") && told[1].body.contains("dust") && !told[1].body.contains("tomorrow")
    );
    assert_eq!(told[1].key, format!("c-{}-{}", ids[0], ids[1]));
    within(3_700, "the next ones are told at their time", || town.count("sent") == 4).await;
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_fails_is_tried_again_as_one() {
    let (town, (hook, is_down)) = (Town::new(), HttpReceiver::that_fails(500));
    town.put(&[Entry { is_digest: true, ..entry("warning", "leaf") }; 3]);
    let running = town.start("c", hook.webhook());
    pass(60).await;
    is_down.store(false, std::sync::atomic::Ordering::SeqCst);
    within(100, "it is told", || town.count("sent") == 3).await;
    let keys: Vec<String> = hook.told().into_iter().map(|told| told.key).collect();
    assert!(keys.len() > 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_out_at_its_time_and_until_then_nobody_looks() {
    let (town, hook) = (Town::new(), HttpReceiver::start(|_| status(200)));
    let id = town.put(&[Entry {
        due_in_ms: 24 * HOUR_MS,
        expires_in_ms: 48 * HOUR_MS,
        ..entry("major", "smoke")
    }])[0];
    let running = town.start("c", hook.webhook());
    pass(23 * 3_600).await;
    // Each look is two words of the heartbeat; the clock may be set, so that it looks once a minute.
    let beats = running.heartbeat.beats();
    assert!(beats <= 2 * 24 * 60, "{beats} in a day");
    assert_eq!((hook.told().len(), running.heartbeat.state()), (0, HeartbeatState::Waiting));
    within(3_601, "it goes out", || town.message(id).state == MessageState::Sent).await;
    let done_at = town.message(id).done_at.unwrap();
    assert!(done_at.since_ms(town.message(id).due_at) < 1_000, "{done_at}");
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_given_up_and_is_tried_again_twice_goes_out_once() {
    let hook = HttpReceiver::start(|body| status(if body.contains("curse") { 400 } else { 200 }));
    let town = Town::new();
    let bad = town.put(&[entry("critical", "curse"), entry("minor", "leaf")])[0];
    let running = town.start("c", hook.webhook());
    within(10, "it is given up", || town.message(bad).state == MessageState::Dead).await;
    let tried = hook.times("curse");
    hook.hold();
    assert!(town.retry(bad), "it can be tried again");
    assert!(!town.retry(bad), "once");
    at_once("it is under way", || hook.times("curse") == tried + 1).await;
    assert!(!town.retry(bad), "also while it is under way");
    hook.release();
    pass(2).await;
    assert_eq!(hook.times("curse"), tried + 1);
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_about_an_alert_that_is_gone_is_given_up_without_troubling_anybody() {
    let (town, hook) = (Town::new(), HttpReceiver::start(|_| status(200)));
    let ids = town.put(&[entry("critical", "flood"), entry("minor", "leaf")]);
    town.forget_alert_of(ids[0]);
    let running = town.start("c", hook.webhook());
    at_once("both are done", || town.count("waiting") == 0).await;
    let gone = town.message(ids[0]);
    assert_eq!(gone.state, MessageState::Dead);
    assert!(gone.error.unwrap().contains("there is no alert"));
    assert_eq!(hook.told().len(), 1);
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_about_a_damaged_alert_is_given_up_and_the_others_go_out() {
    let (town, hook) = (Town::new(), HttpReceiver::start(|_| status(200)));
    let ids = town.put(&[entry("critical", "flood"), entry("minor", "leaf")]);
    town.damage_alert_of(ids[0]);
    let running = town.start("c", hook.webhook());
    at_once("both are done", || town.count("waiting") == 0).await;
    let given_up = town.message(ids[0]);
    assert_eq!(given_up.state, MessageState::Dead);
    assert!(given_up.error.unwrap().contains("`xyz`"));
    assert_eq!(hook.told().len(), 1);
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_reaches_the_caller_and_the_channel_can_be_run_again_with_others_before_that_message() {
    let (town, hook) = (Town::new(), HttpReceiver::start(|_| status(200)));
    let ids = town.put(&[entry("critical", "flood"), entry("minor", "leaf")]);
    // The first question is whose turn it is; the second one is asked in the middle of the message.
    town.clock.panic_at_question(3);
    let running = town.start("c", hook.webhook());
    let delivery = running.delivery.clone();
    assert!(running.task.await.expect_err("the panic").is_panic());
    assert_eq!(hook.told().len(), 0);
    let running = town.run(delivery);
    at_once("the other one goes out", || hook.told().len() == 1).await;
    assert!(hook.told()[0].body.contains("leaf"));
    pass(9).await;
    let broken = town.message(ids[0]);
    assert_eq!((broken.state, broken.attempts), (MessageState::Waiting, 1));
    assert!(broken.error.unwrap().starts_with("sanimon broke off"));
    within(2, "then this one", || town.message(ids[0]).state == MessageState::Sent).await;
    town.stop(running).await;
}
