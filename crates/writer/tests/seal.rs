//! A seal that is under way while memory is read from the file again.

use std::sync::Arc;

use sanimon_domain::{DeviceId, DeviceKind, DeviceNo, MetricNo, SiteCalendar, TimestampMs};
use sanimon_operations::OperationsSettings;
use sanimon_store::{Device, DiskFault, Faults, JournalMessage, JournalReading, Store};
use sanimon_writer::{
    Applied, Ask, Author, Entry, History, Input, JobOutcome, Live, NoteOnly, Options, Outputs, Reloaded,
    Thresholds, Work, Writer,
};

const START: TimestampMs = TimestampMs(1_772_323_200_000);

fn apply(writer: Writer<Live>, input: Input<()>) -> (Writer<Live>, Outputs<()>) {
    match writer.apply(START, input) {
        Applied::Done { writer, outputs } => (writer, outputs),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reload_makes_the_steps_of_an_older_seal_void() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), None).unwrap();
    let thresholds = Thresholds { seal_at_points: 1, seal_at_points_per_series: 1, ..Thresholds::default() };
    let operations = Arc::new(OperationsSettings::standard(SiteCalendar::utc()));
    let options = Options { thresholds, ..Options::new(Arc::default(), operations) };
    let writer = Writer::open(store, options, START).unwrap();

    let device = DeviceNo(0);
    let readings = vec![JournalReading { metric: MetricNo(0), at: START, value: 1.0 }];
    let history = History {
        new_devices: vec![Device::new(DeviceId::new("d-1").unwrap(), DeviceKind::Bin, START)],
        messages: vec![JournalMessage {
            device,
            received_at: START,
            digest: None,
            is_old_news: false,
            readings,
        }],
        ..History::default()
    };
    let (mut writer, outputs) = apply(writer, Input::History(history));
    let older = outputs.job.expect("a seal");

    writer.file_mut().set_faults(Faults::plan(|_| Some(DiskFault { code: 13, is_applied: false })));
    let entry = Entry::new(START, Author::Site("test"), "test");
    let Applied::Held { mut writer, rest, .. } =
        writer.apply::<()>(START, Input::Command(entry, NoteOnly.command()))
    else {
        panic!("the disk is full");
    };
    writer.file_mut().set_faults(Faults::default());
    let Reloaded::Live { mut writer, .. } = writer.reload(START, rest) else { panic!("the disk is well") };

    let Work::Seal(job) = older.work else { panic!("no seal") };
    let mut steps = Vec::new();
    job.run(|step| {
        steps.push(step);
        true
    })
    .unwrap();
    for step in steps {
        (writer, _) = apply(writer, Input::Maintenance(older.id, JobOutcome::Sealed(step)));
    }
    let points = writer.reader().telemetry(device, MetricNo(0), START, START).unwrap();
    assert_eq!(points.iter().map(|point| point.value).collect::<Vec<_>>(), [1.0]);
    assert_eq!(writer.reader().hot.read().unsealed_points(), 1);
}
