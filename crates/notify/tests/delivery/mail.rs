//! Mailboxes are people: one that is gone costs nobody else the mail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sanimon_domain::time::HOUR_MS;
use sanimon_store::MessageState;

use crate::mail_receiver::{MailReceiver, TAKEN};
use crate::town::{Entry, Town, at_once, entry, pass, within};

const CHIEF: &str = "chief@town.example";
const GONE: &str = "gone@town.example";
const DUTY: &str = "duty@town.example";

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_gone_is_named_and_all_others_get_the_mail() {
    let server = MailReceiver::start(
        |address| if address == GONE { "550 5.1.1 no such mailbox" } else { TAKEN },
        |_| TAKEN,
    );
    let town = Town::new();
    let id = town.put(&[entry("critical", "flood")])[0];
    let running = town.start("c", server.channel(&[CHIEF, GONE, DUTY, "no address"]));
    at_once("it is sent", || town.message(id).state == MessageState::Sent).await;
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, [CHIEF, DUTY]);
    assert!(mails[0].text.contains("flood") && mails[0].text.contains(&format!("<c-{id}@sanimon>")));
    let note = town.message(id).error.unwrap();
    assert_eq!(
        note,
        "not to gone@town.example: 550 5.1.1 no such mailbox; not to no address: this is no address"
    );
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_full_for_now_gets_it_later_and_nobody_gets_it_twice() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let busy = move |address: &str| {
        let is_busy = address == DUTY && count.fetch_add(1, Ordering::SeqCst) < 3;
        if is_busy { "452 4.2.2 mailbox full" } else { TAKEN }
    };
    let server = MailReceiver::start(busy, |_| TAKEN);
    let town = Town::new();
    let id = town.put(&[entry("critical", "flood")])[0];
    let running = town.start("c", server.channel(&[CHIEF, DUTY]));
    at_once("one has it", || server.got(CHIEF) == 1 && town.message(id).error.is_some()).await;
    let message = town.message(id);
    assert_eq!(message.state, MessageState::Waiting);
    assert_eq!(message.error.unwrap(), "not yet to duty@town.example: 452 4.2.2 mailbox full");
    town.put(&[entry("minor", "leaf")]);
    within(2, "others are not held up", || server.got(CHIEF) == 2).await;
    within(60, "the other one has it", || town.message(id).state == MessageState::Sent).await;
    within(60, "and the other mail", || town.count("sent") == 2).await;
    assert_eq!((server.got(CHIEF), server.got(DUTY)), (2, 2));
    assert_eq!(server.asked_for(CHIEF), 2);
    assert_eq!(town.message(id).error, None);
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_stays_full_is_named_in_the_end() {
    let server = MailReceiver::start(|address| if address == DUTY { "452 full" } else { TAKEN }, |_| TAKEN);
    let town = Town::new();
    let entry = Entry { expires_in_ms: HOUR_MS, ..entry("critical", "flood") };
    let id = town.put(&[entry])[0];
    let running = town.start("c", server.channel(&[CHIEF, DUTY]));
    for _ in 0..20 {
        pass(60).await;
        town.put(&[entry]);
    }
    assert_eq!(town.message(id).state, MessageState::Waiting, "others pass, and nothing is held against it");
    within(3_600, "its time is over", || town.message(id).state == MessageState::Sent).await;
    assert_eq!(town.message(id).error.unwrap(), "not to duty@town.example: 452 full");
    let first = server.mails().into_iter().filter(|mail| mail.text.contains(&format!("<c-{id}@")));
    assert_eq!(first.count(), 1, "nobody got it twice");
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn when_no_mailbox_is_taken_the_mail_waits() {
    let server = MailReceiver::start(|_| "550 relaying denied", |_| TAKEN);
    let town = Town::new();
    town.put(&[entry("critical", "flood"), entry("major", "smoke")]);
    let running = town.start("c", server.channel(&[CHIEF, DUTY]));
    pass(3_600).await;
    assert_eq!(town.count("waiting"), 2);
    let error = town.message(1).error.unwrap();
    assert!(error.contains(CHIEF) && error.contains("550 relaying denied"), "{error}");
    town.stop(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_text_that_the_server_refuses_costs_only_itself() {
    let refused = Arc::new(Mutex::new(0));
    let count = refused.clone();
    let filter = move |mail: &str| {
        if mail.contains("curse") {
            *count.lock().unwrap() += 1;
            "554 5.7.1 message content rejected"
        } else {
            TAKEN
        }
    };
    let server = MailReceiver::start(|_| TAKEN, filter);
    let town = Town::new();
    let bad = town.put(&[entry("critical", "curse"), entry("major", "smoke"), entry("major", "smoke")])[0];
    let running = town.start("c", server.channel(&[CHIEF]));
    at_once("the others are mailed", || server.got(CHIEF) == 2).await;
    within(10, "it is given up", || town.message(bad).state == MessageState::Dead).await;
    assert_eq!(*refused.lock().unwrap(), 2);
    assert!(town.message(bad).error.unwrap().contains("554 5.7.1 message content rejected"));
    town.stop(running).await;
}
