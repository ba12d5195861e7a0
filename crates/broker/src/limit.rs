//! What is bounded, by its name.

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident = $key:literal,)*) => {
        /// A limit that somebody met. The name is its key in the configuration and its label in the metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Limit {
            $($(#[$doc])* $name,)*
        }

        impl Limit {
            /// All of them, so that each is told before it is met.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $key,)*
                }
            }
        }
    };
}

limits! {
    /// A CONNECT.
    ConnectBytes = "connect_bytes",
    ConnectTime = "connect_time",
    WebsocketHeadBytes = "websocket_head_bytes",
    FailedPerAddress = "failed_per_address",
    ConnectionsTotal = "connections_total",
    ConnectionsPerAddress = "connections_per_address",
    Connections = "connections",
    SessionsKept = "sessions_kept",
    Takeovers = "takeovers",
    Subscriptions = "subscriptions",
    SubscriptionsPerCredential = "subscriptions_per_credential",
    SubscriptionsTotal = "subscriptions_total",
    /// Filters of a SUBSCRIBE.
    FiltersPerPacket = "filters_per_packet",
    RetainedPerSubscribe = "retained_per_subscribe",
    /// A PUBLISH.
    PacketBytes = "packet_bytes",
    /// Any other packet.
    ControlBytes = "control_bytes",
    /// The properties of a PUBLISH.
    PropertyBytes = "property_bytes",
    PacketTime = "packet_time",
    PartialBytes = "partial_bytes",
    ReceiveMax = "receive_max",
    /// User properties of a packet, their number or bytes.
    UserProperties = "user_properties",
    ControlPacketsPerS = "control_packets_per_s",
    MessagesPerS = "messages_per_s",
    QueueMessages = "queue_messages",
    QueueBytesTotal = "queue_bytes_total",
    SlowReader = "slow_reader",
    Retained = "retained",
    RetainedPerCredential = "retained_per_credential",
    /// What a client takes, as it said.
    ClientPacketBytes = "client_packet_bytes",
    /// A message's own time.
    Expiry = "expiry",
}
