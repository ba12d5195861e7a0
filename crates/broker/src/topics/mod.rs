//! Names of topics, filters, and who asked for what.

mod filter;
mod name;
mod shared;
mod tree;

pub use filter::{Asked, Filter, GroupName};
pub use name::{TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX, Topic, Unsound};
pub use shared::{Group, Presence};
pub use tree::Tree;
