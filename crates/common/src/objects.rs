//! Objects in S3, and the compare-and-set that results, claims and `done` are built on.
//!
//! **Error semantics.** [`Objects::put_first`] writes an object only if there is none. S3 answers 412 when the object
//! exists, 409 when a racing write or delete was in the way and nothing landed; a lost answer, a 5xx and the SDK's own
//! second attempt (which meets the first one's object) say nothing about who won. So after anything but a plain
//! success the object is read and compared: the one that stands either is ours, byte for byte, or somebody else's.
//! Bodies that two writers could both produce carry a nonce.

use aws_sdk_s3::{
    error::SdkError,
    primitives::{ByteStream, SdkBody},
};
use bytes::Bytes;
use http_body_util::BodyExt as _;

use crate::{
    aws::{Aws, AwsError, Class},
    clock::Timestamp,
};

/// Requests to S3 at the same time from one pass.
pub const PARALLEL: usize = 16;

/// One bucket.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    aws: &'a Aws,
    bucket: &'a str,
    owner: Option<&'a str>,
}

/// An object as it stands.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its bytes.
    pub body: Bytes,
    /// When it was written. S3 tells the second; this is its end, so that nothing that was written before comes after.
    pub written_at: Timestamp,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its length.
    pub bytes: u64,
}

/// Whose object stands after [`Objects::put_first`].
#[derive(Clone, Debug)]
pub enum First {
    /// Ours, from this call or an earlier attempt of it.
    Mine,
    /// Somebody else's.
    Theirs(Object),
}

/// How often a 409 is tried again; each means that another write ended in the meantime.
const CONFLICTS: usize = 8;

impl<'a> Objects<'a> {
    /// The objects of a bucket.
    pub fn new(aws: &'a Aws, bucket: &'a str) -> Self {
        Self { aws, bucket, owner: None }
    }

    /// The same, if the bucket is this account's; else S3 refuses to give anything out.
    #[must_use]
    pub fn owned_by(self, owner: Option<&'a str>) -> Self {
        Self { owner, ..self }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &'a str {
        self.bucket
    }

    /// The object, if there is one. One that is larger than `limit` bytes is cut there.
    pub async fn get(&self, key: &str, limit: usize) -> Result<Option<Object>, AwsError> {
        let action = || format!("read `s3://{}/{key}`", self.bucket);
        let request = self.aws.s3().get_object().bucket(self.bucket).key(key);
        let answer = match request.set_expected_bucket_owner(self.owner.map(str::to_owned)).send().await {
            Ok(answer) => answer,
            Err(SdkError::ServiceError(error)) if error.err().is_no_such_key() => return Ok(None),
            Err(error) => return Err(AwsError::of(action(), error)),
        };
        let second = answer.last_modified().and_then(|at| u64::try_from(at.secs()).ok()).unwrap_or_default();
        let written_at = Timestamp::from_micros(second * 1_000_000 + 999_999);
        let mut body = Vec::new();
        let mut stream = answer.body;
        while let Some(chunk) = stream.try_next().await.map_err(|error| AwsError {
            action: action(),
            code: None,
            message: error.to_string(),
            class: Class::Unclear,
        })? {
            let room = limit - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                break;
            }
        }
        Ok(Some(Object { body: body.into(), written_at }))
    }

    /// Writes the object, whatever stood there.
    pub async fn put(&self, key: &str, body: impl Into<Bytes>) -> Result<(), AwsError> {
        let request = self.aws.s3().put_object().bucket(self.bucket).key(key).body(ByteStream::from(body.into()));
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| AwsError::of(format!("write `s3://{}/{key}`", self.bucket), error))
    }

    /// Writes a file as the object, whatever stood there.
    pub async fn put_file(&self, key: &str, path: &std::path::Path) -> Result<(), AwsError> {
        let action = || format!("write `s3://{}/{key}`", self.bucket);
        let body = ByteStream::from_path(path).await.map_err(|error| AwsError::refused(action(), error.to_string()))?;
        let request = self.aws.s3().put_object().bucket(self.bucket).key(key).body(body);
        request.send().await.map(drop).map_err(|error| AwsError::of(action(), error))
    }

    /// Whether there is such an object.
    pub async fn exists(&self, key: &str) -> Result<bool, AwsError> {
        match self.aws.s3().head_object().bucket(self.bucket).key(key).send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_not_found() => Ok(false),
            Err(error) => Err(AwsError::of(format!("look for `s3://{}/{key}`", self.bucket), error)),
        }
    }

    /// The same, and tells how many bytes are sent as they are read; from the beginning again when the call is repeated.
    pub async fn put_file_watched(
        &self,
        key: &str,
        path: &std::path::Path,
        each: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> Result<(), AwsError> {
        let action = || format!("write `s3://{}/{key}`", self.bucket);
        let refused = |error: &dyn std::fmt::Display| AwsError::refused(action(), error.to_string());
        let length = tokio::fs::metadata(path).await.map_err(|error| refused(&error))?.len();
        let length = i64::try_from(length).map_err(|error| refused(&error))?;
        let body = ByteStream::from_path(path).await.map_err(|error| refused(&error))?;
        let body = body.into_inner().map_preserve_contents(move |body| {
            let (each, mut sent) = (each.clone(), 0);
            SdkBody::from_body_1_x(body.map_frame(move |frame| {
                sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                each(sent);
                frame
            }))
        });
        // The length is not known any more to a body whose pieces are looked at.
        let request = self.aws.s3().put_object().bucket(self.bucket).key(key).content_length(length);
        request.body(body.into()).send().await.map(|_| ()).map_err(|error| AwsError::of(action(), error))
    }

    /// Writes the object if there is none; says whose object stands. See the error semantics above.
    pub async fn put_first(&self, key: &str, body: impl Into<Bytes>) -> Result<First, AwsError> {
        let body = body.into();
        let action = || format!("write `s3://{}/{key}` first", self.bucket);
        let mut conflicts = 0;
        loop {
            let request = self.aws.s3().put_object().bucket(self.bucket).key(key).if_none_match("*");
            let error = match request.body(ByteStream::from(body.clone())).send().await {
                Ok(_) => return Ok(First::Mine),
                Err(error) => AwsError::of(action(), error),
            };
            if error.is("ConditionalRequestConflict") && conflicts < CONFLICTS {
                conflicts += 1;
                continue;
            }
            if error.class == Class::Refused && !error.is("PreconditionFailed") {
                return Err(error);
            }
            // Larger than ours is not ours, so there is no need to read on.
            return match self.get(key, body.len().max(MAX_COMPARED)).await? {
                Some(object) if object.body == body => Ok(First::Mine),
                Some(object) => Ok(First::Theirs(object)),
                // A lifecycle rule took it after the 412, or the write was lost: the caller decides.
                None => Err(AwsError { class: Class::Unclear, ..error }),
            };
        }
    }

    /// Removes the object; none is as well.
    pub async fn delete(&self, key: &str) -> Result<(), AwsError> {
        let request = self.aws.s3().delete_object().bucket(self.bucket).key(key);
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| AwsError::of(format!("delete `s3://{}/{key}`", self.bucket), error))
    }

    /// All objects below a prefix, sorted by their keys.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, AwsError> {
        let mut pages = self.aws.s3().list_objects_v2().bucket(self.bucket).prefix(prefix).into_paginator().send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsError::of(format!("list `s3://{}/{prefix}`", self.bucket), error))?;
            listed.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| {
                let bytes = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                Some(Listed { key: object.key?, bytes })
            }));
        }
        Ok(listed)
    }
}

/// What stands is read at least so far even if ours is shorter, because its reader wants it whole: a claim, a stop
/// request and a `done` are far below; a foreign result is read again by its own limit.
const MAX_COMPARED: usize = 1024 * 1024;
