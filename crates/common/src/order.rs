//! The job once it is accepted: every default filled in, every name resolved. Made by [`crate::intake::validate`] and
//! nowhere else, so what has these types needs no further check.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    ids::{InstanceId, OrderName, OrderNum},
    target::Target,
};

/// An accepted job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Who asks.
    pub username: String,
    /// The orders, by index.
    pub orders: Vec<Order>,
    /// A topological order of the indices.
    pub topological_order: Vec<u16>,
    /// Where the git token is kept.
    pub git_token: Option<CredentialLocation>,
    /// Where the git SSH key is kept.
    pub git_ssh_key: Option<CredentialLocation>,
    /// Last part of the flow id.
    pub flow_label: String,
    /// Pull request, carried along.
    pub pr_number: Option<u64>,
    /// Issue, carried along.
    pub issue_number: Option<u64>,
    /// Text by which a comment is found again, carried along.
    pub pr_comment_search_tag: Option<String>,
    /// Seconds that presigned URLs are asked to live.
    pub presign_expiry: u64,
    /// Seconds for the whole run.
    pub job_timeout: u64,
    /// Most orders at once over all targets.
    pub max_parallel: Option<usize>,
    /// Path of a given age identity.
    pub sops_key_ssm_path: Option<String>,
}

impl Job {
    /// What it says of where it belongs, for whoever reports on the run: the first repository of its orders, and what is
    /// carried along.
    pub fn carried(&self) -> Map<String, Value> {
        let repo = self.orders.iter().find_map(|order| match &order.source {
            Source::Git { repo, .. } => Some(repo.clone()),
            Source::S3 { .. } | Source::None => None,
        });
        let fields = [
            ("git_repo", repo.map(Value::from)),
            ("pr_number", self.pr_number.map(Value::from)),
            ("issue_number", self.issue_number.map(Value::from)),
            ("pr_comment_search_tag", self.pr_comment_search_tag.clone().map(Value::from)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// The order with this number.
    ///
    /// # Panics
    /// For the run itself and numbers beyond the job's.
    pub fn order(&self, number: OrderNum) -> &Order {
        number.index().and_then(|index| self.orders.get(index)).expect("a number of this job")
    }

    /// Index of the order that a text names: its name, its queue id, or its number with or without zeros before it.
    pub fn find(&self, text: &str) -> Option<usize> {
        // Names first: an order may be called `2`.
        let named = self.orders.iter().position(|order| order.name.as_str() == text || order.queue_id == text);
        let number = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok()).flatten();
        named.or_else(|| number()?.checked_sub(1).filter(|index| *index < self.orders.len()))
    }

    /// All numbers with their orders.
    pub fn numbered(&self) -> impl Iterator<Item = (OrderNum, &Order)> {
        self.orders.iter().enumerate().map(|(index, order)| (OrderNum::of_index(index), order))
    }
}

/// An accepted order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Unique in the job.
    pub name: OrderName,
    /// Second name for dependencies.
    pub queue_id: String,
    /// Indices of the orders it waits for, in the order in which they were written.
    pub dependencies: Vec<u16>,
    /// The shell commands.
    pub cmds: Vec<String>,
    /// Seconds for all commands.
    pub timeout: u64,
    /// Seconds from the first dispatch to a claim.
    pub start_timeout: u64,
    /// Seconds between SIGINT and SIGKILL.
    pub stop_grace: u64,
    /// Where it runs.
    pub target: Target,
    /// Whether its failure fails the job.
    pub must_succeed: bool,
    /// Its code.
    pub source: Source,
    /// Where the document names its git source.
    pub git_paths: GitPaths,
    /// Working directory inside the code.
    pub folder: Option<String>,
    /// Variables that are no secrets.
    pub env_vars: BTreeMap<String, String>,
    /// Parameters to fetch.
    pub ssm_paths: Vec<String>,
    /// Secrets to fetch.
    pub secret_manager_paths: Vec<String>,
    /// A second recipient of the bundle.
    pub sops_key: Option<String>,
    /// Of an SSM order, where it runs.
    pub ssm: Option<SsmOrder>,
}

/// What an SSM order says about its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsmOrder {
    /// Which instances.
    pub targets: SsmTargets,
    /// Most instances at once, a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<String>,
    /// Most failures before no further instance is started, a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<String>,
    /// A document instead of the deployment's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// Instances, by id or by tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SsmTargets {
    /// These.
    InstanceIds(Vec<InstanceId>),
    /// Those that have every one of these tags with one of its values.
    Tags(BTreeMap<String, Vec<String>>),
}

/// The fields of the document that an order's git source comes from, its own or the job's, for messages about them.
#[derive(Clone, Debug)]
pub struct GitPaths {
    /// Of the repository, `orders[2].git_repo` or `git_repo`.
    pub repo: Cow<'static, str>,
    /// Of the commit; that of the repository when none is asked for.
    pub commit: Cow<'static, str>,
}

/// Where the code of an order comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Nowhere: commands only.
    None,
    /// A git repository.
    Git {
        /// As the job wrote it.
        repo: String,
        /// Commit, tag or branch; the remote's HEAD without.
        commit: Option<String>,
    },
    /// A zip in S3.
    S3 {
        /// Bucket.
        bucket: String,
        /// Key, ending in `.zip`.
        key: String,
    },
}

/// Where a credential of the intake itself is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialLocation {
    /// A path in Parameter Store.
    Parameter(String),
    /// A name in Secrets Manager.
    Secret(String),
}

impl std::fmt::Display for CredentialLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parameter(path) => write!(f, "aws:::ssm:{path}"),
            Self::Secret(name) => write!(f, "aws:::secretd:{name}"),
        }
    }
}
