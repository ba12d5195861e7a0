//! Any bytes through a codec that answers with whatever they are: no panic, and an answer each time.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use sanimon_codec::script::{Host, Script};
use sanimon_domain::TimestampMs;

const CODEC: &str = "
function decodeUplink(input) {
  var b = input.bytes, data = {};
  if (b.length > 3 && b[0] === 7) throw new Error(String.fromCharCode.apply(null, b));
  if (b.length > 3 && b[0] === 8) return b;
  for (var i = 0; i + 1 < b.length; i += 2) data[String.fromCharCode(b[i])] = b[i + 1] > 250 ? [b[i + 1], { x: NaN }] : b[i + 1] - 128;
  if (b.length > 3 && b[0] === 9) return { errors: [data] };
  return { data: data };
}";

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

fuzz_target!(|frame: &[u8]| {
    HOST.with_borrow_mut(|host| {
        let host = host.get_or_insert_with(|| {
            let script =
                Script { model: "fuzz".into(), source: CODEC.to_owned(), map: Vec::new(), kind: None };
            Host::new(script).expect("a sound codec")
        });
        let _ = host.run(1, frame, TimestampMs(1_772_323_200_000));
    });
});
