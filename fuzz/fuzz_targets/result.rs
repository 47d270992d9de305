//! `result.json`, which commands may write as well: always a result, and one that can be written and read again.
#![no_main]

use common::{clock::Timestamp, outcome::OrderResult};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let at = Timestamp::from_secs(1);
    let result = OrderResult::read(bytes, at);
    let written = result.to_bytes().unwrap();
    assert_eq!(OrderResult::read(&written, at).to_bytes().unwrap(), written);
});
