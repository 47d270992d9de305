//! The Terraform in `infra/02-deploy` against the engine: what it calls things and gives the functions ([`names`]), and
//! what it lets them do ([`policies`], with the calls of [`calls`]).
//!
//! Read by the crate `infra`, without Terraform and without an account.

mod calls;
mod names;
mod policies;

use std::path::{Path, PathBuf};

use infra::{Choices, Module};
use serde_json::json;

/// Where the embedded AWS is.
const REGION: &str = "us-east-1";
/// The account of the example.
const ACCOUNT: &str = "123456789012";

/// The module as a deployment has it that lets jobs name something of each kind.
fn module() -> Module {
    let choices = json!({
        "region": REGION,
        "image_repository_url": format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/exe-sys"),
        "image_tag": "v1",
        "ssm_parameter_prefixes": ["/team/"],
        "secret_prefixes": ["team/"],
        "sops_key_prefixes": ["/keys/"],
        "source_buckets": ["team-sources"],
        "ssm_document_names": ["team-document"],
        // A worker looks for the user when it starts, and this one is on every machine.
        "codebuild_command_user": "nobody",
        "otel_exporter_otlp_endpoint": "https://collector.example.com",
        "otel_headers_in_parameter": true,
    });
    Module::read(&folder(), &serde_json::from_value::<Choices>(choices).unwrap())
}

/// Where the module is.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/02-deploy")
}
