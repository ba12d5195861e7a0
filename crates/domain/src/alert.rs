//! The words of an alert: its severity and its two dimensions, as in ITU-T X.733 practice.

use std::fmt;

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
        Acknowledged => "acknowledged",
        Dispatched => "dispatched",
        Handled => "handled",
        Verified => "verified",
        Reopened => "reopened",
        Dismissed => "dismissed",
        Commented => "commented",
    }
}
