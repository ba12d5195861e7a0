//! Fair shares: a group is filled from all lines in turn.
//!
//! A line gives a turn's worth ([`TURN_MESSAGES_MAX`]), then the next one's turn comes; further rounds only while there is room.
//! So a message that stands alone in its line is in the next group, or, if it came just after its line's turn, in the one after:
//! at most two groups, whatever another line has waiting.

use std::collections::VecDeque;

use sanimon_writer::Received;

use crate::message::Ack;

/// Messages in a group at most: bounds the memory of a group and the loss of time when its commit fails.
const GROUP_MESSAGES_MAX: usize = 4_096;
/// Readings in a group after which no further message joins: backlogs are large.
const GROUP_READINGS_MAX: usize = 100_000;
/// What a line gives in one turn.
const TURN_MESSAGES_MAX: usize = 64;
const TURN_BYTES_MAX: usize = 256 * 1024;

/// A line, by its number.
pub(super) type LineNo = usize;

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Received<Ack>>,
    /// Its source may still add to it.
    is_open: bool,
}

/// All lines, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Lines {
    waiting: Vec<Waiting>,
    free: Vec<LineNo>,
    /// Those in which something waits.
    turns: VecDeque<LineNo>,
    len: usize,
}

impl Lines {
    /// Messages that wait.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn open(&mut self) -> LineNo {
        let line = self.free.pop().unwrap_or_else(|| {
            self.waiting.push(Waiting::default());
            self.waiting.len() - 1
        });
        self.waiting[line].is_open = true;
        line
    }

    /// Its source adds nothing more; what waits is still taken.
    pub(super) fn close(&mut self, line: LineNo) {
        self.waiting[line].is_open = false;
        if self.waiting[line].messages.is_empty() {
            self.free.push(line);
        }
    }

    pub(super) fn push(&mut self, line: LineNo, received: Received<Ack>) {
        let messages = &mut self.waiting[line].messages;
        if messages.is_empty() {
            self.turns.push_back(line);
        }
        messages.push_back(received);
        self.len += 1;
    }

    /// What waits, up to a group's size.
    pub(super) fn group(&mut self) -> Vec<Received<Ack>> {
        let mut group = Vec::with_capacity(self.len.min(GROUP_MESSAGES_MAX));
        let mut readings = 0;
        while let Some(line) = self.turns.pop_front() {
            let (mut number, mut bytes) = (0, 0);
            let is_full = |group: &Vec<_>, readings| {
                group.len() >= GROUP_MESSAGES_MAX || readings >= GROUP_READINGS_MAX
            };
            while number < TURN_MESSAGES_MAX && bytes < TURN_BYTES_MAX && !is_full(&group, readings) {
                let Some(received) = self.waiting[line].messages.pop_front() else { break };
                number += 1;
                bytes += received.message.payload.len();
                readings += received.message.readings();
                group.push(received);
            }
            self.len -= number;
            if self.waiting[line].messages.is_empty() {
                // Most lines are silent most of the time.
                self.waiting[line].messages = VecDeque::new();
                if !self.waiting[line].is_open {
                    self.free.push(line);
                }
            } else if number == 0 {
                // The group was full before its turn, which is the next group's first.
                self.turns.push_front(line);
            } else {
                self.turns.push_back(line);
            }
            if is_full(&group, readings) {
                break;
            }
        }
        group
    }

    /// All that waits, for who drops it.
    pub(super) fn clear(&mut self) -> Vec<Received<Ack>> {
        self.turns.clear();
        self.len = 0;
        let mut dropped = Vec::new();
        for line in 0..self.waiting.len() {
            let waiting = &mut self.waiting[line];
            if !waiting.messages.is_empty() {
                dropped.extend(std::mem::take(&mut waiting.messages));
                if !waiting.is_open {
                    self.free.push(line);
                }
            }
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sanimon_domain::TimestampMs;
    use sanimon_writer::Message;

    use super::*;

    fn message(name: &str) -> Received<Ack> {
        let topic = "sanitation/z/bin/b/telemetry".to_owned();
        let payload = name.as_bytes().to_vec().into();
        Received { message: Message::native("test".into(), topic, payload, TimestampMs(0)), ack: Ack::none() }
    }

    fn names(group: &[Received<Ack>]) -> Vec<String> {
        group.iter().map(|own| String::from_utf8_lossy(&own.message.payload).into_owned()).collect()
    }

    #[test]
    fn a_single_message_is_in_the_next_group_whatever_a_gateway_has_waiting() {
        let mut lines = Lines::default();
        let (gateway, device) = (lines.open(), lines.open());
        (0..2 * GROUP_MESSAGES_MAX).for_each(|_| lines.push(gateway, message("gateway")));
        lines.push(device, message("device"));
        assert_eq!(names(&lines.group()).iter().position(|name| name == "device"), Some(TURN_MESSAGES_MAX));
    }

    #[test]
    fn many_gateways_do_not_keep_a_device_waiting_for_more_than_two_groups() {
        let mut lines = Lines::default();
        let gateways: Vec<LineNo> = (0..100).map(|_| lines.open()).collect();
        for gateway in &gateways {
            (0..200).for_each(|_| lines.push(*gateway, message("gateway")));
        }
        let device = lines.open();
        lines.push(device, message("device"));
        let is_there = (0..2).any(|_| names(&lines.group()).contains(&"device".to_owned()));
        assert!(is_there, "in one of the next two groups");
    }

    proptest! {
        /// Whoever comes and goes: each message comes out once, a line's own in its order, and a line that is closed and empty
        /// is used again.
        #[test]
        fn all_come_out_in_the_order_of_their_line(pushed in prop::collection::vec((0_usize..5, 1_usize..200), 0..40)) {
            let mut lines = Lines::default();
            let open: Vec<LineNo> = (0..5).map(|_| lines.open()).collect();
            let mut expected: Vec<Vec<String>> = vec![Vec::new(); 5];
            for (line, number) in pushed {
                for _ in 0..number {
                    let name = format!("{line} {}", expected[line].len());
                    lines.push(open[line], message(&name));
                    expected[line].push(name);
                }
            }
            open.iter().for_each(|line| lines.close(*line));
            let mut found: Vec<Vec<String>> = vec![Vec::new(); 5];
            while !lines.is_empty() {
                let group = lines.group();
                prop_assert!(!group.is_empty() && group.len() <= GROUP_MESSAGES_MAX);
                for name in names(&group) {
                    let line: usize = name.split(' ').next().and_then(|text| text.parse().ok()).expect("its line");
                    found[line].push(name);
                }
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(lines.free.len(), 5);
        }
    }
}
