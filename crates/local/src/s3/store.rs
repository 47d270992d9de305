//! Where objects are: an index in memory, and bodies in memory or in files that are never changed once written.
//!
//! # How a write is atomic
//!
//! A body is received and checked first, as a [`Staged`] object that nobody sees. Then, under the bucket's lock,
//! its condition is held against what is there, its file (if it has one) gets its final name, and the index points to
//! it. There is no moment at which two writers can both find a key free, and none at which a reader sees half an object
//! or one object's bytes with another's `ETag`.
//!
//! # Files
//!
//! `<bucket>/<id>` holds the body, the attributes as JSON, their length (8 bytes, big endian) and [`MAGIC`]. Keys are
//! inside, not in the file's name, so they may be as long as S3's and `a` and `a/b` can both be there. A start reads
//! them all; of two with one key (a crash between writing the new and removing the old) the later stays.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use common::clock::{Clock, Timestamp};
use s3s::{
    S3Error, S3Result,
    crypto::{Checksum as _, Md5},
    dto::Checksum,
    s3_error,
};
use serde::{Deserialize, Serialize};

use crate::{files, ids};

/// Ends every object's file.
const MAGIC: &[u8; 8] = b"embed-s3";
/// Files with this prefix are not finished.
const PART_PREFIX: &str = ".part-";

/// What is known about an object besides its bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    /// Grows with every write of this store.
    pub(crate) sequence: u64,
    #[serde(flatten)]
    pub(crate) headers: Headers,
    pub(crate) crc32: Option<String>,
    pub(crate) crc32c: Option<String>,
    pub(crate) crc64nvme: Option<String>,
    pub(crate) sha1: Option<String>,
    pub(crate) sha256: Option<String>,
}

/// What the writer says about an object.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Headers {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) metadata: HashMap<String, String>,
}

impl Attributes {
    /// Takes over the checksums that were computed and found right.
    pub(crate) fn set_checksums(&mut self, checksum: Checksum) {
        self.crc32 = checksum.checksum_crc32;
        self.crc32c = checksum.checksum_crc32c;
        self.crc64nvme = checksum.checksum_crc64nvme;
        self.sha1 = checksum.checksum_sha1;
        self.sha256 = checksum.checksum_sha256;
    }
}

/// The bytes of an object.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    /// The first [`Attributes::size`] bytes of this file.
    File(PathBuf),
}

/// An object that can be read.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) attributes: Attributes,
    pub(crate) content: Content,
}

/// An object that is complete and not yet visible. Its file, if it has one, goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) attributes: Attributes,
    content: Option<Content>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(Content::File(path)) = self.content.take() {
            unlink(&path);
        }
    }
}

/// A bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    dir: PathBuf,
    objects: RwLock<BTreeMap<String, Arc<Object>>>,
}

/// All buckets.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    /// Whether every object has a file.
    pub(crate) durable: bool,
    clock: Clock,
    sequence: AtomicU64,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
}

impl Store {
    /// Opens what is in `root`.
    pub(crate) fn open(root: PathBuf, durable: bool, clock: Clock) -> io::Result<Self> {
        files::private_dir(&root)?;
        let store = Self { root, durable, clock, sequence: AtomicU64::new(1), buckets: RwLock::default() };
        for entry in fs::read_dir(&store.root)? {
            let entry = entry?;
            let (true, Some(name)) = (entry.file_type()?.is_dir(), entry.file_name().to_str().map(str::to_owned))
            else {
                continue;
            };
            let bucket = store.load(&name, entry.path())?;
            store.buckets.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(bucket));
        }
        Ok(store)
    }

    fn load(&self, name: &str, dir: PathBuf) -> io::Result<Bucket> {
        let mut objects: BTreeMap<String, Arc<Object>> = BTreeMap::new();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PART_PREFIX)) {
                fs::remove_file(&path)?;
                continue;
            }
            let attributes = read_attributes(&path)?;
            self.sequence.fetch_max(attributes.sequence + 1, Ordering::Relaxed);
            let object = Arc::new(Object { content: Content::File(path), attributes });
            let newer = objects
                .get(&object.attributes.key)
                .is_none_or(|other| other.attributes.sequence < object.attributes.sequence);
            let old = if newer { objects.insert(object.attributes.key.clone(), object) } else { Some(object) };
            if let Some(Content::File(path)) = old.as_deref().map(|old| &old.content) {
                fs::remove_file(path)?;
            }
        }
        Ok(Bucket { name: name.to_owned(), created: self.clock.now(), dir, objects: RwLock::new(objects) })
    }

    /// Makes a bucket; `false` when it is there already.
    pub(crate) fn create_bucket(&self, name: &str) -> io::Result<bool> {
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        if buckets.contains_key(name) {
            return Ok(false);
        }
        let dir = self.root.join(name);
        files::private_dir(&dir)?;
        let bucket = Bucket { name: name.to_owned(), created: self.clock.now(), dir, objects: RwLock::default() };
        buckets.insert(name.to_owned(), Arc::new(bucket));
        Ok(true)
    }

    /// Removes an empty bucket.
    pub(crate) fn delete_bucket(&self, name: &str) -> S3Result<()> {
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get(name).ok_or_else(|| s3_error!(NoSuchBucket))?;
        if !bucket.objects.read().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return Err(s3_error!(BucketNotEmpty));
        }
        fs::remove_dir(&bucket.dir).map_err(internal)?;
        buckets.remove(name);
        Ok(())
    }

    /// A bucket, or `NoSuchBucket`.
    pub(crate) fn bucket(&self, name: &str) -> S3Result<Arc<Bucket>> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.get(name).cloned().ok_or_else(|| s3_error!(NoSuchBucket))
    }

    /// All buckets by name.
    pub(crate) fn buckets(&self) -> Vec<Arc<Bucket>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Puts a file under a key without a body passing through HTTP, unless the key is there. `digest` tells its content
    /// from any other's, and is longer than 32 digits.
    pub(crate) fn put_file(&self, bucket: &str, key: &str, source: &Path, digest: &str) -> io::Result<()> {
        let bucket = self.bucket(bucket).map_err(io::Error::other)?;
        if bucket.get(key).is_some() {
            return Ok(());
        }
        let mut attributes =
            Attributes { key: key.to_owned(), size: fs::metadata(source)?.len(), ..Default::default() };
        // In the form that multi-part uploads have, so that nobody takes it for an MD5.
        attributes.etag = format!("{}-1", digest.get(..32).unwrap_or(digest));
        self.stamp(&mut attributes);
        let path = part_path(&bucket);
        if self.durable {
            fs::copy(source, &path)?;
            let mut file = fs::OpenOptions::new().append(true).open(&path)?;
            file.write_all(&trailer(&attributes)?)?;
        } else {
            files::share(source, &path)?;
        }
        bucket.commit(Staged::in_file(attributes, path), |_| Ok(())).map(drop).map_err(io::Error::other)
    }

    /// Puts a small object, over one that is there, without notifying anybody.
    pub(crate) fn put_bytes(&self, bucket: &str, key: &str, content_type: &str, body: Bytes) -> io::Result<()> {
        let bucket = self.bucket(bucket).map_err(io::Error::other)?;
        let mut attributes = Attributes { key: key.to_owned(), ..Default::default() };
        attributes.headers.content_type = Some(content_type.to_owned());
        attributes.size = u64::try_from(body.len()).map_err(io::Error::other)?;
        attributes.etag = hex::encode(Md5::checksum(&body));
        self.stamp(&mut attributes);
        let staged = if self.durable {
            let path = part_path(&bucket);
            fs::write(&path, [body.as_ref(), &trailer(&attributes)?].concat())?;
            Staged::in_file(attributes, path)
        } else {
            Staged::in_memory(attributes, body)
        };
        bucket.commit(staged, |_| Ok(())).map(drop).map_err(io::Error::other)
    }

    /// Fills in what the store says about a new object: when it was written, in the machine's time as by S3, and its place
    /// in the order of writes.
    pub(crate) fn stamp(&self, attributes: &mut Attributes) {
        attributes.modified = Clock::REAL.now();
        attributes.sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
    }
}

/// A file for a body that is being received.
pub(crate) fn part_path(bucket: &Bucket) -> PathBuf {
    bucket.dir.join(format!("{PART_PREFIX}{}", ids::token()))
}

impl Staged {
    /// Its bytes.
    pub(crate) fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    /// An object that stays in memory.
    pub(crate) fn in_memory(attributes: Attributes, body: Bytes) -> Self {
        Self { attributes, content: Some(Content::Memory(body)) }
    }

    /// An object whose file is complete.
    pub(crate) fn in_file(attributes: Attributes, path: PathBuf) -> Self {
        Self { attributes, content: Some(Content::File(path)) }
    }
}

impl Bucket {
    /// The object under a key.
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Object>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Makes a staged object visible, if `condition` allows what is there now to be replaced.
    pub(crate) fn commit(
        &self,
        mut staged: Staged,
        condition: impl FnOnce(Option<&Object>) -> S3Result<()>,
    ) -> S3Result<Arc<Object>> {
        let key = staged.attributes.key.clone();
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        condition(objects.get(&key).map(AsRef::as_ref))?;
        if let Some(Content::File(path)) = &mut staged.content {
            let name = self.dir.join(ids::token());
            fs::rename(&*path, &name).map_err(internal)?;
            *path = name;
        }
        let content = staged.content.take().unwrap_or(Content::Memory(Bytes::new()));
        let object = Arc::new(Object { attributes: std::mem::take(&mut staged.attributes), content });
        let old = objects.insert(key, Arc::clone(&object));
        drop(objects);
        if let Some(Content::File(path)) = old.as_deref().map(|old| &old.content) {
            unlink(path);
        }
        Ok(object)
    }

    /// Removes an object, if `condition` allows it; none there is no failure.
    pub(crate) fn remove(&self, key: &str, condition: impl FnOnce(Option<&Object>) -> S3Result<()>) -> S3Result<()> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        condition(objects.get(key).map(AsRef::as_ref))?;
        let old = objects.remove(key);
        drop(objects);
        if let Some(Content::File(path)) = old.as_deref().map(|old| &old.content) {
            fs::remove_file(path).map_err(internal)?;
        }
        Ok(())
    }

    /// Reads the index.
    pub(crate) fn with_objects<T>(&self, read: impl FnOnce(&BTreeMap<String, Arc<Object>>) -> T) -> T {
        read(&self.objects.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What follows the body in an object's file.
pub(crate) fn trailer(attributes: &Attributes) -> io::Result<Vec<u8>> {
    let mut trailer = serde_json::to_vec(attributes)?;
    let length = u64::try_from(trailer.len()).map_err(io::Error::other)?;
    trailer.extend(length.to_be_bytes());
    trailer.extend(MAGIC);
    Ok(trailer)
}

fn read_attributes(path: &Path) -> io::Result<Attributes> {
    let mut file = fs::File::open(path)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is no object", path.display()));
    let mut end = [0; 16];
    file.seek(SeekFrom::End(-16)).map_err(|_| damaged())?;
    file.read_exact(&mut end)?;
    let (length, magic) = end.split_at(8);
    if magic != MAGIC {
        return Err(damaged());
    }
    let length = u64::from_be_bytes(length.try_into().map_err(|_| damaged())?);
    let back = i64::try_from(length).map_err(|_| damaged())? + 16;
    file.seek(SeekFrom::End(-back)).map_err(|_| damaged())?;
    let mut json = vec![0; usize::try_from(length).map_err(|_| damaged())?];
    file.read_exact(&mut json)?;
    serde_json::from_slice(&json).map_err(|_| damaged())
}

fn unlink(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(%error, path = %path.display(), "an object's old file could not be removed");
    }
}

/// A failure of the machine.
pub(crate) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    tracing::error!(%error, "the embedded S3 failed");
    s3_error!(error, InternalError)
}
