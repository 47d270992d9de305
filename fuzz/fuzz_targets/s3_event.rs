//! A notification of S3, as the orchestrator gets it.
#![no_main]

use aws_lambda_events::event::s3::S3Event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = serde_json::from_slice::<S3Event>(bytes) {
        orchestrator::callbacks(event).for_each(drop);
    }
});
