//! Keys below the callbacks: what is read from one writes the same key again.
#![no_main]

use common::{
    ids::OrderNum,
    keys::{self, Callback, Share},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|key: &str| {
    for key in [key.to_owned(), format!("{}{key}", keys::CALLBACKS)] {
        let Some((run, callback)) = keys::parse_callback(&key) else { continue };
        let again = match callback {
            Callback::Wake => keys::result(&run, OrderNum::RUN),
            Callback::Result(order) => keys::result(&run, order),
            Callback::Instance(order, instance) => keys::result(&run, Share::of_instance(order, instance)),
            Callback::Cancel(order) => keys::cancel(&run, order),
        };
        assert_eq!(again, key);
    }
});
