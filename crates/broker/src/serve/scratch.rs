//! The buffer that a thread's connections read into, one after another.

use std::cell::RefCell;
use std::mem::MaybeUninit;

const BYTES: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<MaybeUninit<u8>>> = RefCell::new(vec![MaybeUninit::uninit(); BYTES]);
}

/// Nothing of what is in it may be relied on afterwards.
pub(super) fn with<R>(read: impl FnOnce(&mut [MaybeUninit<u8>]) -> R) -> R {
    BUFFER.with(|buffer| read(&mut buffer.borrow_mut()))
}
