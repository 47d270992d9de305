//! Event notifications: a result that was written invokes the orchestrator, as the deployed bucket is set up to do.

use std::sync::Arc;

use bytes::Bytes;
use common::stack::{Function, Stack};
use serde_json::json;

use crate::{
    REGION, dates, ids,
    lambda::{Invocation, Pool, queue::Queue},
    s3::{
        store::{Attributes, Object},
        url_encoded,
    },
};

/// What a key must begin with to be a result.
const PREFIX: &str = "tmp/callbacks/runs/";
/// What it must end with.
const SUFFIX: &str = "result.json";

/// Sends `ObjectCreated` events.
#[derive(Debug)]
pub(crate) struct Notifier {
    bucket: String,
    orchestrator: Option<Arc<Pool>>,
    queue: Queue,
}

impl Notifier {
    pub(crate) fn new(orchestrator: Option<Arc<Pool>>, queue: Queue) -> Self {
        Self { bucket: Stack::embedded().internal_bucket(), orchestrator, queue }
    }

    /// Tells whom it concerns that an object was created by `Put`, `Copy` or `CompleteMultipartUpload`.
    pub(crate) async fn created(&self, bucket: &str, object: &Object, how: &str, parent: Option<String>) {
        let attributes = &object.attributes;
        let (true, Some(pool)) = (self.concerns(bucket, &attributes.key), &self.orchestrator) else { return };
        let payload = event(bucket, attributes, how);
        let invocation = Invocation { parent, ..pool.invocation(payload, None) };
        let key = format!("{bucket}/{}", attributes.key);
        if let Err(error) = self.queue.accept(pool, invocation, &key).await {
            tracing::error!(%error, key, "a notification could not be stored");
        }
    }

    fn concerns(&self, bucket: &str, key: &str) -> bool {
        bucket == self.bucket && key.starts_with(PREFIX) && key.ends_with(SUFFIX)
    }
}

/// The event as S3 sends it.
fn event(bucket: &str, attributes: &Attributes, how: &str) -> Bytes {
    let record = json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": dates::iso8601(attributes.modified),
        "eventName": format!("ObjectCreated:{how}"),
        "userIdentity": {"principalId": "AWS:EMBEDDED"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": ids::token(), "x-amz-id-2": ids::token()},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": format!("{}-results", Stack::embedded().function(Function::Orchestrator)),
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "EMBEDDED"},
                "arn": format!("arn:aws:s3:::{bucket}"),
            },
            "object": {
                "key": url_encoded(&attributes.key),
                "size": attributes.size,
                "eTag": attributes.etag,
                "sequencer": format!("{:016X}", attributes.sequence),
            },
        },
    });
    json!({"Records": [record]}).to_string().into()
}
