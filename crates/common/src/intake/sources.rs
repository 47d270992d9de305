//! Packing the code of a job: each source is fetched once and packed once, whichever and however many orders use it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufWriter, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use futures::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use super::{answer::NotAccepted, settings::Settings};
use crate::{
    archive,
    aws::{Aws, AwsError, Class},
    git,
    order::{GitPaths, Job, Source},
};

/// Sources fetched at once.
const PARALLEL: usize = 4;
/// Largest zip that is taken from S3: a zip may be no larger than what may come out of it.
const MAX_ZIP_BYTES: u64 = archive::Limits::FOREIGN.bytes;

/// One source, packed.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    /// The zip on this machine.
    pub(super) path: PathBuf,
    /// Its digest, in hex.
    pub(super) sha256: String,
    /// The full commit that a git source resolved to.
    pub(super) commit: Option<String>,
    /// Which of the asked folders are there.
    folders: BTreeSet<String>,
}

/// Packs each source once, whichever and however many orders use it.
pub(super) async fn pack_sources(
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
            let paths = job.orders[first].git_paths.clone();
            let at = Place { order: first, paths, scratch: scratch.join(number.to_string()) };
            let packed = match source {
                Source::None => return None,
                Source::Git { repo, commit } => pack_git(settings, repo, commit.as_deref(), auth, &folders, &at).await,
                Source::S3 { bucket, key } => pack_s3(aws, settings, bucket, key, &folders, &at).await,
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

/// The first order that uses a source and the fields that name it, for messages; and where to work.
struct Place {
    order: usize,
    paths: GitPaths,
    scratch: PathBuf,
}

impl Place {
    fn s3_path(&self) -> String {
        format!("orders[{}].s3_location", self.order)
    }

    fn machine(error: impl std::fmt::Display) -> NotAccepted {
        NotAccepted::Machine(format!("pack the code: {error}"))
    }
}

fn invalid(path: &str, problem: impl std::fmt::Display) -> NotAccepted {
    NotAccepted::Invalid(vec![format!("{path}: {problem}")])
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
    let remote = git::check(&source, &settings.rules.git).map_err(|error| invalid(&at.paths.repo, error))?;
    let checkout = at.scratch.join("checkout");
    tokio::fs::create_dir_all(&checkout).await.map_err(Place::machine)?;
    let fetched = git::fetch(&remote, auth, &checkout, git::Limits::SUBMISSION).await;
    let commit = fetched
        .map_err(|error| invalid(if error.is_about_the_commit() { &at.paths.commit } else { &at.paths.repo }, error))?;
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
    settings: &Settings,
    bucket: &str,
    key: &str,
    folders: &BTreeSet<&str>,
    at: &Place,
) -> Result<Packed, NotAccepted> {
    let owner = settings.rules.owner_of(bucket).map(str::to_owned);
    let request = aws.s3().get_object().bucket(bucket).key(key).set_expected_bucket_owner(owner);
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => {
            let error = AwsError::of(format!("read `s3://{bucket}/{key}`"), error);
            return Err(if error.class == Class::Refused { invalid(&at.s3_path(), error) } else { error.into() });
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
            return Err(invalid(&at.s3_path(), format_args!("the zip is larger than {MAX_ZIP_BYTES} bytes")));
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
    let folders = found.map_err(|error| invalid(&at.s3_path(), error))?;
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
