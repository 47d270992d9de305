//! Multi-part uploads: parts are objects that nobody sees until they are put together.
//!
//! Uploads under way live in memory and do not survive a restart; their files are removed at the next start.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use s3s::{
    S3Request, S3Result,
    crypto::{Checksum as _, Md5},
    dto::{
        Checksum, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, ETag, ListPartsInput, ListPartsOutput, Part as PartEntry, UploadPartInput,
        UploadPartOutput,
    },
    s3_error,
};

use crate::{
    ids,
    s3::{
        conditional::{etag, may_write},
        objects::{Objects, copy_file},
        store::{Attributes, Content, Headers, Staged, internal},
        upload::{Claims, Writer, receive},
    },
};

/// Smallest part but the last, as on AWS.
const MIN_PART: u64 = 5 * 1024 * 1024;

/// The uploads under way, by id.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<String, Upload>>);

#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    headers: Headers,
    parts: BTreeMap<i32, Arc<Staged>>,
}

impl Uploads {
    fn with<T>(&self, id: &str, bucket: &str, key: &str, act: impl FnOnce(&mut Upload) -> T) -> S3Result<T> {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let upload = uploads.get_mut(id).filter(|upload| upload.bucket == bucket && upload.key == key);
        upload.map(act).ok_or_else(|| s3_error!(NoSuchUpload))
    }
}

impl Objects {
    pub(crate) fn begin_upload(&self, input: CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
        Self::check_key(&input.key)?;
        self.store.bucket(&input.bucket)?;
        let id = ids::token();
        let headers = Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            content_language: input.content_language,
            cache_control: input.cache_control,
            metadata: input.metadata.unwrap_or_default(),
        };
        let upload = Upload { bucket: input.bucket.clone(), key: input.key.clone(), headers, parts: BTreeMap::new() };
        self.uploads.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), upload);
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..Default::default()
        })
    }

    pub(crate) async fn receive_part(&self, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
        let input = request.input;
        if !(1..=10_000).contains(&input.part_number) {
            return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
        }
        let bucket = self.store.bucket(&input.bucket)?;
        self.uploads.with(&input.upload_id, &input.bucket, &input.key, |_| ())?;
        let mut claims = Claims {
            md5: input.content_md5,
            length: input.content_length,
            checksum: Checksum {
                checksum_crc32: input.checksum_crc32,
                checksum_crc32c: input.checksum_crc32c,
                checksum_crc64nvme: input.checksum_crc64nvme,
                checksum_sha1: input.checksum_sha1,
                checksum_sha256: input.checksum_sha256,
                checksum_type: None,
            },
            algorithms: Vec::new(),
        };
        claims.announce(input.checksum_algorithm.as_ref().map(s3s::dto::ChecksumAlgorithm::as_str), &request.headers);
        let attributes = Attributes { key: input.key.clone(), ..Default::default() };
        let trailers = request.trailing_headers.as_ref();
        let part = receive(&self.store, &bucket, attributes, input.body, claims, trailers).await?;
        let attributes = part.attributes.clone();
        self.uploads.with(&input.upload_id, &input.bucket, &input.key, |upload| {
            upload.parts.insert(input.part_number, Arc::new(part));
        })?;
        Ok(UploadPartOutput {
            e_tag: Some(ETag::Strong(attributes.etag)),
            checksum_crc32: attributes.crc32,
            checksum_crc32c: attributes.crc32c,
            checksum_crc64nvme: attributes.crc64nvme,
            checksum_sha1: attributes.sha1,
            checksum_sha256: attributes.sha256,
            ..Default::default()
        })
    }

    pub(crate) fn parts(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        let parts = self.uploads.with(&input.upload_id, &input.bucket, &input.key, |upload| {
            let entry = |(number, part): (&i32, &Arc<Staged>)| PartEntry {
                part_number: Some(*number),
                size: i64::try_from(part.attributes.size).ok(),
                e_tag: Some(ETag::Strong(part.attributes.etag.clone())),
                ..Default::default()
            };
            upload.parts.iter().map(entry).collect()
        })?;
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            parts: Some(parts),
            is_truncated: Some(false),
            ..Default::default()
        })
    }

    pub(crate) async fn complete_upload(
        &self,
        input: CompleteMultipartUploadInput,
        parent: Option<String>,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let bucket = self.store.bucket(&input.bucket)?;
        let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let (headers, parts) = self.uploads.with(&input.upload_id, &input.bucket, &input.key, |upload| {
            let find = |part: &s3s::dto::CompletedPart| {
                let stored = upload.parts.get(&part.part_number?)?;
                let same = part.e_tag.as_ref().is_some_and(|etag| etag.value() == stored.attributes.etag);
                same.then(|| Arc::clone(stored))
            };
            let parts: Option<Vec<_>> = wanted.iter().map(find).collect();
            (upload.headers.clone(), parts)
        })?;
        let parts = parts.filter(|parts| !parts.is_empty()).ok_or_else(|| s3_error!(InvalidPart))?;
        if !wanted.is_sorted_by_key(|part| part.part_number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        if parts.iter().rev().skip(1).any(|part| part.attributes.size < MIN_PART) {
            return Err(s3_error!(EntityTooSmall));
        }
        let mut writer = Writer::new(&self.store, &bucket);
        let mut md5 = Md5::new();
        for part in &parts {
            md5.update(&hex::decode(&part.attributes.etag).map_err(internal)?);
            match part.content() {
                Some(Content::Memory(bytes)) => writer.write(bytes).await?,
                Some(Content::File(path)) => copy_file(&PathBuf::from(path), part.attributes.size, &mut writer).await?,
                None => {}
            }
        }
        // The ETag of such an object is that of its parts' hashes, and their number.
        let etag_text = format!("{}-{}", hex::encode(md5.finalize()), parts.len());
        let attributes = Attributes { key: input.key.clone(), etag: etag_text, headers, ..Default::default() };
        let staged = writer.finish(attributes).await?;
        let object = bucket
            .commit(staged, |current| may_write(input.if_match.as_ref(), input.if_none_match.as_ref(), current))?;
        self.uploads.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&input.upload_id);
        self.notifier.created(&bucket.name, &object, "CompleteMultipartUpload", parent).await;
        Ok(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag(&object)),
            ..Default::default()
        })
    }

    pub(crate) fn abort_upload(&self, id: &str, bucket: &str, key: &str) -> S3Result<()> {
        self.uploads.with(id, bucket, key, |_| ())?;
        self.uploads.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(())
    }
}
