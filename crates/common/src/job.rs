//! The job as its author writes it. The JSON Schema that `aws-exe schema` prints is made from these types, and
//! submissions are held against the same schema ([`crate::intake::shape`]); rules between fields are in
//! [`crate::intake::validate`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A job: orders that run in dependency order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "aws-execution-engine job")]
pub struct JobDocument {
    /// Who asks. Becomes part of the flow id: printable ASCII without `:`.
    #[schemars(length(min = 1, max = 128))]
    pub username: String,
    /// The orders, in the order of their numbers.
    #[schemars(length(min = 1, max = 9999))]
    pub orders: Vec<OrderDocument>,
    /// Default source of the orders: `org/repo` (GitHub) or an https or ssh URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub git_repo: Option<String>,
    /// Where the token for https is kept: `aws:::ssm:<path>`, `aws:::secretd:<name>`, or a bare parameter path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub git_token_location: Option<String>,
    /// Where the SSH key is kept, in the same forms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub git_ssh_key_location: Option<String>,
    /// Commit, tag or branch to check out; default the remote's HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub commit_hash: Option<String>,
    /// Last part of the flow id; default `exec`, for SSM jobs `ssm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub flow_label: Option<String>,
    /// Pull request that the job belongs to; carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_number: Option<u64>,
    /// Issue that the job belongs to; carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_number: Option<u64>,
    /// Text by which a pull request's comment is found again; carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub pr_comment_search_tag: Option<String>,
    /// Seconds that presigned URLs are asked to live; default 7200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 604_800))]
    pub presign_expiry: Option<u64>,
    /// Seconds for the whole run; default 3600, at most what the deployment allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub job_timeout: Option<u64>,
    /// Most orders running at once; default the deployment's limits per target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9999))]
    pub max_parallel: Option<u64>,
    /// SSM path of an age identity to use instead of a new one. The engine never deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1011))]
    pub sops_key_ssm_path: Option<String>,
}

/// An order: commands with their code, environment and limits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderDocument {
    /// Shell commands, run in order; the first that fails ends the order.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub cmds: Vec<String>,
    /// Seconds for all commands together, from the moment a worker claims the order.
    #[schemars(range(min = 1))]
    pub timeout: u64,
    /// Where it runs; default `codebuild`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_target: Option<TargetChoice>,
    /// Seconds from the first attempt to dispatch it until a worker claims it; default 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub start_timeout: Option<u64>,
    /// Seconds between SIGINT and SIGKILL when it is stopped; default 10 on Lambda, else 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 300))]
    pub stop_grace: Option<u64>,
    /// Unique name; default `order-<order_num>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub order_name: Option<String>,
    /// A second name for dependencies; default the order number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub queue_id: Option<String>,
    /// Order names or queue ids that this order waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Vec<String>>,
    /// Default true: its failure fails the job, and it does not run when a dependency failed. False: its failure is
    /// tolerated, and it runs even after a failed dependency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_succeed: Option<bool>,
    /// Source of this order instead of the job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub git_repo: Option<String>,
    /// Folder of the code in which the commands run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub git_folder: Option<String>,
    /// Commit, tag or branch of this order instead of the job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub commit_hash: Option<String>,
    /// `s3://bucket/key.zip` instead of git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1100))]
    pub s3_location: Option<String>,
    /// Variables of the commands. Sealed like the rest, but not masked in logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_vars: Option<BTreeMap<String, String>>,
    /// Parameters to fetch as credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(length(min = 1, max = 1011)))]
    pub ssm_paths: Option<Vec<String>>,
    /// Secrets to fetch as credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(length(min = 1, max = 2048)))]
    pub secret_manager_paths: Option<Vec<String>>,
    /// An age recipient to encrypt the bundle to as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub sops_key: Option<String>,
    /// Instances of an SSM order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssm_targets: Option<SsmTargets>,
    /// SSM document instead of the engine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub ssm_document_name: Option<String>,
}

/// What an author may write as `execution_target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetChoice {
    /// Lambda, up to 14 minutes.
    Lambda,
    /// CodeBuild, up to a day.
    Codebuild,
    /// Instances by SSM Run Command.
    Ssm,
    /// Lambda if the timeout allows it, else CodeBuild.
    Auto,
}

/// Instances by id or by tag, one of the two.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SsmTargets {
    /// Instance ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub instance_ids: Option<Vec<String>>,
    /// Tags, each with one value or a list of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, TagValues>>,
    /// Most instances at once, a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<String>,
    /// Most failures before no further instance is started, a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<String>,
}

/// One value of a tag or several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TagValues {
    /// One.
    One(String),
    /// Any of these.
    Any(Vec<String>),
}

/// The JSON Schema of a job.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(JobDocument).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$comment".to_owned(), "Made by `aws-exe schema` from the engine's own types.".into());
    }
    schema
}
