//! The operations of S3, between `s3s` (protocol, signatures) and the [`Store`].

use std::{io::SeekFrom, path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use s3s::{
    Body, S3, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket as BucketEntry, Checksum, CommonPrefix,
        CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput,
        CopyObjectResult, CopySource, CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput,
        DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, GetBucketLocationInput, GetBucketLocationOutput,
        GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
        ListBucketsInput, ListBucketsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
        ListObjectsV2Output, ListPartsInput, ListPartsOutput, MetadataDirective, Object as ObjectEntry, PutObjectInput,
        PutObjectOutput, Range, StreamingBlob, Timestamp, UploadPartInput, UploadPartOutput,
    },
    s3_error,
};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use tokio_util::io::ReaderStream;

use crate::{
    REGION, dates,
    s3::{
        Caller,
        conditional::{etag, may_copy, may_delete, may_read, may_write},
        list::{self, Query},
        multipart::Uploads,
        notify::Notifier,
        store::{Attributes, Bucket, Content, Headers, Object, Store, internal},
        upload::{Claims, Writer, receive},
    },
};

/// Bytes read from a file at once.
const CHUNK: usize = 64 * 1024;
/// Most keys on a page.
const PAGE: i32 = 1000;
/// Longest key in bytes.
const KEY_LIMIT: usize = 1024;

/// The embedded S3.
#[derive(Debug)]
pub(crate) struct Objects {
    pub(crate) store: Arc<Store>,
    pub(crate) notifier: Notifier,
    pub(crate) uploads: Uploads,
}

impl Objects {
    /// Refuses keys that S3 refuses.
    pub(crate) fn check_key(key: &str) -> S3Result<()> {
        if key.len() > KEY_LIMIT { Err(s3_error!(KeyTooLongError)) } else { Ok(()) }
    }

    fn find(&self, bucket: &str, key: &str) -> S3Result<std::sync::Arc<Object>> {
        find(&self.store, bucket, key)
    }

    /// The bytes of an object; opened here, so that a later overwrite does not change what the caller gets.
    async fn open(
        &self,
        bucket: &str,
        object: &Object,
        range: std::ops::Range<u64>,
    ) -> S3Result<Option<StreamingBlob>> {
        let (start, end) = (range.start, range.end);
        match &object.content {
            Content::Memory(bytes) => {
                let slice = usize::try_from(start).map_err(internal)?..usize::try_from(end).map_err(internal)?;
                Ok(Some(StreamingBlob::from(Body::from(bytes.slice(slice)))))
            }
            Content::File(path) => match File::open(path).await {
                Ok(mut file) => {
                    file.seek(SeekFrom::Start(start)).await.map_err(internal)?;
                    let stream = ReaderStream::with_capacity(file.take(end - start), CHUNK);
                    Ok(Some(StreamingBlob::wrap(stream)))
                }
                // Replaced or removed since it was looked up: the caller looks again.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_stale(self, bucket, object) => {
                    Ok(None)
                }
                Err(error) => Err(internal(error)),
            },
        }
    }

    async fn copy_bytes(&self, object: &Object, writer: &mut Writer<'_>) -> S3Result<()> {
        match &object.content {
            Content::Memory(bytes) => writer.write(bytes).await,
            Content::File(path) => copy_file(path, object.attributes.size, writer).await,
        }
    }
}

/// The object under a key, for whoever asks from inside as well.
pub(crate) fn find(store: &Store, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
    Objects::check_key(key)?;
    store.bucket(bucket)?.get(key).ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
}

fn is_stale(objects: &Objects, bucket: &str, object: &Object) -> bool {
    let current = objects.store.bucket(bucket).ok().and_then(|bucket| bucket.get(&object.attributes.key));
    current.is_none_or(|current| current.attributes.sequence != object.attributes.sequence)
}

/// Adds the first `size` bytes of a file.
pub(crate) async fn copy_file(path: &Path, size: u64, writer: &mut Writer<'_>) -> S3Result<()> {
    let file = File::open(path).await.map_err(internal)?;
    let mut stream = ReaderStream::with_capacity(file.take(size), CHUNK);
    while let Some(chunk) = stream.try_next().await.map_err(internal)? {
        let chunk: Bytes = chunk;
        writer.write(&chunk).await?;
    }
    Ok(())
}

fn timestamp(at: common::clock::Timestamp) -> Timestamp {
    Timestamp::from(dates::system_time(at))
}

fn size(attributes: &Attributes) -> S3Result<i64> {
    i64::try_from(attributes.size).map_err(internal)
}

fn parent<T>(request: &S3Request<T>) -> Option<String> {
    request.extensions.get::<Caller>().and_then(|caller| caller.parent.clone())
}

#[async_trait]
impl S3 for Objects {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        if !self.store.create_bucket(&request.input.bucket).map_err(internal)? {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        let location = Some(format!("/{}", request.input.bucket));
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.store.delete_bucket(&request.input.bucket)?;
        Ok(S3Response::new(DeleteBucketOutput {}))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.store.bucket(&request.input.bucket)?;
        let bucket_region = Some(REGION.to_owned());
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..Default::default() }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.store.bucket(&request.input.bucket)?;
        // us-east-1 has no location constraint.
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let entry = |bucket: &std::sync::Arc<Bucket>| BucketEntry {
            name: Some(bucket.name.clone()),
            creation_date: Some(timestamp(bucket.created)),
            bucket_region: Some(REGION.to_owned()),
        };
        let buckets = self.store.buckets().iter().map(entry).collect();
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), ..Default::default() }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let parent = parent(&request);
        let input = request.input;
        Self::check_key(&input.key)?;
        let bucket = self.store.bucket(&input.bucket)?;
        let (if_match, if_none_match) = (input.if_match, input.if_none_match);
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
        let headers = Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            content_language: input.content_language,
            cache_control: input.cache_control,
            metadata: input.metadata.unwrap_or_default(),
        };
        let attributes = Attributes { key: input.key, headers, ..Default::default() };
        let trailers = request.trailing_headers.as_ref();
        let staged = receive(&self.store, &bucket, attributes, input.body, claims, trailers).await?;
        let object = bucket.commit(staged, |current| may_write(if_match.as_ref(), if_none_match.as_ref(), current))?;
        self.notifier.created(&bucket.name, &object, "Put", parent).await;
        let attributes = &object.attributes;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(etag(&object)),
            checksum_crc32: attributes.crc32.clone(),
            checksum_crc32c: attributes.crc32c.clone(),
            checksum_crc64nvme: attributes.crc64nvme.clone(),
            checksum_sha1: attributes.sha1.clone(),
            checksum_sha256: attributes.sha256.clone(),
            ..Default::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        loop {
            let object = self.find(&input.bucket, &input.key)?;
            may_read(input.if_match.as_ref(), input.if_none_match.as_ref(), &object)?;
            let attributes = &object.attributes;
            let range =
                input.range.as_ref().map_or(Ok(0..attributes.size), |range: &Range| range.check(attributes.size))?;
            let Some(body) = self.open(&input.bucket, &object, range.clone()).await? else { continue };
            let whole = range == (0..attributes.size);
            let content_range = input
                .range
                .is_some()
                .then(|| format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), attributes.size));
            let checksum = |value: &Option<String>| value.clone().filter(|_| whole);
            let headers = attributes.headers.clone();
            return Ok(S3Response::new(GetObjectOutput {
                accept_ranges: Some("bytes".to_owned()),
                body: Some(body),
                content_length: Some(i64::try_from(range.end - range.start).map_err(internal)?),
                content_range,
                content_type: input.response_content_type.or(headers.content_type).or_else(default_type),
                content_encoding: headers.content_encoding,
                content_disposition: input.response_content_disposition.or(headers.content_disposition),
                content_language: headers.content_language,
                cache_control: headers.cache_control,
                metadata: Some(headers.metadata),
                last_modified: Some(timestamp(attributes.modified)),
                e_tag: Some(etag(&object)),
                checksum_crc32: checksum(&attributes.crc32),
                checksum_crc32c: checksum(&attributes.crc32c),
                checksum_crc64nvme: checksum(&attributes.crc64nvme),
                checksum_sha1: checksum(&attributes.sha1),
                checksum_sha256: checksum(&attributes.sha256),
                ..Default::default()
            }));
        }
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object = self.find(&input.bucket, &input.key)?;
        may_read(input.if_match.as_ref(), input.if_none_match.as_ref(), &object)?;
        let attributes = &object.attributes;
        let headers = attributes.headers.clone();
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(size(attributes)?),
            content_type: headers.content_type.or_else(default_type),
            content_encoding: headers.content_encoding,
            content_disposition: headers.content_disposition,
            content_language: headers.content_language,
            cache_control: headers.cache_control,
            metadata: Some(headers.metadata),
            last_modified: Some(timestamp(attributes.modified)),
            e_tag: Some(etag(&object)),
            checksum_crc32: attributes.crc32.clone(),
            checksum_crc32c: attributes.crc32c.clone(),
            checksum_crc64nvme: attributes.crc64nvme.clone(),
            checksum_sha1: attributes.sha1.clone(),
            checksum_sha256: attributes.sha256.clone(),
            ..Default::default()
        }))
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let parent = parent(&request);
        let input = request.input;
        Self::check_key(&input.key)?;
        let CopySource::Bucket { bucket: source_bucket, key: source_key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        let target = self.store.bucket(&input.bucket)?;
        let replace = input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
        if !replace && **source_bucket == *input.bucket && **source_key == *input.key {
            let message = "This copy request is illegal because it is trying to copy an object to itself without \
                           changing the object's metadata, storage class, website redirect location or encryption \
                           attributes.";
            return Err(s3_error!(InvalidRequest, "{message}"));
        }
        loop {
            let source = self.find(source_bucket, source_key)?;
            may_copy(input.copy_source_if_match.as_ref(), input.copy_source_if_none_match.as_ref(), &source)?;
            let mut attributes = Attributes { key: input.key.clone(), ..source.attributes.clone() };
            if replace {
                attributes.headers = Headers {
                    content_type: input.content_type.clone(),
                    content_encoding: input.content_encoding.clone(),
                    content_disposition: input.content_disposition.clone(),
                    content_language: input.content_language.clone(),
                    cache_control: input.cache_control.clone(),
                    metadata: input.metadata.clone().unwrap_or_default(),
                };
            }
            let mut writer = Writer::new(&self.store, &target);
            if let Err(error) = self.copy_bytes(&source, &mut writer).await {
                if is_stale(self, source_bucket, &source) {
                    continue;
                }
                return Err(error);
            }
            let staged = writer.finish(attributes).await?;
            let object = target.commit(staged, |_| Ok(()))?;
            self.notifier.created(&target.name, &object, "Copy", parent).await;
            let result = CopyObjectResult {
                e_tag: Some(etag(&object)),
                last_modified: Some(timestamp(object.attributes.modified)),
                ..Default::default()
            };
            return Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }));
        }
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let bucket = self.store.bucket(&input.bucket)?;
        bucket.remove(&input.key, |current| may_delete(input.if_match.as_ref(), current))?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let bucket = self.store.bucket(&input.bucket)?;
        if input.delete.objects.len() > 1000 {
            return Err(s3_error!(MalformedXML, "at most 1000 keys a request"));
        }
        let mut deleted = Vec::new();
        for object in input.delete.objects {
            bucket.remove(&object.key, |_| Ok(()))?;
            deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
        }
        let deleted = Some(deleted).filter(|_| input.delete.quiet != Some(true));
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let marker = request.input.marker.clone();
        let output = self.list_objects_v2(request.map_input(Into::into)).await?;
        Ok(output.map_output(|page| ListObjectsOutput {
            name: page.name,
            prefix: page.prefix,
            marker,
            max_keys: page.max_keys,
            is_truncated: page.is_truncated,
            contents: page.contents,
            common_prefixes: page.common_prefixes,
            delimiter: page.delimiter,
            next_marker: page.next_continuation_token,
            encoding_type: page.encoding_type,
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let bucket = self.store.bucket(&input.bucket)?;
        let max_keys = input.max_keys.unwrap_or(PAGE).clamp(0, PAGE);
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            after: input.continuation_token.as_deref().or(input.start_after.as_deref()).unwrap_or_default(),
            limit: usize::try_from(max_keys).map_err(internal)?,
        };
        let page = list::page(&bucket, &query);
        // With `encoding-type=url` (botocore asks for it) keys travel percent-encoded and the client decodes them.
        let url = input.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == "url");
        let encode = |key: &str| if url { super::url_encoded(key) } else { key.to_owned() };
        let entry = |object: &std::sync::Arc<Object>| -> S3Result<ObjectEntry> {
            Ok(ObjectEntry {
                key: Some(encode(&object.attributes.key)),
                size: Some(size(&object.attributes)?),
                e_tag: Some(etag(object)),
                last_modified: Some(timestamp(object.attributes.modified)),
                storage_class: Some(s3s::dto::ObjectStorageClass::from_static("STANDARD")),
                ..Default::default()
            })
        };
        let contents = page.objects.iter().map(entry).collect::<S3Result<Vec<_>>>()?;
        let prefixes: Vec<_> =
            page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encode(prefix)) }).collect();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(bucket.name.clone()),
            key_count: i32::try_from(contents.len() + prefixes.len()).ok(),
            max_keys: Some(max_keys),
            is_truncated: Some(page.next_after.is_some()),
            contents: Some(contents).filter(|contents| !contents.is_empty()),
            common_prefixes: Some(prefixes).filter(|prefixes| !prefixes.is_empty()),
            continuation_token: input.continuation_token,
            next_continuation_token: page.next_after,
            prefix: input.prefix.map(|prefix| encode(&prefix)),
            delimiter: input.delimiter.map(|delimiter| encode(&delimiter)),
            start_after: input.start_after.map(|after| encode(&after)),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.begin_upload(request.input).map(S3Response::new)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.receive_part(request).await.map(S3Response::new)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.parts(request.input).map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let parent = parent(&request);
        self.complete_upload(request.input, parent).await.map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort_upload(&request.input.upload_id, &request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

/// What S3 says about objects that were put without a content type.
#[expect(clippy::unnecessary_wraps, reason = "stands in a chain of options")]
fn default_type() -> Option<String> {
    Some("binary/octet-stream".to_owned())
}
