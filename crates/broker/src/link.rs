//! The way to a connection's task: to wake it, and to tell it to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// Why a connection is to end, from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The same client has come again; whether it starts clean.
    TakenOver { is_clean: bool },
    /// Its credential may no longer do what it did.
    Revoked,
    /// It does not take what waits for it.
    Overflow,
    /// What it sent cannot be stored: nothing of it is acknowledged.
    CannotStore,
    /// The product stops.
    Stopping,
}

/// A number by which a connection knows what it waits for.
pub type Ticket = u32;

#[derive(Debug, Default)]
struct Notice {
    stop: Option<Stop>,
    committed: Vec<Ticket>,
}

/// One connection's.
#[derive(Debug, Default)]
pub struct Link {
    waker: AtomicWaker,
    is_woken: AtomicBool,
    has_notice: AtomicBool,
    notice: Mutex<Notice>,
}

impl Link {
    /// There is something to be sent.
    pub fn wake(&self) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// It is to end. The first reason counts.
    pub fn stop(&self, why: Stop) {
        self.note(|notice| {
            notice.stop.get_or_insert(why);
        });
    }

    /// A change that it waits for is on disk.
    pub fn committed(&self, ticket: Ticket) {
        self.note(|notice| notice.committed.push(ticket));
    }

    fn note(&self, change: impl FnOnce(&mut Notice)) {
        change(&mut self.notice.lock().unwrap_or_else(PoisonError::into_inner));
        self.has_notice.store(true, Ordering::Release);
        self.wake();
    }

    /// For the task: who is to be woken.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Whether it was woken since this was asked.
    pub fn take_woken(&self) -> bool {
        self.is_woken.swap(false, Ordering::AcqRel)
    }

    /// What it was told since this was asked.
    pub fn take_notice(&self) -> Option<(Option<Stop>, Vec<Ticket>)> {
        if !self.has_notice.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut notice = self.notice.lock().unwrap_or_else(PoisonError::into_inner);
        Some((notice.stop, std::mem::take(&mut notice.committed)))
    }

    /// Nobody will answer any more.
    pub fn is_stopped(&self) -> bool {
        self.notice.lock().unwrap_or_else(PoisonError::into_inner).stop.is_some()
    }
}
