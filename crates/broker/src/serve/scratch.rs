//! What a thread's connections use one after another: the buffer that they read into, lists of effects.

use std::cell::RefCell;
use std::mem::MaybeUninit;

use crate::session::Effect;

const BYTES: usize = 64 * 1024;

/// Lists that are kept, and how long one may be that is.
const LISTS: usize = 4;
const LIST_KEPT: usize = 256;

thread_local! {
    static EFFECTS: RefCell<Vec<Vec<Effect>>> = const { RefCell::new(Vec::new()) };
    static BUFFER: RefCell<Vec<MaybeUninit<u8>>> = RefCell::new(vec![MaybeUninit::uninit(); BYTES]);
}

/// Nothing of what is in it may be relied on afterwards.
pub(super) fn with<R>(read: impl FnOnce(&mut [MaybeUninit<u8>]) -> R) -> R {
    BUFFER.with(|buffer| read(&mut buffer.borrow_mut()))
}

/// An empty list.
pub(super) fn take_effects() -> Vec<Effect> {
    EFFECTS.with(|lists| lists.borrow_mut().pop()).unwrap_or_default()
}

/// The list is used again.
pub(super) fn give_back(mut effects: Vec<Effect>) {
    effects.clear();
    EFFECTS.with(|lists| {
        let mut lists = lists.borrow_mut();
        if lists.len() < LISTS && (1..=LIST_KEPT).contains(&effects.capacity()) {
            lists.push(effects);
        }
    });
}
