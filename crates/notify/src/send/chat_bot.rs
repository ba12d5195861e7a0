//! Bots of group chats: WeCom (企业微信), DingTalk (钉钉) and Feishu (飞书).
//!
//! All three take a POST of JSON and answer 200 also when they refuse; the code in the answer decides ([`super::codes`]).
//! Formats as their vendors' developer pages describe them: WeCom `msgtype: markdown` of at most 4,096 bytes; DingTalk
//! signs `timestamp + "\n" + secret` with the secret as the key, in the address; Feishu signs nothing with
//! `timestamp + "\n" + secret` as the key, in the body.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sanimon_domain::TimestampMs;
use serde_json::{Value, json};
use ureq::Agent;

use super::http::{Answer, by_status, post};
use super::webhook::hmac_sha256;
use super::{OutgoingMessage, codes};
use crate::channel::ChatBot;
use crate::failure::{Cause, Failure};

/// WeCom refuses longer markdown.
const WECOM_BYTES_MAX: usize = 4_096;
/// DingTalk refuses messages above 20,000 bytes, Feishu bodies above 20 kB: what is around the text needs some.
const DINGTALK_BYTES_MAX: usize = 18_000;
const FEISHU_BYTES_MAX: usize = 18_000;

pub(super) fn send(
    agent: &Agent,
    (bot, url, secret): (ChatBot, &str, Option<&str>),
    now: TimestampMs,
    outgoing: &OutgoingMessage<'_>,
) -> Result<(), Failure> {
    let (url, body) = match bot {
        ChatBot::WeCom => (url.to_owned(), wecom(outgoing)),
        ChatBot::DingTalk => (dingtalk_url(url, secret, now), dingtalk(outgoing)),
        ChatBot::Feishu => (url.to_owned(), feishu(outgoing, secret, now)),
    };
    judge(bot, &post(agent, &url, &[], &body.to_string())?)
}

/// The beginning of a text that has at most so many bytes.
fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

fn wecom(outgoing: &OutgoingMessage<'_>) -> Value {
    let content = format!("**{}**\n{}", outgoing.text.subject, outgoing.text.body);
    let content = cut(content, WECOM_BYTES_MAX);
    json!({ "msgtype": "markdown", "markdown": { "content": content } })
}

fn dingtalk(outgoing: &OutgoingMessage<'_>) -> Value {
    // A single line break is none in its markdown.
    let text = format!("#### {}\n\n{}", outgoing.text.subject, outgoing.text.body.replace('\n', "  \n"));
    let text = cut(text, DINGTALK_BYTES_MAX);
    json!({ "msgtype": "markdown", "markdown": { "title": outgoing.text.subject, "text": text } })
}

fn dingtalk_url(url: &str, secret: Option<&str>, now: TimestampMs) -> String {
    let Some(secret) = secret else { return url.to_owned() };
    let sign = hmac_sha256(secret.as_bytes(), format!("{}\n{secret}", now.0).as_bytes());
    let sign = BASE64_STANDARD.encode(sign).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}timestamp={}&sign={sign}", now.0)
}

fn feishu(outgoing: &OutgoingMessage<'_>, secret: Option<&str>, now: TimestampMs) -> Value {
    let text = cut(format!("{}\n{}", outgoing.text.subject, outgoing.text.body), FEISHU_BYTES_MAX);
    let mut body = json!({ "msg_type": "text", "content": { "text": text } });
    if let Some(secret) = secret {
        let seconds = now.0.div_euclid(1_000);
        let sign = hmac_sha256(format!("{seconds}\n{secret}").as_bytes(), b"");
        body["timestamp"] = seconds.to_string().into();
        body["sign"] = BASE64_STANDARD.encode(sign).into();
    }
    body
}

/// They say no with a code in an answer of 200; with another status the code still says more than that.
fn judge(bot: ChatBot, answer: &Answer) -> Result<(), Failure> {
    let said: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let code = match bot {
        ChatBot::WeCom | ChatBot::DingTalk => said["errcode"].as_i64(),
        ChatBot::Feishu => said["code"].as_i64().or(said["StatusCode"].as_i64()),
    };
    match (by_status(answer.status), code) {
        (None, Some(0)) => Ok(()),
        (None, None) => Err(Failure::undecided("the answer is not a chat bot's: is the address right?")),
        (by_status, Some(code)) if code != 0 => {
            let cause = match codes::cause(bot, code) {
                Cause::Undecided => by_status.unwrap_or(Cause::Undecided),
                known => known,
            };
            let text = said["errmsg"].as_str().or(said["msg"].as_str()).unwrap_or("no reason given");
            let reason = format!("the chat bot refused it with code {code}: {text}");
            Err(Failure { cause, reason, retry_after_ms: answer.retry_after_ms })
        }
        (by_status, _) => Err(answer.failure(by_status.unwrap_or(Cause::Undecided))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    const NOW: TimestampMs = TimestampMs(1_772_323_200_000);

    fn with_message<T>(body: &str, check: impl FnOnce(&OutgoingMessage<'_>) -> T) -> T {
        let text = Text { subject: "满了".to_owned(), body: body.to_owned() };
        check(&OutgoingMessage { key: "k", ids: &[1], site_name: "S", text: &text, about: &[], devices: &[] })
    }

    #[test]
    fn wecom_gets_no_more_than_it_takes_and_no_half_character() {
        let body = with_message(&"长".repeat(3_000), wecom);
        let content = body["markdown"]["content"].as_str().expect("a text");
        assert!(content.len() <= WECOM_BYTES_MAX && content.ends_with('长'));
    }

    /// The signatures were computed with Python's hmac, as the vendors' examples do.
    #[test]
    fn signatures_are_those_of_the_vendors_examples() {
        let url = dingtalk_url("https://oapi.dingtalk.com/robot/send?access_token=x", Some("SEC"), NOW);
        assert_eq!(url, DINGTALK);
        let body = with_message("x", |outgoing| feishu(outgoing, Some("SEC"), NOW));
        assert_eq!((body["timestamp"].as_str(), body["sign"].as_str()), (Some("1772323200"), Some(FEISHU)));
    }

    const DINGTALK: &str = "https://oapi.dingtalk.com/robot/send?access_token=x&timestamp=1772323200000&sign=pq%2BDnUFx7Ti6zrWBJSRfkdsKf6PDmy1C5lUtvtK2ro8%3D";
    const FEISHU: &str = "KqdB389P16KfjI1qPMQIitU0WyI6qVQhbfmTNc+oPmw=";

    fn answered(bot: ChatBot, status: u16, text: &str) -> Result<(), Cause> {
        let answer = Answer { status, text: text.to_owned(), retry_after_ms: None };
        judge(bot, &answer).map_err(|failure| failure.cause)
    }

    #[test]
    fn a_no_in_an_answer_of_200_is_a_no() {
        assert_eq!(answered(ChatBot::WeCom, 200, r#"{"errcode":0,"errmsg":"ok"}"#), Ok(()));
        assert_eq!(answered(ChatBot::Feishu, 200, r#"{"StatusCode":0}"#), Ok(()));
        let refused = |code| answered(ChatBot::WeCom, 200, &format!(r#"{{"errcode":{code}}}"#));
        assert_eq!(refused(40_058), Err(Cause::Content));
        assert_eq!(refused(45_009), Err(Cause::Passing));
        assert_eq!(refused(99_999), Err(Cause::Undecided));
        assert_eq!(answered(ChatBot::WeCom, 200, "<html>"), Err(Cause::Undecided));
        assert_eq!(answered(ChatBot::WeCom, 502, "<html>"), Err(Cause::Undecided));
        let answer = Answer {
            status: 200,
            text: r#"{"errcode":310000,"errmsg":"sign not match"}"#.to_owned(),
            retry_after_ms: None,
        };
        let failure = judge(ChatBot::DingTalk, &answer).expect_err("a refusal");
        assert!(failure.reason.contains("310000") && failure.reason.contains("sign not match"), "{failure}");
    }

    #[test]
    fn a_code_says_more_than_the_status_around_it() {
        assert_eq!(answered(ChatBot::Feishu, 400, r#"{"code":11232}"#), Err(Cause::Passing));
        assert_eq!(answered(ChatBot::Feishu, 400, r#"{"code":9499}"#), Err(Cause::Content));
        assert_eq!(answered(ChatBot::Feishu, 500, r#"{"code":0}"#), Err(Cause::Undecided));
        assert_eq!(answered(ChatBot::DingTalk, 413, "too large"), Err(Cause::Content));
    }
}
