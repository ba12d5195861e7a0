//! The words of sanimon: what a device, a metric, a reading and an alert are.
//!
//! Everything here is data and pure functions. The entry types, in the order in which a message meets them:
//!
//! * [`DeviceId`], [`DeviceKind`]: who speaks; [`MetricNo`] and [`metric::METRICS`]: of what, in which unit
//! * [`TimestampMs`]: when, UTC milliseconds; [`time::observed_or_received`] decides whose clock is believed;
//!   [`TimeReader`] reads what devices write
//! * [`Calibration`]: what a distance means in this bin or drain; [`Quality`] and [`Reason`]: how far it is trusted;
//!   [`units`] and [`counter`]: names, units and running totals that are not ours
//! * [`SiteCalendar`], [`Window`]: days, weeks and months where the site is
//! * [`Hours`], [`Days`]: when people work and when rules look; [`Subject`]: what an alert is about
//! * [`Severity`], [`Condition`], [`Handling`]: the words of an alert
//! * [`SessionKey`]: whose MQTT session
//! * [`Heartbeat`]: that a loop still runs
//!
//! It does *not* read a clock, a file or a socket, and it does not know how anything is encoded.

#![forbid(unsafe_code)]

pub mod alert;
pub mod calendar;
pub mod calibration;
pub mod collection;
pub mod counter;
pub mod device;
pub mod fault;
pub mod group;
pub mod heartbeat;
pub mod hours;
pub mod ids;
pub mod metric;
pub mod quality;
pub mod session_key;
pub mod time;
pub mod time_text;
pub mod title;
pub mod units;
pub mod window;

pub use alert::{AlertEvent, AlertId, Condition, Handling, ReportCategory, Severity, StepKind};
pub use calendar::{LocalDay, SiteCalendar};
pub use calibration::{Calibration, CalibrationFault, Shape};
pub use device::{DeviceKind, Placement, ZoneClass};
pub use fault::{Fault, FaultCode};
pub use group::{GroupKey, GroupKind, Subject};
#[cfg(debug_assertions)]
pub use heartbeat::Trap;
pub use heartbeat::{Heartbeat, HeartbeatState};
pub use hours::{Days, Hours, Span};
pub use ids::{DeviceId, DeviceNo, GatewayId, HardwareId, IdError, RuleId, ZoneId};
pub use metric::{Metric, MetricNo};
pub use quality::{Quality, Reason};
pub use session_key::SessionKey;
pub use time::{Clock, TimestampMs};
pub use time_text::TimeReader;
pub use title::Title;
pub use window::{Window, WindowError};
