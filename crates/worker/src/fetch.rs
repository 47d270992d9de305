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
    bundle::{self, Bundle, BundleError, Code, Manifest, Sealed},
    fleet::document::{Document, ShareUrls},
    git::{self, GitError},
    http::{Answer, Http, HttpError},
    intake::{request::parse_s3_uri, validate::CALLBACK_URL},
    objects::Objects,
};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::{
    Settings,
    desk::{refused, tried},
    dispatch::Dispatch,
    workspace::Workspace,
};

/// Where the packed code lies until it is unpacked.
const CODE: &str = "code.zip";

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
    #[error(transparent)]
    Folder(#[from] GitError),
    #[error("failed to write the code: {0}")]
    Files(#[from] io::Error),
}

/// Fetches everything that the dispatch names, with the worker's own role.
pub(crate) async fn by_role(
    aws: &Aws,
    settings: &Settings,
    dispatch: &Dispatch,
    workspace: &Workspace,
) -> Result<Unlocked, FetchError> {
    let missing = |key: &str| FetchError::Missing(format!("there is no `{key}`; bundles are kept for a day"));
    let (bucket, key) = parse_s3_uri(&dispatch.s3_location)
        .ok_or_else(|| FetchError::Missing(format!("`{}` is no location in S3", dispatch.s3_location)))?;
    let zip = Objects::new(aws, &bucket).get(&key, bundle::MAX_BYTES).await?.ok_or_else(|| missing(&key))?;
    let sealed = Bundle::read(&zip.body, &dispatch.bundle_sha256)?;
    let code = workspace.path().join(CODE);
    if let Some(packed) = &sealed.manifest.code {
        download(aws, &dispatch.internal_bucket, packed, &code).await?;
    }
    let identity = settings.last_key.of(aws, dispatch, settings.clock.now()).await?;
    let variables = sealed.open(&identity)?;
    unlocked(sealed, variables, workspace).await
}

/// Fetches everything by the signed URLs of a dispatch document, which holds the variables in clear.
pub(crate) async fn by_urls(
    http: &Http,
    document: &Document,
    urls: &ShareUrls,
    workspace: &Workspace,
) -> Result<Unlocked, FetchError> {
    let action = "fetch the bundle";
    let answer = tried(action, || http.get(&document.bundle_url, bundle::MAX_BYTES)).await?;
    if answer.status != 200 {
        return Err(refused(action, answer.status).into());
    }
    let sealed = Bundle::read(&answer.body, &document.bundle_sha256)?;
    if let Some(packed) = &sealed.manifest.code {
        let missing = || FetchError::Missing("the dispatch document has no URL of the code".to_owned());
        let url = document.code_url.as_ref().ok_or_else(missing)?;
        download_signed(http, url, packed, &workspace.path().join(CODE)).await?;
    }
    let secret = |(name, value): (&String, &String)| (name.clone(), SecretString::from(value.as_str()));
    let mut variables: BTreeMap<String, SecretString> = document.variables.iter().map(secret).collect();
    // The order's own URL would end the order on every instance.
    variables.insert(CALLBACK_URL.to_owned(), SecretString::from(urls.result_url.as_str()));
    unlocked(sealed, variables, workspace).await
}

async fn unlocked(
    sealed: Sealed,
    variables: BTreeMap<String, SecretString>,
    workspace: &Workspace,
) -> Result<Unlocked, FetchError> {
    let dir = match &sealed.manifest.code {
        None => workspace.subfolder("code")?,
        Some(code) => unpack(code, workspace).await?,
    };
    Ok(Unlocked { commands: sealed.cmds, manifest: sealed.manifest, variables, plain: sealed.plain, dir })
}

/// Unpacks the code that was downloaded; gives the folder in which the commands run.
async fn unpack(code: &Code, workspace: &Workspace) -> Result<PathBuf, FetchError> {
    let path = workspace.path().join(CODE);
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
    let mut file = Hashed::create(path)?;
    let mut body = answer.body;
    while let Some(chunk) = body.try_next().await.map_err(io::Error::other)? {
        file.write(&chunk)?;
    }
    if file.digest() == code.sha256 { Ok(()) } else { Err(FetchError::CodeDigest) }
}

async fn download_signed(http: &Http, url: &str, code: &Code, path: &Path) -> Result<(), FetchError> {
    let action = "fetch the code";
    // Each attempt begins with a new file; what comes of it is the digest.
    let fetch = || async {
        let mut file = Hashed::create(path).map_err(HttpError::of)?;
        let status = http.download(url, |piece| file.write(piece)).await?;
        Ok(Answer { status, body: file.digest().into() })
    };
    let answer = tried(action, fetch).await?;
    if answer.status != 200 {
        return Err(refused(action, answer.status).into());
    }
    if answer.body == code.sha256.as_bytes() { Ok(()) } else { Err(FetchError::CodeDigest) }
}

/// A file that is hashed on its way.
struct Hashed {
    file: File,
    hash: Sha256,
}

impl Hashed {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, hash: Sha256::new() })
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.hash.update(piece);
        self.file.write_all(piece)
    }

    fn digest(self) -> String {
        hex::encode(self.hash.finalize())
    }
}
