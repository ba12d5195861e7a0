//! Why a message, or a part of it, did not become a reading.

use crate::device::words;

words! {
    /// The causes by which faults are counted and shown. A cause never disappears once released.
    FaultCode {
        /// The topic is of no form that sanimon knows.
        UnknownTopic => "unknown_topic",
        /// The device id in the topic is empty, too long or has characters that no id has.
        BadDeviceId => "bad_device_id",
        /// The payload is not the JSON (or the text) that its topic promises.
        NotJson => "not_json",
        /// Valid JSON of another shape than an object or an array of objects.
        WrongShape => "wrong_shape",
        /// An array without an element, an object without a metric.
        Empty => "empty",
        /// A field whose value is not a number, a boolean or a number as text.
        WrongType => "wrong_type",
        /// A field whose name cannot be kept as a metric.
        BadMetricName => "bad_metric_name",
        /// A value that the metric cannot have.
        OutOfRange => "out_of_range",
        /// A time that cannot be read as one; the receipt's is used.
        BadTime => "bad_time",
        /// A readable time that the device cannot have meant; the receipt's is used.
        ClockWrong => "clock_wrong",
        /// A retained message without a time: old news of unknown age.
        RetainedUndated => "retained_undated",
        /// The site's limit of unknown devices or metrics is reached.
        SiteLimit => "site_limit",
        /// The registry and the topic disagree about kind or district.
        TopicDisagrees => "topic_disagrees",
        /// Nobody has taught sanimon this model.
        UnknownModel => "unknown_model",
        /// A network server's report of an error with a device.
        NetworkFault => "network_fault",
        /// A codec script that failed, gave nonsense or took too long.
        BadScript => "bad_script",
        /// A binary frame that is cut, or of another device.
        BadFrame => "bad_frame",
        /// A line that InfluxDB will never take; its reason is in the message.
        RefusedByInfluxdb => "refused_by_influxdb",
        /// What was stored, and cannot be read any more: a disk has changed its bytes.
        DamagedRecord => "damaged_record",
        /// A status message that is neither `online` nor `offline`.
        BadStatus => "bad_status",
        /// A message, or a row, that the database will never take: it is set aside, and the rest goes on.
        CannotStore => "cannot_store",
        /// Its sender may not publish to this topic, and would send it again for ever.
        NotAllowed => "not_allowed",
        /// The message holds more than is read of one: the rest was left out.
        TooMuch => "too_much",
    }
}

/// One fault: its cause, and a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: FaultCode,
    pub message: String,
}

impl Fault {
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
