//! Packaging: everything that a run needs is fetched, packed and sealed on this machine. Nothing is written to AWS yet,
//! so a repository that is not there or a secret that cannot be read leaves nothing behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZero,
    panic::resume_unwind,
    path::PathBuf,
    thread,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use super::{
    answer::{NotAccepted, flow_id},
    digest,
    documents::check_documents,
    earlier::Earlier,
    reuse::{Candidate, counted},
    settings::Settings,
    shape::Problems,
    sources::{Packed, pack_sources},
    validate::{CALLBACK_URL, ENGINE_VARIABLES},
};
use crate::{
    aws::{Aws, AwsError},
    bundle::{self, Bundle, Code, Manifest},
    clock::Timestamp,
    credentials::{self, Fetched},
    git,
    ids::{OrderNum, RunId, TraceId},
    keys,
    order::{Job, Order, Source},
    plan::{Prepared, SCHEMA_VERSION},
    sops,
};

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
    /// Its key of the digests of its orders.
    pub digest_key: &'a str,
}

/// What may count as succeeded, and what may not.
#[derive(Debug)]
pub struct Reuse {
    /// The earlier run.
    pub earlier: Earlier,
    /// Index of an order that runs again with everything that depends on it.
    pub from: Option<usize>,
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
    /// Code zips on this machine of the orders that run, by SHA-256.
    pub code: BTreeMap<String, PathBuf>,
    /// The orders, by index.
    orders: Vec<Packaged>,
    /// Holds the code zips until they are uploaded.
    _scratch: TempDir,
}

/// A packaged order.
#[derive(Debug)]
struct Packaged {
    /// What decides what its commands do.
    digest: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// It runs, with this bundle.
    Bundle(Vec<u8>),
    /// It counts as succeeded: it ran in this run. Nothing of it is sealed or uploaded.
    RanIn(RunId),
}

impl Package {
    /// The bundles of the orders that run.
    pub fn bundles(&self) -> impl Iterator<Item = (OrderNum, &[u8])> {
        self.orders.iter().enumerate().filter_map(|(index, order)| match &order.content {
            Content::Bundle(bundle) => Some((OrderNum::of_index(index), bundle.as_slice())),
            Content::RanIn(_) => None,
        })
    }

    /// How many orders count as succeeded.
    pub fn reused(&self) -> usize {
        self.orders.len() - self.bundles().count()
    }

    /// What the plan says of the orders, by index.
    pub fn prepared(&self) -> impl Iterator<Item = Prepared> {
        self.orders.iter().map(|order| {
            let (bundle_sha256, reused_from) = match &order.content {
                Content::Bundle(bundle) => (bundle::digest(bundle), None),
                Content::RanIn(run) => (String::new(), Some(run.clone())),
            };
            Prepared { bundle_sha256, digest: order.digest.clone(), reused_from }
        })
    }
}

/// Packages a job. The code of all orders is packed, also of those that turn out to count as succeeded: it tells that.
pub async fn package(
    aws: &Aws,
    settings: &Settings,
    job: &Job,
    run: Run<'_>,
    reuse: Option<&Reuse>,
) -> Result<Package, NotAccepted> {
    let scratch = TempDir::with_prefix("aws-exe-package-")
        .map_err(|error| NotAccepted::Machine(format!("make a folder: {error}")))?;
    check_documents(aws, job).await?;
    let fetched = fetch_credentials(aws, job).await?;
    let key = run_key(&fetched, job)?;
    let auth = git_auth(&fetched, job)?;
    let sources = pack_sources(aws, settings, job, auth, scratch.path()).await?;
    let variables = variables(&fetched, job)?;
    let digests = digests(run.digest_key, job, &sources);
    let mut ran_in = reuse.map_or_else(|| vec![None; job.orders.len()], |reuse| reused(reuse, job, &sources));
    let mut code = BTreeMap::new();
    let mut unsealed = Vec::with_capacity(job.orders.len());
    for (((number, order), (mut values, origins)), digest) in job.numbered().zip(variables).zip(digests) {
        if let Some(ran_in) = number.index().and_then(|index| ran_in[index].take()) {
            unsealed.push(Unsealed::RanIn(digest, ran_in));
            continue;
        }
        let packed = sources.get(&order.source);
        code.extend(packed.map(|packed| (packed.sha256.clone(), packed.path.clone())));
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
        let plain =
            plain.chain(ENGINE_VARIABLES.into_iter().filter(|name| *name != CALLBACK_URL)).map(str::to_owned).collect();
        let bundle = Bundle {
            cmds: order.cmds.clone(),
            manifest: manifest(run, number, order, packed),
            variables: values,
            plain,
            sources: origins,
        };
        let recipients: Vec<_> = std::iter::once(key.identity().recipient()).chain(order.sops_key.clone()).collect();
        unsealed.push(Unsealed::Bundle { digest, number, bundle: Box::new(bundle), recipients });
    }
    let orders = sealed(&unsealed, run.created_at)?;
    Ok(Package { key, code, orders, _scratch: scratch })
}

/// An order of which all is known that its bundle needs.
enum Unsealed {
    RanIn(String, RunId),
    Bundle { digest: String, number: OrderNum, bundle: Box<Bundle>, recipients: Vec<String> },
}

impl Unsealed {
    fn sealed(&self, now: Timestamp) -> Result<Packaged, NotAccepted> {
        Ok(match self {
            Self::RanIn(digest, ran_in) => Packaged { digest: digest.clone(), content: Content::RanIn(ran_in.clone()) },
            Self::Bundle { digest, number, bundle, recipients } => {
                let sealed = bundle.seal(recipients, now);
                let sealed = sealed
                    .map_err(|error| NotAccepted::Machine(format!("seal the bundle of order {number}: {error}")))?;
                Packaged { digest: digest.clone(), content: Content::Bundle(sealed) }
            }
        })
    }
}

/// Seals them on as many processors as there are: a bundle takes a third of a millisecond, most of it for the key that only
/// it has.
fn sealed(unsealed: &[Unsealed], now: Timestamp) -> Result<Vec<Packaged>, NotAccepted> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = unsealed.len().div_ceil(threads).max(1);
    let seal = |orders: &[Unsealed]| orders.iter().map(|order| order.sealed(now)).collect::<Result<Vec<_>, _>>();
    let parts = thread::scope(|scope| {
        let parts: Vec<_> = unsealed.chunks(share).map(|orders| scope.spawn(move || seal(orders))).collect();
        let ended = parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic)));
        ended.collect::<Result<Vec<_>, _>>()
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// The digests of all orders under a run's key, by index.
fn digests(key: &str, job: &Job, sources: &BTreeMap<Source, Packed>) -> Vec<String> {
    let code = |order: &Order| sources.get(&order.source).map(|packed| packed.sha256.as_str());
    job.orders.iter().map(|order| digest::of_order(key, job, order, code(order))).collect()
}

/// For each order the run in which it ran, if it counts as succeeded. Held against the earlier run's digests under that
/// run's key.
fn reused(reuse: &Reuse, job: &Job, sources: &BTreeMap<Source, Packed>) -> Vec<Option<RunId>> {
    let digests = digests(&reuse.earlier.digest_key, job, sources);
    let candidates: Vec<_> = job
        .orders
        .iter()
        .zip(&digests)
        .map(|(order, digest)| Candidate { name: &order.name, dependencies: &order.dependencies, digest })
        .collect();
    let counted = counted(&candidates, &job.topological_order, &reuse.earlier.successes, reuse.from);
    counted.into_iter().map(Option::<&RunId>::cloned).collect()
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

/// Most bytes of all secrets of an order: two of the largest that Secrets Manager holds. The worker looks for each of them
/// in a score of forms, which takes a thousand times as much memory.
const MAX_SECRET_BYTES: usize = 128 * 1024;

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
        let mut secret_bytes = 0;
        let mut position = 0;
        let mut field_before = "";
        for (field, kind, path, value) in parameters.chain(secrets) {
            position = if field == field_before { position + 1 } else { 0 };
            field_before = field;
            match value.and_then(|value| credentials::variables(path, value)) {
                Ok(variables) => {
                    secret_bytes += variables.values().map(|value| value.expose_secret().len()).sum::<usize>();
                    origins.extend(variables.keys().map(|name| (name.clone(), format!("aws:::{kind}:{path}"))));
                    values.extend(variables);
                }
                Err(problem) => {
                    let at = format_args!("orders[{index}].{field}[{position}]");
                    problems.add(at, format_args!("`{path}` {problem}"));
                }
            }
        }
        if secret_bytes > MAX_SECRET_BYTES {
            let problem = format!("its secrets must have at most {MAX_SECRET_BYTES} bytes in all, not {secret_bytes}");
            problems.add(format_args!("orders[{index}]"), problem);
        }
        all.push((values, origins));
    }
    if problems.is_empty() { Ok(all) } else { Err(NotAccepted::Invalid(problems.into_vec())) }
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
