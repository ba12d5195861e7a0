//! Group chat robots: WeCom (企业微信), DingTalk (钉钉) and Feishu (飞书).
//!
//! All three take a POST of JSON and answer 200 also when they refuse; the code in the answer decides. Formats as their
//! vendors' developer pages describe them: WeCom `msgtype: markdown` of at most 4,096 bytes; DingTalk signs
//! `timestamp + "\n" + secret` with the secret as the key, in the address; Feishu signs nothing with
//! `timestamp + "\n" + secret` as the key, in the body.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sanimon_domain::TimestampMs;
use serde_json::{Value, json};
use ureq::Agent;

use super::webhook::hmac_sha256;
use super::{Parcel, SendError, by_status, post};
use crate::channel::Robot;

/// WeCom refuses longer markdown.
const WECOM_BYTES_MAX: usize = 4_096;

pub(crate) fn send(
    agent: &Agent,
    (robot, url, secret): (Robot, &str, Option<&str>),
    now: TimestampMs,
    parcel: &Parcel<'_>,
) -> Result<(), SendError> {
    let (url, body) = match robot {
        Robot::WeCom => (url.to_owned(), wecom(parcel)),
        Robot::DingTalk => (dingtalk_url(url, secret, now), dingtalk(parcel)),
        Robot::Feishu => (url.to_owned(), feishu(parcel, secret, now)),
    };
    let (status, answer) = post(agent, &url, &[], &body.to_string())?;
    by_status(status, &answer)?;
    by_code(robot, &answer)
}

fn wecom(parcel: &Parcel<'_>) -> Value {
    let mut content = format!("**{}**\n{}", parcel.text.subject, parcel.text.body);
    while content.len() > WECOM_BYTES_MAX {
        content.pop();
    }
    json!({ "msgtype": "markdown", "markdown": { "content": content } })
}

fn dingtalk(parcel: &Parcel<'_>) -> Value {
    // A single line break is none in its markdown.
    let text = format!("#### {}\n\n{}", parcel.text.subject, parcel.text.body.replace('\n', "  \n"));
    json!({ "msgtype": "markdown", "markdown": { "title": parcel.text.subject, "text": text } })
}

fn dingtalk_url(url: &str, secret: Option<&str>, now: TimestampMs) -> String {
    let Some(secret) = secret else { return url.to_owned() };
    let sign = hmac_sha256(secret.as_bytes(), format!("{}\n{secret}", now.0).as_bytes());
    let sign = BASE64_STANDARD.encode(sign).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}timestamp={}&sign={sign}", now.0)
}

fn feishu(parcel: &Parcel<'_>, secret: Option<&str>, now: TimestampMs) -> Value {
    let text = format!("{}\n{}", parcel.text.subject, parcel.text.body);
    let mut body = json!({ "msg_type": "text", "content": { "text": text } });
    if let Some(secret) = secret {
        let seconds = now.0.div_euclid(1_000);
        let sign = hmac_sha256(format!("{seconds}\n{secret}").as_bytes(), b"");
        body["timestamp"] = seconds.to_string().into();
        body["sign"] = BASE64_STANDARD.encode(sign).into();
    }
    body
}

/// They say no with a code in an answer of 200.
fn by_code(robot: Robot, answer: &str) -> Result<(), SendError> {
    let said: Value = serde_json::from_str(answer).unwrap_or_default();
    let code = match robot {
        Robot::WeCom | Robot::DingTalk => said["errcode"].as_i64(),
        Robot::Feishu => said["code"].as_i64().or(said["StatusCode"].as_i64()),
    };
    let text = said["errmsg"].as_str().or(said["msg"].as_str()).unwrap_or("no reason given");
    match code {
        Some(0) => Ok(()),
        // Too many messages a minute, a signature out of time, an address that is wrong: people or time can mend it.
        Some(code) => Err(SendError::Passing(format!("the robot refused it with code {code}: {text}"))),
        None => Err(SendError::Passing("the answer is not a robot's: is the address right?".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    const NOW: TimestampMs = TimestampMs(1_772_323_200_000);

    fn with_parcel<T>(body: &str, check: impl FnOnce(&Parcel<'_>) -> T) -> T {
        let text = Text { subject: "满了".to_owned(), body: body.to_owned() };
        check(&Parcel { key: "k", site_name: "S", text: &text, about: &[], devices: &[] })
    }

    #[test]
    fn wecom_gets_no_more_than_it_takes_and_no_half_character() {
        let body = with_parcel(&"长".repeat(3_000), wecom);
        let content = body["markdown"]["content"].as_str().expect("a text");
        assert!(content.len() <= WECOM_BYTES_MAX && content.ends_with('长'));
    }

    /// The signatures were computed with Python's hmac, as the vendors' examples do.
    #[test]
    fn signatures_are_those_of_the_vendors_examples() {
        let url = dingtalk_url("https://oapi.dingtalk.com/robot/send?access_token=x", Some("SEC"), NOW);
        assert_eq!(url, DINGTALK);
        let body = with_parcel("x", |parcel| feishu(parcel, Some("SEC"), NOW));
        assert_eq!((body["timestamp"].as_str(), body["sign"].as_str()), (Some("1772323200"), Some(FEISHU)));
    }

    const DINGTALK: &str = "https://oapi.dingtalk.com/robot/send?access_token=x&timestamp=1772323200000&sign=pq%2BDnUFx7Ti6zrWBJSRfkdsKf6PDmy1C5lUtvtK2ro8%3D";
    const FEISHU: &str = "KqdB389P16KfjI1qPMQIitU0WyI6qVQhbfmTNc+oPmw=";

    #[test]
    fn a_no_in_an_answer_of_200_is_a_no() {
        assert_eq!(by_code(Robot::WeCom, r#"{"errcode":0,"errmsg":"ok"}"#), Ok(()));
        assert_eq!(by_code(Robot::Feishu, r#"{"StatusCode":0}"#), Ok(()));
        let refused = by_code(Robot::DingTalk, r#"{"errcode":310000,"errmsg":"sign not match"}"#);
        assert!(matches!(refused, Err(SendError::Passing(why)) if why.contains("sign not match")));
        assert!(by_code(Robot::WeCom, "<html>").is_err());
    }
}
