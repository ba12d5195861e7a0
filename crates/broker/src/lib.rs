//! The embedded broker's own parts. So far: topics.
//!
//! * [`Topic`], [`Filter`], [`Asked`]: names, checked (MQTT 5.0, 4.7 and 4.8)
//! * [`Tree`]: who asked for what, found by a topic; [`Group`]: whose turn it is of those who share

#![forbid(unsafe_code)]

mod topics;

pub use topics::{Asked, Filter, Group, GroupName, Presence, Topic, Tree, Unsound};
pub use topics::{TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX};
