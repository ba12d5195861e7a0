//! What is bounded, by its name.

/// A limit that somebody met. The name is its key in the configuration and its label in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// A CONNECT.
    ConnectBytes,
    /// A PUBLISH.
    PacketBytes,
    /// Any other packet.
    ControlBytes,
    /// The properties of a PUBLISH.
    PropertyBytes,
    /// User properties of a packet, their number or bytes.
    UserProperties,
}

impl Limit {
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectBytes => "connect_bytes",
            Self::PacketBytes => "packet_bytes",
            Self::ControlBytes => "control_bytes",
            Self::PropertyBytes => "property_bytes",
            Self::UserProperties => "user_properties",
        }
    }
}
