//! How much of one message is read, so that a message costs no more than its bytes.
//!
//! Each limit is checked in one place: of JSON in [`crate::native`] and [`crate::tree`], of one device in
//! [`crate::sample::Samples`], of a whole message in [`crate::Decoded`]. What is beyond a limit is skipped without being
//! kept, counted in [`LimitCounts`], and told in one fault.

use sanimon_domain::{Fault, FaultCode};

/// Defines the limits and, for each, the counter of what was left out and the words for it.
macro_rules! limits {
    ($($(#[$doc:meta])* $MAX:ident = $max:literal, $counter:ident: $words:literal;)+) => {
        $($(#[$doc])* pub const $MAX: usize = $max;)+

        /// How much of a message was left out, by limit. All are zero of a message that was read to its end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct LimitCounts {
            $(#[doc = concat!("Left out because of [`", stringify!($MAX), "`].")] pub $counter: u32,)+
        }

        impl LimitCounts {
            /// Each limit by its name, with what was left out.
            pub fn each(self) -> impl Iterator<Item = (&'static str, u32)> {
                [$((stringify!($counter), self.$counter)),+].into_iter()
            }

            /// Adds what was left out elsewhere.
            pub fn add(&mut self, other: Self) {
                $(self.$counter = self.$counter.saturating_add(other.$counter);)+
            }

            /// `149488 fields (512 of an object are read)`, by limit.
            fn words(self) -> Vec<String> {
                let each = [$((self.$counter, $words, $MAX)),+];
                let met = each.into_iter().filter(|(count, ..)| *count > 0);
                met.map(|(count, words, max)| format!("{count} {}", words.replace("{max}", &max.to_string()))).collect()
            }
        }
    };
}

limits! {
    /// Fields of one object, with those of the objects inside where they become metrics. The richest devices and gateways
    /// that we know have less than 200.
    FIELDS_MAX = 512, fields: "fields (of an object {max} are read)";
    /// Faults that are kept of a message: an operator reads a few, and the first ones show the cause.
    FAULTS_MAX = 16, faults: "faults (of a message {max} are kept)";
    /// Bytes of a metric's name, as the store keeps them.
    NAME_BYTES_MAX = 64, names: "fields with too long a name ({max} bytes are a metric's)";
    /// Bytes of a text that are looked at. The longest text that means something is a frame's: NB-IoT's largest packet of
    /// 1,358 bytes has 2,716 hexadecimal digits.
    TEXT_BYTES_MAX = 4_096, texts: "texts of more than {max} bytes";
    /// Objects and lists inside each other; network servers' messages have six.
    NESTING_MAX = 8, nested: "objects or lists nested deeper than {max}";
    /// Devices of a message: a gateway of the largest kind has some hundred.
    DEVICES_MAX = 1_000, devices: "devices (of a message {max} are read)";
    /// Readings of a message: half a year of one value each five minutes.
    READINGS_MAX = 50_000, readings: "readings (of a message {max} are kept)";
    /// Events of a message: each is a row of a device's history.
    EVENTS_MAX = 64, events: "events (of a message {max} are kept)";
    /// Elements of a list: a backlog has at least one reading an element.
    ELEMENTS_MAX = 50_000, elements: "elements of a list (of each {max} are read)";
    /// Values of a message that is kept as a tree. One takes 120 bytes at most besides its text, so the largest tree has
    /// 8 MB. 3,500 samples of six values each fit.
    NODES_MAX = 60_000, nodes: "values (of a message of this format {max} are read)";
    /// Bytes of a device's own frame: LoRaWAN's longest has 242, NB-IoT's 1,358.
    FRAME_BYTES_MAX = 4_096, frames: "frames of more than {max} bytes";
}

/// An object that has a field counts as so many values more: its first field takes the room of eleven.
pub(crate) const OBJECT_NODES: usize = 4;
/// Bytes of a name inside of others (`Telemetry_Battery_Level`) that are looked at: the site may map it to a shorter one.
pub(crate) const PATH_BYTES_MAX: usize = 256;
/// Bytes of a device's name for people: as long as an id.
pub(crate) const TITLE_BYTES_MAX: usize = 128;
/// Bytes of a fault's sentence; one that names all limits has about 700.
const FAULT_BYTES_MAX: usize = 1_024;
/// Bytes of another library's error message in a fault: it may repeat parts of the payload.
const ERROR_BYTES_MAX: usize = 200;

/// What reading a message took, in operations: proportional to its bytes, whatever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Fields whose names were looked at.
    pub fields: u64,
    /// Comparisons of faults.
    pub comparisons: u64,
    /// Values kept as a tree.
    pub nodes: u64,
}

/// What was left out so far, and the work so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Budget {
    pub(crate) met: LimitCounts,
    pub(crate) work: Work,
}

impl LimitCounts {
    /// Nothing was left out.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// The one fault that tells all limits that were met.
    pub(crate) fn fault(self) -> Option<Fault> {
        let words = self.words();
        let sentence = || format!("the message holds more than is read; left out: {}", words.join(", "));
        (!words.is_empty()).then(|| Fault::new(FaultCode::TooMuch, sentence()))
    }
}

impl Budget {
    pub(crate) fn add(&mut self, other: Self) {
        self.met.add(other.met);
        self.work.fields += other.work.fields;
        self.work.comparisons += other.work.comparisons;
        self.work.nodes += other.work.nodes;
    }

    /// The one place where a list of faults grows. An equal one is one cause; beyond the limit they are only counted.
    pub(crate) fn keep_fault(&mut self, kept: &mut Vec<Fault>, mut fault: Fault) {
        if fault.message.len() > FAULT_BYTES_MAX {
            fault.message = shortened(&fault.message, FAULT_BYTES_MAX);
        }
        self.work.comparisons += kept.len() as u64;
        if kept.contains(&fault) {
            return;
        }
        if admits(kept.len(), FAULTS_MAX, &mut self.met.faults) {
            kept.push(fault);
        }
    }
}

/// Whether one more is below the limit; if not, it is counted as left out.
pub(crate) fn admits(kept: usize, max: usize, left_out: &mut u32) -> bool {
    let is_below = kept < max;
    if !is_below {
        *left_out = left_out.saturating_add(1);
    }
    is_below
}

/// The beginning of a text, in bytes at most.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The same with a mark that there was more.
pub(crate) fn shortened(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max { text.to_owned() } else { format!("{}…", cut(text, bytes_max)) }
}

/// Another library's error message, without long parts of the payload.
pub(crate) fn brief(error: &impl std::fmt::Display) -> String {
    shortened(&error.to_string(), ERROR_BYTES_MAX)
}

/// A field's name behind the names of what it is in. A name that is too long to be looked up is cut, and no metric's.
pub(crate) fn joined(prefix: &str, key: &str) -> String {
    // Cut before they are joined: a long text would be copied for each field that is in it.
    let [prefix, key] = [prefix, key].map(|part| cut(part, PATH_BYTES_MAX + 1));
    let joined = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}_{key}") };
    if joined.len() <= PATH_BYTES_MAX { joined } else { shortened(&joined, PATH_BYTES_MAX) }
}

#[cfg(test)]
mod tests;
