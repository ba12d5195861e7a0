//! Chat bots say no in an answer of 200.

use sanimon_notify::ChatBot;
use sanimon_store::MessageState;

use crate::http_receiver::{HttpReceiver, Reply};
use crate::town::{Town, at_once, entry, pass, within};

const OK: Reply = Reply { status: 200, head: "", body: r#"{"errcode":0,"errmsg":"ok","code":0}"# };

#[tokio::test(start_paused = true)]
async fn a_text_with_a_word_that_is_not_allowed_holds_up_nobody() {
    let cases = [
        (ChatBot::WeCom, r#"{"errcode":40058,"errmsg":"content not allowed"}"#, MessageState::Dead),
        (ChatBot::WeCom, r#"{"errcode":99999,"errmsg":"who knows"}"#, MessageState::Dead),
        (ChatBot::DingTalk, r#"{"errcode":430104,"errmsg":"not allowed"}"#, MessageState::Dead),
        (
            ChatBot::DingTalk,
            r#"{"errcode":310000,"errmsg":"keywords not in content"}"#,
            MessageState::Waiting,
        ),
        (ChatBot::Feishu, r#"{"code":19024,"msg":"Key Words Not Found"}"#, MessageState::Waiting),
        (ChatBot::Feishu, r#"{"code":9499,"msg":"Bad Request"}"#, MessageState::Dead),
    ];
    for (bot, refusal, end) in cases {
        let refusal = Reply { body: refusal, ..OK };
        let chat = HttpReceiver::start(move |body| if body.contains("curse") { refusal.clone() } else { OK });
        let town = Town::new();
        let bad =
            town.put(&[entry("critical", "curse"), entry("major", "smoke"), entry("major", "smoke")])[0];
        let running = town.start("c", chat.chat_bot(bot));
        at_once("the others are told", || town.count("sent") == 2).await;
        for n in 3..10 {
            town.put(&[entry("minor", "leaf")]);
            within(3, "another one passes", || town.count("sent") == n).await;
            pass(8).await;
        }
        assert_eq!(town.message(bad).state, end, "{bot:?} {:?}", town.message(bad).error);
        town.stop(running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_was_exceeded_is_the_channels_trouble() {
    let chat = HttpReceiver::start(|_| Reply { body: r#"{"errcode":45009}"#, ..OK });
    let town = Town::new();
    town.put(&[entry("major", "smoke"); 10]);
    let running = town.start("c", chat.chat_bot(ChatBot::WeCom));
    pass(4).await;
    assert_eq!(chat.told().len(), 2, "then it rests");
    pass(3_600).await;
    assert_eq!(town.count("waiting"), 10);
    town.stop(running).await;
}
