//! Identities that people and devices choose, checked once at the edge.

use std::fmt;
use std::sync::Arc;

/// The longest identity in bytes. DevEUIs have 16 characters, client ids rarely pass 64; a longer one is
/// a mistake or an attack and would bloat each index that holds it.
pub const ID_BYTES_MAX: usize = 128;

/// Why a text cannot be an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("an id must not be empty")]
    Empty,
    #[error("an id of {found} bytes is longer than {ID_BYTES_MAX}")]
    TooLong { found: usize },
    #[error("the character {found:?} is not allowed in an id: use letters, digits, '-', '_', '.' and ':'")]
    Character { found: char },
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong { found: text.len() });
    }
    // Letters of every script: towns name bins in Chinese too. No MQTT wildcard, slash, space or control.
    match text.chars().find(|c| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))) {
        Some(found) => Err(IdError::Character { found }),
        None => Ok(()),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the characters and the length.
            pub fn new(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A device's name, unique in a site.
    DeviceId
}
id! {
    /// A zone of the town: the unit of responsibility.
    ZoneId
}
id! {
    /// A radio gateway: what one device's uplinks come through.
    GatewayId
}
id! {
    /// A rule of `rules.toml`.
    RuleId
}

/// The name that the hardware itself has: a DevEUI, an IMEI, a client id or a platform's device name. Small letters, since
/// network servers disagree about the case of a DevEUI.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HardwareId(DeviceId);

impl HardwareId {
    pub fn new(text: &str) -> Result<Self, IdError> {
        DeviceId::new(&text.trim().to_lowercase()).map(Self)
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The id of a device that nobody has named yet.
    pub fn as_device(&self) -> &DeviceId {
        &self.0
    }
}

impl fmt::Display for HardwareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The store's short number of a device: dense from 0, never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceNo(pub u32);

impl DeviceNo {
    /// As an index into the dense tables of devices.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_takes_letters_of_every_script_and_no_topic_syntax() {
        for good in ["bin-01", "24E124136B502217", "东街_3号", "a.b:c"] {
            assert!(DeviceId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "a+b", "#", "a b", "a\u{0}b", "a\nb", "\u{202e}x"] {
            assert!(DeviceId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_of_500_characters_is_refused_with_its_length() {
        assert_eq!(DeviceId::new(&"x".repeat(500)), Err(IdError::TooLong { found: 500 }));
    }
}
