//! A request as it comes in: any event, its body, the envelope, the job.
#![no_main]

use common::{
    git,
    intake::{
        request::{self, JobSource},
        validate::{Entry, Rules, validate},
    },
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fn rules(entry: Entry) -> Rules {
    Rules {
        entry,
        max_job_timeout: 86_400,
        ssm_prefix: "exe-sys".to_owned(),
        internal_bucket: "exe-sys-internal".to_owned(),
        account: None,
        source_buckets: vec!["sources".parse().expect("a bucket")],
        git: git::Rules { hosts: vec!["github.com".to_owned()], local_sources: false },
    }
}

fuzz_target!(|body: &[u8]| {
    let text = String::from_utf8_lossy(body);
    let event = match serde_json::from_slice::<Value>(body) {
        Ok(event) if event.is_object() => event,
        _ => json!({"requestContext": {"http": {"method": "POST"}}, "body": text}),
    };
    let Ok(body) = request::arrive(event, "request").body else { return };
    let Ok(envelope) = request::read_envelope(body, Some("default"), "exe-sys-done").1 else { return };
    if let JobSource::Inline(document) = envelope.job {
        for entry in [Entry::Init, Entry::Ssm] {
            match validate(&document, &rules(entry)) {
                Ok(job) => assert!(!job.orders.is_empty()),
                Err(problems) => assert!(!problems.is_empty()),
            }
        }
    }
});
