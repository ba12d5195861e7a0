//! What a device is and where it stands.

use crate::ids::{GatewayId, ZoneId};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word of the contract: in topics, files, the API and the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word back.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// The three kinds of place that sanimon watches.
    DeviceKind { Bin => "bin", Drain => "drain", Toilet => "toilet" }
}

words! {
    /// The class of a zone: stricter rules apply where more people are.
    ZoneClass {
        Market => "market",
        OldResidential => "old_residential",
        Dense => "dense",
        Street => "street",
        School => "school",
        Scenic => "scenic",
        Village => "village",
    }
}

/// What rules select by: the kind, the zone and the rest, as the registry says (not the topic).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub kind: DeviceKind,
    pub zone: Option<ZoneId>,
    pub zone_class: Option<ZoneClass>,
    /// The gateway that its uplinks come through, where somebody knows it.
    pub gateway: Option<GatewayId>,
    pub tags: Vec<String>,
    /// How often it is expected to report.
    pub interval_ms: i64,
}

impl Placement {
    /// A device of which nothing else is known.
    pub const fn new(kind: DeviceKind, interval_ms: i64) -> Self {
        Self { kind, zone: None, zone_class: None, gateway: None, tags: Vec::new(), interval_ms }
    }
}

/// A device that nobody has told an interval for is expected each hour: the longest of the usual ones.
pub const INTERVAL_DEFAULT_MS: i64 = 3_600_000;
