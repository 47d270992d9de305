//! A SOPS file: nobody who has not got the key's holder's file makes one that opens.
#![no_main]

use common::sops::{Identity, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: { KEY.get_or_init(Identity::generate); }, |document: &str| {
    let identity = KEY.get_or_init(Identity::generate);
    assert!(open(document, identity).is_err());
});

static KEY: std::sync::OnceLock<Identity> = std::sync::OnceLock::new();
