//! One input is applied: the only way in.

use sanimon_domain::TimestampMs;

use crate::gathered::Group;
use crate::group::Time;
use crate::input::Input;
use crate::state::{Applied, Live, Writer};

impl Writer<Live> {
    /// Applies one input: one transaction, or several where something had to be set aside. It consumes the writer, so
    /// that after a failure nobody can go on with memory that is ahead of the file.
    pub fn apply<A>(mut self, now: TimestampMs, input: Input<A>) -> Applied<A> {
        self.site.heard_until = now;
        let applied = match input {
            Input::Messages(group) => self.group((now, Time::GoesOn), group),
            Input::Tick => self.group((now, Time::GoesOn), Group::default()),
            Input::Command(entry, command) => self.command(now, &entry, &command),
            Input::Deliveries(outcomes) => self.deliveries(now, &outcomes),
            Input::Maintenance(id, outcome) => self.maintenance(now, id, outcome),
            Input::Tidy => self.tidy(now),
            Input::History(history) => self.history(now, &history),
        };
        match applied {
            Applied::Done { mut writer, mut outputs } if writer.site.has_untold => {
                writer.site.has_untold = false;
                (outputs.feed.is_incomplete, outputs.wake_outbox) = (true, true);
                Applied::Done { writer, outputs }
            }
            applied => applied,
        }
    }
}
