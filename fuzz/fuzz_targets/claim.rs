//! `claim.json`: one that can be read can be written and read again.
#![no_main]

use common::claim::Claim;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(claim) = serde_json::from_slice::<Claim>(bytes) {
        let written = serde_json::to_vec(&claim).unwrap();
        assert_eq!(serde_json::from_slice::<Claim>(&written).unwrap(), claim);
    }
});
