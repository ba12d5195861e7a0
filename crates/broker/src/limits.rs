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
    /// Filters of a SUBSCRIBE.
    FiltersPerPacket,
    /// What a client takes, as it said.
    ClientPacketBytes,
    /// A message's own time.
    Expiry,
}

impl Limit {
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectBytes => "connect_bytes",
            Self::PacketBytes => "packet_bytes",
            Self::ControlBytes => "control_bytes",
            Self::PropertyBytes => "property_bytes",
            Self::UserProperties => "user_properties",
            Self::FiltersPerPacket => "filters_per_packet",
            Self::ClientPacketBytes => "client_packet_bytes",
            Self::Expiry => "expiry",
        }
    }
}
