//! The words of the simulated town.

/// A session's time is looked at with this much room.
pub(in crate::tests::town) const SLACK_MS: i64 = 1_000;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tests::town) enum Phase {
    Off,
    /// CONNECT was sent.
    Asked,
    On,
    /// DISCONNECT was sent.
    Leaving,
}

/// What a client knows of its session at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tests::town) enum Known {
    Absent,
    /// Away since then, at the earliest and at the latest; `None`: here.
    Kept {
        expiry_s: u32,
        since_ms: Option<(i64, i64)>,
    },
    Unsure,
}

/// A message that is not acknowledged.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own")]
pub(in crate::tests::town) struct Out {
    pub(in crate::tests::town) id: u16,
    pub(in crate::tests::town) topic: String,
    pub(in crate::tests::town) text: String,
    pub(in crate::tests::town) qos: u8,
    pub(in crate::tests::town) retain: bool,
    pub(in crate::tests::town) is_released: bool,
    /// On this connection.
    pub(in crate::tests::town) went_here: bool,
    /// It takes a place of what the broker takes at a time.
    pub(in crate::tests::town) is_counted: bool,
    /// Answers that are still to come for a QoS 1 publish that was doubled.
    pub(in crate::tests::town) doubles: usize,
}

impl Out {
    pub(in crate::tests::town) fn new(topic: &str, text: String, qos: u8, retain: bool) -> Self {
        let (topic, id, doubles) = (topic.to_owned(), 0, 0);
        Self {
            id,
            topic,
            text,
            qos,
            retain,
            is_released: false,
            went_here: false,
            is_counted: false,
            doubles,
        }
    }
}

/// What it asked for, and is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tests::town) enum Asked {
    Subscribe(u16, &'static str, u8),
    Unsubscribe(u16, &'static str),
}

/// What the town must know of what a client heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tests::town) enum News {
    LetIn {
        session_present: bool,
        code: u8,
    },
    /// PUBACK or PUBREC: it is on disk.
    Stored(String),
    /// PUBCOMP.
    Completed(u16),
    Subscribed(&'static str, u8),
    Unsubscribed(&'static str),
    /// The application has a message: topic, payload, QoS, retained.
    Heard {
        topic: String,
        text: String,
        qos: u8,
        retain: bool,
    },
    Ended {
        was: Phase,
    },
}

/// What a CONNECT says.
#[derive(Debug, Clone)]
pub(in crate::tests::town) struct Ways {
    pub(in crate::tests::town) is_clean: bool,
    pub(in crate::tests::town) expiry_s: u32,
    pub(in crate::tests::town) receive_max: u16,
    pub(in crate::tests::town) alias_max: u16,
    pub(in crate::tests::town) keep_alive_s: u16,
    pub(in crate::tests::town) will: Option<(String, u32)>,
}
