//! What a client may publish, ask for and hear. Pure.

use crate::topics::{Asked, Filter, Topic};

/// What is below this, and this itself, is said by the product only, and told to those whose rights name it.
const OWN_TOPICS: &str = "sanitation/alerts";

/// The rights of a client, as filters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    publish: Vec<Filter>,
    subscribe: Vec<Filter>,
    /// Named exactly: who shares takes messages from others.
    shared: Vec<Asked>,
    is_everything: bool,
}

impl Rights {
    pub fn new(publish: Vec<Filter>, subscribe: Vec<Asked>) -> Self {
        let (mut plain, mut shared) = (Vec::new(), Vec::new());
        for asked in subscribe {
            match asked {
                Asked::Plain(filter) => plain.push(filter),
                Asked::Shared(..) => shared.push(asked),
            }
        }
        Self { publish, subscribe: plain, shared, is_everything: false }
    }

    /// Of a client without a name: all but the product's own topics.
    pub fn everything() -> Self {
        Self { is_everything: true, ..Self::default() }
    }

    pub fn may_publish(&self, topic: &Topic) -> bool {
        !is_own(topic.as_str())
            && (self.is_everything || self.publish.iter().any(|filter| filter.matches(topic)))
    }

    /// Whether a filter may be asked for. What it may hear of it is looked at with each message.
    pub fn may_subscribe(&self, asked: &Asked) -> bool {
        match asked {
            Asked::Plain(filter) if is_own(filter.as_str()) => {
                self.subscribe.iter().any(|own| is_own(own.as_str()) && own.covers(filter))
            }
            Asked::Plain(filter) => self.is_everything || self.subscribe.iter().any(|own| own.covers(filter)),
            Asked::Shared(_, filter) => {
                self.shared.contains(asked) || self.is_everything && !is_own(filter.as_str())
            }
        }
    }

    /// Whether a message of a filter that was granted may be told: under a wider filter the product's own topics are not.
    pub fn may_hear(&self, topic: &Topic) -> bool {
        let shared = self.shared.iter().map(Asked::filter);
        !is_own(topic.as_str())
            || self.subscribe.iter().chain(shared).any(|own| is_own(own.as_str()) && own.matches(topic))
    }

    /// Whether these are at least what the others are.
    pub fn include(&self, other: &Self) -> bool {
        let covered = |own: &[Filter], theirs: &[Filter]| {
            theirs.iter().all(|their| own.iter().any(|filter| filter.covers(their)))
        };
        if other.is_everything || self.is_everything {
            return self.is_everything;
        }
        covered(&self.publish, &other.publish)
            && other.subscribe.iter().all(|their| self.may_subscribe(&Asked::Plain(their.clone())))
            && other.shared.iter().all(|their| self.shared.contains(their))
    }
}

/// Whether a topic, or a filter, is one of the product's own by its first levels.
fn is_own(text: &str) -> bool {
    text.strip_prefix(OWN_TOPICS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(texts: &[&str]) -> Vec<Filter> {
        texts.iter().map(|text| Filter::parse(text).expect(text)).collect()
    }

    fn asked(text: &str) -> Asked {
        Asked::parse(text).expect(text)
    }

    fn topic(text: &str) -> Topic {
        Topic::parse(text).expect(text)
    }

    fn rights(publish: &[&str], subscribe: &[&str]) -> Rights {
        Rights::new(filters(publish), subscribe.iter().map(|text| asked(text)).collect())
    }

    #[test]
    fn the_products_own_topics_are_said_by_nobody_else() {
        for own in [rights(&["#"], &["#"]), rights(&["sanitation/alerts/#"], &[]), Rights::everything()] {
            for text in ["sanitation/alerts", "sanitation/alerts/z/19", "sanitation/alerts/"] {
                assert!(!own.may_publish(&topic(text)), "{text}");
            }
        }
        assert!(Rights::everything().may_publish(&topic("sanitation/alertsx")));
    }

    #[test]
    fn the_products_own_topics_are_told_to_who_names_them() {
        let named = rights(&[], &["sanitation/alerts/east/+"]);
        assert!(named.may_subscribe(&asked("sanitation/alerts/east/+")));
        assert!(!named.may_subscribe(&asked("sanitation/alerts/#")));
        assert!(named.may_hear(&topic("sanitation/alerts/east/1")));
        assert!(!named.may_hear(&topic("sanitation/alerts/west/1")));
        // Neither by a wildcard that happens to match, nor by being called as an alert is.
        for own in [
            rights(&[], &["#"]),
            rights(&[], &["sanitation/+/+/19/#"]),
            Rights::everything(),
            rights(&[], &["+/+/+/+"]),
        ] {
            assert!(!own.may_subscribe(&asked("sanitation/alerts/#")));
            assert!(!own.may_subscribe(&asked("sanitation/alerts/+/19/#")));
            assert!(!own.may_subscribe(&asked("sanitation/alerts")));
            assert!(
                !own.may_hear(&topic("sanitation/alerts/z/19")) && !own.may_hear(&topic("sanitation/alerts"))
            );
        }
        assert!(rights(&[], &["$share/g/sanitation/alerts/#"]).may_hear(&topic("sanitation/alerts/z/1")));
    }

    #[test]
    fn n183_what_is_shared_must_be_named_exactly() {
        let own = rights(&[], &["a/#", "$share/g/a/+"]);
        assert!(own.may_subscribe(&asked("$share/g/a/+")) && own.may_subscribe(&asked("a/b")));
        assert!(!own.may_subscribe(&asked("$share/g/a/b")) && !own.may_subscribe(&asked("$share/h/a/+")));
        assert!(Rights::everything().may_subscribe(&asked("$share/g/#")));
        assert!(!Rights::everything().may_subscribe(&asked("$share/g/sanitation/alerts/#")));
    }

    #[test]
    fn n167_n173_a_wildcard_gives_no_right_to_reserved_topics() {
        let own = rights(&["#"], &["#"]);
        assert!(!own.may_publish(&topic("$SYS/x")) && !own.may_subscribe(&asked("$SYS/#")));
    }

    #[test]
    fn narrower_rights_do_not_include_wider_ones() {
        let wide = rights(&["a/#"], &["a/#", "$share/g/a"]);
        for narrow in [rights(&["a/b"], &["a/#", "$share/g/a"]), rights(&["a/#"], &["a/+", "$share/g/a"])] {
            assert!(wide.include(&narrow) && !narrow.include(&wide));
        }
        assert!(!rights(&["a/#"], &["a/#"]).include(&wide), "the shared one is gone");
        assert!(Rights::everything().include(&wide) && !wide.include(&Rights::everything()));
        assert!(
            !rights(&[], &["#"]).include(&rights(&[], &["sanitation/alerts/#"])),
            "it names them no more"
        );
    }
}
