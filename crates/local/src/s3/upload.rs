//! Receiving a body: streamed, hashed, checked against every checksum the caller gives, and only then an object.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::HeaderMap;
use s3s::{
    S3Error, S3ErrorCode, S3Result, TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Md5},
    dto::{Checksum, StreamingBlob},
    s3_error,
};
use tokio::{fs::File, io::AsyncWriteExt as _};

use crate::s3::store::{Attributes, Bucket, Staged, Store, internal, part_path, trailer};

/// Bodies up to this size stay in memory when nothing is to survive.
const MEMORY_LIMIT: usize = 1024 * 1024;

/// What the caller claims about the body.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) md5: Option<String>,
    pub(crate) length: Option<i64>,
    pub(crate) checksum: Checksum,
    /// Names of checksums that are to be computed, from the algorithm header or the announced trailers.
    pub(crate) algorithms: Vec<String>,
}

impl Claims {
    /// The algorithms that the request's headers announce.
    pub(crate) fn announce(&mut self, algorithm: Option<&str>, headers: &HeaderMap) {
        self.algorithms.extend(algorithm.map(str::to_ascii_lowercase));
        let trailers = headers.get_all("x-amz-trailer").iter().filter_map(|value| value.to_str().ok());
        let names =
            trailers.flat_map(|names| names.split(',')).filter_map(|name| name.trim().strip_prefix("x-amz-checksum-"));
        self.algorithms.extend(names.map(str::to_ascii_lowercase));
    }

    fn hasher(&self) -> ChecksumHasher {
        let wanted = |name: &str, given: &Option<String>| given.is_some() || self.algorithms.iter().any(|a| a == name);
        let mut hasher = ChecksumHasher::default();
        let claim = &self.checksum;
        hasher.crc32 = wanted("crc32", &claim.checksum_crc32).then(Default::default);
        hasher.crc32c = wanted("crc32c", &claim.checksum_crc32c).then(Default::default);
        hasher.crc64nvme = wanted("crc64nvme", &claim.checksum_crc64nvme).then(Default::default);
        hasher.sha1 = wanted("sha1", &claim.checksum_sha1).then(Default::default);
        hasher.sha256 = wanted("sha256", &claim.checksum_sha256).then(Default::default);
        hasher
    }

    /// Adds the checksums that came after the body.
    fn trail(&mut self, trailers: Option<&TrailingHeaders>) {
        let Some(trailers) = trailers.and_then(TrailingHeaders::take) else { return };
        let get = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let claim = &mut self.checksum;
        for (slot, name) in [
            (&mut claim.checksum_crc32, "x-amz-checksum-crc32"),
            (&mut claim.checksum_crc32c, "x-amz-checksum-crc32c"),
            (&mut claim.checksum_crc64nvme, "x-amz-checksum-crc64nvme"),
            (&mut claim.checksum_sha1, "x-amz-checksum-sha1"),
            (&mut claim.checksum_sha256, "x-amz-checksum-sha256"),
        ] {
            if let Some(value) = get(name) {
                *slot = Some(value);
            }
        }
    }

    fn check(&self, size: u64, md5: &[u8], computed: &Checksum) -> S3Result<()> {
        if self.length.is_some_and(|length| u64::try_from(length) != Ok(size)) {
            return Err(s3_error!(IncompleteBody));
        }
        if let Some(claimed) = &self.md5 {
            let claimed = STANDARD.decode(claimed).map_err(|_| s3_error!(InvalidDigest))?;
            if claimed != md5 {
                return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
            }
        }
        let claim = &self.checksum;
        for (name, claimed, computed) in [
            ("CRC32", &claim.checksum_crc32, &computed.checksum_crc32),
            ("CRC32C", &claim.checksum_crc32c, &computed.checksum_crc32c),
            ("CRC64NVME", &claim.checksum_crc64nvme, &computed.checksum_crc64nvme),
            ("SHA1", &claim.checksum_sha1, &computed.checksum_sha1),
            ("SHA256", &claim.checksum_sha256, &computed.checksum_sha256),
        ] {
            if claimed.is_some() && claimed != computed {
                return Err(s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum."));
            }
        }
        Ok(())
    }
}

/// Writes bytes into an object that is not there yet.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    store: &'a Store,
    bucket: &'a Bucket,
    memory: BytesMut,
    file: Option<(File, PartFile)>,
    size: u64,
}

/// The file of a body that is being received; removed unless it becomes an object.
#[derive(Debug)]
struct PartFile(Option<PathBuf>);

impl Drop for PartFile {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(%error, path = %path.display(), "an unfinished upload could not be removed");
        }
    }
}

impl<'a> Writer<'a> {
    pub(crate) fn new(store: &'a Store, bucket: &'a Bucket) -> Self {
        Self { store, bucket, memory: BytesMut::new(), file: None, size: 0 }
    }

    /// Adds bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> S3Result<()> {
        self.size += u64::try_from(bytes.len()).map_err(internal)?;
        if self.file.is_none() && self.memory.len() + bytes.len() > MEMORY_LIMIT {
            let path = part_path(self.bucket);
            let file = File::create(&path).await.map_err(internal)?;
            self.file = Some((file, PartFile(Some(path))));
            let held = self.memory.split();
            self.write_file(&held).await?;
        }
        if self.file.is_some() {
            self.write_file(bytes).await
        } else {
            self.memory.extend_from_slice(bytes);
            Ok(())
        }
    }

    async fn write_file(&mut self, bytes: &[u8]) -> S3Result<()> {
        match &mut self.file {
            Some((file, _)) => file.write_all(bytes).await.map_err(internal),
            None => Ok(()),
        }
    }

    /// The object, complete but not visible.
    pub(crate) async fn finish(mut self, mut attributes: Attributes) -> S3Result<Staged> {
        attributes.size = self.size;
        self.store.stamp(&mut attributes);
        if let Some((mut file, mut part)) = self.file.take() {
            file.write_all(&trailer(&attributes).map_err(internal)?).await.map_err(internal)?;
            file.flush().await.map_err(internal)?;
            let path = part.0.take().unwrap_or_default();
            return Ok(Staged::in_file(attributes, path));
        }
        let body = self.memory.freeze();
        if !self.store.durable {
            return Ok(Staged::in_memory(attributes, body));
        }
        let path = part_path(self.bucket);
        let mut content = body.to_vec();
        content.extend(trailer(&attributes).map_err(internal)?);
        let target = path.clone();
        tokio::task::spawn_blocking(move || std::fs::write(target, content))
            .await
            .map_err(internal)?
            .map_err(internal)?;
        Ok(Staged::in_file(attributes, path))
    }
}

/// A body that did not arrive whole, or whose chunks are not signed as they should be.
fn broken_off(error: s3s::StdError) -> S3Error {
    match error.downcast::<S3Error>() {
        Ok(error) => *error,
        Err(error) => S3Error::with_source(S3ErrorCode::IncompleteBody, error),
    }
}

/// Receives a body and checks it; the `ETag` is the MD5 of the bytes.
pub(crate) async fn receive(
    store: &Store,
    bucket: &Bucket,
    mut attributes: Attributes,
    body: Option<StreamingBlob>,
    mut claims: Claims,
    trailers: Option<&TrailingHeaders>,
) -> S3Result<Staged> {
    let mut writer = Writer::new(store, bucket);
    let (mut md5, mut hasher) = (Md5::new(), claims.hasher());
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk: Bytes = chunk.map_err(broken_off)?;
            md5.update(&chunk);
            hasher.update(&chunk);
            writer.write(&chunk).await?;
        }
    }
    claims.trail(trailers);
    let (md5, computed) = (md5.finalize(), hasher.finalize());
    claims.check(writer.size, &md5, &computed)?;
    attributes.etag = hex::encode(md5);
    attributes.set_checksums(computed);
    writer.finish(attributes).await
}
