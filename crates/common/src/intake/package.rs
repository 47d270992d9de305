//! Packaging: everything that a run needs is fetched, packed and sealed on this machine. Nothing is written to AWS yet,
//! so a repository that is not there or a secret that cannot be read leaves nothing behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufWriter, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{
    answer::{NotAccepted, flow_id},
    settings::Settings,
    shape::Problems,
    validate::ENGINE_VARIABLES,
};
use crate::{
    archive,
    aws::{Aws, AwsError, Class},
    bundle::{Bundle, Code, Manifest, digest},
    clock::Timestamp,
    credentials::{self, Fetched},
    git,
    ids::{OrderNum, RunId, TraceId},
    keys,
    order::{Job, Order, Source},
    plan::SCHEMA_VERSION,
    sops,
};

/// Sources fetched at once.
const PARALLEL: usize = 4;
/// Longest that fetching one repository may take, so that a hanging host is an error and not a lost submission.
const FETCH_TIMEOUT: Duration = Duration::from_secs(180);

/// Largest zip that is taken from S3: a zip may be no larger than what may come out of it.
const MAX_ZIP_BYTES: u64 = archive::Limits::FOREIGN.bytes;

/// The run that is being packaged.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Its id.
    pub run_id: &'a RunId,
    /// Its trace.
    pub trace_id: &'a TraceId,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its time is out.
    pub deadline: Timestamp,
}

/// The run's age key.
#[derive(Debug)]
pub enum RunKey {
    /// Drawn for this run; to be put to [`keys::sops_key`].
    Own(sops::Identity),
    /// Named by the job; never written, never deleted.
    Given(sops::Identity),
}

impl RunKey {
    fn identity(&self) -> &sops::Identity {
        match self {
            Self::Own(identity) | Self::Given(identity) => identity,
        }
    }
}

/// Everything of a run, ready to be uploaded.
#[derive(Debug)]
pub struct Package {
    /// The run's key.
    pub key: RunKey,
    /// Code zips on this machine, by SHA-256.
    pub code: BTreeMap<String, PathBuf>,
    /// The bundles, by index.
    pub bundles: Vec<Vec<u8>>,
    /// Holds the code zips until they are uploaded.
    _scratch: TempDir,
}

impl Package {
    /// SHA-256 of each bundle, by index.
    pub fn digests(&self) -> Vec<String> {
        self.bundles.iter().map(|bundle| digest(bundle)).collect()
    }
}

/// One source, packed.
#[derive(Clone, Debug)]
struct Packed {
    path: PathBuf,
    sha256: String,
    commit: Option<String>,
    /// Which of the asked folders are there.
    folders: BTreeSet<String>,
}

/// Packages a job.
pub async fn package(aws: &Aws, settings: &Settings, job: &Job, run: Run<'_>) -> Result<Package, NotAccepted> {
    let scratch = TempDir::with_prefix("aws-exe-package-")
        .map_err(|error| NotAccepted::Machine(format!("make a folder: {error}")))?;
    let fetched = fetch_credentials(aws, job).await?;
    let key = run_key(&fetched, job)?;
    let auth = git_auth(&fetched, job)?;
    let sources = pack_sources(aws, settings, job, auth, scratch.path()).await?;
    let variables = variables(&fetched, job)?;
    let mut bundles = Vec::with_capacity(job.orders.len());
    for ((number, order), (mut values, origins)) in job.numbered().zip(variables) {
        let callback = presigned_result(aws, settings, job, run, number).await?;
        let engine = [
            callback,
            run.trace_id.to_string(),
            run.run_id.to_string(),
            order.name.to_string(),
            number.to_string(),
            flow_id(job, run.trace_id),
        ];
        values.extend(ENGINE_VARIABLES.iter().map(|name| (*name).to_owned()).zip(engine.map(SecretString::from)));
        let plain = order.env_vars.keys().filter(|name| !origins.contains_key(*name)).map(String::as_str);
        // The signed URL lets its holder end the order: masked like a secret.
        let plain = plain
            .chain(ENGINE_VARIABLES.into_iter().filter(|name| *name != "CALLBACK_URL"))
            .map(str::to_owned)
            .collect();
        let bundle = Bundle {
            cmds: order.cmds.clone(),
            manifest: manifest(run, number, order, sources.get(&order.source)),
            variables: values,
            plain,
            sources: origins,
        };
        let recipients: Vec<_> = std::iter::once(key.identity().recipient()).chain(order.sops_key.clone()).collect();
        bundles.push(
            bundle
                .seal(&recipients, run.created_at)
                .map_err(|error| NotAccepted::Machine(format!("seal the bundle of order {number}: {error}")))?,
        );
    }
    let code = sources.into_values().map(|packed| (packed.sha256, packed.path)).collect();
    Ok(Package { key, code, bundles, _scratch: scratch })
}

fn manifest(run: Run<'_>, number: OrderNum, order: &Order, packed: Option<&Packed>) -> Manifest {
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: run.run_id.clone(),
        order_num: number,
        order_name: order.name.clone(),
        trace_id: run.trace_id.clone(),
        timeout: order.timeout,
        stop_grace: order.stop_grace,
        deadline: run.deadline,
        code: packed.map(|packed| Code {
            key: keys::code(run.run_id, &packed.sha256),
            sha256: packed.sha256.clone(),
            folder: order.folder.clone(),
            commit: packed.commit.clone(),
        }),
    }
}

async fn fetch_credentials(aws: &Aws, job: &Job) -> Result<Fetched, NotAccepted> {
    use crate::order::CredentialLocation::{Parameter, Secret};
    let mut parameters: BTreeSet<&str> =
        job.orders.iter().flat_map(|order| &order.ssm_paths).map(String::as_str).collect();
    let mut secrets: BTreeSet<&str> =
        job.orders.iter().flat_map(|order| &order.secret_manager_paths).map(String::as_str).collect();
    parameters.extend(job.sops_key_ssm_path.as_deref());
    for location in [&job.git_token, &job.git_ssh_key].into_iter().flatten() {
        match location {
            Parameter(path) => parameters.insert(path),
            Secret(name) => secrets.insert(name),
        };
    }
    Ok(Fetched::fetch(aws, parameters, secrets).await?)
}

fn run_key(fetched: &Fetched, job: &Job) -> Result<RunKey, NotAccepted> {
    let Some(path) = &job.sops_key_ssm_path else { return Ok(RunKey::Own(sops::Identity::generate())) };
    let identity =
        fetched.parameter(path).and_then(|text| sops::Identity::parse(text).map_err(|error| error.to_string()));
    identity.map(RunKey::Given).map_err(|problem| NotAccepted::Invalid(vec![format!("sops_key_ssm_path: {problem}")]))
}

fn git_auth(fetched: &Fetched, job: &Job) -> Result<git::Auth, NotAccepted> {
    let mut problems = Problems::default();
    let mut value = |field: &str, location: &Option<crate::order::CredentialLocation>| {
        let value = location.as_ref().map(|location| fetched.at(location).cloned());
        value.and_then(|value| value.inspect_err(|problem| problems.add(field, problem)).ok())
    };
    let token = value("git_token_location", &job.git_token);
    let ssh_key = value("git_ssh_key_location", &job.git_ssh_key);
    if !problems.is_empty() {
        return Err(NotAccepted::Invalid(problems.into_vec()));
    }
    Ok(match (token, ssh_key) {
        (None, None) => git::Auth::None,
        (Some(token), None) => git::Auth::Token(token),
        (None, Some(key)) => git::Auth::SshKey(key),
        (Some(token), Some(key)) => git::Auth::TokenThenSshKey(token, key),
    })
}

type Variables = (BTreeMap<String, SecretString>, BTreeMap<String, String>);

/// The variables of each order and where its secrets come from: `env_vars`, over them parameters, over them secrets.
fn variables(fetched: &Fetched, job: &Job) -> Result<Vec<Variables>, NotAccepted> {
    let mut problems = Problems::default();
    let mut all = Vec::with_capacity(job.orders.len());
    for (index, order) in job.orders.iter().enumerate() {
        let mut values: BTreeMap<String, SecretString> =
            order.env_vars.iter().map(|(name, value)| (name.clone(), SecretString::from(value.as_str()))).collect();
        let mut origins = BTreeMap::new();
        let parameters = order.ssm_paths.iter().map(|path| ("ssm_paths", "ssm", path, fetched.parameter(path)));
        let secrets = order
            .secret_manager_paths
            .iter()
            .map(|name| ("secret_manager_paths", "secretd", name, fetched.secret(name)));
        let mut position = 0;
        let mut field_before = "";
        for (field, kind, path, value) in parameters.chain(secrets) {
            position = if field == field_before { position + 1 } else { 0 };
            field_before = field;
            match value.and_then(|value| credentials::variables(path, value)) {
                Ok(variables) => {
                    origins.extend(variables.keys().map(|name| (name.clone(), format!("aws:::{kind}:{path}"))));
                    values.extend(variables);
                }
                Err(problem) => {
                    problems.add(&format!("orders[{index}].{field}[{position}]"), format_args!("`{path}` {problem}"));
                }
            }
        }
        all.push((values, origins));
    }
    if problems.is_empty() { Ok(all) } else { Err(NotAccepted::Invalid(problems.into_vec())) }
}

/// Packs each source once, whichever and however many orders use it.
async fn pack_sources(
    aws: &Aws,
    settings: &Settings,
    job: &Job,
    auth: git::Auth,
    scratch: &Path,
) -> Result<BTreeMap<Source, Packed>, NotAccepted> {
    let mut users: BTreeMap<&Source, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for (index, order) in job.orders.iter().enumerate().filter(|(_, order)| order.source != Source::None) {
        let (_, folders) = users.entry(&order.source).or_insert_with(|| (index, BTreeSet::new()));
        folders.extend(order.folder.as_deref());
    }
    let auth = &auth;
    let packed: Vec<_> = stream::iter(users.into_iter().enumerate())
        .map(|(number, (source, (first, folders)))| async move {
            let at = Place { order: first, scratch: scratch.join(number.to_string()) };
            let packed = match source {
                Source::None => return None,
                Source::Git { repo, commit } => pack_git(settings, repo, commit.as_deref(), auth, &folders, &at).await,
                Source::S3 { bucket, key } => pack_s3(aws, bucket, key, &folders, &at).await,
            };
            Some(packed.map(|packed| (source.clone(), packed)))
        })
        .buffered(PARALLEL)
        .filter_map(std::future::ready)
        .collect()
        .await;
    let mut problems = Vec::new();
    let mut sources = BTreeMap::new();
    for result in packed {
        match result {
            Ok((source, packed)) => {
                sources.insert(source, packed);
            }
            Err(NotAccepted::Invalid(found)) => problems.extend(found),
            Err(other) => return Err(other),
        }
    }
    for (index, order) in job.orders.iter().enumerate() {
        if let (Some(folder), Some(packed)) = (&order.folder, sources.get(&order.source))
            && !packed.folders.contains(folder)
        {
            problems.push(format!("orders[{index}].git_folder: `{folder}` is no folder of the order's code"));
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(NotAccepted::Invalid(problems)) }
}

/// The first order that uses a source, for messages, and where to work.
struct Place {
    order: usize,
    scratch: PathBuf,
}

impl Place {
    fn invalid(&self, field: &str, problem: impl std::fmt::Display) -> NotAccepted {
        NotAccepted::Invalid(vec![format!("orders[{}].{field}: {problem}", self.order)])
    }

    fn machine(error: impl std::fmt::Display) -> NotAccepted {
        NotAccepted::Machine(format!("pack the code: {error}"))
    }
}

async fn pack_git(
    settings: &Settings,
    repo: &str,
    commit: Option<&str>,
    auth: &git::Auth,
    folders: &BTreeSet<&str>,
    at: &Place,
) -> Result<Packed, NotAccepted> {
    let source = git::GitSource { repo: repo.to_owned(), commit: commit.map(str::to_owned) };
    let remote = git::check(&source, &settings.rules.git).map_err(|error| at.invalid("git_repo", error))?;
    let checkout = at.scratch.join("checkout");
    tokio::fs::create_dir_all(&checkout).await.map_err(Place::machine)?;
    let fetched = git::fetch(&remote, auth, &checkout, FETCH_TIMEOUT).await;
    let commit = fetched
        .map_err(|error| at.invalid(if error.is_about_the_commit() { "commit_hash" } else { "git_repo" }, error))?;
    let path = at.scratch.with_extension("zip");
    let (from, to) = (checkout.clone(), path.clone());
    let there = |folder: &&&str| git::enter_folder(&checkout, folder).is_ok();
    let folders: BTreeSet<String> = folders.iter().filter(there).map(|folder| (*folder).to_owned()).collect();
    let packed = blocking(move || {
        let out = File::options().read(true).write(true).create_new(true).open(&to).map_err(Place::machine)?;
        let packed = archive::pack_folder(&from, out).map_err(Place::machine)?;
        std::fs::remove_dir_all(&from).map_err(Place::machine)?;
        Ok(packed)
    })
    .await?;
    Ok(Packed { path, sha256: packed.sha256, commit: Some(commit), folders })
}

async fn pack_s3(
    aws: &Aws,
    bucket: &str,
    key: &str,
    folders: &BTreeSet<&str>,
    at: &Place,
) -> Result<Packed, NotAccepted> {
    let answer = match aws.s3().get_object().bucket(bucket).key(key).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let error = AwsError::of(format!("read `s3://{bucket}/{key}`"), error);
            return Err(if error.class == Class::Refused { at.invalid("s3_location", error) } else { error.into() });
        }
    };
    let path = at.scratch.with_extension("zip");
    let mut file = BufWriter::new(File::create(&path).map_err(Place::machine)?);
    let mut hash = Sha256::new();
    let mut body = answer.body;
    let mut read = 0;
    while let Some(chunk) = body.try_next().await.map_err(Place::machine)? {
        read += chunk.len() as u64;
        if read > MAX_ZIP_BYTES {
            return Err(at.invalid("s3_location", format_args!("the zip is larger than {MAX_ZIP_BYTES} bytes")));
        }
        hash.update(&chunk);
        file.write_all(&chunk).map_err(Place::machine)?;
    }
    file.flush().map_err(Place::machine)?;
    let sha256 = hex::encode(hash.finalize());
    let asked: Vec<String> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    let zip = path.clone();
    let found = blocking(move || {
        let mut file = File::open(&zip).map_err(Place::machine)?;
        let checked = archive::inspect(&mut file, archive::Limits::FOREIGN);
        file.rewind().map_err(Place::machine)?;
        Ok(checked.map(|names| {
            let is_there = |folder: &String| names.iter().any(|name| is_below(name, folder));
            asked.into_iter().filter(is_there).collect::<BTreeSet<String>>()
        }))
    })
    .await?;
    let folders = found.map_err(|error| at.invalid("s3_location", error))?;
    Ok(Packed { path, sha256, commit: None, folders })
}

/// Whether an entry makes the folder be there: it is the folder, or lies in it.
fn is_below(entry: &str, folder: &str) -> bool {
    let is_folder =
        entry.ends_with('/') || Path::new(entry).components().count() > Path::new(folder).components().count();
    is_folder && Path::new(entry).starts_with(folder)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotAccepted> + Send + 'static,
) -> Result<T, NotAccepted> {
    tokio::task::spawn_blocking(work).await.map_err(Place::machine)?
}

/// The URL by which the order's result can be put once, by whoever holds it.
async fn presigned_result(
    aws: &Aws,
    settings: &Settings,
    job: &Job,
    run: Run<'_>,
    number: OrderNum,
) -> Result<String, NotAccepted> {
    let action = "sign the callback URL";
    let config = aws_sdk_s3::presigning::PresigningConfig::expires_in(Duration::from_secs(job.presign_expiry))
        .map_err(|error| NotAccepted::Machine(format!("{action}: {error}")))?;
    let request = aws
        .s3()
        .put_object()
        .bucket(&settings.internal_bucket)
        .key(keys::result(run.run_id, number))
        .if_none_match("*");
    let signed = request.presigned(config).await.map_err(|error| AwsError::of(action, error))?;
    Ok(signed.uri().to_owned())
}
