//! What a subscriber asks for (MQTT 3.1.1 and 5.0, 4.7.1; shared: 5.0, 4.8.2).

use std::fmt;
use std::sync::Arc;

use super::name::{Topic, Unsound, check};

/// A topic filter: `+` stands for one level, `#` for all that follow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter(Arc<str>);

/// The name of those who share a filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(Arc<str>);

/// What one entry of a SUBSCRIBE asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Plain(Filter),
    /// `$share/NAME/FILTER`: one member of the group gets each message.
    Shared(GroupName, Filter),
}

impl Filter {
    /// # Errors
    /// What the text breaks.
    pub fn parse(text: &str) -> Result<Self, Unsound> {
        check(text)?;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let is_sound = match level {
                "+" => true,
                "#" => levels.peek().is_none(),
                level => !level.contains(['+', '#']),
            };
            if !is_sound {
                return Err(Unsound::Wildcard);
            }
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// A filter that begins with a wildcard says nothing of `$` topics (4.7.2).
    pub(super) fn begins_wild(&self) -> bool {
        self.0.starts_with(['+', '#'])
    }

    pub fn matches(&self, topic: &Topic) -> bool {
        if topic.is_reserved() && self.begins_wild() {
            return false;
        }
        let mut levels = topic.levels();
        for wanted in self.levels() {
            match (wanted, levels.next()) {
                // `a/#` is `a`, too.
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    /// Whether each topic of the other filter is one of this.
    pub fn covers(&self, other: &Self) -> bool {
        if other.0.starts_with('$') && self.begins_wild() {
            return false;
        }
        let (mut own, mut asked) = (self.levels(), other.levels());
        loop {
            match (own.next(), asked.next()) {
                (Some("#"), _) | (None, None) => return true,
                // `a/+/#` is all that `a/#` is but `a` alone. Before these two there is no topic that would be alone.
                (Some("+"), Some("#")) => return own.eq(["#"]) && matches!(&*other.0, "#" | "/#"),
                (Some("+"), Some(_)) => {}
                (Some(level), Some(asked)) if level == asked => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl GroupName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Asked {
    /// # Errors
    /// What the text breaks.
    pub fn parse(text: &str) -> Result<Self, Unsound> {
        let mut parts = text.splitn(3, '/');
        if parts.next() != Some("$share") {
            return Filter::parse(text).map(Self::Plain);
        }
        let (name, filter) = parts.next().zip(parts.next()).ok_or(Unsound::Share)?;
        if name.is_empty() || name.contains(['+', '#']) {
            return Err(Unsound::Share);
        }
        check(text)?;
        Ok(Self::Shared(GroupName(name.into()), Filter::parse(filter)?))
    }

    /// What its messages match.
    pub const fn filter(&self) -> &Filter {
        match self {
            Self::Plain(filter) | Self::Shared(_, filter) => filter,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(filter) => write!(f, "{filter}"),
            Self::Shared(name, filter) => write!(f, "$share/{}/{filter}", name.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topics::TOPIC_LEVELS_MAX;

    fn filter(text: &str) -> Filter {
        Filter::parse(text).expect(text)
    }

    fn topic(text: &str) -> Topic {
        Topic::parse(text).expect(text)
    }

    #[test]
    fn wildcards_fill_their_level_and_all_ends_the_filter() {
        for text in ["#", "+", "a/+/b", "a/#", "+/+", "/", "/+", "+/#", "$SYS/#", "a//#"] {
            assert!(Filter::parse(text).is_ok(), "{text}");
        }
        for text in ["a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##", "++"] {
            assert_eq!(Filter::parse(text), Err(Unsound::Wildcard), "{text}");
        }
        assert_eq!(Filter::parse(""), Err(Unsound::Empty));
        assert_eq!(Filter::parse(&"+/".repeat(TOPIC_LEVELS_MAX)), Err(Unsound::TooDeep));
    }

    #[test]
    fn filters_match_as_the_standard_says() {
        for (wanted, heard, is_match) in [
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a/b", true),
            ("+", "a", true),
            ("+", "a/b", false),
            ("+", "/a", false),
            ("/+", "/a", true),
            ("+/+", "/a", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/+/b", "a//b", true),
            ("a", "A", false),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("a/+", "a/$b", true),
        ] {
            assert_eq!(filter(wanted).matches(&topic(heard)), is_match, "{wanted} {heard}");
        }
    }

    #[test]
    fn a_shared_filter_has_a_name_and_a_filter() {
        let asked = Asked::parse("$share/crew/sanitation/+/bin/#").expect("it is sound");
        assert_eq!(asked, Asked::Shared(GroupName("crew".into()), filter("sanitation/+/bin/#")));
        assert_eq!(asked.to_string(), "$share/crew/sanitation/+/bin/#");
        assert!(matches!(Asked::parse("$share/g//a"), Ok(Asked::Shared(_, own)) if own.as_str() == "/a"));
        assert!(matches!(Asked::parse("$shared/g/a"), Ok(Asked::Plain(_))));
        for text in ["$share", "$share/", "$share/g", "$share//a", "$share/+/a", "$share/g#/a"] {
            assert_eq!(Asked::parse(text), Err(Unsound::Share), "{text}");
        }
        assert_eq!(Asked::parse("$share/g/"), Err(Unsound::Empty));
        assert_eq!(Asked::parse("$share/g/a#"), Err(Unsound::Wildcard));
    }

    pub(crate) fn any_level() -> impl Strategy<Value = &'static str> {
        prop_oneof![Just("a"), Just("b"), Just(""), Just("$x")]
    }

    fn any_filter() -> impl Strategy<Value = Filter> {
        let level = prop_oneof![3 => any_level(), 2 => Just("+")];
        (prop::collection::vec(level, 0..5), any::<bool>()).prop_filter_map("empty", |(mut levels, all)| {
            if all {
                levels.push("#");
            }
            Filter::parse(&levels.join("/")).ok()
        })
    }

    /// Topics that a filter matches, each wildcard in several ways, with a level that no filter names.
    fn witnesses(of: &Filter) -> Vec<Topic> {
        let mut found = vec![String::new()];
        for (place, level) in of.levels().enumerate() {
            let slash = if place > 0 { "/" } else { "" };
            let meanings: &[&str] = match level {
                "+" => &["/z", "/"],
                "#" => &["", "/z", "/z/z", "/"],
                _ => &[],
            };
            found = match meanings {
                [] => found.into_iter().map(|begun| format!("{begun}{slash}{level}")).collect(),
                meanings => found
                    .iter()
                    .flat_map(|begun| meanings.iter().map(move |more| (begun, more)))
                    .map(|(begun, more)| match place {
                        0 => more.trim_start_matches('/').to_owned(),
                        _ => format!("{begun}{more}"),
                    })
                    .collect(),
            };
        }
        found.iter().filter_map(|text| Topic::parse(text).ok()).filter(|topic| of.matches(topic)).collect()
    }

    proptest! {
        /// What a filter covers matches nothing that the covering one does not.
        #[test]
        fn covering_is_sound(
            allowed in any_filter(),
            asked in any_filter(),
            levels in prop::collection::vec(any_level(), 1..6),
        ) {
            let Ok(heard) = Topic::parse(&levels.join("/")) else { return Ok(()) };
            if allowed.covers(&asked) && asked.matches(&heard) {
                prop_assert!(allowed.matches(&heard), "{} {} {}", allowed, asked, heard);
            }
        }

        /// What is not covered has a topic that shows it.
        #[test]
        fn covering_is_complete(allowed in any_filter(), asked in any_filter()) {
            let witnesses = witnesses(&asked);
            if !witnesses.is_empty() && witnesses.iter().all(|heard| allowed.matches(heard)) {
                prop_assert!(allowed.covers(&asked), "{} {}", allowed, asked);
            }
        }

        #[test]
        fn a_filter_covers_itself(filter in any_filter()) {
            prop_assert!(filter.covers(&filter));
        }
    }
}
