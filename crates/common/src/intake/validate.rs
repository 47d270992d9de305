//! From a job document to an accepted job, or to every problem it has, each with its path.
//!
//! Pure: what needs AWS or git to be known (whether a repository, a commit, a secret is there) shows when the job is
//! packaged. The rules are those of the contract's section on submitting.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::LazyLock};

use serde::Deserialize as _;
use serde_json::Value;

use self::names::{DefaultNames, Names};
use super::{
    locations::{SourceBucket, check_secret},
    request::parse_s3_uri,
    shape::{Path, Problems, Shape},
};
use crate::{
    git, graph,
    ids::{MAX_ORDERS, is_name},
    job::{JobDocument, OrderDocument, TargetChoice},
    order::{CredentialLocation, GitPaths, Job, Order, Source},
    sops,
    target::Target,
    text::is_hidden,
};

/// Lambda ends an invocation after 900 s; the worker needs the last minute to fetch code and to report.
pub const MAX_LAMBDA_SECONDS: u64 = 840;
/// CodeBuild ends a build after 36 hours (2,160 minutes); the worker needs ten minutes of them to fetch and to report.
pub const MAX_CODEBUILD_SECONDS: u64 = 2_160 * 60 - 600;
/// `aws:runShellScript` runs for at most 48 hours; the worker needs ten minutes of them to fetch and to report.
pub const MAX_SSM_SECONDS: u64 = 172_800 - 600;
/// Longest command: the kernel takes at most 128 KiB for one argument, of which the shell's own share is small.
const MAX_COMMAND_BYTES: usize = 64 * 1024;
/// Longest value of a variable, for the same reason.
const MAX_VALUE_BYTES: usize = 64 * 1024;
/// Most bytes of variables of an order: half of what an `execve` takes on Linux with the usual 8 MiB stack.
const MAX_ENVIRONMENT_BYTES: usize = 1024 * 1024;

/// The variable with the signed URL of the order's result, which is a secret.
pub const CALLBACK_URL: &str = "CALLBACK_URL";

/// Variables of commands that the engine sets itself.
pub const ENGINE_VARIABLES: [&str; 6] = [CALLBACK_URL, "TRACE_ID", "RUN_ID", "ORDER_ID", "ORDER_NUM", "FLOW_ID"];
/// All other variables of the engine begin so.
pub const ENGINE_PREFIX: &str = "AWS_EXE_SYS_";

/// Which entry point the job came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `POST /init`.
    Init,
    /// `POST /ssm`.
    Ssm,
}

/// What the deployment allows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where the job came in.
    pub entry: Entry,
    /// Longest `job_timeout` in seconds.
    pub max_job_timeout: u64,
    /// First path element of the engine's own parameters.
    pub ssm_prefix: String,
    /// The engine's bucket.
    pub internal_bucket: String,
    /// The account of the deployment, whose its buckets are, if that is known.
    pub account: Option<String>,
    /// Buckets that may be named as a source; empty means the internal one alone.
    pub source_buckets: Vec<SourceBucket>,
    /// What git sources may be.
    pub git: git::Rules,
}

/// The shape of a job, and of an order in it. Made once a process.
static JOB: LazyLock<Shape> = LazyLock::new(|| shape_of(None));
static ORDER: LazyLock<Shape> = LazyLock::new(|| shape_of(Some("OrderDocument")));

fn shape_of(definition: Option<&str>) -> Shape {
    Shape::of(&crate::job::schema(), definition).expect("the schema of our own types is known")
}

/// Reads and checks a job. What does not even have the right shape is reported with the rest: the parts that have are
/// still held against the other rules.
pub fn validate(document: &Value, rules: &Rules) -> Result<Job, Vec<String>> {
    let mut problems = Problems::default();
    JOB.check(document, &Path::Document, &mut problems);
    let sound = if problems.is_empty() { Cow::Borrowed(document) } else { Cow::Owned(sound_parts(document)) };
    let job = match JobDocument::deserialize(&*sound) {
        Ok(document) => Validator { rules, problems: &mut problems }.job(document),
        Err(error) => {
            problems.add("", format_args!("the job cannot be read: {error}"));
            return Err(problems.into_vec());
        }
    };
    if problems.is_empty() { Ok(job) } else { Err(problems.into_vec()) }
}

/// The document with what does not fit left out, or replaced by what causes no problem of its own.
fn sound_parts(document: &Value) -> Value {
    let of_job = |name: &str| match name {
        "username" => Some("unknown".into()),
        "orders" => Some(Value::Array(Vec::new())),
        "git_repo" => Some("org/repo".into()),
        _ => None,
    };
    let of_order = |name: &str| match name {
        "cmds" => Some(vec!["true"].into()),
        "timeout" => Some(1.into()),
        "execution_target" => Some("lambda".into()),
        "git_repo" => Some("org/repo".into()),
        "ssm_targets" => Some(serde_json::json!({"instance_ids": ["i-unknown"]})),
        _ => None,
    };
    let mut job = JOB.sound_fields(document, of_job);
    let orders = document.get("orders").and_then(Value::as_array).into_iter().flatten().take(MAX_ORDERS);
    let sound = |order: &Value| match order {
        Value::Object(_) => Value::Object(ORDER.sound_fields(order, of_order)),
        _ => serde_json::json!({"cmds": ["true"], "timeout": 1, "execution_target": "lambda"}),
    };
    job.insert("orders".to_owned(), orders.map(sound).collect());
    Value::Object(job)
}

struct Validator<'a> {
    rules: &'a Rules,
    problems: &'a mut Problems,
}

/// Where the orders stand in the document.
const ORDERS: Path<'static> = Path::Field(&Path::Document, "orders");

impl Validator<'_> {
    fn job(&mut self, mut document: JobDocument<'_>) -> Job {
        let username_ok = |b: u8| (b' '..=b'~').contains(&b) && b != b':';
        if !document.username.bytes().all(username_ok) {
            self.problems.add("username", "must be printable ASCII without `:`");
        }
        let label = document.flow_label.unwrap_or(match self.rules.entry {
            Entry::Init => "exec",
            Entry::Ssm => "ssm",
        });
        if !is_name(label, 64) {
            self.problems.add("flow_label", "must have 1 to 64 characters of `A-Z a-z 0-9 . _ -`");
        }
        let job_timeout = document.job_timeout.unwrap_or(3600.min(self.rules.max_job_timeout));
        if job_timeout > self.rules.max_job_timeout {
            self.problems.add(
                "job_timeout",
                format_args!(
                    "must be at most {}, this deployment's `MAX_JOB_TIMEOUT`, not {job_timeout}",
                    self.rules.max_job_timeout
                ),
            );
        }
        if document.pr_comment_search_tag.as_deref().unwrap_or_default().chars().any(is_hidden) {
            self.problems.add("pr_comment_search_tag", "may not have control or hidden characters");
        }
        let git_token = self.location("git_token_location", document.git_token_location);
        let git_ssh_key = self.location("git_ssh_key_location", document.git_ssh_key_location);
        if let Some(path) = &document.sops_key_ssm_path {
            self.note("sops_key_ssm_path", self.rules.check_parameter(path));
        }
        if let Some(repo) = document.git_repo {
            self.git("git_repo", "commit_hash", repo, document.commit_hash);
        } else if document.commit_hash.is_some() && !document.orders.iter().any(|order| order.git_repo.is_some()) {
            self.problems.add("commit_hash", "needs a `git_repo`");
        }
        let documents = std::mem::take(&mut document.orders);
        let defaults = DefaultNames::of(documents.len());
        let mut names = self.names(&documents, &defaults);
        let mut orders = Vec::with_capacity(documents.len());
        for (index, order) in documents.into_iter().enumerate() {
            orders.push(self.order(index, order, &document, &mut names));
        }
        let dependencies: Vec<&[u16]> = orders.iter().map(|order| order.dependencies.as_slice()).collect();
        let topological_order = graph::topological_order(&dependencies).unwrap_or_else(|cycle| {
            let mut names: Vec<_> = cycle.iter().map(|index| orders[*index].name.as_str()).collect();
            names.extend(names.first().copied());
            let first = cycle.first().copied().unwrap_or_default();
            self.problems.add(
                ORDERS.item(first).field("dependencies"),
                format_args!("go round in a cycle, each waiting for the next: {}", names.join(" → ")),
            );
            Vec::new()
        });
        Job {
            username: document.username,
            orders,
            topological_order,
            git_token,
            git_ssh_key,
            flow_label: label.to_owned(),
            pr_number: document.pr_number,
            issue_number: document.issue_number,
            pr_comment_search_tag: document.pr_comment_search_tag,
            presign_expiry: document.presign_expiry.unwrap_or(7200),
            job_timeout,
            max_parallel: document.max_parallel.and_then(|most| usize::try_from(most).ok()),
            sops_key_ssm_path: document.sops_key_ssm_path,
        }
    }

    fn order<'a>(
        &mut self,
        index: usize,
        order: OrderDocument<'a>,
        job: &JobDocument<'_>,
        names: &mut Names<'a>,
    ) -> Order {
        let at = &ORDERS.item(index);
        let name = names.order_name(index, &order).parse().unwrap_or_else(|error| {
            self.problems.add(at.field("order_name"), error);
            names.default_name(index).parse().expect("the default name is a name")
        });
        let queue_id = names.queue_id(index, &order);
        if !is_name(queue_id, 128) {
            self.problems.add(at.field("queue_id"), "must have 1 to 128 characters of `A-Z a-z 0-9 . _ -`");
        }
        for (position, command) in order.cmds.iter().enumerate() {
            let cmds = at.field("cmds");
            if command.len() > MAX_COMMAND_BYTES {
                self.problems.add(
                    cmds.item(position),
                    format_args!(
                        "must have at most {MAX_COMMAND_BYTES} bytes, not {}; put longer scripts into the code",
                        command.len()
                    ),
                );
            }
            if command.as_bytes().contains(&0) {
                self.problems.add(cmds.item(position), "may not have a NUL character");
            }
        }
        let (target, stop_grace) = self.target(at, &order);
        let ssm = (target == Target::Ssm).then(|| self.ssm(at, &order));
        let start_timeout = order.start_timeout.unwrap_or(3600);
        if start_timeout > self.rules.max_job_timeout {
            self.problems.add(
                at.field("start_timeout"),
                format_args!("must be at most {}, not {start_timeout}", self.rules.max_job_timeout),
            );
        }
        let source = self.source(index, &order, job);
        if let Some(folder) = &order.git_folder {
            if source == Source::None {
                self.problems.add(at.field("git_folder"), "needs code: a `git_repo` or an `s3_location`");
            }
            self.note(at.field("git_folder"), git::check_folder(folder).map(drop).map_err(|e| e.to_string()));
        }
        let git_paths = git_paths(index, &order, job);
        let env_vars = order.env_vars.unwrap_or_default();
        self.variables(&at.field("env_vars"), &env_vars);
        let ssm_paths = order.ssm_paths.unwrap_or_default();
        for (position, path) in ssm_paths.iter().enumerate() {
            self.note(at.field("ssm_paths").item(position), self.rules.check_parameter(path));
        }
        let secret_manager_paths = order.secret_manager_paths.unwrap_or_default();
        for (position, name) in secret_manager_paths.iter().enumerate() {
            self.note(at.field("secret_manager_paths").item(position), check_secret(name));
        }
        if let Some(recipient) = &order.sops_key {
            self.note(at.field("sops_key"), sops::check_recipient(recipient).map_err(|e| e.to_string()));
        }
        Order {
            name,
            queue_id: queue_id.to_owned(),
            dependencies: self.dependencies(index, order.dependencies.unwrap_or_default(), names),
            cmds: order.cmds,
            timeout: order.timeout,
            start_timeout,
            stop_grace,
            target,
            must_succeed: order.must_succeed.unwrap_or(true),
            source,
            git_paths,
            folder: order.git_folder,
            env_vars,
            ssm_paths,
            secret_manager_paths,
            sops_key: order.sops_key,
            ssm,
        }
    }

    fn target(&mut self, at: &Path<'_>, order: &OrderDocument<'_>) -> (Target, u64) {
        let fits_lambda = order.timeout.saturating_add(order.stop_grace.unwrap_or(10)) <= MAX_LAMBDA_SECONDS;
        let target = match (order.execution_target, self.rules.entry) {
            (Some(TargetChoice::Lambda), Entry::Init) => Target::Lambda,
            (Some(TargetChoice::Auto), Entry::Init) if fits_lambda => Target::Lambda,
            (Some(TargetChoice::Auto | TargetChoice::Codebuild) | None, Entry::Init) => Target::Codebuild,
            (Some(TargetChoice::Ssm) | None, _) => Target::Ssm,
            (Some(_), Entry::Ssm) => {
                self.problems
                    .add(at.field("execution_target"), "must be `ssm` at `/ssm`; send other orders to `/init`");
                Target::Ssm
            }
        };
        let stop_grace = order.stop_grace.unwrap_or(if target == Target::Lambda { 10 } else { 30 });
        let most = match target {
            Target::Lambda => MAX_LAMBDA_SECONDS,
            Target::Codebuild => MAX_CODEBUILD_SECONDS,
            Target::Ssm => MAX_SSM_SECONDS,
        };
        if order.timeout.saturating_add(stop_grace) > most {
            self.problems.add(at.field("timeout"), format_args!(
                "{} and `stop_grace` {stop_grace} are together more than the {most} s that a `{target}` order may take",
                order.timeout
            ));
        } else if target != Target::Lambda && order.timeout > self.rules.max_job_timeout {
            self.problems.add(
                at.field("timeout"),
                format_args!(
                    "must be at most {}, this deployment's `MAX_JOB_TIMEOUT`, not {}",
                    self.rules.max_job_timeout, order.timeout
                ),
            );
        }
        if target != Target::Ssm {
            for (field, given) in
                [("ssm_targets", order.ssm_targets.is_some()), ("ssm_document_name", order.ssm_document_name.is_some())]
            {
                if given {
                    self.problems.add(at.field(field), "is only for orders with `execution_target` `ssm`");
                }
            }
        }
        (target, stop_grace)
    }

    fn source(&mut self, index: usize, order: &OrderDocument<'_>, job: &JobDocument<'_>) -> Source {
        let at = &ORDERS.item(index);
        if let Some(location) = order.s3_location {
            for (field, given) in [("git_repo", order.git_repo.is_some()), ("commit_hash", order.commit_hash.is_some())]
            {
                if given {
                    self.problems.add(at.field(field), "cannot stand beside an `s3_location`; an order has one source");
                }
            }
            return match parse_s3_uri(location) {
                Some((bucket, key)) if key.strip_suffix(".zip").is_some_and(|stem| !stem.is_empty()) => {
                    self.note(at.field("s3_location"), self.rules.check_source(&bucket, &key));
                    Source::S3 { bucket, key }
                }
                _ => {
                    self.problems.add(at.field("s3_location"), "must be of the form `s3://bucket/key.zip`");
                    Source::None
                }
            };
        }
        let commit = order.commit_hash.or(job.commit_hash);
        let Some(repo) = order.git_repo.or(job.git_repo) else {
            if order.commit_hash.is_some() {
                self.problems.add(at.field("commit_hash"), "needs a `git_repo`");
            }
            return Source::None;
        };
        // The job's own values were checked once already.
        let is_repo_sound = || {
            let alone = git::GitSource { repo: repo.to_owned(), commit: None };
            git::check(&alone, &self.rules.git).is_ok()
        };
        if order.git_repo.is_some() || (order.commit_hash.is_some() && is_repo_sound()) {
            let paths = git_paths(index, order, job);
            self.git(&paths.repo, &paths.commit, repo, commit);
        }
        Source::Git { repo: repo.to_owned(), commit: commit.map(str::to_owned) }
    }

    fn git(&mut self, repo_path: &str, commit_path: &str, repo: &str, commit: Option<&str>) {
        let source = |commit: Option<&str>| git::GitSource { repo: repo.to_owned(), commit: commit.map(str::to_owned) };
        if let Err(error) = git::check(&source(None), &self.rules.git) {
            self.problems.add(repo_path, error);
        } else if let Err(error) = git::check(&source(commit), &self.rules.git) {
            self.problems.add(commit_path, error);
        }
    }

    fn variables(&mut self, at: &Path<'_>, variables: &BTreeMap<String, String>) {
        for (name, value) in variables {
            if !is_variable_name(name) {
                self.problems.add(at.field(name), "is no variable's name; use `[A-Za-z_][A-Za-z0-9_]*`");
            } else if is_engine_variable(name) {
                self.problems.add(at.field(name), "is set by the engine");
            }
            if value.contains('\0') {
                self.problems.add(at.field(name), "may not have a NUL character");
            }
            if value.len() > MAX_VALUE_BYTES {
                let problem = format_args!("must have at most {MAX_VALUE_BYTES} bytes, not {}", value.len());
                self.problems.add(at.field(name), problem);
            }
        }
        let total: usize = variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        if total > MAX_ENVIRONMENT_BYTES {
            self.problems.add(at, format_args!("must have at most {MAX_ENVIRONMENT_BYTES} bytes in all, not {total}"));
        }
    }

    fn location(&mut self, field: &str, text: Option<&str>) -> Option<CredentialLocation> {
        let text = text?;
        let location = match (text.strip_prefix("aws:::ssm:"), text.strip_prefix("aws:::secretd:")) {
            (Some(path), _) => CredentialLocation::Parameter(path.to_owned()),
            (_, Some(name)) => CredentialLocation::Secret(name.to_owned()),
            _ if text.starts_with("aws:::") => {
                self.problems.add(field, "must be `aws:::ssm:<path>`, `aws:::secretd:<name>` or a bare parameter path");
                return None;
            }
            _ => CredentialLocation::Parameter(text.to_owned()),
        };
        let checked = match &location {
            CredentialLocation::Parameter(path) | CredentialLocation::Secret(path) if path.is_empty() => {
                Err("names nothing after the prefix".to_owned())
            }
            CredentialLocation::Parameter(path) => self.rules.check_parameter(path),
            CredentialLocation::Secret(name) => check_secret(name),
        };
        self.note(field, checked);
        Some(location)
    }

    fn note(&mut self, path: impl fmt::Display, checked: Result<(), String>) {
        if let Err(problem) = checked {
            self.problems.add(path, problem);
        }
    }
}

fn git_paths(index: usize, order: &OrderDocument<'_>, job: &JobDocument<'_>) -> GitPaths {
    let own = |field: &str| Cow::Owned(ORDERS.item(index).field(field).to_string());
    let repo = if order.git_repo.is_some() { own("git_repo") } else { Cow::Borrowed("git_repo") };
    let commit = match (order.commit_hash, job.commit_hash) {
        (Some(_), _) => own("commit_hash"),
        (None, Some(_)) => Cow::Borrowed("commit_hash"),
        (None, None) => repo.clone(),
    };
    GitPaths { repo, commit }
}

/// Whether a shell takes it as a variable's name.
pub fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 256
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether the engine sets it and a job may not.
pub fn is_engine_variable(name: &str) -> bool {
    ENGINE_VARIABLES.contains(&name) || name.starts_with(ENGINE_PREFIX)
}

mod names;
pub mod ssm;

#[cfg(test)]
mod tests;
