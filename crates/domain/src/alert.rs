//! The words of an alert: its severity and its two dimensions, as in ITU-T X.733 practice.

use crate::device::words;

/// The number of an alert in a site: dense from 1, never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertId(pub u64);

words! {
    /// How bad it is. The order is the urgency: `Warning < Minor < Major < Critical`.
    Severity { Warning => "warning", Minor => "minor", Major => "major", Critical => "critical" }
}

words! {
    /// What the sensor says.
    Condition { Active => "active", Cleared => "cleared" }
}

words! {
    /// What people have done about it.
    Handling {
        New => "new",
        Acknowledged => "acknowledged",
        Dispatched => "dispatched",
        Handled => "handled",
        Verified => "verified",
        Reopened => "reopened",
        Dismissed => "dismissed",
    }
}

words! {
    /// A step in an alert's history. Steps are added and never rewritten.
    StepKind {
        Raised => "raised",
        SeverityChanged => "severity_changed",
        Cleared => "cleared",
        /// A wider alert took its place: a gateway's silence for its devices'.
        Replaced => "replaced",
        Acknowledged => "acknowledged",
        Dispatched => "dispatched",
        Arrived => "arrived",
        Handled => "handled",
        Verified => "verified",
        Reopened => "reopened",
        Dismissed => "dismissed",
        /// A deadline was missed: it goes to the next in the chain.
        Escalated => "escalated",
        /// A resident said something about it.
        Reported => "reported",
        Commented => "commented",
    }
}

words! {
    /// What residents report, by the choices of the public page.
    ReportCategory {
        Overflow => "overflow",
        Smell => "smell",
        Litter => "litter",
        Blocked => "blocked",
        Supplies => "supplies",
        Damaged => "damaged",
        Other => "other",
    }
}

words! {
    /// What happened to an alert that somebody may want to be told.
    AlertEvent {
        Raised => "raised",
        /// Its severity rose.
        Worsened => "worsened",
        Cleared => "cleared",
        /// Somebody was sent, or it was handed over.
        Dispatched => "dispatched",
        Escalated => "escalated",
        Reopened => "reopened",
        /// Verified or dismissed.
        Closed => "closed",
        /// Any other change; only a channel that mirrors the open state hears of it.
        Changed => "changed",
    }
}
