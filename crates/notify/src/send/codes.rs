//! What the codes in chat bots' answers say of whose trouble it is.
//!
//! Sources, as their vendors publish them: WeCom, "global error codes" (developer.work.weixin.qq.com, document 90313) and
//! "group robot" (91770: 20 messages a minute); DingTalk, "custom robot: error codes" (open.dingtalk.com,
//! custom-robot-access, with the older `130101` of Aliyun's copy); Feishu, "custom bot" (open.feishu.cn, guide of the custom
//! bot: request body, security settings, rate). A code that is not here is undecided: the messages around decide.

use crate::channel::ChatBot;
use crate::failure::Cause;

/// A refusal of this text: its form, its length, a word in it.
const CONTENT: [(ChatBot, &[i64]); 3] = [
    // 40008 type of message, 40033 characters, 40035 and 40058 parameters ("markdown.content exceed max length 4096", a
    // word that is not allowed), 40063 empty parameter, 44004 empty text, 45002 text too long, 47001 form.
    (ChatBot::WeCom, &[40_008, 40_033, 40_035, 40_058, 40_063, 44_004, 45_002, 47_001]),
    // 400105 type of message, 430101 a link, 430102 a text, 430103 a picture, 430104 something that is not allowed,
    // 460101 longer than 20,000 bytes.
    (ChatBot::DingTalk, &[400_105, 430_101, 430_102, 430_103, 430_104, 460_101]),
    // 19002 parameters of the message, 19036 longer than 30 kB.
    (ChatBot::Feishu, &[19_002, 19_036]),
];

/// A key, a setting of the bot or a rate: nothing of the text was judged, people or time mend it.
const PASSING: [(ChatBot, &[i64]); 3] = [
    // -1 busy, 45009 and 45033 too many, 93000 address, 93004 bot switched off, 93008 not in the group.
    (ChatBot::WeCom, &[-1, 45_009, 45_033, 93_000, 93_004, 93_008]),
    // -1 busy, 130101 and 410100 too fast, 90030 too many, 300001, 300005 and 400101 token, 310000 keyword, signature or
    // address that the bot's security settings want, 400013 group gone, 400102 and 400106 bot gone.
    (
        ChatBot::DingTalk,
        &[-1, 90_030, 130_101, 300_001, 300_005, 310_000, 400_013, 400_101, 400_102, 400_106, 410_100],
    ),
    // 11232 too many, 19001 token, 19021 signature, 19022 address, 19024 keyword.
    (ChatBot::Feishu, &[11_232, 19_001, 19_021, 19_022, 19_024]),
];

/// What a code says. Feishu's 9499 ("Bad Request") is met for a body that is wrong and for too many requests: undecided.
pub(super) fn cause(bot: ChatBot, code: i64) -> Cause {
    let has = |table: &[(ChatBot, &[i64])]| {
        table.iter().any(|(whose, codes)| *whose == bot && codes.contains(&code))
    };
    if has(&CONTENT) {
        Cause::Content
    } else if has(&PASSING) {
        Cause::Passing
    } else {
        Cause::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_allowed_is_the_texts_trouble_and_a_key_or_a_rate_is_not() {
        assert_eq!(cause(ChatBot::WeCom, 40_058), Cause::Content);
        assert_eq!(cause(ChatBot::WeCom, 45_009), Cause::Passing);
        assert_eq!(cause(ChatBot::DingTalk, 310_000), Cause::Passing);
        assert_eq!(cause(ChatBot::DingTalk, 430_104), Cause::Content);
        assert_eq!(cause(ChatBot::Feishu, 19_024), Cause::Passing);
        assert_eq!(cause(ChatBot::Feishu, 9_499), Cause::Undecided);
        assert_eq!(cause(ChatBot::Feishu, 40_058), Cause::Undecided, "another vendor's code");
    }

    #[test]
    fn no_code_is_of_both_kinds() {
        for (bot, codes) in PASSING {
            assert!(codes.iter().all(|code| cause(bot, *code) == Cause::Passing), "{bot:?}");
        }
    }
}
