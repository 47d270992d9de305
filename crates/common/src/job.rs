//! The job as its author writes it. The JSON Schema that `aws-exe schema` prints is made from these types, and
//! submissions are held against the same schema ([`crate::intake::shape`]); rules between fields are in
//! [`crate::intake::validate`].
//!
//! A job is read from a JSON value. What an accepted job has as it stands is taken over from here; texts that are only looked
//! up or read further are borrowed from the value, of which a large job has a hundred thousand.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the schema is called. It has no address: it comes with the program.
const ID: &str = "urn:aws-execution-engine:job";
/// Names of orders and labels, as [`crate::ids::is_name`] has them.
const NAME: &str = "^[A-Za-z0-9._-]+$";
/// Names of variables, as [`crate::intake::validate::is_variable_name`] has them.
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// A job: orders that run in dependency order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "aws-execution-engine job")]
pub struct JobDocument<'a> {
    /// Who asks. Becomes part of the flow id: printable ASCII without `:`.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[ -9;-~]+$"))]
    pub username: String,
    /// The orders. Their position gives their number, from `0001`; when they run is up to `dependencies`.
    #[schemars(length(min = 1, max = 9999))]
    pub orders: Vec<OrderDocument<'a>>,
    /// Default source of the orders: `org/repo` (GitHub), an https or ssh URL, or `git@host:path`; on one machine also an
    /// absolute path or a `file://` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), extend("examples" = ["your-org/your-repo"]))]
    pub git_repo: Option<&'a str>,
    /// Where the token for https is kept: `aws:::ssm:<path>`, `aws:::secretd:<name>`, or a bare parameter path. Never the
    /// token itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), extend("examples" = ["aws:::ssm:/team/git-token"]))]
    pub git_token_location: Option<&'a str>,
    /// Where the SSH key is kept: `aws:::ssm:<path>`, `aws:::secretd:<name>`, or a bare parameter path. With a token
    /// besides, that is tried first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), extend("examples" = ["aws:::secretd:team/git-key"]))]
    pub git_ssh_key_location: Option<&'a str>,
    /// Commit, tag or branch to check out; default the remote's HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub commit_hash: Option<&'a str>,
    /// Last part of the flow id, of `A-Z a-z 0-9 . _ -`; default `exec`, for SSM jobs `ssm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = NAME))]
    pub flow_label: Option<&'a str>,
    /// Pull request that the job belongs to; carried along, the engine posts no comments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_number: Option<u64>,
    /// Issue that the job belongs to; carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_number: Option<u64>,
    /// Text by which a pull request's comment is found again; carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub pr_comment_search_tag: Option<String>,
    /// Seconds that the presigned `CALLBACK_URL` of the commands is asked to live; default 7200. It ends earlier with the
    /// session that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 604_800), extend("default" = 7200))]
    pub presign_expiry: Option<u64>,
    /// Seconds for the whole run; default 3600, at most what the deployment allows. What has not ended by then is timed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("default" = 3600))]
    pub job_timeout: Option<u64>,
    /// Most orders running at once; the deployment's limits per target hold besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9999))]
    pub max_parallel: Option<u64>,
    /// Parameter with an age identity (`AGE-SECRET-KEY-1…`) to seal the run with instead of a new one. The engine never
    /// writes or deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1011))]
    pub sops_key_ssm_path: Option<String>,
}

/// An order: commands with their code, environment and limits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderDocument<'a> {
    /// Shell commands (`/bin/sh -c`), run in order; the first that fails ends the order. Each at most 64 KiB.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub cmds: Vec<String>,
    /// Seconds for all commands together, from the moment a worker claims the order. On Lambda at most 840 together with
    /// `stop_grace`, elsewhere at most what the deployment allows.
    #[schemars(range(min = 1))]
    pub timeout: u64,
    /// Where it runs; default `codebuild`, for SSM jobs `ssm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "codebuild"))]
    pub execution_target: Option<TargetChoice>,
    /// Seconds from the first attempt to dispatch it until a worker claims it; default 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("default" = 3600))]
    pub start_timeout: Option<u64>,
    /// Seconds between SIGINT and SIGKILL when it is stopped; default 10 on Lambda, else 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 300))]
    pub stop_grace: Option<u64>,
    /// Its name, unique among all names and queue ids, of `A-Z a-z 0-9 . _ -`; default `order-<order_num>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = NAME))]
    pub order_name: Option<&'a str>,
    /// A second name for dependencies, unique among all names and queue ids, of `A-Z a-z 0-9 . _ -`; default the order
    /// number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = NAME))]
    pub queue_id: Option<&'a str>,
    /// Names or queue ids of the orders that this one waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Vec<&'a str>>,
    /// Default true: its failure fails the job, and it does not run when a dependency failed. False: its failure is
    /// tolerated, and it runs even after a failed dependency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub must_succeed: Option<bool>,
    /// Source of this order instead of the job's: `org/repo` (GitHub), an https or ssh URL, or `git@host:path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), extend("examples" = ["your-org/your-repo"]))]
    pub git_repo: Option<&'a str>,
    /// Folder of the code, git or zip, in which the commands run: relative, without `..`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub git_folder: Option<String>,
    /// Commit, tag or branch of this order instead of the job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub commit_hash: Option<&'a str>,
    /// A zip with the code, `s3://bucket/key.zip`, instead of git, in a bucket that the deployment allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1100), regex(pattern = r"^s3://[a-z0-9.-]{3,63}/.+\.zip$"))]
    #[schemars(extend("examples" = ["s3://your-bucket/code.zip"]))]
    pub s3_location: Option<&'a str>,
    /// Variables of the commands. Sealed like the rest, but not masked in logs: secrets are named in `ssm_paths` and
    /// `secret_manager_paths`. `RUN_ID`, `ORDER_ID` and others are the engine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("propertyNames" = json!({"pattern": VARIABLE})))]
    pub env_vars: Option<BTreeMap<String, String>>,
    /// Parameters to fetch as credentials. A JSON object of strings gives one variable a key; any other value gives one
    /// that is called after the last part of the path, in upper case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(length(min = 1, max = 1011)), extend("examples" = [["/team/deploy-token"]]))]
    pub ssm_paths: Option<Vec<String>>,
    /// Secrets of Secrets Manager, by name or ARN, to fetch as credentials. A JSON object of strings gives one variable a
    /// key; any other value gives one that is called after the last part of the name, in upper case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(length(min = 1, max = 2048)), extend("examples" = [["team/database"]]))]
    pub secret_manager_paths: Option<Vec<String>>,
    /// An age recipient (`age1…`) to encrypt the order's bundle to as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub sops_key: Option<String>,
    /// On which instances an order with `execution_target` `ssm` runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssm_targets: Option<SsmTargets>,
    /// A document of one's own instead of the engine's, for orders with `execution_target` `ssm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub ssm_document_name: Option<String>,
}

/// Where an order runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetChoice {
    /// On Lambda, up to 14 minutes.
    Lambda,
    /// In CodeBuild, for hours.
    Codebuild,
    /// On each of the instances in `ssm_targets`, by SSM Run Command.
    Ssm,
    /// Lambda if the timeout allows it, else CodeBuild.
    Auto,
}

/// Instances by id or by tag, one of the two; at most 1,000.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SsmTargets {
    /// Instance ids, `i-…` or `mi-…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000), extend("examples" = [["i-0123456789abcdef0"]]))]
    pub instance_ids: Option<Vec<String>>,
    /// Tags that the instances have, at most 5, each with one value or any of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [{"Role": "web"}]))]
    pub tags: Option<BTreeMap<String, TagValues>>,
    /// Most instances at once, a number or a percentage as a text. Only with at most 50 ids or a single tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^([1-9][0-9]{0,6}|[1-9][0-9]?%|100%)$"), extend("examples" = ["1", "25%"]))]
    pub max_concurrency: Option<String>,
    /// Most failures before no further instance is started, a number or a percentage as a text. Only with at most 50 ids or
    /// a single tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(0|[1-9][0-9]{0,6}|[1-9]?[0-9]%|100%)$"), extend("examples" = ["0", "10%"]))]
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

/// The JSON Schema of a job: what the types say, in the form that editors take.
///
/// Patterns, examples and defaults are for those alone. Submissions are held against the rules themselves, in
/// [`crate::intake::validate`], which say what is wrong in words.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(JobDocument).to_value();
    tidy(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".to_owned(), ID.into());
        object.insert("$comment".to_owned(), "Made by `aws-exe schema` from the engine's own types.".into());
    }
    schema
}

/// Makes a sentence of each description, which the types break into lines, and leaves out the formats of Rust's numbers,
/// which strict readers of schemas refuse.
fn tidy(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("format");
    if let Some(Value::String(description)) = object.get_mut("description") {
        *description = description.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    }
    for (keyword, value) in object {
        match (keyword.as_str(), value) {
            ("default" | "examples", _) => {}
            ("properties" | "$defs", Value::Object(schemas)) => schemas.values_mut().for_each(tidy),
            (_, Value::Array(schemas)) => schemas.iter_mut().for_each(tidy),
            (_, schema) => tidy(schema),
        }
    }
}

#[cfg(test)]
mod tests;
