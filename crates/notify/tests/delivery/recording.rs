//! Nothing is sent twice because its outcome could not be written down.

use std::sync::atomic::Ordering;

use crate::http_receiver::{HttpReceiver, status};
use crate::town::{Town, at_once, entry, pass, within};

#[tokio::test(start_paused = true)]
async fn while_the_disk_is_full_messages_go_out_once_and_are_written_down_later() {
    let (town, hook) = (Town::new(), HttpReceiver::start(|_| status(200)));
    town.ledger.is_full.store(true, Ordering::SeqCst);
    town.put(&[entry("major", "smoke"); 30]);
    let running = town.start("c", hook.webhook());
    at_once("all go out", || hook.told().len() == 30).await;
    pass(600).await;
    town.put(&[entry("minor", "leaf")]);
    within(1, "others still go out", || hook.told().len() == 31).await;
    assert_eq!(town.count("waiting"), 31);
    let refused = town.ledger.refused.load(Ordering::SeqCst);
    assert!((100..=125).contains(&refused), "offered again each 5 s: {refused} in 10 min");
    town.ledger.is_full.store(false, Ordering::SeqCst);
    within(6, "all is written down", || town.count("sent") == 31).await;
    pass(600).await;
    assert_eq!(hook.told().len(), 31);
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_but_not_written_down_outlives_a_panic_of_the_channel() {
    let (town, hook) = (Town::new(), HttpReceiver::start(|_| status(200)));
    town.ledger.is_full.store(true, Ordering::SeqCst);
    town.put(&[entry("major", "smoke"); 3]);
    let running = town.start("c", hook.webhook());
    at_once("all go out", || hook.told().len() == 3).await;
    pass(1).await;
    let delivery = running.delivery.clone();
    town.clock.panic_at_question(1);
    town.ring();
    assert!(running.task.await.is_err());
    let running = town.run(delivery);
    pass(60).await;
    town.ledger.is_full.store(false, Ordering::SeqCst);
    within(6, "all is written down", || town.count("sent") == 3).await;
    assert_eq!(hook.told().len(), 3);
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn failures_that_could_not_be_written_down_do_not_stop_the_tries() {
    let (town, (hook, is_down)) = (Town::new(), HttpReceiver::that_fails(500));
    town.ledger.is_full.store(true, Ordering::SeqCst);
    town.put(&[entry("major", "smoke"); 3]);
    let running = town.start("c", hook.webhook());
    pass(120).await;
    assert!(hook.told().len() > 5);
    is_down.store(false, Ordering::SeqCst);
    within(300, "they go out", || hook.took(&["smoke"]).len() == 3).await;
    town.ledger.is_full.store(false, Ordering::SeqCst);
    within(6, "all is written down", || town.count("sent") == 3).await;
    assert_eq!(hook.took(&["smoke"]).len(), 3);
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_disk_is_bounded_and_then_the_channel_sends_nothing_more() {
    let (town, hook) = (Town::new(), HttpReceiver::start(|_| status(200)));
    town.ledger.is_full.store(true, Ordering::SeqCst);
    town.put(&vec![entry("major", "smoke"); 1_005]);
    let running = town.start("c", hook.webhook());
    at_once("a thousand go out", || hook.told().len() == 1_000).await;
    pass(600).await;
    assert_eq!(hook.told().len(), 1_000);
    town.ledger.is_full.store(false, Ordering::SeqCst);
    within(10, "the rest follows", || town.count("sent") == 1_005).await;
    assert_eq!(hook.told().len(), 1_005);
    town.stop(running).await;
}
