//! Fetching and unlocking: the bundle and the code, each checked by its digest, and the key.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use common::{
    archive::{self, ArchiveError, Limits},
    aws::{Aws, AwsError},
    bundle::{self, Bundle, BundleError, Code, Manifest},
    git::{self, GitError},
    intake::request::parse_s3_uri,
    objects::Objects,
    sops::{Identity, SopsError},
};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::{dispatch::Dispatch, workspace::Workspace};

/// An order, ready to run.
#[derive(Debug)]
pub(crate) struct Unlocked {
    pub(crate) commands: Vec<String>,
    pub(crate) manifest: Manifest,
    /// Every variable from the bundle.
    pub(crate) variables: BTreeMap<String, SecretString>,
    /// Which of them are no secrets.
    pub(crate) plain: BTreeSet<String>,
    /// Where the commands run.
    pub(crate) dir: PathBuf,
}

/// Why an order cannot be run here. It is claimed and reported all the same.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("{0}")]
    Missing(String),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("failed to unpack the code: {0}")]
    Code(#[from] ArchiveError),
    #[error("the code is not the one that was submitted: its SHA-256 differs")]
    CodeDigest,
    #[error("the run's key cannot be used: {0}")]
    Key(SopsError),
    #[error(transparent)]
    Folder(#[from] GitError),
    #[error("failed to write the code: {0}")]
    Files(#[from] io::Error),
}

/// Fetches everything that the dispatch names.
pub(crate) async fn fetch(aws: &Aws, dispatch: &Dispatch, workspace: &Workspace) -> Result<Unlocked, FetchError> {
    let missing = |key: &str| FetchError::Missing(format!("there is no `{key}`; bundles are kept for a day"));
    let (bucket, key) = parse_s3_uri(&dispatch.s3_location)
        .ok_or_else(|| FetchError::Missing(format!("`{}` is no location in S3", dispatch.s3_location)))?;
    let zip = Objects::new(aws, &bucket).get(&key, bundle::MAX_BYTES).await?.ok_or_else(|| missing(&key))?;
    let sealed = Bundle::read(&zip.body, &dispatch.bundle_sha256)?;
    let dir = match &sealed.manifest.code {
        None => workspace.subfolder("code")?,
        Some(code) => unpack(aws, &dispatch.internal_bucket, code, workspace).await?,
    };
    let identity = Identity::parse(&key_of(aws, &dispatch.sops_key_ssm_path).await?).map_err(FetchError::Key)?;
    let variables = sealed.open(&identity)?;
    Ok(Unlocked { commands: sealed.cmds, manifest: sealed.manifest, variables, plain: sealed.plain, dir })
}

/// Downloads and unpacks the code; gives the folder in which the commands run.
async fn unpack(aws: &Aws, bucket: &str, code: &Code, workspace: &Workspace) -> Result<PathBuf, FetchError> {
    let path = workspace.path().join("code.zip");
    download(aws, bucket, code, &path).await?;
    let root = workspace.subfolder("code")?;
    // What came from git was packed by the engine itself and may hold links that stay inside.
    let limits = if code.commit.is_some() { Limits::OWN } else { Limits::FOREIGN };
    let (zip, into) = (path.clone(), root.clone());
    let unpacked =
        tokio::task::spawn_blocking(move || archive::unpack(File::open(zip)?, &into, limits).map_err(FetchError::from));
    unpacked.await.map_err(io::Error::other)??;
    std::fs::remove_file(&path)?;
    match &code.folder {
        None => Ok(root),
        Some(folder) => Ok(git::enter_folder(&root, folder)?),
    }
}

async fn download(aws: &Aws, bucket: &str, code: &Code, path: &Path) -> Result<(), FetchError> {
    let request = aws.s3().get_object().bucket(bucket).key(&code.key);
    let answer =
        request.send().await.map_err(|error| AwsError::of(format!("read `s3://{bucket}/{}`", code.key), error))?;
    let mut file = File::create_new(path)?;
    let mut hash = Sha256::new();
    let mut body = answer.body;
    while let Some(chunk) = body.try_next().await.map_err(io::Error::other)? {
        hash.update(&chunk);
        file.write_all(&chunk)?;
    }
    if hex::encode(hash.finalize()) == code.sha256 { Ok(()) } else { Err(FetchError::CodeDigest) }
}

async fn key_of(aws: &Aws, path: &str) -> Result<SecretString, FetchError> {
    let request = aws.ssm().get_parameter().name(path).with_decryption(true);
    let answer = request.send().await.map_err(|error| AwsError::of("read the run's key", error))?;
    let value = answer.parameter.and_then(|parameter| parameter.value);
    value.map(SecretString::from).ok_or_else(|| FetchError::Missing("the run's key has no value".to_owned()))
}
