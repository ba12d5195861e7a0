//! The name of a topic (MQTT 3.1.1 and 5.0, 4.7).

use std::fmt;
use std::sync::Arc;

/// Bytes of a topic or a filter. The standard allows 65,535.
pub const TOPIC_BYTES_MAX: usize = 1_024;
/// Levels of a topic or a filter: a walk through the tree goes as deep.
pub const TOPIC_LEVELS_MAX: usize = 32;

/// What a message is published under: not empty, without wildcards and control characters, within the limits. Nothing is
/// normalised: letters, slashes and accents are what they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

/// Why a text is no topic, or no filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    #[error("it is empty")]
    Empty,
    #[error("it has more than {TOPIC_BYTES_MAX} bytes")]
    TooLong,
    #[error("it has more than {TOPIC_LEVELS_MAX} levels")]
    TooDeep,
    #[error("`+` must fill a level of a filter, `#` its last one, and a topic has neither")]
    Wildcard,
    #[error("it has a control character, or one that Unicode reserves")]
    Character,
    #[error("a shared filter is `$share/NAME/FILTER`, its name without `+` and `#`")]
    Share,
}

impl Topic {
    /// # Errors
    /// What the text breaks.
    pub fn parse(text: &str) -> Result<Self, Unsound> {
        check(text)?;
        if text.contains(['+', '#']) {
            return Err(Unsound::Wildcard);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text, without a copy of it.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }

    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Begins with `$`: filters that begin with a wildcard do not match it.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What topics and filters have in common.
pub(super) fn check(text: &str) -> Result<(), Unsound> {
    if text.is_empty() {
        return Err(Unsound::Empty);
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(Unsound::TooLong);
    }
    if text.split('/').count() > TOPIC_LEVELS_MAX {
        return Err(Unsound::TooDeep);
    }
    if text.chars().any(|c| c.is_control() || is_noncharacter(c)) {
        return Err(Unsound::Character);
    }
    Ok(())
}

/// Code points that never stand for a character (Unicode, 23.7).
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{FDD0}'..='\u{FDEF}') || u32::from(c) & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_taken_as_it_is() {
        for text in [
            "a",
            "/",
            "/a",
            "a//b",
            "a/",
            "sanitation/东/bin/b-1",
            "\u{FEFF}a",
            "a b",
            "$SYS/x",
            "A",
            "é",
            "e\u{301}",
        ] {
            assert_eq!(Topic::parse(text).map(|topic| topic.as_str().to_owned()), Ok(text.to_owned()));
        }
        assert_ne!(Topic::parse("é"), Topic::parse("e\u{301}"), "nothing is normalised");
    }

    #[test]
    fn what_is_no_topic_is_told_why() {
        for (text, why) in [
            ("", Unsound::Empty),
            ("a/+", Unsound::Wildcard),
            ("a#", Unsound::Wildcard),
            ("a\0b", Unsound::Character),
            ("a\nb", Unsound::Character),
            ("a\u{85}b", Unsound::Character),
            ("a\u{FFFE}", Unsound::Character),
            ("a\u{1FFFF}", Unsound::Character),
            ("a\u{FDD0}", Unsound::Character),
        ] {
            assert_eq!(Topic::parse(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn limits_are_met_exactly() {
        assert!(Topic::parse(&"a".repeat(TOPIC_BYTES_MAX)).is_ok());
        assert_eq!(Topic::parse(&"a".repeat(TOPIC_BYTES_MAX + 1)), Err(Unsound::TooLong));
        assert!(Topic::parse(&"/".repeat(TOPIC_LEVELS_MAX - 1)).is_ok());
        assert_eq!(Topic::parse(&"/".repeat(TOPIC_LEVELS_MAX)), Err(Unsound::TooDeep));
    }
}
